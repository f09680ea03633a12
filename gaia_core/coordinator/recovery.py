"""Where everybody begins who follows the journal: the newest snapshot that serves, and the place to read on from.

Refuses what a journal and its snapshots cannot be together: a journal that ends before a snapshot, or begins behind
it, was cut, lost or exchanged. Called by the leader's term, the publisher, standbys, and who takes snapshots.
"""

from dataclasses import dataclass, field
from sys import maxsize
from typing import Final

from gaia_core.coordinator.entries import EntryReader
from gaia_core.coordinator.memory import building
from gaia_core.coordinator.snapshots import Kept, Snapshots
from gaia_core.errors import JournalCorrupt, Unavailable
from gaia_core.machine.public import Announcement, Announcer
from gaia_core.ports import Journal
from gaia_core.wire.frame import unwrap
from gaia_core.wire.snapshot import Place

_RESTORE: Final = "the journal was cut, lost or exchanged; restore it, and the store, from one backup"

_LATER_COPY: Final = "if the store's copy is later than the journal's, delete that snapshot: the one before serves"


@dataclass(slots=True)
class Beginning:
    """A state, and how the journal goes on behind it.

    Attributes:
        announcer: the state with what was announced of it; empty where there is no snapshot.
        reader: knows the last accepted entry.
        read_from: offset of the next record.
        reports_offset: of the reports to read next.
        leader_address: by which clients reach the leader of then.
        recent: the latest announcements before it, the oldest first.
        kept: the snapshot, if there is one.
    """

    announcer: Announcer = field(default_factory=Announcer)
    reader: EntryReader = field(default_factory=EntryReader)
    read_from: int = 0
    reports_offset: int = 0
    leader_address: str = ""
    recent: tuple[Announcement, ...] = ()
    kept: Kept | None = None


def begin(journal: Journal, snapshots: Snapshots | None, below: int = maxsize) -> Beginning:
    """Return where to begin.

    Args:
        journal: what will be read on from there.
        snapshots: None where there are none.
        below: a snapshot behind an entry at this offset, or a later one, does not serve.

    Raises:
        JournalCorrupt: the journal does not hold what follows.
        Unavailable: the journal or the store does not answer, or the journal was cut meanwhile.
    """
    listed = snapshots.listed() if snapshots is not None else []
    _, end = journal.bounds()  # after the listing: what is taken in between stands behind what the journal held
    if listed and listed[0].offset >= end:
        message = f"There is a snapshot behind journal offset {listed[0].offset}, but the journal ends at {end}."
        raise JournalCorrupt(message, hint=f"{_RESTORE}; {_LATER_COPY}")
    with building():
        found = snapshots.newest(below) if snapshots is not None else None
    beginning = Beginning()
    if found is not None:
        kept, snapshot = found
        place = snapshot.place
        reader = EntryReader.behind(place.opening_offset, place.offset, place.entry_id)
        beginning = Beginning(
            snapshot.announcer,
            reader,
            place.offset + 1,
            place.reports_offset,
            place.leader_address,
            snapshot.recent,
            kept,
        )
    start, _ = journal.bounds()
    if start > beginning.read_from:
        if snapshots is not None and snapshots.listed() != listed:
            raise Unavailable("The journal was cut while a snapshot was read.", hint="try again")
        _refuse_hole(start, beginning.kept)
    if found is not None and start <= place.offset:
        _refuse_another(journal, place)
    return beginning


def _refuse_another(journal: Journal, place: Place) -> None:
    """Refuse a journal that holds another entry where the snapshot knows one."""
    for record in journal.read(place.offset, place.offset + 1):
        frame = unwrap(record.offset, record.value)
        if frame is not None and frame.entry_id == place.entry_id:
            return
    message = f"The journal entry at offset {place.offset} is not the one that the snapshot behind it knows."
    raise JournalCorrupt(message, hint=_RESTORE)


def _refuse_hole(start: int, kept: Kept | None) -> None:
    known = f"the latest snapshot that serves stands behind offset {kept.offset}" if kept else "no snapshot serves"
    raise JournalCorrupt(f"The journal begins at offset {start}, and {known}.", hint=_RESTORE)
