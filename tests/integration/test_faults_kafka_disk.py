"""A Kafka whose disk is full: its broker ends, and once there is room everybody goes on unaided."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from tests.integration.cluster import Cluster, check_sequences, completions
from tests.integration.test_faults_workers import command, step
from tests.support.disk import fill, small_disk
from tests.support.services import KafkaService, MinioService
from tests.support.waiting import wait_until

MIB = 2**20
STEPS = 12


def test_a_full_disk_of_kafkas_own_loses_nothing(minio: MinioService, tmp_path: Path, bucket: str) -> None:
    """What was acknowledged is there afterwards, each Step completes once, and every event is there once."""
    with small_disk(tmp_path / "disk", 256 * MIB) as disk, ExitStack() as stack:
        kafka = stack.enter_context(KafkaService(folder=disk))
        cluster = Cluster(kafka, minio, tmp_path, "full", bucket, stack)
        cluster.server()
        cluster.worker("w", "sandbox")
        flow = cluster.client()
        steps = [step(f"s{number}") for number in range(STEPS)]
        flow.upload("full", {}, [command("any", "sleep 0.5; echo x > {{out}}")], steps)
        wait_until(lambda: flow.status("full")["steps"]["complete"] >= 2, "two Steps are complete", deadline_s=60)
        filler = fill(disk)
        wait_until(lambda: _state(kafka) == "exited", "the broker has given up", deadline_s=90)
        filler.unlink()
        kafka.container.start()
        kafka.wait_ready()
        assert flow.wait("full", timeout_s=120)["state"] == "complete"
        events = cluster.events("full", "complete")
        check_sequences(events)
        assert completions(events) == {f"s{number}": 1 for number in range(STEPS)}


def _state(kafka: KafkaService) -> str:
    kafka.container.reload()
    return str(kafka.container.status)
