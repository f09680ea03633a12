"""The command line: plain and JSON output, exit codes, one line per error."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import grpc
import pytest
from click.testing import CliRunner, Result

import gaia
from gaia.v1 import api_pb2, model_pb2
from gaia_client.cli import main as cli_main
from gaia_core.errors import BY_NAME, JournalCorrupt, Problem

ROOT = Path(__file__).parents[3]
HELLO = [str(ROOT / "examples" / "hello" / name) for name in ("commands.yaml", "steps.yaml")]

OWN = [name for name, entry in cli_main.COMMANDS.items() if entry.module not in ("up", "demo", "server", "worker")]

Invoke = Callable[..., Result]


@pytest.fixture
def invoke(server: Any, pauses: list[float]) -> Invoke:
    """Run the command line against the fake server."""
    return lambda *args, **extra: CliRunner(env={"GAIA_HOST": server.address}).invoke(cli_main.cli, args, **extra)


def run_python(*arguments: str, **extra: Any) -> subprocess.CompletedProcess[str]:
    """Run this Python in the project's folder."""
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, **extra)


def test_help_groups_commands(invoke: Invoke) -> None:
    """Without arguments the help shows the commands by intent; nothing is asked of a server."""
    result = invoke()
    assert result.exit_code == 0
    positions = [
        result.stdout.index(section) for section in ("Start:", "Define:", "Control:", "Look:", "Data:", "Check:")
    ]
    assert positions == sorted(positions)
    assert all(f"  {name} " in result.stdout for name in cli_main.COMMANDS)
    assert invoke("--version").stdout == f"gaia {gaia.__version__}\n"


@pytest.mark.parametrize("name", OWN)
def test_every_command_has_help_and_json(invoke: Invoke, name: str) -> None:
    """Every command explains itself and takes --json."""
    result = invoke(name, "--help")
    assert result.exit_code == 0
    assert "--json" in result.stdout


def test_upload(invoke: Invoke, fake: Any) -> None:
    """An upload of two files prints the diff; properties are read as YAML reads them."""
    fake.script["Upload"] = [api_pb2.UploadResponse(diff=api_pb2.Diff(added=["hello"]))]
    result = invoke("upload", "me_w", *HELLO, "--property", "max_parallel=3", "-p", "note=a=b")
    assert (result.exit_code, result.stdout) == (0, "added 1: hello\n")
    assert dict(fake.requests("Upload")[0].properties) == {"max_parallel": 3, "note": "a=b"}
    assert json.loads(invoke("upload", "me_w", *HELLO, "--json").stdout)["added"] == ["hello"]
    assert invoke("upload", "me_w", *HELLO, "-p", "x").exit_code == 2


def test_upload_of_bad_files(invoke: Invoke, fake: Any, tmp_path: Path) -> None:
    """All problems are printed with file, line and place, and no more than a check is sent."""
    path = tmp_path / "flow.yaml"
    path.write_text("commands:\n- name: c\n  image: i\n  command: []\nsteps:\n- name: s\n  comand: c\n")
    result = invoke("upload", "w", str(path))
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "error: The request has 3 problems; nothing was changed.",
        f"  {path}:4: commands[0].command: needs at least one token",
        f"  {path}:7: steps[0].comand: is unknown; did you mean 'command'?",
        f"  {path}:6: steps[0]: 'command' is missing",
    ]
    assert (result.stdout, [request.check_only for _, request in fake.asked]) == ("", [True])


def test_problems_of_the_server_have_lines_too(invoke: Invoke, fake: Any, tmp_path: Path) -> None:
    """What only the server can find is traced to the file as well."""
    (tmp_path / "s.yaml").write_text("- name: s\n  command: c\n")
    fake.script["Merge"] = [gaia.InvalidWorkflow.of([Problem("steps[0].command", "there is no Command 'c'")])]
    result = invoke("merge", "w", str(tmp_path / "s.yaml"))
    assert f"  {tmp_path}/s.yaml:2: steps[0].command: there is no Command 'c'" in result.stderr


