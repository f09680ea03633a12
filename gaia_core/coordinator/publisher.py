"""Publishes what the journal announces, behind the journal and off the critical path.

Runs in a thread of its own on a state of its own. After a failed publish the outcome is unknown: a new event log is
opened, which shuts the old one out and knows the true position, and what it lacks is published again.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Final

from gaia_core.coordinator.entries import EntryReader
from gaia_core.errors import JournalCorrupt, Unavailable
from gaia_core.machine.public import Announcer
from gaia_core.ports import EventLog, EventRecord, Journal, Position
from gaia_core.wire.journal import Entry
from gaia_core.wire.public import encode_announcement

log = logging.getLogger(__name__)

EVENTS_PER_PUBLISH_MAX: Final = 10_000
"""Keeps a Kafka transaction well under its timeout of 10 s."""

RETRY_S: Final = 1.0


class Publisher:
    """Follows one shard's journal and publishes its events."""

    def __init__(self, journal: Journal, open_log: Callable[[], EventLog]) -> None:
        self._journal = journal
        self._open_log = open_log
        self._announcer = Announcer()
        self._changed = threading.Condition()
        self._entries: deque[tuple[int, Entry]] = deque()
        self._pending: deque[tuple[int, list[EventRecord]]] = deque()
        self._stopping = False
        self._log: EventLog | None = None
        self._followed = -1
        self.published = Position(-1)

    def open(self) -> None:
        """Read the published position and replay the journal up to now.

        Raises:
            JournalCorrupt: more was published than the journal holds.
            Unavailable: the event log or the journal does not answer.
        """
        self._log = self._open_log()
        self.published = self._log.position()
        start, end = self._journal.bounds()
        if self.published.entry_offset >= end:
            raise JournalCorrupt(
                f"Events are published up to journal offset {self.published.entry_offset}, but it ends at {end}.",
                hint="the journal was cut or exchanged; restore it from its backup",
            )
        reader = EntryReader()
        for record in self._journal.read(start, end):
            entry = reader.feed(record)
            if entry is not None:
                self._follow(record.offset, entry)

    def feed(self, offset: int, entry: Entry) -> None:
        """Queue an entry that has become durable."""
        with self._changed:
            self._entries.append((offset, entry))
            self._changed.notify_all()

    def run(self) -> None:
        """Publish until `stop`, and then what is left."""
        while self._gather():
            try:
                self._publish()
            except Unavailable as error:
                log.warning("publishing failed; trying again", extra={"cause": error.message})
                self._reopen()

    def close(self) -> None:
        """Close the event log; safe to call twice."""
        if self._log is not None:
            self._log.close()

    def stop(self) -> None:
        """Make `run` publish what waits and return."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def _gather(self) -> bool:
        """Wait for entries and follow them; return False at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._entries or self._pending or self._stopping)
            entries = list(self._entries)
            self._entries.clear()
        for offset, entry in entries:
            self._follow(offset, entry)
        return bool(self._pending) or not self._stopping

    def _follow(self, offset: int, entry: Entry) -> None:
        """Apply an entry and keep what it announces, unless that is published already."""
        if offset <= self._followed:
            return
        self._followed = offset
        told = self._announcer.follow(entry.now_ms, entry.events)
        if told and offset > self.published.entry_offset:
            records = []
            for one in told:
                kind, value = encode_announcement(one)
                records.append(EventRecord(one.workflow, one.uid, one.sequence, kind, one.time_ms, value))
            self._pending.append((offset, records))

    def _publish(self) -> None:
        """Publish whole entries, as many as fit into one go."""
        if self._log is None:
            raise Unavailable("the event log is not open")
        events: list[EventRecord] = []
        taken = 0
        position = self.published
        for offset, records in self._pending:
            if events and len(events) + len(records) > EVENTS_PER_PUBLISH_MAX:
                break
            events += records
            taken += 1
            position = Position(offset)
        if taken:
            self._log.publish(events, position)
            self.published = position
            for _ in range(taken):
                self._pending.popleft()

    def _reopen(self) -> None:
        """Open a new event log and drop what turns out to be published."""
        if self._log is not None:
            self._log.close()
            self._log = None
        with self._changed:
            if self._changed.wait_for(lambda: self._stopping, RETRY_S):
                self._pending.clear()
                return
        try:
            self._log = self._open_log()
            self.published = self._log.position()
        except Unavailable as error:
            log.warning("the event log does not answer", extra={"cause": error.message})
            return
        while self._pending and self._pending[0][0] <= self.published.entry_offset:
            self._pending.popleft()
