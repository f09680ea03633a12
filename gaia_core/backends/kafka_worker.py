"""A worker's side of the bus on Kafka: its inbox in, its reports out.

A worker in another language does the same: read the partition that `partition_of` names, from its end on, skip records
whose key is another worker's name, and produce reports to the partition of the shard. Called by the worker's agent.
"""

import logging
import threading
import time
from collections import deque
from functools import partial
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from gaia_core.backends.kafka import (
    STEPS_PARTITIONS,
    Clients,
    KafkaSettings,
    Setting,
    are_gone,
    cleanly,
    partition_of,
    read_error,
)
from gaia_core.errors import InboxLost, TooLarge, Unavailable
from gaia_core.ports import Aside, Record, SetAside, nowhere

INBOX_MOST: Final = 1_000
"""Records taken at once; the inbox of a busy worker has a few per coordinator batch."""

WAKE_S: Final = 0.2
"""How often a waiting `receive` looks whether the bus was closed."""

AGAIN_S: Final = 1.0
"""Pause before a new producer is tried after one that failed for good."""

FLUSH_STEP_S: Final = 0.01
"""`flush` waits in steps as short as this, so that other threads can report meanwhile."""

LIBRARY_BYTES_MAX: Final = 1_000_000
"""librdkafka's message.max.bytes unless a setting says otherwise."""

OVERHEAD_BYTES: Final = 1_024
"""Room for the key and Kafka's own framing inside message.max.bytes."""

# Orders are no transaction of anybody: one that a stranger leaves open must not hide what comes after it.
_READER: Final[dict[str, Setting]] = {"isolation.level": "read_uncommitted"}

_log = logging.getLogger(__name__)


class KafkaWorkerBus:
    """A WorkerBus on the topics `<prefix>.steps` and `<prefix>.reports`.

    `receive` belongs to one thread; `report` and `flush` may be called from several.

    Args:
        settings: where; the topics must exist.
        worker: its name, the key of its inbox records.
        set_aside: keeps records that are nobody's.

    Raises:
        ConfigError: librdkafka refuses the settings.
        Unavailable: Kafka does not answer, or the topics are not there.
    """

    def __init__(self, settings: KafkaSettings, worker: str, set_aside: SetAside = nowhere) -> None:
        self._clients = Clients(settings)
        self._set_aside = set_aside
        self._topic = settings.steps_topic
        self._key = worker.encode()
        self._reading = threading.Lock()
        self._closed = False
        self.partition = partition_of(worker, STEPS_PARTITIONS)
        self._consumer = self._clients.consumer(_READER)
        try:
            self.start_offset = self._clients.bounds(self._consumer, self._topic, self.partition)[1]
            with self._clients.asking(f"let us read {self._topic}"):
                self._consumer.assign([TopicPartition(self._topic, self.partition, self.start_offset)])
            self._reporter = _Reporter(self._clients, self._key)
        except BaseException:
            self._consumer.close()
            raise
        self._read_to = self.start_offset

    def receive(self, timeout_s: float) -> list[Record]:
        """Return this worker's records that arrived; see `ports.WorkerBus.receive`.

        Raises:
            InboxLost: records were deleted before they were read: a new incarnation has to begin.
            Unavailable: the inbox does not answer now, or the bus is closed.
        """
        deadline = time.monotonic() + timeout_s
        with self._reading:
            while True:
                if self._closed:
                    raise Unavailable(f"The inbox {self._topic} is closed.")
                left = max(0.0, deadline - time.monotonic())
                mine = self._taken(min(left, WAKE_S))
                if mine or time.monotonic() >= deadline:
                    return mine

    def _taken(self, timeout_s: float) -> list[Record]:
        messages = self._consumer.consume(1, timeout_s)
        if messages:
            messages += self._consumer.consume(INBOX_MOST, 0)
        good, error = read_error(self._clients, messages, self._topic)
        if good:
            self._read_to = (good[-1].offset() or 0) + 1
        if error is not None:
            raise InboxLost(error.message, hint=error.hint) if are_gone(messages) else error
        self._reporter.tend()
        return [record for message in good if (record := self._mine(message)) is not None]

    def _mine(self, message: Message) -> Record | None:
        """Return a record for this worker; one without a key is nobody's, since each inbox record names its worker."""
        key = message.key()
        if key == self._key:
            return Record(message.offset() or 0, cleanly(message))
        if not key:
            offset, cause = message.offset() or 0, "record without the name of a worker"
            _log.warning("passed over an inbox record", extra={"offset": offset, "cause": cause})
            self._set_aside(Aside("inbox", self.partition, offset, cause, cleanly(message)))
        return None

    def inbox_offset(self) -> int:
        """Return the offset the inbox was read to, other workers' records included."""
        return self._read_to

    def report(self, record: bytes) -> None:
        """Queue one report record; see `ports.WorkerBus.report`.

        Raises:
            TooLarge: Kafka's client takes no record of this size.
            Unavailable: the bus is closed.
        """
        self._reporter.add(record)

    def acknowledged(self) -> int:
        """Return how many records have arrived; see `ports.WorkerBus.acknowledged`."""
        return self._reporter.acknowledged

    def flush(self, timeout_s: float) -> bool:
        """Wait until every queued report is acknowledged; return whether that is so."""
        return self._reporter.flush(timeout_s)

    def close(self) -> None:
        """Release everything, unacknowledged reports included; safe to call twice."""
        already, self._closed = self._closed, True
        with self._reading:
            if not already:
                self._consumer.close()
                self._reporter.close()


