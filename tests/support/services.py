"""Kafka and MinIO in containers, one broker and one server, reached at 127.0.0.1 through ports of their own.

A service that is shared is used by every process that is started from here on, instead of one of its own.
Each service is a plain testcontainers DockerContainer of the image that images.py provides. Its container carries the
identity of the process that owns it; what a killed run left behind is removed at the next start, what belongs to a run
that still lives is not touched. Used by conftest.py and by benchmarks.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

# The reaper is one more image to pull; remove_leftovers() does its work. Must be set before testcontainers is imported.
os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from testcontainers.core.container import DockerContainer

from tests.support.engine import Engine, connect, ensure_engine
from tests.support.images import ensure_image
from tests.support.machine import process_identity
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from docker.models.containers import Container

OWNER_LABEL = "gaia.tests.owner"
LOOPBACK = "127.0.0.1"
START_S = 90
PROBE_S = 5
LOG_TAIL_LINES = 30

# One broker on two cores: no replicas, few partitions for the broker's own topics, no wait before a group's first
# rebalance; topics exist only when somebody creates them.
KAFKA_SETTINGS = {
    "KAFKA_NODE_ID": "1",
    "KAFKA_PROCESS_ROLES": "broker,controller",
    "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
    "KAFKA_INTER_BROKER_LISTENER_NAME": "PLAINTEXT",
    "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "KAFKA_LOG_DIRS": "/var/lib/kafka/data",
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "4",
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS": "4",
    "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR": "1",
    "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    "KAFKA_HEAP_OPTS": "-Xms256m -Xmx512m",
    "KAFKA_JVM_PERFORMANCE_OPTS": "-server -XX:+UseSerialGC",
}


DATA_FOLDER = "/var/lib/kafka/data"


class Service(ABC):
    """A container that counts as started once it answers; a context manager, or start() and stop().

    Attributes:
        image: name of what the container was made of.
    """

    image_name: str

    def __init__(self) -> None:
        self.port = 0
        self.image = ""
        self._container: DockerContainer | None = None

    @property
    def container(self) -> Container:
        """The engine's handle of the running container: pause(), unpause(), kill(), restart(), logs()."""
        if self._container is None:
            raise RuntimeError(f"{self.image_name} was not started")
        return self._container.get_wrapped_container()

    def start(self) -> Self:
        """Start the container and return when the service answers; at once where one is shared with this process.

        Raises:
            ServiceMissing: no engine or no image can be had here.
            TooLate: it did not answer in time; the message ends with the container's log.
        """
        if shared := os.environ.get(self._shared):
            vars(self).update(json.loads(shared))
            return self
        engine = ensure_engine()
        remove_leftovers(engine)
        self.port = free_port()
        self.image = ensure_image(self.image_name)
        container = DockerContainer(self.image)
        self._container = container
        labels = {OWNER_LABEL: process_identity(os.getpid()) or ""}
        if engine.shares_network:
            container.with_kwargs(labels=labels, network_mode="host")
        else:
            container.with_kwargs(labels=labels)
            # testcontainers' annotation knows only the port, the engine's client also takes address and port.
            container.ports[f"{self.port}/tcp"] = cast("int", (LOOPBACK, self.port))
        self._configure(container, LOOPBACK if engine.shares_network else "0.0.0.0")
        try:
            container.start()
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Remove the container and its data; nothing happens when it is gone already."""
        container, self._container = self._container, None
        if container is not None:
            container.stop()

    @contextmanager
    def shared(self) -> Iterator[Self]:
        """Start it, and let processes that are started meanwhile use it, too."""
        with self:
            told = {name: value for name, value in vars(self).items() if isinstance(value, str | int)}
            os.environ[self._shared] = json.dumps(told)
            try:
                yield self
            finally:
                del os.environ[self._shared]

    @property
    def _shared(self) -> str:
        """Return the name of the variable that says where a shared one is."""
        return f"SHARED_{self.image_name.upper()}"

    def wait_ready(self, deadline_s: float = START_S) -> None:
        """Return once the service answers, also after a restart of its container.

        Raises:
            TooLate: it did not answer within deadline_s.
            RuntimeError: its container has ended.
        """
        wait_until(self._answers, f"{self.image_name} to answer", deadline_s=deadline_s, evidence=self._log_tail)

    @abstractmethod
    def _configure(self, container: DockerContainer, bind: str) -> None:
        """Set environment and command; bind is the address to listen on inside the container."""

    @abstractmethod
    def _ready(self) -> bool:
        """Tell whether the service, whose port is open, can do its work."""

    def _answers(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(PROBE_S)
            if probe.connect_ex((LOOPBACK, self.port)) == 0:
                return self._ready()
        self.container.reload()
        if self.container.status in ("exited", "dead"):
            raise RuntimeError(f"the {self.image_name} container ended\n{self._log_tail()}")
        return False

    def _log_tail(self) -> str:
        return self.container.logs(tail=LOG_TAIL_LINES).decode(errors="replace")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class KafkaService(Service):
    """One Kafka node that is broker and controller.

    Args:
        settings: further KAFKA_* variables, on top of KAFKA_SETTINGS.
        link_port: where a proxy will listen that forwards to `linked_port`: who comes through it is led there again.
        folder: of this machine, to keep the data in.
    """

    image_name = "kafka"

    def __init__(
        self, settings: dict[str, str] | None = None, link_port: int | None = None, folder: Path | None = None
    ) -> None:
        super().__init__()
        self._folder = folder
        self._settings = {**KAFKA_SETTINGS, **(settings or {})}
        self._link_port = link_port
        self.linked_port = free_port() if link_port else 0

    @property
    def bootstrap(self) -> str:
        """The value for bootstrap.servers."""
        return f"{LOOPBACK}:{self.port}"

    def _configure(self, container: DockerContainer, bind: str) -> None:
        controller = f"{LOOPBACK}:{free_port()}"
        listeners = f"PLAINTEXT://{bind}:{self.port},CONTROLLER://{controller}"
        advertised = f"PLAINTEXT://{self.bootstrap}"
        settings = dict(self._settings)
        if self._folder is not None:
            self._folder.chmod(0o777)
            container.with_volume_mapping(str(self._folder), DATA_FOLDER, "rw")
            settings["KAFKA_LOG_DIRS"] = DATA_FOLDER
        if self._link_port:
            listeners += f",LINK://{bind}:{self.linked_port}"
            advertised += f",LINK://{LOOPBACK}:{self._link_port}"
            settings["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"] += ",LINK:PLAINTEXT"
            if bind != LOOPBACK:
                container.ports[f"{self.linked_port}/tcp"] = cast("int", (LOOPBACK, self.linked_port))
        container.with_envs(
            **settings,
            KAFKA_LISTENERS=listeners,
            KAFKA_ADVERTISED_LISTENERS=advertised,
            KAFKA_CONTROLLER_QUORUM_VOTERS=f"1@{controller}",
        )

    def _ready(self) -> bool:
        """Ask for the brokers: one that is not yet admitted by the controller is not listed."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap}, logger=_silent_log())
        try:
            return bool(admin.list_topics(timeout=PROBE_S).brokers)
        except KafkaException:
            return False


