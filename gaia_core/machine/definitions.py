"""What a workflow is: upload, command, merge, remove and delete, and what would be wrong with them.

Every handler checks first and emits then.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from gaia_core.errors import AlreadyExists, NotAllowedNow, Problem
from gaia_core.machine import diff as df
from gaia_core.machine import requests as rq
from gaia_core.machine.answers import CommandsAnswer, FlowAnswer
from gaia_core.machine.arrivals import look_up_missing
from gaia_core.machine.checks import find, find_existing, find_or_none, refuse
from gaia_core.machine.decision import Decision
from gaia_core.machine.effects import DeleteData
from gaia_core.workflow import events as ev
from gaia_core.workflow.cascade import Cause, dependents, own_causes
from gaia_core.workflow.expire import resolve_steps
from gaia_core.workflow.flat import FlatStep
from gaia_core.workflow.model import Command, StepSpec
from gaia_core.workflow.parse import name_problems
from gaia_core.workflow.state import Step, WorkflowState
from gaia_core.workflow.validate import Draft, command_problems, draft_commands, draft_steps

NO_PROPERTIES: Final[Mapping[str, Any]] = {}


def upload(decision: Decision, request: rq.Upload) -> df.Diff:
    """Create a workflow with Commands and Steps.

    Raises:
        AlreadyExists: the name is taken.
        InvalidWorkflow: anything in it is wrong.
    """
    if request.workflow in decision.state.workflows:
        raise AlreadyExists(f"There already is a workflow {request.workflow!r}.", hint="use merge to add Steps to it")
    commands = {command.name: command for command in request.commands}
    wrong = _command_problems(request.commands, commands)
    draft = draft_steps(None, commands, request.steps, skip_composites=bool(wrong), rules=decision.rules)
    refuse([*name_problems(request.workflow), *wrong, *draft.problems])
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
    workflow = find_or_none(decision.state, request)
    draft, problems = _draft_commands(decision, workflow, request.commands)
    refuse([*name_problems(request.workflow), *problems])
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
    workflow = find_or_none(decision.state, request)
    draft = _draft_steps(decision, workflow, request)
    refuse([*name_problems(request.workflow), *draft.problems])
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
    workflow = find_existing(decision.state, request)
    decision.emit(ev.WorkflowDeleted(workflow.uid, request.data))
    if request.data:
        decision.effects.append(DeleteData(workflow.uid, workflow.name))
    return FlowAnswer(workflow.name, "deleted")


def check_steps(decision: Decision, request: rq.CheckSteps) -> list[Problem]:
    """Return what is wrong with merging Steps."""
    return _draft_steps(decision, decision.state.workflows.get(request.workflow), request).problems


def check_commands(decision: Decision, request: rq.CheckCommands) -> list[Problem]:
    """Return what is wrong with setting Commands."""
    return _draft_commands(decision, decision.state.workflows.get(request.workflow), request.commands)[1]


def _draft_steps(decision: Decision, workflow: WorkflowState | None, request: rq.Merge | rq.CheckSteps) -> Draft:
    commands = workflow.commands if workflow is not None else {}
    return draft_steps(workflow, commands, request.steps, prune=request.prune, rules=decision.rules)


def _draft_commands(
    decision: Decision, workflow: WorkflowState | None, given: Sequence[Command]
) -> tuple[Draft, list[Problem]]:
    """Lay Commands beside a workflow; Steps are looked at only where the Commands are sound by themselves."""
    known = workflow.commands if workflow is not None else {}
    commands = {**known, **{command.name: command for command in given}}
    problems = _command_problems(given, commands)
    if problems or workflow is None:
        return Draft(), problems
    draft = draft_commands(workflow, given, commands, decision.rules)
    return draft, draft.problems


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


def _command_problems(given: Sequence[Command], commands: Mapping[str, Command]) -> list[Problem]:
    return [p for n, command in enumerate(given) for p in command_problems(command, commands, f"commands[{n}]")]


def _create(decision: Decision, name: str, properties: Mapping[str, Any]) -> WorkflowState:
    """Begin a workflow.

    Raises:
        NotAllowedNow: the files of an earlier one of that name are still being deleted.
    """
    if name in decision.state.doomed.values():
        message = f"The files of an earlier workflow {name!r} are still being deleted."
        raise NotAllowedNow(message, hint="try again in a moment, or choose another name")
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
