"""A cluster as users run it: `gaia server` and `gaia worker` on real Kafka and MinIO, and its public events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from confluent_kafka import Consumer, TopicPartition

from gaia.v1 import events_pb2
from gaia_client.client import Gaia
from tests.integration.gaia_processes import GaiaProcess, free_address
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.services import KafkaService, MinioService


LEASE_S = 12.0


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
    leader: GaiaProcess = field(init=False)

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
            "GAIA_LEASE_S": str(LEASE_S),
        }

    def server(self, **environ: str) -> GaiaProcess:
        """Start a coordinator and wait until it leads."""
        process = GaiaProcess(["server"], self.folder / "server.log", {**self.environ, **environ})
        self.leader = process
        before = process.said().count("Gaia serves")
        self.stack.enter_context(process)
        wait_until(lambda: process.said().count("Gaia serves") > before, "leads", deadline_s=60, evidence=process.said)
        return process

    def server_again(self) -> GaiaProcess:
        """Kill the coordinator that was started last, and start the next."""
        self.leader.kill()
        return self.server()

    def standby(self, address: str) -> GaiaProcess:
        """Start a second coordinator at another address and wait until it stands by."""
        environ = {**self.environ, "GAIA_LISTEN": address, "GAIA_HTTP_LISTEN": free_address()}
        process = self.stack.enter_context(GaiaProcess(["server"], self.folder / "standby.log", environ))
        process.await_words("Gaia stands by")
        return process

    def worker(
        self, name: str, executor: str = "docker", *flags: str, environ: Mapping[str, str] | None = None
    ) -> GaiaProcess:
        """Start a worker."""
        arguments = ["worker", "--name", name, "--executor", executor, "--slots", "2", *flags]
        return self.stack.enter_context(
            GaiaProcess(arguments, self.folder / f"{name}.log", {**self.environ, **(environ or {})})
        )

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
