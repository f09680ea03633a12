"""A disk of a few megabytes that a test may fill."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.machine import ServiceMissing, run


@contextmanager
def small_disk(folder: Path, size_bytes: int) -> Iterator[Path]:
    """Mount a file system of this size on a new folder, for as long as the context lasts.

    Raises:
        ServiceMissing: this user may not mount.
    """
    if os.geteuid() != 0:
        raise ServiceMissing("mounting a small disk needs root")
    folder.mkdir()
    run(["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", folder])
    try:
        yield folder
    finally:
        run(["umount", folder])


def fill(disk: Path) -> Path:
    """Take all the room that is left on a disk; return the file to remove again."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size_bytes in (64 * 1024, 4096, 1):
            try:
                while True:
                    file.write(bytes(size_bytes))
            except OSError:
                continue
    return filler
