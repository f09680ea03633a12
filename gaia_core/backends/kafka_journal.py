"""The journal as one partition of Kafka: idempotent appends, reads at offsets, no group and no transaction.

Appends come from one thread; reads and bounds from any. Called by the coordinator (the leader) and by followers.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from gaia_core.backends.checks import check_start
from gaia_core.backends.kafka import ANSWER_S, AT_END, OUT_OF_RANGE, Clients, KafkaSettings, Setting, cleanly, words
from gaia_core.errors import Unavailable
from gaia_core.ports import Record

APPEND_S: Final = 10.0
"""An append that takes longer has failed: the leader's session ends after six seconds without Kafka anyway."""

CUT_S: Final = 30.0
"""Deleting may wait for followers; nobody waits for it."""

READ_MOST: Final = 1_000
"""Records per read from librdkafka's queue; its own limit of 64 MiB bounds the memory."""

# A read that ends early leaves a fetch behind which the next one has to wait for.
_READER: Final[dict[str, Setting]] = {"enable.partition.eof": True, "isolation.level": "read_uncommitted"}
_READER_TUNING: Final = {"fetch.wait.max.ms": 2}


class KafkaJournal:
    """A Journal in the topic `<prefix>.journal.<shard>`.

    Args:
        settings: where; the topic must exist.
        append_s: seconds after which an append without an answer has failed.

    Raises:
        ConfigError: librdkafka refuses the settings.
    """

    def __init__(self, settings: KafkaSettings, append_s: float = APPEND_S) -> None:
        self._clients = Clients(settings)
        self._topic = settings.journal_topic
        self._append_s = append_s
        self._producer = self._clients.producer({"message.timeout.ms": int(append_s * 1000)})
        self._broken = ""
        self._lock = threading.Lock()
        self._idle: list[Consumer] = []
        self._closed = False

    def append(self, records: Sequence[bytes]) -> list[int]:
        """Write the records and wait for their offsets; see `ports.Journal.append`."""
        if self._broken:
            raise Unavailable(self._broken)
        try:
            return self._written(records)
        except BaseException as error:
            said = words(error) if isinstance(error, KafkaException) else str(error)
            self._break(f"The journal {self._topic} takes nothing more after a failure: {said}")
            if isinstance(error, KafkaException | BufferError):
                raise self._clients.unavailable(f"append to {self._topic}", error) from error
            raise

    def _written(self, records: Sequence[bytes]) -> list[int]:
        offsets: list[int | None] = [None] * len(records)
        ended: list[KafkaError | None] = []
        for index, record in enumerate(records):
            noted = partial(_note, offsets, ended, index)
            self._producer.produce(self._topic, record, partition=0, on_delivery=noted)
        deadline = time.monotonic() + self._append_s
        while len(ended) < len(records) and (left := deadline - time.monotonic()) > 0:
            # Not flush(): it takes twice as long for a single record (0.6 against 1.1 ms).
            self._producer.poll(left)
        acknowledged = [offset for offset in offsets if offset is not None]
        if len(acknowledged) < len(records):
            causes = [error for error in ended if error is not None]
            silence = f"no acknowledgement with an offset within {self._append_s:g} s"
            raise self._clients.unavailable(f"append to {self._topic}", causes[0] if causes else silence)
        return acknowledged

    def read(self, start: int, end: int) -> Iterator[Record]:
        """Yield the records; see `ports.Journal.read`."""
        if start >= end:
            return
        with self._consumer() as consumer:
            place = TopicPartition(self._topic, 0, start)
            with self._clients.asking(f"let us read {self._topic}"):
                consumer.assign([place])
            try:
                yield from self._records(consumer, start, end)
            finally:
                consumer.unassign()

    def _records(self, consumer: Consumer, start: int, end: int) -> Iterator[Record]:
        after = start
        while after < end:
            messages = consumer.consume(READ_MOST, 0) or consumer.consume(1, ANSWER_S)
            if not messages:
                raise self._clients.unavailable(f"let us read {self._topic}", f"silent for {ANSWER_S:g} s")
            for message in messages:
                error = message.error()
                if error is None:
                    offset = message.offset() or 0
                    if offset >= end:
                        return
                    after = offset + 1
                    yield Record(offset, cleanly(message))
                elif error.code() == AT_END:
                    after = self._end_reached(consumer, message, end)
                else:
                    raise self._refusal(consumer, error, start)

    def _end_reached(self, consumer: Consumer, message: Message, end: int) -> int:
        """Return where reading has got to: behind the last record, offsets without one (gaps) included.

        A broker that has just become the leader may show an end too early. Asked for it, it tells the true one or
        none at all (Source: KIP-207).
        """
        reached = message.offset() or 0
        if reached >= end:
            return end
        _, last = self._clients.bounds(consumer, self._topic, 0)
        return end if reached >= last else reached

    def _refusal(self, consumer: Consumer, error: KafkaError, start: int) -> Unavailable:
        if error.code() in OUT_OF_RANGE:
            try:
                check_start(f"The journal {self._topic}", start, *self._clients.bounds(consumer, self._topic, 0))
            except Unavailable as worded:
                return worded
        return self._clients.unavailable(f"let us read {self._topic}", error)

    def bounds(self) -> tuple[int, int]:
        """Return (first offset kept, offset after the last record)."""
        with self._consumer() as consumer:
            return self._clients.bounds(consumer, self._topic, 0)

    def cut(self, before: int) -> None:
        """Have the broker delete records; see `ports.Journal.cut`."""
        place = TopicPartition(self._topic, 0, before)
        what = f"cut {self._topic}"
        with self._clients.asking(what):
            admin = self._clients.admin()  # kept: an answer comes only while its client is there
            answer = admin.delete_records([place], request_timeout=CUT_S)[place]
            try:
                answer.result(2 * CUT_S)
            except TimeoutError as error:
                raise self._clients.unavailable(what, f"silent for {2 * CUT_S:g} s") from error

    def close(self) -> None:
        """Close the clients; what is being read in another thread ends first. Safe to call twice."""
        self._break(f"The journal {self._topic} is closed.")
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for consumer in idle:
            consumer.close()

    def _break(self, why: str) -> None:
        """Take no further append; whatever still waits in the producer must not be sent any more."""
        if not self._broken:
            self._broken = why
            self._clients.discard(self._producer)

    @contextmanager
    def _consumer(self) -> Iterator[Consumer]:
        """Lend a consumer: making one and its connection costs 25 ms, and each thread needs its own."""
        with self._lock:
            if self._closed:
                raise Unavailable(f"The journal {self._topic} is closed.")
            consumer = self._idle.pop() if self._idle else None
        consumer = consumer or self._clients.consumer(_READER, _READER_TUNING)
        try:
            yield consumer
        finally:
            with self._lock:
                keep = not self._closed
                if keep:
                    self._idle.append(consumer)
            if not keep:
                consumer.close()


def _note(
    offsets: list[int | None], ended: list[KafkaError | None], index: int, error: KafkaError | None, message: Message
) -> None:
    """Take one acknowledgement; one that was repeated after a lost answer comes without its offset (below 0)."""
    offset = message.offset()
    if error is None and offset is not None and offset >= 0:
        offsets[index] = offset
    ended.append(error)
