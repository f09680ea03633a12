"""How much there is of everything, for whoever measures: a few numbers, whatever the size of the workflows.

Costs O(workflows + workers), and O(its workflows) for each pool with ready Steps; never looks through Steps.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from gaia_core.machine import requests as rq
from gaia_core.machine.state import Deployment
from gaia_core.scheduling.ready import Lane
from gaia_core.workflow.states import StepState


@dataclass(slots=True)
class PoolFigures:
    """What stands in a pool.

    Attributes:
        ready: Steps that more workers of it could take now: not those of workflows that may start none, or no more.
        held: attempts that its workers hold.
        workers: that belong to it.
        draining: of these.
        slots: of all its workers that do not drain.
        credit: attempts that these may still be given.
    """

    ready: int = 0
    held: int = 0
    workers: int = 0
    draining: int = 0
    slots: int = 0
    credit: int = 0


@dataclass(frozen=True, slots=True)
class Figures:
    """What there is.

    Attributes:
        steps: by the word of their state; those of archived workflows are not counted.
        workflows: by the word of their state.
        pools: by name.
    """

    steps: Mapping[str, int]
    workflows: Mapping[str, int]
    pools: Mapping[str, PoolFigures]


def get_figures(state: Deployment, _: rq.GetFigures) -> Figures:
    """Return how much there is of everything."""
    counts = [0] * len(StepState)
    flows: Counter[str] = Counter()
    for workflow in state.by_uid.values():
        counts = [sum_ + count for sum_, count in zip(counts, workflow.counts, strict=True)]
        flows[workflow.flow_state[0].value] += 1
    flows["archived"] = len(state.archived)
    steps = {one.word: counts[one] for one in StepState}
    return Figures(steps, flows, _pools(state))


def _pools(state: Deployment) -> dict[str, PoolFigures]:
    pools: defaultdict[str, PoolFigures] = defaultdict(PoolFigures)
    in_pools = Counter(uid for lanes in state.ready.pools.values() for uid in lanes)
    for pool, lanes in state.ready.pools.items():
        depth = sum(_depth(lane, in_pools[uid]) for uid, lane in lanes.items())
        if depth:
            pools[pool].ready = depth
    for worker in state.fleet.workers.values():
        figures = pools[worker.pool]
        figures.workers += 1
        figures.held += len(worker.held)
        figures.draining += worker.draining
        figures.slots += 0 if worker.draining else worker.slots
        figures.credit += max(0, worker.credit)
    return dict(pools)


def _depth(lane: Lane, pools: int) -> int:
    """Return how many Steps of a lane may start: exactly where it is the workflow's only one, else at most.

    A lane may hold entries that no longer count, which are dropped when they come up.
    """
    workflow = lane.workflow
    if workflow.holds:
        return 0
    ready = workflow.counts[StepState.READY]
    most = workflow.properties.get("max_parallel")
    room = ready if most is None else max(0, int(most) - workflow.counts[StepState.RUNNING])
    return min(ready, room, *([] if pools == 1 else [lane.count]))
