"""Workers that a cluster's server starts for clients: processes and containers, their ends, and the server's."""

import json
import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import docker
import pytest

from gaia_client.client import Gaia
from gaia_core.errors import InvalidWorkflow, NotAllowedNow
from tests.integration.cluster import Cluster
from tests.integration.gaia_processes import free_address
from tests.support.engine import Engine, connect
from tests.support.images import ensure_image
from tests.support.waiting import wait_until

HELLO = [{"name": "hello", "image": "none", "command": ["true"]}]


def workers(flow: Gaia) -> set[str]:
    """Return the names of the workers that there are."""
    return {worker["name"] for worker in flow.workers()}


def run_one(flow: Gaia, name: str) -> None:
    """Have a Step run to its end."""
    flow.upload(name, {}, HELLO, [{"name": "a", "command": "hello"}])
    assert flow.wait(name, timeout_s=60)["state"] == "complete"


@pytest.fixture
def launched_pids() -> Iterator[list[int]]:
    """Processes that must not outlive the test, should it fail."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_launched_processes_work_outlive_a_killed_server_and_leave_when_idle(
    cluster: Cluster, tmp_path: Path, launched_pids: list[int]
) -> None:
    """They run Steps; kill -9 of the server leaves them to the next one, which knows their names; then they go."""
    environ = {"GAIA_EXECUTOR": "noop", "GAIA_IDLE_EXIT_S": "20", "GAIA_LAUNCH_LOGS": str(tmp_path / "launched")}
    cluster.server(**environ)
    flow = cluster.client()
    assert flow.launch(["a", "b"], {"zone": "eu-1"}) == ["a", "b"]
    launched_pids += pids(cluster)
    assert all(worker["metadata"] == {"zone": "eu-1"} for worker in flow.workers())
    run_one(flow, "one")
    cluster.leader.kill()
    cluster.server(**environ)
    with pytest.raises(InvalidWorkflow, match="a worker is named 'a' already"):
        flow.launch(["a"])
    run_one(flow, "two")
    wait_until(lambda: not workers(flow), "they left when idle", deadline_s=60)
    assert flow.launch(["a"]) == ["a"]
    launched_pids += pids(cluster)
    assert len(set(launched_pids)) == 3
    cluster.leader.stop()
    wait_until(lambda: not any(map(is_alive, launched_pids)), "none is left")
    assert "The worker left: idle." in (tmp_path / "launched" / "b.log").read_text()


def pids(cluster: Cluster) -> list[int]:
    """Return the processes that the servers launched, by their log."""
    lines = [json.loads(line) for line in cluster.leader.said().splitlines() if line.startswith("{")]
    return [line["pid"] for line in lines if line["message"] == "launched a worker"]


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; what nobody waited for counts as ended."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_a_process_that_cannot_work_is_told_in_words(cluster: Cluster, tmp_path: Path) -> None:
    """The one who asked for it hears its exit code and its last words, and which file has the rest."""
    folder = tmp_path / "launched"
    nowhere = f"unix://{tmp_path}/nowhere.sock"
    cluster.server(GAIA_EXECUTOR="docker", DOCKER_HOST=nowhere, GAIA_LAUNCH_LOGS=str(folder))
    flow = cluster.client()
    with pytest.raises(NotAllowedNow) as refusal:
        flow.launch(["a"])
    assert refusal.value.message.startswith("The worker 'a' did not start: exit code 5: ")
    assert "engine" in refusal.value.message
    assert str(folder / "a.log") in refusal.value.message
    assert workers(flow) == set()


def test_a_standby_leaves_launches_to_the_leader(cluster: Cluster, tmp_path: Path) -> None:
    """A client that asks a standby is sent to the leader, which knows whose names are taken; nothing starts twice."""
    folder = tmp_path / "launched"
    cluster.server(GAIA_EXECUTOR="noop", GAIA_LAUNCH_LOGS=str(folder), GAIA_LAUNCH_MAX="1")
    standby = free_address()
    cluster.standby(standby)
    with Gaia({"gaia_host": standby}) as flow:
        assert flow.launch(["a"]) == ["a"]
        with pytest.raises(InvalidWorkflow, match="a worker is named 'a' already"):
            flow.launch(["a"])
        with pytest.raises(NotAllowedNow, match="may run 1 launched workers; 1 live, and 1 more were asked for"):
            flow.launch(["b"])
    assert len(pids(cluster)) == 1
    assert [path.name for path in folder.iterdir()] == ["a.log"]


def test_launched_containers_work_and_are_gone_when_they_end(
    cluster: Cluster, docker_engine: Engine, tmp_path: Path
) -> None:
    """They get the settings by their environment and run Steps; the next server looks after those of a killed one."""
    folder = tmp_path / "launched"
    environ = {
        "GAIA_LAUNCHER": "docker",
        "GAIA_LAUNCH_IMAGE": ensure_image("gaia"),
        "GAIA_LAUNCH_NETWORK": "host",
        "GAIA_LAUNCH_LOGS": str(folder),
        "GAIA_EXECUTOR": "noop",
        "GAIA_SCRATCH": "/tmp/scratch",
        "DOCKER_HOST": docker_engine.host,
    }
    with connect(docker_engine) as engine:

        def containers() -> list[str]:
            label = f"gaia.deployment={cluster.prefix}"
            found = engine.api.containers(all=True, filters={"label": label})  # asks nothing about what goes meanwhile
            return [one["Id"] for one in found]

        try:
            cluster.server(**environ)
            flow = cluster.client()
            assert flow.launch(["a", "b"], {"zone": "eu-1"}) == ["a", "b"]
            assert [worker["metadata"] for worker in flow.workers()] == [{"zone": "eu-1"}] * 2
            run_one(flow, "one")
            cluster.leader.kill()
            assert len(containers()) == 2
            cluster.server(**environ)
            with pytest.raises(InvalidWorkflow, match="a worker is named 'a' already"):
                flow.launch(["a"])
            cluster.leader.stop()
            assert containers() == []
            assert "The worker left: drained." in (folder / "a.log").read_text()
        finally:
            for name in containers():
                with suppress(docker.errors.NotFound):
                    engine.containers.get(name).remove(force=True)


def test_an_image_that_is_not_there_is_told_in_words(cluster: Cluster, docker_engine: Engine) -> None:
    """Nothing is pulled behind anybody's back while a client waits."""
    image = f"gaia-none-{uuid.uuid4().hex[:8]}:x"
    cluster.server(GAIA_LAUNCHER="docker", GAIA_LAUNCH_IMAGE=image, DOCKER_HOST=docker_engine.host)
    with pytest.raises(NotAllowedNow, match=f"The engine has no image '{image}'"):
        cluster.client().launch(["a"])
