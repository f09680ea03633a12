"""Holds programs of the sandbox to their limits where no control group can be had: memory by looking at them often.

Memory is what the program's processes hold together, each shared page counted once, and the program is killed as soon
as that is seen to be too much: what takes memory fast gets further than its limit before that. The kernel is asked to
refuse more than PIDS_MAX processes, which it does for everybody but root; looking would not help, since a fork bomb
leaves the one who looks no time. Processors are not limited.

Source: proc(5), `statm` and `smaps_rollup`; prlimit(2). The processes of a sandbox are all descendants of its first.
"""

import os
import resource
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

from gaia_core.workflow.model import Resources
from gaia_worker.executors.sandbox_limits import PIDS_MAX, POLL_S

LOOK_S: Final = 0.02
"""Between two looks at a program with a limit of memory: in that time a program can take some tens of megabytes."""

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")


class Polled:
    """A `sandbox_limits.Limits` that looks for itself."""

    def __init__(self, resources: Resources) -> None:
        """Hold to these resources."""
        self._memory_bytes_max = resources.memory_bytes
        self.pause_s = LOOK_S if resources.memory_bytes else POLL_S
        self._first: int | None = None
        self._next_look_s = 0.0
        self._is_out_of_memory = False

    def begin(self, pid: int) -> None:
        """Hold a process and all that it starts."""
        self._first = pid
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_NPROC, (PIDS_MAX, PIDS_MAX))

    def exceeded(self) -> bool:
        """Tell whether too much memory is in the hands of the program's processes."""
        now_s = time.monotonic()
        if self._first is None or self._memory_bytes_max is None or now_s < self._next_look_s:
            return False
        self._is_out_of_memory = self._is_out_of_memory or self._holds_too_much(self._first)
        self._next_look_s = time.monotonic() + self.pause_s
        return self._is_out_of_memory

    def out_of_memory(self) -> bool:
        """Tell whether too much memory was seen."""
        return self._is_out_of_memory

    def end(self) -> None:
        """Look no more."""
        self._first = None

    def _holds_too_much(self, first: int) -> bool:
        """Add up what is resident, which counts shared pages more than once; only if that is too much, exactly."""
        pids, most = list(islice(_family(first), PIDS_MAX)), self._memory_bytes_max
        if most is None or sum(map(_resident_bytes, pids)) <= most:
            return False
        return sum(map(_own_share_bytes, pids)) > most


def _family(pid: int) -> Iterator[int]:
    """Yield a process and its descendants."""
    waiting = [pid]
    while waiting:
        found = waiting.pop()
        yield found
        with suppress(OSError):
            for thread in Path(f"/proc/{found}/task").iterdir():
                waiting += children(found, thread.name)


def children(pid: int, thread: int | str) -> list[int]:
    """Return the processes that a thread of a process of ours has started and that still run.

    Source: proc(5); the file is there where the kernel has CONFIG_PROC_CHILDREN, as those of all distributions do.
    """
    try:
        text = Path(f"/proc/{pid}/task/{thread}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(word) for word in text.split()]


def _resident_bytes(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES
    return 0


def _own_share_bytes(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0
