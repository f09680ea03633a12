"""The public events on Kafka: one transaction per publication, holding the events and the position they lead to.

Events are CloudEvents 1.0 in the Kafka protocol's binary mode. Called by the publisher, off the critical path.

Source: github.com/cloudevents/spec, spec.md, bindings/kafka-protocol-binding.md and extensions/sequence.md,
version 1.0.2.
"""

import json
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, TypeAlias

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from gaia_core.backends.kafka import (
    ANSWER_S,
    AT_END,
    EVENTS_PARTITIONS,
    Clients,
    KafkaSettings,
    Setting,
    cleanly,
    partition_of,
    read_error,
)
from gaia_core.errors import JournalCorrupt, Unavailable
from gaia_core.ports import Aside, EventRecord, Position, SetAside, nowhere

TRANSACTION_S: Final = 10.0
"""An abandoned transaction holds up every consumer of its partitions for this long."""

BEGIN_S: Final = 30.0
"""Shutting out the earlier publisher may have to wait for the end of its transaction."""

TAIL_RECORDS: Final = 1_000
"""A committed position is nearly always among so many last records; if not, all of them are read."""

STRANGE_MOST: Final = 16
"""Records that are no positions and are kept until they are put aside."""

CACHED_MOST: Final = 10_000
"""Ready-made header values: events of one publication share their second, and mostly their workflow and kind."""

Headers: TypeAlias = dict[str, str | bytes | None]

TYPE_PREFIX: Final = "io.gaiaworkflows.v1."
"""A reverse domain name of the project's own, the one of the generated Java code; then the kind of the event."""

SEQUENCE_DIGITS: Final = 20
"""So many has the largest uint64: as text, sequences have to sort as the numbers do."""

_READER: Final[dict[str, Setting]] = {"enable.partition.eof": True, "isolation.level": "read_committed"}
_FENCED: Final = (KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH)  # noqa: SLF001

_log = logging.getLogger(__name__)


class KafkaEventLog:
    """An EventLog on the topics `<prefix>.events` and `<prefix>.published`.

    The position's partition is the shard's own: another shard's open transaction would hide positions behind it.

    After any error the object is of no more use: librdkafka does not implement KIP-890, so what was in doubt could
    end up in the next transaction of the same producer. A new object shuts out the old one, however much it still has
    under way.

    Args:
        settings: where; the topics must exist.
        set_aside: keeps records that are no positions.

    Raises:
        ConfigError: librdkafka refuses the settings.
    """

    def __init__(self, settings: KafkaSettings, set_aside: SetAside = nowhere) -> None:
        self._set_aside = set_aside
        self._clients = Clients(settings)
        self._settings = settings
        self._key = str(settings.shard).encode()
        must: dict[str, Setting] = {
            "transactional.id": f"{settings.topic_prefix}.publisher.{settings.shard}",
            "transaction.timeout.ms": int(TRANSACTION_S * 1000),
        }
        # The first partition of each transaction is answered "busy" while the last one ends; the default waits 100 ms.
        self._producer: Producer | None = self._clients.producer(must, {"retry.backoff.ms": 1})
        # Ours once known: the commit is acknowledged some time before a consumer can read what it committed.
        self._position: Position | None = None
        self._broken = ""

    def position(self) -> Position:
        """Return the last committed position, having shut out every earlier publisher."""
        producer = self._live()
        try:
            if self._position is None:
                self._position = self._begin(producer)
        except BaseException as error:
            self._break(f"This publisher has failed before: {error}")
            raise
        return self._position

    def _begin(self, producer: Producer) -> Position:
        with self._clients.asking("let this publisher begin"):
            # Returns after the end of the earlier publisher's last transaction, so its position can be read.
            producer.init_transactions(BEGIN_S)
        return self._last_position()

    def publish(self, events: Sequence[EventRecord], position: Position) -> None:
        """Write events and position in one transaction; see `ports.EventLog.publish`."""
        producer = self._live()
        self.position()
        try:
            producer.begin_transaction()
            for event in events:
                self._produce_event(producer, event)
            value = json.dumps({"shard": self._settings.shard, **position._asdict()})
            _produce(producer, self._settings.published_topic, value.encode(), self._key, self._settings.shard)
            producer.commit_transaction(TRANSACTION_S)
            self._position = position
        except BaseException as error:
            failure = self._failure(producer, error)
            self._break(f"This publisher has failed before: {failure}")
            if failure is error:
                raise
            raise failure from error

    def _failure(self, producer: Producer, error: BaseException) -> BaseException:
        if not isinstance(error, KafkaException | BufferError):
            return error
        # Only a poll brings the cause of a fatal error.
        self._clients.poll(producer)
        codes = [found.code() for found in (*error.args, self._clients.last_error) if isinstance(found, KafkaError)]
        if any(code in _FENCED for code in codes):
            return Unavailable("Another publisher has taken over.")
        return self._clients.unavailable(f"publish to {self._settings.events_topic}", error)

    def _produce_event(self, producer: Producer, event: EventRecord) -> None:
        key, partition = event.workflow.encode(), partition_of(event.workflow, EVENTS_PARTITIONS)
        headers = headers_of(self._settings.topic_prefix, event)
        _produce(producer, self._settings.events_topic, event.value, key, partition, headers)

    def _last_position(self) -> Position:
        """Return the newest position.

        Raises:
            JournalCorrupt: there are records, and none of them is a position: compaction keeps a key's newest record
                only, so a stranger's may have taken the place of ours.
        """
        topic, partition = self._settings.published_topic, self._settings.shard
        found = _Positions()
        consumer = self._clients.consumer(_READER)
        try:
            first, end = self._clients.bounds(consumer, topic, partition)
            tail = max(first, end - TAIL_RECORDS)
            self._read(consumer, tail, end, found)
            if found.newest is None and tail > first:
                self._read(consumer, first, end, found)
        finally:
            consumer.close()
        for offset, value in found.strange.items():
            _log.warning("passed over a record that is no position", extra={"topic": topic, "offset": offset})
            self._set_aside(Aside("published", partition, offset, "no position", value))
        if found.newest is None and found.strange:
            offset, value = found.strange.popitem()
            raise JournalCorrupt(f"No position in {topic} can be read; the last record, at {offset}: {value[:100]!r}.")
        return found.newest or Position(-1)

    def _read(self, consumer: Consumer, start: int, end: int, found: "_Positions") -> None:
        """Read the committed records between two offsets."""
        topic, ended = self._settings.published_topic, start >= end
        with self._clients.asking(f"let us read {topic}"):
            consumer.assign([TopicPartition(topic, self._settings.shard, start)])
        while not ended:
            messages = consumer.consume(TAIL_RECORDS, 0) or consumer.consume(1, ANSWER_S)
            if not messages:
                raise self._clients.unavailable(f"let us read {topic}", f"silent for {ANSWER_S:g} s")
            # An end is told as an error; a broker that has just become the leader may tell one too early.
            ended = any(_is_end(message.error()) and (message.offset() or 0) >= end for message in messages)
            good, error = read_error(self._clients, [m for m in messages if not _is_end(m.error())], topic)
            if error is not None:
                raise error
            for message in good:
                found.take(message.offset() or 0, cleanly(message))

    def close(self) -> None:
        """Release everything; what is under way is given up. Safe to call twice."""
        self._break("This publisher is closed.")

    def _live(self) -> Producer:
        if self._producer is None:
            raise Unavailable(self._broken)
        return self._producer

    def _break(self, why: str) -> None:
        """Let go of the producer: its own close() would wait without end for a broker that does not answer."""
        if self._producer is not None:
            self._broken = why
            self._producer.purge()
            self._producer = None


