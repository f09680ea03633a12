"""What the folder store calls things: versions by what their files are like, paths as names of files.

Pure. Called by the folder store alone.
"""

import hashlib
import os
import re
from typing import Final
from urllib.parse import quote, unquote

PIECE_CHARS: Final = 200
"""Quoted paths are cut into folders of this length, since a file's name has at most 255 bytes."""

VERSION: Final = re.compile(r"[vx][0-9a-f-]{1,60}")


def own_version(status: os.stat_result) -> str:
    """Return the version of a put: its file's time, which no other version of the path has, and size.

    No inode: the root may be copied to another disk, times and links preserved, and every version stays what it is.
    """
    return f"v{status.st_mtime_ns:016x}-{status.st_size:x}"


def outside_version(status: os.stat_result) -> str:
    """Return the version of an outside arrival."""
    return f"x{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"


def versions_of(status: os.stat_result) -> tuple[str, str]:
    """Return what a file of such a kind may be as a version: a put, or an outside arrival."""
    return own_version(status), outside_version(status)


def path_digest(path: str) -> str:
    """Return what stands for a path in names of files."""
    return hashlib.sha256(path.encode()).hexdigest()


def kept_name(path: str, version: str) -> str:
    """Return the name of the file that a version is kept aside as."""
    return f"{path_digest(path)}-{version}"


def quoted(path: str) -> str:
    """Return a path as one name, or as names in folders where it is long; a folder ends in a bare "%"."""
    text = quote(path, safe="").replace(".", "%2E")  # no piece may be "." or ".."
    return "%/".join(text[start : start + PIECE_CHARS] for start in range(0, len(text), PIECE_CHARS))


def unquoted(text: str) -> str:
    """Return the path that `quoted` made this of."""
    return unquote(text.replace("%/", ""))
