"""Takes a snapshot: begins from the newest one, follows the journal behind it, and writes the state to the store.

For a process of its own beside the server's, so that neither the loop nor its followers ever stand still for one. It
only reads the journal; when to do it, and what may be cut from the journal then, is decided elsewhere (`upkeep`).
"""

from collections import deque
from typing import Final, NamedTuple

from gaia_core.coordinator.entries import follow
from gaia_core.coordinator.recovery import Beginning, begin
from gaia_core.coordinator.snapshots import Snapshots
from gaia_core.machine.public import Announcement
from gaia_core.ports import Journal
from gaia_core.wire.snapshot import Place, Snapshot

RECENT_MAX: Final = 10_000
"""Public events that a snapshot keeps: watchers come back some seconds after a restart, and have read almost all."""


class Taken(NamedTuple):
    """What there is after one was taken.

    Attributes:
        offset: that the newest good snapshot stands behind; -1 for none.
        size_bytes: how large it is.
        second_offset: that the one before stands behind, which was read and found good; -1 for none.
    """

    offset: int
    size_bytes: int = 0
    second_offset: int = -1


def take(journal: Journal, snapshots: Snapshots, below: int) -> Taken:
    """Take a snapshot behind the last accepted entry below an offset, and drop those before the one that it began from.

    Whatever stands behind that one stays: another taker, a deposed leader's say, may count on it.

    Args:
        journal: to be read.
        snapshots: where it goes.
        below: how far the journal may be entered: the published position, so that a publisher can begin from it too.

    Raises:
        JournalCorrupt: the journal cannot be read, or does not hold what follows on the newest snapshot.
        SnapshotDamaged: the store gives back something else than was written.
        Unavailable: journal or store do not answer.
    """
    beginning = begin(journal, snapshots)
    known = beginning.reader.last
    recent = deque(beginning.recent, RECENT_MAX)
    place = _follow(journal, beginning, below, recent)
    before = beginning.kept
    if place.offset == known:
        return Taken(-1) if before is None else Taken(before.offset, before.size_bytes)
    kept = snapshots.write(Snapshot(place, beginning.announcer, tuple(recent)))
    second = before.offset if before is not None else -1
    snapshots.drop_before(second)
    return Taken(kept.offset, kept.size_bytes, second)


def _follow(journal: Journal, beginning: Beginning, below: int, recent: deque[Announcement]) -> Place:
    """Follow the journal up to an offset, and return where the state stands then."""
    reader, announcer = beginning.reader, beginning.announcer
    reports_offset, leader_address = beginning.reports_offset, beginning.leader_address
    _, end = journal.bounds()
    for _, entry in follow(journal, reader, beginning.read_from, max(beginning.read_from, min(end, below))):
        if entry is not None:
            recent.extend(announcer.follow(entry.now_ms, entry.events))
            reports_offset = entry.reports_offset
            leader_address = entry.opening.leader_address if entry.opening is not None else leader_address
    return Place(reader.last, reader.opening, reports_offset, leader_address, reader.last_id)
