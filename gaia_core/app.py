"""The server's composition root: builds journal, bus, event log and store from a Config, and runs the coordinator.

Everything blocking has a thread of its own: the loop, the publisher, the lookups. The interfaces live on one asyncio
loop. `gaia up` brings its own launcher and workers (`gaia_worker.embedded`).
"""

import asyncio
import json
import logging
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import uvicorn
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from starlette.types import ASGIApp

from gaia.v1 import api_pb2, api_pb2_grpc
from gaia_core.backends.folder import FolderStore
from gaia_core.backends.folder_lock import lock_folder
from gaia_core.backends.folder_quarantine import FolderQuarantine
from gaia_core.backends.inprocess import InProcessBus
from gaia_core.backends.kafka import KafkaSettings
from gaia_core.backends.kafka_bus import KafkaCoordinatorBus
from gaia_core.backends.kafka_election import KafkaElection
from gaia_core.backends.kafka_events import KafkaEventLog
from gaia_core.backends.kafka_journal import KafkaJournal
from gaia_core.backends.kafka_quarantine import KafkaQuarantine
from gaia_core.backends.kafka_topics import ensure_topics
from gaia_core.backends.s3 import S3Settings, S3Store
from gaia_core.backends.sqlite import SqliteEventLog, SqliteJournal
from gaia_core.config import Config, split_address, variable
from gaia_core.coordinator.desk import Desk, Submit
from gaia_core.coordinator.loop import Clock
from gaia_core.coordinator.office import Backing, Office
from gaia_core.coordinator.reign import Duties
from gaia_core.coordinator.snapshots import Snapshots, snapshot_folder
from gaia_core.errors import Bug, ConfigError, GaiaError, NotAllowedNow, Unavailable
from gaia_core.ports import Store
from gaia_core.service import http_api
from gaia_core.service.grpc_api import GaiaService
from gaia_core.service.interceptor import ErrorInterceptor
from gaia_core.service.launching import Launcher
from gaia_core.service.limits import MESSAGE_BYTES_MAX
from gaia_core.service.reception import Reception
from gaia_core.snapshot_process import CLUSTER, EMBEDDED, SnapshotProcess
from gaia_core.workflow.validate import Rules

log = logging.getLogger(__name__)

STOP_S: Final = 5.0
"""How long open calls may go on after a stop was asked for."""

EMBEDDED_BUCKET: Final = "data"

KEEPALIVE_MS: Final = 40_000
"""After so much silence a client is asked for a sign of life, and given as long again to answer."""

PENDING_CALLS_MAX: Final = 100_000
"""Calls that the gRPC library keeps until we look at them; of more than 1,000 it would cancel some at random.

Source: grpc_core::Server, whose max_pending_requests is a RandomEarlyDetection of 1,000 and 3,000. Of 10,000 calls at
once from one client (gRPC 1.85) about 6,000 ended as CANCELLED, none with this.
"""

