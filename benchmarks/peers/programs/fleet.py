"""A peer's worker processes, which can be held back while work is handed in."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from harness import FOLDER

STOP_S = 20.0


class Fleet:
    """Process groups of their own, so that a parent and its children stop, go on and end together.

    Work is handed in while they are stopped, as a Gaia workflow is uploaded before its clock starts; they have started,
    are connected and have run a few tasks by then.
    """

    def __init__(self, commands: Sequence[Sequence[str]]) -> None:
        environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
        with (FOLDER / "workers.log").open("ab") as output:
            self._processes = [
                subprocess.Popen(command, stdout=output, stderr=output, env=environ, process_group=0)
                for command in commands
            ]

    def pause(self) -> None:
        """Stop every process where it is."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let every process go on."""
        self._send(signal.SIGCONT)

    def stop(self) -> None:
        """Ask every worker to end; kill what does not, and all of it when told to hurry."""
        try:
            for process in self._processes:
                process.terminate()
            for process in self._processes:
                process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            for process in self._processes:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()

    def _send(self, number: signal.Signals) -> None:
        for process in self._processes:
            os.killpg(process.pid, number)

    def __enter__(self) -> "Fleet":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.resume()
        self.stop()


def end_when_told() -> None:
    """Leave by way of every `with` when asked to end, so that no worker stays behind."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end"))
