"""The clients in other languages, built and run as their READMEs tell to, against a real `gaia up` with a token.

Each is built in a copy of its folder, so the source tree stays as it is; what the builds fetch, the tools keep in
caches of their own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from gaia_client.client import Gaia
from tests.integration.gaia_processes import EXAMPLES, Up
from tests.support.machine import ServiceMissing, ensure_programs

PROGRAMS = {"go": ["go"], "java": ["javac", "mvn"], "typescript": ["node", "npm"]}
TOKEN = "a token that is not guessed"
BUILD_S, RUN_S = 900, 60

BUILT = shutil.ignore_patterns("gen", "gaia-client", "target", "node_modules", "dist")
"""What a developer may have built in the source tree."""

_SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Client(NamedTuple):
    """A client that is built.

    Attributes:
        folder: where it was built.
        command: what runs it there, as its README says, with a workflow's name at the end.
    """

    folder: Path
    command: str

    def run(self, up: Up, workflow: str, token: str = TOKEN) -> subprocess.CompletedProcess[str]:
        """Let it run its workflow under this name."""
        program = self.command.rpartition(" ")[0]
        environ = {**os.environ, "GAIA_HOST": up.address, "GAIA_TOKEN": token}
        return subprocess.run(
            [*program.split(), workflow],
            cwd=self.folder,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=RUN_S,
        )


@pytest.fixture(scope="module", params=PROGRAMS)
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Client:
    """One of the clients, built by the first block of its README; the second block runs it."""
    language = request.param
    try:
        ensure_programs(*PROGRAMS[language])
    except ServiceMissing as problem:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(problem))
    project = tmp_path_factory.mktemp(language)
    shutil.copytree(EXAMPLES.parent / "protos", project / "protos")
    folder = project / "examples" / "clients" / language
    shutil.copytree(EXAMPLES / "clients" / language, folder, ignore=BUILT)
    build, run = _SHELL.findall((folder / "README.md").read_text(encoding="utf-8"))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # buf is beside Python
    done = subprocess.run(
        ["sh", "-ec", build],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return Client(folder, run.strip())


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A real `gaia up` that wants a token."""
    with pytest.MonkeyPatch.context() as settings:
        settings.setenv("GAIA_TOKEN", TOKEN)
        started = Up(tmp_path_factory.mktemp("up"))
    with started:
        yield started


def test_a_client_runs_a_workflow(client: Client, up: Up) -> None:
    """It uploads, twice with one request id, sees an event of every Step, prints the result, and shows a refusal."""
    workflow = f"demo_{client.folder.name}"
    done = client.run(up, workflow)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.splitlines()
    steps = ["greet-Ada", "greet-Grace", "greet-Katherine", "gather"]
    completed = [line.removeprefix("completed ") for line in said if line.startswith("completed ")]
    assert said[:2] == [f"added {' '.join(steps)}", "sent again, same answer: true"]
    assert sorted(completed) == sorted(steps)
    assert said[-7:] == [
        "the workflow is complete",
        "Hello, Ada!",
        "Hello, Grace!",
        "Hello, Katherine!",
        "refused (InvalidWorkflow): The request has 2 problems; nothing was changed.",
        "  steps[0].command: there is no Command 'gret'; did you mean 'greet'?",
        "  steps[1].vars: nothing defines {{NAME}} (spliced by Command 'greet')",
    ]
    with Gaia({"gaia_host": up.address, "token": TOKEN}) as flow:
        assert flow.status(workflow)["steps"]["complete"] == len(steps)


def test_a_refused_client_says_why(client: Client, up: Up) -> None:
    """A name that is taken, and a wrong token, end it with Gaia's own words and exit code 1."""
    workflow = f"demo_taken_{client.folder.name}"
    with Gaia({"gaia_host": up.address, "token": TOKEN}) as flow:
        flow.upload(workflow, {}, [], [])
    taken = client.run(up, workflow)
    words = f"refused (AlreadyExists): There already is a workflow '{workflow}'.\n"
    assert (taken.returncode, taken.stdout, taken.stderr) == (1, "", words)
    stranger = client.run(up, f"{workflow}_not", token="guessed")
    words = "refused (NotAuthorized): The token is missing or wrong.\n"
    assert (stranger.returncode, stranger.stdout, stranger.stderr) == (1, "", words)
