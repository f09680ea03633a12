"""`gaia up`: a coordinator and its workers in one process, on SQLite and a folder. A composition root."""

import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from gaia_core.app import Server, embedded_backing, embedded_deployment
from gaia_core.backends.inprocess import InProcessBus
from gaia_core.backends.inprocess_logs import InProcessLogs
from gaia_core.backends.process_launcher import STOPPING, no_room
from gaia_core.config import LAUNCHED_IDLE_EXIT_S, Config
from gaia_core.coordinator.desk import Submit
from gaia_core.errors import Bug, GaiaError, Unavailable
from gaia_core.machine import requests as rq
from gaia_core.ports import LogFeed, Store
from gaia_core.version import VERSION
from gaia_core.workflow.model import Fence, Publication
from gaia_worker.app import Surroundings, WorkerHandle, start_worker_thread
from gaia_worker.executors.base import Executor
from gaia_worker.executors.choose import choose_executor
from gaia_worker.machine import resources_of, slots_of
from gaia_worker.metrics import WorkerMeter
from gaia_worker.secrets import Secrets
from gaia_worker.settings import WorkerSettings, hidden_folders, metadata_of

log = logging.getLogger(__name__)


def sandbox_if_possible() -> str:
    """Return the executor that needs no image where it works, else "auto"."""
    try:
        choose_executor("sandbox").executor.close()
    except Unavailable:
        return "auto"
    return "sandbox"


class LocalWorker:
    """One launched worker."""

    def __init__(self, handle: WorkerHandle) -> None:
        self._handle = handle

    def ended(self) -> str:
        """Return why it is no more; "" while it lives."""
        outcome = self._handle.outcome
        if not outcome.done():
            return ""
        problem = outcome.exception()
        return f"it left: {outcome.result()}" if problem is None else getattr(problem, "message", repr(problem))


class LocalWorkers:
    """Workers as threads of this process; also the launcher of the embedded mode."""

    takes_s = 5.0

    def __init__(
        self,
        config: Config,
        submit: Submit,
        bus: InProcessBus,
        store: Store,
        executor: Executor,
        log_feed: LogFeed,
        meter: WorkerMeter | None = None,
    ) -> None:
        self._config = config
        self._submit = submit
        self._bus = bus
        self._store = store
        self._executor = executor
        self._log_feed = log_feed
        self._meter = meter
        self._handles: list[WorkerHandle] = []
        self._launched: list[WorkerHandle] = []
        self._closed = False
        self._lock = threading.Lock()

    def start(self) -> None:
        """Give up the workers of an earlier process and start those that the configuration asks for."""
        for worker in self._submit(rq.ListWorkers()).result():
            reason = "Gaia was started again"
            self._submit(rq.LoseWorker(worker.name, worker.incarnation, reason)).result()
        metadata = metadata_of(self._config.worker_metadata)
        for number in range(self._config.workers):
            self._start(f"{self._config.worker_name or 'local'}-{number + 1}", metadata, None)

    def objection(self, count: int) -> str:
        """Return why so many more workers cannot be started now, in words; "" if they can."""
        with self._lock:
            living = sum(not handle.outcome.done() for handle in self._launched)
        return STOPPING if self._closed else no_room(living, count, self._config.launch_max)

    def launch(self, name: str, metadata: Mapping[str, Any]) -> LocalWorker:
        """Start a worker, which leaves after five idle minutes, and let it say what else it was started with."""
        handle = self._start(name, metadata, self._config.idle_exit_s or LAUNCHED_IDLE_EXIT_S)
        with self._lock:
            self._launched = [one for one in self._launched if not one.outcome.done()] + [handle]
        return LocalWorker(handle)

    def close(self) -> None:
        """End what runs and wait for the workers."""
        self._closed = True
        with self._lock:
            handles = list(self._handles)
        for handle in handles:
            handle.stop_now()
        for handle in handles:
            try:
                handle.join()
            except GaiaError as error:
                log.warning("a worker ended badly", extra={"cause": error.message})

    def _start(self, name: str, metadata: Mapping[str, Any], idle_exit_s: float | None) -> WorkerHandle:
        data = self._config.data.absolute()
        settings = WorkerSettings(
            name=name,
            slots=slots_of(self._config),
            scratch=self._config.scratch or data / "scratch",
            deployment=embedded_deployment(self._config),
            pool=self._config.pool,
            prefetch=None if self._config.prefetch < 0 else self._config.prefetch,
            idle_exit_s=idle_exit_s,
            cache_bytes=self._config.cache_bytes,
            disk_bytes=self._config.disk_bytes,
            kept_bytes=self._config.kept_bytes,
            host=socket.gethostname(),
            version=VERSION,
            secrets=Secrets(os.environ, self._config.secrets_dir),
            metadata=metadata,
            log_bytes_max=self._config.log_bytes_max,
            resources=resources_of(self._config, self._config.workers),
            disk_free_min=self._config.disk_free_min,
        )
        bus = self._bus.connect(name)
        around = Surroundings(self._store, self._executor, self._inputs, self._log_feed, meter=self._meter)
        handle = start_worker_thread(settings, uuid.uuid4().hex, bus, around)
        handle.outcome.add_done_callback(lambda _: bus.close())
        with self._lock:
            self._handles.append(handle)
        return handle

    def _inputs(self, fence: Fence) -> dict[str, tuple[Publication, ...]]:
        """Ask the coordinator what an attempt's inputs are made of."""
        request = rq.GetInputs(fence.workflow_uid, fence.step, fence.attempt)
        return {one.name: one.sources for one in self._submit(request).result()}


class Embedded:
    """All of Gaia in this process."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.executor_reason = ""
        self._server: Server | None = None
        self._stopped = threading.Event()

    def run(self, ready: Callable[[], None]) -> None:
        """Serve until `stop`.

        Args:
            ready: called once everything works, from this thread; must be quick.

        Raises:
            GaiaError: it could not start, or could not go on.
        """
        with ExitStack() as stack:
            backing = stack.enter_context(embedded_backing(self.config))
            hidden = hidden_folders(self.config, self.config.data)
            choice = choose_executor(self.config.executor, hidden)
            stack.callback(choice.executor.close)
            self.executor_reason = choice.reason
            bus = backing.open_bus()
            logs = backing.log_tap
            assert isinstance(bus, InProcessBus)
            assert isinstance(logs, InProcessLogs)
            made: list[LocalWorkers] = []

            def launcher(submit: Submit) -> LocalWorkers:
                made.append(LocalWorkers(self.config, submit, bus, backing.store, choice.executor, logs, meter))
                return made[0]

            meter = WorkerMeter()
            self._server = Server(self.config, backing, launcher, meter.registry)
            self._server.run(lambda _: self._begin(made[0], ready))

    def stop(self) -> None:
        """Make `run` return; from any thread or signal handler."""
        self._stopped.set()
        if self._server is not None:
            self._server.stop()

    def _begin(self, workers: LocalWorkers, ready: Callable[[], None]) -> None:
        """Start the workers apart from the event loop, which must go on serving."""
        server = self._server
        assert server is not None

        def begin() -> None:
            try:
                workers.start()
                ready()
            except Exception as error:
                server.fail(error if isinstance(error, GaiaError) else Bug(f"The workers did not start: {error!r}"))
                raise

        threading.Thread(target=begin, name="begin").start()
        if self._stopped.is_set():
            self.stop()
