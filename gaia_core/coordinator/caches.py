"""How full workers' caches of inputs are, as they say with their heartbeats: the latest word of each, in memory."""

import threading
from collections import OrderedDict
from typing import Final

from gaia_core.machine.reports import CacheFigures

KEPT_MAX: Final = 10_000
"""Workers, those that said something last; more than there are at any time."""


class CacheBoard:
    """The latest word of each worker; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest: OrderedDict[str, CacheFigures] = OrderedDict()

    def note(self, worker: str, said: CacheFigures | None) -> None:
        """Keep what a worker says; None where it has no cache."""
        with self._lock:
            self._latest.pop(worker, None)
            if said is not None:
                self._latest[worker] = said
            if len(self._latest) > KEPT_MAX:
                self._latest.popitem(last=False)

    def of(self, worker: str) -> CacheFigures | None:
        """Return what a worker said last, or None."""
        return self._latest.get(worker)
