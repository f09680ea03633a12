"""The server's composition root: builds journal, bus, event log and store from a Config, and runs the coordinator.

Everything blocking has a thread of its own: the loop, the publisher, the lookups. The interfaces live on one asyncio
loop. `gaia up` brings its own launcher and workers (`gaia_worker.embedded`).
"""

import asyncio
import gc
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import grpc
import uvicorn
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from gaia.v1 import api_pb2, api_pb2_grpc
from gaia_core.backends.folder import FolderStore
from gaia_core.backends.folder_lock import lock_folder
from gaia_core.backends.inprocess import InProcessBus
from gaia_core.backends.kafka import KafkaSettings
from gaia_core.backends.kafka_bus import KafkaCoordinatorBus
from gaia_core.backends.kafka_events import KafkaEventLog
from gaia_core.backends.kafka_journal import KafkaJournal
from gaia_core.backends.kafka_topics import ensure_topics
from gaia_core.backends.s3 import S3Settings, S3Store
from gaia_core.backends.sqlite import SqliteEventLog, SqliteJournal
from gaia_core.config import Config, split_address, variable
from gaia_core.coordinator.errands import Errands, Wanted
from gaia_core.coordinator.loop import Clock, Loop
from gaia_core.coordinator.polling import Poller
from gaia_core.coordinator.publisher import Publisher
from gaia_core.coordinator.watching import WatchHub
from gaia_core.errors import Bug, ConfigError, GaiaError, NotAllowedNow, Unavailable
from gaia_core.ports import CoordinatorBus, EventLog, Journal, Store
from gaia_core.service import http_api
from gaia_core.service.grpc_api import MESSAGE_BYTES_MAX, ErrorInterceptor, GaiaService, Launcher, Submit
from gaia_core.version import VERSION
from gaia_core.workflow.validate import Rules

log = logging.getLogger(__name__)

STOP_S: Final = 5.0
"""How long open calls may go on after a stop was asked for."""

EMBEDDED_BUCKET: Final = "data"