class _Reporter:
    """Sends records in order and never gives up.

    librdkafka retries by itself for as long as it can. What it gives up on for good (a broker that lost what it had
    acknowledged, a topic or a permission that was gone for a while) is sent again, in order, by a new producer: so
    every record is kept until its acknowledgement. A record may therefore arrive twice, which its fence makes harmless.
    """

    def __init__(self, clients: Clients, key: bytes) -> None:
        self._clients, self._key = clients, key
        self._topic, self._partition = clients.settings.reports_topic, clients.settings.shard
        most = int(clients.settings.extra.get("message.max.bytes", LIBRARY_BYTES_MAX))
        self._bytes_max = most - OVERHEAD_BYTES
        self._lock = threading.Lock()
        self._unacknowledged: deque[bytes] = deque()
        self.acknowledged = 0
        self._unqueued = 0
        self._failed_at: float | None = None
        self._closed = False
        self._generation = 0
        # Delivery reports of (generation, delivered), in order; whoever polls adds them, the lock's holder takes them.
        self._ended: deque[tuple[int, bool]] = deque()
        self._producer = self._new()

    def _new(self) -> Producer:
        return self._clients.producer({"message.timeout.ms": 0})

    def add(self, record: bytes) -> None:
        """Keep one record and send it as soon as possible."""
        if len(record) > self._bytes_max:
            raise TooLarge(f"A report of {len(record):,} bytes is more than the {self._bytes_max:,} that Kafka takes.")
        with self._lock:
            if self._closed:
                raise Unavailable(f"The bus to {self._topic} is closed.")
            self._unacknowledged.append(record)
            self._unqueued += 1
            self._tend(0)

    def tend(self, wait_s: float = 0) -> None:
        """Take acknowledgements, replace a producer that has failed, queue what is not queued."""
        with self._lock:
            if not self._closed:
                self._tend(wait_s)

    def _tend(self, wait_s: float) -> None:
        self._clients.poll(self._producer, wait_s)
        self._take_acknowledgements()
        if self._failed_at is not None:
            if time.monotonic() < self._failed_at + AGAIN_S:
                return
            self._begin_again()
        while self._unqueued and self._queued(self._unacknowledged[-self._unqueued]):
            self._unqueued -= 1

    def _take_acknowledgements(self) -> None:
        """Forget what has arrived; acknowledgements come in the order of the records until one has failed."""
        while self._ended:
            generation, delivered = self._ended.popleft()
            if generation != self._generation:
                continue
            if not delivered:
                self._failed_at = self._failed_at or time.monotonic()
            elif self._failed_at is None:
                self._unacknowledged.popleft()
                self.acknowledged += 1

    def _queued(self, record: bytes) -> bool:
        noted = partial(self._note, self._generation)
        try:
            self._producer.produce(self._topic, record, self._key, self._partition, on_delivery=noted)
        except BufferError:
            return False
        except KafkaException:
            self._failed_at = time.monotonic()
            return False
        return True

    def _note(self, generation: int, error: KafkaError | None, _message: Message) -> None:
        self._ended.append((generation, error is None))

    def _begin_again(self) -> None:
        """Send everything unacknowledged by a new producer."""
        _log.warning("reports are sent again by a new producer", extra={"reports": len(self._unacknowledged)})
        self._drop_producer()
        self._producer = self._new()
        self._unqueued = len(self._unacknowledged)
        self._failed_at = None

    def _drop_producer(self) -> None:
        self._generation += 1
        self._clients.discard(self._producer)

    def flush(self, timeout_s: float) -> bool:
        """Wait until nothing is unacknowledged; return whether that is so."""
        deadline = time.monotonic() + timeout_s
        self.tend()
        while self._unacknowledged and not self._closed and (left := deadline - time.monotonic()) > 0:
            self.tend(min(left, FLUSH_STEP_S))
        return not self._unacknowledged

    def close(self) -> None:
        """Send nothing more; safe to call twice."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._drop_producer()
