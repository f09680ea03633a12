"""Ready Steps in the order they should run: by priority within a workflow, in turns between workflows.

An index made from the state, not part of it: an entry counts only while its Step is READY and was not queued elsewhere
since (`Step.queued` names the queue); others are skipped when they come up.
"""

from collections import deque
from collections.abc import Iterator
from sys import maxsize

from gaia_core.workflow.state import Step, WorkflowState
from gaia_core.workflow.states import StepState

QUANTUM = 64
"""Steps that one workflow may dispatch before the next has its turn; small beside a worker's credit under load."""


class Lane:
    """The ready Steps of one workflow in one pool."""

    __slots__ = ("queues", "workflow")

    def __init__(self, workflow: WorkflowState) -> None:
        self.workflow = workflow
        self.queues: dict[int, deque[Step]] = {}

    def push(self, step: Step, priority: int) -> None:
        """Add a Step behind those of its priority."""
        queue = self.queues.get(priority)
        if queue is None:
            queue = deque()
            self.queues = dict(sorted([*self.queues.items(), (priority, queue)], reverse=True))
        if step.queued is not queue:
            step.queued = queue
            queue.append(step)

    def take(self, most: int) -> Iterator[Step]:
        """Yield at most `most` Steps whose entries count, highest priority first, and drop them from the lane."""
        for queue in self.queues.values():
            while most > 0 and _skip_stale(queue):
                step = queue.popleft()
                step.queued = None
                most -= 1
                yield step

    def trim(self) -> None:
        """Drop entries at the front that no longer count."""
        for queue in self.queues.values():
            _skip_stale(queue)

    @property
    def is_empty(self) -> bool:
        """Tell whether no entry is left, stale ones included."""
        return not any(self.queues.values())


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
    """The lanes of every pool; workflows take turns."""

    __slots__ = ("pools",)

    def __init__(self) -> None:
        self.pools: dict[str, dict[int, Lane]] = {}

    def push(self, workflow: WorkflowState, step: Step) -> None:
        """Add a Step that became ready."""
        options = step.options.over(workflow.commands[step.command].options)
        lanes = self.pools.setdefault(options.pool or "default", {})
        lane = lanes.get(workflow.uid)
        if lane is None:
            lane = lanes[workflow.uid] = Lane(workflow)
        lane.push(step, options.priority or 0)

    def take(self, pool: str, most: int, given: dict[int, int]) -> Iterator[tuple[WorkflowState, Step]]:
        """Yield at most `most` ready Steps of a pool, the workflows in turns; those that may start nothing keep theirs.

        A workflow that had its turn stands behind those that had none, also when `take` is called again.

        Args:
            given: Steps that were taken of each workflow and are not yet counted as RUNNING; kept up to date.
        """
        lanes = self.pools.get(pool, {})
        turn = [uid for uid, lane in lanes.items() if not lane.workflow.holds]
        while turn and most > 0:
            again = []
            for uid in turn:
                if most <= 0:
                    break
                lane = lanes.pop(uid)
                allowed = min(QUANTUM, most, _room(lane.workflow) - given.get(uid, 0))
                taken = 0
                for step in lane.take(allowed):
                    taken += 1
                    yield lane.workflow, step
                most -= taken
                given[uid] = given.get(uid, 0) + taken
                if not lane.is_empty:
                    lanes[uid] = lane
                    if taken == QUANTUM:
                        again.append(uid)
            turn = again

    def drop(self, uid: int) -> None:
        """Forget a workflow that is no more."""
        for lanes in self.pools.values():
            lanes.pop(uid, None)

    def trim(self, uid: int) -> None:
        """Drop a workflow's stale entries, as a replay does after each dispatch."""
        for lanes in self.pools.values():
            if uid in lanes:
                lanes[uid].trim()


def _room(workflow: WorkflowState) -> int:
    """Return how many more Steps the workflow's `max_parallel` lets run."""
    most = workflow.properties.get("max_parallel")
    return maxsize if most is None else int(most) - workflow.counts[StepState.RUNNING]
