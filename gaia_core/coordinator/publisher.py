"""Publishes what the journal announces, behind the journal and off the critical path.

Runs in a thread of its own on a state of its own. After a failed publish the outcome is unknown: a new event log is
opened, which shuts the old one out and knows the true position, and what it lacks is published again.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from sys import maxsize
from typing import Final, TypeAlias

from gaia_core.coordinator.entries import EntryReader, follow
from gaia_core.coordinator.recovery import begin
from gaia_core.coordinator.snapshots import Snapshots
from gaia_core.coordinator.watching import WatchHub
from gaia_core.errors import JournalCorrupt, Unavailable
from gaia_core.machine.public import Announcer
from gaia_core.ports import EventLog, EventRecord, Journal, Position
from gaia_core.wire.journal import Entry
from gaia_core.wire.public import encode_announcement, subject_of

log = logging.getLogger(__name__)

Task: TypeAlias = Callable[[Announcer], None]

EVENTS_PER_PUBLISH_MAX: Final = 10_000
"""Keeps a Kafka transaction well under its timeout of 10 s."""

RETRY_S: Final = 1.0


class Publisher:
    """Follows one shard's journal, publishes its events, and lets watchers know."""

    def __init__(self, journal: Journal, open_log: Callable[[], EventLog], watchers: WatchHub) -> None:
        self._journal = journal
        self._open_log = open_log
        self._watchers = watchers
        self._announcer = Announcer()
        self._changed = threading.Condition()
        self._entries: deque[tuple[int, Entry] | Future[None] | Task] = deque()
        self._pending: deque[tuple[int, list[EventRecord]]] = deque()
        self._stopping = False
        self._log: EventLog | None = None
        self._reader = EntryReader()
        self._read_to = 0
        self._followed = -1
        self.published = Position(-1)

    def open(self, snapshots: Snapshots | None = None) -> None:
        """Claim the event log and begin; raises as `claim` and `begin` do."""
        self.claim()
        self.begin(snapshots)

    def claim(self) -> None:
        """Shut out who published before, and read how far that got.

        Raises:
            JournalCorrupt: more was published than the journal holds.
            Unavailable: the event log or the journal does not answer.
        """
        self._open_event_log()
        _, end = self._journal.bounds()
        if self.published.entry_offset >= end:
            raise JournalCorrupt(
                f"Events are published up to journal offset {self.published.entry_offset}, but it ends at {end}.",
                hint="the journal was cut or exchanged; restore it from its backup",
            )

    def begin(self, snapshots: Snapshots | None = None) -> None:
        """Begin from the newest snapshot before what is published, and replay the journal up to now.

        A leader may be in office already: what it feeds meanwhile is followed after that.

        Args:
            snapshots: None where there are none.

        Raises:
            JournalCorrupt: the journal cannot be read, or does not hold what follows on the snapshot.
            Unavailable: the journal or the store does not answer, or others have published meanwhile.
        """
        try:
            # A snapshot behind the very entry that was published last does not serve: its events may not all be out.
            beginning = begin(self._journal, snapshots, self.published.entry_offset)
        except JournalCorrupt:
            self._refuse_others()
            raise
        self._announcer, self._reader = beginning.announcer, beginning.reader
        self._read_to, self._followed = beginning.read_from, beginning.reader.last
        self._watchers.resume(self._announcer.standing(), beginning.recent)
        self.catch_up()

    def _refuse_others(self) -> None:
        """Refuse to go on where others have published since `claim`: what they had cut from the journal is no loss.

        Raises:
            Unavailable: they have.
        """
        known = self.published
        if self._log is not None:
            self._log.close()
            self._log = None
        self._open_event_log()
        if self.published != known:
            raise Unavailable("Others have published since this publisher took over.")

    def catch_up(self) -> None:
        """Follow what the journal holds by now.

        To be called again once a leader has opened its term, before `run`: until then others may have written.

        Raises:
            Unavailable: the journal does not answer.
        """
        _, end = self._journal.bounds()
        for record, entry in follow(self._journal, self._reader, self._read_to, end):
            if entry is not None:
                self._follow(record.offset, entry)
        self._read_to = end

    def feed(self, offset: int, entry: Entry) -> None:
        """Queue an entry that has become durable."""
        with self._changed:
            self._entries.append((offset, entry))
            self._changed.notify_all()

    def settled(self) -> "Future[None]":
        """Return what is done once all that was fed until now is followed, and watchers were told of it."""
        settled: Future[None] = Future()
        with self._changed:
            if self._stopping:
                settled.set_result(None)
            else:
                self._entries.append(settled)
                self._changed.notify_all()
        return settled

    def between(self, task: Task) -> None:
        """Have something done with the state once all that was fed until now is followed; it must be quick.

        It may be left undone at the end.
        """
        with self._changed:
            self._entries.append(task)
            self._changed.notify_all()

    def run(self) -> None:
        """Publish until `stop`, and then what is left."""
        while self.turn():
            pass

    def turn(self) -> bool:
        """Wait for entries, follow them, and publish some of what waits; return False at the end."""
        if not self._gather():
            return False
        try:
            self._publish()
        except Unavailable as error:
            log.warning("publishing failed; trying again", extra={"cause": error.message})
            self._reopen()
        return True

    @property
    def is_behind(self) -> bool:
        """Tell whether a turn would find something to do."""
        return bool(self._entries or self._pending)

    @property
    def waiting(self) -> tuple[int, int]:
        """Return how many entries wait to be followed, and how many events to be published; from any thread."""
        return len(self._entries), sum(len(records) for _, records in list(self._pending))

    def close(self) -> None:
        """Close the event log, and let go whoever waits for a publisher that never ran; safe to call twice."""
        with self._changed:
            waiting = [one for one in self._entries if isinstance(one, Future)]
            self._entries.clear()
        for one in waiting:
            _settle(one)
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
        for one in entries:
            if isinstance(one, Future):
                _settle(one)
            elif callable(one):
                one(self._announcer)
            else:
                self._follow(*one)
        return bool(self._pending) or not self._stopping

    def _follow(self, offset: int, entry: Entry) -> None:
        """Apply an entry and keep what it announces, unless all of that is published already."""
        if offset <= self._followed:
            return
        self._followed = offset
        announced = self._announcer.follow(entry.now_ms, entry.events)
        self._watchers.tell(announced, self._announcer.updates)
        told = [one for one in announced if one.sequence]
        if len(told) > self._published_of(offset):
            records = []
            for one in told:
                kind, value = encode_announcement(one)
                about = subject_of(one.fact)
                records.append(EventRecord(one.workflow, one.uid, one.sequence, kind, one.time_ms, value, about))
            self._pending.append((offset, records))

    def _published_of(self, offset: int) -> int:
        """Return how many events of the entry at an offset are published; of an earlier one, more than there can be."""
        if offset == self.published.entry_offset:
            return self.published.event_count
        return maxsize if offset < self.published.entry_offset else 0

    def _publish(self) -> None:
        """Publish what fits into one go; a large entry takes several."""
        if self._log is None:
            raise Unavailable("the event log is not open")
        events: list[EventRecord] = []
        position = self.published
        for offset, records in self._pending:
            if len(events) >= EVENTS_PER_PUBLISH_MAX:
                break
            start = self._published_of(offset)
            part = records[start : start + EVENTS_PER_PUBLISH_MAX - len(events)]
            events += part
            position = Position(offset, start + len(part))
        if events:
            self._log.publish(events, position)
            self.published = position
            self._drop_published()

    def _drop_published(self) -> None:
        """Drop entries whose events are all published."""
        while self._pending and len(self._pending[0][1]) <= self._published_of(self._pending[0][0]):
            self._pending.popleft()

    def _open_event_log(self) -> None:
        """Open an event log, which shuts earlier ones out, and read its position."""
        event_log = self._open_log()
        try:
            self.published = event_log.position()
        except BaseException:
            event_log.close()
            raise
        self._log = event_log

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
            self._open_event_log()
        except Unavailable as error:
            log.warning("the event log does not answer", extra={"cause": error.message})
            return
        self._drop_published()


def _settle(settled: "Future[None]") -> None:
    """Let somebody go on, unless nobody waits any more."""
    if settled.set_running_or_notify_cancel():
        settled.set_result(None)
