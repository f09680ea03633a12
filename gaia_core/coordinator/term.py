"""One term in office: replay the journal, open the term, append entries that name their predecessors.

The only writer of the journal. Whatever goes wrong with an append ends the term: what the state holds is then not
known to be durable, and must be rebuilt from the journal.
"""

import logging
import secrets
from collections import deque
from collections.abc import Sequence
from typing import Final

from gaia_core.coordinator.entries import EntryReader, RecordUnreadable, follow
from gaia_core.coordinator.recovery import begin
from gaia_core.coordinator.snapshots import Snapshots
from gaia_core.errors import JournalCorrupt, Unavailable
from gaia_core.machine.events import EntriesLost, Event
from gaia_core.machine.state import Deployment
from gaia_core.ports import Aside, Journal, Record, SetAside, nowhere
from gaia_core.wire.frame import wrap
from gaia_core.wire.journal import Entry, Opening, encode_entry

FOREIGN_MOST: Final = 64
"""Foreign records of a replay that are put aside, the newest: each may have a megabyte."""

log = logging.getLogger(__name__)


class TermEnded(Unavailable):
    """Another leader took office, or an append's outcome is unknown; the state must be dropped."""


class Term:
    """This process's time as the leader.

    Args:
        journal: written by this term alone.
        set_aside: keeps foreign records, those of a replay as far as no earlier term met them.

    Attributes:
        number: offset of the opening entry; grows from term to term.
        state: the deployment, as of the last entry.
        reports_offset: offset of the reports to read next.
        may_lose: go on without what cannot be read; see `entries`.
        grown_bytes: what was journaled, by this term and before, since the snapshot that it began from.
    """

    def __init__(self, journal: Journal, set_aside: SetAside = nowhere) -> None:
        self.state = Deployment()
        self.number = -1
        self.reports_offset = 0
        self.grown_bytes = 0
        self.may_lose = False
        self._journal = journal
        self._set_aside = set_aside
        self._foreign: deque[Record] = deque(maxlen=FOREIGN_MOST)
        self._reader = EntryReader(self._foreign.append)
        self._end = 0

    @property
    def void_records(self) -> int:
        """Return the number of journal records that were passed over."""
        return self._reader.void

    def open(self, now_ms: int, leader_address: str, version: str, snapshots: Snapshots | None = None) -> None:
        """Begin from the newest snapshot, replay the journal behind it, and take office.

        Args:
            now_ms: the time; never earlier than the journal's.
            leader_address: by which clients reach this server.
            version: of this Gaia.
            snapshots: None where there are none.

        Raises:
            JournalCorrupt: a record of ours cannot be read, or the journal does not hold what follows on the snapshot.
            Unavailable: journal or store do not answer, or somebody else took office meanwhile.
        """
        beginning = begin(self._journal, snapshots)
        self.state, self._reader = beginning.announcer.state, beginning.reader
        self._reader.foreign = self._foreign.append
        self.reports_offset = beginning.reports_offset
        _, self._end = self._journal.bounds()
        lost = self._replay_what_is_left(beginning.read_from, self._end)
        self._pass_over(self._foreign)
        opening = Opening(secrets.token_bytes(16), leader_address, version)
        entry = Entry(-1, self._reader.last, max(now_ms, self.state.now_ms), lost, self.reports_offset, opening)
        offset = self._journal.append(wrap(encode_entry(entry), secrets.token_bytes(8)))[-1]
        self._replay(self._end, offset + 1)
        self._end = offset + 1
        self.number = offset

    def append(self, events: Sequence[Event], now_ms: int, reports_offset: int) -> tuple[int, Entry]:
        """Make events durable; return the entry and its offset.

        Raises:
            TermEnded: the append failed, or another leader wrote in between.
            RecordUnreadable: somebody wrote what has our mark and cannot be read.
        """
        entry = Entry(self.number, self._reader.last, now_ms, tuple(events), reports_offset)
        records = wrap(encode_entry(entry), secrets.token_bytes(8))
        try:
            offsets = self._journal.append(records)
        except Unavailable as error:
            raise TermEnded(f"The journal took no entry: {error.message}", hint=error.hint) from error
        if offsets != list(range(self._end, self._end + len(offsets))):
            self._check_strangers(offsets[-1], offsets)
            self._pass_over(self._foreign)
        self._end = offsets[-1] + 1
        self._reader.last = offsets[-1]
        self.reports_offset = reports_offset
        self.grown_bytes += sum(map(len, records))
        return offsets[-1], entry

    def confirm(self) -> None:
        """Make sure that nobody else has taken office; for answers that follow from no entry.

        Raises:
            TermEnded: somebody has.
            Unavailable: the journal does not answer.
        """
        _, end = self._journal.bounds()
        if end > self._end:
            self._check_strangers(end)
            self._pass_over(self._foreign)
            self._end = end

    def _replay_what_is_left(self, start: int, end: int) -> tuple[Event, ...]:
        """Replay up to a record that cannot be read, or the end; return what the opening has to say of that."""
        try:
            self._replay(start, end)
        except RecordUnreadable as error:
            if not self.may_lose:
                raise
            self._lose(error.record, error.message, end)
            return (EntriesLost(error.record.offset),)
        return ()

    def _lose(self, record: Record, cause: str, end: int) -> None:
        """Put a record that cannot be read aside, and let nothing count behind it."""
        details = {"offset": record.offset, "cause": cause, "last_entry": self._reader.last, "lost_to": end}
        log.error("went on without what the journal holds from a record on that cannot be read", extra=details)
        self._set_aside(Aside("journal", 0, record.offset, cause, record.value))
        self._reader.pass_over(record.offset)
        self._reader.void += end - record.offset - 1

    def _replay(self, start: int, end: int) -> None:
        for record, entry in follow(self._journal, self._reader, start, end):
            self.grown_bytes += len(record.value)
            if entry is not None:
                if entry.opening is not None:
                    self._foreign.clear()
                self.state.now_ms = max(self.state.now_ms, entry.now_ms)
                self.reports_offset = entry.reports_offset
                for event in entry.events:
                    self.state.apply(event)

    def _check_strangers(self, end: int, ours: Sequence[int] = ()) -> None:
        """Look at what others wrote since our last entry, up to an offset; all of it must be void."""
        strangers = EntryReader(self._foreign.append)
        for record in self._journal.read(self._end, end):
            if record.offset not in ours:
                try:
                    entry = strangers.assemble(record)
                except JournalCorrupt as error:
                    raise RecordUnreadable(record, error) from error
                if entry is not None and (entry.opening is not None or entry.opening_offset == self.number):
                    raise TermEnded(f"Another leader wrote at offset {record.offset} of the journal.")
                self._reader.void += 1

    def _pass_over(self, foreign: deque[Record]) -> None:
        """Put foreign records of the journal aside, once."""
        while foreign:
            record = foreign.popleft()
            cause = "record of the journal without our mark"
            log.warning("passed over a foreign record", extra={"offset": record.offset, "cause": cause})
            self._set_aside(Aside("journal", 0, record.offset, cause, record.value))
