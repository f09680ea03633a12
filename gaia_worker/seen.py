"""Which attempts a worker was given before: an order that comes twice begins nothing twice.

Orders are repeated only while somebody may think that they were lost. That is over long before they are forgotten here,
so a worker that runs for months needs no more room than one that runs for hours.
"""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

KEPT_S: Final = 900.0
"""At least so long: Kafka delivers an order within minutes or not at all, and a new leader reads all reports first."""

Item = TypeVar("Item")


class Seen(Generic[Item]):
    """Items of the last while: at least `KEPT_S`, and not twice as long where items keep coming.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """Begin empty."""
        self._clock = clock
        self._began_s = clock()
        self._new: set[Item] = set()
        self._old: set[Item] = set()

    def add(self, item: Item) -> None:
        """Remember an item."""
        now_s = self._clock()
        if now_s - self._began_s >= KEPT_S:
            self._old, self._new, self._began_s = self._new, set(), now_s
        self._new.add(item)

    def __contains__(self, item: object) -> bool:
        return item in self._new or item in self._old
