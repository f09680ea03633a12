"""What a program left behind: finds the files of an output and refuses what must not leave the scratch folder.

Everything is looked at through descriptors of folders, name by name and through no link (`gaia_worker.opening`): a
program must not publish the host's files. A symbolic link to a file counts as that file where its words, followed here
and not by the system, stay in the folder that the program could write. All else that is no regular file is named in the
failure. Called when the program and everything it started is gone, so nothing changes below.
"""

import os
import stat
from collections import Counter
from collections.abc import Iterator, Set
from contextlib import suppress
from pathlib import Path
from typing import Final

from gaia_core.backends.store_paths import path_problem
from gaia_core.workflow.keys import KEY_BYTES_MAX, shape_problem
from gaia_core.workflow.model import FailureClass
from gaia_worker.failing import AttemptFailed
from gaia_worker.opening import kind_of, link_target, opened_folder, status_of
from gaia_worker.staging import StagedOutput

FILES_MAX: Final = 1_000_000
"""Files of one output: what this worker, and whoever lists them, can hold in memory."""

LINKS_MAX: Final = 40
"""Links that lead to one file, one after the other. Source: path_resolution(7)."""

SHOWN_CHARS_MAX: Final = 200

PARENT: Final = ".."


def collect(staged: StagedOutput, excluded: Set[Path], size_bytes_max: int | None = None) -> list[tuple[str, Path]]:
    """Return the Keys of an output's files with their places on the host, in Key order.

    Args:
        staged: the output and where it should lie.
        excluded: places that are inputs, and so belong to no output tree.
        size_bytes_max: of all files together, holes in them counted; None for no limit.

    Raises:
        AttemptFailed: OUTPUT_MISSING, there is nothing, or something that cannot be stored; COMMAND, there is too much.
    """
    return _Collector(staged, excluded, size_bytes_max).collect()


