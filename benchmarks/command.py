"""What the commands of this folder share: arguments, a folder, services, JSON lines, how a failure ends.

A command makes its parser with `parser`, and gives `carry_out` what it measures.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException
from rich.console import Console

from benchmarks import report
from benchmarks.audit import BenchmarkFailed
from benchmarks.deployments import Services
from benchmarks.report import Bar
from benchmarks.throughput import Output
from benchmarks.usage import environment
from gaia_core.errors import GaiaError
from tests.support.services import KafkaService, MinioService
from tests.support.waiting import TooLate

Result = dict[str, Any]


@dataclass
class Bench:
    """Where a command measures and says what it found.

    Attributes:
        folder: for data folders.
        services: Kafka and MinIO, where the command wants them.
    """

    output: Output
    console: Console
    folder: Path
    services: Services | None = None

    @property
    def cluster_services(self) -> Services:
        """Return Kafka and MinIO."""
        assert self.services is not None, "the command has asked for them"
        return self.services

    def tell(self, words: str) -> None:
        """Say on stderr what is done now."""
        self.console.print(words, style="dim", markup=False)

    @contextmanager
    def place(self) -> Iterator[Path]:
        """Give a folder for one deployment, removed at the end."""
        with tempfile.TemporaryDirectory(dir=self.folder) as place:
            yield Path(place)

    def conclude(self, figures: Sequence[Result], ratios: Mapping[str, float], bars: Sequence[Bar]) -> None:
        """Print summaries, ratios and bars."""
        for one in figures:
            self.output.line({"summary": one})
        self.output.line({"ratios": dict(ratios)})
        for bar in bars:
            self.output.line({"bar": bar.what, "value": bar.value, "limit": bar.limit, "met": bar.is_met})
        report.show_figures(self.console, figures, ratios, bars)


def parser(name: str, purpose: str, repetitions: int) -> argparse.ArgumentParser:
    """Return a parser with the options that all commands have."""
    made = argparse.ArgumentParser(prog=f"benchmarks.{name}", description=purpose.splitlines()[0])
    made.add_argument("--repetitions", type=int, default=repetitions, help="of each run [%(default)s]")
    made.add_argument("--json", type=Path, metavar="FILE", help="write the JSON lines into a file as well")
    made.add_argument("--folder", type=Path, metavar="DIR", help="where data folders are made; a real disk [temp]")
    return made


def carry_out(given: argparse.Namespace, measure: Callable[[Bench], None], *, on_kafka: bool) -> int:
    """Measure; return the exit code: 1 if a run failed or its counts are wrong, whether or not a bar is reached."""
    for name in [name for name in os.environ if name.startswith("GAIA_")]:
        # A user's own settings must not reach the processes that are measured.
        del os.environ[name]
    console, output = Console(stderr=True), Output(given.json)
    try:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gaia-bench-", dir=given.folder)))
            services = _services(stack, console) if on_kafka else None
            output.line({"environment": environment(folder, {})})
            measure(Bench(output, console, folder, services))
    except (BenchmarkFailed, GaiaError, KafkaException, TooLate, OSError) as problem:
        output.line({"failed": str(problem)})
        console.print(f"FAILED: {problem}", style="bold red", markup=False)
        return 1
    return 0


def _services(stack: ExitStack, console: Console) -> Services:
    console.print("starting Kafka and MinIO", style="dim")
    with redirect_stdout(sys.stderr):  # what is said about images does not belong among the results
        return Services(stack.enter_context(KafkaService()), stack.enter_context(MinioService()))
