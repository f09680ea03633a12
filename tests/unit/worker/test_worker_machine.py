"""What a machine lets a worker use is read as control groups of both versions tell it."""

import os
from pathlib import Path

import pytest

from gaia_core.config import Config
from gaia_core.workflow.model import Resources
from gaia_worker import machine

GIB = 2**30


@pytest.fixture(autouse=True)
def eight_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with eight processors and 64 GiB."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 64 * GIB // 4096}.__getitem__)


def files(root: Path, **contents: str) -> Path:
    """Write files; "__" in a name stands for a slash, "_X_" for what is no part of names here."""
    for name, text in contents.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


def test_without_control_groups_the_machine_is_all_there_is(tmp_path: Path) -> None:
    """No file, no limit."""
    assert machine.resources_of(Config(), root=tmp_path) == Resources(8.0, 64 * GIB, 0)
    assert machine.slots_of(Config(), root=tmp_path) == 8


def test_version_2_limits_at_every_level_count(tmp_path: Path) -> None:
    """The smallest limit from the process's own group up to the first one; "max" is none."""
    root = files(
        tmp_path,
        proc__self__cgroup="0::/user/worker",
        sys__fs__cgroup__user__worker__cpu_dot_max="max 100000",
        sys__fs__cgroup__user__cpu_dot_max="150000 100000",
        sys__fs__cgroup__cpu_dot_max="400000 100000",
        sys__fs__cgroup__user__worker__memory_dot_max=str(4 * GIB),
        sys__fs__cgroup__user__memory_dot_max="max",
        sys__fs__cgroup__memory_dot_max=str(8 * GIB),
    )
    assert machine.resources_of(Config(), root=root) == Resources(1.5, 4 * GIB, 0)
    assert machine.slots_of(Config(), root=root) == 2


def test_version_1_limits_count_also_where_only_the_mount_shows_them(tmp_path: Path) -> None:
    """In a container the paths are the host's, and its own limits lie in the mount's first folder; -1 is no limit."""
    root = files(
        tmp_path,
        proc__self__cgroup="4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n1:name=systemd:/",
        sys__fs__cgroup__cpu__cpu_dot_cfs_quota_us="250000",
        sys__fs__cgroup__cpu__cpu_dot_cfs_period_us="100000",
        sys__fs__cgroup__memory__memory_dot_limit_in_bytes=str(2 * GIB),
    )
    assert machine.resources_of(Config(), root=root) == Resources(2.5, 2 * GIB, 0)
    files(root, sys__fs__cgroup__cpu__cpu_dot_cfs_quota_us="-1")
    files(root, sys__fs__cgroup__memory__memory_dot_limit_in_bytes=str(2**63 - 4096))
    assert machine.resources_of(Config(), root=root) == Resources(8.0, 64 * GIB, 0)


def test_garbage_sets_no_limit(tmp_path: Path) -> None:
    """What cannot be understood is passed over."""
    root = files(
        tmp_path,
        proc__self__cgroup="0::/",
        sys__fs__cgroup__cpu_dot_max="many 0",
        sys__fs__cgroup__memory_dot_max="0",
    )
    (root / "sys/fs/cgroup/cpu").mkdir()
    (root / "sys/fs/cgroup/cpu/cpu.cfs_quota_us").write_bytes(b"\xff")
    assert machine.resources_of(Config(), root=root) == Resources(8.0, 64 * GIB, 0)


def test_accelerators_are_counted_by_their_devices(tmp_path: Path) -> None:
    """Not what belongs to all of them."""
    root = files(tmp_path, dev__nvidia0="", dev__nvidia1="", dev__nvidiactl="", dev__null="")
    assert machine.gpus(root) == 2


def test_settings_win_and_several_workers_share_the_machine(tmp_path: Path) -> None:
    """What is configured holds for each worker; what is not is divided."""
    root = files(tmp_path, dev__nvidia0="")
    assert machine.resources_of(Config(), workers=4, root=root) == Resources(2.0, 16 * GIB, 0)
    config = Config(cpus=3.5, memory=GIB, gpus=2, slots=5)
    assert machine.resources_of(config, workers=4, root=root) == Resources(3.5, GIB, 2)
    assert machine.slots_of(config, root=root) == 5
    assert machine.resources_of(Config(gpus=0), root=root).gpus == 0
