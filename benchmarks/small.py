"""How 10,000 small workflows fare, from one client and from 100 at once; and how long single Steps take at half load.

    python -m benchmarks.small [--workflows N] [--clients N] [--singles N] [--only embedded|kafka] [--repetitions N]

Every workflow is a chain of three Steps that do nothing. Single Steps are merged one by one: first as fast as they are
taken, which tells the load; then at half that rate by the clock, and each is timed from the instant at which it was due
until its completion is a public event, so no wait is left out. JSON lines and exit code as those of `throughput`.
"""

import argparse
import secrets
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from benchmarks import audit, flows, report
from benchmarks.audit import BenchmarkFailed
from benchmarks.command import Bench, Result, carry_out, parser
from benchmarks.deployments import Cluster, Deployment, Embedded
from benchmarks.load import Load, loading, quantiles_ms
from benchmarks.report import Bar
from benchmarks.runs import run_bare, run_flow, usages, warm_up

WORKFLOWS: Final = 10_000
STEPS: Final = 3
CLIENTS: Final = 100
SINGLES: Final = 5_000
REPETITIONS: Final = 5
CHAIN_STEPS: Final = 300
END_S: Final = 600.0

FIGURES: Final = {
    "small": ("workflows_per_s", "steps_per_s", "request_p50_ms", "request_p99_ms"),
    "singles": ("steps_per_s", "request_p50_ms", "request_p99_ms"),
    "half": ("steps_per_s", "latency_p50_ms", "latency_p99_ms", "request_p50_ms", "request_p99_ms"),
    "wide": ("steps_per_s",),
    "chain": ("ms_per_step",),
}


def main() -> int:
    """Measure what the arguments ask for; return the exit code."""
    made = parser("small", __doc__ or "", REPETITIONS)
    made.add_argument("--workflows", type=int, default=WORKFLOWS, help="small ones, of each run [%(default)s]")
    made.add_argument("--clients", type=int, default=CLIENTS, help="at once [%(default)s]")
    made.add_argument("--singles", type=int, default=SINGLES, help="Steps merged one by one [%(default)s]")
    made.add_argument("--only", choices=["embedded", "kafka"], help="measure only this; embedded needs no services")
    given = made.parse_args()

    def measure(bench: Bench) -> None:
        for repetition in range(1, given.repetitions + 1):
            bench.tell(f"repetition {repetition} of {given.repetitions}")
            if bench.services is not None:
                _on_kafka(bench, given, repetition)
            if given.only != "kafka":
                _on(bench, given, repetition, Embedded)
        _conclude(bench)

    return carry_out(given, measure, on_kafka=given.only != "embedded")


def _on_kafka(bench: Bench, given: argparse.Namespace, repetition: int) -> None:
    services = bench.cluster_services
    bench.output.result("chain", repetition, run_bare(services.kafka.bootstrap, "chain", CHAIN_STEPS))
    _on(bench, given, repetition, lambda place: Cluster(place, services, secrets.token_hex(4)))


def _on(bench: Bench, given: argparse.Namespace, repetition: int, make: Callable[[Path], Deployment]) -> None:
    """Measure everything on one fresh deployment, stop it, and read everything back."""
    with bench.place() as place, make(place) as deployment:
        warm_up(deployment)
        wide = run_flow(deployment, flows.wide("wide", STEPS * given.workflows))
        loads = {
            "small, 1 client": Load("flows", "one", given.workflows, 1, steps=STEPS),
            f"small, {given.clients} clients": Load("flows", "many", given.workflows, given.clients, steps=STEPS),
            f"singles, {given.clients} clients": Load("singles", "single", given.singles, given.clients),
        }
        found = {"wide": wide, **{what: _as_fast_as_taken(deployment, load) for what, load in loads.items()}}
        most = found[f"singles, {given.clients} clients"]["steps_per_s"]
        paced = Load("singles", "half", given.singles, given.clients, rate=round(most / 2, 1))
        found["half load"] = _by_the_clock(deployment, paced)
        deployment.stop()
        read_back = _audit(deployment, [*loads.values(), paced])
    for what, result in found.items():
        bench.output.result(what, repetition, {**result, "read_back": read_back} if what == "half load" else result)


