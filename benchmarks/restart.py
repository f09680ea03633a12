"""How long a restart takes with very many Steps: from a snapshot, and from the journal alone.

    python -m benchmarks.restart [--steps N] [--repetitions N] [--folder DIR] [--json FILE]

One sweep, half of it complete with a file each, in a SQLite journal as `gaia up` writes it; every start is a process of
its own that finds the same. One JSON object per line on stdout: the sizes, what taking a snapshot costs beside the
server, each start up to the first dispatch, then summaries and the bar. Needs some GB.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks.report import Bar, summary
from benchmarks.throughput import Output
from gaia_core.app import embedded_store, snapshots_in
from gaia_core.backends.folder import FolderStore
from gaia_core.backends.inprocess import InProcessBus
from gaia_core.backends.memory import MemoryEventLog, MemoryEvents
from gaia_core.backends.sqlite import SqliteJournal
from gaia_core.config import load
from gaia_core.coordinator.loop import Clock
from gaia_core.coordinator.reign import Duties, Reign
from gaia_core.coordinator.snapshots import Snapshots
from gaia_core.coordinator.taking import take
from gaia_core.coordinator.term import Term
from gaia_core.machine import events as own
from gaia_core.ports import Position
from gaia_core.wire.snapshot import decode_snapshot, encode_snapshot
from gaia_core.workflow import events as ev
from gaia_core.workflow.model import Command, FileVersion, Publication, StepSpec
from gaia_core.workflow.validate import Rules

BATCH: Final = 1_000
CLOCK: Final = Clock(lambda: 10**12, time.monotonic)
DUTIES: Final = Duties(30.0, 0.0, True, Rules())

STEPS: Final = 1_000_000
REPETITIONS: Final = 5
FIRST_DISPATCH_S_MAX: Final = 60.0

Result = dict[str, Any]


def fill(journal: SqliteJournal, steps: int) -> int:
    """Write the journal of a sweep that is half complete; return its end."""
    term = Term(journal)
    term.open(10**12, "here:1", "benchmark")
    command = Command("make", "image", ("make", "{{out}}"), {}, {"out": "/out"})
    spec = StepSpec("s", "make", {}, {"out": "results/{{n}}.txt"}, {"n": tuple(range(steps))})
    write(term, own.WorkerJoined("w", "i1", "default", BATCH, 0, 0))
    write(term, ev.WorkflowCreated(1, "wide", "me", {}), ev.CommandsSet(1, (command,)))
    write(term, ev.StepsMerged(1, (spec,)), ev.StepsReset(1, tuple(range(steps)), "merged"))
    for start in range(0, steps // 2, BATCH):
        indexes, attempts = tuple(range(start, start + BATCH)), (1,) * BATCH
        outputs = tuple((output(index),) for index in indexes)
        write(term, ev.StepsDispatched(1, "w", indexes, attempts))
        write(term, ev.StepsCompleted(1, "w", indexes, attempts, (1,) * BATCH, outputs))
    return journal.bounds()[1]


def output(index: int) -> Publication:
    """Return what a Step wrote."""
    key = f"results/{index}.txt"
    return Publication(key, (FileVersion(key, f"v0198f2c4-{index:012x}", 1_000 + index, index.to_bytes(32, "big")),))


def write(term: Term, *events: Any) -> None:
    """Apply and journal events."""
    for event in events:
        term.state.apply(event)
    term.append(events, 10**12, 0)


def store_in(folder: Path) -> FolderStore:
    """Return the store that `gaia up` would have in a data folder."""
    return embedded_store(load({}, {"GAIA_DATA": str(folder)}, {}))


def timed(act: Callable[[], Any]) -> tuple[Any, Result]:
    """Do something; return what it gives, and how long it took on the clock and of a processor."""
    start, start_cpu = time.monotonic(), time.process_time()
    result = act()
    took, cpu = time.monotonic() - start, time.process_time() - start_cpu
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return result, {"seconds": round(took, 3), "cpu_s": round(cpu, 3), "memory_gib": round(used, 2)}


def restart(folder: Path, end: int, snapshots: Snapshots | None) -> Result:
    """Take office as a server does: the first dispatch is out when that is done."""
    published = MemoryEvents()
    published.position = Position(end - 1)
    shutil.copy(folder / "journal.sqlite", folder / "copy.sqlite")  # each restart finds the same
    journal, bus = SqliteJournal(folder / "copy.sqlite", "NORMAL"), InProcessBus()
    store = store_in(folder)
    reign = Reign(journal, bus, lambda: MemoryEventLog(published), store, CLOCK, DUTIES, lambda _: None)
    _, found = timed(lambda: reign.open("here:1", "benchmark", snapshots))
    assert journal.bounds()[1] >= end + 2, "an opening, and what was dispatched"
    _, settled = timed(reign.close)
    journal.close()
    return {**found, "publisher_ready_s": settled["seconds"]}


def stage(folder: Path, what: str, steps: int) -> Result:
    """Go through one stage in this process, and return its figures."""
    store = store_in(folder)
    store.check()
    snapshots = snapshots_in(store, None)
    journal = SqliteJournal(folder / "journal.sqlite", "NORMAL")
    end = journal.bounds()[1]
    if what == "fill":
        return timed(lambda: fill(journal, steps))[1]
    journal.close()  # which brings all of it into the one file
    if what == "journal":
        return restart(folder, end, None)
    if what == "snapshot":
        return restart(folder, end, snapshots)
    journal = SqliteJournal(folder / "journal.sqlite", "NORMAL")
    taken, found = timed(lambda: take(journal, snapshots, end - 1))
    snapshot, reading = timed(lambda: snapshots.read(snapshots.listed()[0]))
    chunks, encoding = timed(lambda: list(encode_snapshot(snapshot)))
    _, decoding = timed(lambda: decode_snapshot(chunks))
    sizes = {
        "snapshot_mib": taken.size_bytes / 2**20,
        "journal_mib": Path(folder, "journal.sqlite").stat().st_size / 2**20,
    }
    times = {"read_s": reading["seconds"], "encode_s": encoding["seconds"], "decode_s": decoding["seconds"]}
    return {**found, **{name: round(size, 1) for name, size in sizes.items()}, **times}


def in_a_process(folder: Path, what: str, steps: int) -> Result:
    """Go through one stage in a process of its own: fill, take, journal (a restart from that alone) or snapshot."""
    command = [sys.executable, "-m", "benchmarks.restart", f"--stage={what}", f"--steps={steps}", f"--folder={folder}"]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: Result = json.loads(told.splitlines()[-1])
    return found


def main() -> int:
    """Measure everything; or one stage, as a process of its own."""
    parser = argparse.ArgumentParser(prog="benchmarks.restart", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=STEPS, help="of the workflow [%(default)s]")
    parser.add_argument("--repetitions", type=int, default=REPETITIONS, help="of each start [%(default)s]")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="where data folders are made; a real disk [temp]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the JSON lines into a file as well")
    parser.add_argument("--stage", choices=["fill", "take", "journal", "snapshot"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.stage:
        print(json.dumps(stage(given.folder, given.stage, given.steps)))
        return 0
    output = Output(given.json)
    with tempfile.TemporaryDirectory(prefix="gaia-bench-", dir=given.folder) as place:
        for what in ("fill", "take"):
            output.line({"benchmark": what, "steps": given.steps, **in_a_process(Path(place), what, given.steps)})
        for repetition in range(1, given.repetitions + 1):
            for what in ("snapshot", "journal"):
                found = in_a_process(Path(place), what, given.steps)
                output.result(f"start from the {what}", repetition, {"on": "embedded", "steps": given.steps, **found})
    conclude(output)
    return 0


def conclude(output: Output) -> None:
    """Print summaries and bars."""
    for benchmark in dict.fromkeys(result["benchmark"] for result in output.results):
        found = summary([result for result in output.results if result["benchmark"] == benchmark], "seconds")
        output.line({"summary": found})
        bar = Bar(f"{benchmark} to the first dispatch, s", found["median"], False, FIRST_DISPATCH_S_MAX)
        output.line({"bar": bar.what, "value": bar.value, "limit": bar.limit, "met": bar.is_met})


if __name__ == "__main__":
    sys.exit(main())
