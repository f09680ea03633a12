"""Pages whose blocks are run as they stand: in order, in an empty folder, against the `gaia up` that they start.

A block counts if the line above it is `<!-- tour -->` (sh or python, run to its end) or `<!-- tour: up -->` (a server,
left running). A text block right below is what the block prints: `…` stands for anything within a line and, alone on a
line, for any lines. Environment variables lead the tour to free ports and away from whatever else runs here.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.integration.gaia_processes import free_address
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
BLOCK_S = 120

_BLOCK = re.compile(
    r"^<!-- tour(?P<up>: up)? -->\n```(?P<language>sh|python)\n(?P<code>.*?)^```\n"
    r"(?:\n```text\n(?P<shown>.*?)^```\n)?",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """One block of the tour.

    Attributes:
        line: where it stands in the page.
        shown: what it prints, as the page shows it; "" where it shows nothing.
    """

    line: int
    is_server: bool
    language: str
    code: str
    shown: str


def blocks(text: str) -> list[Block]:
    """Return the blocks of a page in order."""
    return [
        Block(
            text[: found.start()].count("\n") + 1,
            found["up"] is not None,
            found["language"],
            found["code"],
            found["shown"] or "",
        )
        for found in _BLOCK.finditer(text)
    ]


def pattern(shown: str) -> re.Pattern[str]:
    """Return what output must match to be what the page shows."""
    lines = [
        r"(?:[^\n]*\n)*?" if line.strip() == "…" else re.escape(line.rstrip()).replace("…", r"[^\n]*") + r"[ ]*\n"
        for line in shown.splitlines()
    ]
    return re.compile("".join(lines))


class Tour:
    """The folder of the tour, its environment, and the server that runs in it."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self.environ = dict(environ)
        self._server: subprocess.Popen[bytes] | None = None

    def start(self, block: Block) -> None:
        """Start the server, in place of one that the block before has killed."""
        self.end_server(kill=False)
        log = self._folder / f"up-{block.line}.log"
        with log.open("wb") as output:
            command = ["sh", "-c", f"exec {block.code}"]
            self._server = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self._folder, env=self.environ
            )
        server = self._server
        wait_until(lambda: "Gaia is up" in log.read_text() or server.poll() is not None, "gaia up", deadline_s=60.0)
        assert server.poll() is None, log.read_text()

    def run(self, block: Block) -> str:
        """Run a block and return what it prints; one that ends in an error prints that too."""
        command = [sys.executable, "-"] if block.language == "python" else ["sh", "-s"]
        done = subprocess.run(
            command,
            input=block.code,
            cwd=self._folder,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=BLOCK_S,
        )
        assert done.returncode == 0 or "error:" in block.shown, done.stdout + done.stderr
        return done.stdout if done.returncode == 0 else done.stdout + done.stderr

    def end_server(self, *, kill: bool) -> None:
        """Wait for the end of the server; with kill, bring it about."""
        if self._server is not None:
            if kill:
                self._server.send_signal(signal.SIGTERM)
            self._server.wait(timeout=60)

    def follow(self, page: Path, ports: Mapping[str, str]) -> None:
        """Run every block of a page and compare what it prints with what the page shows.

        Args:
            ports: addresses that the page names, and those that stand for them here.
        """
        for block in blocks(page.read_text(encoding="utf-8")):
            if block.is_server:
                self.start(block)
                continue
            code = block.code
            for shown, here in ports.items():
                code = code.replace(shown, here)
            printed = self.run(block._replace(code=code))
            where = f"{page.name}, line {block.line}, printed:\n{printed}"
            assert pattern(block.shown).fullmatch("".join(f"{line}\n" for line in printed.splitlines())), where


@contextmanager
def open_tour(folder: Path) -> Iterator[Tour]:
    """Give an empty folder with the examples in it, and this project's `gaia` as the first one on the path."""
    programs, place = folder / "bin", folder / "tour"
    programs.mkdir()
    place.mkdir()
    shutil.copytree(ROOT / "examples", place / "examples")
    program = programs / "gaia"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m gaia "$@"\n')
    program.chmod(0o755)
    address = free_address()
    environ = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "GAIA_LISTEN": address,
        "GAIA_HOST": address,
        "GAIA_HTTP_LISTEN": free_address(),
    }
    tour = Tour(place, environ)
    try:
        yield tour
    finally:
        tour.end_server(kill=True)
