"""Garbage and forgery in every topic of a real deployment: nothing stops, and what was passed over can be looked at."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from gaia.v1 import worker_pb2
from gaia_core.backends.kafka import STEPS_PARTITIONS, partition_of
from gaia_core.machine import reports as rp
from gaia_core.wire.reports import encode_reports
from gaia_core.workflow.model import Fence
from tests.integration.cluster import Cluster
from tests.support.waiting import wait_until

NESTED = b"\x1a\x7f" * 100_000
GARBAGE = [b"", b"\x00", b"\xff" * 1_000_000, NESTED, b"{}", "ÿ".encode("utf-16"), b"GAI"]
"""Nothing, a byte, about the most that a topic takes, nesting without end, text of others, almost our mark."""


@pytest.fixture
def stranger(cluster: Cluster) -> Iterator[Stranger]:
    made = Stranger(cluster)
    yield made
    made.close()


class Stranger:
    """Somebody who may write into every topic and knows nothing of what belongs there."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._settings = {"bootstrap.servers": cluster.kafka.bootstrap, "message.max.bytes": 1_040_000}
        self._producer = Producer(self._settings)

    def write(self, topic: str, partition: int, key: str | None, values: list[bytes]) -> None:
        refused: list[object] = []

        def told(error: object, _: object) -> None:
            if error is not None:
                refused.append(error)

        for value in values:
            self._producer.produce(f"{self._cluster.prefix}.{topic}", value, key, partition, on_delivery=told)
        assert self._producer.flush(30) == 0
        assert refused == []

    def write_in_transactions(self, topic: str) -> Producer:
        """Commit one record, abort another, and leave a third one's transaction open; return its producer."""
        settings = {"transactional.id": f"{self._cluster.prefix}-{topic}", "transaction.timeout.ms": 60_000}
        producer = Producer({**self._settings, **settings})
        producer.init_transactions(30)
        for end in (producer.commit_transaction, producer.abort_transaction, producer.flush):
            producer.begin_transaction()
            producer.produce(f"{self._cluster.prefix}.{topic}", b"from a transaction", partition=0)
            producer.flush(30)
            end(30)
        return producer

    def quarantine(self) -> list[tuple[str, int, int, str, bytes]]:
        """Return (topic without prefix, partition, offset, cause, value) of all that was put aside."""
        consumer = Consumer({"bootstrap.servers": self._cluster.kafka.bootstrap, "group.id": "looks-into-it"})
        topic = f"{self._cluster.prefix}.quarantine"
        try:
            place = TopicPartition(topic, 0, 0)
            _, end = consumer.get_watermark_offsets(place, timeout=10)
            consumer.assign([place])
            found = consumer.consume(end, 10) if end else []
        finally:
            consumer.close()
        aside = []
        for message in found:
            headers = dict(message.headers() or [])
            log = headers["topic"].decode().removeprefix(f"{self._cluster.prefix}.")
            place_of = int(headers["partition"]), int(headers["offset"])
            aside.append((log, *place_of, headers["cause"].decode(), message.value() or b""))
        return aside

    def close(self) -> None:
        self._producer.flush(5)


def runs_to_the_end(cluster: Cluster, name: str) -> None:
    """Let a small workflow run."""
    flow = cluster.client()
    commands = [{"name": "c", "image": "any", "command": ["true"], "outputs": {"o": "/o"}}]
    steps = [{"name": f"s{number}", "command": "c", "outputs": {"o": f"k{number}"}} for number in range(3)]
    flow.upload(name, {}, commands, steps)
    assert flow.wait(name, timeout_s=60)["state"] == "complete"


def health(cluster: Cluster) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://{cluster.http}/healthz", timeout=10) as reply:
        return json.loads(reply.read())  # type: ignore[no-any-return]


