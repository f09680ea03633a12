"""Ready Steps in the order they should run: by priority within a workflow, in turns between workflows.

An index made from the state, not part of it: an entry counts only while its Step is READY and was not queued elsewhere
since (`Step.queued` names the queue); others are skipped when they come up. Steps of each demand have a queue of their
own, so those that find no room are passed over as a whole, and nobody looks through them.
"""

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from sys import maxsize
from typing import Final, NamedTuple, Protocol, TypeAlias

from gaia_core.scheduling.amounts import Amounts, demand_of
from gaia_core.workflow.state import Step, WorkflowState
from gaia_core.workflow.states import StepState

QUANTUM = 64
"""Steps that one workflow may dispatch before the next has its turn; small beside a worker's credit under load."""

DEMANDS_TRIED_MAX: Final = 64
"""Of the different demands of one workflow and priority so many are tried in one round; the others have the next."""

POOL_DEFAULT: Final = "default"

Choose: TypeAlias = Callable[[Step, Amounts], str]
"""Finds a worker for a Step and gives it its place there; "" where there is no room."""


class Openings(Protocol):
    """The workers of a pool, as far as they may be given more."""

    credit: int
    """How many more Steps without demands they take."""

    def choose(self, workflow: WorkflowState, step: Step, demand: Amounts) -> str:
        """Find a worker for a Step and give it its place there; "" where there is no room."""


class Reservation(NamedTuple):
    """A Step that found no room for long, and the worker that is kept free for it.

    Attributes:
        times_ready: the so-manieth time that it was READY.
    """

    workflow: WorkflowState
    step: Step
    times_ready: int
    demand: Amounts
    worker: str


class Shelf:
    """The ready Steps of one workflow, pool and priority; those of each demand in order."""

    __slots__ = ("queues",)

    def __init__(self) -> None:
        self.queues: dict[Amounts, deque[Step]] = {}

    def push(self, step: Step, demand: Amounts) -> None:
        """Add a Step behind those of its demand."""
        queue = self.queues.get(demand)
        if queue is None:
            queue = self.queues[demand] = deque()
        if step.queued is not queue:
            step.queued = queue
            queue.append(step)

    def take(self, choose: Choose) -> tuple[Step, str] | None:
        """Drop the Step that was ready first of those that find a worker, and return both; None where none does."""
        if len(self.queues) == 1:  # as nearly always; the quick way
            ((demand, queue),) = self.queues.items()
            if not _skip_stale(queue) or not (worker := choose(queue[0], demand)):
                return None
            step = queue.popleft()
            step.queued = None
            return step, worker
        for step, demand, queue in self.heads():
            worker = choose(step, demand)
            if worker:
                queue.popleft()
                step.queued = None
                return step, worker
        self._let_others_be_tried()
        return None

    def heads(self) -> list[tuple[Step, Amounts, deque[Step]]]:
        """Return the first Step of each demand, those first that were ready first; drop entries that do not count."""
        found = []
        for demand, queue in list(islice(self.queues.items(), DEMANDS_TRIED_MAX)):
            if _skip_stale(queue):
                found.append((queue[0], demand, queue))
            else:
                del self.queues[demand]
        if len(found) > 1:
            found.sort(key=lambda head: (head[0].ready_since_ms, head[0].index))
        return found

    def _let_others_be_tried(self) -> None:
        """Put those that were tried behind those that were not."""
        if len(self.queues) > DEMANDS_TRIED_MAX:
            for demand in list(islice(self.queues, DEMANDS_TRIED_MAX)):
                self.queues[demand] = self.queues.pop(demand)


class Lane:
    """The ready Steps of one workflow in one pool."""

    __slots__ = ("shelves", "workflow")

    def __init__(self, workflow: WorkflowState) -> None:
        self.workflow = workflow
        self.shelves: dict[int, Shelf] = {}

    def push(self, step: Step, priority: int, demand: Amounts) -> None:
        """Add a Step behind those of its priority and demand."""
        shelf = self.shelves.get(priority)
        if shelf is None:
            shelf = Shelf()
            self.shelves = dict(sorted([*self.shelves.items(), (priority, shelf)], reverse=True))
        shelf.push(step, demand)

    def take(self, most: int, choose: Choose) -> Iterator[tuple[Step, str]]:
        """Yield at most `most` Steps with their workers, highest priority first, and drop them from the lane."""
        for shelf in self.shelves.values():
            while most > 0 and (found := shelf.take(choose)) is not None:
                most -= 1
                yield found

    def heads(self) -> Iterator[tuple[Step, Amounts]]:
        """Yield the first Step of each priority and demand; drop entries that do not count."""
        return ((step, demand) for shelf in self.shelves.values() for step, demand, _ in shelf.heads())

    @property
    def is_empty(self) -> bool:
        """Tell whether no entry is left, stale ones included."""
        return not any(any(shelf.queues.values()) for shelf in self.shelves.values())

    @property
    def count(self) -> int:
        """Return how many entries are left, stale ones included. Cost is O(priorities and demands)."""
        return sum(len(queue) for shelf in self.shelves.values() for queue in shelf.queues.values())


