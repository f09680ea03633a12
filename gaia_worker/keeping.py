"""Logs of attempts on a worker: begun with each attempt, told while it runs, stored when its program has ended.

Called by `gaia_worker.attempt`. A log is stored whatever became of its attempt, and beside its outputs, so it costs a
Step no time of its own; an attempt that wrote nothing leaves nothing.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

from gaia_core.errors import GaiaError
from gaia_core.machine.reports import Progress
from gaia_core.ports import LogFeed, Store
from gaia_core.workflow.keys import log_location
from gaia_core.workflow.marks import attempt_mark
from gaia_core.workflow.model import Execution
from gaia_worker.attempt_log import AttemptLog
from gaia_worker.executors.base import Mount
from gaia_worker.masking import Masks
from gaia_worker.progress import ProgressFile
from gaia_worker.settings import WorkerSettings
from gaia_worker.telling import Telling, Told

STREAMS: Final = 2
"""Logs that go to the store at the same time."""

TRIES: Final = 3
PAUSE_S: Final = 0.5

log = logging.getLogger(__name__)


class Logs:
    """The logs of all attempts of a worker; to be closed.

    Args:
        settings: of the worker.
        store: where logs are kept.
        feed: where they are told as they go; None for nowhere.
        wall_clock: seconds since the epoch.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        store: Store,
        feed: LogFeed | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.store = store
        self.telling = Telling(feed)
        self.pool = ThreadPoolExecutor(STREAMS, thread_name_prefix="log")
        self._wall_clock = wall_clock
        self._closing = threading.Event()

    def begin(self, execution: Execution, scratch: Path, say: Callable[[Progress], None]) -> "KeptLog":
        """Begin the log of an attempt; nothing is touched before it has something to write.

        Args:
            execution: of the attempt.
            scratch: its own folder.
            say: reports how far it is.
        """
        return KeptLog(self, execution, scratch, say, lambda: int(self._wall_clock() * 1000))

    def put(self, execution: Execution, file: Path) -> None:
        """Store a log; if the store stays away it is lost, and the attempt is none the worse for it."""
        fence = execution.fence
        place = log_location(execution.workflow, fence.workflow_uid, fence.step, fence.attempt)
        mark = attempt_mark(self.settings.deployment, fence)
        for tries_left in range(TRIES - 1, -1, -1):
            try:
                self.store.put_file(place.bucket, place.path, file, mark)
            except (GaiaError, OSError) as problem:
                if not tries_left:
                    fields = {"workflow": execution.workflow, "step": execution.step, "why": str(problem)}
                    log.warning("log of an attempt not stored", extra=fields)
                    return
                self._closing.wait(PAUSE_S)
            else:
                return

    def close(self) -> None:
        """End every thread; safe to call twice."""
        self._closing.set()
        self.telling.close()
        self.pool.shutdown(wait=True)


class KeptLog:
    """The log of one attempt, and the file in which its program says how far it is."""

    def __init__(
        self,
        logs: Logs,
        execution: Execution,
        scratch: Path,
        say: Callable[[Progress], None],
        wall_ms: Callable[[], int],
    ) -> None:
        self._logs = logs
        self._execution = execution
        self._log = AttemptLog(scratch, logs.settings.log_bytes_max, wall_ms)
        self._progress = ProgressFile(scratch)
        self._told = Told(execution, self._log, self._progress, say)
        self._storing: Future[None] | None = None
        self._has_begun = self._is_closed = False

    def begin(self, masks: Masks, elsewhere: Mapping[Path, Path]) -> tuple[Mount, dict[str, str]]:
        """Get ready for the program to run; return the mount and the variables by which it says how far it is.

        Args:
            masks: what must not be seen in what it says.
            elsewhere: of its task.
        """
        self._progress.masks, self._progress.elsewhere = masks, elsewhere
        self._progress.folder.mkdir(parents=True, exist_ok=True)
        self._has_begun = True
        self._logs.telling.begin(self._told)
        return self._progress.mount, self._progress.variables

    def write(self, stream: int, data: bytes) -> None:
        """Take what the program wrote."""
        self._log.write(stream, data)

    def close(self) -> None:
        """Begin to store what was written: the program has ended. Safe to call twice."""
        if self._is_closed:
            return
        self._is_closed = True
        file = self._log.finish()
        if file is not None:
            self._storing = self._logs.pool.submit(self._logs.put, self._execution, file)

    def settle(self) -> None:
        """Wait until it is stored, and tell that nothing more comes."""
        self.close()
        if self._storing is not None and (problem := self._storing.exception()) is not None:
            log.error("storing a log broke", extra={"step": self._execution.step}, exc_info=problem)
        if self._has_begun:
            self._logs.telling.end(self._told)
