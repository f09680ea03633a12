"""`gaia bench` on real processes: what it finds, what it leaves behind, and how it ends when it cannot go on."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cluster import Cluster
from tests.integration.gaia_processes import GaiaProcess, Up, free_address
from tests.support.waiting import wait_until

SMALL = ("--steps", "40", "--chain", "5")


@pytest.fixture(scope="module")
def noop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """`gaia up` that runs no programs."""
    with Up(tmp_path_factory.mktemp("noop"), "--executor", "noop", "--slots", "3") as up:
        yield up


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """`gaia up` that runs programs in the sandbox."""
    with Up(tmp_path_factory.mktemp("sandbox"), "--executor", "sandbox", "--slots", "2") as up:
        yield up


def bench(up: Up, *flags: str) -> subprocess.CompletedProcess[str]:
    """Measure, and wait for the end."""
    return bench_at(up.address, *flags)


def bench_at(hosts: str, *flags: str) -> subprocess.CompletedProcess[str]:
    command = [*GaiaProcess.program, "--host", hosts, "bench", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def begun(up: Up, folder: Path, *flags: str) -> GaiaProcess:
    """Return a measure that is to be started, with what it says in a file."""
    return GaiaProcess(["--host", up.address, "bench", *flags], folder / "bench.log")


def names(up: Up) -> list[str]:
    with up.client() as flow:
        return [each["name"] for each in flow.workflows()]


def data_left(up: Up) -> list[str]:
    folder = up.data / "store" / "data"
    return [path.name for path in folder.iterdir()] if folder.exists() else []


def test_figures_as_json(noop: Up) -> None:
    """Standard output is one object: every part with its Steps, who ran them, and with how many in flight."""
    done = bench(noop, *SMALL, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["workers"] == [
        {"name": "local-1", "pool": "default", "executor": "noop", "host": found["workers"][0]["host"]}
    ]
    assert found["executors"] == {"noop": 1}
    assert found["credit"] == {"slots": 3, "prefetch": 4096}
    assert (found["image"], found["command"]) == ("busybox:1.36", ["true"])
    assert {"version", "workflows"} <= found.keys()
    wide, chain, arrivals = found["wide"], found["chain"], found["arrivals"]
    assert (wide["steps"], wide["attempts"], chain["steps"]) == (40, 40, 5)
    assert wide.keys() == {"steps", "steps-per-s", "seconds", "upload-s", "attempts"}
    assert chain["ms-per-step"].keys() == {"median", "p90", "mean"}
    assert arrivals.keys() == {"steps", "steps-per-s", "steps-per-merge", "ms"}
    assert 0 < arrivals["steps"] <= 40
    assert arrivals["ms"]["p50"] <= arrivals["ms"]["p99"] <= arrivals["ms"]["max"]
    assert [name.split("_")[1] for name in found["workflows"]] == ["bench-wide", "bench-chain", "bench-arrivals"]


def test_figures_for_a_person(noop: Up) -> None:
    """What is measured stands before the progress on stderr, the figures in a table; nothing is left behind."""
    done = bench(noop, *SMALL)
    assert done.returncode == 0, done.stderr
    first = "On 1 worker (noop, which runs no programs): 40 Steps side by side, 5 one after the other"
    assert done.stderr.splitlines()[0] == first
    table = done.stdout.splitlines()
    assert [line.split("  ")[0] for line in table[:4]] == ["HOW", "side by side", "one after the other", "arriving"]
    assert table[4].startswith("at most 4,099 in flight: 3 slots and 4,096 more on their way, with 1 worker (noop")
    assert (names(noop), data_left(noop)) == ([], [])


def test_a_cluster_is_measured_the_same_way(cluster: Cluster) -> None:
    """Asked through a standby, it measures the workers of the pool that is named, and no others."""
    other = free_address()
    cluster.server()
    cluster.standby(other)
    cluster.worker("one", "noop", "--pool", "bench")
    cluster.worker("two", "noop", "--pool", "bench")
    cluster.worker("three", "noop")
    flow = cluster.client()
    wait_until(lambda: len(flow.workers()) == 3, "the workers have joined", deadline_s=60)
    done = bench_at(f"{other},{cluster.address}", "--steps", "400", "--chain", "5", "--pool", "bench", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [(each["name"], each["pool"]) for each in found["workers"]] == [("one", "bench"), ("two", "bench")]
    assert found["credit"] == {"slots": 4, "prefetch": 2 * 4096}
    assert (found["wide"]["steps"], found["wide"]["attempts"], found["chain"]["steps"]) == (400, 400, 5)
    assert flow.workflows() == []


def test_workflows_are_kept_where_that_is_wanted(noop: Up) -> None:
    """With --keep all of them are there, complete, and named together with how to delete them."""
    done = bench(noop, *SMALL, "--keep", "--json")
    found = json.loads(done.stdout)
    with noop.client() as flow:
        try:
            standing = {name: flow.status(name) for name in found["workflows"]}
            assert {each["state"] for each in standing.values()} == {"complete"}
            complete = [each["steps"]["complete"] for each in standing.values()]
            assert complete == [40 + 10, 5, found["arrivals"]["steps"]]
            for name in standing:
                assert f"kept {name}; to delete it: gaia delete {name} --data --yes" in done.stderr.splitlines()
        finally:
            for name in found["workflows"]:
                flow.delete(name, data=True)


def test_programs_really_run(sandbox: Up) -> None:
    """Where the executor runs programs, each Step runs the command that was given, and what it writes is kept."""
    done = bench(sandbox, "--steps", "6", "--chain", "3", "--command", "echo 'so be it'", "--keep", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    wide, chain, _ = found["workflows"]
    with sandbox.client() as flow:
        try:
            assert [flow.get(wide, f"wide-0/{number}") for number in range(6)] == [b"so be it\n"] * 6
            assert flow.get(chain, "link/2") == b"so be it\n"
        finally:
            for name in found["workflows"]:
                flow.delete(name, data=True)
    assert (found["executors"], found["command"]) == ({"sandbox": 1}, ["echo", "so be it"])


def test_a_command_that_fails_ends_it(sandbox: Up) -> None:
    """The first failure ends it with exit code 1 and the program's own words; nothing is left behind."""
    done = bench(sandbox, *SMALL, "--command", "sh -c 'echo oh dear; exit 3'")
    assert (done.returncode, done.stdout) == (1, "")
    assert "error: The Steps that were to be measured fail." in done.stderr
    assert "COMMAND, attempt 1 on local-1: exit code 3 | oh dear" in done.stderr
    assert (names(sandbox), data_left(sandbox)) == ([], [])


