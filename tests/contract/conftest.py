"""One rig per backend: how a suite opens it, meddles with it, and makes it fail. Every suite runs over all of them.

A rig closes what it opened. The Kafka rigs ask for the `kafka` fixture and are skipped where there is none.
"""

from __future__ import annotations

import logging
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from gaia_core.backends.inprocess import InProcessBus
from gaia_core.backends.kafka import EVENTS_PARTITIONS, KafkaSettings
from gaia_core.backends.kafka_bus import KafkaCoordinatorBus
from gaia_core.backends.kafka_events import TYPE_PREFIX, KafkaEventLog
from gaia_core.backends.kafka_journal import KafkaJournal
from gaia_core.backends.kafka_topics import ensure_topics
from gaia_core.backends.kafka_worker import KafkaWorkerBus
from gaia_core.backends.memory import MemoryEventLog, MemoryEvents, MemoryJournal, MemoryLog
from gaia_core.backends.sqlite import SqliteEventLog, SqliteJournal
from gaia_core.ports import CoordinatorBus, EventLog, EventRecord, Journal, WorkerBus
from tests.contract.executor_site import Site, make_site
from tests.support.waiting import wait_until

QUIET = logging.getLogger("gaia.tests.contract")


class Closes(Protocol):
    def close(self) -> None: ...


Opened = TypeVar("Opened", bound=Closes)


class Rig:
    """Closes, newest first, whatever was opened through it."""

    def __init__(self) -> None:
        self._opened: list[Closes] = []

    def opened(self, something: Opened) -> Opened:
        self._opened.append(something)
        return something

    def close(self) -> None:
        while self._opened:
            self._opened.pop().close()


class JournalRig(Rig, ABC):
    """Several journals on one log."""

    @abstractmethod
    def open(self) -> Journal:
        """Open one more journal on the log."""

    @abstractmethod
    def gap(self) -> None:
        """Write a foreign record and leave an offset behind it that no record has."""

    @abstractmethod
    def cut(self, before: int) -> None:
        """Drop the records below an offset."""

    @abstractmethod
    def fail_next(self, journal: Any) -> bytes:
        """Arrange that appending the returned record to the journal fails."""


class MemoryJournalRig(JournalRig):
    def __init__(self) -> None:
        super().__init__()
        self._log = MemoryLog()

    def open(self) -> Journal:
        return self.opened(MemoryJournal(self._log))

    def gap(self) -> None:
        self._log.write(b"foreign")
        self._log.skip()

    def cut(self, before: int) -> None:
        self._log.cut(before)

    def fail_next(self, journal: Any) -> bytes:
        journal.fail_next(written=False)
        return b"lost"


class SqliteJournalRig(JournalRig):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._path = folder / "journal.sqlite"

    def open(self) -> Journal:
        return self.opened(SqliteJournal(self._path))

    def gap(self) -> None:
        self._execute("INSERT INTO journal (value) VALUES (CAST('foreign' AS BLOB)), (x'')")
        self._execute("DELETE FROM journal WHERE offset = (SELECT max(offset) FROM journal)")

    def cut(self, before: int) -> None:
        self._execute(f"DELETE FROM journal WHERE offset < {before}")

    def fail_next(self, journal: Any) -> bytes:
        """Let the file grow no more: what a full disk looks like."""
        journal._writer.execute("PRAGMA max_page_count = 1")
        return b"x" * 100_000

    def _execute(self, statement: str) -> None:
        with closing(sqlite3.connect(self._path)) as connection, connection:
            connection.execute(statement)


class KafkaJournalRig(JournalRig):
    def __init__(self, settings: KafkaSettings) -> None:
        super().__init__()
        self._settings = settings
        ensure_topics(settings)

    def open(self) -> Journal:
        return self.opened(KafkaJournal(self._settings))

    def gap(self) -> None:
        """Commit a transaction: the marker of its end takes an offset."""
        name = f"{self._settings.topic_prefix}.stranger"
        with Producer(self._settings.client({"transactional.id": name}), logger=QUIET) as producer:
            producer.init_transactions(30)
            producer.begin_transaction()
            producer.produce(self._settings.journal_topic, b"foreign", partition=0)
            producer.flush(10)
            before = self._end()
            producer.commit_transaction(30)
        wait_until(lambda: self._end() > before, "the marker of the transaction")

    def _end(self) -> int:
        return high_watermarks(self._settings, self._settings.journal_topic, 1)[0]

    def cut(self, before: int) -> None:
        admin = AdminClient(self._settings.client({}), logger=QUIET)
        for outcome in admin.delete_records([TopicPartition(self._settings.journal_topic, 0, before)]).values():
            outcome.result(10)

    def fail_next(self, journal: Any) -> bytes:
        """Take a record that the client refuses to send."""
        return b"x" * 1_100_000


class BusRig(Rig, ABC):
    """One coordinator's side and any number of workers on one bus."""

    @abstractmethod
    def coordinator(self) -> CoordinatorBus:
        """Return the coordinator's side of a bus that nobody has used yet, or one more of the same bus."""

    @abstractmethod
    def worker(self, name: str) -> WorkerBus:
        """Connect a worker."""


class InProcessBusRig(BusRig):
    def __init__(self) -> None:
        super().__init__()
        self._bus = self.opened(InProcessBus(first_offset=0))

    def coordinator(self) -> CoordinatorBus:
        return self._bus

    def worker(self, name: str) -> WorkerBus:
        return self.opened(self._bus.connect(name))


class KafkaBusRig(BusRig):
    def __init__(self, settings: KafkaSettings) -> None:
        super().__init__()
        self.settings = settings
        ensure_topics(settings)

    def coordinator(self) -> CoordinatorBus:
        return self.opened(KafkaCoordinatorBus(self.settings))

    def worker(self, name: str) -> WorkerBus:
        return self.opened(KafkaWorkerBus(self.settings, name))