def _produce(
    producer: Producer,
    topic: str,
    value: bytes,
    key: bytes,
    partition: int,
    headers: Headers | None = None,
) -> None:
    while True:
        try:
            # Without a timestamp: retention has to count from now, however old the event is; ce_time tells its time.
            producer.produce(topic, value, key, partition, headers=headers)
        except BufferError:
            # The queue is full: it empties while we wait, or the messages in it time out and the commit fails.
            producer.poll(0.1)
        else:
            return


def headers_of(prefix: str, event: EventRecord) -> Headers:
    """Return the attributes of an event as a CloudEvent, as the Kafka protocol binding names them."""
    headers: Headers = {
        **_fixed_headers(prefix, event.workflow, event.workflow_uid, event.kind),
        "ce_id": b"%d-%d" % (event.workflow_uid, event.sequence),
        "ce_sequence": b"%0*d" % (SEQUENCE_DIGITS, event.sequence),
        "ce_time": rfc3339(event.time_ms),
    }
    if event.subject:
        headers["ce_subject"] = event.subject.encode()
    return headers


def rfc3339(time_ms: int) -> bytes:
    """Return a time in milliseconds since the epoch as RFC 3339 has it, in UTC."""
    return _rfc3339_second(time_ms // 1000) + b".%03dZ" % (time_ms % 1000)


@lru_cache(CACHED_MOST)
def _rfc3339_second(second: int) -> bytes:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()


def _is_end(error: KafkaError | None) -> bool:
    return error is not None and error.code() == AT_END


class _Positions:
    """What was read where positions lie.

    Attributes:
        newest: None until there was one.
        strange: the newest records that are none, by offset; a few, for each may have a megabyte.
    """

    def __init__(self) -> None:
        self.newest: Position | None = None
        self.strange: dict[int, bytes] = {}

    def take(self, offset: int, value: bytes) -> None:
        """Take one record; records come in order."""
        try:
            found = json.loads(value)
            self.newest = Position(int(found["entry_offset"]), int(found["event_count"]))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            self.strange[offset] = value
            while len(self.strange) > STRANGE_MOST:
                del self.strange[next(iter(self.strange))]


@lru_cache(CACHED_MOST)
def _fixed_headers(prefix: str, workflow: str, uid: int, kind: str) -> Headers:
    """Return the headers that all events of a workflow and kind share.

    The uid is part of the source, since sequences are compared inside one source and those of the next workflow of the
    same name begin anew.
    """
    return {
        "content-type": b"application/protobuf",
        "ce_specversion": b"1.0",
        "ce_type": f"{TYPE_PREFIX}{kind}".encode(),
        "ce_source": f"/gaia/{prefix}/{workflow}/{uid}".encode(),
    }
