"""Journal and event log in plain memory: the fakes of both ports, shipped so that other people's tests can use them.

They pass the same contract suite as the durable backends and can be told to misbehave. What several leaders or
publishers share (`MemoryLog`, `MemoryEvents`) is an object of its own, so a test can depose one by opening another.
"""

import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from gaia_core.backends.checks import check_start
from gaia_core.errors import InvariantBroken, Unavailable
from gaia_core.ports import EventRecord, Position, Record


class MemoryLog:
    """The log that one or several MemoryJournals write to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: list[Record] = []
        self._first = 0
        self._end = 0

    def write(self, value: bytes) -> int:
        """Append one record, as any stranger could, and return its offset."""
        with self._lock:
            self._records.append(Record(self._end, value))
            self._end += 1
            return self._end - 1

    def skip(self, count: int = 1) -> None:
        """Leave a gap of count offsets that never hold a record."""
        with self._lock:
            self._end += count

    def cut(self, before: int) -> None:
        """Drop every record below an offset."""
        with self._lock:
            self._records = [record for record in self._records if record.offset >= before]
            self._first = max(self._first, before)

    def bounds(self) -> tuple[int, int]:
        """Return (first offset kept, offset after the last record)."""
        with self._lock:
            return self._first, self._end

    def slice(self, start: int, end: int) -> list[Record]:
        """Return the records with start ≤ offset < end."""
        with self._lock:
            return self._records[bisect_left(self._records, (start,)) : bisect_left(self._records, (end,))]


class MemoryJournal:
    """A Journal that forgets everything with its process.

    Args:
        log: the log to write to; journals that share one see each other's records. None makes a new one.
    """

    def __init__(self, log: MemoryLog | None = None) -> None:
        self.log = log or MemoryLog()
        self._broken = ""
        self._failing: bool | None = None

    def fail_next(self, *, written: bool) -> None:
        """Make the next append fail; written tells whether its records land all the same."""
        self._failing = written

    def append(self, records: Sequence[bytes]) -> list[int]:
        """Write the records; see `ports.Journal.append`."""
        if self._broken:
            raise Unavailable(self._broken)
        failing, self._failing = self._failing, None
        offsets = [] if failing is False else [self.log.write(record) for record in records]
        if failing is not None:
            self._broken = "The journal in memory failed, as it was told to, and takes nothing more."
            raise Unavailable(self._broken)
        return offsets

    def read(self, start: int, end: int) -> Iterator[Record]:
        """Yield the records; see `ports.Journal.read`."""
        first, after_last = self.bounds()
        if start < end:
            check_start("The journal in memory", start, first, after_last)
            yield from self.log.slice(start, end)

    def bounds(self) -> tuple[int, int]:
        """Return (first offset kept, offset after the last record)."""
        return self.log.bounds()

    def cut(self, before: int) -> None:
        """Drop every record below an offset; see `ports.Journal.cut`."""
        self.log.cut(before)

    def close(self) -> None:
        """Take nothing more."""
        self._broken = self._broken or "The journal is closed."


class MemoryEvents:
    """What one or several MemoryEventLogs publish to."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.events: dict[tuple[int, int], EventRecord] = {}
        self.position = Position(-1)
        self.epoch = 0


class MemoryEventLog:
    """An EventLog that forgets everything with its process.

    Args:
        shared: where to publish; logs that share it shut each other out. None makes a new one.
    """

    def __init__(self, shared: MemoryEvents | None = None) -> None:
        self.shared = shared or MemoryEvents()
        self._epoch = 0
        self._broken = ""

    def position(self) -> Position:
        """Return the last position, shutting out earlier publishers."""
        self._check()
        with self.shared.lock:
            self.shared.epoch += 1
            self._epoch = self.shared.epoch
            return self.shared.position

    def publish(self, events: Sequence[EventRecord], position: Position) -> None:
        """Write events and position at once; see `ports.EventLog.publish`."""
        self._check()
        if not self._epoch:
            self.position()
        with self.shared.lock:
            if self._epoch != self.shared.epoch:
                self._broken = "Another publisher has taken over."
                raise Unavailable(self._broken)
            fresh = {(event.workflow_uid, event.sequence): event for event in events}
            if len(fresh) != len(events) or fresh.keys() & self.shared.events.keys():
                raise InvariantBroken("An event was to be published twice.")
            self.shared.events.update(fresh)
            self.shared.position = position

    def read(self, workflow_uid: int | None = None, after_sequence: int = 0, most: int = 1000) -> list[EventRecord]:
        """Return at most `most` events of one workflow (None: of all) above a sequence number, in order."""
        with self.shared.lock:
            found = [
                event
                for event in self.shared.events.values()
                if workflow_uid in (None, event.workflow_uid) and event.sequence > after_sequence
            ]
        return sorted(found, key=lambda event: (event.workflow_uid, event.sequence))[:most]

    def count(self) -> int:
        """Return how many events are out."""
        with self.shared.lock:
            return len(self.shared.events)

    def close(self) -> None:
        """Publish nothing more."""
        self._broken = self._broken or "The event log is closed."

    def _check(self) -> None:
        if self._broken:
            raise Unavailable(self._broken)
