"""Whether the worker may take something new: a thread of its own looks, and whoever asks is answered at once.

A check that hangs, as one of an engine that hangs does, is trouble too; nothing waits for it but that thread.
"""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from gaia_core.sizes import share_or_bytes

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 5.0
ANSWER_S: Final = 15.0
"""A check that takes longer hangs; a busy engine may take seconds."""


class Check(NamedTuple):
    """One thing to look at.

    Attributes:
        name: what it is, at the beginning of a sentence.
        look: returns what is wrong, in the same words as long as it is, or "".
    """

    name: str
    look: Callable[[], str]


class Health:
    """What the checks said last."""

    def __init__(
        self, checks: Sequence[Check], clock: Callable[[], float] = time.monotonic, every_s: float = LOOK_EVERY_S
    ) -> None:
        """Prepare to look every few seconds; nothing is wrong until something was found."""
        self._checks = checks
        self._clock = clock
        self._every_s = every_s
        self._words = ""
        self._asked: tuple[str, float] | None = None
        self._closed = threading.Event()
        # A check may hang for ever; it must not keep the process.
        self._thread = threading.Thread(target=self._watch, name="health", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Look no more; does not wait for a check that hangs."""
        self._closed.set()

    def trouble(self) -> str:
        """Return why the worker should take nothing new, or ""; never waits."""
        asked = self._asked
        if asked is not None and self._clock() - asked[1] > ANSWER_S:
            return f"{asked[0]} has not answered for {ANSWER_S:g} s"
        return self._words

    def look(self) -> None:
        """Go through the checks until one finds something."""
        words = ""
        for check in self._checks:
            self._asked = check.name, self._clock()
            words = _said(check)
            self._asked = None
            if words:
                break
        self._words = words

    def _watch(self) -> None:
        while not self._closed.is_set():
            self.look()
            self._closed.wait(self._every_s)


def disk_check(folder: Path, free_min: str) -> Check:
    """Return a check for the disk of a folder, which may be still to be made.

    Args:
        folder: where attempts write.
        free_min: so much has to be free: "512M", or "5%" of the disk.
    """

    def look() -> str:
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        usage = shutil.disk_usage(there)
        if usage.free >= (share_or_bytes(free_min, usage.total) or 0):
            return ""
        return f"less than {free_min} of the disk is free where {str(folder)!r} lies"

    return Check("The disk", look)


def _said(check: Check) -> str:
    """Return what a check says; one that breaks says so."""
    try:
        return check.look()
    except Exception as problem:  # noqa: BLE001 - whatever it is, the worker cannot know that it is well
        return f"{check.name} cannot be looked at: {problem}"
