"""`gaia server` and `gaia worker` on real Kafka, MinIO and Docker."""

from __future__ import annotations

import signal
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest
from confluent_kafka import Consumer, TopicPartition
from minio import Minio

from gaia.v1 import events_pb2
from gaia_client.client import Gaia
from tests.integration.gaia_processes import GaiaProcess, free_address
from tests.integration.weather import check_weather, upload_weather
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.services import KafkaService, MinioService


@dataclass
class Cluster:
    """One deployment: settings for its processes, and the processes."""

    kafka: KafkaService
    minio: MinioService
    folder: Path
    prefix: str
    bucket: str
    stack: ExitStack
    address: str = field(default_factory=free_address)
    http: str = field(default_factory=free_address)

    @property
    def environ(self) -> dict[str, str]:
        return {
            "GAIA_KAFKA_BOOTSTRAP": self.kafka.bootstrap,
            "GAIA_TOPIC_PREFIX": self.prefix,
            "GAIA_S3_ENDPOINT": self.minio.endpoint,
            "GAIA_S3_ACCESS_KEY": self.minio.access_key,
            "GAIA_S3_SECRET_KEY": self.minio.secret_key,
            "GAIA_S3_SECURE": "false",
            "GAIA_BUCKET": self.bucket,
            "GAIA_LISTEN": self.address,
            "GAIA_HTTP_LISTEN": self.http,
            "GAIA_HOST": self.address,
            "GAIA_SCRATCH": str(self.folder / "scratch"),
            "GAIA_LEASE_S": "12",
        }

    def server(self) -> GaiaProcess:
        """Start a coordinator and wait until it leads."""
        process = GaiaProcess(["server"], self.folder / "server.log", self.environ)
        before = process.said().count("Gaia serves")
        self.stack.enter_context(process)
        wait_until(lambda: process.said().count("Gaia serves") > before, "leads", deadline_s=60, evidence=process.said)
        return process

    def worker(self, name: str, executor: str = "docker") -> GaiaProcess:
        """Start a worker."""
        arguments = ["worker", "--name", name, "--executor", executor, "--slots", "2"]
        return self.stack.enter_context(GaiaProcess(arguments, self.folder / f"{name}.log", self.environ))

    def client(self) -> Gaia:
        """Return a client, closed with the cluster."""
        return self.stack.enter_context(Gaia({"gaia_host": self.address}))

    def events(self, workflow: str, last: str) -> list[events_pb2.Event]:
        """Read the public events as any consumer would, until a workflow change of this kind came."""
        consumer = Consumer(
            {"bootstrap.servers": self.kafka.bootstrap, "group.id": f"{self.prefix}test", "enable.auto.commit": False,
             "isolation.level": "read_committed", "auto.offset.reset": "earliest"}
        )  # fmt: skip
        found: list[events_pb2.Event] = []
        try:
            consumer.assign([TopicPartition(f"{self.prefix}.events", number, 0) for number in range(12)])

            def arrived() -> bool:
                for message in consumer.consume(1000, 0.1):
                    assert message.error() is None
                    headers = dict(message.headers() or [])
                    event = events_pb2.Event.FromString(message.value())
                    if event.workflow == workflow:
                        assert headers["ce_id"].decode() == f"{event.workflow_uid}-{event.sequence}"
                        assert headers["ce_specversion"] == b"1.0"
                        found.append(event)
                return any(event.workflow_changed.change == last for event in found)

            wait_until(arrived, f"{workflow} became {last}", deadline_s=60)
        finally:
            consumer.close()
        return found


@pytest.fixture
def cluster(
    kafka: KafkaService, minio: MinioService, tmp_path: Path, topic_prefix: str, bucket: str
) -> Iterator[Cluster]:
    with ExitStack() as stack:
        yield Cluster(kafka, minio, tmp_path, topic_prefix.rstrip("."), bucket, stack)


@pytest.fixture
def containers(docker_engine: object) -> Iterator[dict[str, list[str]]]:
    """Names of containers that were started for each workflow, as the engine tells."""
    started: dict[str, list[str]] = defaultdict(list)
    engine = docker.from_env()
    events = engine.events(decode=True, filters={"type": "container", "event": "start"})

    def listen() -> None:
        for event in events:
            attributes = event["Actor"]["Attributes"]
            started[attributes.get("gaia.workflow", "")].append(attributes["name"])

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    yield started
    events.close()
    thread.join(timeout=10)
    engine.close()


def check_sequences(events: list[events_pb2.Event]) -> None:
    """Every number from 1 on, once, in order."""
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))


def completions(events: list[events_pb2.Event]) -> dict[str, int]:
    """Number of completions by Step."""
    counts: dict[str, int] = defaultdict(int)
    for event in events:
        if event.WhichOneof("event") == "step_completed":
            counts[event.step_completed.step] += 1
    return counts


def test_the_weather_example_runs_in_containers(
    cluster: Cluster, busybox_image: str, containers: dict[str, list[str]]
) -> None:
    """Through Kafka, MinIO and Docker: right numbers, one container a Step, every completion once among the events."""
    cluster.server()
    cluster.worker("one")
    cluster.worker("two")
    flow = cluster.client()
    upload_weather(flow, "weather", busybox_image)
    check_weather(flow, "weather")
    events = cluster.events("weather", "complete")
    check_sequences(events)
    steps = {step["name"] for step in flow.status("weather", debug=True)["debug"]["steps"]}
    assert completions(events) == dict.fromkeys(steps, 1)
    assert len(steps) == 14
    wait_until(lambda: len(containers["weather"]) >= 14, "the engine told of 14 containers")
    assert len(set(containers["weather"])) == 14
    assert all(event.step_completed.outputs for event in events if event.WhichOneof("event") == "step_completed")


