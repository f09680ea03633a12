"""The original system's own client, unchanged, against the HTTP port of a real `gaia up`.

Its code runs on Python 3 as it is. Only `import gaia; gaia.Gaia()` of its page does not: the published package's
`__init__` is empty, so it is `from gaia.client import Gaia`. `launch` and `pull_inputs` call no server of ours: they
run scripts for machines and files in a cloud.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.gaia_processes import Up
from tests.support.waiting import wait_until

WORKFLOW = "crick_DemoWorkflow_20191209.133734"
TOKEN = "choose-one"

CALL = """
import json, sys
import gaia, requests
from gaia.client import Gaia

where, host, method, arguments = json.load(sys.stdin)
assert gaia.__file__.startswith(where), gaia.__file__
try:
    print(json.dumps({"reply": getattr(Gaia({"gaia_host": host}), method)(*arguments)}))
except requests.HTTPError as refusal:
    print(json.dumps({"refused": refusal.args[0]}))
"""

COMMANDS = [
    {
        "name": "lines",
        "image": "busybox:1.36",
        "command": ["sh", "-c", "for word in {{WORDS}}; do echo $word; done > /tmp/lines.txt; echo done"],
        "inputs": {},
        "outputs": {"0": ">>", "1": "/tmp/lines.txt"},
        "vars": {"WORDS": "one two"},
    },
    {
        "name": "count",
        "image": "busybox:1.36",
        "command": ["sh", "-c", "{{NAP}}; wc -l < {{0}}"],
        "inputs": {"0": "/in/lines.txt"},
        "outputs": {"1": "/tmp/count.txt"},
        "vars": {"NAP": ":"},
        "stdout": "/tmp/count.txt",
    },
]
STEPS = [
    {
        "name": "lines",
        "command": "lines",
        "inputs": {},
        "outputs": {"0": "sisyphus-crick:logs/{{SET}}.log", "1": "lines/{{SET}}.txt"},
        "vars": {"SET": ["a", "b"]},
        "timeout": 10,
    },
    {"name": "count", "command": "count", "inputs": {"0": "lines/a.txt"}, "outputs": {"1": "count.txt"}, "timeout": 10},
]


class OriginalClient:
    """Calls the original client's methods, each in a process of its own."""

    def __init__(self, folder: Path, host: str) -> None:
        self._folder = folder
        self._host = host

    def reply(self, method: str, *arguments: Any) -> Any:
        """Return what a method returns."""
        told = self._call(method, arguments)
        assert "reply" in told, told
        return told["reply"]

    def refusal(self, method: str, *arguments: Any) -> Any:
        """Return the body of the refusal of a call."""
        told = self._call(method, arguments)
        assert "refused" in told, told
        return told["refused"]

    def _call(self, method: str, arguments: tuple[Any, ...]) -> Any:
        said = json.dumps([str(self._folder), self._host, method, arguments])
        return json.loads(self._run("-c", CALL, said=said))

    def program(self, *arguments: str) -> str:
        """Run the client's own command line and return what it prints."""
        return self._run("-m", "gaia.client", *arguments, "--host", self._host)

    def _run(self, *arguments: str, said: str = "") -> str:
        environ = {**os.environ, "PYTHONPATH": str(self._folder), "USER": "crick"}
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command, input=said, cwd=self._folder, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def wait(self, state: str) -> Any:
        """Wait until the workflow has a state, and return its status."""
        return wait_until(lambda: self._status_if(state), state, deadline_s=60.0)

    def _status_if(self, state: str) -> Any:
        status = self.reply("status", WORKFLOW)["status"]
        return status if status["state"] == state else None


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A `gaia up` for this module's tests."""
    with Up(tmp_path_factory.mktemp("up")) as started:
        yield started


