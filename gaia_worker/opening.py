"""Files and folders below a folder of ours that a program has written: opened name by name, through no link.

A path below the folder is text with "/" between names, "" for the folder itself. Nothing is opened that is no regular
file or folder: opening a pipe may block, opening a device may do something. Called by what reads outputs.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

KINDS: Final = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
}


@contextmanager
def opened_folder(root: Path, path: str) -> Iterator[int]:
    """Yield a descriptor of a folder.

    Raises:
        OSError: a name on the way is no folder, or may not be opened.
    """
    descriptor = os.open(root, _FOLDER)
    try:
        for name in filter(None, path.split("/")):
            inner = os.open(name, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def status_of(root: Path, path: str) -> os.stat_result:
    """Return what lies at a path, a link itself if it is one; raises as `opened_folder`."""
    folder, _, name = path.rpartition("/")
    with opened_folder(root, folder) as descriptor:
        return os.stat(name or ".", dir_fd=descriptor, follow_symlinks=False)


def link_target(root: Path, path: str) -> str:
    """Return what a symbolic link says; raises as `opened_folder`, also where there is no link."""
    folder, _, name = path.rpartition("/")
    with opened_folder(root, folder) as descriptor:
        return os.readlink(name, dir_fd=descriptor)


def open_file(root: Path, path: str) -> BinaryIO:
    """Open a regular file for reading.

    Raises:
        OSError: as `opened_folder`, or it is no regular file.
    """
    folder, _, name = path.rpartition("/")
    with opened_folder(root, folder) as parent:
        _refuse_others(os.stat(name, dir_fd=parent, follow_symlinks=False), path)
        descriptor = os.open(name, _FILE, dir_fd=parent)
    file = os.fdopen(descriptor, "rb", buffering=0)
    try:
        _refuse_others(os.fstat(descriptor), path)
    except OSError:
        file.close()
        raise
    return file


def kind_of(status: os.stat_result) -> str:
    """Say in words what something is."""
    return KINDS.get(stat.S_IFMT(status.st_mode), "a file")


def _refuse_others(status: os.stat_result, path: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(f"{path!r} is {kind_of(status)}")
