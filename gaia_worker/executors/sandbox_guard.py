"""Ends sandboxes whose worker is gone: by their mark, from a process of its own that outlives the worker.

bubblewrap is told to die with its parent, but asks the kernel for that only once its namespaces are made: the sandbox
of a worker that is killed before lives on. So a worker keeps one small process beside it, which waits for the end of a
pipe and then kills what is left. (Source: bwrap(1), prctl(2). Measured without it: of 60 workers that were killed
within 60 ms of their first start, 36 left some.)

The control groups of what it killed are removed too.

This file is also the guard's program. It imports nothing of ours, so that it starts in a few milliseconds.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

VARIABLE = "GAIA_SANDBOX"
"""Names the mark among the arguments of bwrap, and to the program inside."""

LOOKS = 20
PAUSE_S = 0.1
"""A bwrap that was just being started when its worker was killed shows its arguments a moment later."""


class Guard:
    """The process that outlives this one, if only for a moment. To be closed, after which nothing is guarded."""

    def __init__(self, suffix: str, group_homes: Sequence[str] = ()) -> None:
        """Guard the sandboxes whose mark ends so, and their control groups in these folders."""
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-I", "-S", str(Path(__file__).resolve()), suffix, *group_homes],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,  # what is sent to the worker's terminal is not for its guard
        )

    def close(self) -> None:
        """End the guard; safe to call twice."""
        assert self._process.stdin is not None
        self._process.kill()
        self._process.stdin.close()
        self._process.wait()


def kill_marked(is_meant: Callable[[str], bool]) -> int:
    """Kill the sandboxes whose mark is meant, with all that runs in them; return how many processes of bwrap those had.

    The kernel ends a sandbox's programs with the first process in it, which is bwrap's own.
    """
    killed = 0
    for pid, mark in _marked():
        if is_meant(mark):
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
            killed += 1
    return killed


def _marked() -> Iterator[tuple[int, str]]:
    """Yield (process id, mark) of every process of bwrap that has one."""
    for folder in os.scandir("/proc"):
        if not folder.name.isdigit():
            continue
        try:
            with open(f"{folder.path}/cmdline", "rb") as file:  # noqa: PTH123 - pathlib would double the guard's start
                words = file.read().split(b"\0")
        except OSError:
            continue
        if b"bwrap" in words[0] and VARIABLE.encode() in words:
            yield int(folder.name), words[words.index(VARIABLE.encode()) + 1].decode(errors="replace")


def _remove_groups(suffix: str, homes: Sequence[str]) -> None:
    """Remove the control groups with this in their name that nothing runs in any more."""
    for home in homes:
        for folder in os.scandir(home):
            if suffix in folder.name:
                try:
                    os.rmdir(folder.path)  # noqa: PTH106 - pathlib would double the guard's start
                except OSError:
                    continue


def _guard(suffix: str, homes: Sequence[str]) -> None:
    """Wait until the worker is gone, then kill what it left."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while sys.stdin.buffer.read(1):
        pass
    for _ in range(LOOKS):
        kill_marked(lambda mark: mark.endswith(suffix))
        _remove_groups(suffix, homes)
        time.sleep(PAUSE_S)


if __name__ == "__main__":
    _guard(sys.argv[1], sys.argv[2:])
