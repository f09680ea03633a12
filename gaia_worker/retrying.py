"""Once more, after a pause: what a worker does while a store does not answer. Called by what moves files."""

import random
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from gaia_core.errors import ObjectMissing, Unavailable

TRIES: Final = 3
"""After that the coordinator decides; it backs off longer than a slot should be held for."""

PAUSE_S: Final = 0.5
"""Before the second try; doubles with each, up to half of it random, so that workers do not come back all at once."""

Result = TypeVar("Result")


class Interrupted(Exception):
    """The attempt was stopped while files were moving."""


class Patience:
    """How often something was tried in vain; what made progress meanwhile may say so."""

    def __init__(self, stopped: threading.Event) -> None:
        """Begin afresh, for an attempt that ends when `stopped` is set."""
        self._stopped = stopped
        self._failed = 0

    def check(self) -> None:
        """Raise Interrupted if the attempt was stopped."""
        if self._stopped.is_set():
            raise Interrupted

    def progress(self) -> None:
        """Forget earlier failures: something came."""
        self._failed = 0

    def bear(self, problem: Unavailable) -> None:
        """Wait before the next try.

        Raises:
            Unavailable: the problem itself, where another try is of no use or there were enough.
            Interrupted: the attempt was stopped.
        """
        self._failed += 1
        if isinstance(problem, ObjectMissing) or self._failed >= TRIES:
            raise problem
        self._stopped.wait(PAUSE_S * 2 ** (self._failed - 1) * random.uniform(0.5, 1))  # noqa: S311 - no secret
        self.check()


def persist(work: Callable[[], Result], stopped: threading.Event) -> Result:
    """Do something that may fail for a reason that passes, up to TRIES times; raises as `Patience.bear`."""
    patience = Patience(stopped)
    while True:
        patience.check()
        try:
            return work()
        except Unavailable as problem:
            patience.bear(problem)
