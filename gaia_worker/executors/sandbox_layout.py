"""The file system that one sandboxed program sees, as arguments of bubblewrap.

It is the host's, read-only, without what is private to the host: home folders, /run, Gaia's own folders, and whatever
not everybody on the host may read. /tmp and /dev are the program's own. The order of the arguments matters.

Source: bwrap(1).
"""

import os
import stat
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from gaia_worker.executors.base import Mount, Task

OWN: Final = ("/dev", "/home", "/proc", "/root", "/run", "/tmp")  # noqa: S108 - private to the sandbox
"""Folders that the sandbox does not share with the host."""

SHARED_MEMORY: Final = "/dev/shm"  # noqa: S108 - private to the sandbox

KERNEL_READ_ONLY: Final = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
KERNEL_HIDDEN: Final = (
    *("/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/scsi"),
    *("/proc/sched_debug", "/proc/timer_list", "/proc/timer_stats", "/sys/firmware", "/sys/fs/cgroup"),
)
"""What belongs to the whole machine: to a worker that is root the files there are its own, which is all that many ask.

Source: the paths that Docker makes read-only and masks. Of those bwrap itself covers only whole folders that can be
written; measured with 0.11, a program of root's could change /proc/sys/kernel/core_pattern.
"""

FOLDER_BYTES_MAX: Final = str(64 << 20)
"""What fits into each folder that is made for the sandbox, which is in memory; Docker gives as much to /dev/shm."""

SCANNED: Final = {"/": 1, "/etc": 8, "/var": 3}
"""Where to look for what not everybody may read, and how deep: where systems keep secrets."""

SCAN_VALID_S: Final = 10.0
"""A scan takes about as long as the start of a sandbox."""


class Layout:
    """The arguments for one task."""

    def __init__(self, task: Task, hidden: Sequence[str], private: Sequence[str]) -> None:
        """Lay out for one task.

        Args:
            task: what will run.
            hidden: folders of the host to leave out.
            private: files and folders of the host to leave out.
        """
        self._mounts = task.mounts
        self._workdir = task.workdir or "/"
        self._network = task.network
        self._tmp = task.tmp
        self._hidden = [*(path for path in hidden if not _below(path, OWN)), *private]

    def arguments(self) -> list[str]:
        """Return the arguments in the order in which bwrap must do them."""
        arguments = [*_empty_folder("/"), *_share_children("/", skip=OWN), *self._own_folders()]
        for folder in self._opened():
            arguments += [*_empty_folder(folder), *_share_children(folder)]
        for path in self._hidden:
            arguments += _cover(path)
        for mount in self._mounts:
            arguments += ["--ro-bind" if mount.read_only else "--bind", str(mount.source), self._place(mount)]
        return [*arguments, *self._resolver(), "--dir", self._workdir, "--chdir", self._workdir]

    def _own_folders(self) -> list[str]:
        arguments = ["--proc", "/proc", "--dev", "/dev", *_empty_folder(SHARED_MEMORY)]
        if not any(_below(mount.target, ["/dev"]) for mount in self._mounts):
            arguments += ["--remount-ro", "/dev"]
        for path in KERNEL_READ_ONLY:
            arguments += ["--ro-bind-try", path, path]
        for path in KERNEL_HIDDEN:
            arguments += _cover(path)
        for folder in ("/home", "/root", "/run"):
            arguments += _empty_folder(folder)
        tmp = "/tmp"  # noqa: S108 - private to the sandbox
        return [*arguments, *(_empty_folder(tmp) if self._tmp is None else ["--bind", str(self._tmp), tmp])]

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


class Private:
    """Remembers for a moment what of the host not everybody may read. Safe to use from several threads."""

    def __init__(self, hidden: Sequence[str]) -> None:
        """Leave out what is hidden anyway."""
        self._skipped = (*OWN, "/sys", *hidden)
        self._lock = threading.Lock()
        self._found: tuple[str, ...] = ()
        self._looked_s: float | None = None

    def places(self) -> tuple[str, ...]:
        """Return the outermost files and folders that are not for everybody, and sockets, which listen for somebody."""
        with self._lock:
            if self._looked_s is None or time.monotonic() >= self._looked_s + SCAN_VALID_S:
                found = {path for folder, depth in SCANNED.items() for path in self._scan(folder, depth)}
                self._found = tuple(sorted(path for path in found if not any(up in found for up in _above(path))))
                self._looked_s = time.monotonic()
            return self._found

    def _scan(self, folder: str, depth: int) -> Iterator[str]:
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError:
            return
        for entry in entries:
            if entry.path in self._skipped or entry.is_symlink():
                continue
            try:
                mode = entry.stat(follow_symlinks=False).st_mode
            except OSError:
                continue
            if not _is_for_everybody(mode):
                yield entry.path
            elif stat.S_ISDIR(mode) and depth > 1:
                yield from self._scan(entry.path, depth - 1)


def _is_for_everybody(mode: int) -> bool:
    return not stat.S_ISSOCK(mode) and bool(mode & (stat.S_IXOTH if stat.S_ISDIR(mode) else stat.S_IROTH))


def _above(path: str) -> list[str]:
    return [str(parent) for parent in PurePosixPath(path).parents]


def _empty_folder(folder: str) -> list[str]:
    return ["--size", FOLDER_BYTES_MAX, "--tmpfs", folder]


def _cover(path: str) -> list[str]:
    """Return the arguments that put something empty in the place of a file or folder of the host, if it is there."""
    if Path(path).is_dir():
        return _empty_folder(path)
    return ["--ro-bind", os.devnull, path] if os.path.lexists(path) else []


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
