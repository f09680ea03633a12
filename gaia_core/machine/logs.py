"""Where the log of a Step's attempts is to be looked for, and whether more of it will come."""

from dataclasses import dataclass

from gaia_core.errors import NotAllowedNow, UnknownName
from gaia_core.machine import requests as rq
from gaia_core.machine.checks import find
from gaia_core.machine.explain import in_a_sentence
from gaia_core.machine.state import Deployment
from gaia_core.workflow.interface import suggestion
from gaia_core.workflow.state import Step, WorkflowState
from gaia_core.workflow.states import StepState

NAMES_SHOWN_MAX = 5


@dataclass(frozen=True, slots=True)
class LogTarget:
    """One Step as a reader of its logs sees it.

    Attributes:
        step: its index.
        attempt: number of its latest attempt, 0 before the first.
        is_running: that attempt is under way.
        is_over: it completed or failed for good: unless somebody asks for one, no attempt follows.
        is_complete: it completed.
        executor: what runs the programs of the worker that had the latest attempt; "" where that is not known.
        ready_since_ms: no later than the latest attempt began, if that is running, failed or is followed by another.
        summary: what goes on, in words that follow on its name.
    """

    workflow: str
    uid: int
    step: int
    name: str
    attempt: int
    is_running: bool
    is_over: bool
    is_complete: bool
    executor: str
    ready_since_ms: int
    summary: str


def find_log(state: Deployment, request: rq.FindLog) -> LogTarget:
    """Return the Step that a name stands for.

    Raises:
        UnknownName: there is no such workflow or Step.
        NotAllowedNow: the name stands for several Steps.
    """
    workflow = find(state, request.workflow)
    step = _only(workflow, request.step)
    worker = state.fleet.workers.get(step.worker)
    return LogTarget(
        workflow.name,
        workflow.uid,
        step.index,
        step.name,
        step.attempt,
        step.state is StepState.RUNNING,
        step.state in (StepState.COMPLETE, StepState.FAILED),
        step.state is StepState.COMPLETE,
        worker.executor if worker is not None else "",
        step.ready_since_ms,
        in_a_sentence(state, workflow, step),
    )


def _only(workflow: WorkflowState, name: str) -> Step:
    own = workflow.by_name.get(name)
    steps = [own] if own is not None else workflow.steps_named(name)
    if not steps:
        near = suggestion(name, workflow.by_name) or "."
        raise UnknownName(f"There is no Step {name!r} in {workflow.name!r}{near}")
    if len(steps) > 1:
        names = ", ".join(step.name for step in steps[:NAMES_SHOWN_MAX])
        more = f" and {len(steps) - NAMES_SHOWN_MAX:,} more" if len(steps) > NAMES_SHOWN_MAX else ""
        hint = f"name one of them: {names}{more}"
        raise NotAllowedNow(f"{name!r} stands for {len(steps):,} Steps of {workflow.name!r}.", hint=hint)
    return steps[0]
