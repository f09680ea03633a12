"""The worker of examples/worker/go, alone on real Kafka and MinIO: what docs/worker-protocol.md says is enough."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gaia.v1 import model_pb2
from gaia_client.client import Gaia
from tests.integration.cluster import Cluster, check_sequences, completions
from tests.integration.gaia_processes import GaiaProcess, example
from tests.integration.go_worker import go_process
from tests.integration.weather import SERIES, check_years
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="bubblewrap wants Linux")

StartWorker = Callable[..., GaiaProcess]


@pytest.fixture
def start(cluster: Cluster, go_worker: Path) -> StartWorker:
    """Start a Go worker of the cluster; the cluster drains it at the end."""

    def begin(name: str = "gopher", slots: int = 2, **environ: str) -> GaiaProcess:
        return go_process(cluster, go_worker, name, slots, **environ)

    return begin


def shell(name: str, script: str, **fields: Any) -> dict[str, Any]:
    """Return a Command that runs a shell script, whose processes `programs` finds."""
    return {"name": name, "image": "none", "command": ["sh", "-c", script], "env": {"FOUND_BY": name}, **fields}


def programs(name: str, of: str = "") -> list[int]:
    """Return the ids of the processes that a Command runs now; of one program where its command line is given."""
    return [
        int(folder.name)
        for folder in Path("/proc").glob("[0-9]*")
        if f"\0FOUND_BY={name}\0".encode() in b"\0" + _read(folder / "environ")
        and _read(folder / "cmdline").replace(b"\0", b" ").startswith(of.encode())
    ]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it ended meanwhile
        return b""


def debug_steps(flow: Gaia, workflow: str) -> dict[str, dict[str, Any]]:
    """Return what is known of each Step."""
    return {step["name"]: step for step in flow.status(workflow, debug=True)["debug"]["steps"]}


def test_the_years_of_the_weather_example_run_on_it_alone(cluster: Cluster, start: StartWorker) -> None:
    """Files, stdout and logs: the right numbers, and every completion once among the events."""
    cluster.server()
    start()
    flow = cluster.client()
    commands, steps = example("weather")
    files = [step for step in steps if step["command"] in ("select-year", "year-statistics")]
    says = shell("says", "pwd; echo {{WORD}} >&2; wc -l < {{days}}", vars={"WORD": "reads"}, workdir="/work/here",
                 inputs={"days": "/work/in/days.csv"}, outputs={"log": ">"})  # fmt: skip
    log = {"name": "says", "command": "says", "inputs": {"days": "years/2013.csv"}, "outputs": {"log": "logs/2013.txt"}}
    flow.upload("years", {}, [*commands, says], [*files, log])
    flow.put("years", "seattle-weather.csv", SERIES)
    check_years(flow, "years")
    assert flow.get("years", "logs/2013.txt") == b"/work/here\nreads\n366\n"
    events = cluster.events("years", "complete")
    check_sequences(events)
    assert set(completions(events).values()) == {1}
    assert {step["worker"] for step in debug_steps(flow, "years").values()} == {"gopher"}


def test_what_it_leaves_out_is_refused_in_words(cluster: Cluster, start: StartWorker) -> None:
    """A Step with a tree or another bucket never runs on it: it says why, and a worker that knows how helps."""
    cluster.server(GAIA_BUCKETS="elsewhere")
    refuses = start()
    flow = cluster.client()
    writes = shell("writes", "echo x > {{out}}a.txt", outputs={"out": "/job/out/"})
    reads = shell("reads", "ls {{in}} > {{out}}", inputs={"in": "/job/in/"}, outputs={"out": "/job/out.txt"})
    stray = shell("stray", "echo x", outputs={"out": ">"})
    steps = [
        {"name": "writes", "command": "writes", "outputs": {"out": "tree/"}},
        {"name": "reads", "command": "reads", "inputs": {"in": "put/"}, "outputs": {"out": "names.txt"}},
        {"name": "stray", "command": "stray", "outputs": {"out": "elsewhere:x.txt"}},
    ]
    flow.upload("refused", {}, [writes, reads, stray], steps)
    flow.put("refused", "put/a.txt", b"a")
    flow.announce("refused", ["put/"])
    tried_again = {"writes", "reads", "stray"}
    wait_until(lambda: all(debug_steps(flow, "refused")[name]["attempt"] > 1 for name in tried_again), "refused")
    flow.remove("refused", ["stray"])
    assert refuses.stop() == 0
    cluster.worker("knows", "sandbox")
    assert flow.wait("refused", timeout_s=60)["state"] == "complete"
    assert flow.get("refused", "names.txt") == b"a.txt\n"
    events = [event.step_retrying for event in cluster.events("refused", "complete") if event.HasField("step_retrying")]
    assert {event.step for event in events} >= tried_again
    for event in events:
        assert getattr(event.failure, "class") == model_pb2.FAILURE_CLASS_ENGINE
        assert "this worker knows no trees, no other buckets" in event.failure.message


def test_failures_name_their_class(cluster: Cluster, start: StartWorker) -> None:
    """What the program did wrong arrives with its class, its exit code and its last words; `>>` is kept."""
    cluster.server()
    start()
    flow = cluster.client()
    commands = [
        shell("breaks", "echo dear me >&2; exit 3", outputs={"log": ">>"}),
        shell("forgets", "echo nothing else", outputs={"out": "/job/out.txt"}),
        shell("links", "ln -s /etc/passwd {{out}}", outputs={"out": "/job/out.txt"}),
        shell("dawdles", "sleep 600 & sleep 600", timeout=0.2),
        shell("falls", "kill -SEGV $$"),
    ]
    steps = [
        {"name": "breaks", "command": "breaks", "outputs": {"log": "log.txt"}},
        {"name": "forgets", "command": "forgets", "outputs": {"out": "out.txt"}},
        {"name": "links", "command": "links", "outputs": {"out": "link.txt"}},
        {"name": "dawdles", "command": "dawdles"},
        {"name": "falls", "command": "falls"},
    ]
    flow.upload("fails", {}, commands, steps)
    status = flow.wait("fails", timeout_s=60)
    assert status["state"] == "error"
    failed = {each["step"]: each for each in status["failed"]}
    classes = {name: each["class"] for name, each in failed.items()}
    assert classes == {
        "breaks": "COMMAND", "forgets": "OUTPUT_MISSING", "links": "OUTPUT_MISSING", "dawdles": "TIMEOUT",
        "falls": "COMMAND",
    }  # fmt: skip
    assert (failed["breaks"]["exit-code"], failed["breaks"]["log-tail"]) == (3, "dear me\n")
    assert "out.txt" in failed["forgets"]["message"]
    assert failed["falls"]["exit-code"] == 128 + signal.SIGSEGV
    assert b"dear me\n" in (flow.get("fails", "log.txt") or b"")
    assert programs("dawdles") == []


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
    commands = [shell("halts", script, inputs={"in": "/job/in"}, outputs={"out": "/job/out"})]
    steps = [{"name": "a", "command": "halts", "inputs": {"in": "i"}, "outputs": {"out": "o"}}]
    flow.upload("halted", {}, commands, steps)
    flow.put("halted", "i", b"wait")
    wait_until(lambda: programs("halts", "sleep"), "shell and sleep run", deadline_s=30)
    assert flow.halt("halted")["state"] == "halted"
    wait_until(lambda: not programs("halts"), "they are gone", deadline_s=30)
    assert flow.ls("halted", "o") == []
    flow.put("halted", "i", b"")
    flow.run("halted")
    assert flow.wait("halted", timeout_s=30)["state"] == "complete"
    assert flow.get("halted", "o") == b"late\n"


def test_a_worker_that_was_killed_starts_again(cluster: Cluster, start: StartWorker) -> None:
    """kill -9 in mid-run: the program ends too; the next life loses the attempt at once and runs the next one."""
    cluster.server()
    worker = start()
    flow = cluster.client()
    commands = [shell("orphan", "sleep 600; echo done > {{out}}", outputs={"out": "/job/out"})]
    flow.upload("killed", {}, commands, [{"name": "a", "command": "orphan", "outputs": {"out": "o"}}])
    wait_until(lambda: programs("orphan", "sleep"), "it runs", deadline_s=30)
    worker.kill()
    wait_until(lambda: not programs("orphan"), "it ended with the worker", deadline_s=30)
    start()
    (sleep,) = wait_until(lambda: programs("orphan", "sleep"), "it runs again", deadline_s=30)
    os.kill(sleep, signal.SIGTERM)
    assert flow.wait("killed", timeout_s=60)["state"] == "complete"
    assert flow.get("killed", "o") == b"done\n"
    assert debug_steps(flow, "killed")["a"]["attempt"] == 2


def test_a_drained_worker_finishes_what_runs(cluster: Cluster, start: StartWorker) -> None:
    """SIGTERM: what runs is finished, what waits is given back and runs elsewhere, and the worker says goodbye."""
    cluster.server()
    worker = start("leaving", slots=1)
    flow = cluster.client()
    commands = [shell("drained", "if test {{N}} = 1; then sleep 600; fi; true", vars={"N": 0})]
    flow.upload("drain", {}, commands, [{"name": "s", "command": "drained", "vars": {"N": [1, 2, 3]}}])
    wait_until(lambda: flow.status("drain")["steps"]["running"] == 3, "it holds all three", deadline_s=30)
    (sleep,) = wait_until(lambda: programs("drained", "sleep"), "the first one runs", deadline_s=30)
    worker.process.send_signal(signal.SIGTERM)
    wait_until(lambda: flow.status("drain")["steps"]["running"] == 1, "two were given back", deadline_s=30)
    os.kill(sleep, signal.SIGTERM)
    assert worker.process.wait(timeout=30) == 0, worker.said()
    wait_until(lambda: flow.status("drain", debug=True)["debug"]["workers"] == [], "its goodbye was heard")
    assert flow.status("drain")["steps"]["complete"] == 1
    start("staying")
    assert flow.wait("drain", timeout_s=30)["state"] == "complete"
    assert sorted(step["worker"] for step in debug_steps(flow, "drain").values()) == ["leaving", "staying", "staying"]
