"""Names in folders that other people may change at any moment: opened one by one, never through a symbolic link.

Called by the folder store alone. Nothing here knows of versions.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from gaia_core.backends.store_paths import path_problem

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Non-blocking, since a FIFO that somebody left there would hold us up for ever."""

_ABSENT: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO})
"""What the system says where there is no file, a link, or a socket."""


class Found(NamedTuple):
    """A regular file: its path and what it is like."""

    path: str
    status: os.stat_result


class Place(NamedTuple):
    """A name in an open folder, with a file there or not."""

    folder: int
    name: str

    def file_status(self) -> os.stat_result | None:
        """Return what the regular file here is like, or None where there is none."""
        status = self._status()
        return status if status is not None and stat.S_ISREG(status.st_mode) else None

    def is_folder(self) -> bool:
        """Tell whether a folder is here, a link to one not counted."""
        status = self._status()
        return status is not None and stat.S_ISDIR(status.st_mode)

    def is_taken(self) -> bool:
        """Tell whether anything is here."""
        return self._status() is not None

    def open_file(self) -> int | None:
        """Return a new descriptor of the regular file here, or None where there is none."""
        try:
            descriptor = os.open(self.name, _READ, dir_fd=self.folder)
        except OSError as error:
            if is_absent(error):
                return None
            raise
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
        return None

    def open_folder(self) -> int:
        """Return a new descriptor of the folder here; `is_absent` tells of what is raised where there is none."""
        return os.open(self.name, _FOLDER, dir_fd=self.folder)

    def remove(self) -> None:
        """Remove the file; nothing happens where there is none."""
        try:
            os.unlink(self.name, dir_fd=self.folder)
        except FileNotFoundError:
            return

    def _status(self) -> os.stat_result | None:
        try:
            return os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)
        except OSError as error:
            if is_absent(error):
                return None
            raise


def is_absent(error: OSError) -> bool:
    """Tell whether the error only says that there is no such file, or no folder that could hold it."""
    return error.errno in _ABSENT


@contextmanager
def opened_folder(path: Path) -> Iterator[int]:
    """Yield a descriptor of a folder that only Gaia writes."""
    descriptor = os.open(path, _FOLDER)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def walk(folder: int, start: str, prefix: str) -> Iterator[Found]:
    """Yield the regular files below an open folder in path order.

    What cannot be an object's path is passed over, and so is what disappears meanwhile.

    Args:
        folder: descriptor; stays open and stays the caller's.
        start: path of the folder, "" or with a "/" at its end.
        prefix: only paths that begin with it; it begins with start.
    """
    with os.scandir(folder) as entries:
        # A folder sorts as its files do: "a-b" lies before "a/b".
        ordered = sorted((entry.name + "/" if entry.is_dir(follow_symlinks=False) else entry.name) for entry in entries)
    for name in ordered:
        path = start + name
        if path.startswith(prefix) and path_problem(path.removesuffix("/")) is None:
            yield from _below(Place(folder, name.removesuffix("/")), path, prefix)


def _below(place: Place, path: str, prefix: str) -> Iterator[Found]:
    if not path.endswith("/"):
        status = place.file_status()
        if status is not None:
            yield Found(path, status)
        return
    try:
        inner = place.open_folder()
    except OSError as error:
        if is_absent(error):
            return
        raise
    try:
        yield from walk(inner, path, prefix)
    finally:
        os.close(inner)
