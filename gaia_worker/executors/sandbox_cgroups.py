"""Control groups: what holds a program of the sandbox to its memory, processors and number of processes.

A group is made for each attempt below a place that this process may write: root's own group, or one that was delegated
to the worker's user. It carries the mark of its worker and life, so that what a killed worker left is found. Both
versions of the kernel's interface are spoken. Who has no such place is served by `sandbox_polling`.

Source: cgroups(7); the kernel's admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst; systemd's CGROUP_DELEGATION.md.
"""

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from gaia_core.workflow.model import Resources
from gaia_worker.executors.sandbox_limits import PIDS_MAX, POLL_S

PREFIX: Final = "gaia-"
OWN_LEAF: Final = "gaia-worker"
"""Where a worker moves itself, since a group of version 2 holds processes or limits those of its children, not both."""

NEEDED: Final = ("memory", "pids")
PERIOD_US: Final = 100_000
"""The kernel's default: what a program may take of a processor is counted out so often."""

REMOVAL_S: Final = 10.0
"""A killed process leaves its group a moment later; one that hangs in a disk must not hang the worker."""

_MOUNTS: Final = Path("/proc/self/mountinfo")
_OWN: Final = Path("/proc/self/cgroup")


@dataclass(frozen=True, slots=True)
class Home:
    """Where this process may make groups: controller → folder, all the same one in version 2."""

    version: int
    folders: Mapping[str, Path]

    def group(self, name: str, resources: Resources) -> "Group":
        """Make a group that holds whoever is in it to these resources, and to PIDS_MAX.

        Raises:
            OSError: the kernel refuses.
        """
        group = Group({controller: folder / name for controller, folder in self.folders.items()})
        try:
            group.make(_settings(self.version, resources))
        except OSError:
            group.end()
            raise
        return group

    def leftovers(self, prefix: str) -> Iterator[Path]:
        """Yield the groups whose names begin so, wherever they are: an earlier life may have had another home."""
        for top in {_top(folder) for folder in self.folders.values()}:
            for folder, names, _files in os.walk(top):
                yield from (Path(folder, name) for name in names if name.startswith(prefix))


class Group:
    """The groups of one attempt, one folder per controller; a `sandbox_limits.Limits`."""

    pause_s = POLL_S

    def __init__(self, folders: Mapping[str, Path]) -> None:
        """Name the folders; `make` makes them."""
        self._folders = folders

    def make(self, settings: Mapping[str, Mapping[str, str]]) -> None:
        """Make the folders and write the settings, controller → file → value; files the kernel lacks are left out."""
        for folder in self._places():
            folder.mkdir()
        for controller, values in settings.items():
            for name, value in values.items():
                path = self._folders[controller] / name if controller in self._folders else None
                if path is not None and path.exists():
                    path.write_text(value, encoding="ascii")

    def begin(self, pid: int) -> None:
        """Take in a process, with all that it will start."""
        for folder in self._places():
            (folder / "cgroup.procs").write_text(str(pid), encoding="ascii")

    def exceeded(self) -> bool:
        """Return False: the kernel itself keeps the limits."""
        return False

    def out_of_memory(self) -> bool:
        """Tell whether the kernel killed something in the group for want of memory."""
        for name in ("memory.events", "memory.oom_control"):
            with suppress(OSError):
                words = (self._folders["memory"] / name).read_text(encoding="ascii").split()
                return int(words[words.index("oom_kill") + 1]) > 0
        return False

    def end(self) -> None:
        """Kill what is in the group and remove it."""
        for folder in self._places():
            remove(folder)

    def _places(self) -> list[Path]:
        return sorted(set(self._folders.values()))


def remove(folder: Path) -> int:
    """Kill what is in a group and remove it; return how many processes that were. A group that is gone is fine."""
    killed: set[int] = set()
    deadline = time.monotonic() + REMOVAL_S
    while time.monotonic() < deadline:
        try:
            folder.rmdir()
        except FileNotFoundError:
            break
        except OSError:  # something is still in it
            killed |= _kill_all(folder)
            time.sleep(0.001)
        else:
            break
    return len(killed)


def _kill_all(folder: Path) -> set[int]:
    killed = set()
    with suppress(OSError):
        for word in (folder / "cgroup.procs").read_text(encoding="ascii").split():
            with suppress(OSError):
                os.kill(int(word), signal.SIGKILL)
                killed.add(int(word))
    return killed


def find_home() -> Home | None:
    """Return where this process may make groups that limit memory and processes, or None.

    May move this process one group down, where it is alone in its group and that is how it can use it.
    """
    with suppress(OSError):
        return _first_version() or _second_version()
    return None


