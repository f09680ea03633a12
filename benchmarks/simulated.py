"""How many durable no-op Steps a second go through real Kafka with 1 to 100 workers, of the same credit in all.

    python -m benchmarks.simulated [--workers N …] [--steps N] [--credit N] [--repetitions N] [--json FILE]

The workers are simulated by a process that speaks the worker protocol and nothing else (`simulated_workers.py`), so
that the figure is of the coordinator. JSON lines and exit code as those of `throughput`.
"""

import argparse
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from benchmarks import flows, report
from benchmarks.audit import BenchmarkFailed
from benchmarks.command import Bench, Result, carry_out, parser
from benchmarks.deployments import Cluster
from benchmarks.report import Bar
from benchmarks.runs import audit_run, run_bare, run_flow, warm_up
from tests.support.waiting import wait_until

WORKERS: Final = (1, 3, 10, 30, 100)
STEPS: Final = 30_000
CREDIT: Final = 4_000
REPETITIONS: Final = 5
PROCESSES: Final = 1
"""More would compete for the processors with the server, and not for every number of workers alike."""

BARE_STEPS: Final = 60_000
END_S: Final = 60.0

LEAST_OF_ONE: Final = 0.67
"""With the most workers a Step may cost 1.5 times what it costs with one."""


class Coordinator(Cluster):
    """A cluster whose workers others bring."""

    def _start(self) -> None:
        self._run("server", ["server"], "Gaia serves", self.environ())

    @contextmanager
    def workers(self, count: int, credit: int, processes: int = PROCESSES) -> Iterator[None]:
        """Have so many simulated workers, which share a credit, for a while."""
        names = [f"simulated-{count}-{number}" for number in range(count)]
        processes = min(count, processes)
        command = [sys.executable, "-m", "benchmarks.simulated_workers", f"--slots={max(1, credit // count)}"]
        command += [f"--bootstrap={self._settings.bootstrap}", f"--prefix={self._settings.topic_prefix}"]
        with ExitStack() as stack:
            crews = [stack.enter_context(_crew([*command, *names[at::processes]])) for at in range(processes)]
            wait_until(lambda: self._present() >= set(names), "all workers have joined", deadline_s=END_S)
            yield
            for crew in crews:
                crew.communicate(timeout=END_S)
                if crew.returncode:
                    raise BenchmarkFailed("simulated workers failed")
            wait_until(lambda: not self._present() & set(names), "all workers have left", deadline_s=END_S)

    def _present(self) -> set[str]:
        return {worker["name"] for worker in self.client.workers()}


@contextmanager
def _crew(command: list[str]) -> Iterator["subprocess.Popen[str]"]:
    """Start one process of workers, and wait until they have said hello."""
    folder = Path(__file__).resolve().parents[1]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            if process.stdout is None or process.stdout.readline() != "ready\n":
                raise BenchmarkFailed("simulated workers did not start")
            yield process
        finally:
            process.kill()


def main() -> int:
    """Measure what the arguments ask for; return the exit code."""
    made = parser("simulated", __doc__ or "", REPETITIONS)
    made.add_argument("--workers", type=int, nargs="+", default=list(WORKERS), help="how many [1 to 100]")
    made.add_argument("--steps", type=int, default=STEPS, help="of each workflow [%(default)s]")
    made.add_argument("--credit", type=int, default=CREDIT, help="of all workers together [%(default)s]")
    made.add_argument("--processes", type=int, default=PROCESSES, help="that hold the workers [%(default)s]")
    given = made.parse_args()

    def measure(bench: Bench) -> None:
        run_bare(bench.cluster_services.kafka.bootstrap, "wide", BARE_STEPS)  # warms the broker up
        for repetition in range(1, given.repetitions + 1):
            bench.tell(f"repetition {repetition} of {given.repetitions}")
            _measure(bench, given, repetition)
        _conclude(bench)

    return carry_out(given, measure, on_kafka=True)


def _measure(bench: Bench, given: argparse.Namespace, repetition: int) -> None:
    """Run a workflow with each number of workers on one deployment, stop that, and read everything back."""
    services = bench.cluster_services
    bare = run_bare(services.kafka.bootstrap, "wide", max(BARE_STEPS, given.steps), given.credit)
    bench.output.result("bare wide", repetition, bare)
    wanted = {count: flows.wide(f"wide-{count}", given.steps) for count in given.workers}
    found: dict[int, Result] = {}
    with bench.place() as place, Coordinator(place, services, secrets.token_hex(4)) as deployment:
        with deployment.workers(2, given.credit):
            warm_up(deployment)
        for count, flow in wanted.items():
            with deployment.workers(count, given.credit, given.processes):
                found[count] = run_flow(deployment, flow)
        deployment.stop()
        journal = deployment.journal()
        for count, flow in wanted.items():
            read_back = audit_run(deployment, flow, journal)
            name = f"{count} simulated"
            bench.output.result(name, repetition, {**found[count], "workers": count, "read_back": read_back})


def _conclude(bench: Bench) -> None:
    """Print summaries, ratios and bars."""
    grouped: dict[str, list[Result]] = {}
    for result in bench.output.results:
        grouped.setdefault(result["benchmark"], []).append(result)
    figures = [report.summary(group, "steps_per_s") for group in grouped.values()]
    medians = {one["benchmark"]: one["median"] for one in figures}
    counts = sorted(group[0]["workers"] for group in grouped.values() if "workers" in group[0])
    bare, fewest = medians["bare wide"], medians[f"{counts[0]} simulated"]
    ratios = {
        f"Steps/s, {count} workers / bare wide": round(medians[f"{count} simulated"] / bare, 3) for count in counts
    }
    what = f"Steps/s, {counts[-1]} workers / {counts[0]}"
    of_one = round(medians[f"{counts[-1]} simulated"] / fewest, 3)
    bench.conclude(figures, {**ratios, what: of_one}, [Bar(what, of_one, True, LEAST_OF_ONE)])


if __name__ == "__main__":
    sys.exit(main())
