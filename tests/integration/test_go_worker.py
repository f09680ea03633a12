"""The worker of examples/worker/go, alone on real Kafka and MinIO: what docs/worker-protocol.md says is enough."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gaia.v1 import model_pb2
from gaia_client.client import Gaia
from tests.integration.cluster import Cluster, check_sequences, completions
from tests.integration.gaia_processes import GaiaProcess
from tests.integration.go_worker import go_process
from tests.integration.weather import check_weather, upload_weather
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/environ").exists(), reason="the worker finds its processes in /proc"
)

StartWorker = Callable[..., GaiaProcess]


@pytest.fixture
def start(cluster: Cluster, go_worker: Path) -> StartWorker:
    """Start a Go worker of the cluster; the cluster drains it at the end."""

    def begin(name: str = "gopher", slots: int = 2, **environ: str) -> GaiaProcess:
        return go_process(cluster, go_worker, name, slots, **environ)

    return begin


def programs(cluster: Cluster) -> list[int]:
    """Return the process ids of what the deployment's Go workers run."""
    mark = f"\0GAIA_HOST_ATTEMPT={cluster.prefix}/".encode()
    return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/environ") if mark in b"\0" + _read(path)]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it ended meanwhile
        return b""


def shell(name: str, script: str, **fields: Any) -> dict[str, Any]:
    """Return a Command that runs a shell script."""
    return {"name": name, "image": "none", "command": ["sh", "-c", script], **fields}


def debug_steps(flow: Gaia, workflow: str) -> dict[str, dict[str, Any]]:
    """Return what is known of each Step."""
    return {step["name"]: step for step in flow.status(workflow, debug=True)["debug"]["steps"]}


def test_the_weather_example_runs_on_it_alone(cluster: Cluster, start: StartWorker) -> None:
    """Files, trees, stdout and logs: the right numbers, and every completion once among the events."""
    cluster.server()
    worker = start()
    flow = cluster.client()
    upload_weather(flow, "weather")
    check_weather(flow, "weather")
    assert b"2013-02: 28 days" in (flow.get("weather", "logs/monthly-2013.txt") or b"")
    events = cluster.events("weather", "complete")
    check_sequences(events)
    assert set(completions(events).values()) == {1}
    assert {step["worker"] for step in debug_steps(flow, "weather").values()} == {"gopher"}
    assert "WARNING: no container" in worker.said()


def test_long_trees_and_long_lists_of_inputs(cluster: Cluster, start: StartWorker) -> None:
    """A tree of many files travels as a manifest, a list too long for a dispatch is asked for; nothing gets lost."""
    cluster.server()
    start()
    flow = cluster.client()
    many = shell("many", "for n in $(seq {{COUNT}}); do echo $n > {{out}}{{PAD}}$n.txt; done",
                 outputs={"out": "/job/out/"}, vars={"COUNT": 0, "PAD": ""})  # fmt: skip
    gather = shell("gather", "cat $(find {{in}} -type f) | wc -lc", inputs={"in": "/job/in/"}, outputs={"sum": ">"})
    pad = "long-" * 30
    steps = [
        {"name": "one", "command": "many", "vars": {"COUNT": 150}, "outputs": {"out": "one/"}},
        {"name": "part", "command": "many", "vars": {"COUNT": 90, "PAD": pad, "N": [1, 2, 3, 4, 5, 6]},
         "outputs": {"out": "parts/{{N}}/"}},
        {"name": "sum-one", "command": "gather", "inputs": {"in": "one/"}, "outputs": {"sum": "sums/one.txt"}},
        {"name": "sum-parts", "command": "gather", "inputs": {"in": "parts/"}, "outputs": {"sum": "sums/parts.txt"}},
    ]  # fmt: skip
    flow.upload("many", {}, [many, gather], steps)
    status = flow.wait("many", timeout_s=120)
    assert status["state"] == "complete", status["failed"]
    assert (flow.get("many", "sums/one.txt") or b"").split() == [b"150", b"492"]
    assert (flow.get("many", "sums/parts.txt") or b"").split() == [b"540", b"1566"]


def test_failures_name_their_class(cluster: Cluster, start: StartWorker) -> None:
    """What the program did wrong arrives with its class, its exit code and its last words; `>>` is kept."""
    cluster.server()
    start()
    flow = cluster.client()
    commands = [
        shell("breaks", "echo dear me >&2; exit 3", outputs={"log": ">>"}),
        shell("forgets", "echo nothing else", outputs={"out": "/job/out.txt"}),
        shell("writes", "echo x > {{out}}a.txt", outputs={"out": "/job/out/"}),
        shell("reads", "cat {{in}}", inputs={"in": "/job/in.txt"}),
        shell("dawdles", "sleep 600", timeout=0.2),
    ]
    steps = [
        {"name": "breaks", "command": "breaks", "outputs": {"log": "log.txt"}},
        {"name": "forgets", "command": "forgets", "outputs": {"out": "out.txt"}},
        {"name": "writes", "command": "writes", "outputs": {"out": "tree/"}},
        {"name": "reads", "command": "reads", "inputs": {"in": "tree/b.txt"}},
        {"name": "dawdles", "command": "dawdles"},
    ]
    flow.upload("fails", {}, commands, steps)
    status = flow.wait("fails", timeout_s=60)
    assert status["state"] == "error"
    failed = {each["step"]: each for each in status["failed"]}
    classes = {name: each["class"] for name, each in failed.items()}
    assert classes == {
        "breaks": "COMMAND", "forgets": "OUTPUT_MISSING", "reads": "INPUT_MISSING", "dawdles": "TIMEOUT",
    }  # fmt: skip
    assert (failed["breaks"]["exit-code"], failed["breaks"]["log-tail"]) == (3, "dear me\n")
    assert "out.txt" in failed["forgets"]["message"]
    assert "tree/b.txt" in failed["reads"]["message"]
    assert b"dear me\n" in (flow.get("fails", "log.txt") or b"")
    assert programs(cluster) == []


