"""A file's content into a new file, its blocks shared where the disk can do that. Called by the cache of inputs."""

import fcntl
import os
import shutil
import sys
from pathlib import Path
from typing import Final

FICLONE: Final = 0x40049409
"""Source: linux/fs.h; btrfs, XFS and some others let two files share blocks until one of them is changed."""

_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def copy_file(source: int, target: Path, mode: int) -> None:
    """Make a new file with the content of an open one.

    Args:
        source: descriptor of a file that is open for reading; where it stands is changed.
        target: replaced if it is there.
        mode: permissions of the new file.
    """
    target.unlink(missing_ok=True)
    with os.fdopen(os.open(target, _CREATE, 0o600), "wb", buffering=0) as out:
        if not _cloned(source, out.fileno()):
            os.lseek(source, 0, os.SEEK_SET)
            with os.fdopen(os.dup(source), "rb", buffering=0) as content:
                shutil.copyfileobj(content, out, 1024 * 1024)
        os.fchmod(out.fileno(), mode)


def _cloned(source: int, target: int) -> bool:
    if sys.platform != "linux":
        return False
    try:
        fcntl.ioctl(target, FICLONE, source)
    except OSError:
        return False
    return True
