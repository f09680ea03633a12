"""Which worker gets which ready Step: those with idle slots first, the least loaded of them before others."""

from collections.abc import Iterator
from heapq import heapify, heappop, heapreplace
from typing import NamedTuple

from gaia_core.scheduling.fleet import Fleet, Worker
from gaia_core.scheduling.ready import ReadyQueue
from gaia_core.workflow.state import Step, WorkflowState


class Placement(NamedTuple):
    """One Step for one worker."""

    worker: str
    workflow: WorkflowState
    step: Step


def place(fleet: Fleet, ready: ReadyQueue) -> Iterator[Placement]:
    """Yield placements until either the ready Steps or the workers' credit is used up.

    The Steps leave the ready queue; the caller must dispatch every one of them. Cost O(log workers) a Step.
    """
    given: dict[int, int] = {}
    for pool, lanes in ready.pools.items():
        if lanes:
            yield from _place_pool(fleet, ready, pool, given)


def _place_pool(fleet: Fleet, ready: ReadyQueue, pool: str, given: dict[int, int]) -> Iterator[Placement]:
    open_workers = [worker for worker in fleet.of_pool(pool) if worker.credit > 0]
    if not open_workers:
        return
    load = [(_load(worker, len(worker.held)), worker.name, len(worker.held)) for worker in open_workers]
    by_name = {worker.name: worker for worker in open_workers}
    heapify(load)
    for workflow, step in ready.take(pool, sum(worker.credit for worker in open_workers), given):
        _, name, held = load[0]
        worker = by_name[name]
        yield Placement(name, workflow, step)
        if held + 1 == worker.slots + worker.prefetch:
            heappop(load)
        else:
            heapreplace(load, (_load(worker, held + 1), name, held + 1))


def _load(worker: Worker, held: int) -> float:
    """Return attempts held per slot."""
    return held / max(worker.slots, 1)
