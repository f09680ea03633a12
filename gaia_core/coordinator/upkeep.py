"""Keeps the journal short: has a snapshot taken when the journal has grown enough, and cuts what nobody needs then.

Runs in a thread of the leader's and only waits there; another process does the work. Whatever fails is tried again
later: all that suffers is the size of the journal.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from gaia_core.coordinator.snapshots import Snapshots
from gaia_core.coordinator.taking import Taken
from gaia_core.errors import GaiaError
from gaia_core.ports import Journal

LOOK_EVERY_S: Final = 1.0

AGAIN_S: Final = 60.0
"""Pause after a failure: taking a snapshot costs a processor for a while."""

log = logging.getLogger(__name__)


class Taker(Protocol):
    """Takes snapshots, in a process of its own."""

    def take(self, below: int) -> Taken:
        """Take one below a journal offset, and wait for it.

        Raises:
            Unavailable: none was taken.
        """

    def stop(self) -> None:
        """Give up the one that is being taken, and take no more; from any thread."""


class Upkeep:
    """Has snapshots taken for one leader.

    Args:
        journal: to be cut.
        snapshots: where they lie.
        taker: takes them.
        grown_bytes: how much was journaled since the snapshot that the leader began from.
        published_offset: of the entry that was published last.
        bytes_min: the journal has to grow by so much, and by the size of the newest snapshot; 0 for never.
        wall_clock: seconds since the epoch.

    Attributes:
        taken_s: when it had the newest snapshot taken; 0 before the first.
    """

    def __init__(
        self,
        journal: Journal,
        snapshots: Snapshots,
        taker: Taker,
        grown_bytes: Callable[[], int],
        published_offset: Callable[[], int],
        bytes_min: int,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._journal = journal
        self._snapshots = snapshots
        self._taker = taker
        self._grown_bytes = grown_bytes
        self._published_offset = published_offset
        self._bytes_min = bytes_min
        self._wall_clock = wall_clock
        self.taken_s = 0.0
        self._newest_bytes = 0
        self._grown_before = 0
        self._stopping = threading.Event()

    def run(self) -> None:
        """Look after the journal until `stop`."""
        pause_s = 0.0
        while self._bytes_min and not self._stopping.wait(pause_s):
            pause_s = LOOK_EVERY_S
            try:
                self.look()
            except GaiaError as error:
                if not self._stopping.is_set():
                    log.warning("no snapshot was taken; trying again", extra={"cause": error.message})
                pause_s = AGAIN_S

    @property
    def newest_bytes(self) -> int:
        """Return the size of the newest snapshot; 0 while it is not known."""
        return self._newest_bytes

    def stop(self) -> None:
        """Make `run` return, and take no more snapshots."""
        self._stopping.set()
        self._taker.stop()

    def look(self) -> None:
        """Have a snapshot taken if it is time, and cut the journal.

        Raises:
            GaiaError: something failed.
        """
        grown = self._grown_bytes()
        if not self._newest_bytes:
            self._newest_bytes = next((kept.size_bytes for kept in self._snapshots.listed()), 1)
        if grown - self._grown_before < max(self._bytes_min, self._newest_bytes):
            return
        published = self._published_offset()
        if published < 0:
            return
        taken = self._taker.take(published)
        if taken.offset < 0:
            return
        self._grown_before, self._newest_bytes = grown, taken.size_bytes
        self.taken_s = self._wall_clock()
        before = min(taken.second_offset + 1, published)
        log.info("took a snapshot", extra={"offset": taken.offset, "bytes": taken.size_bytes, "cut_before": before})
        if before > 0:
            self._journal.cut(before)
