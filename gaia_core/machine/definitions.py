"""What a workflow is: upload, command, merge, remove and delete, and what would be wrong with them.

Every handler checks first and emits then.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from gaia_core.errors import AlreadyExists, Problem, RequestError
from gaia_core.machine import diff as df
from gaia_core.machine import requests as rq
from gaia_core.machine.answers import CommandsAnswer, FlowAnswer
from gaia_core.machine.arrivals import look_up_missing
from gaia_core.machine.checks import doomed, find, find_existing, find_live, obstacle_to, other_revision, refuse
from gaia_core.machine.decision import Decision
from gaia_core.machine.effects import DeleteData, DropArchive
from gaia_core.workflow import events as ev
from gaia_core.workflow.cascade import Cause, dependents, own_causes
from gaia_core.workflow.expire import resolve_steps
from gaia_core.workflow.flat import FlatStep
from gaia_core.workflow.form.items import Reading
from gaia_core.workflow.model import Command, StepSpec
from gaia_core.workflow.parse import name_problems
from gaia_core.workflow.state import Step, WorkflowState
from gaia_core.workflow.validate import Draft, Judged, draft_commands, draft_steps, judge_commands

NO_PROPERTIES: Final[Mapping[str, Any]] = {}


def upload(decision: Decision, request: rq.Upload) -> df.Diff:
    """Create a workflow with Commands and Steps.

    Raises:
        AlreadyExists: the name is taken.
        NotAllowedNow: the files of an earlier workflow of that name are still being deleted.
        InvalidWorkflow: anything in it is wrong.
    """
    commands, steps = Reading(request.commands), Reading(request.steps)
    draft = _admit_upload(decision, request.workflow, commands, steps, [])
    workflow = _create(decision, request.workflow, request.properties)
    if request.commands:
        decision.emit(ev.CommandsSet(workflow.uid, request.commands))
    return _enter_steps(decision, workflow, request.steps, draft)


def set_commands(decision: Decision, request: rq.SetCommands) -> CommandsAnswer:
    """Add or replace Commands; Steps of those that changed, and all that depends on them, run again.

    Raises:
        UnknownName: there is nothing to add and no such workflow.
        InvalidWorkflow: a Command is wrong or would make a Step so.
        NotAllowedNow: the workflow has another revision.
    """
    if not request.commands:
        return CommandsAnswer(tuple(find(decision.state, request.workflow).commands.values()))
    commands = Reading(request.commands)
    workflow, draft = _admit_commands(decision, request.workflow, commands, request.expected_revision)
    workflow = workflow or _create(decision, request.workflow, NO_PROPERTIES)
    news = tuple(command for command in request.commands if workflow.commands.get(command.name) != command)
    names = {command.name for command in news}
    events = [ev.CommandsSet(workflow.uid, news)] if news else []
    diff = _redefine(
        decision, workflow, draft, events, "command changed", again=lambda flat: not names.isdisjoint(flat.commands)
    )
    return CommandsAnswer(tuple(workflow.commands.values()), diff)


def merge(decision: Decision, request: rq.Merge) -> df.Diff:
    """Add or update Steps.

    Raises:
        InvalidWorkflow: a Step is wrong, or would overlap or close a circle.
        NotAllowedNow: the workflow has another revision.
    """
    name, steps, revision = request.workflow, Reading(request.steps), request.expected_revision
    workflow, draft = _admit_steps(decision, name, steps, revision, prune=request.prune)
    workflow = workflow or _create(decision, request.workflow, NO_PROPERTIES)
    return _enter_steps(decision, workflow, request.steps, draft, only_changed=request.only_changed)


def remove(decision: Decision, request: rq.Remove) -> df.Diff:
    """Take Steps out; what they wrote no longer counts, and their readers wait for it.

    Raises:
        UnknownName: a name is no Step.
        InvalidWorkflow: a name is only a part of a composite Step.
        NotAllowedNow: the workflow has another revision.
    """
    workflow = find_existing(decision.state, request)
    leaving = resolve_steps(workflow, request.names)
    refuse(_torn_composites(workflow, request.names, leaving))
    draft = Draft(vanished=leaving)
    events = [ev.StepsRemoved(workflow.uid, tuple(sorted(step.index for step in leaving)))] if leaving else []
    return _redefine(decision, workflow, draft, events, "removed")


def delete(decision: Decision, request: rq.Delete) -> FlowAnswer:
    """Forget a workflow, and have its files deleted if that is wanted; what runs is cancelled."""
    archived = decision.state.archived.get(request.workflow)
    if archived is not None:
        refuse([], other_revision(request.workflow, archived.summary.revision, request.expected_revision))
        uid = archived.uid
        decision.effects.append(DropArchive(archived.file))
    else:
        uid = find_existing(decision.state, request).uid
    decision.emit(ev.WorkflowDeleted(uid, request.data))
    if request.data:
        decision.effects.append(DeleteData(uid, request.workflow))
    return FlowAnswer(request.workflow, "deleted")


def check_upload(decision: Decision, request: rq.CheckUpload) -> None:
    """Refuse what `upload` would refuse; raises as it does."""
    _admit_upload(decision, request.workflow, request.commands, request.steps, request.problems)


def check_commands(decision: Decision, request: rq.CheckCommands) -> None:
    """Refuse what `set_commands` would refuse; raises as it does."""
    if request.commands.items or request.commands.problems:
        _admit_commands(decision, request.workflow, request.commands, request.expected_revision)
    elif request.workflow is not None:
        find(decision.state, request.workflow)


def check_steps(decision: Decision, request: rq.CheckSteps) -> None:
    """Refuse what `merge` would refuse; raises as it does."""
    _admit_steps(decision, request.workflow, request.steps, request.expected_revision, prune=request.prune)


def _admit_upload(
    decision: Decision,
    name: str | None,
    commands: Reading[Command],
    steps: Reading[StepSpec],
    known: Sequence[Problem],
) -> Draft:
    """Return what an upload makes, or refuse it, with all that is wrong with it."""
    problems = [*known, *commands.problems, *steps.problems, *_named(name)]
    judged = judge_commands(commands, {})
    draft = draft_steps(None, judged if commands.is_list else None, steps, rules=decision.rules)
    obstacle: RequestError | None = doomed(decision.state, name)
    if name in decision.state.workflows or name in decision.state.archived:
        obstacle = AlreadyExists(f"There already is a workflow {name!r}.", hint="use merge to add Steps to it")
    refuse([*problems, *judged.problems, *draft.problems], obstacle)
    return draft


def _admit_commands(
    decision: Decision, name: str | None, commands: Reading[Command], revision: int | None
) -> tuple[WorkflowState | None, Draft]:
    """Return the workflow and what Commands make of it, or refuse them, with all that is wrong with them."""
    workflow = find_live(decision.state, name)
    judged = judge_commands(commands, workflow.commands if workflow is not None else {})
    draft = draft_commands(workflow, commands, judged, decision.rules) if workflow is not None else Draft()
    problems = [*commands.problems, *_named(name), *judged.problems, *draft.problems]
    refuse(problems, obstacle_to(decision.state, name, revision))
    return workflow, draft


def _admit_steps(
    decision: Decision, name: str | None, steps: Reading[StepSpec], revision: int | None, *, prune: bool
) -> tuple[WorkflowState | None, Draft]:
    """Return the workflow and what Steps make of it, or refuse them, with all that is wrong with them."""
    workflow = find_live(decision.state, name)
    wrong_name = _named(name)
    judged = Judged(workflow.commands if workflow is not None else {}) if name is not None and not wrong_name else None
    draft = draft_steps(workflow, judged, steps, prune=prune, rules=decision.rules)
    refuse([*steps.problems, *wrong_name, *draft.problems], obstacle_to(decision.state, name, revision))
    return workflow, draft


def _named(name: str | None) -> list[Problem]:
    """Return what is wrong with the name of a workflow, where it was understood."""
    return name_problems(name) if name is not None else []


def _torn_composites(workflow: WorkflowState, names: Sequence[str], leaving: Mapping[Step, None]) -> list[Problem]:
    """Return a problem for each name that stands for some of a composite Step's inner Steps only."""
    problems = []
    for number, name in enumerate(names):
        named = workflow.steps_named(name) or workflow.steps_named(name.removeprefix("step:"))
        for element in dict.fromkeys(step.element for step in named):
            if not leaving.keys() >= set(workflow.steps_of_element(element)):
                message = f"{name!r} is a part of the composite Step {element!r}, which can be removed as a whole"
                problems.append(Problem(f"names[{number}]", message))
                break
    return problems