@pytest.fixture
def heeded(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    """A signal that processes begun here heed, also where the tests themselves were told to ignore it (nohup)."""
    number: signal.Signals = request.param
    before = signal.signal(number, signal.default_int_handler)
    yield number
    signal.signal(number, before)


@pytest.mark.parametrize("heeded", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], indirect=True)
def test_an_interrupted_measure_leaves_nothing_behind(sandbox: Up, tmp_path: Path, heeded: signal.Signals) -> None:
    """Ctrl-C, SIGTERM and a terminal that is gone end it with exit code 130, and its workflows are deleted."""
    with begun(sandbox, tmp_path, "--command", "sleep 3600") as measure, sandbox.client() as flow:
        wait_until(lambda: [each for each in flow.workflows() if each["steps"]["running"]], "something runs",
                   deadline_s=60, evidence=measure.said)  # fmt: skip
        measure.process.send_signal(heeded)
        assert measure.process.wait(60) == 130, measure.said()
        assert flow.workflows() == []
        wait_until(lambda: not flow.workers()[0]["attempts"], "the programs are gone", deadline_s=60)
    assert "the workflows of the measure are deleted" in measure.said()
    assert "error" not in measure.said()
    assert data_left(sandbox) == []


def test_it_ends_when_nothing_gets_done(sandbox: Up) -> None:
    """Steps that take longer than it has patience for end it with exit code 1 and how far it got."""
    done = bench(sandbox, *SMALL, "--command", "sleep 3600", "--timeout", "1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "error: Nothing became complete for 1 s: 0 of 50 Steps complete" in done.stderr
    assert names(sandbox) == []


def test_it_ends_when_the_workers_leave(tmp_path: Path) -> None:
    """When no worker is left that would take the Steps it says so, with exit code 4; without any it does not begin."""
    with Up(tmp_path, "--executor", "sandbox", "--slots", "1") as up, up.client() as flow:
        with begun(up, tmp_path, "--command", "sleep 1", "--steps", "500") as measure:
            wait_until(lambda: [each for each in flow.workflows() if each["steps"]["running"]], "something runs",
                       deadline_s=60, evidence=measure.said)  # fmt: skip
            flow.drain(["local-1"])
            assert measure.process.wait(60) == 4, measure.said()
        assert "error: The Steps cannot run any more." in measure.said()
        assert names(up) == []
        wait_until(lambda: flow.workers() == [], "the worker has left", deadline_s=60)
        done = bench(up)
        assert (done.returncode, done.stdout) == (4, "")
        assert done.stderr.splitlines()[0] == "error: There is no worker that could run Steps."


def test_nobody_there(noop: Up, tmp_path: Path) -> None:
    """A pool without workers, and a server that is not there, end it at once with the codes of every command."""
    done = bench(noop, "--pool", "gpu", "--json")
    assert done.returncode == 4
    told: dict[str, Any] = json.loads(done.stderr)
    assert told["message"] == "There is no worker of pool 'gpu'."
    assert "--pool default" in told["hint"]
    absent = Up(tmp_path, "--executor", "noop")
    assert bench(absent).returncode == 5
