"""What attempts write, on its way to readers, in the topic `<prefix>.logs`.

A record's key is `workflow/step`, its partition `partition_of` that, so one Step's records stay in order. Workers feed
it and lose what Kafka does not take in time; each reader reads one partition, from a time on, and keeps what is of its
key.
"""

import logging
import threading
import time
from contextlib import suppress
from typing import Final

from confluent_kafka import KafkaException, TopicPartition

from gaia_core.backends.kafka import (
    ANSWER_S,
    LOGS_PARTITIONS,
    Clients,
    KafkaSettings,
    Setting,
    are_gone,
    cleanly,
    partition_of,
    read_error,
)

FLUSH_S: Final = 2.0
"""What is said last, that a log has ended, is worth a moment."""

READ_MOST: Final = 200
"""Records of a partition taken at once, so that they have 50 MiB at the very most."""

ROUNDS_MOST: Final = 20
"""So often a portion may hold nothing of the key until a reader gets to do something else."""

QUIET_S: Final = 3.0
"""Where nothing comes for so long everything was read: what lay before the end may have been deleted meanwhile."""

_FEEDER: Final[dict[str, Setting]] = {
    # Not idempotent, because such a producer may fail for good; still in order, because only one request is on its way.
    "enable.idempotence": False,
    "acks": 1,
    "max.in.flight.requests.per.connection": 1,
    "message.timeout.ms": 30_000,
}
_FEEDER_TUNING: Final[dict[str, Setting]] = {
    "linger.ms": 20,
    "compression.type": "lz4",
    "queue.buffering.max.kbytes": 16 * 1024,
}
_READER: Final[dict[str, Setting]] = {"isolation.level": "read_uncommitted", "auto.offset.reset": "earliest"}
_READER_TUNING: Final[dict[str, Setting]] = {"queued.max.messages.kbytes": 8 * 1024, "queued.min.messages": 1_000}

_log = logging.getLogger(__name__)


class KafkaLogFeed:
    """A LogFeed. Safe for several threads.

    Raises:
        ConfigError: librdkafka refuses the settings.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._clients = Clients(settings)
        self._topic = settings.logs_topic
        self._lock = threading.Lock()
        self._closed = False
        self._producer = self._clients.producer(_FEEDER, _FEEDER_TUNING)

    def publish(self, key: str, record: bytes) -> None:
        """Send one record if there is room; see `ports.LogFeed.publish`."""
        with self._lock:
            if self._closed:
                return
            with suppress(BufferError, KafkaException):
                self._producer.produce(self._topic, record, key.encode(), partition_of(key, LOGS_PARTITIONS))
            self._clients.poll(self._producer)

    def close(self) -> None:
        """Send what waits, for a moment, and close; safe to call twice."""
        with self._lock:
            if not self._closed:
                self._closed = True
                with suppress(KafkaException):
                    self._producer.flush(FLUSH_S)
                self._clients.discard(self._producer)


class KafkaLogTap:
    """A LogTap: each reading has a consumer of its own."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    def open(self, key: str, since_ms: int) -> "KafkaLogReading":
        """Begin to read the records of a key; see `ports.LogTap.open`.

        Raises:
            ConfigError: librdkafka refuses the settings.
            Unavailable: Kafka does not answer.
        """
        return KafkaLogReading(self._settings, key, since_ms)


class KafkaLogReading:
    """One reader; made by `KafkaLogTap.open`."""

    def __init__(self, settings: KafkaSettings, key: str, since_ms: int) -> None:
        self._clients = Clients(settings)
        self._topic = settings.logs_topic
        self._key = key.encode()
        self._closed = False
        self._using = threading.Lock()  # who goes away may close while a read is still under way
        self._consumer = self._clients.consumer(_READER, _READER_TUNING)
        try:
            start = self._begin(partition_of(key, LOGS_PARTITIONS), since_ms)
        except BaseException:
            self._consumer.close()
            raise
        self._read_to = start
        self._heard_s = time.monotonic()

    def _begin(self, partition: int, since_ms: int) -> int:
        """Find where to begin and go there; return that offset."""
        first, self._end = self._clients.bounds(self._consumer, self._topic, partition)
        with self._clients.asking(f"let us read {self._topic}"):
            since = TopicPartition(self._topic, partition, max(since_ms, 0))
            found = self._consumer.offsets_for_times([since], timeout=ANSWER_S)[0].offset
            start = max(found, first) if found >= 0 else self._end  # nothing is that late: begin behind all
            self._consumer.assign([TopicPartition(self._topic, partition, start)])
        return start

    def read(self) -> list[bytes]:
        """Return the next records; see `ports.LogReading.read`.

        Raises:
            Unavailable: Kafka does not answer now.
        """
        for _ in range(ROUNDS_MOST):
            with self._using:
                messages = self._consumer.consume(READ_MOST, 0) if not self._closed else []
            good, error = read_error(self._clients, messages, self._topic)
            if error is not None and not good and not are_gone(messages):
                raise error
            if not good:
                break
            self._heard_s, self._read_to = time.monotonic(), (good[-1].offset() or 0) + 1
            mine = [cleanly(message) for message in good if message.key() == self._key]
            if mine:
                return mine
        return []

    @property
    def caught_up(self) -> bool:
        """Whether everything was read that was there when reading began."""
        return self._read_to >= self._end or time.monotonic() - self._heard_s > QUIET_S

    def close(self) -> None:
        """Close the consumer; safe to call twice."""
        with self._using:
            if not self._closed:
                self._closed = True
                self._consumer.close()
