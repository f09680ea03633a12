"""Launched workers as processes beside the server: `gaia worker`, with a log file each.

They are sessions of their own, so a Ctrl-C meant for the server does not kill what they run, and they survive a server
that is killed: they go on for whoever leads next, and leave once they were idle for long.
"""

import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from gaia_core.config import variable
from gaia_core.errors import Unavailable

LEAVE_S: Final = 5.0
"""How long a server that stops waits for its workers: idle ones leave at once, others finish what they run."""

TAIL_BYTES: Final = 2_000
"""Of a log file, for the one who asked for a worker that ended at once."""

STOPPING: Final = "This server is stopping."

log = logging.getLogger(__name__)


class ProcessLauncher:
    """Starts workers as processes on this machine.

    Args:
        environ: the environment that gives a worker the server's own settings.
        idle_exit_s: how long a worker stays without a Step.
        folder: for the workers' logs, a file each.
        most: workers of this server that may live at a time.
        command: the worker's program.
    """

    takes_s = 20.0

    def __init__(
        self,
        environ: Mapping[str, str],
        idle_exit_s: float,
        folder: Path,
        most: int,
        command: tuple[str, ...] = (sys.executable, "-m", "gaia", "worker"),
    ) -> None:
        self._environ = environ
        self._idle_exit_s = idle_exit_s
        self._folder = folder.absolute()
        self._most = most
        self._command = command
        self._lock = threading.Lock()
        self._living: list[WorkerProcess] = []
        self._closed = False

    def objection(self, count: int) -> str:
        """Return why so many more workers cannot be started now, in words; "" if they can."""
        return STOPPING if self._closed else no_room(len(self._living), count, self._most)

    def launch(self, name: str, metadata: Mapping[str, Any]) -> "WorkerProcess":
        """Start a worker, and let it say what else it was started with.

        Raises:
            Unavailable: the machine has no room for a process, or the log file cannot be written.
        """
        environ = {**self._environ, **own_settings(name, metadata, self._idle_exit_s)}
        path = self._folder / f"{name}.log"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as output:
                began_at = output.tell()
                process = subprocess.Popen(  # noqa: S603 - our own program
                    self._command,
                    env=environ,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
        except OSError as error:
            raise Unavailable(str(error)) from error
        worker = WorkerProcess(name, process, path, began_at)
        with self._lock:
            self._living.append(worker)
        log.info("launched a worker", extra={"worker": name, "pid": process.pid, "log_file": str(path)})
        threading.Thread(target=worker.watch, args=(self._gone,), name=f"launched-{name}", daemon=True).start()
        return worker

    def close(self) -> None:
        """Ask the workers to leave, and wait a moment; those that still run Steps leave when these have ended."""
        self._closed = True
        with self._lock:
            living = list(self._living)
        for worker in living:
            worker.process.terminate()
        until = time.monotonic() + LEAVE_S
        for worker in living:
            try:
                worker.process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.info("a launched worker finishes what it runs", extra={"worker": worker.name})

    def _gone(self, worker: "WorkerProcess") -> None:
        with self._lock:
            self._living.remove(worker)


class WorkerProcess:
    """One launched worker.

    Args:
        name: of the worker.
        process: it runs in.
        log_file: where it writes.
        began_at: where in that file it began.
    """

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", log_file: Path, began_at: int) -> None:
        self.name = name
        self.process = process
        self._log_file = log_file
        self._began_at = began_at

    def ended(self) -> str:
        """Return why it is no more, with its last words; "" while it lives."""
        code = self.process.poll()
        return "" if code is None else f"exit code {code}: {self._last_words()} (log file {self._log_file})"

    def watch(self, gone: Callable[["WorkerProcess"], None]) -> None:
        """Wait for its end, and say so."""
        code = self.process.wait()
        gone(self)
        note_end(self.name, code, str(self._log_file))

    def _last_words(self) -> str:
        with self._log_file.open("rb") as file:
            end = file.seek(0, 2)
            file.seek(max(self._began_at, end - TAIL_BYTES))
            return last_words(file.read())


def no_room(living: int, count: int, most: int) -> str:
    """Return why so many workers more than those that live would be too many; "" if not."""
    if living + count <= most:
        return ""
    return f"This server may run {most} launched workers; {living} live, and {count} more were asked for."


def own_settings(name: str, metadata: Mapping[str, Any], idle_exit_s: float) -> dict[str, str]:
    """Return the variables that make a worker the one that is wanted."""
    return {
        variable("worker_name"): name,
        variable("worker_metadata"): json.dumps(dict(metadata)),
        variable("idle_exit_s"): str(idle_exit_s),
    }


def last_words(output: bytes) -> str:
    """Return the last lines that a worker wrote, as one."""
    lines = [line.strip() for line in output.decode(errors="replace").splitlines()]
    return " · ".join([line for line in lines if line][-5:]) or "it said nothing"


def note_end(name: str, code: int, where: str) -> None:
    """Log the end of a launched worker; one that failed is worth a look."""
    level = logging.INFO if code == 0 else logging.WARNING
    log.log(level, "a launched worker ended", extra={"worker": name, "exit_code": code, "log_file": where})
