"""Where files of secrets lie while programs run that need them, and what becomes of those that a killed worker left.

- `.secrets/RANDOM/ATTEMPT/`: of one life of one worker, which holds a lock on its folder as long as it lives

The kernel lets go of the lock however a worker ends. So the next worker that starts beside it, whatever its name, can
tell the dead from the living, and removes what they left. A program's engine sees the folder where it sees the scratch
folder; a place in memory alone, as /dev/shm, an engine elsewhere would not see. Called by `gaia_worker.attempt`.
"""

import fcntl
import logging
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from gaia_worker.scratch import remove_folder

log = logging.getLogger(__name__)

FOLDER: Final = ".secrets"
"""Beside the scratch folders of workers, whose names do not begin so."""

PRIVATE: Final = 0o700

_OPEN: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class SecretFiles:
    """The folder of one life of one worker, made once something needs it; to be closed."""

    def __init__(self, parent: Path) -> None:
        """Make the folder in this one, which all workers of a scratch folder have in common."""
        self._parent = parent
        self._guard = threading.Lock()
        self._own: tuple[Path, int] | None = None

    def place(self, attempt: str) -> Path:
        """Return where an attempt's files may be put; the caller makes that folder, and removes it.

        Raises:
            OSError: there is no room for a folder.
        """
        with self._guard:
            if self._own is None:
                self._parent.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
                with self._alone():
                    folder = Path(tempfile.mkdtemp(dir=self._parent))
                    self._own = folder, os.open(folder, _OPEN)
                    _lock(self._own[1], fcntl.LOCK_EX | fcntl.LOCK_NB)
            return self._own[0] / attempt

    def clear(self) -> None:
        """Remove what workers left that are no more."""
        with suppress(FileNotFoundError, PermissionError), self._alone():  # none was needed yet, or they are another's
            for folder in list(self._parent.iterdir()):
                with suppress(OSError):
                    descriptor = os.open(folder, _OPEN)
                    try:
                        if _lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB):
                            remove_folder(folder)
                            log.warning("secrets of a killed worker removed", extra={"folder": str(folder)})
                    finally:
                        os.close(descriptor)

    def close(self) -> None:
        """Remove the folder; safe to call twice."""
        with self._guard:
            own, self._own = self._own, None
        if own is not None:
            with suppress(OSError):
                remove_folder(own[0])
            os.close(own[1])

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep others from making or removing folders: one is not yet locked when it is made."""
        descriptor = os.open(self._parent, _OPEN)
        try:
            _lock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _lock(descriptor: int, how: int) -> bool:
    """Lock an open folder; False where somebody holds it, or the file system has no locks: then nobody removes it."""
    try:
        fcntl.flock(descriptor, how)
    except OSError:
        return False
    return True