def _skip_stale(queue: deque[Step]) -> bool:
    """Drop entries at the front that no longer count, and tell whether one that counts is left."""
    while queue:
        step = queue[0]
        if step.queued is queue and step.state is StepState.READY:
            return True
        queue.popleft()
        if step.queued is queue:
            step.queued = None
    return False


class ReadyQueue:
    """The lanes of every pool; workflows take turns.

    Attributes:
        reserved: what is kept free in a pool; the leader's alone, and made anew by the next one.
    """

    __slots__ = ("pools", "reserved")

    def __init__(self) -> None:
        self.pools: dict[str, dict[int, Lane]] = {}
        self.reserved: dict[str, Reservation] = {}

    def push(self, workflow: WorkflowState, step: Step) -> None:
        """Add a Step that became ready."""
        options = step.options.over(workflow.commands[step.command].options)
        lanes = self.pools.setdefault(options.pool or POOL_DEFAULT, {})
        lane = lanes.get(workflow.uid)
        if lane is None:
            lane = lanes[workflow.uid] = Lane(workflow)
        lane.push(step, options.priority or 0, demand_of(options.resources))

    def take(self, pool: str, openings: Openings, given: dict[int, int]) -> Iterator[tuple[WorkflowState, Step, str]]:
        """Yield ready Steps of a pool with their workers, the workflows in turns; those that start nothing keep theirs.

        A workflow that had its turn stands behind those that had none, also when `take` is called again.

        Args:
            given: Steps that were taken of each workflow and are not yet counted as RUNNING; kept up to date.
        """
        lanes = self.pools.get(pool, {})
        turn = list(lanes)
        while turn and openings.credit > 0:
            again = []
            for uid in turn:
                if openings.credit <= 0:
                    break
                lane = lanes[uid]
                if lane.workflow.holds:
                    continue
                taken = 0
                for found in self._turn_of(lane, openings, given.get(uid, 0)):
                    taken += 1
                    yield found
                given[uid] = given.get(uid, 0) + taken
                if taken or lane.is_empty:
                    del lanes[uid]
                if taken and not lane.is_empty:
                    lanes[uid] = lane
                if taken == QUANTUM:
                    again.append(uid)
            turn = [uid for uid in again if uid in lanes]

    def _turn_of(self, lane: Lane, openings: Openings, given: int) -> Iterator[tuple[WorkflowState, Step, str]]:
        """Yield what one workflow starts in its turn."""
        workflow = lane.workflow
        most = min(QUANTUM, openings.credit, room(workflow) - given)
        for step, worker in lane.take(most, lambda step, demand: openings.choose(workflow, step, demand)):
            yield workflow, step, worker

    def withdraw(self, pool: str, kept: Reservation) -> None:
        """Take the Step out that found room at last; its workflow has had its turn."""
        kept.step.queued = None
        lanes = self.pools[pool]
        lanes[kept.workflow.uid] = lanes.pop(kept.workflow.uid)

    def drop(self, uid: int) -> None:
        """Forget a workflow that is no more."""
        for lanes in self.pools.values():
            lanes.pop(uid, None)
        self.reserved = {pool: kept for pool, kept in self.reserved.items() if kept.workflow.uid != uid}

    def trim(self, uid: int) -> None:
        """Drop a workflow's stale entries, as a replay does after each dispatch."""
        for lanes in self.pools.values():
            if uid in lanes:
                for _ in lanes[uid].heads():
                    pass

    def heads(self, uid: int) -> Iterator[tuple[str, Step, Amounts]]:
        """Yield (pool, Step, demand) of a workflow's first ready Step of each pool, priority and demand."""
        for pool, lanes in self.pools.items():
            if uid in lanes:
                yield from ((pool, step, demand) for step, demand in lanes[uid].heads())


def room(workflow: WorkflowState) -> int:
    """Return how many more Steps the workflow's `max_parallel` lets run."""
    most = workflow.properties.get("max_parallel")
    return maxsize if most is None else int(most) - workflow.counts[StepState.RUNNING]
