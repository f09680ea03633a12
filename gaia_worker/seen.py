"""Which attempts a worker was given before: an order that comes twice begins nothing twice.

Orders are repeated only while somebody may think that they were lost. That is over long before they are forgotten here,
so a worker that runs for months needs no more room than one that runs for hours, nor one that runs thousands a second.
"""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

KEPT_S: Final = 900.0
"""Kafka delivers an order within minutes or not at all, and a new leader reads all reports first."""

Item = TypeVar("Item")


class Seen(Generic[Item]):
    """Items of the last while: of `KEPT_S`, or the latest `most`, and not twice as many where items keep coming.

    Args:
        clock: seconds that never go back.
        most: so many may be forgotten before their time.
    """

    def __init__(self, clock: Callable[[], float], most: int) -> None:
        """Begin empty."""
        self._clock = clock
        self._most = most
        self._began_s = clock()
        self._new: set[Item] = set()
        self._old: set[Item] = set()

    def add(self, item: Item) -> None:
        """Remember an item."""
        now_s = self._clock()
        if now_s - self._began_s >= KEPT_S or len(self._new) >= self._most:
            self._old, self._new, self._began_s = self._new, set(), now_s
        self._new.add(item)

    def __contains__(self, item: object) -> bool:
        return item in self._new or item in self._old
