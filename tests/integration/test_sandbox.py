"""What is the sandbox's own, with real programs: what it hides, and what becomes of it when its worker is killed."""

from __future__ import annotations

import subprocess
import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gaia_core.workflow.model import Resources
from gaia_worker.executors.base import Exited, Task
from gaia_worker.executors.sandbox import SandboxExecutor, _owner
from gaia_worker.executors.sandbox_cgroups import PREFIX, find_home
from tests.contract.executor_site import sandbox
from tests.support.waiting import wait_until


def test_sandbox_hides_what_is_private(tmp_path: Path) -> None:
    """Home folders, /run and Gaia's own folders are empty for a sandboxed program, and its /tmp is its own."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "secret").touch()
    executor, name = sandbox(hidden), uuid.uuid4().hex
    seen: list[bytes] = []
    script = f"ls -A /root /home /run /tmp {hidden}; touch /usr/{name}; touch /tmp/{name} && echo private"
    task = Task(name="t", image="", argv=("sh", "-c", script))
    assert executor.run(task, threading.Event(), lambda stream, data: seen.append(data)) == Exited(0)
    words = b"".join(seen).decode()
    assert "secret" not in words
    assert "Read-only file system" in words or "Permission denied" in words
    assert words.endswith("private\n")
    assert not Path("/tmp", name).exists()
    executor.close()


KILLED = """
import sys, threading
from gaia_worker.executors.base import Task
from gaia_worker.executors.choose import choose_executor
executor = choose_executor("sandbox").executor
labels = {"gaia.deployment": sys.argv[1], "gaia.worker": "w1"}
task = Task(name="t", image="", argv=("sleep", sys.argv[2]), labels=labels, timeout_s=600)
print("ready", flush=True)
for _ in range(3):
    threading.Thread(target=executor.run, args=(task, threading.Event(), lambda *_: None)).start()
"""


def _running(argument: str) -> list[str]:
    """Return programs of this machine with an argument, sandboxes among them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if argument in words and words[0].rpartition("/")[2] in ("sleep", "bwrap"):
            found.append(str(path))
    return found


def _groups(labels: dict[str, str]) -> list[Path]:
    """Return the control groups of a worker's sandboxes."""
    home = find_home()
    return list(home.leftovers(f"{PREFIX}{_owner(labels)}-")) if home is not None else []


def test_nothing_outlives_a_worker_that_is_killed_while_it_starts_programs(tmp_path: Path) -> None:
    """kill -9 at any moment of a sandbox's start: whatever was being made is gone soon after."""
    sandbox(tmp_path).close()
    for number in range(8):
        seconds = str(600_000_000 + uuid.uuid4().int % 10**8)
        worker = subprocess.Popen([sys.executable, "-c", KILLED, "d", seconds], stdout=subprocess.PIPE)
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"ready\n"
        if number:  # at once, or when the first is seen, or when all run
            wait_until(lambda n=number, s=seconds: len(_running(s)) >= n, "some of it runs", every_s=0.001)
        worker.kill()
        worker.wait()
        worker.stdout.close()
        wait_until(lambda s=seconds: not _running(s), "all of it is gone")
        wait_until(lambda: not _groups({"gaia.deployment": "d", "gaia.worker": "w1"}), "its control groups are gone")


def test_a_sandbox_that_an_earlier_life_left_is_found_by_its_mark(tmp_path: Path) -> None:
    """By deployment and worker; those of others, and one's own, are left alone."""
    first, second = sandbox(tmp_path), sandbox(tmp_path)
    labels = {"gaia.deployment": uuid.uuid4().hex, "gaia.worker": "w1"}
    argv = ("sh", "-c", "echo up; exec sleep 600")
    task = Task(name="t", image="", argv=argv, labels=labels, timeout_s=600)
    said = threading.Event()
    with ThreadPoolExecutor() as pool:
        end = pool.submit(first.run, task, threading.Event(), lambda *_: said.set())
        assert said.wait(10)
        assert first.cleanup(labels) == 0
        assert second.cleanup({**labels, "gaia.worker": "w2"}) == 0
        assert second.cleanup(labels) > 0
        assert end.result(10) != Exited(0)
    first.close()
    second.close()


def test_a_control_group_that_an_earlier_life_left_is_removed_with_what_is_in_it(tmp_path: Path) -> None:
    """By deployment and worker, wherever in the hierarchy it is; that of another worker is left alone."""
    home = find_home()
    executor = sandbox(tmp_path)
    labels = [{"gaia.deployment": uuid.uuid4().hex, "gaia.worker": name} for name in ("w1", "w2")]
    if home is not None:
        groups = [home.group(f"{PREFIX}{_owner(one)}-earlier-0", Resources()) for one in labels]
        left = subprocess.Popen(["sleep", "600"])
        groups[0].begin(left.pid)
    assert executor.cleanup(labels[0]) == 0, "no sandbox was left"
    assert _groups(labels[0]) == []
    if home is not None:
        assert left.wait(10) < 0
        assert _groups(labels[1]) != []
        groups[1].end()
    executor.close()


def test_says_what_is_limited_here(tmp_path: Path) -> None:
    """One line tells which limits the kernel keeps, which are kept by looking, and which are not."""
    executor = sandbox(tmp_path)
    assert isinstance(executor, SandboxExecutor)
    assert ("cgroups v" in executor.describe()) == (find_home() is not None)
    executor._home = None
    assert "memory is limited by looking, processors" in executor.describe()
    executor.close()