def test_the_methods_of_its_page_do_what_the_page_says(up: Up, original_client: Path) -> None:
    """upload, command, merge, halt, run, status, expire and workflows, in the life of one workflow."""
    flow = OriginalClient(original_client, up.http)
    made = flow.reply("upload", WORKFLOW, {"owner": "crick"}, COMMANDS, STEPS)
    assert made == {"workflow": {WORKFLOW: ["lines-a", "lines-b", "count"]}}
    by_name = {command["name"]: command for command in COMMANDS}
    assert flow.wait("complete")["commands"] == by_name
    assert flow.reply("command", WORKFLOW) == {"commands": by_name}
    assert up.client().get(WORKFLOW, "count.txt").strip() == b"2"

    longer = {**COMMANDS[0], "vars": {"WORDS": "one two three"}}
    assert flow.reply("command", WORKFLOW, [longer]) == {"commands": {**by_name, "lines": longer}}
    flow.wait("complete")
    assert up.client().get(WORKFLOW, "count.txt").strip() == b"3"

    nap = {**STEPS[1], "vars": {"NAP": "sleep 600"}, "timeout": 900}
    late = {**STEPS[1], "name": "late", "inputs": {"0": "late.txt"}, "outputs": {"1": "late-count.txt"}}
    assert flow.reply("merge", WORKFLOW, [late, nap]) == {"steps": ["late", "count"]}
    status = flow.reply("status", WORKFLOW, True)["status"]
    assert (status["state"], status["waiting-inputs"]) == ("running", ["late.txt"])
    assert [step["name"] for step in status["debug"]["steps"]] == ["lines-a", "lines-b", "count", "late"]
    assert flow.reply("halt", WORKFLOW) == {"halt": WORKFLOW}
    assert flow.wait("halted")["steps"]["running"] == 0
    assert flow.reply("merge", WORKFLOW, [STEPS[1]]) == {"steps": ["count"]}
    assert flow.reply("run", WORKFLOW) == {"run": WORKFLOW}
    up.client().put(WORKFLOW, "late.txt", b"x\n")
    flow.wait("complete")

    names = ["lines", "late.txt"]
    assert flow.reply("expire", WORKFLOW, names) == {"expire": names}
    assert flow.wait("complete")["steps"]["complete"] == 4
    line = flow.reply("workflows")["workflows"][WORKFLOW]
    assert {name: line[name] for name in ("name", "state", "properties", "step-count")} == {
        "name": WORKFLOW,
        "state": "complete",
        "properties": {"owner": "crick"},
        "step-count": 4,
    }


def test_its_refusals_carry_our_words(up: Up, original_client: Path) -> None:
    """It raises HTTPError with the body of the refusal."""
    flow = OriginalClient(original_client, up.http)
    assert flow.refusal("status", "nobody") == {"error": "There is no workflow 'nobody'."}
    broken = [{"name": "a", "command": "none", "input": {}}]
    assert flow.refusal("merge", "new_flow", broken) == {
        "error": "The request has 2 problems; nothing was changed.\n"
        "  steps[0].input: is unknown; did you mean 'inputs'?\n"
        "  steps[0].command: there is no Command 'none'"
    }


def test_its_command_line_works(up: Up, original_client: Path, tmp_path: Path) -> None:
    """Its own program uploads files and shows what there is."""
    flow = OriginalClient(original_client, up.http)
    (tmp_path / "demo-commands.json").write_text(json.dumps(COMMANDS))
    (tmp_path / "demo-steps.json").write_text(json.dumps(STEPS))
    (tmp_path / "demo-commands.yaml").write_text(yaml.safe_dump(COMMANDS))
    (tmp_path / "demo-steps.yaml").write_text(yaml.safe_dump(STEPS))
    path = f"{tmp_path}/demo-"
    assert "'crick_json': ['lines-a', 'lines-b', 'count']" in flow.program("upload", "crick_json", "--path", path)
    flow.program("upload", "crick_yaml", "--path", path, "--extension", "yaml")
    assert "'crick_yaml': {" in flow.program("workflows", "all")
    assert "'waiting-inputs-count'" in flow.program("status", "crick_yaml")
    assert "'expire': ['lines', 'count.txt']" in flow.program("expire", "crick_yaml", "--path", "lines,count.txt")


def test_it_can_give_a_token_in_its_address(original_client: Path, tmp_path: Path) -> None:
    """With a token the server wants it from this client too, as the password of any user."""
    gaia = Up(tmp_path, "--executor", "noop")
    gaia._environ = {**gaia._environ, "GAIA_TOKEN": TOKEN}
    with gaia:
        stranger = OriginalClient(original_client, gaia.http)
        assert stranger.refusal("workflows") == {"error": "the token is missing or wrong"}
        assert OriginalClient(original_client, f"gaia:{TOKEN}@{gaia.http}").reply("workflows") == {"workflows": {}}
