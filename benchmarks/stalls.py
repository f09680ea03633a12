"""How long the loop keeps a question waiting in a deployment of very many Steps, and while a snapshot is taken.

    python -m benchmarks.stalls [STEPS]

A server with a half finished sweep, restarted from its snapshot, is asked for the status of that workflow every 10 ms,
by the clock: who is kept waiting does not ask less often. Prints how long answers took: right after the start, when all
is at rest, and while another process takes the next snapshot. Both share the processors. Needs some GB.
"""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

from benchmarks.restart import CLOCK, DUTIES
from gaia_core.app import embedded_store, snapshots_in
from gaia_core.backends.inprocess import InProcessBus
from gaia_core.backends.memory import MemoryEventLog, MemoryEvents
from gaia_core.backends.sqlite import SqliteJournal
from gaia_core.config import load
from gaia_core.coordinator.reign import Reign
from gaia_core.machine import requests as rq
from gaia_core.ports import Position
from gaia_core.snapshot_process import EMBEDDED, SnapshotProcess

EVERY_S: Final = 0.01
REST_S: Final = 20.0
STALL_S: Final = 0.05
"""What the loop should never keep anybody waiting for."""


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


def asked(reign: Reign, what: str, act: Callable[[], object]) -> None:
    """Do something and print how long answers took meanwhile."""
    asking = Asking(lambda: reign.submit(rq.GetStatus("wide")))
    asking.start()
    began_s = time.monotonic()
    act()
    took_s = time.monotonic() - began_s
    waits = asking.stop()
    at = [1000 * waits[int(share * (len(waits) - 1))] for share in (0.5, 0.99, 0.999, 1.0)]
    late = sum(wait > STALL_S for wait in waits)
    words = "p50 {:.1f}, p99 {:.1f}, p99.9 {:.1f}, longest {:.0f} ms".format(*at)
    print(f"{what:28} {took_s:6.1f} s, {len(waits)} answers: {words}; {late} over 50 ms", flush=True)


def main() -> None:
    """Fill a journal, restart from its snapshot, and ask."""
    steps = sys.argv[1] if len(sys.argv) > 1 else "1000000"
    with tempfile.TemporaryDirectory() as folder:
        for what in ("fill", "take"):
            subprocess.run([sys.executable, "-m", "benchmarks.restart", folder, what, steps], check=True)
        measure(Path(folder))


def measure(folder: Path) -> None:
    """Restart and ask, beside what `benchmarks.restart` left in a folder."""
    config = load({}, {"GAIA_DATA": str(folder)}, {})
    journal = SqliteJournal(folder / "journal.sqlite", "NORMAL")
    published = MemoryEvents()
    published.position = Position(journal.bounds()[1] - 1)
    store = embedded_store(config)
    reign = Reign(journal, InProcessBus(), lambda: MemoryEventLog(published), store, CLOCK, DUTIES, print)
    reign.open("here:1", "benchmark", snapshots_in(store, None))
    asked(reign, "until the publisher is ready", lambda: reign.settled().result())
    asked(reign, "at rest", lambda: time.sleep(REST_S))
    taker = SnapshotProcess(EMBEDDED, config)
    asked(reign, "while a snapshot is taken", lambda: taker.take(journal.bounds()[1]))
    reign.close()
    journal.close()


if __name__ == "__main__":
    main()
