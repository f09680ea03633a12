"""What programs changed in a container's root file system: looked at between two Steps of a warm container.

An engine of this machine that keeps containers by overlay2 has their changes in a folder each, and reading that takes a
twentieth of what the engine needs to tell them. Where the folder is not ours to read, or not here, the engine is asked.
Called by `docker_warm`, when nothing runs in the container.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

Change: TypeAlias = tuple[str, tuple[int, ...]]
"""Path in the container, and facts that differ when what lies there is changed."""

CHANGES_MAX: Final = 10_000
"""A container with more is not worth a look: it counts as changed."""


class Changes:
    """The changes of one container."""

    def __init__(self, api: Any, container: str) -> None:
        """Look at this container, which was created."""
        self._api = api
        self._container = container
        self._upper = _upper_folder(api.inspect_container(container))

    def found(self) -> frozenset[Change] | None:
        """Return what there is now; a change to any of it differs, too. None where it is too much to tell."""
        if self._upper is not None:
            try:
                return _limited(_below(self._upper))
            except OSError:
                self._upper = None
        return _limited((one["Path"], (one["Kind"],)) for one in self._api.diff(self._container) or ())


def _upper_folder(facts: Any) -> Path | None:
    """Return where the engine keeps the container's changes, if it is here; the name is too random to be another's."""
    driver = facts.get("GraphDriver") or {}
    if driver.get("Name") != "overlay2":
        return None
    folder = (driver.get("Data") or {}).get("UpperDir")
    return Path(folder) if folder else None


def _below(upper: Path) -> Iterator[Change]:
    """Yield all that lies in a folder, through no link.

    A folder's times are left out: they tell of what was made in it and is gone again.
    """
    folders = [""]
    yield "", _facts(upper.lstat())
    while folders:
        folder = folders.pop()
        with os.scandir(f"{upper}/{folder}") as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                path = f"{folder}{entry.name}"
                yield path, _facts(status)
                if stat.S_ISDIR(status.st_mode):
                    folders.append(f"{path}/")


def _facts(status: os.stat_result) -> tuple[int, ...]:
    owned = (status.st_mode, status.st_uid, status.st_gid)
    if stat.S_ISDIR(status.st_mode):
        return owned
    return (*owned, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _limited(changes: Iterator[Change]) -> frozenset[Change] | None:
    found = set()
    for change in changes:
        found.add(change)
        if len(found) > CHANGES_MAX:
            return None
    return frozenset(found)
