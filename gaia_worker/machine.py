"""What this machine lets a worker use: processors, memory and accelerators, as far as control groups allow.

Read from files alone, below a root that tests bring; what cannot be read sets no limit.
"""

import os
import re
from collections.abc import Iterator
from math import ceil
from pathlib import Path, PurePosixPath
from typing import Final

from gaia_core.config import Config
from gaia_core.workflow.model import Resources

_CGROUPS: Final = "sys/fs/cgroup"
_GPU: Final = re.compile(r"nvidia\d+")


def slots_of(config: Config, root: Path = Path("/")) -> int:
    """Return how many attempts a worker runs at once: as configured, or one for each processor that it may use."""
    return config.slots or max(1, ceil(processors(root)))


def resources_of(config: Config, workers: int = 1, root: Path = Path("/")) -> Resources:
    """Return what attempts on a worker may demand together.

    Args:
        config: says it, or leaves it to the machine.
        workers: that share the machine equally.
        root: of the file system.
    """
    return Resources(
        cpus=config.cpus or processors(root) / workers,
        memory_bytes=config.memory or memory_bytes(root) // workers,
        gpus=config.gpus if config.gpus >= 0 else gpus(root) // workers,
    )


def processors(root: Path = Path("/")) -> float:
    """Return how many processors this process may use; a control group may allow a part of one."""
    own = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([float(own), *_quotas(root)])


def memory_bytes(root: Path = Path("/")) -> int:
    """Return how much memory this process may use."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [*_numbers(root, "", "memory.max"), *_numbers(root, "memory", "memory.limit_in_bytes")]
    return min([machine, *(limit for limit in limits if limit > 0)])


def gpus(root: Path = Path("/")) -> int:
    """Return how many accelerators there are: Nvidia's, as their driver shows them."""
    try:
        return sum(_GPU.fullmatch(path.name) is not None for path in (root / "dev").iterdir())
    except OSError:
        return 0


def _quotas(root: Path) -> Iterator[float]:
    """Yield the processors that each control group allows; "max 100000" and -1 allow all."""
    for folder in _folders(root, ""):
        quota, _, period = _read(folder / "cpu.max").partition(" ")
        if quota.isdigit() and period.isdigit() and int(period):
            yield int(quota) / int(period)
    for folder in _folders(root, "cpu"):
        quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period):
            yield int(quota) / int(period)


def _numbers(root: Path, controller: str, name: str) -> Iterator[int]:
    for folder in _folders(root, controller):
        text = _read(folder / name)
        if text.isdigit():
            yield int(text)


def _folders(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of this process's control groups, from its own up to the first; "" for version 2.

    In a container the paths may be the host's, and then only the first is found.
    """
    mounted = root / _CGROUPS / controller
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            own = PurePosixPath(path.lstrip("/"))
            yield from (mounted / part for part in (own, *own.parents) if str(part) != ".")
    yield mounted


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
