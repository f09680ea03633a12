"""Which workflows are finished and when each is to leave memory: a heap by time, so nobody ever looks through them all.

An index made from the state, not part of it. Whoever only follows never asks, and drops what was noted.
"""

from collections.abc import Mapping
from heapq import heappop, heappush

from gaia_core.workflow.state import WorkflowState
from gaia_core.workflow.states import FlowState, StepState


def is_finished(workflow: WorkflowState) -> bool:
    """Tell whether nothing of a workflow runs, nor will unless somebody changes it or what it has read."""
    state = workflow.flow_state[0]
    if state is FlowState.ERROR:
        return not workflow.counts[StepState.RETRYING] and not workflow.graph.missing
    return state is FlowState.COMPLETE


class Resting:
    """Every live workflow is noted once: as changed, or with the time at which it is looked at again."""

    __slots__ = ("_changed", "_due", "_waiting")

    def __init__(self) -> None:
        self._changed: dict[int, int] = {}
        self._waiting: set[int] = set()
        self._due: list[tuple[int, int]] = []

    def note(self, uid: int, not_before_ms: int = 0) -> None:
        """Note that a workflow has changed."""
        if uid not in self._waiting:
            self._changed[uid] = not_before_ms

    def drop(self) -> None:
        """Forget what was noted: nobody will ask."""
        self._changed.clear()

    def take(self, workflows: Mapping[int, WorkflowState], now_ms: int, retention_s: float) -> list[WorkflowState]:
        """Return the workflows that have been finished for their time; each is noted again only when it changes.

        Args:
            workflows: by uid.
            now_ms: the time.
            retention_s: of those that have none of their own; 0 for ever.
        """
        for uid, not_before_ms in self._changed.items():
            self._look_later(workflows.get(uid), now_ms, not_before_ms, retention_s)
        self._changed.clear()
        found = []
        while self._due and self._due[0][0] <= now_ms:
            _, uid = heappop(self._due)
            self._waiting.remove(uid)
            workflow = workflows.get(uid)
            if workflow is None or not is_finished(workflow):
                continue
            if workflow.updated_ms + _retention_ms(workflow, retention_s) <= now_ms:
                found.append(workflow)
            else:
                self._look_later(workflow, now_ms, 0, retention_s)
        return found

    def _look_later(self, workflow: WorkflowState | None, now_ms: int, not_before_ms: int, retention_s: float) -> None:
        """Have a finished workflow looked at when its time is over."""
        if workflow is not None and is_finished(workflow):
            retention_ms = _retention_ms(workflow, retention_s)
            if retention_ms:
                due_ms = max(workflow.updated_ms + retention_ms, not_before_ms, now_ms)
                self._waiting.add(workflow.uid)
                heappush(self._due, (due_ms, workflow.uid))


def _retention_ms(workflow: WorkflowState, retention_s: float) -> int:
    """Return how long a finished workflow stays in memory, at least a millisecond; 0 for ever."""
    seconds = float(workflow.properties.get("retention_s") or retention_s)
    return max(1, int(seconds * 1000)) if seconds else 0
