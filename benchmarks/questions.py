"""Asks for the status of a small workflow by the clock, from a process of its own, and notes the slowest answer.

Whoever else loads this machine's Python must not slow the questions down: so they are no thread of the benchmark. Run
as `python -m benchmarks.questions ADDRESS WORKFLOW`; asks until its stdin is closed, then prints milliseconds.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.audit import BenchmarkFailed
from gaia_client.client import Gaia

EVERY_S: Final = 0.02
READY: Final = "asking"
END_S: Final = 120.0


@contextmanager
def asking(address: str, workflow: str) -> Iterator[list[float]]:
    """Ask as long as the context lasts; then the list holds the milliseconds that the slowest answer took.

    Raises:
        BenchmarkFailed: it could not ask.
    """
    command = [sys.executable, "-m", "benchmarks.questions", address, workflow]
    folder = Path(__file__).resolve().parents[1]
    longest_ms: list[float] = []
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            if process.stdout is None or process.stdout.readline().strip() != READY:
                raise BenchmarkFailed("nobody could ask")
            yield longest_ms
            told, _ = process.communicate(timeout=END_S)
        finally:
            process.kill()
    if process.returncode:
        raise BenchmarkFailed("a question was not answered")
    longest_ms.append(float(told))


def main() -> None:
    """Ask until stdin is closed; print how long the slowest answer took since it was due."""
    ended = threading.Event()
    longest_s = 0.0
    with Gaia({"gaia_host": sys.argv[1]}) as client:
        client.status(sys.argv[2])
        print(READY, flush=True)
        threading.Thread(target=_await_end, args=(ended,), daemon=True).start()
        due = time.perf_counter()
        while not ended.wait(max(0.0, due - time.perf_counter())):
            client.status(sys.argv[2])
            longest_s = max(longest_s, time.perf_counter() - due)
            due += EVERY_S
    print(round(1000 * longest_s, 1))


def _await_end(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


if __name__ == "__main__":
    main()
