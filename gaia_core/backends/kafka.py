"""What every Kafka backend shares: the settings, the names of the topics, and clients that fail in our words.

The topics are made by `kafka_topics`. Called by the other Kafka files and the composition root; nothing here decides
what is sent or read.
"""

import logging
import re
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from gaia_core.errors import ConfigError, GaiaError, Unavailable

STEPS_PARTITIONS: Final = 64
EVENTS_PARTITIONS: Final = 12
LOGS_PARTITIONS: Final = 12

ANSWER_S: Final = 8.0
"""Kafka's time to answer one question; a person who waits for the refusal still waits below ten seconds."""

LEADER_S: Final = 0.02
"""Pause before a partition that has no leader yet is asked again."""

IDLE_FETCH_MS: Final = 100
"""How long the broker holds an empty fetch. It answers at once when a record comes, so this costs no latency."""

QUEUED_MOST: Final = 1_000_000
"""Records a producer may have waiting; librdkafka's 100,000 are less than one publication may hold."""

# librdkafka names its own errors with an underscore.
OUT_OF_RANGE: Final = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)  # noqa: SLF001
AT_END: Final = KafkaError._PARTITION_EOF  # noqa: SLF001
# A partition that was just made, or whose leader has just changed, answers these for some milliseconds.
_LEADER_MOVES: Final = (
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.OFFSET_NOT_AVAILABLE,
)
_NO_ANSWER: Final = (
    KafkaError._TRANSPORT,  # noqa: SLF001
    KafkaError._RESOLVE,  # noqa: SLF001
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
    KafkaError._TIMED_OUT,  # noqa: SLF001
    KafkaError._MSG_TIMED_OUT,  # noqa: SLF001
)

_log = logging.getLogger(__name__)

Setting: TypeAlias = str | int | float | bool


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """Where Kafka is and what our topics are called there.

    Attributes:
        bootstrap: brokers to begin with, `host:port,host:port`.
        topic_prefix: what the name of each topic begins with, without the dot.
        shard: number of the shard we work for.
        replication_factor: of topics we make; None leaves it to the broker.
        extra: further settings of librdkafka for every client: security.protocol, sasl.*, ssl.*. They win over our
            tuning, not over what our guarantees rest on.

    Raises:
        ConfigError: the prefix is no topic name, or the shard is negative.
    """

    bootstrap: str
    topic_prefix: str = "gaia"
    shard: int = 0
    replication_factor: int | None = None
    extra: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}", self.topic_prefix):
            raise ConfigError(f"{self.topic_prefix!r} cannot begin the name of a Kafka topic.")
        if self.shard < 0:
            raise ConfigError(f"The shard is {self.shard}; shards are numbered from 0.")

    @property
    def journal_topic(self) -> str:
        """The shard's journal, in partition 0."""
        return f"{self.topic_prefix}.journal.{self.shard}"

    @property
    def reports_topic(self) -> str:
        """Reports of all workers; the partition is the shard."""
        return f"{self.topic_prefix}.reports"

    @property
    def steps_topic(self) -> str:
        """Inbox records of all workers."""
        return f"{self.topic_prefix}.steps"

    @property
    def events_topic(self) -> str:
        """Public events."""
        return f"{self.topic_prefix}.events"

    @property
    def logs_topic(self) -> str:
        """What attempts write, as they go."""
        return f"{self.topic_prefix}.logs"

    @property
    def published_topic(self) -> str:
        """How far each shard was published."""
        return f"{self.topic_prefix}.published"

    @property
    def quarantine_topic(self) -> str:
        """Records of the other topics that nobody could use."""
        return f"{self.topic_prefix}.quarantine"

    def client(self, must: Mapping[str, Setting], tuning: Mapping[str, Setting] | None = None) -> dict[str, Setting]:
        """Return librdkafka's settings for one client: tuning, then the user's, then what must be."""
        return {**(tuning or {}), **self.extra, "bootstrap.servers": self.bootstrap, **must}


