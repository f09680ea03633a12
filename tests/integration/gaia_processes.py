"""Gaia as users run it: real processes through the real command line, on ports and folders of their own."""

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import yaml

from gaia_client.client import Gaia
from tests.support.waiting import wait_until

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
START_S = 60.0


def free_address() -> str:
    """Return an address on the loopback interface that nothing uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


class GaiaProcess:
    """One `gaia …` process with its output in a file."""

    program: tuple[str, ...] = (sys.executable, "-m", "gaia")

    def __init__(self, arguments: list[str], log: Path, environ: Mapping[str, str] | None = None) -> None:
        self.arguments = arguments
        self.log = log
        self._environ = {**os.environ, **(environ or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start the process."""
        with self.log.open("ab") as output:
            command = [*self.program, *self.arguments]
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=self._environ
            )
        return self

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """The running process."""
        assert self._process is not None
        return self._process

    def said(self) -> str:
        """Return everything the process wrote so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def await_words(self, words: str) -> None:
        """Wait until the process has written these words."""
        wait_until(lambda: words in self.said() or self._gone(), words, deadline_s=START_S, evidence=self.said)
        assert words in self.said(), self.said()

    def kill(self) -> None:
        """End the process as a power cut would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ask the process to stop and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=START_S)

    def _gone(self) -> bool:
        return self.process.poll() is not None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.stop()


class Up(GaiaProcess):
    """`gaia up` on a data folder."""

    def __init__(self, folder: Path, *flags: str, environ: Mapping[str, str] | None = None) -> None:
        self.address, self.http = free_address(), free_address()
        self.data = folder / "data"
        flags = flags or ("--executor", "sandbox")
        arguments = ["up", "--data", str(self.data), "--listen", self.address, "--http", self.http, *flags]
        super().__init__(arguments, folder / "up.log", environ)

    def start(self) -> Self:
        """Start it and wait until it answers."""
        before = self.said().count("Gaia is up")
        super().start()
        wait_until(
            lambda: self.said().count("Gaia is up") > before or self._gone(),
            "gaia up answers",
            deadline_s=START_S,
            evidence=self.said,
        )
        assert not self._gone(), self.said()
        return self

    def client(self) -> Gaia:
        """Return a client of it."""
        return Gaia({"gaia_host": self.address})


def http_status(url: str) -> int:
    """Return the status of a GET."""
    try:
        with urllib.request.urlopen(url, timeout=10) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as refusal:
        refusal.close()
        return refusal.code


def example(name: str, image: str = "busybox:1.36") -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return (Commands, Steps) of an example, its image exchanged for one that this machine has."""
    folder = EXAMPLES / name
    commands = yaml.safe_load((folder / "commands.yaml").read_text())
    steps = yaml.safe_load((folder / "steps.yaml").read_text())
    return [{**command, "image": image} for command in commands], steps
