"""The files of a warm container: places on the host that are mounted once, and lent to one task after the other.

A mount cannot be changed while a container runs, so what a task is to see is put into the places, and what it wrote is
put back where its attempt looks for it. Folders' contents are moved by renaming, whatever their size; a file that is a
mount of its own is copied, since a mount stays with its inode. Places that other mounts lie in keep the points for
those, which must never be touched: the kernel would take the mount away with it.
"""

import os
import posixpath
import shutil
import stat
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gaia_worker.executors.base import Mount

COPIED_BYTES_MAX: Final = 32 * 1024 * 1024
"""A file that is a mount of its own and larger costs more to copy than a container of its own."""

SHARED_TEMPORARY: Final = 0o1777


class AreaBroken(Exception):
    """A task left its files in a shape that cannot be put back."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A mount without its content: what a warm container was made for.

    Attributes:
        target: absolute path in the container.
        is_folder: a folder, or a file.
    """

    target: str
    is_folder: bool
    read_only: bool


def shapes_of(mounts: Sequence[Mount]) -> tuple[Shape, ...] | None:
    """Return what a container must have for these mounts, or None where it had better be one of their own."""
    shapes = []
    for mount in mounts:
        is_folder = mount.source.is_dir()
        if not is_folder and mount.source.stat().st_size > COPIED_BYTES_MAX:
            return None
        shapes.append(Shape(mount.target, is_folder, mount.read_only))
    return tuple(shapes)


class Area:
    """The places of one warm container; `remove` them in the end."""

    def __init__(self, parent: Path, shapes: Sequence[Shape], temporary: Sequence[str]) -> None:
        """Make the places.

        Args:
            parent: folder of the worker, on the file system of the mounts' sources.
            shapes: of the mounts that tasks will have, a folder before what lies in it.
            temporary: folders of the container that are emptied between two tasks.
        """
        parent.mkdir(parents=True, exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix="container-", dir=parent))
        self._places = [self._folder / str(number) for number in range(len(shapes))]
        self._points = _points(shapes)
        for shape, place in zip(shapes, self._places, strict=True):
            _make(place, shape.is_folder)
        for shape, points, place in zip(shapes, self._points, self._places, strict=True):
            for inner in shapes:
                relative = posixpath.relpath(inner.target, shape.target)
                if relative in points:
                    _make(place / relative, inner.is_folder)
        self._temporary = [self._folder / f"temporary-{number}" for number in range(len(temporary))]
        for folder in self._temporary:
            folder.mkdir()
            folder.chmod(SHARED_TEMPORARY)
        self._lent: dict[Path, tuple[int, int, int]] = {}
        self.mounts = (
            *(Mount(place, shape.target, shape.read_only) for shape, place in zip(shapes, self._places, strict=True)),
            *(Mount(folder, path, read_only=False) for folder, path in zip(self._temporary, temporary, strict=True)),
        )
        """What the container is created with."""

    def lend(self, mounts: Sequence[Mount]) -> None:
        """Put in what a task is to see."""
        for mount, place, points in zip(mounts, self._places, self._points, strict=True):
            if mount.source.is_dir():
                _move_children(mount.source, place, points)
                shutil.copymode(mount.source, place)
            else:
                _copy(mount.source, place)
                self._lent[place] = _state(place)

    def take_back(self, mounts: Sequence[Mount]) -> None:
        """Put back what the task left, and empty the rest.

        Raises:
            AreaBroken: it moved folders that hold mounts.
            OSError: something cannot be moved.
        """
        for mount, place, points in zip(mounts, self._places, self._points, strict=True):
            if mount.source.is_dir():
                mode = stat.S_IMODE(place.stat().st_mode)
                _move_children(place, mount.source, points)
                mount.source.chmod(mode)
            elif _state(place) != self._lent.get(place):  # else its own source may be newer: standard output goes there
                _copy(place, mount.source)
        for folder in self._temporary:
            _empty(folder)
            folder.chmod(SHARED_TEMPORARY)

    def written(self, mounts: Sequence[Mount]) -> dict[Path, Path]:
        """Return where that lies which a task writes: source of a mount → place; /tmp and the like by themselves."""
        places = {m.source: place for m, place in zip(mounts, self._places, strict=True) if not m.read_only}
        return places | {folder: folder for folder in self._temporary}

    def remove(self) -> None:
        """Remove the places with all that is in them; safe to call twice."""
        _empty(self._folder)
        shutil.rmtree(self._folder, ignore_errors=True)


