"""The snapshots of one shard in the store: found, read, written, and dropped when newer ones are good.

Each is one immutable object named by the journal offset that it stands behind, so a listing finds the newest. One that
cannot be read is passed over in favour of the one before. Called by whoever begins from one (`recovery`) and by the
process that takes them (`taking`).
"""

import hashlib
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from sys import maxsize
from typing import Final, NamedTuple

from gaia_core.errors import ObjectMissing, SnapshotDamaged
from gaia_core.ports import Store, Stored
from gaia_core.wire.snapshot import Snapshot, decode_snapshot, encode_snapshot
from gaia_core.workflow.keys import INTERNAL_PREFIX

LISTED_MAX: Final = 1_000
"""There are two or three; many more would mean that they cannot be deleted."""

DIGITS: Final = 20
"""Offsets with zeros before them sort as text; the largest has nineteen digits."""

log = logging.getLogger(__name__)


class Kept(NamedTuple):
    """A snapshot in the store."""

    offset: int
    stored: Stored

    @property
    def size_bytes(self) -> int:
        """Return how large it is."""
        return self.stored.size_bytes


def snapshot_folder(deployment: str, shard: int = 0) -> str:
    """Return where the snapshots of a shard lie, in the deployment's own bucket."""
    return f"{INTERNAL_PREFIX}{deployment}/snapshots/{shard}/"


class Snapshots:
    """The snapshots of one shard.

    Args:
        store: where they lie, in the deployment's own bucket.
        folder: under which they lie; see `snapshot_folder`.
    """

    def __init__(self, store: Store, folder: str) -> None:
        self._store = store
        self._folder = folder

    def listed(self) -> list[Kept]:
        """Return all there are, the newest first, whether they can be read or not.

        Raises:
            StoreError: the store does not answer.
        """
        found = self._store.list(None, self._folder, LISTED_MAX)
        names = ((one.path.removeprefix(self._folder), one) for one in found)
        return sorted((Kept(int(name), one) for name, one in names if name.isdecimal()), reverse=True)

    def newest(self, below: int = maxsize) -> tuple[Kept, Snapshot] | None:
        """Return the newest one behind an offset below this that can be read, or None.

        Raises:
            StoreError: the store does not answer.
        """
        for kept in self.listed():
            if kept.offset < below:
                try:
                    return kept, self.read(kept)
                except (SnapshotDamaged, ObjectMissing) as error:
                    log.warning("passed over a snapshot", extra={"offset": kept.offset, "cause": error.message})
        return None

    def read(self, kept: Kept) -> Snapshot:
        """Return what one holds.

        Raises:
            SnapshotDamaged: it cannot be read, or is another one's.
            ObjectMissing: it was dropped meanwhile.
            StoreError: the store does not answer.
        """
        snapshot = decode_snapshot(self._chunks(kept.stored))
        if snapshot.place.offset != kept.offset:
            raise SnapshotDamaged(f"The snapshot stands behind offset {snapshot.place.offset}, not {kept.offset}.")
        return snapshot

    def write(self, snapshot: Snapshot) -> Kept:
        """Write one, read it back, and compare.

        Raises:
            SnapshotDamaged: the store gave back something else.
            StoreError: the store does not take it.
        """
        path = f"{self._folder}{snapshot.place.offset:0{DIGITS}}"
        written = hashlib.sha256()
        with tempfile.TemporaryDirectory(prefix="gaia-snapshot-") as folder:
            local = Path(folder, "snapshot")
            with local.open("wb") as file:
                for chunk in encode_snapshot(snapshot):
                    written.update(chunk)
                    file.write(chunk)
            kept = Kept(snapshot.place.offset, self._store.put_file(None, path, local))
        read = hashlib.sha256()
        for chunk in self._chunks(kept.stored):
            read.update(chunk)
        if read.digest() != written.digest():
            raise SnapshotDamaged(f"The store gave back another snapshot {path!r} than was written.")
        return kept

    def drop_before(self, offset: int) -> None:
        """Delete those behind earlier offsets.

        Raises:
            StoreError: the store does not answer.
        """
        for kept in self.listed():
            if kept.offset < offset:
                self._store.delete_all(None, kept.stored.path, LISTED_MAX)

    def _chunks(self, stored: Stored) -> Iterator[bytes]:
        return self._store.open(None, stored.path, stored.version)
