"""How many no-op tasks a second Gaia embedded and its peers move, and how long a task of a chain takes, in turn.

    python -m benchmarks.peers [--only NAMES] [--repetitions N] [--scale SHARE] [--json FILE] [--folder DIR]

One JSON object per line on stdout: the environment, each run, then summaries, ratios and the bar; tables on stderr. A
peer that cannot be installed or run is named and left out. Ends with 1 if Gaia's own run failed, with 0 otherwise.
"""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from benchmarks.audit import BenchmarkFailed
from benchmarks.peers import summary, table
from benchmarks.peers.catalogue import PEERS, Peer
from benchmarks.peers.environments import python_of
from benchmarks.peers.running import run_gaia, run_peer, scaled
from benchmarks.throughput import Output
from benchmarks.usage import environment
from gaia_core.errors import GaiaError
from tests.support.machine import ServiceMissing
from tests.support.waiting import TooLate

STEPS: Final = 20_000
CHAIN_STEPS: Final = 300
REPETITIONS: Final = 5

GROUPS: Final = {
    "the best peer": [peer.name for peer in PEERS if peer.counts],
    "the best durable peer": [peer.name for peer in PEERS if peer.counts and peer.durable],
}
"""Peers of which the best is what Gaia is to be five times as fast as."""

Result = dict[str, Any]


def main() -> int:
    """Measure what the arguments ask for; return the exit code."""
    given = _arguments()
    # Leave by way of every `with`, so that no server stays behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end"))
    for name in [name for name in os.environ if name.startswith("GAIA_")]:
        # A user's own settings must not reach the processes that are measured.
        del os.environ[name]
    console, output = Console(stderr=True), Output(given.json)
    with tempfile.TemporaryDirectory(prefix="gaia-bench-", dir=given.folder) as name:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL runs as a user of its own, below it
        output.line({"environment": environment(folder, {})})
        subjects = Subjects(console, output)
        subjects.install([peer for peer in PEERS if peer.name in given.only])
        try:
            for repetition in range(1, given.repetitions + 1):
                console.print(f"repetition {repetition} of {given.repetitions}", style="dim")
                subjects.run_in_turn(repetition, given.scale, folder)
        except (BenchmarkFailed, GaiaError, TooLate, OSError) as problem:
            output.line({"failed": str(problem)})
            console.print(f"FAILED: {problem}", style="bold red", markup=False)
            return 1
    subjects.conclude()
    return 0


class Subjects:
    """Gaia and those peers that can be run here."""

    def __init__(self, console: Console, output: Output) -> None:
        self._console = console
        self._output = output
        self._peers: list[Peer] = []
        self._left_out: dict[str, str] = {}

    def install(self, peers: list[Peer]) -> None:
        """Install peers; the clock of no run sees that."""
        for peer in peers:
            self._console.print(f"installing {peer.name}", style="dim")
            try:
                python_of(peer.installed_as)
            except ServiceMissing as problem:
                self._leave_out(peer, problem)
            else:
                self._peers.append(peer)

    def run_in_turn(self, repetition: int, scale: float, folder: Path) -> None:
        """Run each once; another one begins each time, since the first and the last may have it better or worse."""
        runs: list[Callable[[], None]] = [lambda: self._run_gaia(repetition, scale, folder)]
        runs += [lambda peer=peer: self._run_peer(peer, repetition, scale, folder) for peer in self._peers]
        first = (repetition - 1) % len(runs)
        for run in runs[first:] + runs[:first]:
            run()

    def conclude(self) -> None:
        """Print summaries, ratios, the bar and who was left out."""
        results = self._output.results
        found = summary.summaries(results)
        compared = summary.ratios(found)
        reached = summary.bars(compared, GROUPS)
        for one in found:
            self._output.line({"summary": one})
        self._output.line({"ratios": compared})
        for bar, best in reached:
            self._output.line(
                {"bar": bar.what, "best": best, "value": bar.value, "limit": bar.limit, "met": bar.is_met}
            )
        self._output.line({"left_out": self._left_out})
        table.show(self._console, results, found, compared, reached)
        for name, reason in self._left_out.items():
            self._console.print(f"LEFT OUT: {name}: {reason}", style="bold red", markup=False)

    def _run_gaia(self, repetition: int, scale: float, folder: Path) -> None:
        for result in run_gaia(scaled(STEPS, scale), scaled(CHAIN_STEPS, scale), folder):
            self._output.result(result["benchmark"], repetition, result)

    def _run_peer(self, peer: Peer, repetition: int, scale: float, folder: Path) -> None:
        try:
            for result in run_peer(peer, scale, folder):
                self._output.result(result["benchmark"], repetition, result)
        except (BenchmarkFailed, ServiceMissing, TooLate, OSError) as problem:
            self._peers.remove(peer)
            self._leave_out(peer, problem)

    def _leave_out(self, peer: Peer, problem: Exception) -> None:
        self._left_out[peer.name] = str(problem)
        self._console.print(f"{peer.name} is left out: {problem}", style="bold red", markup=False)


def _arguments() -> argparse.Namespace:
    names = [peer.name for peer in PEERS]
    parser = argparse.ArgumentParser(prog="benchmarks.peers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="these peers beside Gaia [all]")
    parser.add_argument("--repetitions", type=int, default=REPETITIONS, help="of each run [%(default)s]")
    parser.add_argument("--scale", type=float, default=1.0, metavar="SHARE", help="of all tasks, for a quick look [1]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the JSON lines into a file as well")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="where data folders are made; a real disk [temp]")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