class _Collector:
    """One output; paths are relative to the folder that its program could write."""

    def __init__(self, staged: StagedOutput, excluded: Set[Path], size_bytes_max: int | None) -> None:
        self._staged = staged
        self._root = staged.inside
        self._top = "" if staged.source == staged.inside else staged.source.relative_to(staged.inside).as_posix()
        self._excluded = excluded
        self._most = size_bytes_max
        self._size_bytes = 0
        self._names: Counter[tuple[int, int]] | None = None

    def collect(self) -> list[tuple[str, Path]]:
        """Return Keys and places."""
        status = self._status(self._top)
        if status is None:
            raise self._problem("is not there")
        if self._staged.is_tree:
            if not stat.S_ISDIR(status.st_mode):
                raise self._problem(f"is {kind_of(status)} and no folder")
            self._check_folder(".", status)
            return sorted(self._tree())
        if stat.S_ISDIR(status.st_mode):
            raise self._problem("is a folder; a Key that ends in '/' would take it")
        if self._staged.own_mount and status.st_mtime_ns == 0:  # made by us before the program ran, never written
            raise self._problem("is not there")
        return [(self._staged.output.key, self._file(self._top, status))]

    def _status(self, path: str) -> os.stat_result | None:
        """Return what lies at a path, or None where there is nothing, or no folder that could hold it."""
        try:
            return status_of(self._root, path)
        except PermissionError as error:
            raise self._problem(f"lies in a folder that may not be read: {error.filename!r}") from error
        except OSError:
            return None

    def _tree(self) -> Iterator[tuple[str, Path]]:
        """Yield everything below the output's folder that is not itself a folder."""
        folders = [""]
        count = 0
        while folders:
            folder = folders.pop()
            for relative, status in self._entries(folder):
                if stat.S_ISDIR(status.st_mode):
                    self._check_folder(relative, status)
                    folders.append(f"{relative}/")
                elif self._staged.source / relative not in self._excluded:
                    count += 1
                    if count > FILES_MAX:
                        raise self._problem(f"holds more than {FILES_MAX} files")
                    yield self._key(relative), self._file(_joined(self._top, relative), status)

    def _entries(self, folder: str) -> Iterator[tuple[str, os.stat_result]]:
        with opened_folder(self._root, _joined(self._top, folder)) as descriptor, os.scandir(descriptor) as entries:
            for entry in entries:
                yield folder + entry.name, entry.stat(follow_symlinks=False)

    def _check_folder(self, relative: str, status: os.stat_result) -> None:
        if len(os.fsencode(relative)) > KEY_BYTES_MAX:
            raise self._problem(f"holds folders in folders that no Key is long enough to name: {_shown(relative)}")
        if status.st_mode & 0o500 != 0o500:
            raise self._problem(f"holds a folder that may not be read ({_mode(status)}): {_shown(relative)}")

    def _file(self, path: str, status: os.stat_result) -> Path:
        """Return the place of a regular file, or of the one that a link leads to."""
        shown = _shown(path[len(self._top) :].lstrip("/") or path.rpartition("/")[2])
        if stat.S_ISLNK(status.st_mode):
            path, status = self._followed(path, shown)
        if not stat.S_ISREG(status.st_mode):
            raise self._problem(f"holds {kind_of(status)}, which is not a file: {shown}")
        if not status.st_mode & stat.S_IRUSR:
            raise self._problem(f"holds a file that may not be read ({_mode(status)}): {shown}")
        if status.st_nlink > 1 and self._names_inside(status) < status.st_nlink:
            raise self._problem(f"holds a file that has another name outside of it: {shown}")
        self._size_bytes += status.st_size
        if self._most is not None and self._size_bytes > self._most:
            words = f"has more than the {self._most} bytes that an attempt may write, with {shown}"
            raise self._problem(words, FailureClass.COMMAND)
        return self._root / path

    def _followed(self, path: str, shown: str) -> tuple[str, os.stat_result]:
        """Return the file that a link leads to, having followed its words below the folder and nowhere else."""
        to_go = path.split("/")[::-1]
        gone: list[str] = []
        links = 0
        status = None
        while to_go:
            name = to_go.pop()
            if name in ("", "."):
                continue
            if name == PARENT:
                if not gone:
                    raise self._problem(f"holds a symbolic link that leads out of it: {shown}")
                gone.pop()
                continue
            status = self._status("/".join([*gone, name]))
            if status is None:
                raise self._problem(f"holds a symbolic link that leads to nothing: {shown}")
            if not stat.S_ISLNK(status.st_mode):
                gone.append(name)
                continue
            links += 1
            words = link_target(self._root, "/".join([*gone, name]))
            if words.startswith("/") or links > LINKS_MAX:
                what = "leads out of it" if words.startswith("/") else "leads in a circle"
                raise self._problem(f"holds a symbolic link that {what}: {shown}")
            to_go += words.split("/")[::-1]
        found = "/".join(gone)
        status = self._status(found)
        if status is None or stat.S_ISDIR(status.st_mode):
            raise self._problem(f"holds a symbolic link to a folder: {shown}")
        return found, status

    def _names_inside(self, status: os.stat_result) -> int:
        """Return how many names a file has in the folder that its program could write."""
        if self._names is None:
            self._names = Counter()
            folders = [""]
            while folders:
                folder = folders.pop()
                with (
                    suppress(PermissionError),
                    opened_folder(self._root, folder) as descriptor,
                    os.scandir(descriptor) as entries,
                ):
                    for entry in entries:
                        found = entry.stat(follow_symlinks=False)
                        if stat.S_ISDIR(found.st_mode):
                            folders.append(f"{folder}{entry.name}/")
                        elif found.st_nlink > 1:
                            self._names[found.st_dev, found.st_ino] += 1
        return self._names[status.st_dev, status.st_ino]

    def _key(self, relative: str) -> str:
        key = self._staged.output.key + relative
        problem = None
        try:
            key.encode()
        except UnicodeEncodeError:
            problem = "its name is not UTF-8"
        else:
            if len(key.encode()) > KEY_BYTES_MAX:
                problem = f"its Key is longer than {KEY_BYTES_MAX} bytes"
            elif shape_problem(key) is not None:
                problem = "its name has control characters"
            else:
                problem = path_problem(relative)
        if problem is not None:
            raise self._problem(f"holds a file that cannot be stored, since {problem}: {_shown(relative)}")
        return key

    def _problem(self, what: str, kind: FailureClass = FailureClass.OUTPUT_MISSING) -> AttemptFailed:
        output = self._staged.output
        return AttemptFailed(kind, f"output {output.name!r} ({output.key!r}) at {output.path} {what}")


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _shown(name: str) -> str:
    """Return a name as a message can show it: quoted, escaped where it is no text, and not too long."""
    short = name if len(name) <= SHOWN_CHARS_MAX else f"{name[: SHOWN_CHARS_MAX // 2]}…{name[-SHOWN_CHARS_MAX // 2 :]}"
    return repr(short)


def _mode(status: os.stat_result) -> str:
    return f"mode {stat.S_IMODE(status.st_mode):04o}"
