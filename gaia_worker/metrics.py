"""What a worker shows to Prometheus, and where: counted around its parts, which know nothing of it.

`WorkerMeter` wraps what runs attempts, the executor and the store. An executor that takes no time is not counted here:
the server counts those Steps. docs/metrics.md has a table of all of it.
"""

import hmac
import logging
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from gaia_core.config import is_loopback, split_address
from gaia_core.errors import StoreError
from gaia_core.machine.reports import Cancelled, Completed, Failed, Report, Started
from gaia_core.ports import Store, Stored
from gaia_core.workflow.model import Execution
from gaia_worker.agent import RunAttempt, Say
from gaia_worker.cache_meter import CacheMeter
from gaia_worker.control import Control
from gaia_worker.executors.base import Executor, Exit, Sink, Task

LONG_SECONDS: Final = (0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 3600.0, 14_400.0, 86_400.0)

log = logging.getLogger(__name__)


class WorkerMeter:
    """Counts of the workers of one process; safe for several threads.

    Attributes:
        registry: holds all of them.
        caches: of the inputs.
    """

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # of the old text format: a second family for each, of no use to anybody
        self.registry = CollectorRegistry(auto_describe=True)
        self.caches = CacheMeter()
        self.slots = self._gauge("gaia_worker_process_slots", "Attempts that run at a time at most.")
        self._running = self._gauge("gaia_worker_attempts_running", "Attempts that have a slot.")
        self._attempts = Counter(
            "gaia_worker_attempts",
            "Attempts that ended, by outcome: completed, cancelled, or the class of the failure.",
            ["outcome"],
            registry=self.registry,
        )
        self._attempt_s = self._histogram(
            "gaia_worker_attempt_seconds", "How long attempts took, with the moving of their files."
        )
        self._stage_in_s = self._histogram(
            "gaia_worker_stage_in_seconds",
            "From an attempt's slot to the start of its program: its inputs are fetched.",
        )
        self._program_s = self._histogram(
            "gaia_worker_program_seconds", "How long programs took, with the making and removing of their containers."
        )
        self._files = Counter(
            "gaia_worker_files", "Files moved, down from the store or up to it.", ["direction"], registry=self.registry
        )
        self._bytes = Counter("gaia_worker_transferred_bytes", "Bytes of these.", ["direction"], registry=self.registry)
        self._store_errors = Counter(
            "gaia_worker_store_errors", "Calls of the store that failed; most are made again.", registry=self.registry
        )
        self.registry.register(self.caches)

    def attempts(self, run: RunAttempt) -> RunAttempt:
        """Return what runs attempts, counted."""

        def counted(execution: Execution, control: Control, say: Say) -> Completed | Failed | Cancelled:
            outcome = "broken"
            began_s = time.monotonic()

            def noted(report: Report) -> None:
                if isinstance(report, Started):
                    self._stage_in_s.observe(time.monotonic() - began_s)
                say(report)

            with self._running.track_inprogress(), self._attempt_s.time():
                try:
                    end = run(execution, control, noted)
                    outcome = _outcome(end)
                finally:
                    self._attempts.labels(outcome).inc()
            return end

        return counted

    def executor(self, executor: Executor) -> Executor:
        """Return an executor, counted."""
        return executor if executor.instant else cast("Executor", _MeteredExecutor(executor, self._program_s))

    def store(self, store: Store) -> Store:
        """Return a store, counted."""
        return cast("Store", _MeteredStore(store, self))

    def moved(self, direction: str, files: int, size_bytes: int) -> None:
        """Count what was moved, "up" or "down"."""
        self._files.labels(direction).inc(files)
        self._bytes.labels(direction).inc(size_bytes)

    def store_failed(self) -> None:
        """Count a call of the store that failed."""
        self._store_errors.inc()

    def _gauge(self, name: str, help_text: str) -> Gauge:
        return Gauge(name, help_text, registry=self.registry)

    def _histogram(self, name: str, help_text: str) -> Histogram:
        return Histogram(name, help_text, buckets=LONG_SECONDS, registry=self.registry)