def _create(decision: Decision, name: str, properties: Mapping[str, Any]) -> WorkflowState:
    """Begin a workflow."""
    owner = properties.get("owner") or name.partition("_")[0]
    decision.emit(ev.WorkflowCreated(decision.state.last_uid + 1, name, owner, properties))
    return decision.state.workflows[name]


def _enter_steps(
    decision: Decision, workflow: WorkflowState, specs: Sequence[StepSpec], draft: Draft, *, only_changed: bool = False
) -> df.Diff:
    """Merge checked Steps and run them, and all that depends on them, again; return the diff."""
    flats = tuple(flat for _, flat in draft.flats)
    names, elements = {flat.name for flat in flats}, {flat.element for flat in flats}
    pruned = tuple(sorted(s.index for s in draft.vanished if s.name not in names and s.element not in elements))
    changes = bool(draft.vanished) or not all(_is_as_given(workflow, flat) for flat in flats)
    events = (
        [ev.StepsMerged(workflow.uid, tuple(specs), pruned, flats)] if changes or (specs and not only_changed) else []
    )
    return _redefine(decision, workflow, draft, events, "merged", again=lambda _: not only_changed)


def _is_as_given(workflow: WorkflowState, flat: FlatStep) -> bool:
    """Tell whether merging a Step would change nothing about it, nor about what it was made from."""
    step = workflow.by_name.get(flat.name)
    if step is None or not step.is_defined_as(flat):
        return False
    return (step.spec, step.element, step.aliases) == (flat.spec, flat.element, flat.aliases)


