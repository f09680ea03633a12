"""One Gaia per data folder: a lock that ends with its process, however that ends.

Called by the composition root before it opens any file of the folder.
"""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from gaia_core.errors import NotAllowedNow, Unavailable

LOCK_FILE: Final = "gaia.lock"


class FolderLock:
    """A held lock; a context manager, or close()."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def close(self) -> None:
        """Let the next Gaia in; safe to call twice."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            # The file stays: whoever removes a lock file may remove the one that somebody else has just locked.
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def lock_folder(path: Path) -> FolderLock:
    """Lock a data folder for this process, making the folder where it is missing.

    Raises:
        NotAllowedNow: another process holds it; the message names its pid.
        Unavailable: the folder cannot be made or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise Unavailable(f"The data folder {path} cannot be used: {error.strerror}.") from error
    try:
        _take(path, descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return FolderLock(descriptor)


def _take(path: Path, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
        hint = "Stop it first, or give this one another data folder."
        raise NotAllowedNow(f"{path} is in use by another Gaia (pid {holder}).", hint=hint) from None
    except OSError as error:
        raise Unavailable(f"The data folder {path} cannot be locked: {error.strerror}.") from error
