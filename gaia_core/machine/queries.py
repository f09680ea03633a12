"""What clients and workers may ask: answers of bounded size, made from the state as it is."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from gaia_core.errors import InvalidWorkflow, NotAllowedNow, Problem, UnknownName
from gaia_core.machine import requests as rq
from gaia_core.machine.checks import find, refuse_written
from gaia_core.machine.decision import Decision
from gaia_core.machine.effects import DeleteData, LookUp
from gaia_core.machine.state import Deployment
from gaia_core.machine.unplaced import remarks
from gaia_core.workflow.execution import pinned_inputs
from gaia_core.workflow.expire import SUGGESTIONS_MAX
from gaia_core.workflow.interface import suggestion
from gaia_core.workflow.keys import is_tree, key_problem, may_be_key
from gaia_core.workflow.model import Input, Publication
from gaia_core.workflow.state import Step, WorkflowState
from gaia_core.workflow.states import StepState
from gaia_core.workflow.views import PAGE_STEPS_MAX, Status, StepView, Summary, status, step_views, summary

FILES_LISTED_MAX = 10_000

STEPS_TO_COME = "a Step can be named once it was merged; without names, Steps to come are watched too"

STEPS_SCANNED_MAX = 20_000
"""Looking at so many Steps for one page takes a few milliseconds; nothing else waits longer."""


def list_workflows(state: Deployment, request: rq.ListWorkflows) -> tuple[Summary, ...]:
    """Return a line for each workflow that passes the filters, sorted by name."""
    live = (summary(flow) for name, flow in state.workflows.items() if name.startswith(request.prefix))
    aside = (one.summary for name, one in state.archived.items() if name.startswith(request.prefix))
    lines = sorted((*live, *aside), key=lambda line: line.name)
    return tuple(line for line in lines if request.owner in ("", line.owner) and request.state in ("", line.state))


def get_uid(state: Deployment, request: rq.GetUid) -> int:
    """Return the uid of the workflow that has a name now, 0 for all.

    Raises:
        UnknownName: there is no such workflow, or it has no Steps of some of these names.
    """
    if not request.workflow:
        return 0
    archived = state.archived.get(request.workflow)
    if archived is not None and not request.steps:
        return archived.uid
    workflow = find(state, request.workflow)
    unknown = [number for number, name in enumerate(request.steps) if next(workflow.first_named(name), None) is None]
    if unknown:
        problems = [_no_step(workflow, request.steps, number, rank) for rank, number in enumerate(unknown)]
        raise UnknownName("Some names stand for no Steps.", problems=problems, hint=STEPS_TO_COME)
    return workflow.uid


def _no_step(workflow: WorkflowState, names: Sequence[str], number: int, rank: int) -> Problem:
    """Return what is wrong with one of several names that stand for no Steps."""
    near = suggestion(names[number], workflow.by_name) if rank < SUGGESTIONS_MAX else ""
    return Problem(f"steps[{number}]", f"{names[number]!r} is no Step of {workflow.name!r}{near}")


def get_status(state: Deployment, request: rq.GetStatus) -> Status:
    """Return how a workflow stands."""
    workflow = find(state, request.workflow)
    return replace(status(workflow), remarks=remarks(state, workflow))


def list_steps(state: Deployment, request: rq.ListSteps) -> tuple[list[StepView], int]:
    """Return Steps that pass the filters, by index, and where the next page starts (0 at the end).

    Looks at `STEPS_SCANNED_MAX` Steps at most, so a page may be short, even empty, before the end.
    """
    workflow = find(state, request.workflow)
    size = min(request.page_size or 100, PAGE_STEPS_MAX)
    found: list[Step] = []
    index = request.page_start
    end = min(workflow.next_index, index + STEPS_SCANNED_MAX)
    while index < end and len(found) < size:
        step = workflow.steps.get(index)
        if step is not None and _passes(step, request):
            found.append(step)
        index += 1
    return step_views(found), index if index < workflow.next_index else 0


def _passes(step: Step, request: rq.ListSteps) -> bool:
    return (
        step.name.startswith(request.prefix)
        and (not request.states or step.state.word in request.states)
        and (not request.command or request.command in step.commands)
    )


def list_outside(state: Deployment, _: rq.ListOutside) -> tuple[int, ...]:
    """Return the uids of the workflows in which Steps read Keys that no Step writes."""
    return tuple(uid for uid, workflow in state.by_uid.items() if workflow.graph.outside)


def get_outside(state: Deployment, request: rq.GetOutside) -> rq.OutsideKeys | None:
    """Return some Keys that Steps read and that no Step writes."""
    workflow = state.by_uid.get(request.uid)
    if workflow is None:
        return None
    keys = islice(workflow.graph.outside, request.start, request.start + request.most)
    return rq.OutsideKeys(workflow.name, tuple((key.name, key.arrived) for key in keys))


def may_write(state: Deployment, request: rq.MayWrite) -> bool:
    """Tell whether workers hold attempts of a workflow."""
    return any(attempt.uid == request.uid for worker in state.fleet.workers.values() for attempt in worker.held)


def get_files(state: Deployment, request: rq.GetFiles) -> tuple[Publication, ...]:
    """Return what lies under a Key, or under all Keys that begin with a prefix and in a tree it leads into."""
    workflow = find(state, request.workflow)
    if request.is_prefix:
        names = [name for name in workflow.graph.keys if name.startswith(request.key) or _is_into(request.key, name)]
        found = [one for name in sorted(names) for one in _lying(workflow, name)]
        return tuple(found[: FILES_LISTED_MAX + 1])
    if not may_be_key(request.key):
        return ()
    return tuple(one for key in workflow.graph.all_over(request.key) for one in _lying(workflow, key.name))


def _is_into(prefix: str, name: str) -> bool:
    """Tell whether a prefix leads into the tree of this name."""
    return is_tree(name) and prefix.startswith(name)


def _lying(workflow: WorkflowState, name: str) -> list[Publication]:
    """Return what was published or has arrived under exactly this Key; a failed Step's `>>` included."""
    key = workflow.graph.keys[name]
    if key.writer is None:
        return [key.arrived] if key.arrived is not None else []
    return [one for one in key.writer.published if one.key == name]


