"""What figures depend on: what a process has used so far, as Linux tells it, and the machine with its versions."""

import os
import platform
import sqlite3
import tempfile
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple

import confluent_kafka

from gaia_core.version import VERSION

COMMITS: Final = 200


class Usage(NamedTuple):
    """Seconds of processor time, and bytes of memory that are in use now."""

    cpu_s: float = 0.0
    memory_bytes: int = 0


def usage(pid: int) -> Usage:
    """Return what a process has used so far; zeros where nobody tells."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return Usage()
    ticks = int(fields[11]) + int(fields[12])
    return Usage(ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE"))


def environment(folder: Path, images: Mapping[str, str]) -> dict[str, Any]:
    """Return what figures depend on: machine, load, versions, and the price of a commit on the data folder's disk."""
    return {
        "gaia": VERSION,
        "python": platform.python_version(),
        "librdkafka": confluent_kafka.libversion()[0],
        "confluent-kafka": version("confluent-kafka"),
        "sqlite": sqlite3.sqlite_version,
        **images,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processors": os.cpu_count(),
        "load_average_before": os.getloadavg()[0],
        "file_system": _file_system(folder),
        "sqlite_full_commit_ms": commit_ms(folder),
    }


def commit_ms(folder: Path) -> float:
    """Return the milliseconds that one small SQLite commit takes with synchronous=FULL on this disk."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        connection = sqlite3.connect(Path(place, "commits.sqlite"), isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE record (value BLOB)")
        began = time.perf_counter()
        for _ in range(COMMITS):
            connection.execute("INSERT INTO record VALUES (?)", (bytes(200),))
        took_s = time.perf_counter() - began
        connection.close()
    return round(1000 * took_s / COMMITS, 3)


def _file_system(folder: Path) -> str:
    """Return the type of the file system below a folder: on tmpfs a durable commit costs nothing and proves nothing."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return ""
    path = folder.resolve()
    over = [(mount[1], mount[2]) for mount in mounts if path.is_relative_to(mount[1])]
    return max(over, key=lambda mount: len(mount[0]))[1] if over else ""
