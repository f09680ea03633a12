"""Gaia as users start it, with what a benchmark needs to know of it: its processes, its events, its journal.

Every deployment is fresh: an own data folder, or own topics and an own bucket. The processes come from the real command
line; this process is their client and the consumer of their public events.
"""

import sqlite3
import subprocess
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from confluent_kafka import Consumer, TopicPartition

from benchmarks.arrivals import Feed, FeedTally, KafkaFeed, SqliteFeed, SqliteTally, Tally, good
from benchmarks.audit import BenchmarkFailed, JournalContent, read_journal
from gaia.v1 import events_pb2
from gaia_client.client import Gaia
from gaia_core.backends.kafka import EVENTS_PARTITIONS, KafkaSettings, partition_of
from gaia_core.backends.kafka_journal import KafkaJournal
from gaia_core.backends.sqlite import SqliteEventLog, SqliteJournal
from tests.integration.gaia_processes import GaiaProcess, free_address
from tests.support.services import KafkaService, MinioService
from tests.support.waiting import wait_until

START_S: Final = 60.0
LOOK_S: Final = 0.001
"""How often SQLite is asked whether anything was committed; this is the error of the embedded clock."""

ALIVE_EVERY_S: Final = 0.5
ANSWER_S: Final = 30.0
EVENTS_PER_READ: Final = 10_000
RESTS: Final = ("complete", "error")


@dataclass(frozen=True)
class Services:
    """What a cluster stands on."""

    kafka: KafkaService
    minio: MinioService


class Watch(ABC):
    """A consumer of one workflow's public events, opened before its clock starts."""

    @abstractmethod
    def look(self) -> events_pb2.Event | None:
        """Return the newest event, if a new one was committed; waits a moment for it."""

    @abstractmethod
    def close(self) -> None:
        """Release what it holds."""

    def await_rest(self, deadline_s: float, check_alive: Callable[[], None]) -> float:
        """Return the instant (of perf_counter) at which the workflow's last event was seen.

        Raises:
            BenchmarkFailed: it ended otherwise than complete, or not in time.
        """
        began = alive_at = time.perf_counter()
        newest: events_pb2.Event | None = None
        while (now := time.perf_counter()) < began + deadline_s:
            newest = self.look() or newest
            if newest is not None and newest.workflow_changed.change in RESTS:
                seen = time.perf_counter()
                if newest.workflow_changed.change != "complete":
                    raise BenchmarkFailed(f"the workflow ended in {newest.workflow_changed.change}")
                return seen
            if now > alive_at + ALIVE_EVERY_S:
                check_alive()
                alive_at = now
        reached = newest.sequence if newest is not None else 0
        raise BenchmarkFailed(f"no end within {deadline_s:g} s; the newest event has sequence number {reached}")


class Deployment(ABC):
    """One running Gaia; a context manager.

    Attributes:
        kind: "embedded" or "kafka".
        durability: what an acknowledged event survives.
        hosts: addresses that clients and workers know.
        processes: by role.
    """

    kind: str
    durability: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address, self.http = free_address(), free_address()
        self.hosts = self.address
        self.processes: dict[str, GaiaProcess] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
            self.client: Gaia = self._stack.enter_context(Gaia({"gaia_host": self.hosts}))
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._stack.close()
        finally:
            for process in self.processes.values():
                if process.process.poll() is None:
                    process.kill()

    def credit(self, workflow: str) -> dict[str, int]:
        """Return slots and prefetch of all workers together: how many attempts may be in flight."""
        workers = self.client.status(workflow, debug=True, page_size=1)["debug"]["workers"]
        return {name: sum(worker[name] for worker in workers) for name in ("slots", "prefetch")}

    def check_alive(self) -> None:
        """Raise BenchmarkFailed if a process has ended."""
        for role, process in self.processes.items():
            if process.process.poll() is not None:
                raise BenchmarkFailed(f"{role} ended with code {process.process.returncode}:\n{process.said()[-4000:]}")

    def stop(self) -> None:
        """Stop every process; journal and events can be read afterwards.

        Raises:
            BenchmarkFailed: one ended badly.
        """
        for role, process in reversed(self.processes.items()):
            try:
                code = process.stop()
            except subprocess.TimeoutExpired as problem:
                raise BenchmarkFailed(f"{role} did not stop:\n{process.said()[-4000:]}") from problem
            if code:
                raise BenchmarkFailed(f"{role} ended with code {code}:\n{process.said()[-4000:]}")

    @abstractmethod
    def watch(self, workflow: str) -> Watch:
        """Begin to consume the events of a workflow that is uploaded."""

    @abstractmethod
    def journal(self) -> JournalContent:
        """Read the journal back."""

    @abstractmethod
    def events(self, workflow: str) -> list[events_pb2.Event]:
        """Read a workflow's public events back, in a consumer's order."""

    @abstractmethod
    def all_events(self) -> dict[str, list[events_pb2.Event]]:
        """Read the public events of all workflows back, by name; a name is taken to have been used once."""

    @abstractmethod
    def feed(self, workflows: Iterable[str]) -> Feed:
        """Begin to consume the events of some workflows, which are there, from now on."""

    @abstractmethod
    def tally(self) -> Tally:
        """Begin to count the Steps that complete, of all workflows."""

    @abstractmethod
    def _start(self) -> None:
        """Start the processes and wait until they serve."""

    def _run(self, role: str, arguments: list[str], words: str, environ: Mapping[str, str]) -> None:
        whole = {"GAIA_SNAPSHOT_MB": "0"}  # the audit reads the whole journal
        process = GaiaProcess(arguments, self.folder / f"{role}.log", {**whole, **environ})
        self.processes[role] = self._stack.enter_context(process)

        def serves() -> bool:
            self.check_alive()
            return words in process.said()

        wait_until(serves, words, deadline_s=START_S, evidence=process.said)


