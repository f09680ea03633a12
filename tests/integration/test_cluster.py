"""`gaia server` and `gaia worker` on real Kafka, MinIO and Docker."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from minio import Minio

from tests.integration.cluster import Cluster, check_sequences, completions
from tests.integration.gaia_processes import GaiaProcess, free_address
from tests.integration.weather import check_weather, upload_weather
from tests.support.waiting import wait_until


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
    wait_until(
        lambda: engine.containers.list(filters=mine, ignore_removed=True),
        "the container runs",
        deadline_s=60,
        evidence=first.said,
    )
    first.kill()
    cluster.worker("second", "noop")
    status = flow.wait("lost", timeout_s=90)
    assert status["state"] == "complete"
    (step,) = flow.status("lost", debug=True)["debug"]["steps"]
    assert (step["attempt"], step["worker"]) == (2, "second")
    cluster.worker("first")
    wait_until(
        lambda: not engine.containers.list(filters=mine, ignore_removed=True), "the orphan was removed", deadline_s=60
    )
    engine.close()


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


def test_workers_take_what_they_have_room_for_fall_ill_and_leave_when_asked(cluster: Cluster) -> None:
    """A worker without room on its disk takes nothing and says so; one that is asked to leave ends what it runs."""
    cluster.server()
    cluster.worker("ill", "sandbox", environ={"GAIA_DISK_FREE_MIN": "100%"})
    small = cluster.worker("small", "sandbox", environ={"GAIA_CPUS": "1.5"})
    flow = cluster.client()

    def known() -> dict[str, dict[str, Any]]:
        return {worker["name"]: worker for worker in flow.workers()}

    wait_until(lambda: len(known()) == 2 and known()["ill"]["trouble"], "both are there, and one is ill", deadline_s=60)
    assert "100% of the disk is free" in known()["ill"]["trouble"]
    assert known()["small"]["resources"]["cpus"] == 1.5
    command = {
        "name": "nap",
        "image": "any",
        "command": ["sh", "-c", "sleep 2; echo > {{out}}"],
        "outputs": {"out": "/o/o"},
    }
    demand = {"command": "nap", "outputs": {"out": "{{N}}"}, "resources": {"cpus": 1}}
    steps = [
        {**demand, "name": "s", "vars": {"N": ["a", "b"]}},
        {**demand, "name": "large", "resources": {"cpus": 2}, "vars": {"N": "large"}},
    ]
    flow.upload("flow", {}, [command], steps)
    wait_until(lambda: known()["small"]["attempts"] == 1, "one runs")
    assert known()["small"]["used"]["cpus"] == 1
    assert flow.status("flow")["steps"]["ready"] == 2
    assert flow.drain(["small"]) == ["small"]
    assert small.process.wait(timeout=60) == 0
    assert "The worker left: drained." in small.said()
    assert flow.status("flow")["steps"] == {
        "waiting": 0, "ready": 2, "running": 0, "retrying": 0, "complete": 1, "failed": 0,
    }  # fmt: skip
    assert list(known()) == ["ill"]