class Clients:
    """Makes clients of one Kafka and words their failures.

    librdkafka's own log goes to ours at debug level: whatever matters reaches the caller as an error.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self.settings = settings
        self.last_error: KafkaError | None = None

    def producer(self, must: Mapping[str, Setting], tuning: Mapping[str, Setting] | None = None) -> Producer:
        """Make an idempotent producer that sends at once.

        Raises:
            ConfigError: librdkafka refuses the settings.
        """
        base = {"enable.idempotence": True, "acks": "all", **must}
        tuned = {"linger.ms": 0, "queue.buffering.max.messages": QUEUED_MOST, **(tuning or {})}
        with self._configuring():
            return Producer(self._callable(self.settings.client(base, tuned)), logger=self)

    def consumer(self, must: Mapping[str, Setting], tuning: Mapping[str, Setting] | None = None) -> Consumer:
        """Make a consumer to be assigned at offsets; it commits nothing and joins no group.

        Raises:
            ConfigError: librdkafka refuses the settings.
        """
        base: dict[str, Setting] = {
            "group.id": f"{self.settings.topic_prefix}.readers",
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            **must,
        }
        tuned = {"fetch.wait.max.ms": IDLE_FETCH_MS, **(tuning or {})}
        with self._configuring():
            return Consumer(self._callable(self.settings.client(base, tuned)), logger=self)

    def admin(self) -> AdminClient:
        """Make a client that creates and describes topics.

        Raises:
            ConfigError: librdkafka refuses the settings.
        """
        with self._configuring():
            return AdminClient(self._callable(self.settings.client({})), logger=self)

    def _callable(self, settings: dict[str, Setting]) -> dict[str, Any]:
        return {**settings, "error_cb": self._note}

    @contextmanager
    def _configuring(self) -> Iterator[None]:
        """Turn librdkafka's refusal of a setting into ours."""
        try:
            yield
        except KafkaException as error:
            raise ConfigError(f"Kafka's client refuses its settings: {words(error)}.") from error

    @contextmanager
    def asking(self, what: str) -> Iterator[None]:
        """Turn Kafka's errors into Unavailable, saying what was tried."""
        try:
            yield
        except KafkaException as error:
            raise self.unavailable(what, error) from error

    def unavailable(self, what: str, cause: KafkaException | KafkaError | BufferError | str) -> Unavailable:
        """Return the error for something that Kafka did not do; a cause in words stands for silence."""
        said = cause if isinstance(cause, str | BufferError) else words(cause)
        code = None if isinstance(cause, str | BufferError) else _kafka_error(cause).code()
        if isinstance(cause, str) or code in _NO_ANSWER:
            note = f" ({words(self.last_error)})" if self.last_error is not None else ""
            hint = "Is it running, and is this its address? GAIA_KAFKA_BOOTSTRAP names it."
            return Unavailable(f"Kafka at {self.settings.bootstrap} did not {what}: {said}{note}.", hint=hint)
        return Unavailable(f"Kafka at {self.settings.bootstrap} did not {what}: {said}.")

    def bounds(self, consumer: Consumer, topic: str, partition: int) -> tuple[int, int]:
        """Ask for (first offset kept, offset after the last record that the consumer may read).

        Raises:
            Unavailable: Kafka did not answer.
        """
        place, deadline = TopicPartition(topic, partition), time.monotonic() + ANSWER_S
        while True:
            try:
                return _offsets(consumer, place)
            except KafkaException as error:
                code = _kafka_error(error).code()
                if code not in _LEADER_MOVES or time.monotonic() > deadline:
                    raise self.unavailable(f"tell the offsets of {topic}", error) from error
            time.sleep(LEADER_S)

    def poll(self, producer: Producer, wait_s: float = 0) -> None:
        """Take what a producer has to tell; a fatal error of it is noted, and met by whoever produces next."""
        try:
            producer.poll(wait_s)
        except KafkaException as error:
            self.last_error = _kafka_error(error)

    def discard(self, producer: Producer) -> None:
        """Close a producer and send nothing more of what it holds; not for one within a transaction."""
        producer.purge()
        with suppress(KafkaException):
            producer.close()

    def log(self, _level: int, message: str, *args: object) -> None:
        """Take one line of librdkafka's log."""
        _log.debug(message, *args)

    def _note(self, error: KafkaError) -> None:
        """Keep the last cause: librdkafka tells why a broker is away here, not in the error of the call."""
        self.last_error = error


def _offsets(consumer: Consumer, place: TopicPartition) -> tuple[int, int]:
    found = consumer.get_watermark_offsets(place, timeout=ANSWER_S, cached=False)
    if found is None:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001
    return found


def is_fatal(error: KafkaException) -> bool:
    """Tell whether a producer can do nothing more and a new one is needed."""
    inner = _kafka_error(error)
    return inner.fatal() or inner.code() == KafkaError._FATAL  # noqa: SLF001


def words(error: KafkaException | KafkaError) -> str:
    """Return what librdkafka has to say, without its codes."""
    return _kafka_error(error).str().rstrip(".")


def _kafka_error(error: KafkaException | KafkaError) -> KafkaError:
    inner = error.args[0] if isinstance(error, KafkaException) else error
    return inner if isinstance(inner, KafkaError) else KafkaError(KafkaError._FAIL, str(inner))  # noqa: SLF001


def partition_of(name: str, partitions: int) -> int:
    """Return the partition of a worker's inbox or of a workflow's events.

    CRC-32 (the one of zlib) of the name in UTF-8, modulo the number of partitions: every language has it.
    """
    return zlib.crc32(name.encode()) % partitions


def cleanly(message: Message) -> bytes:
    """Return a record's value; a record without one is empty."""
    return message.value() or b""


def are_gone(messages: list[Message]) -> bool:
    """Tell whether reading failed because records were deleted before they were read."""
    return any(error is not None and error.code() in OUT_OF_RANGE for error in (each.error() for each in messages))


def read_error(clients: Clients, messages: list[Message], topic: str) -> tuple[list[Message], GaiaError | None]:
    """Split what was consumed into the records before the first error, and that error in our words."""
    for index, message in enumerate(messages):
        error = message.error()
        if error is not None:
            gone = " from there on, its records were deleted" if error.code() in OUT_OF_RANGE else ""
            return messages[:index], clients.unavailable(f"let us read {topic}{gone}", error)
    return messages, None