def _as_fast_as_taken(deployment: Deployment, load: Load) -> Result:
    """Let every client ask as soon as it is answered; the clock stops when all is published."""
    steps = sum(map(len, load.step_names().values()))
    with loading(load, deployment.address) as clients, closing(deployment.tally()) as tally:
        before = usages(deployment)
        began = clients.begin()
        seen = clients.end()
        deadline = time.perf_counter() + END_S
        while (count := tally.count()) < steps:
            deployment.check_alive()
            if time.perf_counter() > deadline:
                raise BenchmarkFailed(f"{load.prefix}: only {count} of {steps} Steps were published")
        took_s = time.perf_counter() - began
    after = usages(deployment)
    return {
        "on": deployment.kind,
        "steps": steps,
        "clients": load.clients,
        "seconds": round(took_s, 3),
        "steps_per_s": round(steps / took_s, 1),
        **({"workflows_per_s": round(load.requests / took_s, 1)} if load.kind == "flows" else {}),
        **seen,
        "cpu_us_per_step": {role: round(1e6 * (after[role].cpu_s - before[role].cpu_s) / steps, 1) for role in after},
        "durability": deployment.durability,
    }


def _by_the_clock(deployment: Deployment, load: Load) -> Result:
    """Let Steps come by the clock; time each from when it was due until its completion arrives as a public event."""
    waits_s: list[float] = []
    with loading(load, deployment.address) as clients, closing(deployment.feed(load.flow_names())) as feed:
        began = clients.begin()
        deadline = time.perf_counter() + load.requests / load.rate + END_S
        while len(waits_s) < load.requests:
            events = feed.take()
            now = time.perf_counter()
            numbers = [int(each.step_completed.step[1:]) for each in events if each.HasField("step_completed")]
            waits_s += [now - (began + number / load.rate) for number in numbers]
            if now > deadline:
                raise BenchmarkFailed(f"{load.prefix}: only {len(waits_s)} of {load.requests} Steps were published")
        took_s = time.perf_counter() - began
        seen = clients.end()
    return {
        "on": deployment.kind,
        "steps": load.requests,
        "rate": load.rate,
        "steps_per_s": round(load.requests / took_s, 1),
        **quantiles_ms(waits_s, "latency"),
        **seen,
        "durability": deployment.durability,
    }


def _audit(deployment: Deployment, loads: list[Load]) -> dict[str, Any]:
    """Read journal and events back and count every workflow.

    Raises:
        BenchmarkFailed: the counts of one are not what was asked for.
    """
    journal, events = deployment.journal(), deployment.all_events()
    counts = audit.count_journals(journal.entries)
    read_back = {"workflows": 0, "events": 0, "completions": 0}
    for load in loads:
        for name, steps in load.step_names().items():
            if name not in counts:
                raise BenchmarkFailed(f"{name} is not in the journal")
            try:
                audit.check(steps, counts[name], events.get(name, []))
            except BenchmarkFailed as problem:
                raise BenchmarkFailed(f"{name} on {deployment.kind}: {problem}") from problem
            read_back["workflows"] += 1
            read_back["events"] += len(events[name])
            read_back["completions"] += counts[name].completions
    return {**read_back, "void_records": journal.void}


def _conclude(bench: Bench) -> None:
    """Print summaries, ratios and bars."""
    grouped: dict[tuple[str, str], list[Result]] = {}
    for result in bench.output.results:
        grouped.setdefault((result["benchmark"], result["on"]), []).append(result)
    figures = [
        report.summary(group, figure)
        for (benchmark, _), group in grouped.items()
        for figure in FIGURES[benchmark.partition(",")[0].partition(" ")[0]]
    ]
    medians = {(one["benchmark"], one["on"], one["figure"]): one["median"] for one in figures}
    ratios: dict[str, float] = {}
    bars: list[Bar] = []
    for (benchmark, on), group in grouped.items():
        if benchmark.startswith("small"):
            ratios[f"{on}: Steps/s, {benchmark} / wide"] = round(
                medians[benchmark, on, "steps_per_s"] / medians["wide", on, "steps_per_s"], 3
            )
        if "errors" in group[0]:
            failed = sum(sum(result["errors"].values()) for result in group)
            bars.append(Bar(f"{on}: {benchmark}, requests that failed", failed, False, 0))
        if benchmark == "half load" and ("chain", "bare") in grouped:
            least = medians["chain", "bare", "ms_per_step"]
            ratios[f"{on}: median of single Steps at half load / bare chain"] = round(
                medians[benchmark, on, "latency_p50_ms"] / least, 3
            )
    bench.conclude(figures, ratios, bars)


if __name__ == "__main__":
    sys.exit(main())
