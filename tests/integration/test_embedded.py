"""`gaia up` with the sandbox, through the real command line and the Python client."""

import json
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from gaia_client.client import Gaia
from gaia_core.errors import InvalidWorkflow, NotAllowedNow, UnknownName
from tests.integration.gaia_processes import GaiaProcess, Up, free_address, http_status
from tests.integration.weather import check_weather, upload_weather
from tests.support.waiting import wait_until

SHELL = {"image": "any", "outputs": {"out": "/job/out"}}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with Up(tmp_path_factory.mktemp("up")) as process:
        yield process


@pytest.fixture
def flow(up: Up) -> Iterator[Gaia]:
    with up.client() as client:
        yield client


def shell(name: str, script: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "command": ["sh", "-c", script], **SHELL, **more}


def attempts(flow: Gaia, workflow: str) -> dict[str, int]:
    return {step["name"]: step["attempt"] for step in flow.status(workflow, debug=True)["debug"]["steps"]}


def test_the_weather_example_finds_what_arithmetic_says(flow: Gaia) -> None:
    """Real input through split, statistics, a gathered tree, a table and a chart: the numbers are right."""
    upload_weather(flow, "weather_embedded")
    check_weather(flow, "weather_embedded")


def test_expire_runs_exactly_the_affected_steps_again(flow: Gaia) -> None:
    """After expire of one year, that year's Step and the two that gather run again, and nothing else."""
    upload_weather(flow, "weather_expire")
    flow.wait("weather_expire", timeout_s=60)
    answer = flow.expire("weather_expire", ["yearly-2014"])
    assert sorted(answer["steps"]) == ["chart", "table", "yearly-2014"]
    assert flow.wait("weather_expire", timeout_s=60)["state"] == "complete"
    again = {name for name, attempt in attempts(flow, "weather_expire").items() if attempt == 2}
    assert again == {"chart", "table", "yearly-2014"}


def test_a_merge_while_it_runs_recomputes_what_it_touches(flow: Gaia) -> None:
    """Steps added live run when their inputs are there; an updated one runs again with its new definition."""
    commands = [
        shell("write", "echo {{word}} > {{out}}", vars={"word": "one"}),
        {**shell("join", "cat {{in}}* > {{out}}"), "inputs": {"in": "/job/in/"}},
    ]
    steps = [
        {"name": "a", "command": "write", "outputs": {"out": "words/a"}},
        {"name": "all", "command": "join", "inputs": {"in": "words/"}, "outputs": {"out": "all"}},
    ]
    flow.upload("live", {}, commands, steps)
    assert flow.wait("live", timeout_s=30)["state"] == "complete"
    diff = flow.merge(
        "live", [{"name": "b", "command": "write", "outputs": {"out": "words/b"}, "vars": {"word": "two"}}]
    )
    assert (diff["added"], diff["recomputed"]) == (["b"], ["all"])
    assert flow.wait("live", timeout_s=30)["state"] == "complete"
    assert flow.get("live", "all") == b"one\ntwo\n"


def test_stdout_outputs_keep_what_was_written_also_on_failure(flow: Gaia) -> None:
    """`>` is kept on success, `>>` also when the Step fails, and the failure shows code and log."""
    commands = [
        {"name": "say", "image": "any", "command": ["sh", "-c", "echo out; echo err >&2; exit {{code}}"],
         "outputs": {"both": ">", "always": ">>"}, "vars": {"code": 0}},
    ]  # fmt: skip
    outputs = {"both": "{{n}}/both", "always": "{{n}}/always"}
    steps = [{"name": "good", "command": "say", "outputs": outputs, "vars": {"n": "good"}},
             {"name": "bad", "command": "say", "outputs": outputs, "vars": {"n": "bad", "code": 7}}]  # fmt: skip
    flow.upload("words", {}, commands, steps)
    status = flow.wait("words", timeout_s=30)
    assert status["state"] == "error"
    (failed,) = status["failed"]
    assert (failed["step"], failed["class"], failed["exit-code"]) == ("bad", "COMMAND", 7)
    assert "err" in failed["log-tail"]
    assert flow.get("words", "good/both") == b"out\nerr\n"
    kept = flow.get("words", "bad/always")
    assert kept is not None
    assert b"out\nerr\n" in kept
    with pytest.raises(UnknownName):
        flow.get("words", "bad/both")


