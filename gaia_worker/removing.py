"""Folders removed beside what goes on: an end is told, and a slot is free, before thousands of files are gone.

Called by `gaia_worker.attempt` for what a success leaves. A folder is out of sight at once; a worker that is killed
leaves it where its next life clears it away.
"""

import logging
import threading
import uuid
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import Final

from gaia_worker.scratch import remove_folder

log = logging.getLogger(__name__)

ASIDE: Final = ".gone"
"""Beside the scratch folders of workers, whose names do not begin so."""

WAITING_MAX: Final = 16
"""With so many folders to remove whoever comes with another one waits: nobody may be faster than the disk for long."""


class Remover:
    """Removes folders in a thread of its own; to be closed."""

    def __init__(self, aside: Path) -> None:
        """Move folders to this one first, on the same disk; made where missing."""
        self._aside = aside
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="remove")
        self._lock = threading.Lock()
        self._waiting: set[Future[None]] = set()

    def remove(self, folder: Path) -> None:
        """Take a folder away at once, and remove it soon.

        Raises:
            OSError: it can neither be moved nor removed.
        """
        with self._lock:
            self._waiting = {one for one in self._waiting if not one.done()}
            is_much = len(self._waiting) >= WAITING_MAX
        if is_much:
            self.settle()
        place = self._aside / uuid.uuid4().hex
        try:
            self._aside.mkdir(parents=True, exist_ok=True)
            folder.rename(place)
        except OSError:  # a full disk may have no room for a name
            remove_folder(folder)
            return
        with self._lock:
            self._waiting.add(self._thread.submit(_remove, place))

    def settle(self) -> None:
        """Wait until what was taken away is gone."""
        with self._lock:
            waiting = set(self._waiting)
        wait(waiting)

    def clear(self) -> None:
        """Remove what an earlier life left, and what is being removed."""
        self.settle()
        remove_folder(self._aside)

    def close(self) -> None:
        """Finish, and end the thread; safe to call twice."""
        self._thread.shutdown(wait=True)
        with suppress(OSError):
            self._aside.rmdir()


def _remove(folder: Path) -> None:
    try:
        remove_folder(folder)
    except OSError as problem:
        log.warning("scratch not cleared", extra={"folder": str(folder), "cause": str(problem)})
