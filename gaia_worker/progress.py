"""How far a program is, as it says in a file of its own: reads that cheaply, whatever the program put there.

The file is named by the variable GAIA_PROGRESS; its last line counts: `3/10`, `3/10 mapping reads`, `42%`,
`42% mapping reads`, or any words.
"""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from gaia_core.workflow.form.paths import PROGRESS_FOLDER
from gaia_worker.executors.base import Mount
from gaia_worker.masking import NO_MASKS, Masks

VARIABLE: Final = "GAIA_PROGRESS"
FILE: Final = "progress"

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
    """The file of one attempt. Used by one thread at a time.

    Attributes:
        folder: it lies in, before and after the program.
        masks: what must not be seen in what it says.
        elsewhere: an executor's, for as long as the program runs.
    """

    def __init__(self, scratch: Path) -> None:
        """Place it in an attempt's own folder."""
        self.folder = scratch / "progress"
        self.masks: Masks = NO_MASKS
        self.elsewhere: Mapping[Path, Path] = {}
        self._seen: object = None
        self._said: Said | None = None

    @property
    def mount(self) -> Mount:
        """Return how the program gets at it."""
        return Mount(self.folder, PROGRESS_FOLDER, read_only=False)

    @property
    def variables(self) -> dict[str, str]:
        """Return what tells the program where it is."""
        return {VARIABLE: f"{PROGRESS_FOLDER}/{FILE}"}

    def news(self) -> Said | None:
        """Return what the program says now, if it is not what it said before."""
        said = parse(self._end() or b"")
        if said is None or said == self._said:
            return None
        self._said = said
        return said

    def _end(self) -> bytes | None:
        """Return the end of the file if it has changed; a link, a pipe or a device is not looked into."""
        path = self.elsewhere.get(self.folder, self.folder) / FILE
        try:
            file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            facts = os.fstat(file)
            seen = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
            if not stat.S_ISREG(facts.st_mode) or seen == self._seen:
                return None
            self._seen = seen
            return self._masked_end(file, facts.st_size)
        except OSError:
            return None
        finally:
            os.close(file)

    def _masked_end(self, file: int, size_bytes: int) -> bytes:
        """Return the end of a file without secrets, also without the rest of one whose beginning was not read."""
        more = self.masks.longest
        start = max(0, size_bytes - READ_BYTES_MAX - more)
        end = self.masks.masked(os.pread(file, READ_BYTES_MAX + more, start))
        return end[more:] if start else end


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
