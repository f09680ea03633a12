"""How many durable no-op Steps per second, and how many milliseconds per Step of a chain, beside the bare loop.

    python -m benchmarks.throughput [--steps N] [--only embedded|kafka] [--scaling] [--json FILE]

One JSON object per line on stdout: the environment, each run, then summaries, ratios and bars; a table on stderr. Ends
with 1 if a run failed or its counts are wrong, with 0 otherwise, whether or not a bar is reached.
"""

import argparse
import json
import os
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, Final

from confluent_kafka import KafkaException
from rich.console import Console

from benchmarks import flows, report
from benchmarks.audit import BenchmarkFailed
from benchmarks.deployments import Cluster, Deployment, Embedded, Services
from benchmarks.flows import Flow
from benchmarks.runs import audit_run, run_bare, run_flow, warm_up
from benchmarks.usage import environment
from gaia_core.errors import GaiaError
from tests.support.services import KafkaService, MinioService
from tests.support.waiting import TooLate

WIDE_STEPS: Final = 20_000
CHAIN_STEPS: Final = 300
REPETITIONS: Final = 3
BARE_STEPS: Final = 60_000
"""The bare loop is so fast that fewer of its steps would be over before it has got going."""

SCALING_STEPS: Final = (1_000, 10_000, 100_000)

Result = dict[str, Any]


class Output:
    """Takes results: a JSON line each on stdout, and into a file if one is wanted."""

    def __init__(self, file: Path | None) -> None:
        self.results: list[Result] = []
        self._file = file
        if file is not None:
            file.write_text("")

    def line(self, record: Result) -> None:
        """Print one record."""
        text = json.dumps(record)
        print(text, flush=True)
        if self._file is not None:
            with self._file.open("a") as opened:
                opened.write(text + "\n")

    def result(self, benchmark: str, repetition: int, found: Result) -> None:
        """Keep and print the figures of one run."""
        record = {"benchmark": benchmark, "repetition": repetition, **found}
        self.results.append(record)
        self.line(record)


def main() -> int:
    """Measure what the arguments ask for; return the exit code."""
    given = _arguments()
    for name in [name for name in os.environ if name.startswith("GAIA_")]:
        # A user's own settings must not reach the processes that are measured.
        del os.environ[name]
    console = Console(stderr=True)
    output = Output(given.json)
    try:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gaia-bench-", dir=given.folder)))
            services, images = _services(stack, console, given.only)
            output.line({"environment": environment(folder, images)})
            if services is not None:
                console.print("warming the broker up", style="dim")
                run_bare(services.kafka.bootstrap, "wide", BARE_STEPS)
                run_bare(services.kafka.bootstrap, "chain", given.chain_steps)
            for repetition in range(1, given.repetitions + 1):
                console.print(f"repetition {repetition} of {given.repetitions}", style="dim")
                _repetition(output, given, folder, services, repetition)
    except (BenchmarkFailed, GaiaError, KafkaException, TooLate, OSError) as problem:
        output.line({"failed": str(problem)})
        console.print(f"FAILED: {problem}", style="bold red", markup=False)
        return 1
    _conclude(output, console)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.throughput", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=WIDE_STEPS, help="Steps of the wide workflow [%(default)s]")
    parser.add_argument("--chain-steps", type=int, default=CHAIN_STEPS, help="Steps of the chain [%(default)s]")
    parser.add_argument("--repetitions", type=int, default=REPETITIONS, help="of each run [%(default)s]")
    parser.add_argument("--only", choices=["embedded", "kafka"], help="measure only this; embedded needs no services")
    parser.add_argument("--scaling", action="store_true", help="also the cost per Step from 10³ to 10⁵ Steps, embedded")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the JSON lines into a file as well")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="where data folders are made; a real disk [temp]")
    return parser.parse_args()


def _services(stack: ExitStack, console: Console, only: str | None) -> tuple[Services | None, dict[str, str]]:
    """Start Kafka and MinIO if they are needed; return them and the names of their images."""
    if only == "embedded":
        return None, {}
    console.print("starting Kafka and MinIO", style="dim")
    with redirect_stdout(sys.stderr):  # what is said about images does not belong among the results
        kafka, minio = stack.enter_context(KafkaService()), stack.enter_context(MinioService())
    return Services(kafka, minio), {"kafka": kafka.image, "minio": minio.image}


def _repetition(
    output: Output, given: argparse.Namespace, folder: Path, services: Services | None, repetition: int
) -> None:
    """Measure everything once."""
    both = {"wide": flows.wide("wide", given.steps), "chain": flows.chain("chain", given.chain_steps)}
    if services is not None:
        output.result("wide", repetition, run_bare(services.kafka.bootstrap, "wide", max(BARE_STEPS, given.steps)))
        output.result("chain", repetition, run_bare(services.kafka.bootstrap, "chain", given.chain_steps))
        tag = secrets.token_hex(4)
        _measure(output, repetition, folder, both, lambda place: Cluster(place, services, tag))
    if given.only != "kafka":
        _measure(output, repetition, folder, both, Embedded)
    if given.scaling and given.only != "kafka":
        for steps in SCALING_STEPS:
            _measure(output, repetition, folder, {"scaling": flows.wide("scaling", steps)}, Embedded)


def _measure(
    output: Output,
    repetition: int,
    folder: Path,
    wanted: dict[str, Flow],
    make: Callable[[Path], Deployment],
) -> None:
    """Run workflows one after the other on a fresh deployment, stop it, and read everything back."""
    with _place(folder) as place, make(place) as deployment:
        warm_up(deployment)
        found = {benchmark: run_flow(deployment, flow) for benchmark, flow in wanted.items()}
        deployment.stop()
        journal = deployment.journal()
        for benchmark, flow in wanted.items():
            read_back = audit_run(deployment, flow, journal)
            output.result(benchmark, repetition, {**found[benchmark], "read_back": read_back})


@contextmanager
def _place(folder: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=folder) as place:
        yield Path(place)


def _conclude(output: Output, console: Console) -> None:
    """Print summaries, ratios and bars."""
    found = report.summaries(output.results)
    compared, grown = report.ratios(found), report.scaling(output.results)
    reached = report.bars(compared, grown)
    for one in found:
        output.line({"summary": one})
    output.line({"ratios": {**compared, **grown}})
    for bar in reached:
        output.line({"bar": bar.what, "value": bar.value, "limit": bar.limit, "met": bar.is_met})
    report.show(console, found, compared, reached)


if __name__ == "__main__":
    sys.exit(main())
