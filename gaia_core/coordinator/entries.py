"""From journal records to accepted entries: parts put together, the two reader rules, everything else counted as void.

A reader accepts an entry only if it names the latest opening and the latest accepted entry that the reader knows. So
what a deposed leader still managed to append changes nothing, for every reader alike.
"""

from collections.abc import Callable

from google.protobuf.message import DecodeError

from gaia_core.errors import JournalCorrupt
from gaia_core.ports import Record
from gaia_core.wire.frame import unwrap
from gaia_core.wire.journal import Entry, decode_entry


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
    """

    def __init__(self, foreign: Callable[[Record], None] = _ignore) -> None:
        self.foreign = foreign
        self.opening = -1
        self.last = -1
        self.last_id = b""
        self._assembled_id = b""
        self.void = 0
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
            JournalCorrupt: the record is ours and cannot be read, or follows on an entry that is not there.
        """
        entry = self.assemble(record)
        if entry is None:
            return None
        self._refuse_loss(record.offset, entry)
        if entry.opening is not None:
            self.opening = record.offset
            self._parts.clear()
        elif (entry.opening_offset, entry.previous_offset) != (self.opening, self.last):
            self.void += 1
            return None
        self.last, self.last_id = record.offset, self._assembled_id
        return entry

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
