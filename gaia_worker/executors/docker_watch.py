"""Ends a program when it must: at once when its attempt was cancelled, with a grace when its time is up."""

import threading
import time
from collections.abc import Callable

from gaia_worker.executors.base import Exit, Stopped, Task, TimedOut


class Watch:
    """Watches one program. Its methods are called from the thread that waits for the program."""

    def __init__(
        self,
        task: Task,
        cancelled: threading.Event,
        grace_s: float,
        terminate: Callable[[], None],
        kill: Callable[[], None],
    ) -> None:
        """Begin now.

        Args:
            task: how long it may take.
            cancelled: end it at once when this is set.
            grace_s: from the request to end until it is killed.
            terminate: asks the program to end.
            kill: kills it with all that it started.
        """
        self.ended_by: Exit | None = None
        """Why it was ended by us; None while it was not."""
        self._deadline_s = time.monotonic() + task.timeout_s
        self._cancelled = cancelled
        self._grace_s = grace_s
        self._terminate = terminate
        self._kill = kill

    def check(self) -> None:
        """End the program if that is due."""
        if self._cancelled.is_set():
            if not isinstance(self.ended_by, Stopped):
                self.ended_by = Stopped()
                self._kill()
        elif time.monotonic() >= self._deadline_s:
            is_first = self.ended_by is None
            self.ended_by = TimedOut()
            self._deadline_s = time.monotonic() + self._grace_s
            if is_first:
                self._terminate()
            else:
                self._kill()
