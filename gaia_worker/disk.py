"""What running attempts write: measured now and then, and ended where it is more than they may, or the disk is full.

A measure is a look at every file, so it is taken the less often the longer it takes: the watch never needs more than a
small share of a processor. One thread for all attempts of a worker, while there are any. Called by
`gaia_worker.attempt`.
"""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from gaia_core.workflow.model import FailureClass
from gaia_worker.failing import AttemptFailed
from gaia_worker.scratch import used_bytes

log = logging.getLogger(__name__)

PAUSE_S: Final = 1.0
DUTY: Final = 20
"""The pause is at least so many times what the last measure took."""

NOWHERE: Final[Mapping[Path, Path]] = MappingProxyType({})

RESERVE_BYTES: Final = 256 * 1024 * 1024
RESERVE_SHARE: Final = 100
"""The disk counts as full below this many bytes or this part of it, whichever is less."""

Stop = Callable[[AttemptFailed], None]


@dataclass(slots=True)
class _Watched:
    """One attempt: its folders, others that come and go, how much they may hold, what ends it, how much there was."""

    folders: tuple[Path, ...]
    others: Mapping[Path, Path]
    size_bytes_max: int
    stop: Stop
    used_bytes: int = 0
    ended: bool = False


class DiskWatch:
    """Watches the folders of a worker's running attempts."""

    def __init__(self, pause_s: float = PAUSE_S) -> None:
        """Watch nothing yet.

        Args:
            pause_s: the least time between two looks.
        """
        self._pause_s = pause_s
        self._lock = threading.Lock()
        self._watched: list[_Watched] = []
        self._thread: threading.Thread | None = None
        self._none_left = threading.Event()

    @contextmanager
    def watching(
        self, folders: tuple[Path, ...], size_bytes_max: int, stop: Stop, others: Mapping[Path, Path] = NOWHERE
    ) -> Iterator[None]:
        """Watch an attempt's folders as long as the context lasts.

        Args:
            folders: what its program may write; they are there.
            size_bytes_max: how much they may hold on the disk, together.
            stop: called at most once, from another thread, with the failure that the attempt then is.
            others: an executor's `elsewhere`, which may change meanwhile; its values are watched, too.
        """
        watched = _Watched(folders, others, size_bytes_max, stop)
        with self._lock:
            self._watched.append(watched)
            self._none_left.clear()
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="disk", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._watched.remove(watched)
                watched.ended = True
                if not self._watched:
                    self._none_left.set()

    def look(self) -> None:
        """Measure every attempt once and end those that must not go on."""
        with self._lock:
            watched = list(self._watched)
        for one in watched:
            places = (*one.folders, *tuple(one.others.values()))
            one.used_bytes = sum(used_bytes(place, one.size_bytes_max) for place in places)
            if one.used_bytes > one.size_bytes_max:
                message = f"it wrote more than the {one.size_bytes_max} bytes that an attempt may (GAIA_DISK_BYTES)"
                self._end(one, AttemptFailed(FailureClass.COMMAND, message))
        largest = max((one for one in watched if not one.ended), key=lambda one: one.used_bytes, default=None)
        if largest is not None:
            self._spare_disk(largest)

    def _spare_disk(self, largest: _Watched) -> None:
        """End the attempt that wrote most if hardly anything is left, and its end would bring back as much."""
        try:
            usage = shutil.disk_usage(largest.folders[0])
        except OSError:
            return
        reserve_bytes = min(RESERVE_BYTES, usage.total // RESERVE_SHARE)
        if usage.free < reserve_bytes <= largest.used_bytes:
            message = (
                f"the disk of the worker is full: {usage.free} bytes are left, "
                f"and of what runs there this attempt wrote most, {largest.used_bytes} bytes"
            )
            self._end(largest, AttemptFailed(FailureClass.ENGINE, message))

    def _end(self, one: _Watched, problem: AttemptFailed) -> None:
        with self._lock:
            if one.ended:
                return
            one.ended = True
        log.warning("attempt ended for its files", extra={"cause": problem.message})
        one.stop(problem)

    def _watch(self) -> None:
        """Look again and again until nothing is left to watch."""
        pause_s = self._pause_s
        while True:
            if self._none_left.wait(pause_s):
                with self._lock:
                    if not self._watched:
                        self._thread = None
                        return
            began_s = time.monotonic()
            self.look()
            pause_s = max(self._pause_s, DUTY * (time.monotonic() - began_s))
