"""The latest public events of one workflow, or of all: each at a position of its own, the oldest dropped one by one.

Reading costs as much as is read, wherever that lies. Owned by the hub; not thread-safe by itself.
"""

from typing import cast

from gaia_core.errors import NoLongerKept
from gaia_core.machine.public import Announcement


class Ring:
    """Events in the order they came.

    Attributes:
        start: position of the oldest event that is kept.
        latest: the highest sequence number there ever was.
    """

    __slots__ = ("_base", "_slots", "latest", "start")

    def __init__(self) -> None:
        self.start = 0
        self.latest = 0
        self._base = 0
        self._slots: list[Announcement | None] = []

    @property
    def end(self) -> int:
        """Return the position after the latest event."""
        return self._base + len(self._slots)

    def append(self, event: Announcement) -> None:
        """Add an event."""
        self._slots.append(event)
        self.latest = max(self.latest, event.sequence)

    def drop_oldest(self) -> Announcement:
        """Remove and return the oldest event."""
        place = self.start - self._base
        oldest = cast(Announcement, self._slots[place])
        self._slots[place] = None
        self.start += 1
        if 2 * place > len(self._slots):  # so a drop costs little, on average, and at most half the list is empty
            del self._slots[: place + 1]
            self._base = self.start
        return oldest

    def begins_with(self, event: Announcement) -> bool:
        """Tell whether an event is the oldest one kept."""
        return bool(self) and self._slots[self.start - self._base] is event

    def __len__(self) -> int:
        return self.end - self.start

    def read(self, position: int, most: int) -> list[Announcement]:
        """Return at most `most` events from a position on.

        Raises:
            NoLongerKept: the event at the position is gone.
        """
        if position < self.start:
            raise NoLongerKept(f"The watcher was too slow: {self.start - position} events are no longer kept.")
        return cast(list[Announcement], self._slots[position - self._base : position - self._base + most])

    def position_of(self, sequence: int) -> int:
        """Return the position of the first event whose sequence number is at least this; the end if there is none.

        Looks from the latest event on, since whoever begins again has read almost all.

        Raises:
            NoLongerKept: it was there and is gone; the message names the oldest one.
        """
        found, oldest = self.end, self.latest + 1
        for position in range(self.end - 1, self.start - 1, -1):
            number = cast(Announcement, self._slots[position - self._base]).sequence
            if 0 < number < sequence:
                return found
            if number:
                found, oldest = position, number
        if sequence < oldest:
            raise NoLongerKept(f"Events before number {oldest} are no longer kept.", hint=f"begin with {oldest}")
        return found