SYSTEM_CLOCK: Final = Clock(lambda: time.time_ns() // 1_000_000, time.monotonic)


@dataclass(frozen=True, slots=True)
class Backing:
    """What a server stands on.

    Attributes:
        own_bucket: holds all data spaces.
        buckets: others that Keys may name; None for any.
    """

    journal: Journal
    bus: CoordinatorBus
    open_event_log: Callable[[], EventLog]
    store: Store
    own_bucket: str
    buckets: frozenset[str] | None


@contextmanager
def embedded_backing(config: Config) -> Iterator[Backing]:
    """Open SQLite files and folders below the data folder.

    Raises:
        NotAllowedNow: another Gaia uses the folder.
        Unavailable: a file cannot be opened.
    """
    with ExitStack() as stack:
        folder = config.data.absolute()
        stack.enter_context(lock_folder(folder))
        synchronous: Any = config.synchronous
        journal = SqliteJournal(folder / "journal.sqlite", synchronous)
        stack.callback(journal.close)
        bus = InProcessBus()
        stack.callback(bus.close)
        store = FolderStore(folder / "store", EMBEDDED_BUCKET)
        store.check()
        yield Backing(
            journal, bus, lambda: SqliteEventLog(folder / "events.sqlite", synchronous), store, EMBEDDED_BUCKET, None
        )


def s3_store(config: Config) -> S3Store:
    """Return the store of a cluster.

    Raises:
        ConfigError: no server is named.
    """
    if not config.s3_endpoint:
        raise ConfigError("No S3 server is named.", hint=f"set {variable('s3_endpoint')}")
    return S3Store(
        S3Settings(
            endpoint=config.s3_endpoint,
            access_key=config.s3_access_key,
            secret_key=config.s3_secret_key,
            secure=config.s3_secure,
            region=config.s3_region or None,
            bucket=config.bucket,
            buckets=frozenset(config.buckets),
        )
    )


def kafka_settings(config: Config) -> KafkaSettings:
    """Return how Kafka is reached.

    Raises:
        ConfigError: no server is named.
    """
    if not config.kafka_bootstrap:
        raise ConfigError("No Kafka server is named.", hint=f"set {variable('kafka_bootstrap')}")
    return KafkaSettings(
        config.kafka_bootstrap,
        config.topic_prefix,
        replication_factor=config.replication_factor or None,
        extra=config.kafka,
    )


@contextmanager
def cluster_backing(config: Config) -> Iterator[Backing]:
    """Connect to Kafka and S3, making topics and bucket where they are missing.

    Raises:
        ConfigError: a setting is missing, or a topic or bucket has the wrong shape.
        Unavailable: Kafka or the store does not answer.
    """
    missing = [variable(name) for name in ("kafka_bootstrap", "s3_endpoint") if not getattr(config, name)]
    if missing:
        raise ConfigError(f"A cluster needs Kafka and S3; not set: {', '.join(missing)}.", hint="or run: gaia up")
    settings = kafka_settings(config)
    store = s3_store(config)
    store.check()
    warnings = ensure_topics(settings)
    if warnings:
        log.warning("Kafka keeps less than it could", extra={"causes": warnings})
    with ExitStack() as stack:
        journal = KafkaJournal(settings)
        stack.callback(journal.close)
        bus = KafkaCoordinatorBus(settings)
        stack.callback(bus.close)
        yield Backing(journal, bus, lambda: KafkaEventLog(settings), store, config.bucket, frozenset(config.buckets))


class ProcessLauncher:
    """Starts workers as processes beside the server.

    Args:
        environ: the environment that gives a worker the server's own settings.
        idle_exit_s: how long a worker stays without a Step.
    """

    def __init__(self, environ: Mapping[str, str], idle_exit_s: float) -> None:
        self._environ = environ
        self._idle_exit_s = idle_exit_s
        self._processes: list[subprocess.Popen[bytes]] = []

    def launch(self, names: Sequence[str], metadata: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Start one worker process for each name."""
        for name in names:
            own = {variable("worker_name"): name, variable("idle_exit_s"): str(self._idle_exit_s)}
            environ = {**self._environ, **own}
            command = [sys.executable, "-m", "gaia", "worker"]
            process = subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL)  # noqa: S603 - our own program
            self._processes.append(process)

    def close(self) -> None:
        """Ask every worker to drain and wait for it."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait()


class Server:
    """One coordinator with its interfaces, from start to stop."""

    def __init__(self, config: Config, backing: Backing, launcher: Callable[[Loop], Launcher]) -> None:
        self.config = config
        self.failure: GaiaError | None = None
        self._backing = backing
        self._watchers = WatchHub()
        self.publisher = Publisher(backing.journal, backing.open_event_log, self._watchers)
        self.loop = Loop(
            backing.journal, backing.bus, SYSTEM_CLOCK, config.lease_s, self.publisher.feed, self._ask_store,
            self._watchers,
        )  # fmt: skip
        self.loop.term.state.rules = Rules(config.sweep_steps_max, backing.own_bucket, backing.buckets)
        self._errands = Errands(backing.store, self.loop.submit)
        expire_changed = config.outside_changes == "expire"
        self._poller = Poller(backing.store, self.loop.submit, config.poll_s, expire_changed=expire_changed)
        self._launcher = launcher(self.loop)
        self._threads: list[threading.Thread] = []
        self._leading = False
        self._asyncio: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()

    def run(self, ready: Callable[[], None]) -> None:
        """Serve until `stop`.

        Args:
            ready: called once the server leads and its ports answer.

        Raises:
            GaiaError: it could not start, or could not go on.
        """
        asyncio.run(self._serve(ready))
        if self.failure is not None:
            raise self.failure

    def stop(self) -> None:
        """Make `run` return; from any thread or signal handler."""
        if self._asyncio is not None:
            self._asyncio.call_soon_threadsafe(self._stop.set)

    def fail(self, error: GaiaError) -> None:
        """Make `run` end with an error; from any thread."""
        self.failure = self.failure or error
        self.stop()

    async def _serve(self, ready: Callable[[], None]) -> None:
        self._asyncio = asyncio.get_running_loop()
        async with self._interfaces():
            try:
                await self._lead()
                ready()
                await self._stop.wait()
            finally:
                self._leading = False
                await asyncio.to_thread(self._shut_down)

    async def _lead(self) -> None:
        """Replay, take office, and start working; return once requests are answered."""
        opened: Future[None] = Future()
        self._start("loop", lambda: self._run_loop(opened))
        await asyncio.wrap_future(opened)
        self._start("publisher", self.publisher.run)
        self._start("errands", self._errands.run)
        if self.config.poll_s:
            self._start("poller", self._poller.run)
        self._leading = True

    def _run_loop(self, opened: "Future[None]") -> None:
        """Open the publisher and the loop, then lead; whatever ends it early stops the server."""
        try:
            self.publisher.open()
            self.loop.open(self.config.listen, VERSION)
            self.publisher.catch_up()
        except BaseException as error:  # noqa: BLE001 - it reaches whoever waits
            opened.set_exception(error)
            return
        _settle_memory()
        opened.set_result(None)
        self.loop.run()

    def _shut_down(self) -> None:
        """Let the launched workers end, stop leading, publish what is left, and wait for every thread."""
        self._launcher.close()
        self.loop.stop()
        self._backing.bus.close()
        self._errands.stop()
        self._poller.stop()
        by_name = {thread.name: thread for thread in self._threads}
        if "loop" in by_name:
            by_name["loop"].join()
        self.publisher.stop()
        for thread in self._threads:
            thread.join()
        self.publisher.close()

    def _start(self, name: str, target: Callable[[], None]) -> None:
        """Start a thread that stops the server when it breaks."""

        def guarded() -> None:
            try:
                target()
            except Exception as error:
                log.exception("a thread broke", extra={"thread_name": name})
                self.fail(error if isinstance(error, GaiaError) else Bug(f"The {name} broke: {error!r}"))

        thread = threading.Thread(target=guarded, name=name)
        self._threads.append(thread)
        thread.start()

    def _ask_store(self, wanted: Wanted) -> None:
        self._errands.ask(wanted)

    @contextmanager
    def _http_socket(self) -> Iterator[socket.socket]:
        """Bind the HTTP port."""
        host, port = split_address(self.config.http_listen)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as bound:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                bound.bind((host, port))
            except OSError as error:
                raise _port_refused("HTTP", self.config.http_listen, "http_listen", error) from error
            yield bound

    def _interfaces(self) -> "_Interfaces":
        service = GaiaService(self.loop.submit, self._backing.store, self._launcher, self._watchers)
        return _Interfaces(self.config, service, self.loop.submit, lambda: self._leading, self._http_socket)


def _settle_memory() -> None:
    """Keep the garbage collector away from the state: it lives long, has no cycles to find, and is costly to walk.

    Source: with the default thresholds, 100,000 waiting Steps cost a third of the throughput.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1_000)


class _Interfaces:
    """gRPC and HTTP, bound before anything else is done and served from then on."""

    def __init__(
        self,
        config: Config,
        service: GaiaService,
        submit: Submit,
        is_ready: Callable[[], bool],
        http_socket: Callable[[], Any],
    ) -> None:
        self._config = config
        self._service = service
        self._submit = submit
        self._is_ready = is_ready
        self._http_socket = http_socket
        self._stack = ExitStack()

    async def __aenter__(self) -> None:
        bound = self._stack.enter_context(self._http_socket())
        self._grpc = await self._start_grpc()
        host, _ = split_address(self._config.http_listen)
        own_names = frozenset({"localhost", "127.0.0.1", "::1", host})
        known = frozenset() if self._config.token or self._config.insecure else own_names
        app = http_api.build(self._is_ready, self._submit, known, self._config.token)
        settings = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
        self._http = _QuietUvicorn(settings)
        self._serving = asyncio.create_task(self._http.serve(sockets=[bound]))

    async def __aexit__(self, *_: object) -> None:
        await self._grpc.stop(STOP_S)
        self._http.should_exit = True
        await self._serving
        self._stack.close()

    async def _start_grpc(self) -> Any:
        options = [
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
            ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
        ]
        server = grpc.aio.server(interceptors=[ErrorInterceptor(self._config.token)], options=options)
        api_pb2_grpc.add_GaiaServicer_to_server(self._service, server)  # type: ignore[no-untyped-call]
        servicer = health.aio.HealthServicer()  # type: ignore[attr-defined]
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        name = api_pb2.DESCRIPTOR.services_by_name["Gaia"].full_name
        reflection.enable_server_reflection(
            [name, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME], server
        )
        await servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
        try:
            server.add_insecure_port(self._config.listen)
        except RuntimeError as error:
            raise _port_refused("gRPC", self._config.listen, "listen", error) from error
        await server.start()
        return server


class _QuietUvicorn(uvicorn.Server):
    """Leaves signals to the process that runs it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield


def _port_refused(what: str, address: str, setting: str, error: Exception) -> GaiaError:
    """Return the error for a port that cannot be bound."""
    flag = {"listen": "--listen", "http_listen": "--http"}[setting]
    hint = f"another Gaia may run here; choose another address with {flag} or {variable(setting)}"
    if isinstance(error, PermissionError):
        return Unavailable(f"The {what} address {address} may not be used: {error.strerror}.", hint=hint)
    return NotAllowedNow(f"The {what} address {address} is in use.", hint=hint)
