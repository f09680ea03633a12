"""The actor, for dramatiq's workers and for the program that sends it."""

import itertools
import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Middleware, default_middleware
from harness import FOLDER, SERVER


class Count(Middleware):
    """Counts in memory what a worker process has run, and writes the number down when that process ends."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._last = 0

    def after_process_message(self, broker, message, *, result=None, exception=None) -> None:  # noqa: ARG002 - dramatiq's
        """Count one."""
        if exception is None:
            self._last = next(self._numbers)

    def before_worker_shutdown(self, broker, worker) -> None:  # noqa: ARG002 - dramatiq's
        """Write the number."""
        (FOLDER / f"{os.getpid()}.count").write_text(str(next(self._numbers) - 1))


broker = RedisBroker(url=SERVER, middleware=[*(each() for each in default_middleware), Count()])
dramatiq.set_broker(broker)


@dramatiq.actor
def noop() -> None:
    """Do nothing."""
