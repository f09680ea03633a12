"""What a workflow of 10³ to 10⁶ Steps costs: a Step to upload, to hold, to run; a status; expiring one Step or all.

    python -m benchmarks.sizes [--sizes N …] [--forms parts sweep] [--repetitions N] [--json FILE]

Embedded, programs that do nothing, a fresh deployment for every size, form and repetition. JSON lines and exit code as
those of `throughput`. 10⁶ Steps take some minutes and some GB for each form, so that size is run once.
"""

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from statistics import median
from typing import Any, Final

from benchmarks import flows, report
from benchmarks.audit import BenchmarkFailed
from benchmarks.command import Bench, Result, carry_out, parser
from benchmarks.deployments import Deployment, Embedded
from benchmarks.flows import Flow
from benchmarks.questions import asking
from benchmarks.report import Bar
from benchmarks.runs import audit_run, run_flow, warm_up
from gaia_client.client import Gaia
from tests.support.waiting import wait_until

SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
REPETITIONS: Final = 5
LARGE_STEPS: Final = 1_000_000
"""From here on a size is run once."""

FORMS: Final = {"parts": flows.wide, "sweep": flows.sweep}
"""Every Step written out, 50,000 at most in a request; one Step with an array, in one request."""

QUESTIONS: Final = 20
EXPIRED: Final = 20
LOOK_S: Final = 0.05
AGAIN_S: Final = 1_200.0

WAITING_BYTES_MAX: Final = 1_500.0
STATUS_MS_MAX: Final = 50.0
EXPIRE_ONE_MS_MAX: Final = 10.0

FIGURES: Final = (
    "upload_us_per_step",
    "upload_cpu_us_per_step",
    "us_per_step",
    "cpu_us_per_step",
    "memory_bytes_per_waiting_step",
    "status_waiting_ms",
    "status_running_ms",
    "status_complete_ms",
    "expire_one_ms",
    "expire_all_s",
    "expire_all_stall_ms",
    "upload_stall_ms",
)


def main() -> int:
    """Measure what the arguments ask for; return the exit code."""
    made = parser("sizes", __doc__ or "", REPETITIONS)
    made.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="Steps of the workflow [10³ to 10⁶]")
    made.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS), help="how Steps are written [both]")
    given = made.parse_args()

    def measure(bench: Bench) -> None:
        for repetition in range(1, given.repetitions + 1):
            for steps in given.sizes:
                for form in given.forms:
                    if repetition == 1 or steps < LARGE_STEPS:
                        bench.tell(f"repetition {repetition}: {steps:,} Steps, {form}")
                        bench.output.result(f"sizes {form}", repetition, _measure(bench, FORMS[form], steps))
        _conclude(bench)

    return carry_out(given, measure, on_kafka=False)


def _measure(bench: Bench, make: Callable[[str, int], Flow], steps: int) -> Result:
    """Take one workflow through its life on a fresh deployment, stop that, and read everything back."""
    flow = make("sized", steps)
    with bench.place() as place, Embedded(place) as deployment:
        warm_up(deployment)
        found, runs = _live(deployment, flow)
        deployment.stop()
        read_back = audit_run(deployment, Flow(flow.name, [], [{"name": name} for name in runs]), deployment.journal())
    return {**found, "read_back": read_back}


