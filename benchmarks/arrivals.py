"""Public events as a consumer gets them, from now on: of some workflows one by one, or of all of them counted.

On Kafka as a consumer of committed records, embedded as a reader of the events file that looks every millisecond.
"""

import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from gaia.v1 import events_pb2
from gaia_core.backends.kafka import EVENTS_PARTITIONS, partition_of

LOOK_S: Final = 0.001
COUNT_S: Final = 0.05
ANSWER_S: Final = 30.0
EVENTS_PER_READ: Final = 10_000


class Feed(ABC):
    """A consumer of events."""

    @abstractmethod
    def take(self) -> list[events_pb2.Event]:
        """Return the events that have arrived, waiting a moment for them."""

    @abstractmethod
    def close(self) -> None:
        """Release what it holds."""


class Tally(ABC):
    """Counts the Steps that complete."""

    @abstractmethod
    def count(self) -> int:
        """Return how many have completed, after a moment."""

    @abstractmethod
    def close(self) -> None:
        """Release what it holds."""


class KafkaFeed(Feed):
    """Consumes the partitions of some workflows, or all of them, from their ends on."""

    def __init__(self, consumer: Consumer, topic: str, workflows: Iterable[str] = ()) -> None:
        self._consumer = consumer
        self._workflows = frozenset(workflows)
        partitions = {partition_of(name, EVENTS_PARTITIONS) for name in self._workflows} or range(EVENTS_PARTITIONS)
        places = [TopicPartition(topic, partition) for partition in partitions]
        for place in places:
            _, place.offset = consumer.get_watermark_offsets(place, timeout=ANSWER_S)
        consumer.assign(places)
        # The first call opens the connection.
        self._early = good(consumer.consume(EVENTS_PER_READ, 0.2))

    def take(self) -> list[events_pb2.Event]:
        """Take what came."""
        messages, self._early = self._early or good(self._consumer.consume(1, 0.1)), []
        messages += good(self._consumer.consume(EVENTS_PER_READ, 0)) if messages else []
        events = [events_pb2.Event.FromString(message.value() or b"") for message in messages]
        return [event for event in events if not self._workflows or event.workflow in self._workflows]

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()


class SqliteFeed(Feed):
    """Asks the events file whether it has changed, and only then for what is new of each workflow."""

    def __init__(self, path: Path, workflows: Iterable[str]) -> None:
        self._connection = _open(path)
        query = "SELECT workflow_uid, MAX(sequence) FROM events WHERE workflow = ? GROUP BY workflow_uid"
        self._at: dict[int, int] = {}
        for workflow in workflows:
            self._at |= dict(self._connection.execute(query, (workflow,)).fetchall())
        self._version = -1

    def take(self) -> list[events_pb2.Event]:
        """Look once."""
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        if version == self._version:
            time.sleep(LOOK_S)
            return []
        self._version = version
        query = "SELECT sequence, value FROM events WHERE workflow_uid = ? AND sequence > ?"
        found: list[events_pb2.Event] = []
        for uid, after in self._at.items():
            for sequence, value in self._connection.execute(query, (uid, after)).fetchall():
                self._at[uid] = sequence
                found.append(events_pb2.Event.FromString(value))
        return found

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class Recorder(threading.Thread):
    """Consumes partitions from their ends on, in a thread, and keeps what came as it came, with the instant."""

    def __init__(self, consumer: Consumer, topic: str, partitions: Iterable[int]) -> None:
        super().__init__()
        self._consumer = consumer
        self._ended = threading.Event()
        self.records: list[tuple[float, bytes]] = []
        places = [TopicPartition(topic, partition) for partition in partitions]
        for place in places:
            _, place.offset = consumer.get_watermark_offsets(place, timeout=ANSWER_S)
        consumer.assign(places)
        self._keep(0.2)  # opens the connection

    def run(self) -> None:
        """Keep what comes until `stop`."""
        while not self._ended.is_set():
            self._keep(0.1)

    def stop(self) -> list[tuple[float, bytes]]:
        """End, and return (seconds since the epoch, value) of each record."""
        self._ended.set()
        self.join()
        self._consumer.close()
        return self.records

    def _keep(self, wait_s: float) -> None:
        messages = good(self._consumer.consume(1, wait_s))
        messages += good(self._consumer.consume(EVENTS_PER_READ, 0)) if messages else []
        now = time.time()
        self.records += [(now, message.value() or b"") for message in messages]


class FeedTally(Tally):
    """Counts what a feed brings."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._count = 0

    def count(self) -> int:
        """Take what came."""
        self._count += sum(event.HasField("step_completed") for event in self._feed.take())
        return self._count

    def close(self) -> None:
        """Close the feed."""
        self._feed.close()


class SqliteTally(Tally):
    """Counts the rows of the events file: some ten milliseconds each time, so it looks seldom."""

    def __init__(self, path: Path) -> None:
        self._connection = _open(path)
        self._before = self._rows()

    def count(self) -> int:
        """Look once."""
        time.sleep(COUNT_S)
        return self._rows() - self._before

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _rows(self) -> int:
        (rows,) = self._connection.execute("SELECT COUNT(*) FROM events WHERE kind = 'step_completed'").fetchone()
        return int(rows)


def good(messages: list[Message]) -> list[Message]:
    """Return messages, or raise the first error among them."""
    for message in messages:
        if (error := message.error()) is not None:
            raise KafkaException(error)
    return messages


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