def test_halt_stops_what_runs_and_run_goes_on(flow: Gaia, tmp_path: Path) -> None:
    """Halt cancels a running program at once; run starts it afresh."""
    commands = [{**shell("long", "test -s {{in}} && exec sleep 600; echo done > {{out}}"), "inputs": {"in": "/job/in"}}]
    flow.upload(
        "stop", {}, commands, [{"name": "l", "command": "long", "inputs": {"in": "i"}, "outputs": {"out": "o"}}]
    )
    flow.put("stop", "i", b"wait")
    wait_until(lambda: flow.status("stop")["steps"]["running"] == 1, "the Step runs")
    assert flow.halt("stop") == {"workflow": "stop", "state": "halted"}
    flow.put("stop", "i", b"")
    assert flow.run("stop")["state"] == "running"
    assert flow.wait("stop", timeout_s=30)["state"] == "complete"
    assert flow.get("stop", "o") == b"done\n"


def test_every_problem_comes_back_with_its_place_and_nothing_changes(flow: Gaia) -> None:
    """All that is wrong with a request is told at once."""
    commands = [shell("c", "true")]
    steps = [
        {"name": "a", "command": "c", "outputs": {"out": "/absolute"}},
        {"name": "b", "command": "nothing"},
        {"name": "d", "command": "c", "outputs": {"wrong": "x"}, "colour": "red"},
    ]
    with pytest.raises(InvalidWorkflow) as refusal:
        flow.upload("wrong", {}, commands, steps)
    places = {problem.place for problem in refusal.value.problems}
    assert {"steps[0].outputs.out", "steps[1].command", "steps[2].colour"} <= places
    with pytest.raises(UnknownName):
        flow.status("wrong")


def test_a_key_that_a_step_writes_cannot_be_put(flow: Gaia) -> None:
    """What lies in the store does not count for a Key that a Step writes."""
    flow.upload(
        "guarded", {}, [shell("c", "echo x > {{out}}")], [{"name": "a", "command": "c", "outputs": {"out": "o"}}]
    )
    with pytest.raises(NotAllowedNow):
        flow.put("guarded", "o", b"forged")


def test_launch_starts_named_workers_once(flow: Gaia) -> None:
    """Launched workers appear under their names; a taken name is refused."""
    assert flow.launch(["a", "b"], {"zone": "eu-1"}) == ["a", "b"]
    flow.command("launching", [shell("c", "true")])

    def names() -> set[str]:
        return {worker["name"] for worker in flow.status("launching", debug=True)["debug"]["workers"]}

    wait_until(lambda: {"a", "b"} <= names(), "the workers said hello")
    metadata = {worker["name"]: worker["metadata"] for worker in flow.workers()}
    assert (metadata["a"], metadata["b"], metadata["local-1"]) == ({"zone": "eu-1"}, {"zone": "eu-1"}, {})
    with pytest.raises(InvalidWorkflow):
        flow.launch(["a"])


