"""What a thousand open Watch streams cost: completions per second of a wide workflow with them and without.

    python -m benchmarks.watchers [--steps N] [--streams N] [--busy N] [--repetitions N]

One JSON object per line on stdout: each run, then the medians and their ratios. A few of the streams watch the workflow
that is measured, the others one in which nothing happens; all are held by a process of its own. Of the busy streams it
counts every message: with events each must get every completion once, with updates the last one must say complete.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import grpc

from benchmarks import flows
from benchmarks.audit import BenchmarkFailed
from benchmarks.deployments import Deployment, Embedded
from benchmarks.runs import audit_run, run_flow, warm_up
from gaia.v1 import api_pb2, api_pb2_grpc

STEPS: Final = 20_000
STREAMS: Final = 1_000
BUSY: Final = 10
REPETITIONS: Final = 3
STREAMS_PER_CHANNEL: Final = 20
ANSWER_S: Final = 300.0

MODES: Final = ("nobody", "updates", "events")
"""No streams; streams of coalesced updates; streams of every event."""

Result = dict[str, Any]


def main() -> int:
    """Measure and print; or, as a process of its own, hold the streams."""
    given = _arguments()
    if given.hold:
        return asyncio.run(_hold(given))
    found: dict[str, list[Result]] = {mode: [] for mode in MODES}
    for repetition in range(1, given.repetitions + 1):
        for mode in MODES:
            result = _measure(given, mode)
            found[mode].append(result)
            print(json.dumps({"benchmark": "watchers", "repetition": repetition, **result}), flush=True)
    medians = {mode: statistics.median(one["steps_per_s"] for one in found[mode]) for mode in MODES}
    ratios = {mode: round(medians[mode] / medians["nobody"], 3) for mode in MODES[1:]}
    print(json.dumps({"summary": "watchers", "steps_per_s": medians, "of_nobody": ratios}), flush=True)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.watchers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=STEPS, help="Steps of the workflow [%(default)s]")
    parser.add_argument("--streams", type=int, default=STREAMS, help="open streams [%(default)s]")
    parser.add_argument("--busy", type=int, default=BUSY, help="of them on that workflow [%(default)s]")
    parser.add_argument("--repetitions", type=int, default=REPETITIONS, help="[%(default)s]")
    parser.add_argument("--hold", metavar="ADDRESS", help=argparse.SUPPRESS)
    parser.add_argument("--events", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _measure(given: argparse.Namespace, mode: str) -> Result:
    """Run the workflow once on a fresh deployment."""
    flow = flows.wide("busy", given.steps)
    with tempfile.TemporaryDirectory(prefix="gaia-bench-") as folder, Embedded(Path(folder)) as deployment:
        warm_up(deployment)
        deployment.client.upload("quiet", {}, [], [])
        with ExitStack() as stack:
            held: Result = {}

            def hold() -> None:
                if mode != "nobody":
                    stack.enter_context(_streams(given, mode, deployment, held))

            found = run_flow(deployment, flow, hold)
        deployment.stop()
        read_back = audit_run(deployment, flow, deployment.journal())
    return {"watched": mode, **found, **held, "read_back": read_back}


@contextmanager
def _streams(given: argparse.Namespace, mode: str, deployment: Deployment, held: Result) -> Iterator[None]:
    """Hold the streams while the workflow runs; enter what they were told."""
    command = [sys.executable, "-m", "benchmarks.watchers", "--hold", deployment.address]
    command += [f"--{name}={getattr(given, name)}" for name in ("steps", "streams", "busy")]
    command += ["--events"] if mode == "events" else []
    folder = Path(__file__).resolve().parents[1]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None or process.stdout.readline() != "open\n":
                raise BenchmarkFailed("the streams were not opened")
            yield
            ended = time.perf_counter()
            out, _ = process.communicate(timeout=ANSWER_S)
        finally:
            process.kill()
        if process.returncode:
            raise BenchmarkFailed("the streams were not told what they should have been")
    told = json.loads(out)
    held["streams"] = {"behind_s": round(told.pop("at") - ended, 3), **told}


async def _hold(given: argparse.Namespace) -> int:
    """Open all streams, say so, and read the busy ones until the workflow is complete; print what they were told."""
    channels = [grpc.aio.insecure_channel(given.hold, [("grpc.use_local_subchannel_pool", 1)])
                for _ in range(-(-given.streams // STREAMS_PER_CHANNEL))]  # fmt: skip
    calls = []
    for number in range(given.streams):
        stub = api_pb2_grpc.GaiaStub(channels[number // STREAMS_PER_CHANNEL])  # type: ignore[no-untyped-call]
        name = "busy" if number < given.busy else "quiet"
        calls.append(stub.Watch(api_pb2.WatchRequest(workflow=name, from_sequence=0, every_event=given.events)))
    await asyncio.gather(*(call.initial_metadata() for call in calls))
    print("open", flush=True)
    read = _events if given.events else _updates
    idle = [asyncio.create_task(_all(call)) for call in calls[given.busy :]]
    messages = await asyncio.gather(*(read(call, given.steps) for call in calls[: given.busy]))
    at = time.perf_counter()
    for task in idle:
        task.cancel()
    print(json.dumps({"count": given.streams, "busy": given.busy, "messages": sum(messages), "at": at}))
    return 0


async def _all(call: Any) -> None:
    async for _ in call:
        pass


async def _events(call: Any, steps: int) -> int:
    """Read a stream of events up to the end of the workflow; return how many there were."""
    count = completions = before = 0
    async for response in call:
        event = response.event
        count += 1
        completions += event.HasField("step_completed")
        if before and event.sequence != before + 1:
            raise BenchmarkFailed(f"event {event.sequence} follows {before}")
        before = event.sequence
        if event.workflow_changed.change == "complete":
            break
    if completions != steps:
        raise BenchmarkFailed(f"{completions} completions of {steps} Steps")
    return count


async def _updates(call: Any, steps: int) -> int:
    """Read a stream of updates up to the end of the workflow; return how many there were."""
    count = 0
    async for response in call:
        count += 1
        if response.update.state == "complete" and response.update.steps.complete == steps:
            break
    return count


if __name__ == "__main__":
    sys.exit(main())
