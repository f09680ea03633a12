"""Workers that run nothing, many in one process, built from docs/worker-protocol.md and the protobuf messages alone.

Nothing of Gaia's own code moves records here: two librdkafka clients, shared by all workers of the process. Every
attempt ends as soon as its order is read, so nothing is ever held. Run as a process of its own by `simulated.py`: says
"ready" once all workers said hello, and drains when its stdin is closed.
"""

import argparse
import sys
import threading
import time
import uuid
import zlib
from collections import deque
from collections.abc import Iterable
from typing import Final

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from gaia.v1 import model_pb2, worker_pb2

PARTITIONS: Final = 64
BEAT_S: Final = 5.0
RECEIVE_S: Final = 0.1
ANSWER_S: Final = 30.0
MESSAGES_PER_READ: Final = 1_000
REPORTS_PER_RECORD: Final = 5_000
"""A completion without outputs takes some 20 bytes; a record stays below 256 KiB."""

ENDED: Final = 1
CANCELLED_AHEAD: Final = 2

REMEMBERED: Final = 100_000
"""Attempts each worker remembers: many times what it can hold."""


class SimulatedWorker:
    """One worker: what it was told, and what it has to say."""

    def __init__(self, name: str, slots: int, start_offset: int) -> None:
        self.name = name
        self.partition = zlib.crc32(name.encode()) % PARTITIONS
        self.incarnation = uuid.uuid4().hex
        self._slots = slots
        self._start_offset = start_offset
        self._term = 0
        self._seen: dict[tuple[int, int, int], int] = {}
        self._oldest: deque[tuple[int, int, int]] = deque()
        self._reports: list[worker_pb2.Report] = []
        self.is_draining = False

    def obey(self, value: bytes) -> None:
        """Follow the orders of one record, if it is meant for this life and of no deposed coordinator."""
        record = worker_pb2.InboxRecord.FromString(value)
        if record.worker != self.name or record.incarnation != self.incarnation or record.term < self._term:
            return
        self._term = record.term
        for entry in record.entries:
            if entry.HasField("dispatch"):
                self._dispatch(entry.dispatch.fence)
            elif entry.HasField("cancel"):
                self._cancel(entry.cancel.fence)
            elif entry.HasField("drain"):
                self.drain()

    def drain(self) -> None:
        """Take nothing new."""
        if not self.is_draining:
            self.is_draining = True
            self.say_hello()

    def say_hello(self) -> None:
        """Tell what this worker is."""
        hello = worker_pb2.Hello(
            pool="default",
            slots=self._slots,
            partition=self.partition,
            start_offset=self._start_offset,
            executor="simulated",
            draining=self.is_draining,
        )
        self._reports.append(worker_pb2.Report(hello=hello))

    def beat(self, inbox_offset: int) -> None:
        """Give a sign of life; whatever was ordered below the offset has ended."""
        self.say_hello()
        self._reports.append(worker_pb2.Report(heartbeat=worker_pb2.Heartbeat(inbox_offset=inbox_offset)))

    def say_goodbye(self) -> None:
        """Say the last word."""
        self._reports.append(worker_pb2.Report(goodbye=worker_pb2.Goodbye(reason="drained")))

    def take(self) -> Iterable[bytes]:
        """Return what it has to say, as records."""
        reports, self._reports = self._reports, []
        for at in range(0, len(reports), REPORTS_PER_RECORD):
            part = reports[at : at + REPORTS_PER_RECORD]
            yield worker_pb2.ReportRecord(
                worker=self.name, incarnation=self.incarnation, reports=part
            ).SerializeToString()

    def _dispatch(self, fence: worker_pb2.Fence) -> None:
        """End an attempt, unless that was done before."""
        before = self._seen.get(_key(fence))
        self._remember(fence, ENDED)
        if before == ENDED:
            return
        report = worker_pb2.Report()
        if before == CANCELLED_AHEAD:
            report.cancelled.fence.CopyFrom(fence)
        elif self.is_draining:
            lost = model_pb2.Failure(message="the worker drains")
            setattr(lost, "class", model_pb2.FAILURE_CLASS_LOST)
            report.failed.CopyFrom(worker_pb2.Failed(fence=fence, failure=lost, unstarted=True))
        else:
            report.completed.fence.CopyFrom(fence)
        self._reports.append(report)

    def _cancel(self, fence: worker_pb2.Fence) -> None:
        """Remember a cancel that came ahead; one of an attempt that has ended changes nothing."""
        if _key(fence) not in self._seen:
            self._remember(fence, CANCELLED_AHEAD)

    def _remember(self, fence: worker_pb2.Fence, what: int) -> None:
        key = _key(fence)
        if key not in self._seen:
            self._oldest.append(key)
            if len(self._oldest) > REMEMBERED:
                del self._seen[self._oldest.popleft()]
        self._seen[key] = what