class EventRig(Rig, ABC):
    """Several publishers of the same events, and what a consumer sees of them."""

    @abstractmethod
    def open(self) -> EventLog:
        """Open one more publisher."""

    @abstractmethod
    def seen(self) -> list[EventRecord]:
        """Return what a consumer who reads from the beginning sees now, ordered per workflow."""


class MemoryEventRig(EventRig):
    def __init__(self) -> None:
        super().__init__()
        self._shared = MemoryEvents()

    def open(self) -> EventLog:
        return self.opened(MemoryEventLog(self._shared))

    def seen(self) -> list[EventRecord]:
        return MemoryEventLog(self._shared).read(most=10**6)


class SqliteEventRig(EventRig):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._path = folder / "events.sqlite"

    def open(self) -> EventLog:
        return self.opened(SqliteEventLog(self._path))

    def seen(self) -> list[EventRecord]:
        with closing(SqliteEventLog(self._path)) as log:
            return log.read(most=10**6)


class KafkaEventRig(EventRig):
    def __init__(self, settings: KafkaSettings) -> None:
        super().__init__()
        self.settings = settings
        ensure_topics(settings)

    def open(self) -> EventLog:
        return self.opened(KafkaEventLog(self.settings))

    def seen(self) -> list[EventRecord]:
        return [_event(message) for message in self.messages()]

    def messages(self, isolation: str = "read_committed") -> list[Message]:
        """Read every record of the events topic that a consumer can see, each partition from its beginning.

        The end of a transaction becomes visible some time after its commit has returned; this waits for it.
        """
        reading = {
            "group.id": "seen",
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "enable.auto.commit": False,
        }
        settings = self.settings.client({**reading, "isolation.level": isolation})
        places = [TopicPartition(self.settings.events_topic, number, 0) for number in range(EVENTS_PARTITIONS)]
        waiting = set(range(EVENTS_PARTITIONS))
        found: list[Message] = []
        with Consumer(settings, logger=QUIET) as consumer:
            ends = high_watermarks(self.settings, self.settings.events_topic, EVENTS_PARTITIONS)
            consumer.assign(places)
            while waiting:
                for message in consumer.consume(1000, 1):
                    error = message.error()
                    assert error is None or error.code() == KafkaError._PARTITION_EOF, error
                    if error is None:
                        found.append(message)
                    elif message.offset() >= ends[message.partition()]:
                        waiting.discard(message.partition())
        return found


def high_watermarks(settings: KafkaSettings, topic: str, partitions: int) -> list[int]:
    """Return the offset after the last record of each partition, committed or not."""
    reading = {"group.id": "watermarks", "isolation.level": "read_uncommitted"}
    with Consumer(settings.client(reading), logger=QUIET) as consumer:
        places = [TopicPartition(topic, number) for number in range(partitions)]
        return [consumer.get_watermark_offsets(place, timeout=10, cached=False)[1] for place in places]


def _event(message: Any) -> EventRecord:
    headers = {name: value.decode() for name, value in message.headers()}
    uid, _, sequence = headers["ce_id"].partition("-")
    time_ms = round(datetime.fromisoformat(headers["ce_time"]).timestamp() * 1000)
    kind = headers["ce_type"].removeprefix(TYPE_PREFIX)
    subject = headers.get("ce_subject", "")
    return EventRecord(message.key().decode(), int(uid), int(sequence), kind, time_ms, message.value(), subject)


Get = Callable[[str], Any]


def _kafka_settings(get: Get) -> KafkaSettings:
    return KafkaSettings(get("kafka").bootstrap, topic_prefix=get("topic_prefix").rstrip("."))


JOURNALS: dict[str, Callable[[Get], JournalRig]] = {
    "memory": lambda _get: MemoryJournalRig(),
    "sqlite": lambda get: SqliteJournalRig(get("tmp_path")),
    "kafka": lambda get: KafkaJournalRig(_kafka_settings(get)),
}
BUSES: dict[str, Callable[[Get], BusRig]] = {
    "inprocess": lambda _get: InProcessBusRig(),
    "kafka": lambda get: KafkaBusRig(_kafka_settings(get)),
}
EVENT_LOGS: dict[str, Callable[[Get], EventRig]] = {
    "memory": lambda _get: MemoryEventRig(),
    "sqlite": lambda get: SqliteEventRig(get("tmp_path")),
    "kafka": lambda get: KafkaEventRig(_kafka_settings(get)),
}


@pytest.fixture(params=JOURNALS)
def journals(request: pytest.FixtureRequest) -> Iterator[JournalRig]:
    """A log that any number of journals can be opened on."""
    with closing(JOURNALS[request.param](request.getfixturevalue)) as rig:
        yield rig


@pytest.fixture(params=BUSES)
def bus(request: pytest.FixtureRequest) -> Iterator[BusRig]:
    """A bus that nobody has used yet."""
    with closing(BUSES[request.param](request.getfixturevalue)) as rig:
        yield rig


@pytest.fixture(params=EVENT_LOGS)
def event_logs(request: pytest.FixtureRequest) -> Iterator[EventRig]:
    """Events nobody has published to yet."""
    with closing(EVENT_LOGS[request.param](request.getfixturevalue)) as rig:
        yield rig


@pytest.fixture
def kafka_settings(request: pytest.FixtureRequest) -> KafkaSettings:
    """Settings for topics that no other test has; the topics do not exist yet."""
    return _kafka_settings(request.getfixturevalue)


@pytest.fixture(params=["docker", "sandbox"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """Attempts on one of the executors; nothing of them may be left when the test ends."""
    with closing(make_site(request.param, request, tmp_path)) as made:
        yield made
        made.check_clean()