class Embedded(Deployment):
    """`gaia up` on an empty data folder."""

    kind = "embedded"
    durability = "SQLite, synchronous=FULL"

    def _start(self) -> None:
        arguments = ["up", "--executor", "noop", "--data", str(self.folder / "data")]
        arguments += ["--listen", self.address, "--http", self.http]
        self._run("up", arguments, "Gaia is up", {})

    def watch(self, workflow: str) -> Watch:
        """Look into the events file as a reader."""
        return _SqliteWatch(self.folder / "data" / "events.sqlite", workflow)

    def journal(self) -> JournalContent:
        """Read the file."""
        with closing(SqliteJournal(self.folder / "data" / "journal.sqlite")) as journal:
            return read_journal(journal)

    def events(self, workflow: str) -> list[events_pb2.Event]:
        """Read the file."""
        found: list[events_pb2.Event] = []
        with closing(SqliteEventLog(self.folder / "data" / "events.sqlite")) as log:
            uid = next(one.workflow_uid for one in log.read(most=log.count()) if one.workflow == workflow)
            after = 0
            while page := log.read(uid, after, EVENTS_PER_READ):
                found += [events_pb2.Event.FromString(one.value) for one in page]
                after = page[-1].sequence
        return found

    def all_events(self) -> dict[str, list[events_pb2.Event]]:
        """Read the file."""
        found: defaultdict[str, list[events_pb2.Event]] = defaultdict(list)
        with closing(SqliteEventLog(self.folder / "data" / "events.sqlite")) as log:
            for one in log.read(most=log.count()):
                found[one.workflow].append(events_pb2.Event.FromString(one.value))
        return found

    def feed(self, workflows: Iterable[str]) -> Feed:
        """Look into the events file as a reader."""
        return SqliteFeed(self.folder / "data" / "events.sqlite", workflows)

    def tally(self) -> Tally:
        """Look into the events file as a reader."""
        return SqliteTally(self.folder / "data" / "events.sqlite")


