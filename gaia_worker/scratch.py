"""The folders of attempts: removed whatever a program made of them, put aside on request, measured.

A program's tree may be deeper than a path can be long, and locked against its own owner. Nothing here follows a link,
and files are never changed, only folders: a file may be the cache's, by a hard link. Called by `gaia_worker.attempt`.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

KEPT: Final = "kept"
"""Folder beside those of the workers."""

KEPT_MAX: Final = 100
"""Attempts; what is kept is also bounded by its size."""

BLOCK_BYTES: Final = 512
"""Unit of st_blocks, whatever the file system's. Source: stat(2), inode(7)."""

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that is in it; nothing happens where there is none.

    Folders inside are first moved up, beside each other, so that depth costs neither descriptors nor paths.

    Raises:
        OSError: something cannot be removed: it is another user's, or in use as a mount.
    """
    if not os.path.lexists(folder):
        return
    if folder.is_symlink() or not folder.is_dir():
        folder.unlink()
        return
    _unlock(folder.name, None, folder)
    top = os.open(folder, _FOLDER)
    try:
        _empty(top)
    finally:
        os.close(top)
    folder.rmdir()


def keep_folder(folder: Path, kept: Path, size_bytes_max: int) -> bool:
    """Put an attempt's folder aside, and remove what was put aside longest ago as far as it is too much.

    Args:
        folder: the attempt's.
        kept: its new place; folders beside it are those kept before.
        size_bytes_max: of all that is kept; a larger folder is not.

    Returns:
        Whether it was kept; it is where it was otherwise.
    """
    if used_bytes(folder) > size_bytes_max:
        return False
    remove_folder(kept)
    kept.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(kept)
    os.utime(kept)  # the folder's own time is the program's
    left = size_bytes_max
    for number, (_, other) in enumerate(sorted(_times(kept.parent), reverse=True)):
        left -= used_bytes(other)
        if left < 0 or number >= KEPT_MAX:
            with suppress(OSError):
                remove_folder(other)
    return True


def used_bytes(folder: Path, stop_at: int | None = None) -> int:
    """Return the room that a folder's files, or one file, take on the disk, holes not counted; each counts once.

    It may change meanwhile: what cannot be looked at is passed over. Cost is O(entries).

    Args:
        folder: where.
        stop_at: enough to know; the count ends there.
    """
    total = _file_bytes(folder)
    seen: set[int] = set()
    folders = [str(folder)]
    while folders:
        with suppress(OSError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                if stat.S_ISDIR(status.st_mode):
                    folders.append(entry.path)
                elif status.st_nlink > 1:
                    if status.st_ino in seen:
                        continue
                    seen.add(status.st_ino)
                total += status.st_blocks * BLOCK_BYTES
                if stop_at is not None and total > stop_at:
                    return total
    return total


def _file_bytes(path: Path) -> int:
    """Return the room of one file, 0 where there is none."""
    with suppress(OSError):
        status = path.lstat()
        return status.st_blocks * BLOCK_BYTES if stat.S_ISREG(status.st_mode) else 0
    return 0


def _times(kept: Path) -> Iterator[tuple[int, Path]]:
    with suppress(OSError):
        for folder in kept.iterdir():
            with suppress(OSError):
                yield folder.lstat().st_mtime_ns, folder


def _empty(top: int) -> None:
    """Remove everything in an open folder."""
    number = 0
    while names := _folders_left(top):
        for name in names:
            _unlock(name, top)
            inner = os.open(name, _FOLDER, dir_fd=top)
            try:
                for deeper in _folders_left(inner):
                    _unlock(deeper, inner)
                    number = _moved_up(deeper, inner, top, number)
            finally:
                os.close(inner)
            os.rmdir(name, dir_fd=top)


def _folders_left(folder: int) -> list[str]:
    """Remove all files in an open folder and return the names of the folders in it."""
    names = []
    while True:
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        names = [name for name, is_folder in found if is_folder]
        if len(names) == len(found):
            return names
        for name, is_folder in found:
            if not is_folder:
                os.unlink(name, dir_fd=folder)


def _moved_up(name: str, folder: int, top: int, number: int) -> int:
    """Move a folder to the top under a name that nothing has there; return the number of that name."""
    while True:
        number += 1
        try:
            os.stat(str(number), dir_fd=top, follow_symlinks=False)
        except FileNotFoundError:
            os.rename(name, str(number), src_dir_fd=folder, dst_dir_fd=top)
            return number


def _unlock(name: str, folder: int | None, path: Path | None = None) -> None:
    """Give us all rights on a folder of ours that is no link."""
    place = path if path is not None else name
    mode = os.stat(place, dir_fd=folder, follow_symlinks=False).st_mode
    if stat.S_ISDIR(mode) and mode & stat.S_IRWXU != stat.S_IRWXU:
        os.chmod(place, stat.S_IMODE(mode) | stat.S_IRWXU, dir_fd=folder)