def _points(shapes: Sequence[Shape]) -> list[frozenset[str]]:
    """Return, for each mount, the relative paths in it that other mounts are made on."""
    found: list[set[str]] = [set() for _ in shapes]
    for inner in shapes:
        above = [
            number
            for number, outer in enumerate(shapes)
            if outer is not inner and outer.is_folder and inner.target.startswith(outer.target.rstrip("/") + "/")
        ]
        if above:
            deepest = max(above, key=lambda number: len(shapes[number].target))
            found[deepest].add(posixpath.relpath(inner.target, shapes[deepest].target))
    return [frozenset(points) for points in found]


def _make(path: Path, is_folder: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if is_folder:
        path.mkdir(exist_ok=True)
    else:
        path.touch()


def _move_children(source: Path, target: Path, points: frozenset[str]) -> None:
    """Rename what lies in source into target, but for mount points and the folders above them, which both have."""
    _unlock(source)
    _unlock(target)
    for entry in list(os.scandir(source)):
        inner = frozenset(point[len(entry.name) + 1 :] for point in points if point.startswith(f"{entry.name}/"))
        if entry.name in points:
            continue
        if inner:
            if not entry.is_dir(follow_symlinks=False):
                raise AreaBroken(f"{entry.name!r} held mounts, and is no folder any more")
            _move_children(source / entry.name, target / entry.name, inner)
        else:
            _move(source / entry.name, target / entry.name, is_folder=entry.is_dir(follow_symlinks=False))


def _move(source: Path, target: Path, *, is_folder: bool) -> None:
    """Rename; a folder that may not be written cannot be moved to another one, so it may for a moment."""
    if not is_folder:
        source.rename(target)
        return
    mode = stat.S_IMODE(source.lstat().st_mode)
    if mode & stat.S_IRWXU != stat.S_IRWXU:
        source.chmod(mode | stat.S_IRWXU)
        source.rename(target)
        target.chmod(mode)
    else:
        source.rename(target)


def _unlock(folder: Path) -> None:
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & stat.S_IRWXU != stat.S_IRWXU:
        folder.chmod(mode | stat.S_IRWXU)


def _copy(source: Path, target: Path) -> None:
    """Copy content, mode and times into a file that stays the same inode."""
    target.chmod(stat.S_IRUSR | stat.S_IWUSR)
    source_mode = stat.S_IMODE(source.stat().st_mode)
    if not source_mode & stat.S_IRUSR:
        source.chmod(source_mode | stat.S_IRUSR)
        shutil.copyfile(source, target)
        source.chmod(source_mode)
    else:
        shutil.copyfile(source, target)
    shutil.copystat(source, target)


def _state(file: Path) -> tuple[int, int, int]:
    """Return what changes when a file is written."""
    facts = file.stat()
    return facts.st_mtime_ns, facts.st_size, facts.st_mode


def _empty(folder: Path) -> None:
    """Remove all that lies in a folder, also what its program forbade to be removed."""
    for entry in list(os.scandir(folder)):
        if entry.is_dir(follow_symlinks=False):
            _open_up(entry.path)
            shutil.rmtree(entry.path)
        else:
            Path(entry.path).unlink()


def _open_up(folder: str) -> None:
    """Allow the owner everything in a folder and all below it; no link is followed."""
    folders = [folder]
    while folders:
        path = folders.pop()
        Path(path).chmod(stat.S_IRWXU)
        with os.scandir(path) as entries:
            folders += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
