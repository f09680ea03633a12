"""The coordinator's side of the bus on Kafka: inbox records out, reports in.

Called by the coordinator's loop; reports are read by a thread of the bus.
"""

import logging
import threading
from collections.abc import Callable
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from gaia_core.backends.kafka import AT_END, Clients, KafkaSettings, Setting, cleanly, is_fatal, read_error
from gaia_core.ports import Delivery, ReportBatch

BATCH_MOST: Final = 5_000
"""Reports per batch: beyond a few thousand a larger batch gains nothing and only delays the first of it."""

DELIVERY_S: Final = 10.0
"""An inbox record that Kafka has not taken by then has failed; the coordinator sends its Steps again."""

WAKE_S: Final = 0.1
"""How often the listening thread looks whether it has to stop."""

STOP_S: Final = 10.0
"""How long `close` waits for a sink that blocks."""

# Reports are no transaction of anybody: one that a stranger leaves open must not hide what comes after it. The end is
# told because offsets without a record (a stranger's commit) may lie there, and whoever catches up waits for them.
_READER: Final[dict[str, Setting]] = {"enable.partition.eof": True, "isolation.level": "read_uncommitted"}

_log = logging.getLogger(__name__)


class KafkaCoordinatorBus:
    """A CoordinatorBus on the topics `<prefix>.steps` and `<prefix>.reports`, for one term of one leader.

    Args:
        settings: where; the topics must exist.

    Raises:
        ConfigError: librdkafka refuses the settings.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._clients = Clients(settings)
        self._settings = settings
        self._producer = self._new_producer()
        self._asker = self._clients.consumer(_READER)
        self._ended: list[Delivery] = []
        self._listener: _Listener | None = None
        self._closed = False

    def _new_producer(self) -> Producer:
        return self._clients.producer({"message.timeout.ms": int(DELIVERY_S * 1000)})

    def send(self, worker: str, partition: int, record: bytes) -> None:
        """Queue one inbox record; see `ports.CoordinatorBus.send`."""
        topic = self._settings.steps_topic
        try:
            self._producer.produce(topic, record, worker, partition, on_delivery=self._delivered)
        except (KafkaException, BufferError) as error:
            if isinstance(error, BufferError) or is_fatal(error):
                self._begin_again()  # so that what was queued before ends before: deliveries are told in order
            self._ended.append(Delivery(worker, None))

    def _begin_again(self) -> None:
        """Replace a producer that can do nothing more; what it held ends as not delivered."""
        _log.warning("the producer of inbox records is replaced")
        self._clients.discard(self._producer)
        self._producer = self._new_producer()

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        offset = message.offset()
        known = error is None and offset is not None and offset >= 0
        self._ended.append(Delivery((message.key() or b"").decode(), offset if known else None))

    def flush(self) -> None:
        """Let librdkafka tell what ended; it sends by itself as soon as a record is queued."""
        self._clients.poll(self._producer)

    def deliveries(self) -> list[Delivery]:
        """Return the deliveries that ended since the last call."""
        if not self._closed:
            self._clients.poll(self._producer)
        ended, self._ended = self._ended, []
        return ended

    def listen(self, offset: int, sink: Callable[[ReportBatch], None], failed: Callable[[Exception], None]) -> None:
        """Deliver all reports from offset on, from a thread of ours; see `ports.CoordinatorBus.listen`."""
        self._stop()
        self._listener = _Listener(self._clients, offset, sink, failed)
        self._listener.start()

    def end_offset(self) -> int:
        """Return the offset after the last report now on the bus."""
        return self._clients.bounds(self._asker, self._settings.reports_topic, self._settings.shard)[1]

    def seen_end(self) -> int:
        """Return the offset after the last report that the listening thread was told of."""
        listener = self._listener
        return listener.seen_end if listener is not None else 0

    def close(self) -> None:
        """Stop listening and drop what is not sent yet; safe to call twice."""
        self._stop()
        if not self._closed:
            self._closed = True
            # A deposed leader must not send on; its successor sends what matters.
            self._clients.discard(self._producer)
            self._asker.close()

    def _stop(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.stopped.set()
            if listener is not threading.current_thread():
                listener.join(STOP_S)


class _Listener(threading.Thread):
    """Hands reports to one coordinator until stopped; its consumer belongs to this thread alone."""

    def __init__(
        self,
        clients: Clients,
        offset: int,
        sink: Callable[[ReportBatch], None],
        failed: Callable[[Exception], None],
    ) -> None:
        super().__init__(name="gaia-reports", daemon=True)
        self._clients, self._offset, self._sink, self._failed = clients, offset, sink, failed
        self.stopped = threading.Event()
        self.seen_end = 0

    def run(self) -> None:
        """Read and deliver until told to stop; any error ends it and is told once."""
        try:
            consumer = self._clients.consumer(_READER)
            try:
                self._deliver(consumer)
            finally:
                consumer.close()
        except Exception as error:  # noqa: BLE001 - the coordinator judges it, in its own thread
            if not self.stopped.is_set():
                self._failed(error)

    def _begin(self, consumer: Consumer) -> None:
        """Begin with the first report kept where those that were asked for are gone.

        After a week without a leader they are, and what they said is found out by the next heartbeats.
        """
        settings = self._clients.settings
        first, end = self._clients.bounds(consumer, settings.reports_topic, settings.shard)
        if not first <= self._offset <= end:
            details = {"topic": settings.reports_topic, "wanted": self._offset, "first": first, "end": end}
            _log.warning("reports were deleted before they were read", extra=details)
            self._offset = first
            self._hand([], moved=True)

    def _deliver(self, consumer: Consumer) -> None:
        settings = self._clients.settings
        self._begin(consumer)
        place = TopicPartition(settings.reports_topic, settings.shard, self._offset)
        with self._clients.asking(f"let us read {settings.reports_topic}"):
            consumer.assign([place])
        while not self.stopped.is_set():
            # The first one as soon as it comes, then all that came with it.
            if first := consumer.consume(1, WAKE_S):
                rest = consumer.consume(BATCH_MOST, 0)
                # What librdkafka was told with the last fetch: no question to the broker.
                self.seen_end = max(self.seen_end, (consumer.get_watermark_offsets(place, cached=True) or (0, 0))[1])
                self._pass_on(first + rest)

    def _pass_on(self, messages: list[Message]) -> None:
        """Hand on what was read: one batch for each run of offsets without a gap."""
        topic = self._clients.settings.reports_topic
        read = [message for message in messages if not _is_end(message)]
        good, error = read_error(self._clients, read, topic)
        run: list[bytes] = []
        for message in good:
            offset = message.offset() or 0
            if run and offset != self._offset:
                self._hand(run)
                run = []
            run.append(cleanly(message))
            self._offset = offset + 1
        end = max((message.offset() or 0 for message in messages if _is_end(message)), default=0)
        self._hand(run)
        if end > self._offset and error is None:
            self._offset = end
            self._hand([], moved=True)
        if error is not None:
            raise error

    def _hand(self, run: list[bytes], *, moved: bool = False) -> None:
        if (run or moved) and not self.stopped.is_set():
            self._sink(ReportBatch(run, self._offset))


def _is_end(message: Message) -> bool:
    error = message.error()
    return error is not None and error.code() == AT_END