def chain(image: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A chain of eight Steps that each add a line."""
    script = "cat {{in}} > {{out}}; sleep 0.3; echo x >> {{out}}"
    commands = [{"name": "next", "image": image, "command": ["sh", "-c", script], "inputs": {"in": "/job/in"},
                 "outputs": {"out": "/job/out"}}]  # fmt: skip
    steps = [
        {"name": f"s{n}", "command": "next", "inputs": {"in": f"k{n - 1}"}, "outputs": {"out": f"k{n}"}}
        for n in range(1, 9)
    ]
    return commands, steps


def test_the_server_is_killed_and_started_again(cluster: Cluster, busybox_image: str) -> None:
    """kill -9 of the coordinator in mid-run: started again, the workflow goes on, and no event is lost or doubled."""
    server = cluster.server()
    cluster.worker("one")
    flow = cluster.client()
    flow.upload("chain", {}, *chain(busybox_image))
    flow.put("chain", "k0", b"start\n")
    wait_until(lambda: flow.status("chain")["steps"]["complete"] >= 2, "two Steps are complete", deadline_s=60)
    server.kill()
    cluster.server()
    assert flow.wait("chain", timeout_s=90)["state"] == "complete"
    assert flow.get("chain", "k8") == b"start\n" + b"x\n" * 8
    events = cluster.events("chain", "complete")
    check_sequences(events)
    assert completions(events) == {f"s{n}": 1 for n in range(1, 9)}


def test_a_worker_is_killed_and_its_steps_go_elsewhere(cluster: Cluster, busybox_image: str) -> None:
    """kill -9 of a worker: its lease ends and another worker runs the Step as the next attempt."""
    cluster.server()
    first = cluster.worker("first")
    flow = cluster.client()
    script = "test -s {{in}} && exec sleep 600; echo done > {{out}}"
    commands = [{"name": "c", "image": busybox_image, "command": ["sh", "-c", script], "inputs": {"in": "/job/in"},
                 "outputs": {"out": "/job/out"}}]  # fmt: skip
    flow.upload("lost", {}, commands, [{"name": "a", "command": "c", "inputs": {"in": "i"}, "outputs": {"out": "o"}}])
    flow.put("lost", "i", b"wait")
    engine = docker.from_env()
    mine = {"label": ["gaia.workflow=lost", f"gaia.deployment={cluster.prefix}"]}
    wait_until(lambda: engine.containers.list(filters=mine), "the container runs", deadline_s=60, evidence=first.said)
    first.kill()
    cluster.worker("second", "noop")
    status = flow.wait("lost", timeout_s=90)
    assert status["state"] == "complete"
    (step,) = flow.status("lost", debug=True)["debug"]["steps"]
    assert (step["attempt"], step["worker"]) == (2, "second")
    cluster.worker("first")
    wait_until(lambda: not engine.containers.list(filters=mine), "the orphan was removed", deadline_s=60)
    engine.close()


def test_a_worker_that_was_lost_comes_back(cluster: Cluster) -> None:
    """A worker that was silent past its lease and goes on is taken in again."""
    cluster.server()
    worker = cluster.worker("sleepy", "noop")
    flow = cluster.client()
    flow.command("names", [{"name": "c", "image": "any", "command": ["true"]}])

    def workers() -> list[str]:
        return [one["name"] for one in flow.status("names", debug=True)["debug"]["workers"]]

    wait_until(lambda: workers() == ["sleepy"], "it said hello", deadline_s=30)
    worker.process.send_signal(signal.SIGSTOP)
    wait_until(lambda: not workers(), "it was lost", deadline_s=60)
    worker.process.send_signal(signal.SIGCONT)
    wait_until(lambda: workers() == ["sleepy"], "it came back", deadline_s=60)
    flow.merge("names", [{"name": "s", "command": "c"}])
    assert flow.wait("names", timeout_s=30)["state"] == "complete"


def test_surroundings_that_do_not_answer_are_told_in_a_line(cluster: Cluster, tmp_path: Path) -> None:
    """Kafka or S3 unreachable, an unversioned bucket: one line, an exit code, no traceback."""
    client = Minio(
        cluster.minio.endpoint, access_key=cluster.minio.access_key, secret_key=cluster.minio.secret_key, secure=False
    )
    client.make_bucket(bucket_name=f"{cluster.bucket}-plain")
    nobody = free_address()
    wrong = [
        ({"GAIA_KAFKA_BOOTSTRAP": nobody}, 5, nobody),
        ({"GAIA_S3_ENDPOINT": nobody}, 5, nobody),
        ({"GAIA_BUCKET": f"{cluster.bucket}-plain"}, 2, "version"),
        ({"GAIA_SLOTZ": "1"}, 2, "GAIA_SLOTS"),
    ]
    for number, (environ, code, words) in enumerate(wrong):
        process = GaiaProcess(["server"], tmp_path / f"wrong-{number}.log", {**cluster.environ, **environ}).start()
        assert process.process.wait(timeout=90) == code, process.said()
        assert words in process.said()
        assert "Traceback" not in process.said()
        assert len(process.said().splitlines()) <= 2, process.said()