def unfinished(state: Deployment) -> Iterator[LookUp | DeleteData]:
    """Yield what a new leader has the store asked for: deletions, and outside Keys that readers lack."""
    yield from (DeleteData(uid, name) for uid, name in state.doomed.items())
    for workflow in state.workflows.values():
        keys = tuple(key.name for key in workflow.graph.missing if workflow.graph.counts_when_found(key.name))
        if keys:
            yield LookUp(workflow.name, keys)


def get_inputs(state: Deployment, request: rq.GetInputs) -> tuple[Input, ...]:
    """Return the pinned inputs of an attempt.

    Raises:
        NotAllowedNow: it is not running any more.
    """
    workflow = state.by_uid.get(request.uid)
    step = workflow.steps.get(request.step) if workflow is not None else None
    if workflow is None or step is None or step.state is not StepState.RUNNING or step.attempt != request.attempt:
        raise NotAllowedNow("The attempt is not running any more.")
    return pinned_inputs(workflow, step)


def check_put(decision: Decision, request: rq.CheckPut) -> None:
    """Refuse to put Keys that are none or that a Step writes.

    Raises:
        InvalidWorkflow: some are no Keys.
        NotAllowedNow: a Step writes one.
    """
    workflow = find(decision.state, request.workflow)
    rules = decision.rules
    problems = [
        Problem(place, problem)
        for key, place in zip(request.keys, request.places, strict=True)
        if (problem := key_problem(key) or rules.bucket_problem(key))
    ]
    if problems:
        raise InvalidWorkflow.of(problems)
    for key in request.keys:
        refuse_written(workflow, key)
