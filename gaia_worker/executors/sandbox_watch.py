"""Reads what a sandboxed program writes until it ends, ends it when it must, and tells how it ended."""

import os
import selectors
import threading
import time
from typing import Final

from gaia_worker.executors.base import (
    STDERR,
    STDOUT,
    TERMINATE_GRACE_S,
    EngineFailed,
    Exit,
    Exited,
    OutOfMemory,
    Sink,
    Stopped,
    TimedOut,
)
from gaia_worker.executors.sandbox_limits import Limits
from gaia_worker.executors.sandbox_process import Bubblewrap

CHUNK_BYTES: Final = 64 * 1024
COMPLAINT_BYTES_MAX: Final = 4096

KILLED: Final = 137
NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126


class Watch:
    """Watches one sandbox from before its program starts."""

    def __init__(
        self, sandbox: Bubblewrap, limits: Limits, timeout_s: float, cancelled: threading.Event, sink: Sink
    ) -> None:
        """Watch a sandbox whose program shall be held to limits and a time."""
        self._sandbox = sandbox
        self._limits = limits
        self._deadline = time.monotonic() + timeout_s
        self._cancelled = cancelled
        self._sink = sink
        self._complaint = b""
        self._ended_by: Exit | None = None

    def until_end(self) -> Exit:
        """Start the program and return how it ended.

        Raises:
            OSError: its limits cannot be set.
        """
        if self._sandbox.wait_ready():
            assert self._sandbox.child is not None
            self._limits.begin(self._sandbox.child)
            self._sandbox.start()
        else:
            self._sandbox.kill()
        self._pump()
        while not self._sandbox.wait(self._limits.pause_s):
            self._check()
        self._sandbox.read_status()
        return self._ended_by or self._verdict()

    def _pump(self) -> None:
        """Hand on what the program writes until it closes its streams, or is gone."""
        process = self._sandbox.process
        assert process.stdout is not None
        assert process.stderr is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ, STDOUT)
            selector.register(process.stderr, selectors.EVENT_READ, STDERR)
            while selector.get_map():
                for key, _ in selector.select(self._limits.pause_s):
                    data = os.read(key.fd, CHUNK_BYTES)
                    if data:
                        self._take(key.data, data)
                    else:
                        selector.unregister(key.fileobj)
                self._check()

    def _take(self, stream: int, data: bytes) -> None:
        if stream == STDERR:
            self._complaint = (self._complaint + data)[-COMPLAINT_BYTES_MAX:]
        self._sink(stream, data)

    def _check(self) -> None:
        """Kill the program if it was cancelled or is over a limit; if its time is up ask it to end, then kill it."""
        if self._cancelled.is_set():
            if not isinstance(self._ended_by, Stopped):
                self._ended_by = Stopped()
                self._sandbox.kill()
        elif self._limits.exceeded():
            self._ended_by = self._ended_by or (OutOfMemory() if self._limits.out_of_memory() else Exited(KILLED))
            self._sandbox.kill()
        elif time.monotonic() >= self._deadline:
            if self._ended_by is None and self._sandbox.ask_to_end():
                self._deadline = time.monotonic() + TERMINATE_GRACE_S
            else:
                self._sandbox.kill()
            self._ended_by = TimedOut()

    def _verdict(self) -> Exit:
        code = self._sandbox.exit_code
        if code != 0 and self._limits.out_of_memory():
            return OutOfMemory()
        if code is not None:
            return Exited(code)
        complaint = self._complaint.decode("utf-8", "replace").strip()
        if "bwrap: execvp" in complaint:
            return Exited(NOT_EXECUTABLE if "Permission denied" in complaint else NOT_FOUND)
        return EngineFailed(complaint or f"bwrap ended with code {self._sandbox.process.returncode}")
