"""The way of logs from workers to readers, over every backend: in order, by key, from a time on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from gaia_core.backends.inprocess_logs import InProcessLogs
from gaia_core.backends.kafka import KafkaSettings
from gaia_core.backends.kafka_logs import KafkaLogFeed, KafkaLogTap
from gaia_core.backends.kafka_topics import ensure_topics
from gaia_core.ports import LogFeed, LogReading, LogTap
from tests.contract.conftest import Rig, _kafka_settings
from tests.support.waiting import wait_until


class LogRig(Rig):
    """One log with a feed and a tap."""

    def __init__(self, feed: LogFeed, tap: LogTap) -> None:
        super().__init__()
        self.feed, self.tap = self.opened(feed), tap

    def read(self, key: str, since_ms: int = 0) -> LogReading:
        return self.opened(self.tap.open(key, since_ms))


def _in_process(_get: Callable[[str], Any]) -> LogRig:
    logs = InProcessLogs()
    return LogRig(logs, logs)


def _kafka(get: Callable[[str], Any]) -> LogRig:
    settings: KafkaSettings = _kafka_settings(get)
    ensure_topics(settings)
    return LogRig(KafkaLogFeed(settings), KafkaLogTap(settings))


RIGS = {"inprocess": _in_process, "kafka": _kafka}


@pytest.fixture(params=RIGS)
def logs(request: pytest.FixtureRequest) -> Iterator[LogRig]:
    """A log that nobody has written to yet."""
    with closing(RIGS[request.param](request.getfixturevalue)) as rig:
        yield rig


def await_records(reading: LogReading, *records: bytes) -> None:
    """Read until exactly these came, in this order."""
    found: list[bytes] = []

    def arrived() -> bool:
        found.extend(reading.read())
        return len(found) >= len(records)

    wait_until(arrived, f"{len(records)} records", deadline_s=30, evidence=lambda: str(found))
    assert found == list(records)


def test_a_reader_gets_what_there_is_and_what_comes(logs: LogRig) -> None:
    """In order; it knows when it has read all that was there when it began."""
    for number in range(500):
        logs.feed.publish("flow/a", b"%d" % number)
    before = logs.read("flow/a")
    await_records(before, *(b"%d" % number for number in range(500)))
    reading = logs.read("flow/a")
    await_records(reading, *(b"%d" % number for number in range(500)))
    wait_until(lambda: reading.read() == [] and reading.caught_up, "it has caught up")
    logs.feed.publish("flow/a", b"next")
    await_records(reading, b"next")
    await_records(before, b"next")


def test_a_reader_gets_its_own_key_only(logs: LogRig) -> None:
    """Whatever else lies in the same part of the log."""
    for number in range(50):
        logs.feed.publish(f"flow/{number}", b"%d" % number)
        logs.feed.publish("flow/mine", b"mine %d" % number)
    await_records(logs.read("flow/mine"), *(b"mine %d" % number for number in range(50)))


def test_where_nothing_is_a_reader_knows_so(logs: LogRig) -> None:
    """At once, and it gets what comes then."""
    reading = logs.read("flow/a", int(time.time() * 1000) - 1000)
    wait_until(lambda: reading.read() == [] and reading.caught_up, "it has caught up")
    logs.feed.publish("flow/a", b"one")
    await_records(reading, b"one")


def test_large_records_are_taken(logs: LogRig) -> None:
    """As large as a worker makes them."""
    record = bytes(256 * 1024)
    logs.feed.publish("flow/a", record)
    await_records(logs.read("flow/a"), record)


def test_everything_may_be_closed_twice(logs: LogRig) -> None:
    """And what is published after that is dropped without a word."""
    reading = logs.read("flow/a")
    for _ in range(2):
        reading.close()
        logs.feed.close()
    logs.feed.publish("flow/a", b"late")


def test_what_is_kept_in_memory_is_bounded() -> None:
    """The oldest go first, of whichever key."""
    logs = InProcessLogs(kept_bytes_max=10)
    for number in range(5):
        logs.publish("flow/a", b"%04d" % number)
    logs.publish("flow/b", b"b")
    assert logs.open("flow/a", 0).read() == [b"0003", b"0004"]
    assert logs.open("flow/b", 0).read() == [b"b"]
    assert len(logs._by_key) == 2
    logs.publish("flow/b", bytes(10))
    assert logs.open("flow/a", 0).read() == []


def test_a_reader_from_a_time_on_gets_nothing_older(kafka_settings: KafkaSettings) -> None:
    """What lies long before an attempt began need not be looked through; in Kafka, where much may lie."""
    ensure_topics(kafka_settings)
    with closing(KafkaLogFeed(kafka_settings)) as feed:
        feed.publish("flow/a", b"old")
        with closing(KafkaLogTap(kafka_settings).open("flow/a", 0)) as first:
            await_records(first, b"old")
        later_ms = int(time.time() * 1000) + 3_600_000
        with closing(KafkaLogTap(kafka_settings).open("flow/a", later_ms)) as reading:
            assert reading.caught_up
            feed.publish("flow/a", b"new")
            await_records(reading, b"new")
