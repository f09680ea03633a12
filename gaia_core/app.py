"""The server's composition root: builds journal, bus, event log and store from a Config, and runs the coordinator.

Everything blocking has a thread of its own: the loop, the publisher, the lookups. The interfaces live on one asyncio
loop. `gaia up` brings its own launcher and workers (`gaia_worker.embedded`).
"""

import asyncio
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry

from gaia_core.backends.folder import FolderStore
from gaia_core.backends.folder_lock import lock_folder
from gaia_core.backends.folder_quarantine import FolderQuarantine
from gaia_core.backends.inprocess import InProcessBus
from gaia_core.backends.inprocess_logs import InProcessLogs
from gaia_core.backends.kafka import KafkaSettings
from gaia_core.backends.kafka_bus import KafkaCoordinatorBus
from gaia_core.backends.kafka_election import KafkaElection
from gaia_core.backends.kafka_events import KafkaEventLog
from gaia_core.backends.kafka_journal import KafkaJournal
from gaia_core.backends.kafka_logs import KafkaLogTap
from gaia_core.backends.kafka_quarantine import KafkaQuarantine
from gaia_core.backends.kafka_topics import ensure_topics
from gaia_core.backends.s3 import S3Settings, S3Store
from gaia_core.backends.sqlite import SqliteEventLog, SqliteJournal
from gaia_core.config import Config, variable
from gaia_core.coordinator.desk import Desk, Submit
from gaia_core.coordinator.loop import Clock
from gaia_core.coordinator.office import Backing, Office
from gaia_core.coordinator.reign import Duties
from gaia_core.coordinator.snapshots import Snapshots, snapshot_folder
from gaia_core.errors import Bug, ConfigError, GaiaError
from gaia_core.interfaces import Interfaces, known_hosts
from gaia_core.ports import Launcher, Store
from gaia_core.service import http_api
from gaia_core.service.calls import CallMeter
from gaia_core.service.grpc_api import GaiaService
from gaia_core.service.metrics import ServerMetrics
from gaia_core.service.reception import Reception
from gaia_core.snapshot_process import CLUSTER, EMBEDDED, SnapshotProcess
from gaia_core.workflow.validate import Rules

log = logging.getLogger(__name__)

EMBEDDED_BUCKET: Final = "data"

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
            log_tap=InProcessLogs(),
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
            log_tap=KafkaLogTap(settings),
        )


class Server:
    """One server with its interfaces, from start to stop: a leader, or where others may lead, a standby in turns.

    Args:
        config: its settings.
        backing: what it stands on.
        launcher: makes what starts workers, given how to ask the server.
        more_metrics: shown with the server's own: those of workers in this process.
    """

    def __init__(
        self,
        config: Config,
        backing: Backing,
        launcher: Callable[[Submit], Launcher],
        more_metrics: CollectorRegistry | None = None,
    ) -> None:
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
        self._office = office = Office(backing, self._desk, duties, SYSTEM_CLOCK, address)
        self._calls = CallMeter()
        self._metrics = ServerMetrics(
            office.meter, self._calls, lambda: office.role, lambda: office.standing, self._desk.submit, more_metrics
        )
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

    def _interfaces(self) -> Interfaces:
        backing = self._backing
        tap = backing.log_tap or InProcessLogs()
        service = GaiaService(self._desk, backing.store, self.reception, self._launcher, tap)
        app = http_api.build(
            lambda: self._office.role,
            self._desk.submit,
            self.reception,
            known_hosts(self.config),
            self.config.token,
            lambda: self._office.refused,
            self._metrics.expose,
            lambda: self._office.troubles,
        )
        return Interfaces(self.config, service, app, self._calls)
