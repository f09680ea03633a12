"""How far running attempts are, as their programs say: the latest word of each, in memory. Thread-safe."""

import threading
from collections import OrderedDict
from typing import Final

from gaia_core.machine.public import StepProgress

KEPT_MAX: Final = 10_000
"""Attempts, those that said something last; more than run at any time."""

TOLD_PER_S: Final = 20
"""Of all attempts together so many are told as events: they must not push out what is kept of the past for watchers."""


class ProgressBoard:
    """The latest word of each Step."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest: OrderedDict[tuple[str, str], StepProgress] = OrderedDict()
        self._second = -1
        self._told = 0

    def note(self, workflow: str, said: StepProgress, now_s: float) -> bool:
        """Keep what an attempt says; return whether watchers should be told, too."""
        with self._lock:
            self._latest[workflow, said.step] = said
            self._latest.move_to_end((workflow, said.step))
            if len(self._latest) > KEPT_MAX:
                self._latest.popitem(last=False)
            if int(now_s) != self._second:
                self._second, self._told = int(now_s), 0
            self._told += 1
            return self._told <= TOLD_PER_S

    def of(self, workflow: str, step: str, attempt: int) -> StepProgress | None:
        """Return what an attempt says, or None."""
        said = self._latest.get((workflow, step))
        return said if said is not None and said.attempt == attempt else None
