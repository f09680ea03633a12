"""The bare loop: what moving a Step's records through Kafka costs with no logic at all, the limit to compare with.

Two processes, as a coordinator and a worker are. The worker reads steps and answers each with a report. The
coordinator reads what reports there are, appends one journal record for all of them, waits for its acknowledgement,
and sends a step and an event for each. The records are as large as Gaia's, and empty: nothing is decided or kept.

`wide` keeps a window of steps in flight, `chain` one. Run by `throughput.py` as a process of its own; also by hand:

    python -m benchmarks.bare_loop wide --steps 60000 --bootstrap 127.0.0.1:9092
"""

import argparse
import json
import multiprocessing
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from typing import Final

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

STEP_BYTES: Final = 300
REPORT_BYTES: Final = 80
EVENT_BYTES: Final = 150
JOURNAL_BYTES_PER_STEP: Final = 60

JOURNAL_BYTES_MAX: Final = 900_000
"""A record must stay below Kafka's default limit of one megabyte."""

WINDOW: Final = 5_000
BATCH_MAX: Final = 5_000
FETCH_WAIT_MS: Final = 5
WIDE_LINGER_MS: Final = 2
SILENCE_S: Final = 30.0
LEADER_S: Final = 0.02

NAMES: Final = ("steps", "reports", "journal", "events")


def measure(bootstrap: str, mode: str, steps: int, window: int = WINDOW) -> dict[str, float | int | str]:
    """Move the records of so many steps and return how long that took."""
    window, linger_ms = (1, 0) if mode == "chain" else (min(window, steps), WIDE_LINGER_MS)
    with _topics(bootstrap) as topics:
        context = multiprocessing.get_context("spawn")
        ready = context.Event()
        process = context.Process(target=_work, args=(bootstrap, topics, steps, linger_ms, ready))
        process.start()
        try:
            coordinator = _Coordinator(bootstrap, topics, linger_ms)
            if not ready.wait(SILENCE_S):
                raise TimeoutError("the worker of the bare loop did not start")
            took_s = coordinator.move(steps, window)
            process.join(SILENCE_S)
        finally:
            process.terminate()
            process.join()
    return {
        "mode": mode,
        "steps": steps,
        "window": window,
        "seconds": round(took_s, 4),
        "steps_per_s": round(steps / took_s, 1),
        "ms_per_step": round(1000 * took_s / steps, 4),
    }


class _Coordinator:
    """The side that would decide."""

    def __init__(self, bootstrap: str, topics: dict[str, str], linger_ms: int) -> None:
        self._topics = topics
        self._reports = _reader(bootstrap, topics["reports"])
        self._journal = _writer(bootstrap, 0)
        self._out = _writer(bootstrap, linger_ms)

    def move(self, steps: int, window: int) -> float:
        """Return the seconds from the first journal record to the last report."""
        sent = reported = 0
        room = window
        began = time.perf_counter()
        while reported < steps:
            self._append(room)
            sent += self._send(sent, min(room, steps - sent))
            room = self._await_reports()
            reported += room
        took_s = time.perf_counter() - began
        self._out.flush()
        self._reports.close()
        return took_s

    def _append(self, steps: int) -> None:
        size = min(JOURNAL_BYTES_PER_STEP * steps, JOURNAL_BYTES_MAX)
        self._journal.produce(self._topics["journal"], bytes(size))
        self._journal.flush()

    def _send(self, first: int, count: int) -> int:
        for number in range(first, first + count):
            self._out.produce(self._topics["steps"], bytes(STEP_BYTES), key=b"%d" % number)
            self._out.produce(self._topics["events"], bytes(EVENT_BYTES), key=b"workflow")
        self._out.poll(0)
        return count

    def _await_reports(self) -> int:
        silent_at = time.monotonic() + SILENCE_S
        while time.monotonic() < silent_at:
            found = _drain(self._reports)
            self._out.poll(0)
            if found:
                return len(found)
        raise TimeoutError("no report came")


def _work(bootstrap: str, topics: dict[str, str], steps: int, linger_ms: int, ready: Event) -> None:
    """Answer every step with a report; the worker's process."""
    reader, writer = _reader(bootstrap, topics["steps"]), _writer(bootstrap, linger_ms)
    ready.set()
    reported = 0
    while reported < steps:
        for message in _drain(reader):
            writer.produce(topics["reports"], bytes(REPORT_BYTES), key=message.key())
            reported += 1
        writer.poll(0)
    writer.flush()
    reader.close()


def _reader(bootstrap: str, topic: str) -> Consumer:
    """Return a consumer from the topic's beginning, its connection made."""
    settings = {"bootstrap.servers": bootstrap, "group.id": topic, "enable.auto.commit": False}
    consumer = Consumer({**settings, "fetch.wait.max.ms": FETCH_WAIT_MS})
    place = TopicPartition(topic, 0, 0)
    consumer.assign([place])
    deadline = time.monotonic() + SILENCE_S
    while True:
        try:
            consumer.get_watermark_offsets(place, timeout=SILENCE_S)
        except KafkaException:
            # A topic that was just made has no leader for some milliseconds.
            if time.monotonic() > deadline:
                raise
            time.sleep(LEADER_S)
        else:
            return consumer


def _writer(bootstrap: str, linger_ms: int) -> Producer:
    """Return an idempotent producer, its connection made."""
    settings = {"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": linger_ms}
    producer = Producer({**settings, "queue.buffering.max.messages": 1_000_000})
    producer.list_topics(timeout=SILENCE_S)
    return producer


def _drain(consumer: Consumer) -> list[Message]:
    """Return the next message as soon as it comes, and all that came with it."""
    messages = consumer.consume(1, 0.2)
    if messages:
        messages += consumer.consume(BATCH_MAX, 0)
    for message in messages:
        if (error := message.error()) is not None:
            raise KafkaException(error)
    return messages


@contextmanager
def _topics(bootstrap: str) -> Iterator[dict[str, str]]:
    """Make the four topics, each of one partition, and delete them at the end."""
    tag = f"{os.getpid()}-{secrets.token_hex(4)}"
    topics = {name: f"bare-{name}-{tag}" for name in NAMES}
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for made in admin.create_topics([NewTopic(topic, 1, 1) for topic in topics.values()]).values():
        made.result()
    try:
        yield topics
    finally:
        for gone in admin.delete_topics(list(topics.values())).values():
            gone.result()


def main() -> None:
    """Run one mode and print one JSON line."""
    parser = argparse.ArgumentParser(description="Move a Step's records through Kafka with no logic at all.")
    parser.add_argument("mode", choices=["wide", "chain"])
    parser.add_argument("--steps", type=int, default=60_000)
    parser.add_argument("--window", type=int, default=WINDOW, help="steps in flight in wide mode")
    parser.add_argument("--bootstrap", default="127.0.0.1:9092")
    given = parser.parse_args()
    print(json.dumps(measure(given.bootstrap, given.mode, given.steps, given.window)))


if __name__ == "__main__":
    main()
