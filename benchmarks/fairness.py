"""How long a small workflow takes beside a very large one that was started first: nobody is starved.

    python -m benchmarks.fairness [--large N] [--small N] [--repetitions N]

One JSON object per line on stdout: each repetition, then the medians. The small workflow is run alone, then started
while the large one is under way; both figures are of the same deployment (embedded, executor noop).
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks import flows
from benchmarks.deployments import Deployment, Embedded
from benchmarks.flows import Flow
from benchmarks.runs import run_flow, warm_up
from tests.support.waiting import wait_until

LARGE_STEPS: Final = 100_000
SMALL_STEPS: Final = 10
REPETITIONS: Final = 3
PART_STEPS: Final = 50_000
DEADLINE_S: Final = 600.0

Result = dict[str, Any]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.fairness", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--large", type=int, default=LARGE_STEPS, help="Steps of the large workflow [%(default)s]")
    parser.add_argument("--small", type=int, default=SMALL_STEPS, help="Steps of the small one [%(default)s]")
    parser.add_argument("--repetitions", type=int, default=REPETITIONS, help="[%(default)s]")
    given = parser.parse_args()
    found: list[Result] = []
    for _ in range(given.repetitions):
        with tempfile.TemporaryDirectory(prefix="gaia-bench-") as folder, Embedded(Path(folder)) as deployment:
            warm_up(deployment)
            found.append(measure(deployment, given.large, given.small))
            print(json.dumps({"benchmark": "fairness", **found[-1]}), flush=True)
    medians = {name: round(statistics.median(one[name] for one in found), 3) for name in found[0]}
    print(json.dumps({"summary": "fairness", **medians}), flush=True)
    return 0


def measure(deployment: Deployment, large_steps: int, small_steps: int) -> Result:
    """Return the seconds of the small workflow alone, of the small one beside the large one, and of the large one."""
    alone = run_flow(deployment, flows.wide("alone", small_steps))
    large = flows.wide("large", large_steps)
    _upload(deployment, large)
    began = time.perf_counter()
    deployment.client.put("large", flows.START_KEY, b"now")
    wait_until(lambda: _complete(deployment) > 0, "the large one is under way", deadline_s=DEADLINE_S)
    beside = run_flow(deployment, flows.wide("small", small_steps))
    left = large_steps - _complete(deployment)
    deployment.client.wait("large", DEADLINE_S)
    return {
        "small_alone_s": alone["seconds"],
        "small_beside_large_s": beside["seconds"],
        "large_s": round(time.perf_counter() - began, 3),
        "large_steps_left_when_small_was_done": left,
        "small_of_large": round(beside["seconds"] / (time.perf_counter() - began), 4),
    }


def _upload(deployment: Deployment, flow: Flow) -> None:
    deployment.client.upload(flow.name, {}, flow.commands, flow.steps[:PART_STEPS])
    for at in range(PART_STEPS, len(flow.steps), PART_STEPS):
        deployment.client.merge(flow.name, flow.steps[at : at + PART_STEPS])


def _complete(deployment: Deployment) -> int:
    return int(deployment.client.status("large")["steps"]["complete"])


if __name__ == "__main__":
    sys.exit(main())