def _first_version() -> Home | None:
    """Return this process's own groups of the first version, if it may make some in them."""
    own = {name: path for names, path in _own_groups() for name in names.split(",")}
    folders: dict[str, Path] = {}
    for mount in _mounts("cgroup"):
        for controller in (*NEEDED, "cpu"):
            if controller in mount.options and controller in own:
                folder = mount.folder_of(own[controller])
                if folder is not None and os.access(folder, os.W_OK):
                    folders[controller] = folder
    return Home(1, folders) if all(name in folders for name in NEEDED) else None


def _second_version() -> Home | None:
    own = next((path for names, path in _own_groups() if not names), None)
    mount = next(iter(_mounts("cgroup2")), None)
    folder = mount.folder_of(own) if mount is not None and own is not None else None
    if mount is None or folder is None:
        return None
    candidates = [folder] if folder == mount.point else [folder, folder.parent]
    for candidate in candidates:
        with suppress(OSError):
            if _limits_children(candidate) or _made_to_limit(candidate):
                return Home(2, dict.fromkeys(_controllers(candidate, "cgroup.subtree_control"), candidate))
    return None


def _limits_children(folder: Path) -> bool:
    may_write = os.access(folder, os.W_OK) and os.access(folder / "cgroup.procs", os.W_OK)
    return may_write and set(NEEDED) <= _controllers(folder, "cgroup.subtree_control")


def _made_to_limit(folder: Path) -> bool:
    """Make a group limit its children, moving ourselves out of the way if we are alone in it.

    Raises:
        OSError: the kernel refuses.
    """
    given = _controllers(folder, "cgroup.controllers")
    inside = (folder / "cgroup.procs").read_text(encoding="ascii").split()
    if not set(NEEDED) <= given or inside not in ([], [str(os.getpid())]):
        return False
    if inside:
        leaf = folder / OWN_LEAF
        leaf.mkdir(exist_ok=True)
        (leaf / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
    wanted = " ".join(f"+{name}" for name in (*NEEDED, "cpu") if name in given)
    (folder / "cgroup.subtree_control").write_text(wanted, encoding="ascii")
    return _limits_children(folder)


def _controllers(folder: Path, name: str) -> set[str]:
    return set((folder / name).read_text(encoding="ascii").split())


class _Mount(NamedTuple):
    """A mounted hierarchy: root is the group that is seen at point."""

    root: str
    point: Path
    options: tuple[str, ...]

    def folder_of(self, group: str) -> Path | None:
        """Return the folder of a group, or None where this mount does not show it."""
        relative = os.path.relpath(group, self.root)
        folder = self.point / relative if relative != "." else self.point
        return None if relative.startswith("..") or not folder.is_dir() else folder


def _mounts(kind: str) -> Iterator[_Mount]:
    for line in _MOUNTS.read_text(encoding="utf-8").splitlines():
        before, _, after = line.partition(" - ")
        fields, (found, _source, options) = before.split(), after.split()
        if found == kind:
            yield _Mount(fields[3], Path(fields[4]), tuple(options.split(",")))


def _own_groups() -> Iterator[tuple[str, str]]:
    """Yield (controllers, group) of this process; version 2 has no controllers' names."""
    for line in _OWN.read_text(encoding="utf-8").splitlines():
        _number, names, path = line.split(":", 2)
        yield names, path


def _top(folder: Path) -> Path:
    """Return the root of the hierarchy that a folder lies in."""
    while not folder.is_mount():
        folder = folder.parent
    return folder


def _settings(version: int, resources: Resources) -> dict[str, dict[str, str]]:
    """Return controller → file → value, in the order in which the kernel wants them."""
    memory, quota_us = str(resources.memory_bytes), int((resources.cpus or 0) * PERIOD_US)
    settings: dict[str, dict[str, str]] = {"pids": {"pids.max": str(PIDS_MAX)}}
    if resources.memory_bytes:
        settings["memory"] = (
            {"memory.limit_in_bytes": memory, "memory.memsw.limit_in_bytes": memory}
            if version == 1
            else {"memory.max": memory, "memory.swap.max": "0"}
        )
    if quota_us:
        settings["cpu"] = (
            {"cpu.cfs_period_us": str(PERIOD_US), "cpu.cfs_quota_us": str(max(quota_us, 1000))}
            if version == 1
            else {"cpu.max": f"{max(quota_us, 1000)} {PERIOD_US}"}
        )
    return settings