class Cluster(Deployment):
    """`gaia server` and one `gaia worker` on Kafka and MinIO."""

    kind = "kafka"
    durability = "Kafka, acks=all, 1 replica"

    def __init__(self, folder: Path, services: Services, tag: str) -> None:
        super().__init__(folder)
        self._services = services
        self._settings = KafkaSettings(services.kafka.bootstrap, f"bench-{tag}")
        self._bucket = f"bench-{tag}"

    def _start(self) -> None:
        environ = self.environ()
        self._run("server", ["server"], "Gaia serves", environ)
        self._run("worker", ["worker", "--name", "one", "--executor", "noop"], "worker started", environ)

    def environ(self) -> dict[str, str]:
        """Return the settings of its processes."""
        kafka, minio = self._services.kafka, self._services.minio
        return {
            "GAIA_KAFKA_BOOTSTRAP": kafka.bootstrap,
            "GAIA_TOPIC_PREFIX": self._settings.topic_prefix,
            "GAIA_S3_ENDPOINT": minio.endpoint,
            "GAIA_S3_ACCESS_KEY": minio.access_key,
            "GAIA_S3_SECRET_KEY": minio.secret_key,
            "GAIA_S3_SECURE": "false",
            "GAIA_BUCKET": self._bucket,
            "GAIA_LISTEN": self.address,
            "GAIA_HTTP_LISTEN": self.http,
            "GAIA_HOST": self.hosts,
            "GAIA_SCRATCH": str(self.folder / "scratch"),
        }

    def watch(self, workflow: str) -> Watch:
        """Consume what is committed, from now on."""
        return _KafkaWatch(self._consumer(20), self._settings.events_topic, workflow)

    def journal(self) -> JournalContent:
        """Read the topic."""
        with closing(KafkaJournal(self._settings)) as journal:
            return read_journal(journal)

    def events(self, workflow: str) -> list[events_pb2.Event]:
        """Read the partition from its beginning to its end, as any consumer of committed records would."""
        events = self._read(partition_of(workflow, EVENTS_PARTITIONS))
        return [event for event in events if event.workflow == workflow]

    def all_events(self) -> dict[str, list[events_pb2.Event]]:
        """Read the topic."""
        found: defaultdict[str, list[events_pb2.Event]] = defaultdict(list)
        for partition in range(EVENTS_PARTITIONS):
            for event in self._read(partition):
                found[event.workflow].append(event)
        return found

    def feed(self, workflows: Iterable[str]) -> Feed:
        """Consume what is committed, from now on."""
        return KafkaFeed(self._consumer(20), self._settings.events_topic, workflows)

    def tally(self) -> Tally:
        """Consume what is committed, from now on."""
        return FeedTally(KafkaFeed(self._consumer(20), self._settings.events_topic))

    def _read(self, partition: int) -> list[events_pb2.Event]:
        place = TopicPartition(self._settings.events_topic, partition, 0)
        found: list[events_pb2.Event] = []
        with closing(self._consumer(20)) as consumer:
            _, end = consumer.get_watermark_offsets(place, timeout=ANSWER_S)
            consumer.assign([place])
            # The end of a transaction takes an offset too, without a record: the position tells where reading is.
            while end and consumer.position([place])[0].offset < end:
                messages = good(consumer.consume(EVENTS_PER_READ, 0.1))
                found += [events_pb2.Event.FromString(message.value() or b"") for message in messages]
        return found

    def _consumer(self, fetch_wait_ms: int) -> Consumer:
        settings: dict[str, Any] = {
            "bootstrap.servers": self._settings.bootstrap,
            "group.id": "benchmark",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "error",
            "fetch.wait.max.ms": fetch_wait_ms,
        }
        return Consumer(settings)


class _SqliteWatch(Watch):
    """Asks the events file whether it has changed, and only then for the newest event."""

    def __init__(self, path: Path, workflow: str) -> None:
        self._connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
        query = "SELECT workflow_uid FROM events WHERE workflow = ? LIMIT 1"
        found = wait_until(
            lambda: self._connection.execute(query, (workflow,)).fetchone(), "the workflow's first event"
        )
        (self._uid,) = found
        self._version = -1

    def look(self) -> events_pb2.Event | None:
        """Look once."""
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        if version == self._version:
            time.sleep(LOOK_S)
            return None
        self._version = version
        query = "SELECT value FROM events WHERE workflow_uid = ? ORDER BY sequence DESC LIMIT 1"
        (value,) = self._connection.execute(query, (self._uid,)).fetchone()
        return events_pb2.Event.FromString(value)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class _KafkaWatch(Watch):
    """Consumes the partition of one workflow from its end on."""

    def __init__(self, consumer: Consumer, topic: str, workflow: str) -> None:
        self._consumer = consumer
        self._key = workflow.encode()
        place = TopicPartition(topic, partition_of(workflow, EVENTS_PARTITIONS))
        _, place.offset = consumer.get_watermark_offsets(place, timeout=ANSWER_S)
        consumer.assign([place])
        # The first call opens the connection.
        consumer.consume(EVENTS_PER_READ, 0.2)

    def look(self) -> events_pb2.Event | None:
        """Take what came; only the newest is decoded, so that consuming costs as little as it can."""
        messages = good(self._consumer.consume(1, 0.1))
        messages += good(self._consumer.consume(EVENTS_PER_READ, 0)) if messages else []
        mine = [message for message in messages if message.key() == self._key]
        return events_pb2.Event.FromString(mine[-1].value() or b"") if mine else None

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()