def test_a_store_that_refuses_is_the_store_s_failure(cluster: Cluster, start: StartWorker) -> None:
    """A worker that the store does not let in fails its attempts as STORE, and Gaia tries them again."""
    cluster.server()
    locked_out = start(GAIA_S3_SECRET_KEY="wrong")
    flow = cluster.client()
    flow.upload("store", {}, [shell("c", "echo x", outputs={"out": ">"})], [
        {"name": "s", "command": "c", "outputs": {"out": "x.txt"}}
    ])  # fmt: skip
    wait_until(lambda: debug_steps(flow, "store")["s"]["attempt"] > 1, "a second attempt", deadline_s=60)
    assert locked_out.stop() == 0
    start()
    assert flow.wait("store", timeout_s=60)["state"] == "complete"
    retries = [event.step_retrying for event in cluster.events("store", "complete") if event.HasField("step_retrying")]
    assert retries
    assert getattr(retries[0].failure, "class") == model_pb2.FAILURE_CLASS_STORE


def test_halt_ends_the_program(cluster: Cluster, start: StartWorker) -> None:
    """A cancelled attempt leaves no process and no output; run starts the Step anew."""
    cluster.server()
    start(slots=1)
    flow = cluster.client()
    script = "echo early > {{out}}; test -s {{in}} && sleep 600; echo late > {{out}}"
    commands = [shell("c", script, inputs={"in": "/job/in"}, outputs={"out": "/job/out"})]
    flow.upload("halted", {}, commands, [{"name": "a", "command": "c", "inputs": {"in": "i"}, "outputs": {"out": "o"}}])
    flow.put("halted", "i", b"wait")
    wait_until(lambda: len(programs(cluster)) == 2, "shell and sleep run", deadline_s=30)
    assert flow.halt("halted")["state"] == "halted"
    wait_until(lambda: not programs(cluster), "they are gone", deadline_s=30)
    assert flow.ls("halted", "o") == []
    flow.put("halted", "i", b"")
    flow.run("halted")
    assert flow.wait("halted", timeout_s=30)["state"] == "complete"
    assert flow.get("halted", "o") == b"late\n"


def test_a_worker_that_was_killed_starts_again(cluster: Cluster, start: StartWorker) -> None:
    """kill -9 in mid-run: its next life ends the orphan, loses the attempt at once, and runs the next one."""
    cluster.server()
    worker = start()
    flow = cluster.client()
    first = cluster.folder / "first"
    script = f"mkdir {first} && sleep 600; echo done > {{{{out}}}}"
    commands = [shell("c", script, outputs={"out": "/job/out"})]
    flow.upload("killed", {}, commands, [{"name": "a", "command": "c", "outputs": {"out": "o"}}])
    orphans = wait_until(lambda: first.exists() and programs(cluster), "it runs", deadline_s=30)
    worker.kill()
    assert set(programs(cluster)) >= set(orphans)
    start()
    assert flow.wait("killed", timeout_s=60)["state"] == "complete"
    assert set(programs(cluster)).isdisjoint(orphans)
    assert flow.get("killed", "o") == b"done\n"
    assert debug_steps(flow, "killed")["a"]["attempt"] == 2


def test_a_drained_worker_finishes_what_runs(cluster: Cluster, start: StartWorker) -> None:
    """SIGTERM: what runs is finished, what waits is given back and runs elsewhere, and the worker says goodbye."""
    cluster.server()
    worker = start("leaving", slots=1)
    flow = cluster.client()
    gate = cluster.folder / "gate"
    script = f"until test -e {gate}; do sleep 0.05; done"
    flow.upload("drain", {}, [shell("c", script)], [{"name": "s", "command": "c", "vars": {"N": [1, 2, 3]}}])
    wait_until(lambda: flow.status("drain")["steps"]["running"] == 3, "it holds all three", deadline_s=30)
    wait_until(lambda: programs(cluster), "one of them runs", deadline_s=30)
    worker.process.send_signal(signal.SIGTERM)
    wait_until(lambda: flow.status("drain")["steps"]["running"] == 1, "two were given back", deadline_s=30)
    gate.touch()
    assert worker.process.wait(timeout=30) == 0, worker.said()
    wait_until(lambda: flow.status("drain", debug=True)["debug"]["workers"] == [], "its goodbye was heard")
    assert flow.status("drain")["steps"]["complete"] == 1
    start("staying")
    assert flow.wait("drain", timeout_s=30)["state"] == "complete"
    assert sorted(step["worker"] for step in debug_steps(flow, "drain").values()) == ["leaving", "staying", "staying"]