def test_command_and_merge(invoke: Invoke, fake: Any) -> None:
    """`command` lists or replaces, `merge` adds; each refuses the other's file."""
    fake.script["Command"] = [lambda request: api_pb2.CommandResponse(commands=request.commands)]
    fake.script["Merge"] = [api_pb2.MergeResponse(diff=api_pb2.Diff(updated=["hello"]))]
    assert invoke("command", "w").stdout == "No Commands.\n"
    assert invoke("command", "w", HELLO[0]).stdout.splitlines()[1].split()[:2] == ["greet", "busybox:1.36"]
    assert json.loads(invoke("command", "w", HELLO[0], "--json").stdout)[0]["name"] == "greet"
    assert invoke("merge", "w", HELLO[1]).stdout == "updated 1: hello\n"
    assert invoke("command", "w", HELLO[1]).exit_code == 2
    assert invoke("merge", "w", HELLO[0]).exit_code == 2


def test_ways_to_merge_and_remove(invoke: Invoke, fake: Any) -> None:
    """What a merge leaves alone, what it prunes, and which revision a change expects go to the server."""
    reasons = [
        api_pb2.Affected(step="t", reason="upstream", upstream="s", key="a"),
        api_pb2.Affected(step="s", reason="merged"),
    ]
    diff = api_pb2.Diff(updated=["s"], removed=["r"], recomputed=["t"], reasons=reasons)
    fake.script = {"Merge": [api_pb2.MergeResponse(diff=diff)], "Remove": [api_pb2.RemoveResponse(diff=diff)]}
    changed = ["updated 1: s", "removed 1: r", "recomputed 1: t"]
    why = ["STEP  WHY", "t     reads a of s ← merged", "s     merged"]
    result = invoke("merge", "w", HELLO[1], "--only-changed", "--prune", "--expected-revision", "0")
    assert result.stdout.splitlines() == changed
    request = fake.requests("Merge")[0]
    assert (request.only_changed, request.prune, request.expected_revision) == (True, True, 0)
    assert invoke("merge", "w", HELLO[1], "--reasons").stdout.splitlines() == changed + why
    assert not fake.requests("Merge")[1].HasField("expected_revision")
    assert invoke("remove", "w", "r", "s", "--reasons", "--expected-revision", "7").stdout.splitlines() == changed + why
    request = fake.requests("Remove")[0]
    assert (list(request.names), request.expected_revision) == (["r", "s"], 7)
    assert invoke("command", "w", HELLO[0], "--expected-revision", "3").exit_code == 0
    assert fake.requests("Command")[0].expected_revision == 3


def test_plan_of_an_expire(invoke: Invoke, fake: Any) -> None:
    """A plan lists every Step with its reasons and every key, and asks for no change."""
    reasons = [
        api_pb2.Affected(step="t", reason="upstream", upstream="s", key="a"),
        api_pb2.Affected(step="s", reason="expired", key="a"),
    ]
    fake.script["Expire"] = [api_pb2.ExpireResponse(steps=["s", "t"], keys=["a", "b"], reasons=reasons)]
    result = invoke("expire", "w", "a", "--plan", "--expected-revision", "2")
    assert result.stdout.splitlines() == [
        "2 Steps would run again; nothing was changed",
        "STEP  WHY",
        "s     expired (a)",
        "t     reads a of s ← expired (a)",
        "KEY TO BE MADE OR LOOKED UP ANEW",
        "a",
        "b",
    ]
    (request,) = fake.requests("Expire")
    assert (request.plan, request.expected_revision) == (True, 2)
    assert list(json.loads(invoke("expire", "w", "a", "--plan", "--json").stdout)["reasons"]) == ["t", "s"]


