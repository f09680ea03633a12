"""Containers a second: Gaia with four slots, with and without `reuse`, beside four loops of `docker run`.

    python -m benchmarks.containers [--steps N] [--reused N] [--runs N] [--repetitions N] [--folder DIR]

One JSON object per line on stdout: each run, then the medians and their ratios. In each repetition the three are run
one after the other on the same engine. A Step copies a file from its input to its output; a run is `true` without any
files, as `docker run --rm --network none` with all else at its defaults. The clock of a workflow is that of the other
benchmarks: from the Key that starts it to its last public event, so all that Gaia does besides counts, and the first
start of every warm container too.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from benchmarks import flows
from benchmarks.audit import BenchmarkFailed
from benchmarks.deployments import Embedded
from benchmarks.flows import Flow
from benchmarks.runs import audit_run, run_flow
from tests.support.images import ensure_image
from tests.support.machine import find_program

SLOTS: Final = 4
STEPS: Final = 60
REUSED: Final = 200
RUNS: Final = 40
REPETITIONS: Final = 5
BARS: Final = {"fresh": 1.2, "reuse": 4.0}

Result = dict[str, Any]


class Containers(Embedded):
    """`gaia up` whose one worker runs its Steps in containers, four at a time."""

    def _start(self) -> None:
        arguments = ["up", "--executor", "docker", "--data", str(self.folder / "data")]
        arguments += ["--listen", self.address, "--http", self.http]
        self._run("up", arguments, "Gaia is up", {"GAIA_SLOTS": str(SLOTS), "GAIA_WORKERS": "1"})


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.containers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=STEPS, help="Steps in containers of their own [%(default)s]")
    parser.add_argument("--reused", type=int, default=REUSED, help="Steps in warm containers [%(default)s]")
    parser.add_argument("--runs", type=int, default=RUNS, help="runs of docker [%(default)s]")
    parser.add_argument("--repetitions", type=int, default=REPETITIONS, help="[%(default)s]")
    parser.add_argument("--folder", help="where data folders are made [the system's temp]")
    given = parser.parse_args()
    image = ensure_image("busybox")
    found: dict[str, list[float]] = {"bare": [], "fresh": [], "reuse": []}
    for repetition in range(1, given.repetitions + 1):
        for result in (
            measure_bare(image, given.runs),
            measure_gaia(image, given.steps, given.folder, reuse=False),
            measure_gaia(image, given.reused, given.folder, reuse=True),
        ):
            found[result["run"]].append(result["per_s"])
            print(json.dumps({"benchmark": "containers", "repetition": repetition, **result}), flush=True)
    medians = {run: statistics.median(figures) for run, figures in found.items()}
    ratios = {run: round(medians[run] / medians["bare"], 2) for run in BARS}
    reached = {run: ratios[run] >= bar for run, bar in BARS.items()}
    summary = {"per_s": medians, "of_bare": ratios, "bar": BARS, "reached": reached}
    print(json.dumps({"summary": "containers", **summary}), flush=True)
    return 0


def measure_bare(image: str, runs: int) -> Result:
    """Run containers by the engine's own command, in as many loops as Gaia has slots."""
    command = [find_program("docker") or "docker", "run", "--rm", "--network", "none", image, "true"]

    def run(_: int) -> None:
        if subprocess.run(command, check=False).returncode:
            raise BenchmarkFailed("docker run failed")

    with ThreadPoolExecutor(SLOTS) as loops:
        began = time.perf_counter()
        list(loops.map(run, range(runs)))
        took_s = time.perf_counter() - began
    return {"run": "bare", "containers": runs, "seconds": round(took_s, 3), "per_s": round(runs / took_s, 2)}


def measure_gaia(image: str, steps: int, folder: str | None, *, reuse: bool) -> Result:
    """Run one wide workflow on a fresh deployment."""
    flow = _flow(image, steps, reuse=reuse)
    with tempfile.TemporaryDirectory(prefix="gaia-bench-", dir=folder) as data, Containers(Path(data)) as deployment:
        result = run_flow(deployment, flow)
        deployment.stop()
        read_back = audit_run(deployment, flow, deployment.journal())
    figures = {"containers": steps, "seconds": result["seconds"], "per_s": result["steps_per_s"]}
    return {"run": "reuse" if reuse else "fresh", **figures, "read_back": read_back}


def _flow(image: str, steps: int, *, reuse: bool) -> Flow:
    flow = flows.wide("containers", steps)
    return flow._replace(commands=[{**command, "image": image, "reuse": reuse} for command in flow.commands])


if __name__ == "__main__":
    sys.exit(main())