def _outcome(end: Completed | Failed | Cancelled) -> str:
    if isinstance(end, Failed):
        return end.failure.kind.name
    return "completed" if isinstance(end, Completed) else "cancelled"


class _MeteredExecutor:
    """An executor that notes how long programs take; in all else the one that it wraps."""

    def __init__(self, wrapped: Executor, program_s: Histogram) -> None:
        self._wrapped = wrapped
        self._program_s = program_s

    def run(self, task: Task, cancelled: threading.Event, sink: Sink) -> Exit:
        """Run a program."""
        with self._program_s.time():
            return self._wrapped.run(task, cancelled, sink)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)


class _MeteredStore:
    """A store that counts what is moved; in all else the one that it wraps."""

    def __init__(self, wrapped: Store, meter: WorkerMeter) -> None:
        self._wrapped = wrapped
        self._meter = meter

    def put_file(self, bucket: str | None, path: str, source: Path, mark: str = "") -> Stored:
        """Store a file."""
        return self._put(lambda: self._wrapped.put_file(bucket, path, source, mark))

    def put_bytes(self, bucket: str | None, path: str, data: bytes, mark: str = "") -> Stored:
        """Store a small object."""
        return self._put(lambda: self._wrapped.put_bytes(bucket, path, data, mark))

    def put_open(
        self, bucket: str | None, path: str, source: BinaryIO, mark: str = "", sure: Callable[[], object] = bool
    ) -> Stored:
        """Store what an open file holds."""
        return self._put(lambda: self._wrapped.put_open(bucket, path, source, mark, sure))

    def open(
        self, bucket: str | None, path: str, version: str, start: int = 0, size_bytes: int | None = None
    ) -> Iterator[bytes]:
        """Yield the content of a version, or a part of it; a file in parts counts once."""
        moved_bytes = 0
        try:
            for chunk in self._wrapped.open(bucket, path, version, start, size_bytes):
                moved_bytes += len(chunk)
                yield chunk
        except StoreError:
            self._meter.store_failed()
            self._meter.moved("down", 0, moved_bytes)
            raise
        self._meter.moved("down", int(start == 0), moved_bytes)

    def _put(self, put: Callable[[], Stored]) -> Stored:
        try:
            stored = put()
        except StoreError:
            self._meter.store_failed()
            raise
        self._meter.moved("up", 1, stored.size_bytes)
        return stored

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)


class MetricsPort:
    """Serves a registry at /metrics; to be closed.

    Args:
        address: HOST:PORT.
        token: what callers must send as a bearer token; "" for nothing.
        registry: what is shown.
        any_host: also to callers that know us by another name; where there is no token, pages of other sites are not.
    """

    def __init__(self, address: str, token: str, registry: CollectorRegistry, *, any_host: bool = False) -> None:
        host, port = split_address(address)
        known = frozenset({"localhost", "127.0.0.1", "::1", host})

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                named = self.headers.get("Host", "").rpartition(":")[0].strip("[]") or self.headers.get("Host", "")
                given = self.headers.get("Authorization", "").encode()
                if not token and not any_host and named not in known:
                    self._answer(403, b"this worker is not known by that name\n")
                elif token and not hmac.compare_digest(given, f"Bearer {token}".encode()):
                    self._answer(401, b"the token is missing or wrong\n")
                elif self.path.partition("?")[0] != "/metrics":
                    self._answer(404, b"there is only /metrics\n")
                else:
                    self._answer(200, generate_latest(registry))

            def log_message(self, *_: object) -> None:
                pass

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", CONTENT_TYPE_PLAIN_0_0_4)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serve_metrics(address: str, token: str, meter: WorkerMeter) -> MetricsPort | None:
    """Serve a worker's metrics, or say why not: a worker without them is better than none."""
    ProcessCollector(registry=meter.registry)
    try:
        return MetricsPort(address, token, meter.registry, any_host=not is_loopback(address))
    except OSError as error:
        log.warning("metrics are not served", extra={"address": address, "cause": str(error)})
        return None
