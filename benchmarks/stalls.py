"""How long the loop keeps a question waiting in a deployment of very many Steps, and while a snapshot is taken.

    python -m benchmarks.stalls [--steps N] [--folder DIR] [--json FILE]

A server with a half finished sweep, restarted from its snapshot, is asked for the status of that workflow every 10 ms,
by the clock: who is kept waiting does not ask less often. One JSON object per line on stdout: how long answers took
right after the start, when all is at rest, and while another process takes the next snapshot; then the bars. Both
share the processors. Needs some GB.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

from benchmarks.report import Bar, summary
from benchmarks.restart import CLOCK, DUTIES, in_a_process
from benchmarks.throughput import Output
from gaia_core.app import embedded_store, snapshots_in
from gaia_core.backends.inprocess import InProcessBus
from gaia_core.backends.memory import MemoryEventLog, MemoryEvents
from gaia_core.backends.sqlite import SqliteJournal
from gaia_core.config import load
from gaia_core.coordinator.reign import Reign
from gaia_core.machine import requests as rq
from gaia_core.ports import Position
from gaia_core.snapshot_process import EMBEDDED, SnapshotProcess

STEPS: Final = 1_000_000
EVERY_S: Final = 0.01
REST_S: Final = 20.0
STALL_S: Final = 0.05
"""What the loop should never keep anybody waiting for."""

Result = dict[str, Any]


class Asking(threading.Thread):
    """Asks at fixed times and notes how long each answer took since the time at which it was due."""

    def __init__(self, ask: Callable[[], "Future[Any]"]) -> None:
        """Prepare to ask."""
        super().__init__()
        self._ask = ask
        self._ended = threading.Event()
        self.waits_s: list[float] = []

    def run(self) -> None:
        """Ask until `stop`."""
        due = time.monotonic()
        while not self._ended.wait(max(0.0, due - time.monotonic())):
            self._ask().result()
            self.waits_s.append(time.monotonic() - due)
            due += EVERY_S

    def stop(self) -> list[float]:
        """End, and return what was noted, the shortest first."""
        self._ended.set()
        self.join()
        return sorted(self.waits_s)


def asked(reign: Reign, act: Callable[[], object]) -> Result:
    """Do something and return how long answers took meanwhile."""
    asking = Asking(lambda: reign.submit(rq.GetStatus("wide")))
    asking.start()
    began_s = time.monotonic()
    act()
    took_s = time.monotonic() - began_s
    waits = asking.stop()
    shares = {"p50_ms": 0.5, "p99_ms": 0.99, "p99.9_ms": 0.999, "longest_ms": 1.0}
    at = {name: round(1000 * waits[int(share * (len(waits) - 1))], 2) for name, share in shares.items()}
    late = sum(wait > STALL_S for wait in waits)
    return {"seconds": round(took_s, 1), "answers": len(waits), **at, "over_50_ms": late}


def main() -> int:
    """Fill a journal, restart from its snapshot, and ask."""
    parser = argparse.ArgumentParser(prog="benchmarks.stalls", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=STEPS, help="of the workflow [%(default)s]")
    parser.add_argument("--folder", type=Path, metavar="DIR", help="where data folders are made; a real disk [temp]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the JSON lines into a file as well")
    given = parser.parse_args()
    output = Output(given.json)
    with tempfile.TemporaryDirectory(prefix="gaia-bench-", dir=given.folder) as place:
        for what in ("fill", "take"):
            in_a_process(Path(place), what, given.steps)
        for when, found in measure(Path(place)):
            output.result(when, 1, {"on": "embedded", "steps": given.steps, **found})
    for result in output.results:
        output.line({"summary": summary([result], "longest_ms")})
    for result in output.results:
        bar = Bar(f"{result['benchmark']}: the longest wait, ms", result["longest_ms"], False, 1000 * STALL_S)
        output.line({"bar": bar.what, "value": bar.value, "limit": bar.limit, "met": bar.is_met})
    return 0


def measure(folder: Path) -> Iterator[tuple[str, Result]]:
    """Restart and ask, beside what `benchmarks.restart` left in a folder; yield when it was asked, and the figures."""
    config = load({}, {"GAIA_DATA": str(folder)}, {})
    journal = SqliteJournal(folder / "journal.sqlite", "NORMAL")
    published = MemoryEvents()
    published.position = Position(journal.bounds()[1] - 1)
    store = embedded_store(config)
    reign = Reign(journal, InProcessBus(), lambda: MemoryEventLog(published), store, CLOCK, DUTIES, lambda _: None)
    reign.open("here:1", "benchmark", snapshots_in(store, None))
    yield "until the publisher is ready", asked(reign, lambda: reign.settled().result())
    yield "at rest", asked(reign, lambda: time.sleep(REST_S))
    taker = SnapshotProcess(EMBEDDED, config)
    yield "while a snapshot is taken", asked(reign, lambda: taker.take(journal.bounds()[1]))
    reign.close()
    journal.close()


if __name__ == "__main__":
    sys.exit(main())
