"""Simulated snapshots: the way of each process to them, and the process beside a server that takes them.

That process stands in for both sides of `gaia_core.snapshot_process`. Its junctures, and those of whoever begins from a
snapshot: "read a snapshot", "before put a snapshot", "put a snapshot", "after put a snapshot", "before dropping
snapshots".
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

from gaia_core.coordinator.snapshots import Snapshots, snapshot_folder
from gaia_core.coordinator.taking import Taken, take
from gaia_core.errors import SnapshotDamaged, StoreError, Unavailable
from gaia_core.ports import Stored
from tests.chaos.surroundings import DEPLOYMENT, JournalLog, SimJournal, SimStore
from tests.chaos.world import Process, World

FOLDER: Final = snapshot_folder(DEPLOYMENT)


class SnapshotStore:
    """The store as one process sees it that reads or writes snapshots."""

    def __init__(self, process: Process, store: SimStore) -> None:
        self._process, self._store = process, store

    def list(self, bucket: str | None, prefix: str, most: int) -> list[Stored]:
        return self._store.list(bucket, prefix, most)

    def open(self, bucket: str | None, path: str, version: str) -> Iterator[bytes]:
        if self._process.meet("read a snapshot") is not None:
            raise StoreError("The store does not answer.")
        return self._store.open(bucket, path, version)

    def put_file(self, bucket: str | None, path: str, source: Path) -> Stored:
        process = self._process
        process.meet("before put a snapshot")
        fault = process.meet("put a snapshot")
        if fault is not None and fault.kind == "refused":
            raise StoreError("The store does not answer.")
        found = self._store.put_file(bucket, path, source)
        process.tell(f"wrote a snapshot behind {int(path.removeprefix(FOLDER))}")
        if fault is not None:
            raise StoreError("The store did not say that it took the snapshot.")
        process.meet("after put a snapshot")
        return found

    def delete_all(self, bucket: str | None, prefix: str, most: int) -> int:
        self._process.meet("before dropping snapshots")
        return self._store.delete_all(bucket, prefix, most)


def snapshots_of(process: Process, store: SimStore) -> Snapshots:
    """Return the snapshots as one process sees them."""
    return Snapshots(SnapshotStore(process, store), FOLDER)  # type: ignore[arg-type]


class SimTaker(Process):
    """Takes snapshots for one server, one life for each.

    `take` cannot wait here: it says that nothing was taken, and what comes of it is there when it is asked again.

    Args:
        ended: called, in nobody's time, once a snapshot was taken.
    """

    def __init__(self, world: World, name: str, log: JournalLog, ended: Callable[[], object]) -> None:
        super().__init__(world, name)
        self.store: SimStore
        self.taken: Taken | None = None
        self.below = -1
        self._log, self._ended = log, ended

    def take(self, below: int) -> Taken:
        """Return what was taken since the last call, or begin to take one.

        Raises:
            Unavailable: none was taken yet.
        """
        taken, self.taken = self.taken, None
        if taken is not None:
            return taken
        if not self.is_alive:
            self.born()
            self.below = below
            self.later(self.world.soon(1.0), self._work)
        raise Unavailable("It is being taken.")

    def stop(self) -> None:
        """End with the leader, or soon after it."""
        self.taken = None
        self.kill()

    def _work(self) -> None:
        try:
            taken = take(SimJournal(self, self._log), snapshots_of(self, self.store), self.below)
        except (Unavailable, SnapshotDamaged) as error:
            self.tell(f"took no snapshot: {error.message}")
        else:
            self.world.later(self.world.soon(1.0), partial(self._hand_over, self.life, taken))
        self._is_killed = True  # its work is done

    def _hand_over(self, life: int, taken: Taken) -> None:
        if self.life == life:
            self.taken = taken
            self._ended()


def damage(store: SimStore, tell: Callable[[str, str], Any]) -> bool:
    """Flip a byte of the newest snapshot, if there is another good one, as there should be."""
    kept = Snapshots(store, FOLDER).listed()
    places = [(one.stored.path, one.stored.version) for one in kept]
    if len(places) < 2 or store.damaged & set(places):
        return False
    tell("store", f"damages the snapshot behind {kept[0].offset}")
    store.damage(*places[0])
    return True
