"""How long a restart takes with very many Steps: from a snapshot, and from the journal alone.

    python -m benchmarks.restart [STEPS]

One sweep, half of it complete with a file each, in a SQLite journal as `gaia up` writes it. Prints the sizes, what
taking a snapshot costs beside the server, and the time from start to the first dispatch, both ways. Needs some GB.
"""

import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

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

BATCH = 1_000
CLOCK = Clock(lambda: 10**12, time.monotonic)
DUTIES = Duties(30.0, 0.0, True, Rules())


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


def timed(what: str, act: Callable[[], Any]) -> Any:
    """Do something and print how long it took, on the clock and of a processor."""
    start, start_cpu = time.monotonic(), time.process_time()
    result = act()
    took, cpu = time.monotonic() - start, time.process_time() - start_cpu
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{what:55} {took:8.1f} s, {cpu:8.1f} s of a processor, memory {used:.1f} GiB", flush=True)
    return result


def restart(folder: Path, end: int, snapshots: Snapshots | None, what: str) -> None:
    """Take office as a server does: the first dispatch is out when that is done."""
    published = MemoryEvents()
    published.position = Position(end - 1)
    shutil.copy(folder / "journal.sqlite", folder / "copy.sqlite")  # each restart finds the same
    journal, bus = SqliteJournal(folder / "copy.sqlite", "NORMAL"), InProcessBus()
    store = store_in(folder)
    reign = Reign(journal, bus, lambda: MemoryEventLog(published), store, CLOCK, DUTIES, print)
    timed(what, lambda: reign.open("here:1", "benchmark", snapshots))
    assert journal.bounds()[1] >= end + 2, "an opening, and what was dispatched"
    timed("until the publisher has its own state, too", reign.close)
    journal.close()


def main() -> None:
    """Measure one thing in this process; without a thing to measure, all of them, each in one of its own."""
    folder, what, steps = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    store = store_in(folder)
    store.check()
    snapshots = snapshots_in(store, None)
    journal = SqliteJournal(folder / "journal.sqlite", "NORMAL")
    end = journal.bounds()[1]
    if what != "fill":
        journal.close()  # which brings all of it into the one file
        journal = SqliteJournal(folder / "journal.sqlite", "NORMAL")
    if what == "fill":
        timed("writing the journal", lambda: fill(journal, steps))
    elif what == "take":
        taken = timed("taking a snapshot (journal alone, write, read back)", lambda: take(journal, snapshots, end - 1))
        journal_bytes = Path(folder, "journal.sqlite").stat().st_size
        print(f"snapshot {taken.size_bytes / 2**20:.1f} MiB, journal {journal_bytes / 2**20:.1f} MiB")
        snapshot = timed("reading and decoding it", lambda: snapshots.read(snapshots.listed()[0]))
        chunks = timed("encoding it", lambda: list(encode_snapshot(snapshot)))
        timed("decoding it", lambda: decode_snapshot(chunks))
    elif what == "journal":
        restart(folder, end, None, "from start to first dispatch, from the journal alone")
    else:
        restart(folder, end, snapshots, "from start to first dispatch, from the snapshot")


def run_all() -> None:
    """Measure everything."""
    import subprocess  # noqa: PLC0415

    steps = sys.argv[1] if len(sys.argv) > 1 else "1000000"
    with tempfile.TemporaryDirectory() as folder:
        for what in ("fill", "take", "journal", "snapshot"):
            subprocess.run([sys.executable, "-m", "benchmarks.restart", folder, what, steps], check=True)


if __name__ == "__main__":
    main() if len(sys.argv) > 3 else run_all()
