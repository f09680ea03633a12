"""How far a program is, as it says in a file of its own: reads that cheaply, whatever the program put there.

The file is named by the variable GAIA_PROGRESS; its last line counts: `3/10`, `3/10 mapping reads`, `42%`,
`42% mapping reads`, or any words.
"""

import os
import re
import stat
from pathlib import Path
from typing import Final, NamedTuple

from gaia_worker.executors.base import Mount

VARIABLE: Final = "GAIA_PROGRESS"
FOLDER: Final = "/run/gaia"
"""A folder of its own, so that a program may also rename a file into place; /run is never covered by an output."""

READ_BYTES_MAX: Final = 4096
MESSAGE_CHARACTERS_MAX: Final = 200
DIGITS_MAX: Final = 18

_OF: Final = re.compile(rf"(\d{{1,{DIGITS_MAX}}})\s*/\s*(\d{{1,{DIGITS_MAX}}})(?:\s+(.*))?")
_PERCENT: Final = re.compile(r"(\d{1,3})(?:[.,]\d*)?\s*%(?:\s+(.*))?")


class Said(NamedTuple):
    """What a program says: so many of so many (0 where it does not say), and words."""

    done: int
    total: int
    message: str


class ProgressFile:
    """The file of one attempt. Used by one thread at a time."""

    def __init__(self, scratch: Path) -> None:
        """Place it in an attempt's own folder."""
        self.folder = scratch / "progress"
        self._file = self.folder / "progress"
        self._seen: object = None
        self._said: Said | None = None

    @property
    def mount(self) -> Mount:
        """Return how the program gets at it."""
        return Mount(self.folder, FOLDER, read_only=False)

    @property
    def variables(self) -> dict[str, str]:
        """Return what tells the program where it is."""
        return {VARIABLE: f"{FOLDER}/{self._file.name}"}

    def news(self) -> Said | None:
        """Return what the program says now, if it is not what it said before."""
        said = parse(self._end() or b"")
        if said is None or said == self._said:
            return None
        self._said = said
        return said

    def _end(self) -> bytes | None:
        """Return the end of the file if it has changed; a link, a pipe or a device is not looked into."""
        try:
            file = os.open(self._file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            facts = os.fstat(file)
            seen = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
            if not stat.S_ISREG(facts.st_mode) or seen == self._seen:
                return None
            self._seen = seen
            return os.pread(file, READ_BYTES_MAX, max(0, facts.st_size - READ_BYTES_MAX))
        except OSError:
            return None
        finally:
            os.close(file)


def parse(end: bytes) -> Said | None:
    """Return what the last line of a file says, None where no line says anything."""
    lines = end.decode("utf-8", "replace").splitlines()
    line = next((text for text in map(_clean, reversed(lines)) if text), "")
    if not line:
        return None
    if found := _OF.fullmatch(line):
        total = int(found[2])
        return Said(min(int(found[1]), total), total, found[3] or "")
    if found := _PERCENT.fullmatch(line):
        return Said(min(int(found[1]), 100), 100, found[2] or "")
    return Said(0, 0, line)


def _clean(line: str) -> str:
    """Return a line as it may be shown: printable and short."""
    shown = "".join(mark if mark.isprintable() else " " for mark in line[: 4 * MESSAGE_CHARACTERS_MAX])
    return " ".join(shown.split())[:MESSAGE_CHARACTERS_MAX]
