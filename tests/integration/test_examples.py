"""The examples as their READMEs tell to run them."""

import os
import subprocess
import sys
from pathlib import Path

from tests.integration.gaia_processes import EXAMPLES, Up


def test_hello_through_the_command_line(tmp_path: Path) -> None:
    """The smallest example: upload, wait, get."""
    with Up(tmp_path) as up:
        environ = {**os.environ, "GAIA_HOST": up.address}

        def gaia(*arguments: str) -> str:
            command = [sys.executable, "-m", "gaia", *arguments]
            done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            return done.stdout

        folder = EXAMPLES / "hello"
        gaia("check", str(folder / "commands.yaml"), str(folder / "steps.yaml"))
        gaia("upload", "hello_demo", str(folder / "commands.yaml"), str(folder / "steps.yaml"))
        gaia("wait", "hello_demo")
        assert gaia("get", "hello_demo", "greeting.txt") == "Hello, Gaia!\n"
        assert "greeting.txt" in gaia("ls", "hello_demo")


def test_the_old_pages_lines(tmp_path: Path) -> None:
    """The demo of the original client's page: its own Python lines write 100 lines and count them."""
    with Up(tmp_path) as up:
        environ = {**os.environ, "GAIA_HOST": up.address}
        command = [sys.executable, str(EXAMPLES / "demo" / "run.py")]
        done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        with up.client() as flow:
            (workflow,) = flow.workflows()
            assert (workflow["state"], workflow["owner"]) == ("complete", "crick")
            assert flow.get(workflow["name"], "count.txt") == b"100\n"
            log = flow.get(workflow["name"], "logs/count.txt")
            assert log is not None
            assert b"100" in log
