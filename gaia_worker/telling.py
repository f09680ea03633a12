"""Tells of attempts while they run: what they write, to the logs topic, and how far they are, to the coordinator.

One thread does so for all attempts of a worker, a few times a second. Nothing of it may hold an attempt up.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gaia_core.machine.reports import Progress
from gaia_core.ports import LogFeed
from gaia_core.wire.pieces import LogRecord, encode_record, log_key
from gaia_core.workflow.model import Execution
from gaia_worker.attempt_log import AttemptLog
from gaia_worker.progress import ProgressFile

EVERY_S: Final = 0.25
"""Between two records of an attempt's log: soon enough for who looks on, few enough for Kafka."""

PROGRESS_EVERY: Final = 4
"""So often it is told what is written until it is looked how far a program is: once a second."""

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Told:
    """A running attempt, with what is told of it."""

    execution: Execution
    log: AttemptLog
    progress: ProgressFile
    say: Callable[[Progress], None]


class Telling:
    """Tells of all attempts of a worker; to be closed.

    Args:
        feed: where logs go; None where nobody looks on.
        every_s: pause between two times.
    """

    def __init__(self, feed: LogFeed | None, every_s: float = EVERY_S) -> None:
        self._feed = feed
        self._every_s = every_s
        self._lock = threading.Lock()
        self._running: dict[Told, None] = {}
        self._woken = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, told: Told) -> None:
        """Tell of an attempt from now on."""
        with self._lock:
            self._running[told] = None
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="telling", daemon=True)
                self._thread.start()
        self._woken.set()

    def end(self, told: Told) -> None:
        """Tell what is left of an attempt, and that nothing more comes; of one that never began, too."""
        with self._lock:
            self._running.pop(told, None)
        self._tell(told, ended=True)

    def turn(self, number: int) -> None:
        """Tell once of every attempt; every so manieth turn also how far it is."""
        with self._lock:
            running = list(self._running)
        for told in running:
            self._tell(told)
            if number % PROGRESS_EVERY == 0 and (said := told.progress.news()) is not None:
                told.say(Progress(told.execution.fence, said.done, said.total, said.message))

    def close(self) -> None:
        """End the thread; safe to call twice."""
        self._closing.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        number = 0
        while not self._closing.is_set():
            self._woken.wait()
            if not self._running:
                self._woken.clear()
                if not self._running:  # none began meanwhile
                    continue
            number += 1
            try:
                self.turn(number)
            except Exception:
                log.exception("cannot tell of attempts")
            self._closing.wait(self._every_s)

    def _tell(self, told: Told, *, ended: bool = False) -> None:
        """Tell what an attempt wrote since the last time."""
        pieces, size_bytes = told.log.take()
        if self._feed is None or not (pieces or ended):
            return
        execution, fence = told.execution, told.execution.fence
        whose = (execution.workflow, fence.workflow_uid, execution.step, fence.step, fence.attempt)
        record = LogRecord(*whose, pieces, size_bytes, ended)
        self._feed.publish(log_key(execution.workflow, execution.step), encode_record(record))
