"""A heap of times at which Steps are to be looked at. Most are stale before they are due; those must not pile up."""

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Final, Generic, TypeVar

Timer = TypeVar("Timer", bound=tuple[int, ...])

SLACK: Final = 1_024
"""Below so many nothing is done about stale ones."""


class Timers(Generic[Timer]):
    """Timers by the time they are due, which is their first number.

    Args:
        counts: tells whether a timer is not stale.
    """

    __slots__ = ("_counts", "_heap", "_most")

    def __init__(self, counts: Callable[[Timer], bool]) -> None:
        self._counts = counts
        self._heap: list[Timer] = []
        self._most = SLACK

    def __len__(self) -> int:
        return len(self._heap)

    def push(self, timer: Timer) -> None:
        """Add a timer; where stale ones may be more than half, they go, so adding costs little on average."""
        heappush(self._heap, timer)
        if len(self._heap) > self._most:
            self._heap = [one for one in self._heap if self._counts(one)]
            heapify(self._heap)
            self._most = max(SLACK, 2 * len(self._heap))

    def take(self, now_ms: int) -> list[Timer]:
        """Return the timers that are due and not stale."""
        found = []
        while self._heap and self._heap[0][0] <= now_ms:
            timer = heappop(self._heap)
            if self._counts(timer):
                found.append(timer)
        return found
