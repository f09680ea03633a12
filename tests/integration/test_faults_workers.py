"""Workers that are silent, asleep, doubled or cut off, on real components: what they did late counts for nothing."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import docker
import pytest
from minio import Minio

from gaia_core.errors import UnknownName
from tests.integration.cluster import Cluster, check_sequences, completions
from tests.support.link import Link
from tests.support.services import KafkaService, MinioService, free_port
from tests.support.waiting import wait_until

OUT = {"out": "/job/out"}


def command(image: str, script: str, **more: Any) -> dict[str, Any]:
    return {"name": "c", "image": image, "command": ["sh", "-c", script], "outputs": OUT, **more}


def step(name: str = "a", **more: Any) -> dict[str, Any]:
    return {"name": name, "command": "c", "outputs": {"out": f"{name}.out"}, **more}


def debug_of(cluster: Cluster, workflow: str, name: str = "a") -> dict[str, Any]:
    """Return what is known about a Step."""
    steps = cluster.client().status(workflow, debug=True)["debug"]["steps"]
    return next(one for one in steps if one["name"] == name)


def workers(cluster: Cluster) -> set[str]:
    return {one["name"] for one in cluster.client().workers()}


def test_a_woken_worker_kills_what_went_elsewhere(cluster: Cluster, busybox_image: str) -> None:
    """SIGSTOP past the lease, SIGCONT: its container is killed, and the worker is taken in again and works on."""
    cluster.server()
    sleepy = cluster.worker("sleepy")
    flow = cluster.client()
    flow.upload("asleep", {}, [command(busybox_image, "echo x > {{out}}; exec sleep 600")], [step()])
    engine = docker.from_env()
    mine = {"label": ["gaia.workflow=asleep", f"gaia.deployment={cluster.prefix}"]}
    wait_until(lambda: engine.containers.list(filters=mine, ignore_removed=True), "the container runs", deadline_s=60)
    sleepy.process.send_signal(signal.SIGSTOP)
    awake = cluster.worker("awake", "noop")
    assert flow.wait("asleep", timeout_s=90)["state"] == "complete"
    sleepy.process.send_signal(signal.SIGCONT)
    wait_until(
        lambda: not engine.containers.list(all=True, filters=mine, ignore_removed=True),
        "its container is gone",
        deadline_s=60,
    )
    assert debug_of(cluster, "asleep")["worker"] == "awake"
    assert awake.stop() == 0
    flow.command("asleep", [command(busybox_image, "echo x > {{out}}", name="quick")])
    flow.merge("asleep", [{**step("b"), "command": "quick"}])
    assert flow.wait("asleep", timeout_s=60)["state"] == "complete"
    assert debug_of(cluster, "asleep", "b")["worker"] == "sleepy"
    engine.close()


def test_a_second_process_of_a_name_sends_the_first_away(cluster: Cluster) -> None:
    """The later one wins; the earlier one ends what it runs, leaves by itself, and says why."""
    cluster.server()
    first = cluster.worker("twin", "sandbox")
    flow = cluster.client()
    flow.upload("twins", {}, [command("any", "echo $$ > {{out}}; exec sleep 600")], [step()])
    wait_until(lambda: flow.status("twins")["steps"]["running"] == 1, "the Step runs", deadline_s=30)
    second = cluster.worker("twin", "noop")
    assert first.process.wait(timeout=60) == 4
    assert "Another process has its name." in first.said()
    assert flow.wait("twins", timeout_s=60)["state"] == "complete"
    assert debug_of(cluster, "twins")["attempt"] == 2
    assert second.process.poll() is None
    assert workers(cluster) == {"twin"}


class Linked:
    """A deployment on a Kafka of its own, whose workers come through a link."""

    def __init__(self, minio: MinioService, folder: Path, prefix: str, bucket: str, stack: ExitStack) -> None:
        port = free_port()
        self.kafka = stack.enter_context(KafkaService(link_port=port))
        self.link = stack.enter_context(Link(self.kafka.linked_port, port))
        self.cluster = Cluster(self.kafka, minio, folder, prefix, bucket, stack)

    def worker(self, name: str, executor: str) -> None:
        """Start a worker that reaches Kafka through the link alone."""
        self.cluster.worker(name, executor, environ={"GAIA_KAFKA_BOOTSTRAP": f"127.0.0.1:{self.link.port}"})


@pytest.fixture(scope="module")
def whole(minio: MinioService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Linked]:
    with ExitStack() as stack:
        made = Linked(minio, tmp_path_factory.mktemp("linked"), "linked", "linked-data", stack)
        made.cluster.server()
        made.worker("far", "sandbox")
        yield made


@pytest.fixture
def linked(whole: Linked) -> Iterator[Linked]:
    """The deployment, its link mended afterwards."""
    yield whole
    whole.link.mend()


def running(cluster: Cluster, workflow: str, script: str) -> None:
    """Start a Step and wait until the far worker has it in hand."""
    cluster.client().upload(workflow, {}, [command("any", script)], [step()])
    wait_until(lambda: has_scratch(cluster), "the Step runs", deadline_s=60)


@pytest.mark.parametrize("fault", ["cut", "hold", "slow"])
def test_a_worker_that_is_cut_off_for_less_than_its_lease_loses_nothing(linked: Linked, fault: str) -> None:
    """A broken, silent or slow link to Kafka: the program goes on, and its end is told when the link is mended."""
    cluster, flow = linked.cluster, linked.cluster.client()
    running(cluster, fault, "sleep 3; echo done > {{out}}")
    {"cut": linked.link.cut, "hold": linked.link.hold, "slow": lambda: linked.link.slow(2.0)}[fault]()
    if fault == "slow":
        assert flow.wait(fault, timeout_s=60)["state"] == "complete"
        flow.merge(fault, [step("b")])
        assert flow.wait(fault, timeout_s=60)["state"] == "complete"
    else:
        wait_until(lambda: not has_scratch(cluster), "the attempt has ended", deadline_s=30)
        assert flow.status(fault)["steps"]["running"] == 1
    linked.link.mend()
    assert flow.wait(fault, timeout_s=60)["state"] == "complete"
    assert debug_of(cluster, fault)["attempt"] == 1
    check_sequences(cluster.events(fault, "complete"))


def stored_versions(cluster: Cluster, path: str) -> int:
    """Return how many versions of an object the store has."""
    minio = cluster.minio
    store = Minio(minio.endpoint, access_key=minio.access_key, secret_key=minio.secret_key, secure=False)
    return len(list(store.list_objects(cluster.bucket, prefix=path, include_version=True)))


def has_scratch(cluster: Cluster) -> bool:
    """Tell whether the far worker has an attempt in hand."""
    return any((cluster.folder / "scratch" / "far").glob("*"))


def test_a_worker_that_is_cut_off_for_longer_is_lost_and_taken_in_again(linked: Linked) -> None:
    """Its Step runs elsewhere; what it reports when it is back is refused, and then it works again."""
    cluster, flow = linked.cluster, linked.cluster.client()
    running(cluster, "gone", "sleep 3; cat /proc/sys/kernel/random/uuid > {{out}}")
    linked.link.hold()
    wait_until(lambda: stored_versions(cluster, "gone/a.out") == 1, "its output is stored", deadline_s=30)
    wait_until(lambda: "far" not in workers(cluster), "it was lost", deadline_s=60)
    with pytest.raises(UnknownName):
        flow.get("gone", "a.out")
    near = cluster.worker("near", "sandbox")
    assert flow.wait("gone", timeout_s=60)["state"] == "complete"
    content = flow.get("gone", "a.out")
    assert (debug_of(cluster, "gone")["attempt"], debug_of(cluster, "gone")["worker"]) == (2, "near")
    linked.link.mend()
    wait_until(lambda: "far" in workers(cluster), "it is taken in again", deadline_s=60)
    assert near.stop() == 0
    flow.merge("gone", [step("b")])
    assert flow.wait("gone", timeout_s=60)["state"] == "complete"
    assert debug_of(cluster, "gone", "b")["worker"] == "far"
    flow.command("gone", [command("any", "cat {{in}} > {{out}}", name="read", inputs={"in": "/job/in"})])
    flow.merge("gone", [{**step("read"), "command": "read", "inputs": {"in": "a.out"}}])
    assert flow.wait("gone", timeout_s=60)["state"] == "complete"
    assert flow.get("gone", "a.out") == flow.get("gone", "read.out") == content
    assert stored_versions(cluster, "gone/a.out") == 2
    assert completions(cluster.events("gone", "complete"))["a"] == 1


def test_kafka_is_killed_and_started_again_under_load(linked: Linked) -> None:
    """kill -9 of the broker: nobody is restarted by hand, no attempt is lost, and every event is there once."""
    cluster, flow = linked.cluster, linked.cluster.client()
    steps = [step(f"s{number}") for number in range(12)]
    flow.upload("broker", {}, [command("any", "sleep 0.5; echo x > {{out}}")], steps)
    wait_until(lambda: flow.status("broker")["steps"]["complete"] >= 2, "two Steps are complete", deadline_s=60)
    linked.kafka.container.kill()
    linked.kafka.container.start()
    linked.kafka.wait_ready()
    assert flow.wait("broker", timeout_s=120)["state"] == "complete"
    events = cluster.events("broker", "complete")
    check_sequences(events)
    assert completions(events) == {f"s{number}": 1 for number in range(12)}
