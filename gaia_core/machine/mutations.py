"""What clients may change: upload, command, merge, run, halt, expire, and Keys that arrive.

Every handler checks first and emits then. The answers are plain dicts.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from gaia_core.errors import AlreadyExists, InvalidWorkflow, NotAllowedNow, Problem, UnknownName
from gaia_core.machine import requests as rq
from gaia_core.machine.decision import Decision
from gaia_core.machine.effects import LookUp
from gaia_core.machine.state import Deployment
from gaia_core.workflow import events as ev
from gaia_core.workflow.cascade import dependents
from gaia_core.workflow.expand import suggestion
from gaia_core.workflow.expire import resolve
from gaia_core.workflow.graph import Key
from gaia_core.workflow.model import Command, Publication, StepSpec
from gaia_core.workflow.names import workflow_name_problem
from gaia_core.workflow.state import Step, WorkflowState
from gaia_core.workflow.validate import Draft, command_problems, draft_commands, draft_steps

Answer = Mapping[str, Any]
NO_PROPERTIES: Final[Mapping[str, Any]] = {}


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
        raise UnknownName(f"There is no workflow {name!r}{suggestion(name, state.workflows)}.")
    return workflow


def upload(decision: Decision, request: rq.Upload) -> Answer:
    """Create a workflow with Commands and Steps.

    Raises:
        AlreadyExists: the name is taken.
        InvalidWorkflow: anything in it is wrong.
    """
    if request.workflow in decision.state.workflows:
        raise AlreadyExists(f"There already is a workflow {request.workflow!r}.", hint="use merge to add Steps to it")
    problems = [*_name_problems(request.workflow), *_command_problems(request.commands)]
    draft = draft_steps(None, {command.name: command for command in request.commands}, request.steps)
    _refuse([*problems, *draft.problems])
    workflow = _create(decision, request.workflow, request.properties)
    if request.commands:
        decision.emit(ev.CommandsSet(workflow.uid, request.commands))
    return _enter_steps(decision, workflow, request.steps, draft)


def set_commands(decision: Decision, request: rq.SetCommands) -> Answer:
    """Add or replace Commands; Steps of those that changed, and all that depends on them, run again.

    Raises:
        UnknownName: there is nothing to add and no such workflow.
        InvalidWorkflow: a Command is wrong or would make a Step so.
    """
    workflow = decision.state.workflows.get(request.workflow)
    if not request.commands:
        return {"commands": find(decision.state, request.workflow).commands.values()}
    problems = [*_name_problems(request.workflow), *_command_problems(request.commands)]
    draft = draft_commands(workflow, request.commands) if workflow is not None else Draft()
    _refuse([*problems, *draft.problems])
    workflow = workflow or _create(decision, request.workflow, NO_PROPERTIES)
    news = tuple(command for command in request.commands if workflow.commands.get(command.name) != command)
    users = [workflow.by_name[flat.name] for _, flat in draft.flats]
    before = dependents(users)
    if news:
        decision.emit(ev.CommandsSet(workflow.uid, news))
    decision.reset(workflow, dependents({**before, **dict.fromkeys(users)}), "command changed")
    return {"commands": workflow.commands.values()}


def merge(decision: Decision, request: rq.Merge) -> Answer:
    """Add or update Steps.

    Raises:
        InvalidWorkflow: a Step is wrong, or would overlap or close a circle.
    """
    workflow = decision.state.workflows.get(request.workflow)
    draft = draft_steps(workflow, workflow.commands if workflow is not None else {}, request.steps)
    _refuse([*_name_problems(request.workflow), *draft.problems])
    workflow = workflow or _create(decision, request.workflow, NO_PROPERTIES)
    return _enter_steps(decision, workflow, request.steps, draft)


def run(decision: Decision, request: rq.Run) -> Answer:
    """Resume a workflow, or try its failed Steps again."""
    workflow = find(decision.state, request.workflow)
    decision.emit(ev.WorkflowResumed(workflow.uid))
    return {"workflow": workflow.name, "state": workflow.flow_state[0].value}


def halt(decision: Decision, request: rq.Halt) -> Answer:
    """Cancel every running attempt and start nothing more."""
    workflow = find(decision.state, request.workflow)
    if not workflow.halted:
        decision.emit(ev.WorkflowHalted(workflow.uid))
    return {"workflow": workflow.name, "state": workflow.flow_state[0].value}


def expire(decision: Decision, request: rq.Expire) -> Answer:
    """Make Steps and Keys, and all that depends on them, be made again.

    Raises:
        UnknownName: a name is neither a Step nor a Key.
        InvalidWorkflow: a name is both.
    """
    workflow = find(decision.state, request.workflow)
    targets = resolve(workflow, request.names)
    readers = {reader: None for key in targets.keys for reader in _readers(workflow, key)}
    if targets.keys:
        names = tuple(key.name for key in targets.keys)
        decision.emit(ev.KeysForgotten(workflow.uid, names))
        _look_up(decision, workflow, names)
    steps = decision.reset(workflow, dependents({**targets.steps, **readers}), "expired")
    keys = [key.name for step in steps for key in step.outputs] + [key.name for key in targets.keys]
    return {"steps": [step.name for step in steps], "keys": list(dict.fromkeys(keys))}


def arrive(decision: Decision, request: rq.Arrive) -> Answer:
    """Enter Keys that were seen in the store; readers of a changed one run again.

    Raises:
        NotAllowedNow: a Step writes a Key that was put or announced.
    """
    workflow = find(decision.state, request.workflow)
    if not request.looked_up:
        for publication in request.keys:
            refuse_written(workflow, publication.key)
    known = {one.key: workflow.graph.keys.get(one.key) for one in request.keys}
    fresh = tuple(one for one in request.keys if _is_news(workflow, one, request.looked_up))
    if fresh:
        changed = [key for one in fresh if (key := known[one.key]) is not None and key.arrived is not None]
        decision.emit(ev.KeysArrived(workflow.uid, fresh))
        decision.reset(workflow, dependents(reader for key in changed for reader in key.readers), "input changed")
    return {}


def _is_news(workflow: WorkflowState, publication: Publication, looked_up: bool) -> bool:
    """Tell whether an arrival is news; what a look into the store found counts only where nothing else does."""
    key = workflow.graph.keys.get(publication.key)
    arrived = key.arrived if key is not None else None
    if looked_up:
        return arrived is None and workflow.graph.counts_when_found(publication.key)
    return arrived != publication


def _readers(workflow: WorkflowState, key: Key) -> Iterable[Step]:
    """Return the readers of an outside Key and of the trees over it."""
    return (reader for other in workflow.graph.all_over(key.name) for reader in other.readers)


def _enter_steps(decision: Decision, workflow: WorkflowState, specs: Sequence[StepSpec], draft: Draft) -> Answer:
    """Merge checked Steps and run them, and all that depends on them, again; return the diff."""
    flats = tuple(flat for _, flat in draft.flats)
    known = {flat.name: workflow.by_name[flat.name] for flat in flats if flat.name in workflow.by_name}
    unchanged = {flat.name for flat in flats if flat.name in known and known[flat.name].is_defined_as(flat)}
    existing = len(workflow.steps)
    before = dependents(known.values())
    if specs:
        decision.emit(ev.StepsMerged(workflow.uid, tuple(specs), flats))
    defined = dict.fromkeys(workflow.by_name[flat.name] for flat in flats)
    reset = decision.reset(workflow, dependents({**before, **defined}), "merged")
    _look_up_missing(decision, workflow, defined)
    return {
        "added": [flat.name for flat in flats if flat.name not in known],
        "updated": [name for name in known if name not in unchanged],
        "unchanged": [name for name in known if name in unchanged],
        "recomputed": [step.name for step in reset if step.index < existing],
    }


def _look_up_missing(decision: Decision, workflow: WorkflowState, steps: Iterable[Step]) -> None:
    """Ask the store for Keys that no Step writes and that new readers lack."""
    _look_up(decision, workflow, {key.name: None for step in steps for key in step.inputs if not key.is_there})


def _look_up(decision: Decision, workflow: WorkflowState, names: Iterable[str]) -> None:
    """Ask the store for those Keys that count when they are found there."""
    wanted = tuple(name for name in names if workflow.graph.counts_when_found(name))
    if wanted:
        decision.effects.append(LookUp(workflow.name, wanted))


def _create(decision: Decision, name: str, properties: Mapping[str, Any]) -> WorkflowState:
    owner = properties.get("owner") or name.partition("_")[0]
    decision.emit(ev.WorkflowCreated(decision.state.last_uid + 1, name, owner, properties))
    return decision.state.workflows[name]


def _name_problems(name: str) -> list[Problem]:
    problem = workflow_name_problem(name)
    return [Problem("workflow", problem)] if problem else []


def _command_problems(commands: Sequence[Command]) -> list[Problem]:
    return [problem for n, command in enumerate(commands) for problem in command_problems(command, f"commands[{n}]")]


def _refuse(problems: Sequence[Problem]) -> None:
    """Raise when there are problems."""
    if problems:
        raise InvalidWorkflow.of(problems)