SYSTEM_CLOCK: Final = Clock(lambda: time.time_ns() // 1_000_000, time.monotonic)


def embedded_deployment(config: Config) -> str:
    """Return the name of the Gaia in a data folder, which containers and stored versions carry."""
    return f"embedded-{uuid.uuid5(uuid.NAMESPACE_URL, str(config.data.absolute()))}"


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
        bus = InProcessBus()
        stack.callback(bus.close)
        store = embedded_store(config)
        store.check()
        yield Backing(
            open_journal=lambda: SqliteJournal(embedded_journal(config), synchronous),
            open_bus=lambda: bus,
            open_event_log=lambda: SqliteEventLog(folder / "events.sqlite", synchronous),
            open_election=None,
            store=store,
            own_bucket=EMBEDDED_BUCKET,
            buckets=None,
            set_aside=FolderQuarantine(folder / "quarantine").put,
            deployment=embedded_deployment(config),
            snapshots=snapshots_in(store, None),
            open_taker=lambda: SnapshotProcess(EMBEDDED, config),
        )


def embedded_store(config: Config) -> FolderStore:
    """Return the store of an embedded Gaia."""
    return FolderStore(config.data.absolute() / "store", EMBEDDED_BUCKET)


def embedded_journal(config: Config) -> Path:
    """Return the file of an embedded Gaia's journal."""
    return config.data.absolute() / "journal.sqlite"


def snapshots_in(store: Store, config: Config | None) -> Snapshots:
    """Return the snapshots in a store, of a cluster or, without a configuration, of an embedded Gaia."""
    return Snapshots(store, snapshot_folder(EMBEDDED if config is None else config.topic_prefix))


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
    """Make topics and bucket where they are missing, and tell how to connect to Kafka and S3.

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
    with closing(KafkaQuarantine(settings)) as quarantine:
        yield Backing(
            open_journal=lambda: KafkaJournal(settings),
            open_bus=lambda: KafkaCoordinatorBus(settings),
            open_event_log=lambda: KafkaEventLog(settings, quarantine.put),
            open_election=lambda: KafkaElection(settings),
            store=store,
            own_bucket=config.bucket,
            buckets=frozenset(config.buckets),
            deployment=config.topic_prefix,
            set_aside=quarantine.put,
            snapshots=snapshots_in(store, config),
            open_taker=lambda: SnapshotProcess(CLUSTER, config),
        )


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

    def launch(self, names: Sequence[str], metadata: Mapping[str, Any]) -> None:
        """Start one worker process for each name, and let it say what else it was started with."""
        for name in names:
            own = {
                variable("worker_name"): name,
                variable("worker_metadata"): json.dumps(dict(metadata)),
                variable("idle_exit_s"): str(self._idle_exit_s),
            }
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
    """One server with its interfaces, from start to stop: a leader, or where others may lead, a standby in turns."""

    def __init__(self, config: Config, backing: Backing, launcher: Callable[[Submit], Launcher]) -> None:
        self.config = config
        self.failure: GaiaError | None = None
        self.reception = Reception()
        self._backing = backing
        self._desk = Desk()
        self._launcher = launcher(self._desk.submit)
        rules = Rules(config.sweep_steps_max, backing.own_bucket, backing.buckets, config.retention_s)
        duties = Duties(
            config.lease_s,
            config.poll_s,
            config.outside_changes == "expire",
            rules,
            deployment=backing.deployment,
            sweep_s=config.sweep_s,
            versions_kept_s=config.versions_kept_s,
            snapshot_bytes=int(config.snapshot_mb * 2**20),
            may_lose=config.quarantine,
        )
        address = config.advertise or config.listen
        self._office = Office(backing, self._desk, duties, SYSTEM_CLOCK, address)
        self._asyncio: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()

    def run(self, ready: Callable[[str], None]) -> None:
        """Serve until `stop`.

        Args:
            ready: called with "leader" or "standby" once the ports answer as such, each time that changes.

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

    async def _serve(self, ready: Callable[[str], None]) -> None:
        self._asyncio = asyncio.get_running_loop()
        async with self._interfaces():
            holding = threading.Thread(target=self._hold, args=(ready,), name="office")
            holding.start()
            await self._stop.wait()
            await asyncio.to_thread(self._shut_down, holding)

    def _hold(self, ready: Callable[[str], None]) -> None:
        """Lead and stand by, in turns, in a thread of its own; whatever ends it early stops the server."""
        try:
            self._office.hold(ready)
        except GaiaError as error:
            self.fail(error)
        except Exception as error:
            log.exception("the office broke")
            self.fail(Bug(f"The server broke: {error!r}"))

    def _shut_down(self, holding: threading.Thread) -> None:
        """Let the launched workers end while somebody still takes their reports, then leave office."""
        self._launcher.close()
        self._office.leave()
        holding.join()

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
        service = GaiaService(self._desk, self._backing.store, self.reception, self._launcher)
        app = http_api.build(
            lambda: self._office.role,
            self._desk.submit,
            self.reception,
            _known_hosts(self.config),
            self.config.token,
            lambda: self._office.refused,
            lambda: self._office.troubles,
        )
        return _Interfaces(self.config, service, app, self._http_socket)


class _Interfaces:
    """gRPC and HTTP, bound before anything else is done and served from then on."""

    def __init__(self, config: Config, service: GaiaService, app: ASGIApp, http_socket: Callable[[], Any]) -> None:
        self._config = config
        self._service = service
        self._app = app
        self._http_socket = http_socket
        self._stack = ExitStack()

    async def __aenter__(self) -> None:
        bound = self._stack.enter_context(self._http_socket())
        self._grpc = await self._start_grpc()
        settings = uvicorn.Config(self._app, log_config=None, access_log=False, lifespan="off")
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
            # What comes faster than it is looked at is to be refused by us, in words, and not cancelled by the library.
            ("grpc.server.max_pending_requests", PENDING_CALLS_MAX),
            ("grpc.server.max_pending_requests_hard_limit", PENDING_CALLS_MAX),
            # Watchers that disappeared without a word are noticed; those that ask for signs of life are not sent away.
            ("grpc.keepalive_time_ms", KEEPALIVE_MS),
            ("grpc.keepalive_timeout_ms", KEEPALIVE_MS),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", KEEPALIVE_MS // 4),
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


def _known_hosts(config: Config) -> frozenset[str]:
    """Return the names that clients may call the HTTP port by; empty for any."""
    if config.token or config.insecure:
        return frozenset()
    host, _ = split_address(config.http_listen)
    return frozenset({"localhost", "127.0.0.1", "::1", host})


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