def test_garbage_in_every_topic_stops_nothing_and_is_put_aside(cluster: Cluster, stranger: Stranger) -> None:
    """Also after a restart, which reads all of it again; and a consumer of the events sees each completion once."""
    server = cluster.server()
    worker = cluster.worker("busy", "noop")
    runs_to_the_end(cluster, "before")
    inbox = partition_of("busy", STEPS_PARTITIONS)
    stranger.write("reports", 0, "busy", GARBAGE)
    stranger.write("steps", inbox, "busy", GARBAGE)
    stranger.write("steps", inbox, None, GARBAGE[:2])
    stranger.write("journal.0", 0, None, GARBAGE)
    stranger.write("published", 0, "x", GARBAGE)
    for partition in range(12):
        stranger.write("events", partition, "before", GARBAGE[:2])
    runs_to_the_end(cluster, "between")
    assert server.stop() == 0
    cluster.server()
    runs_to_the_end(cluster, "after")
    for where in ("reports", "steps", "journal.0", "published"):
        wait_until(
            lambda where=where: set(GARBAGE) == {one[-1] for one in stranger.quarantine() if one[0] == where},
            f"all garbage of {where} was put aside",
            deadline_s=30,
            evidence=lambda: server.said() + worker.said(),
        )
    aside = stranger.quarantine()
    assert sorted(value for where, *_, value in aside if where == "reports") == sorted(GARBAGE)
    assert all(cause for *_, cause, _ in aside)
    assert worker.process.poll() is None


def test_transactions_of_strangers_hide_nothing(cluster: Cluster, stranger: Stranger) -> None:
    """Their markers take offsets that nobody can read, and an open one holds up neither reports nor a restart."""
    cluster.server()
    cluster.worker("busy", "noop")
    runs_to_the_end(cluster, "before")
    left_open = [stranger.write_in_transactions(topic) for topic in ("reports", "journal.0")]
    runs_to_the_end(cluster, "between")
    server = cluster.server_again()
    runs_to_the_end(cluster, "after")
    assert len(left_open) == 2
    assert server.process.poll() is None


def test_forged_reports_are_refused_and_counted(cluster: Cluster, stranger: Stranger) -> None:
    """Wrong worker, wrong life, wrong attempt, wrong term: the Step goes on, and the server's page tells how many."""
    cluster.server()
    flow = cluster.client()
    cluster.worker("holder", "sandbox")
    commands = [{"name": "c", "image": "any", "command": ["sh", "-c", "exec sleep 600"]}]
    flow.upload("held", {}, commands, [{"name": "a", "command": "c"}])
    wait_until(lambda: flow.status("held")["steps"]["running"] == 1, "the Step runs", deadline_s=30)
    fence = wait_until(lambda: fence_in_heartbeat(cluster), "a heartbeat names the attempt", deadline_s=30)
    incarnation = fence[1]
    held = fence[0]
    forgeries = [
        ("nobody", incarnation, held),
        ("holder", "another life", held),
        ("holder", incarnation, Fence(held.workflow_uid, held.step, held.attempt + 1, held.term)),
        ("holder", incarnation, Fence(held.workflow_uid, held.step, held.attempt, held.term + 1)),
    ]
    for worker, life, forged in forgeries:
        record = encode_reports(rp.WorkerReports(worker, life, (rp.Completed(forged),)))
        stranger.write("reports", 0, worker, [record])
    wait_until(lambda: sum(health(cluster)["refused_reports"].values()) == len(forgeries), "all were refused")
    assert len(health(cluster)["refused_reports"]) == len(forgeries)
    assert flow.status("held")["steps"]["running"] == 1
    flow.halt("held")
    flow.remove("held", ["a"])


def fence_in_heartbeat(cluster: Cluster) -> tuple[Fence, str] | None:
    """Return an attempt that a heartbeat names, and whose it is."""
    consumer = Consumer({"bootstrap.servers": cluster.kafka.bootstrap, "group.id": "looks-into-it"})
    place = TopicPartition(f"{cluster.prefix}.reports", 0, 0)
    try:
        _, end = consumer.get_watermark_offsets(place, timeout=10)
        consumer.assign([place])
        for message in consumer.consume(end, 5):
            record = worker_pb2.ReportRecord.FromString(message.value())
            for report in record.reports:
                for held in report.heartbeat.held:
                    return Fence(held.workflow_uid, held.step, held.attempt, held.term), record.incarnation
    finally:
        consumer.close()
    return None
