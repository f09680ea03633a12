"""Recount what the workers hold, and what is queued, from scratch and compare. For tests and debugging."""

from collections.abc import Iterable

from gaia_core.errors import InvariantBroken
from gaia_core.scheduling.amounts import NOTHING
from gaia_core.scheduling.fleet import Fleet, Worker
from gaia_core.scheduling.ready import POOL_DEFAULT, ReadyQueue
from gaia_core.workflow.state import WorkflowState
from gaia_core.workflow.states import StepState


def check(fleet: Fleet, ready: ReadyQueue, workflows: Iterable[WorkflowState]) -> None:
    """Make sure that sums are right, that nobody holds more than it may, and that every ready Step is queued.

    Raises:
        InvariantBroken: something is not so; the message names it.
    """
    for worker in fleet.workers.values():
        _check_worker(worker)
    for workflow in workflows:
        _check_queued(ready, workflow)


def _check_worker(worker: Worker) -> None:
    if list(worker.since_ms) != list(worker.held) or not worker.demands.keys() <= worker.held.keys():
        raise InvariantBroken(f"{worker.name} keeps something of attempts that it does not hold, or nothing of others")
    used = NOTHING
    for demand in worker.demands.values():
        used = used.plus(demand)
    if used != worker.used:
        raise InvariantBroken(f"used of {worker.name}: kept {worker.used}, recounted {used}")
    if not used.fits(worker.capacity):
        raise InvariantBroken(f"{worker.name} is over-committed: {used} of {worker.capacity}")


def _check_queued(ready: ReadyQueue, workflow: WorkflowState) -> None:
    for step in workflow.steps.values():
        if step.state is StepState.READY:
            pool = step.options.over(workflow.commands[step.command].options).pool or POOL_DEFAULT
            lane = ready.pools.get(pool, {}).get(workflow.uid)
            queues = [queue for shelf in lane.shelves.values() for queue in shelf.queues.values()] if lane else []
            if not any(step.queued is queue and step in queue for queue in queues):
                raise InvariantBroken(f"{step.name} of {workflow.name} is ready and not queued")