def test_delete_asks(invoke: Invoke, fake: Any, status: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a terminal delete asks first, elsewhere it wants --yes; who says no changes nothing."""
    fake.script["Status"] = [status("running", running=2)]
    fake.script["Delete"] = [api_pb2.DeleteResponse(workflow="w")]
    refused = invoke("delete", "w")
    assert (refused.exit_code, "--yes" in refused.stderr, fake.asked) == (2, True, [])
    assert invoke("delete", "w", "--yes", "--data").stdout == "deleted w and its data\n"
    monkeypatch.setattr("gaia_client.cli.delete.can_ask", lambda: True)
    declined = invoke("delete", "w", input="n\n")
    assert (declined.exit_code, declined.stdout) == (1, "")
    assert "Delete w (running, 2 Steps), and not its files?" in declined.stderr
    agreed = invoke("delete", "w", "--expected-revision", "9", "--json", input="y\n")
    assert json.loads(agreed.stdout) == {"workflow": "w"}
    assert [(each.data, each.expected_revision) for each in fake.requests("Delete")] == [(True, 0), (False, 9)]


def test_steps(invoke: Invoke, fake: Any) -> None:
    """steps asks for what the filters say and shows so many; JSON has all of them."""
    page = [api_pb2.StepDebug(name=f"s{number}", state="failed", command="c", attempt=1) for number in range(3)]
    fake.script["Steps"] = [api_pb2.StepsResponse(steps=page)]
    result = invoke(
        "steps", "w", "--prefix", "s", "--state", "failed", "--state", "retrying", "--command", "c", "--limit", "2"
    )
    assert result.stdout.splitlines() == [
        "STEP  STATE   COMMAND  ATTEMPT  WORKER  MISSING",
        "s0    failed  c              1",
        "s1    failed  c              1",
        "… and more than these 2; raise --limit",
    ]
    request = fake.requests("Steps")[0]
    assert (request.prefix, list(request.states), request.command) == ("s", ["failed", "retrying"], "c")
    assert len(json.loads(invoke("steps", "w", "--json").stdout)) == 3
    assert invoke("steps", "w", "--state", "broken").exit_code == 2
    fake.script["Steps"] = [api_pb2.StepsResponse()]
    assert invoke("steps", "w").stdout == "No Steps.\n"


def test_explain_and_workers(invoke: Invoke, fake: Any) -> None:
    """explain and workers print what the server tells, as words and as JSON."""
    told = api_pb2.Explanation(step="s", state="ready", summary="is ready", reason="first")
    fake.script["Explain"] = [api_pb2.ExplainResponse(steps=[told])]
    fake.script["Workers"] = [
        api_pb2.WorkersResponse(workers=[api_pb2.WorkerDebug(name="w1", pool="big", slots=4, attempts=3)]),
        api_pb2.WorkersResponse(),
    ]
    assert invoke("explain", "w", "s").stdout == "s (ready)\nis ready\nwhy: it is new\n"
    assert json.loads(invoke("explain", "w", "s", "--json").stdout)[0]["reason"] == "first"
    fake.script["Explain"] = [api_pb2.ExplainResponse(steps=[told], truncated=True)]
    assert "more than these" in invoke("explain", "w", "s").stdout
    fake.script["Workers"][0].workers[0].metadata.update({"zone": "eu-1", "spot": True})
    assert invoke("workers").stdout.splitlines()[1].split()[:4] == ["w1", "big", "well", "3/4"]
    assert invoke("workers").stdout == "No workers.\n"


def test_drain_asks_workers_to_leave(invoke: Invoke, fake: Any) -> None:
    """drain prints the names; what the server refuses is an error with its code."""
    fake.script["Drain"] = [api_pb2.DrainResponse(names=["w1", "w2"])]
    assert invoke("drain", "w1", "w2").stdout.split() == ["w1", "w2"]
    assert list(fake.requests("Drain")[0].names) == ["w1", "w2"]


def test_announce(invoke: Invoke, fake: Any) -> None:
    """announce names keys and prints those that are there."""
    fake.script["Announce"] = [
        lambda request: api_pb2.AnnounceResponse(keys=[model_pb2.Publication(key=key) for key in request.keys])
    ]
    assert invoke("announce", "w", "a", "b/").stdout == "a\nb/\n"
    assert json.loads(invoke("announce", "w", "a", "--json").stdout) == ["a"]


def test_control(invoke: Invoke, fake: Any) -> None:
    """run, halt, expire and launch print what the server answers."""
    fake.script = {
        "Run": [api_pb2.RunResponse(workflow="w", state="running")],
        "Halt": [api_pb2.HaltResponse(workflow="w", state="halted")],
        "Expire": [api_pb2.ExpireResponse(steps=["s"], keys=["k"])],
        "Launch": [lambda request: api_pb2.LaunchResponse(names=request.names)],
    }
    assert invoke("run", "w").stdout == "w running\n"
    assert json.loads(invoke("halt", "w", "--json").stdout) == {"workflow": "w", "state": "halted"}
    assert invoke("expire", "w", "s", "key:k").stdout == "run again 1: s\nkeys 1: k\n"
    assert invoke("launch", "a", "b", "-m", "pool=big").stdout == "a\nb\n"
    assert dict(fake.requests("Launch")[0].metadata) == {"pool": "big"}
    assert invoke("launch", "a", "-m", "pool").exit_code == 2


def test_look(invoke: Invoke, fake: Any, status: Any) -> None:
    """workflows and status print tables, or JSON before or behind the command."""
    fake.script["Status"] = [status("running", complete=1, running=1)]
    fake.script["Workflows"] = [api_pb2.WorkflowsResponse(workflows=[api_pb2.Workflow(name="w", state="running")])]
    assert invoke("status", "w").stdout == "running\n1 of 2 Steps complete, 1 running\n"
    assert json.loads(invoke("--json", "status", "w").stdout)["state"] == "running"
    assert invoke("workflows", "--owner", "me").stdout.splitlines()[0].split()[0] == "NAME"
    assert fake.requests("Workflows")[0].owner == "me"
    invoke("status", "w", "--debug", "--page-start", "5")
    assert fake.requests("Status")[-1].page_start == 5


def test_wait(invoke: Invoke, fake: Any, status: Any) -> None:
    """Waiting prints a line per change to stderr and the end to stdout; only complete is success."""
    fake.script["Status"] = [status("running", running=2)] * 3 + [status("complete", complete=2)]
    result = invoke("wait", "w")
    assert result.exit_code == 0
    assert result.stdout == "complete\n2 of 2 Steps complete\n"
    assert result.stderr.splitlines()[0] == "0 of 2 Steps complete, 2 running (running)"
    assert result.stderr.splitlines()[-1].startswith("2 of 2 Steps complete")
    fake.script["Status"] = [status("error", failed=1)]
    assert invoke("wait", "w").exit_code == 1
    fake.script["Status"] = [status("running", stalled=True, missing_inputs=["in.csv"])]
    result = invoke("wait", "w", "--json")
    assert (result.exit_code, json.loads(result.stdout)["missing-inputs"]) == (1, ["in.csv"])


def test_wait_gives_up(invoke: Invoke, fake: Any, status: Any) -> None:
    """A timeout is one line and exit code 1."""
    fake.script["Status"] = [status("running", running=2)]
    result = invoke("wait", "w", "--timeout", "1")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == "error: Still running after 1 s: 0 of 2 Steps complete, 2 running"


def test_data(invoke: Invoke, fake: Any, tmp_path: Path) -> None:
    """put, get and ls move and list files; get without a file writes to standard output, bytes as they are."""
    source = tmp_path / "in"
    source.write_bytes(b"\x00\xff")
    fake.script["List"] = [
        lambda _: api_pb2.ListResponse(files=[model_pb2.FileVersion(key=key) for key in fake.files], truncated=True)
    ]
    assert invoke("put", "w", "k", str(source)).stdout.splitlines()[1].split() == ["k", "2", "B"]
    assert invoke("put", "w", "piped", "-", input=b"from stdin").exit_code == 0
    assert invoke("get", "w", "k").stdout_bytes == b"\x00\xff"
    assert invoke("get", "w", "piped", str(tmp_path / "out")).exit_code == 0
    assert (tmp_path / "out").read_bytes() == b"from stdin"
    assert [file["key"] for file in json.loads(invoke("ls", "w", "--json").stdout)] == ["k", "piped"]
    assert "more than these" in invoke("ls", "w").stdout
    assert invoke("get", "w", "tree/").exit_code == 2
    missing = invoke("put", "w", "k", str(tmp_path / "nope"))
    assert (missing.exit_code, missing.stderr) == (2, f"error: {tmp_path}/nope: No such file or directory\n")


def test_check(tmp_path: Path) -> None:
    """check needs no server, counts what it read, and names every problem with its line."""
    bad = tmp_path / "bad.yaml"
    bad.write_text("- name: s\n  command: nope\n")
    invoke = CliRunner().invoke
    good = invoke(cli_main.cli, ["check", *HELLO])
    assert (good.exit_code, good.stdout) == (0, "1 Command, 1 Step: no problem\n")
    alone = invoke(cli_main.cli, ["check", str(bad)])
    assert (alone.exit_code, alone.stdout) == (0, "0 Commands, 1 Step: no problem\n")
    result = invoke(cli_main.cli, ["check", HELLO[0], str(bad)])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"{bad}:2: steps[0].command: there is no Command 'nope'")
    reply = json.loads(invoke(cli_main.cli, ["check", HELLO[0], str(bad), "--json"]).stdout)
    assert (reply["steps"], len(reply["problems"])) == (1, 1)


def test_config_tells_where_values_come_from(tmp_path: Path) -> None:
    """config shows the settings of a program, who gave each, and no secret."""
    path = tmp_path / "gaia.toml"
    path.write_text('slots = 2\npool = "big"\n[kafka]\n"sasl.password" = "hush"\n"security.protocol" = "SSL"\n')
    invoke = CliRunner(env={"GAIA_POOL": "small", "GAIA_TOKEN": "hush", "GAIA_SLOTS": None}).invoke
    flags = ["config", "worker", "--config", str(path), "--executor", "noop"]
    lines = [re.split(r"\s{2,}", line) for line in invoke(cli_main.cli, flags).stdout.splitlines()]
    assert lines[0] == ["SETTING", "VALUE", "FROM"]
    for line in (
        ["token", "(hidden)", "environment GAIA_TOKEN"],
        ["slots", "2", f"file {path}"],
        ["pool", "small", "environment GAIA_POOL"],
        ["executor", "noop", "flag"],
        ["s3_secure", "true", "default"],
        ["kafka.sasl.password", "(hidden)", f"file {path}"],
        ["kafka.security.protocol", "SSL", f"file {path}"],
    ):
        assert line in lines
    names = [line[0] for line in lines]
    assert "workers" not in names
    reply = invoke(cli_main.cli, ["config", "--json"]).stdout
    assert "hush" not in reply
    shown = {each["name"]: each for each in json.loads(reply)}
    assert (shown["token"]["value"], shown["token"]["hidden"]) == (None, True)
    assert (shown["slots"]["value"], shown["buckets"]["value"], shown["data"]["value"]) == (0, [], "gaia-data")


@pytest.mark.parametrize(
    "arguments", [["up", "--slot", "3"], ["up", "--slots", "no"], ["nope"], ["--config", "/no/such/file"]]
)
def test_config_refuses_what_the_program_would(arguments: list[str]) -> None:
    """A flag, value, program or file that is wrong is an error in lines, with exit code 2."""
    result = CliRunner().invoke(cli_main.cli, ["config", *arguments])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "error" in result.stderr.lower()


@pytest.mark.parametrize("name", [name for name in BY_NAME if not issubclass(BY_NAME[name], gaia.Unavailable)])
def test_exit_codes_are_those_of_the_errors(invoke: Invoke, fake: Any, name: str) -> None:
    """Each error of the server ends with its own exit code, in words and without a traceback."""
    fake.script["Halt"] = [BY_NAME[name]("Bad\x1b[31m things.", hint="try this")]
    result = invoke("halt", "w")
    assert result.exit_code == BY_NAME[name].exit_code
    assert result.stderr.splitlines()[:2] == ["error: Bad [31m things.", "hint: try this"]
    is_ours = issubclass(BY_NAME[name], gaia.Bug) and not issubclass(BY_NAME[name], JournalCorrupt)
    assert ("report it" in result.stderr) == is_ours


def test_nobody_there(dead_address: str, pauses: list[float]) -> None:
    """No server: one line with the address tried, the hint to start one, exit code 5."""
    result = CliRunner().invoke(cli_main.cli, ["--host", dead_address, "workflows"])
    assert result.exit_code == 5
    assert result.stderr == f"error: No Gaia server answers at {dead_address}\nhint: start one with: gaia up\n"


def test_errors_as_json(invoke: Invoke, fake: Any) -> None:
    """With --json an error is one JSON object on stderr, whoever made it."""
    fake.script["Run"] = [gaia.UnknownName("There is no workflow 'w'")]
    assert json.loads(invoke("run", "w", "--json").stderr) == {
        "error": "UnknownName", "message": "There is no workflow 'w'", "hint": "", "problems": [],
    }  # fmt: skip
    assert json.loads(invoke("run", "--json").stderr)["error"] == "MissingParameter"


def test_usage_errors(invoke: Invoke) -> None:
    """A wrong command or option is exit code 2, and the right one is suggested."""
    result = invoke("statsu", "w")
    assert result.exit_code == 2
    assert "Did you mean 'status'?" in result.stderr
    assert invoke("status").exit_code == 2
    assert invoke("status", "w", "--nope").exit_code == 2


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (KeyboardInterrupt(), 130, ""),
        (click.Abort(), 130, ""),
        (BrokenPipeError(), 1, ""),
        (TimeoutError("Still running"), 1, "error: Still running\n"),
        (PermissionError(13, "Permission denied", "/x"), 2, "error: /x: Permission denied\n"),
        (ModuleNotFoundError("no", name="confluent_kafka"), 2, "needs the library confluent_kafka"),
        (ValueError("odd"), 70, "error: ValueError: odd\nThis is a bug in Gaia"),
    ],
)
def test_any_error_is_lines_and_a_code(
    error: BaseException, code: int, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is raised ends in a code and lines, never in a traceback."""
    monkeypatch.setattr(cli_main, "_silence_stdout", lambda: None)

    def fail() -> None:
        raise error

    assert cli_main.guarded(fail) == code
    told = capsys.readouterr().err
    assert words in told
    assert "Traceback" not in told


def test_a_damaged_journal_is_no_bug_of_gaia(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever runs it has to act, as the hint says; there is nothing to report."""

    def fail() -> None:
        raise JournalCorrupt("Record 7 is damaged.", hint="restore it")

    assert cli_main.guarded(fail) == 70
    assert capsys.readouterr().err == "error: Record 7 is damaged.\nhint: restore it\n"


def test_traceback_on_demand(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """GAIA_DEBUG=1 shows the traceback as well."""
    monkeypatch.setenv("GAIA_DEBUG", "1")
    assert cli_main.guarded(lambda: 1 / 0) == 70
    assert "Traceback" in capsys.readouterr().err


def test_lost_server_in_the_middle(invoke: Invoke, fake: Any) -> None:
    """A server that stays away after an answer ends with code 5."""
    fake.script["Halt"] = [grpc.StatusCode.UNAVAILABLE]
    assert invoke("halt", "w").exit_code == 5


def test_import_is_light() -> None:
    """`import gaia` and the help load no transport, no server and no table library."""
    loaded = "{'grpc', 'google.protobuf', 'rich', 'yaml', 'confluent_kafka', 'minio', 'docker'} & set(sys.modules)"
    light = run_python("-c", f"import sys, gaia; gaia.GaiaError; sys.exit(str({loaded} or ''))")
    helped = run_python(
        "-c",
        "import sys; from gaia_client.cli.main import cli\n"
        "try: cli.main(['--help'])\n"
        f"except SystemExit: sys.exit(str({loaded} or ''))",
    )
    assert (light.stderr.strip(), helped.stderr.strip()) == ("", "")


def test_python_m_gaia() -> None:
    """`python -m gaia` is the command line, and its reader may leave early."""
    assert run_python("-m", "gaia", "--version").stdout == f"gaia {gaia.__version__}\n"
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed_pipe:
        process = subprocess.run(
            [sys.executable, "-m", "gaia", "--help"], cwd=ROOT, stdout=closed_pipe, stderr=subprocess.PIPE, check=False
        )
    assert process.stderr == b""


def test_unknown_attribute() -> None:
    """The package answers like any other to a name it does not have, and lists those it has."""
    with pytest.raises(AttributeError):
        _ = gaia.Gaya  # type: ignore[attr-defined]
    assert {"Gaia", "GaiaError"} <= set(dir(gaia))