def _live(deployment: Deployment, flow: Flow) -> tuple[Result, list[str]]:
    """Upload, ask, run, expire and run again; return the figures, and the Steps as often as they had to run."""
    client, names = deployment.client, flow.names
    found: Result = {}

    def uploaded() -> None:
        asked.close()
        found["status_waiting_ms"] = _status_ms(client, flow.name)

    with ExitStack() as asked:
        stall_ms = asked.enter_context(asking(deployment.address, "warm"))
        run = run_flow(deployment, flow, uploaded)
    (found["upload_stall_ms"],) = stall_ms
    found["status_complete_ms"] = _status_ms(client, flow.name)
    chosen = names[:: max(1, len(names) // EXPIRED)][:EXPIRED]
    found["expire_one_ms"] = _ms([_expire_one(deployment, flow.name, name) for name in chosen])
    found |= _expire_all(deployment, flow.name, len(names))
    steps = len(names)
    (up,) = deployment.processes
    figures = {
        "upload_us_per_step": round(1e6 * run["upload_s"] / steps, 2),
        "upload_cpu_us_per_step": run["upload_cpu_us_per_step"][up],
        "us_per_step": round(1e6 * run["seconds"] / steps, 2),
        "cpu_us_per_step": run["cpu_us_per_step"][up],
        "memory_bytes_per_waiting_step": run["memory_bytes_per_waiting_step"][up],
    }
    return {**run, **figures, **found}, names + chosen + names


def _status_ms(client: Gaia, name: str) -> float:
    return _ms([_timed(lambda: client.status(name)) for _ in range(QUESTIONS)])


def _expire_one(deployment: Deployment, name: str, step: str) -> float:
    """Return the seconds until the answer; then let the Step run again."""
    client = deployment.client
    took_s = _timed(lambda: client.expire(name, [step]))
    _await_complete(deployment, name)
    return took_s


def _expire_all(deployment: Deployment, name: str, steps: int) -> Result:
    """Expire the tree that all Steps write under; let them run again, and ask for the status meanwhile."""
    client = deployment.client
    with asking(deployment.address, "warm") as stall_ms:
        began = time.perf_counter()
        expired = client.expire(name, ["out/"])
        took_s = time.perf_counter() - began
    if len(expired["steps"]) != steps:
        raise BenchmarkFailed(f"{len(expired['steps'])} Steps were expired, not {steps}")
    again = time.perf_counter()
    waits = _await_complete(deployment, name)
    return {
        "expire_all_s": round(took_s, 3),
        "expire_all_stall_ms": stall_ms[0],
        "again_s": round(time.perf_counter() - again, 3),
        "status_running_ms": _ms(waits),
        "status_running_longest_ms": round(1000 * max(waits), 1),
    }


def _await_complete(deployment: Deployment, name: str) -> list[float]:
    """Ask for the status until the workflow is complete; return how long the answers took."""
    waits: list[float] = []

    def is_complete() -> bool:
        deployment.check_alive()
        began = time.perf_counter()
        state = deployment.client.status(name)["state"]
        waits.append(time.perf_counter() - began)
        return bool(state == "complete")

    wait_until(is_complete, f"{name} is complete again", deadline_s=AGAIN_S, every_s=LOOK_S)
    return waits


def _timed(act: Callable[[], Any]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _ms(seconds: list[float]) -> float:
    return round(1000 * median(seconds), 2)


def _conclude(bench: Bench) -> None:
    """Print summaries, ratios and bars."""
    grouped: dict[tuple[str, int], list[Result]] = {}
    for result in bench.output.results:
        grouped.setdefault((result["benchmark"], result["steps"]), []).append(result)
    figures = [report.summary(group, figure) for group in grouped.values() for figure in FIGURES]
    medians = {(one["benchmark"], one["steps"], one["figure"]): one["median"] for one in figures}
    ratios: dict[str, float] = {}
    bars: list[Bar] = []
    for form in dict.fromkeys(benchmark for benchmark, _ in grouped):
        sizes = [steps for benchmark, steps in grouped if benchmark == form]
        least, most = min(sizes), max(sizes)
        grown = {
            f"{form}: {figure}, {most:,} / {least:,} Steps": _ratio(
                medians[form, most, figure], medians[form, least, figure]
            )
            for figure in ("us_per_step", "cpu_us_per_step", "upload_us_per_step")
            if most > least
        }
        ratios |= grown
        bars += [Bar(what, value, False, report.SCALING_RATIO_MAX) for what, value in grown.items()]
        limits = {
            "memory_bytes_per_waiting_step": WAITING_BYTES_MAX,
            "status_waiting_ms": STATUS_MS_MAX,
            "status_running_ms": STATUS_MS_MAX,
            "status_complete_ms": STATUS_MS_MAX,
            "expire_one_ms": EXPIRE_ONE_MS_MAX,
        }
        bars += [
            Bar(f"{form}, {most:,} Steps: {what}", medians[form, most, what], False, limit)
            for what, limit in limits.items()
        ]
    bench.conclude(figures, ratios, bars)


def _ratio(large: float, small: float) -> float:
    return round(large / small, 3) if small else 0.0


if __name__ == "__main__":
    sys.exit(main())
