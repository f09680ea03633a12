"""From journal records to accepted entries: parts put together, the two reader rules, everything else counted as void.

A reader accepts an entry only if it names the latest opening and the latest accepted entry that the reader knows. So
what a deposed leader still managed to append changes nothing, for every reader alike.

A record of ours that cannot be read ends all reading, unless a later opening says that its leader went on without it,
as somebody had told it to. Then everything between the two is void, for every reader alike: what follows on something
unknown cannot be known either.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress

from google.protobuf.message import DecodeError

from gaia_core.errors import JournalCorrupt
from gaia_core.machine.events import EntriesLost
from gaia_core.ports import Journal, Record
from gaia_core.wire.frame import unwrap
from gaia_core.wire.journal import Entry, decode_entry


class RecordUnreadable(JournalCorrupt):
    """A record carries our mark but cannot be read.

    Attributes:
        record: which.
    """

    def __init__(self, record: Record, cause: JournalCorrupt) -> None:
        hint = cause.hint or "restore the journal from its backup"
        lossy = "--quarantine goes on from the entry before it, and forgets all that was decided since"
        super().__init__(cause.message, hint=f"{hint}; {lossy}")
        self.record = record


def follow(journal: Journal, reader: "EntryReader", start: int, end: int) -> Iterator[tuple[Record, Entry | None]]:
    """Yield each record with start ≤ offset < end, with the entry that it completes, if that is accepted.

    Raises:
        RecordUnreadable: one cannot be read, and nobody went on without it.
        JournalCorrupt: an entry follows on one that is not there.
        Unavailable: the journal does not answer.
    """
    for record in journal.read(start, end):
        try:
            entry = reader.feed(record)
        except RecordUnreadable:
            if not _was_passed_over(journal, record.offset):
                raise
            reader.pass_over(record.offset)
            entry = None
        yield record, entry


def _was_passed_over(journal: Journal, offset: int) -> bool:
    """Tell whether a later opening says that its leader went on without a record."""
    parts = EntryReader()
    for record in journal.read(offset + 1, journal.bounds()[1]):
        with suppress(JournalCorrupt):
            entry = parts.assemble(record)
            if entry is not None and _goes_on_without(entry, offset):
                return True
    return False


def _goes_on_without(entry: Entry, offset: int) -> bool:
    return entry.opening is not None and EntriesLost(offset) in entry.events


def _ignore(_: Record) -> None:
    """Do nothing."""


class EntryReader:
    """Feeds on records in order of offset, from the first one or behind an accepted entry.

    Attributes:
        foreign: shown each record without our mark.
        opening: offset of the latest opening; -1 before the first.
        last: offset of the latest accepted entry; -1 before the first.
        last_id: what its writer called it, which no other entry is called; b"" before the first.
        void: number of records that were passed over.
        lost: offset of a record that could not be read, until an opening that goes on without it; else None.
    """

    def __init__(self, foreign: Callable[[Record], None] = _ignore) -> None:
        self.foreign = foreign
        self.opening = -1
        self.last = -1
        self.last_id = b""
        self._assembled_id = b""
        self.void = 0
        self.lost: int | None = None
        self._parts: dict[bytes, list[bytes]] = {}

    @classmethod
    def behind(cls, opening: int, last: int, last_id: bytes) -> "EntryReader":
        """Return one that feeds on what follows on an accepted entry.

        Args:
            opening: offset of the latest opening.
            last: offset of the entry.
            last_id: what its writer called it.
        """
        reader = cls()
        reader.opening, reader.last, reader.last_id = opening, last, last_id
        return reader

    def feed(self, record: Record) -> Entry | None:
        """Take the next record; return the entry that it completes, if that is accepted.

        Raises:
            RecordUnreadable: the record is ours and cannot be read.
            JournalCorrupt: it follows on an entry that is not there.
        """
        try:
            entry = self.assemble(record)
        except JournalCorrupt as error:
            if self.lost is None:
                raise RecordUnreadable(record, error) from error
            entry = None
        if entry is None:
            return None
        if self.lost is not None:
            if not _goes_on_without(entry, self.lost):
                self.void += 1
                return None
            self.lost = None
        else:
            self._refuse_loss(record.offset, entry)
        if entry.opening is not None:
            self.opening = record.offset
            self._parts.clear()
        elif (entry.opening_offset, entry.previous_offset) != (self.opening, self.last):
            self.void += 1
            return None
        self.last, self.last_id = record.offset, self._assembled_id
        return entry

    def pass_over(self, offset: int) -> None:
        """Accept nothing behind a record that could not be read but an opening that goes on without it."""
        self.lost = offset
        self.void += 1
        self._parts.clear()

    def _refuse_loss(self, offset: int, entry: Entry) -> None:
        """Refuse an entry that names what was accepted once and is not there.

        A stray names something earlier than the latest; only a journal that lost records names something later.
        """
        same_term = entry.opening is not None or entry.opening_offset == self.opening
        named = entry.previous_offset if same_term else entry.opening_offset
        known = self.last if same_term else self.opening
        if named > known:
            raise JournalCorrupt(
                f"The journal entry at offset {offset} follows on the one at offset {named}, which is not there.",
                hint="the journal was cut, damaged or exchanged; restore it from its backup",
            )

    def assemble(self, record: Record) -> Entry | None:
        """Return the entry that a record completes, accepted or not."""
        frame = unwrap(record.offset, record.value)
        if frame is None:
            self.void += 1
            self.foreign(record)
            return None
        payload = frame.payload
        if frame.parts > 1:
            parts = self._parts.setdefault(frame.entry_id, [])
            if frame.part != len(parts):
                self.void += 1
                return None
            parts.append(payload)
            if len(parts) < frame.parts:
                return None
            payload = b"".join(self._parts.pop(frame.entry_id))
        self._assembled_id = frame.entry_id
        try:
            return decode_entry(payload)
        except (DecodeError, ValueError) as error:
            raise JournalCorrupt(f"The journal entry at offset {record.offset} cannot be decoded: {error}.") from error
