"""Two servers of one shard on real Kafka: one leads, the other stands by and takes over."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from gaia_client.client import Gaia
from tests.integration.cluster import Cluster, check_sequences, completions
from tests.integration.gaia_processes import free_address
from tests.support.waiting import wait_until

NOOP = {"name": "noop", "image": "i", "command": ["x"], "outputs": {"out": "/out"}}


def sweep(name: str, count: int) -> dict[str, Any]:
    return {"name": name, "command": "noop", "outputs": {"out": f"{name}/{{{{N}}}}"}, "vars": {"N": list(range(count))}}


@pytest.fixture
def other() -> str:
    """The address of the second server."""
    return free_address()


@pytest.fixture
def flow(cluster: Cluster, other: str) -> Gaia:
    """A client that knows both servers, the one that stands by first."""
    return cluster.stack.enter_context(Gaia({"gaia_host": f"{other},{cluster.address}"}))


def test_a_standby_reads_and_sends_changes_to_the_leader(cluster: Cluster, flow: Gaia, other: str) -> None:
    """Clients follow; what the leader did is soon read at the standby, and can be watched there."""
    cluster.server()
    cluster.standby(other)
    cluster.worker("w", "noop")
    flow.upload("flow", {}, [NOOP], [sweep("s", 3)])
    assert flow.wait("flow", timeout_s=60)["state"] == "complete"
    with Gaia({"gaia_host": other}) as there:
        wait_until(lambda: _state(there) == "complete", "the standby has followed", deadline_s=30)
        kinds = []
        for event in there.watch("flow", 1):
            kinds.append(event["kind"])
            if event.get("change") == "complete":
                break
    assert kinds.count("step_completed") == 3


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_standby_takes_over(cluster: Cluster, flow: Gaia, other: str, how: str) -> None:
    """The workflow goes on, every completion counts once, and a watching client sees every event once."""
    leader = cluster.server()
    cluster.standby(other)
    cluster.worker("w", "noop")
    flow.upload("flow", {}, [NOOP], [sweep("s", 50)])
    seen: list[int] = []
    watching = threading.Thread(target=_watch, args=(cluster.address, other, seen))
    watching.start()
    assert flow.wait("flow", timeout_s=60)["state"] == "complete"
    leader.kill() if how == "kill" else leader.stop()
    assert flow.merge("flow", [sweep("t", 50)])["added"][0] == "t-0"
    assert flow.wait("flow", timeout_s=90)["steps"]["complete"] == 100
    flow.delete("flow")
    watching.join(60)
    assert not watching.is_alive()
    assert seen == list(range(1, len(seen) + 1))
    events = cluster.events("flow", "deleted")
    check_sequences(events)
    assert len(events) == len(seen)
    assert set(completions(events).values()) == {1}


def _watch(leader: str, standby: str, seen: list[int]) -> None:
    with Gaia({"gaia_host": f"{leader},{standby}"}) as flow:
        seen += [event["sequence"] for event in flow.watch("flow", 1) if event["sequence"]]


def _state(flow: Gaia) -> str | None:
    return next((each["state"] for each in flow.workflows() if each["name"] == "flow"), None)
