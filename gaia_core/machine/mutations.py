"""What clients may change: upload, command, merge, remove, delete, run, halt, expire, and Keys that arrive.

Every handler checks first and emits then.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from gaia_core.errors import AlreadyExists, InvalidWorkflow, NotAllowedNow, Problem, RequestError, UnknownName
from gaia_core.machine import diff as df
from gaia_core.machine import events as own
from gaia_core.machine import requests as rq
from gaia_core.machine.decision import Decision
from gaia_core.machine.effects import DeleteData, LookUp
from gaia_core.machine.state import Deployment
from gaia_core.workflow import events as ev
from gaia_core.workflow.cascade import Cascade, Cause, dependents, is_cause, own_causes
from gaia_core.workflow.expire import Targets, resolve, resolve_steps
from gaia_core.workflow.flat import FlatStep
from gaia_core.workflow.form.items import Reading
from gaia_core.workflow.graph import Key
from gaia_core.workflow.interface import suggestion
from gaia_core.workflow.model import Command, FileVersion, Publication, StepSpec
from gaia_core.workflow.parse import name_problems
from gaia_core.workflow.state import Step, WorkflowState
from gaia_core.workflow.validate import Draft, Judged, draft_commands, draft_steps, judge_commands

NO_PROPERTIES: Final[Mapping[str, Any]] = {}

TREE_GROWN_MAX: Final = 1_000
"""An outside tree of more files is not written anew for each file put into it; it is looked at in its turn."""


@dataclass(frozen=True, slots=True)
class CommandsAnswer:
    """All Commands of a workflow, and what a change of some led to."""

    commands: tuple[Command, ...]
    diff: df.Diff = field(default_factory=df.Diff)


@dataclass(frozen=True, slots=True)
class FlowAnswer:
    """A workflow and its state."""

    workflow: str
    state: str


class _Change(Protocol):
    """A request that may say which revision it means to change."""

    @property
    def workflow(self) -> str: ...
    @property
    def expected_revision(self) -> int | None: ...


def refuse_written(workflow: WorkflowState, key: str) -> None:
    """Refuse a Key that a Step writes.

    Raises:
        NotAllowedNow: a Step writes the Key, a part of it, or a tree over it.
    """
    for other in workflow.graph.all_over(key):
        if other.writer is not None:
            message = f"Key {key!r} of {workflow.name!r} is written by Step {other.writer.name!r}."
            raise NotAllowedNow(message, hint="only Keys that no Step writes can be put")


def find(state: Deployment, name: str) -> WorkflowState:
    """Return a workflow by name.

    Raises:
        UnknownName: there is none.
    """
    workflow = state.workflows.get(name)
    if workflow is None:
        raise UnknownName(f"There is no workflow {name!r}{suggestion(name, state.workflows) or '.'}")
    return workflow


def upload(decision: Decision, request: rq.Upload) -> df.Diff:
    """Create a workflow with Commands and Steps.

    Raises:
        AlreadyExists: the name is taken.
        NotAllowedNow: the files of an earlier workflow of that name are still being deleted.
        InvalidWorkflow: anything in it is wrong.
    """
    commands, steps = Reading(request.commands), Reading(request.steps)
    draft = _admit_upload(decision.state, request.workflow, commands, steps, [])
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
    workflow, draft = _admit_commands(decision.state, request.workflow, commands, request.expected_revision)
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
    workflow, draft = _admit_steps(decision.state, name, steps, revision, prune=request.prune)
    workflow = workflow or _create(decision, request.workflow, NO_PROPERTIES)
    return _enter_steps(decision, workflow, request.steps, draft, only_changed=request.only_changed)


def check_upload(state: Deployment, request: rq.CheckUpload) -> None:
    """Refuse what `upload` would refuse; raises as it does."""
    _admit_upload(state, request.workflow, request.commands, request.steps, request.problems)


def check_commands(state: Deployment, request: rq.CheckCommands) -> None:
    """Refuse what `set_commands` would refuse; raises as it does."""
    if request.commands.items or request.commands.problems:
        _admit_commands(state, request.workflow, request.commands, request.expected_revision)
    elif request.workflow is not None:
        find(state, request.workflow)


def check_steps(state: Deployment, request: rq.CheckSteps) -> None:
    """Refuse what `merge` would refuse; raises as it does."""
    _admit_steps(state, request.workflow, request.steps, request.expected_revision, prune=request.prune)


def _admit_upload(
    state: Deployment,
    name: str | None,
    commands: Reading[Command],
    steps: Reading[StepSpec],
    known: Sequence[Problem],
) -> Draft:
    """Return what an upload makes, or refuse it, with all that is wrong with it."""
    problems = [*known, *commands.problems, *steps.problems, *_named(name)]
    judged = judge_commands(commands, {})
    draft = draft_steps(None, judged if commands.is_list else None, steps, rules=state.rules)
    obstacle: RequestError | None = _doomed(state, name)
    if name in state.workflows:
        obstacle = AlreadyExists(f"There already is a workflow {name!r}.", hint="use merge to add Steps to it")
    _refuse([*problems, *judged.problems, *draft.problems], obstacle)
    return draft


def _admit_commands(
    state: Deployment, name: str | None, commands: Reading[Command], revision: int | None
) -> tuple[WorkflowState | None, Draft]:
    """Return the workflow and what Commands make of it, or refuse them, with all that is wrong with them."""
    workflow = state.workflows.get(name) if name is not None else None
    judged = judge_commands(commands, workflow.commands if workflow is not None else {})
    draft = draft_commands(workflow, commands, judged, state.rules) if workflow is not None else Draft()
    problems = [*commands.problems, *_named(name), *judged.problems, *draft.problems]
    _refuse(problems, _obstacle(state, name, revision))
    return workflow, draft


def _admit_steps(
    state: Deployment, name: str | None, steps: Reading[StepSpec], revision: int | None, *, prune: bool
) -> tuple[WorkflowState | None, Draft]:
    """Return the workflow and what Steps make of it, or refuse them, with all that is wrong with them."""
    workflow = state.workflows.get(name) if name is not None else None
    wrong_name = _named(name)
    judged = Judged(workflow.commands if workflow is not None else {}) if name is not None and not wrong_name else None
    draft = draft_steps(workflow, judged, steps, prune=prune, rules=state.rules)
    _refuse([*steps.problems, *wrong_name, *draft.problems], _obstacle(state, name, revision))
    return workflow, draft


def _named(name: str | None) -> list[Problem]:
    """Return what is wrong with the name of a workflow, where it was understood."""
    return name_problems(name) if name is not None else []


def remove(decision: Decision, request: rq.Remove) -> df.Diff:
    """Take Steps out; what they wrote no longer counts, and their readers wait for it.

    Raises:
        UnknownName: a name is no Step.
        InvalidWorkflow: a name is only a part of a composite Step.
        NotAllowedNow: the workflow has another revision.
    """
    workflow = _known(decision.state, request)
    leaving = resolve_steps(workflow, request.names)
    _refuse(_torn_composites(workflow, request.names, leaving))
    draft = Draft(vanished=leaving)
    events = [ev.StepsRemoved(workflow.uid, tuple(sorted(step.index for step in leaving)))] if leaving else []
    return _redefine(decision, workflow, draft, events, "removed")


def delete(decision: Decision, request: rq.Delete) -> FlowAnswer:
    """Forget a workflow, and have its files deleted if that is wanted; what runs is cancelled."""
    workflow = _known(decision.state, request)
    decision.emit(ev.WorkflowDeleted(workflow.uid, request.data))
    if request.data:
        decision.effects.append(DeleteData(workflow.uid, workflow.name))
    return FlowAnswer(workflow.name, "deleted")


def data_gone(decision: Decision, request: rq.DataGone) -> None:
    """Free the name of a deleted workflow whose files are gone."""
    if request.uid in decision.state.doomed:
        decision.emit(own.DataDeleted(request.uid))


def run(decision: Decision, request: rq.Run) -> FlowAnswer:
    """Resume a workflow, or try its failed Steps again."""
    workflow = _known(decision.state, request)
    decision.emit(ev.WorkflowResumed(workflow.uid))
    return FlowAnswer(workflow.name, workflow.flow_state[0].value)


def halt(decision: Decision, request: rq.Halt) -> FlowAnswer:
    """Cancel every running attempt and start nothing more."""
    workflow = _known(decision.state, request)
    if not workflow.halted:
        decision.emit(ev.WorkflowHalted(workflow.uid))
    return FlowAnswer(workflow.name, workflow.flow_state[0].value)


def expire(decision: Decision, request: rq.Expire) -> df.Expired:
    """Make Steps and Keys, and all that depends on them, be made again.

    Raises:
        UnknownName: a name is neither a Step nor a Key.
        InvalidWorkflow: a name is both.
        NotAllowedNow: the workflow has another revision.
    """
    workflow = _known(decision.state, request)
    targets = resolve(workflow, request.names)
    cascade = _expiring(workflow, targets)
    if targets.keys:
        names = tuple(key.name for key in targets.keys)
        decision.emit(ev.KeysForgotten(workflow.uid, names))
        _look_up(decision, workflow, names)
    return _expired(decision.reset(workflow, cascade, "expired"), cascade, targets)


def plan_expire(state: Deployment, request: rq.PlanExpire) -> df.Expired:
    """Tell what `expire` would answer; raises as it does."""
    workflow = _known(state, request)
    targets = resolve(workflow, request.names)
    cascade = _expiring(workflow, targets)
    return _expired(sorted(cascade, key=lambda step: step.index), cascade, targets)


def _expiring(workflow: WorkflowState, targets: Targets) -> Cascade:
    """Return every Step that runs again when targets are expired."""
    readers = {
        reader: Cause(None, key)
        for key in targets.keys
        for other in workflow.graph.all_over(key.name)
        for reader in other.readers
    }
    return dependents({**readers, **targets.steps})


def _expired(steps: Sequence[Step], cascade: Cascade, targets: Targets) -> df.Expired:
    keys = df.keys_of(steps, (key.name for key in targets.keys))
    return df.Expired([step.name for step in steps], keys, df.reasons(steps, cascade, "expired"))


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


def arrive(decision: Decision, request: rq.Arrive) -> None:
    """Enter Keys that were seen in the store; readers of a changed one run again.

    Raises:
        NotAllowedNow: a Step writes a Key that was put or announced.
    """
    workflow = find(decision.state, request.workflow)
    if not request.instead_of:
        for publication in request.keys:
            refuse_written(workflow, publication.key)
    if request.instead_of:
        pairs = zip(request.keys, request.instead_of, strict=True)
        fresh = tuple(one for one, expected in pairs if _is_seen(workflow, one, expected))
    else:
        told = (*request.keys, *_grown_trees(workflow, request.keys))
        fresh = tuple(one for one in told if _is_news(one, _arrived(workflow.graph.keys.get(one.key))))
    if fresh:
        known = ((workflow.graph.keys.get(one.key), one) for one in fresh)
        changed = [key for key, one in known if key is not None and _has_changed(key, one)]
        decision.emit(ev.KeysArrived(workflow.uid, fresh))
        readers = {reader: Cause(None, key) for key in changed for reader in key.readers}
        decision.reset(workflow, dependents(readers), "input changed")


def _grown_trees(workflow: WorkflowState, told: Sequence[Publication]) -> Iterator[Publication]:
    """Yield the outside trees that are there, as they are with what was put or announced into them."""
    grown: dict[Key, dict[str, FileVersion]] = {}
    names = {one.key for one in told}
    for one in told:
        for tree in workflow.graph.all_over(one.key):
            known = tree.arrived
            if known is None or tree.name in names or not one.key.startswith(tree.name):
                continue
            if len(known.files) <= TREE_GROWN_MAX and workflow.graph.counts_when_found(tree.name):
                files = grown.setdefault(tree, {file.key: file for file in known.files})
                files.update((file.key, file) for file in one.files)
    for tree, files in grown.items():
        yield Publication(tree.name, tuple(files[key] for key in sorted(files)))


def _arrived(key: Key | None) -> Publication | None:
    return key.arrived if key is not None else None


def _is_news(publication: Publication, known: Publication | None) -> bool:
    """Tell whether a Key that was put or announced has other versions than those known, or digests where it had none.

    It may be known already: a look into the store can come between the upload of what is put and its arrival.
    """
    if known is None or publication.versions != known.versions:
        return True
    return publication != known and all(file.sha256 for file in publication.files)


def _has_changed(key: Key, publication: Publication) -> bool:
    """Tell whether readers of a Key that is there would read something else from now on."""
    return key.arrived is not None and key.arrived.versions != publication.versions


def _is_seen(workflow: WorkflowState, publication: Publication, expected: Publication | None) -> bool:
    """Tell whether what a look into the store found counts: nothing else is known of the Key since it was looked for.

    Nor does it count what lies where a Step once wrote: an attempt may have uploaded it late.
    """
    key = workflow.graph.keys.get(publication.key)
    if _arrived(key) != expected or not workflow.graph.counts_when_found(publication.key):
        return False
    if expected is None:
        return True
    was_written = any(other.was_written for other in workflow.graph.all_over(publication.key))
    return publication.versions != expected.versions and not was_written


def _enter_steps(
    decision: Decision, workflow: WorkflowState, specs: Sequence[StepSpec], draft: Draft, *, only_changed: bool = False
) -> df.Diff:
    """Merge checked Steps and run them, and all that depends on them, again; return the diff."""
    flats = tuple(flat for _, flat in draft.flats)
    names = {flat.name for flat in flats}
    pruned = tuple(sorted(s.index for s in draft.vanished if s.name not in names and s.element not in _elements(draft)))
    events: list[ev.WorkflowEvent] = [ev.StepsRemoved(workflow.uid, pruned)] if pruned else []
    if specs:
        events.append(ev.StepsMerged(workflow.uid, tuple(specs), flats))
    return _redefine(decision, workflow, draft, events, "merged", again=lambda _: not only_changed)


def _elements(draft: Draft) -> set[str]:
    return {flat.element for _, flat in draft.flats}


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
        step: cause if is_cause(cause, step) else Cause(None, cause.key)
        for step, cause in before.items()
        if step not in now and step not in draft.vanished
    }
    cascade = dependents({**now, **left})
    reset = decision.reset(workflow, cascade, reason)
    _look_up_missing(decision, workflow, (workflow.by_name[flat.name] for _, flat in draft.flats))
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


def _look_up_missing(decision: Decision, workflow: WorkflowState, steps: Iterable[Step]) -> None:
    """Ask the store for Keys that no Step writes and that new readers lack."""
    _look_up(decision, workflow, {key.name: None for step in steps for key in step.inputs if not key.is_there})


def _look_up(decision: Decision, workflow: WorkflowState, names: Iterable[str]) -> None:
    """Ask the store for those Keys that count when they are found there."""
    wanted = tuple(name for name in names if workflow.graph.counts_when_found(name))
    if wanted:
        decision.effects.append(LookUp(workflow.name, wanted))


def _obstacle(state: Deployment, name: str | None, expected_revision: int | None) -> RequestError | None:
    """Return what keeps a change from being made now, whatever is in it: another revision, a name not free yet."""
    workflow = state.workflows.get(name) if name is not None else None
    revision = workflow.revision if workflow is not None else 0
    if expected_revision in (None, revision):
        return _doomed(state, name) if workflow is None else None
    new = "" if workflow is not None else ", which does not exist yet,"
    message = f"Workflow {name!r}{new} has revision {revision}, not {expected_revision}."
    return NotAllowedNow(message, hint="read it again, and decide anew")


def _doomed(state: Deployment, name: str | None) -> RequestError | None:
    """Return why a workflow of this name may not be made yet, or None."""
    if name not in state.doomed.values():
        return None
    message = f"The files of an earlier workflow {name!r} are still being deleted."
    return NotAllowedNow(message, hint="try again in a moment, or choose another name")


def _known(state: Deployment, change: _Change) -> WorkflowState:
    """Return the workflow that a change means, which must be there.

    Raises:
        UnknownName: there is none.
        NotAllowedNow: it has another revision than the change expects.
    """
    workflow = find(state, change.workflow)
    _refuse((), _obstacle(state, change.workflow, change.expected_revision))
    return workflow


def _create(decision: Decision, name: str, properties: Mapping[str, Any]) -> WorkflowState:
    """Begin a workflow."""
    owner = properties.get("owner") or name.partition("_")[0]
    decision.emit(ev.WorkflowCreated(decision.state.last_uid + 1, name, owner, properties))
    return decision.state.workflows[name]


def _refuse(problems: Sequence[Problem], obstacle: RequestError | None = None) -> None:
    """Raise the obstacle where there is one, with the problems beside it, or else the problems."""
    if obstacle is not None:
        raise type(obstacle)(obstacle.message, hint=obstacle.hint, problems=tuple(dict.fromkeys(problems)))
    if problems:
        raise InvalidWorkflow.of(problems)