def test_reflection_lists_the_service(up: Up) -> None:
    """A client that knows nothing can ask for the service and its methods."""
    with grpc.insecure_channel(up.address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert "gaia.v1.Gaia" in database.get_services()
        file = database.FindFileContainingSymbol("gaia.v1.Gaia")
        assert {"Upload", "Merge", "Status"} <= {method.name for method in file.service[0].method}


def test_health_answers_and_foreign_pages_are_refused(up: Up) -> None:
    """/healthz is 200 when the server leads; a POST of another site's page, or not of JSON, is refused."""
    assert http_status(f"http://{up.http}/healthz") == 200
    for headers in (
        {"Origin": "http://evil.example", "Content-Type": "application/json"},
        {"Content-Type": "text/plain"},
    ):
        request = urllib.request.Request(f"http://{up.http}/upload", b"{}", headers, method="POST")
        with pytest.raises(urllib.error.HTTPError) as refusal:
            urllib.request.urlopen(request, timeout=10)
        assert refusal.value.code == 400
        refusal.value.close()


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_workflow_goes_on_after_kill_or_stop(tmp_path: Path, end: str) -> None:
    """kill -9 or SIGTERM in mid-run, start again: the workflow goes on and what was complete is not run again."""
    script = "sleep 0.2; cat {{in}} > {{out}}; echo x >> {{out}}"
    commands = [shell("first", "echo start > {{out}}"), {**shell("next", script), "inputs": {"in": "/job/in"}}]
    steps = [{"name": "s0", "command": "first", "outputs": {"out": "k0"}}]
    steps += [
        {"name": f"s{n}", "command": "next", "inputs": {"in": f"k{n - 1}"}, "outputs": {"out": f"k{n}"}}
        for n in range(1, 8)
    ]
    with Up(tmp_path) as up:
        with up.client() as flow:
            flow.upload("chain", {}, commands, steps)
            wait_until(lambda: flow.status("chain")["steps"]["complete"] >= 3, "three Steps are complete")
            before = flow.status("chain")["steps"]["complete"]
        up.kill() if end == "kill" else up.stop()
        up.start()
        with up.client() as flow:
            assert flow.status("chain")["steps"]["complete"] >= before
            assert flow.wait("chain", timeout_s=60)["state"] == "complete"
            assert flow.get("chain", "k7") == b"start\n" + b"x\n" * 7
            ran = attempts(flow, "chain")
            assert [ran[f"s{n}"] for n in range(3)] == [1, 1, 1]


def test_a_second_gaia_on_the_folder_or_the_port_is_refused_in_a_line(up: Up, tmp_path: Path) -> None:
    """Data folder locked, port in use: one line, an exit code, no traceback."""
    taken = ["up", "--data", str(up.data), "--listen", free_address(), "--http", free_address()]
    port = ["up", "--data", str(tmp_path / "other"), "--listen", up.address, "--http", free_address()]
    http = ["up", "--data", str(tmp_path / "third"), "--listen", free_address(), "--http", up.http]
    for number, (arguments, words) in enumerate(
        [(taken, "in use by another Gaia"), (port, "in use"), (http, "in use")]
    ):
        process = GaiaProcess(arguments, tmp_path / f"second-{number}.log").start()
        assert process.process.wait(timeout=60) == 4
        assert words in process.said()
        assert "Traceback" not in process.said()


def test_listening_to_other_machines_needs_a_token(tmp_path: Path) -> None:
    """An address off loopback without token or --insecure is refused."""
    arguments = ["up", "--data", str(tmp_path / "data"), "--listen", "0.0.0.0:0", "--http", free_address()]
    process = GaiaProcess(arguments, tmp_path / "open.log").start()
    assert process.process.wait(timeout=60) == 2
    assert "GAIA_TOKEN" in process.said()


def test_a_token_is_asked_for(tmp_path: Path) -> None:
    """With a token set, calls without it are refused and calls with it served."""
    up = Up(tmp_path)
    up._environ = {**up._environ, "GAIA_TOKEN": "secret"}
    with up:
        wrong = GaiaProcess(["--host", up.address, "workflows"], tmp_path / "wrong.log").start()
        assert wrong.process.wait(timeout=60) == 4
        with Gaia({"gaia_host": up.address, "token": "secret"}) as flow:
            assert flow.workflows() == []


def test_a_server_that_is_not_there_is_a_line(tmp_path: Path) -> None:
    """The address that was tried, and how to start one."""
    address = free_address()
    process = GaiaProcess(["--host", address, "--json", "workflows"], tmp_path / "none.log").start()
    assert process.process.wait(timeout=60) == 5
    said = json.loads(process.said())
    assert address in said["message"]
    assert "gaia up" in said["hint"]


def test_ctrl_c_ends_with_nothing_left_running(tmp_path: Path) -> None:
    """SIGINT stops the server, its workers and their programs."""
    with Up(tmp_path) as up:
        with up.client() as flow:
            flow.upload("long", {}, [shell("c", "exec sleep 12345")], [{"name": "a", "command": "c"}])
            wait_until(lambda: flow.status("long")["steps"]["running"] == 1, "the Step runs")
        up.process.send_signal(signal.SIGINT)
        assert up.process.wait(timeout=60) == 0
        assert not _programs_with("12345")


def _programs_with(argument: str) -> list[str]:
    """Return processes of this machine with an argument."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if argument.encode() in words:
            found.append(str(path))
    return found


def test_a_folder_is_put_as_a_tree(flow: Gaia, tmp_path: Path) -> None:
    """A tree that no Step writes is there once it was put as a whole; putting it anew runs its readers again."""
    commands = [{**shell("join", "cat {{in}}* > {{out}}"), "inputs": {"in": "/job/in/"}}]
    flow.upload(
        "tree", {}, commands, [{"name": "j", "command": "join", "inputs": {"in": "t/"}, "outputs": {"out": "o"}}]
    )
    (tmp_path / "a").write_text("one ")
    (tmp_path / "b").write_text("two")
    flow.put("tree", "t/", tmp_path)
    assert flow.wait("tree", timeout_s=30)["state"] == "complete"
    assert flow.get("tree", "o") == b"one two"
    (tmp_path / "b").write_text("three")
    flow.put("tree", "t/", tmp_path)
    assert flow.wait("tree", timeout_s=30)["state"] == "complete"
    assert flow.get("tree", "o") == b"one three"
