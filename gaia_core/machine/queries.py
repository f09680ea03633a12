"""What clients and workers may ask: answers of bounded size, made from the state as it is."""

from collections.abc import Iterator

from gaia_core.errors import InvalidWorkflow, NotAllowedNow, Problem
from gaia_core.machine import requests as rq
from gaia_core.machine.effects import LookUp
from gaia_core.machine.mutations import find, refuse_written
from gaia_core.machine.state import Deployment
from gaia_core.workflow.execution import pinned_inputs
from gaia_core.workflow.keys import key_problem
from gaia_core.workflow.model import Input, Publication
from gaia_core.workflow.state import WorkflowState
from gaia_core.workflow.states import StepState
from gaia_core.workflow.views import PAGE_STEPS_MAX, Status, StepView, Summary, status, step_page, summary

FILES_LISTED_MAX = 10_000


def list_workflows(state: Deployment, request: rq.ListWorkflows) -> tuple[Summary, ...]:
    """Return a line for each workflow that passes the filters, sorted by name."""
    lines = (summary(state.workflows[name]) for name in sorted(state.workflows) if name.startswith(request.prefix))
    return tuple(line for line in lines if request.owner in ("", line.owner) and request.state in ("", line.state))


def get_status(state: Deployment, request: rq.GetStatus) -> Status:
    """Return how a workflow stands."""
    return status(find(state, request.workflow))


def get_debug(state: Deployment, request: rq.GetDebug) -> tuple[list[StepView], int, list[rq.WorkerView]]:
    """Return a page of Steps, the start of the next page (0 at the end), and the workers."""
    workflow = find(state, request.workflow)
    size = min(request.page_size or 100, PAGE_STEPS_MAX)
    page = step_page(workflow, request.page_start, size)
    following = request.page_start + size
    return page, following if following < len(workflow.steps) else 0, list_workers(state, rq.ListWorkers())


def list_workers(state: Deployment, _: rq.ListWorkers) -> list[rq.WorkerView]:
    """Return every worker."""
    return [
        rq.WorkerView(w.name, w.incarnation, w.pool, w.slots, w.prefetch, len(w.held), w.executor, w.host)
        for w in state.fleet.workers.values()
    ]


def get_files(state: Deployment, request: rq.GetFiles) -> tuple[Publication, ...]:
    """Return what lies under a Key, or under every Key that begins with a prefix."""
    workflow = find(state, request.workflow)
    if request.is_prefix:
        names = [name for name in workflow.graph.keys if name.startswith(request.key)]
        found = [one for name in sorted(names) for one in _lying(workflow, name)]
        return tuple(found[: FILES_LISTED_MAX + 1])
    return tuple(one for key in workflow.graph.all_over(request.key) for one in _lying(workflow, key.name))


def _lying(workflow: WorkflowState, name: str) -> list[Publication]:
    """Return what was published or has arrived under exactly this Key; a failed Step's `>>` included."""
    key = workflow.graph.keys[name]
    if key.writer is None:
        return [key.arrived] if key.arrived is not None else []
    return [one for one in key.writer.published if one.key == name]


def lookups(state: Deployment) -> Iterator[LookUp]:
    """Yield what a new leader asks the store for: outside Keys that readers lack, whoever asked for them before."""
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
    if workflow is not None and request.step < len(workflow.steps):
        step = workflow.steps[request.step]
        if step.state is StepState.RUNNING and step.attempt == request.attempt:
            return pinned_inputs(workflow, step)
    raise NotAllowedNow("The attempt is not running any more.")


def check_put(state: Deployment, request: rq.CheckPut) -> None:
    """Refuse to put a Key that is none or that a Step writes.

    Raises:
        InvalidWorkflow: it is no Key.
        NotAllowedNow: a Step writes it.
    """
    workflow = find(state, request.workflow)
    problem = key_problem(request.key)
    if problem:
        raise InvalidWorkflow.of([Problem("key", problem)])
    refuse_written(workflow, request.key)