def _redefine(
    decision: Decision,
    workflow: WorkflowState,
    draft: Draft,
    events: Sequence[ev.WorkflowEvent],
    reason: str,
    again: Callable[[FlatStep], bool] = lambda _: True,
) -> df.Diff:
    """Enter a checked draft and run again what it touches: its Steps, what read of those that go, and all downstream.

    Args:
        decision: gathers the events.
        workflow: the workflow.
        draft: Steps that are defined and Steps that go.
        events: what enters them.
        reason: why its Steps run again.
        again: tells whether a Step runs again though its definition did not change.
    """
    known = {flat.name: workflow.by_name[flat.name] for _, flat in draft.flats if flat.name in workflow.by_name}
    kept = {flat.name for _, flat in draft.flats if flat.name in known and known[flat.name].is_defined_as(flat)}
    touched = {flat.name: None for _, flat in draft.flats if flat.name not in kept or again(flat)}
    first_new = workflow.next_index
    before = dependents({**own_causes(draft.vanished), **own_causes(known[name] for name in touched if name in known)})
    removed = [step.name for step in draft.vanished]
    for event in events:
        decision.emit(event)
    now = dependents(own_causes(workflow.by_name[name] for name in touched))
    left = {
        step: cause if cause.upstream not in draft.vanished else Cause(None, cause.key)
        for step, cause in before.items()
        if step not in now and step not in draft.vanished
    }
    cascade = dependents({**now, **left})
    reset = decision.reset(workflow, cascade, reason)
    look_up_missing(decision, workflow, (workflow.by_name[flat.name] for _, flat in draft.flats))
    recomputed = [step for step in reset if step.index < first_new]
    return df.Diff(
        added=[flat.name for _, flat in draft.flats if flat.name not in known],
        updated=[name for name in known if name not in kept],
        unchanged=[name for name in known if name in kept],
        recomputed=[step.name for step in recomputed],
        removed=removed,
        reasons=df.reasons(reset, cascade, reason, first_new),
        revision=workflow.revision,
        given=[flat.name for _, flat in draft.flats],
    )