class Crew:
    """The workers of this process, and their connections."""

    def __init__(self, bootstrap: str, prefix: str, names: list[str], slots: int) -> None:
        self._reports_topic = f"{prefix}.reports"
        # No group, no commits, and never a jump to another offset: what the protocol asks of an inbox.
        reader = {"group.id": "unused", "enable.auto.commit": False, "auto.offset.reset": "error"}
        self._consumer = Consumer({**reader, "bootstrap.servers": bootstrap, "isolation.level": "read_uncommitted"})
        writer = {"enable.idempotence": True, "acks": "all", "message.timeout.ms": 0, "linger.ms": 0}
        self._producer = Producer({**writer, "bootstrap.servers": bootstrap})
        self._read_to: dict[int, int] = {}
        for partition in {zlib.crc32(name.encode()) % PARTITIONS for name in names}:
            place = TopicPartition(f"{prefix}.steps", partition)
            self._read_to[partition] = self._consumer.get_watermark_offsets(place, timeout=ANSWER_S)[1]
        self._consumer.assign([TopicPartition(f"{prefix}.steps", *place) for place in self._read_to.items()])
        self._workers = {
            name.encode(): SimulatedWorker(name, slots, self._read_to[zlib.crc32(name.encode()) % PARTITIONS])
            for name in names
        }

    def begin(self) -> None:
        """Say hello, all of them."""
        for worker in self._workers.values():
            worker.say_hello()
            self._send(worker)
        self._producer.flush()

    def work(self, ended: threading.Event) -> None:
        """Follow orders until all workers drain, since they were told to or since it is time."""
        beat_at = time.monotonic()
        while not all(worker.is_draining for worker in self._workers.values()):
            self._turn()
            if time.monotonic() >= beat_at:
                beat_at += BEAT_S
                self._beat()
            if ended.is_set():
                for worker in self._workers.values():
                    worker.drain()
        self._leave()

    def _turn(self) -> None:
        """Act on what has arrived, and report the ends of all of it."""
        messages = _good(self._consumer.consume(1, RECEIVE_S))
        messages += _good(self._consumer.consume(MESSAGES_PER_READ, 0)) if messages else []
        told: dict[bytes, SimulatedWorker] = {}
        for message in messages:
            self._read_to[message.partition() or 0] = (message.offset() or 0) + 1
            worker = self._workers.get(message.key() or b"")
            if worker is not None:
                worker.obey(message.value() or b"")
                told[message.key() or b""] = worker
        for worker in told.values():
            self._send(worker)
        self._producer.poll(0)

    def _beat(self) -> None:
        for worker in self._workers.values():
            worker.beat(self._read_to[worker.partition])
            self._send(worker)

    def _send(self, worker: SimulatedWorker) -> None:
        for record in worker.take():
            self._producer.produce(self._reports_topic, record, worker.name.encode(), partition=0)

    def _leave(self) -> None:
        for worker in self._workers.values():
            worker.say_goodbye()
            self._send(worker)
        self._producer.flush()
        self._consumer.close()


def _key(fence: worker_pb2.Fence) -> tuple[int, int, int]:
    return fence.workflow_uid, fence.step, fence.attempt


def _good(messages: list[Message]) -> list[Message]:
    for message in messages:
        if (error := message.error()) is not None:
            raise KafkaException(error)
    return messages


def main() -> None:
    """Be so many workers."""
    parser = argparse.ArgumentParser(description="Be many workers that run nothing.")
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--prefix", required=True, help="of the deployment's topics")
    parser.add_argument("--slots", type=int, required=True, help="of each worker")
    parser.add_argument("names", nargs="+", help="of the workers")
    given = parser.parse_args()
    crew = Crew(given.bootstrap, given.prefix, given.names, given.slots)
    crew.begin()
    print("ready", flush=True)
    ended = threading.Event()
    threading.Thread(target=_await_end, args=(ended,), daemon=True).start()
    crew.work(ended)


def _await_end(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


if __name__ == "__main__":
    main()