class MinioService(Service):
    """One MinIO server with one drive."""

    image_name = "minio"

    def __init__(self) -> None:
        super().__init__()
        self.access_key = "gaia-tests"
        self.secret_key = secrets.token_hex(16)

    @property
    def endpoint(self) -> str:
        """Host and port without scheme, as minio.Minio(endpoint, secure=False) takes it."""
        return f"{LOOPBACK}:{self.port}"

    def _configure(self, container: DockerContainer, bind: str) -> None:
        container.with_envs(
            MINIO_ROOT_USER=self.access_key,
            MINIO_ROOT_PASSWORD=self.secret_key,
            MINIO_BROWSER="off",
            MINIO_UPDATE="off",
        )
        container.with_command(["server", "/data", "--address", f"{bind}:{self.port}"])

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.endpoint}/minio/health/ready", timeout=PROBE_S) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError) as problem:
            if isinstance(problem, urllib.error.HTTPError):
                problem.close()
            return False


def free_port() -> int:
    """Return a TCP port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def remove_leftovers(engine: Engine) -> int:
    """Remove the containers whose owner no longer runs; return how many there were."""
    removed = 0
    with connect(engine) as client:
        for container in client.containers.list(all=True, filters={"label": OWNER_LABEL}, ignore_removed=True):
            owner = container.labels[OWNER_LABEL]
            if not owner or process_identity(int(owner.partition("-")[0])) != owner:
                container.remove(force=True, v=True)
                removed += 1
    return removed


def _silent_log() -> logging.Logger:
    """Return a logger that drops everything: refused connections are expected while a broker starts."""
    log = logging.getLogger("gaia.tests.kafka")
    log.propagate = False
    log.disabled = True
    return log
