"""One measured run: upload a workflow, start the clock, start it, wait for its last public event, stop the clock."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from benchmarks import audit, bare_loop, flows
from benchmarks.audit import BenchmarkFailed, JournalContent
from benchmarks.deployments import Deployment
from benchmarks.flows import Flow
from benchmarks.usage import Usage, usage
from tests.support.waiting import wait_until

STEPS_PER_UPLOAD: Final = 50_000
"""A larger workflow is uploaded with its first Steps, and the others are merged."""

SLOWEST_STEPS_PER_S: Final = 100
DEADLINE_LEAST_S: Final = 60.0
WARM_STEPS: Final = 50
BARE_S: Final = 300.0

Result = dict[str, Any]


def run_flow(deployment: Deployment, flow: Flow, uploaded: Callable[[], None] = lambda: None) -> Result:
    """Run one workflow and return its figures.

    Args:
        deployment: where.
        flow: the workflow.
        uploaded: called once the workflow is there and waits for its start.

    Raises:
        BenchmarkFailed: it did not end well.
    """
    steps = len(flow.names)
    before = usages(deployment)
    upload_s = _upload(deployment, flow)
    uploaded()
    ready = usages(deployment)
    with closing(deployment.watch(flow.name)) as watch:
        began = time.perf_counter()
        deployment.client.put(flow.name, flows.START_KEY, b"now")
        put_s = time.perf_counter() - began
        ended = watch.await_rest(DEADLINE_LEAST_S + steps / SLOWEST_STEPS_PER_S, deployment.check_alive)
    after = usages(deployment)
    took_s = ended - began
    return {
        "on": deployment.kind,
        "steps": steps,
        "seconds": round(took_s, 4),
        "steps_per_s": round(steps / took_s, 1),
        "ms_per_step": round(1000 * took_s / steps, 4),
        "upload_s": round(upload_s, 3),
        "upload_cpu_us_per_step": {
            role: round(1e6 * (ready[role].cpu_s - before[role].cpu_s) / steps, 1) for role in deployment.processes
        },
        "put_s": round(put_s, 4),
        "cpu_us_per_step": {
            role: round(1e6 * (after[role].cpu_s - ready[role].cpu_s) / steps, 1) for role in deployment.processes
        },
        "memory_bytes_per_waiting_step": {
            role: round((ready[role].memory_bytes - before[role].memory_bytes) / steps) for role in deployment.processes
        },
        "credit": deployment.credit(flow.name),
        "durability": deployment.durability,
    }


def warm_up(deployment: Deployment) -> None:
    """Run a few Steps: a worker has joined and every connection is made."""
    wait_until(lambda: _has_worker(deployment), "a worker joins", deadline_s=60, evidence=lambda: _said(deployment))
    run_flow(deployment, flows.chain("warm", WARM_STEPS))


def audit_run(deployment: Deployment, flow: Flow, journal: JournalContent) -> Result:
    """Read journal and events back, once the processes have stopped, and count.

    Raises:
        BenchmarkFailed: the counts are not what was asked for.
    """
    count = audit.count_journal(journal.entries, flow.name)
    events = deployment.events(flow.name)
    try:
        audit.check(flow.names, count, events)
    except BenchmarkFailed as problem:
        raise BenchmarkFailed(f"{flow.name} on {deployment.kind}: {problem}") from problem
    return {
        "events": len(events),
        "step_completed": sum(event.HasField("step_completed") for event in events),
        "dispatches": count.dispatches,
        "completions": count.completions,
        "entries": count.entries,
        "void_records": journal.void,
    }


def run_bare(bootstrap: str, mode: str, steps: int, window: int = bare_loop.WINDOW) -> Result:
    """Run the bare loop in processes of its own, with so many steps in flight where that is not a chain.

    Raises:
        BenchmarkFailed: it failed.
    """
    command = [sys.executable, "-m", "benchmarks.bare_loop", mode, f"--steps={steps}", f"--bootstrap={bootstrap}"]
    command.append(f"--window={window}")
    folder = Path(__file__).resolve().parents[1]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=BARE_S, check=False)
    if done.returncode:
        raise BenchmarkFailed(f"the bare loop failed:\n{done.stderr}")
    found: Result = json.loads(done.stdout)
    del found["mode"]
    return {"on": "bare", **found}


def _upload(deployment: Deployment, flow: Flow) -> float:
    """Upload, in parts when it is large; return the seconds that took."""
    began = time.perf_counter()
    deployment.client.upload(flow.name, {}, flow.commands, flow.steps[:STEPS_PER_UPLOAD])
    for at in range(STEPS_PER_UPLOAD, len(flow.steps), STEPS_PER_UPLOAD):
        deployment.client.merge(flow.name, flow.steps[at : at + STEPS_PER_UPLOAD])
    return time.perf_counter() - began


def usages(deployment: Deployment) -> dict[str, Usage]:
    """Return what each process has used so far, by role."""
    return {role: usage(process.process.pid) for role, process in deployment.processes.items()}


def _has_worker(deployment: Deployment) -> bool:
    """Tell whether a worker has joined; a workflow without Steps is there to ask about."""
    if not deployment.client.workflows(prefix="ask"):
        deployment.client.upload("ask", {}, [], [])
    return any(deployment.credit("ask").values())


def _said(deployment: Deployment) -> str:
    return "\n".join(process.said()[-4000:] for process in deployment.processes.values())
