"""What is a single executor's own, with real programs: images and leftovers of Docker, marks and guards of the sandbox.

What all executors do alike is the suite `tests/contract/test_executors*.py`.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gaia_core.errors import Unavailable
from gaia_core.workflow.model import Resources
from gaia_worker.executors import choose, docker
from gaia_worker.executors.base import Exited, Task
from tests.contract.executor_site import sandbox
from tests.support.waiting import wait_until

SECONDS_FOR_QUICK = 20


@pytest.fixture
def docker_executor(docker_engine: object) -> Iterator[docker.DockerExecutor]:
    """The executor for the engine that answers."""
    executor = docker.connect()
    yield executor
    executor.close()


@pytest.fixture
def ran(docker_executor: docker.DockerExecutor) -> Callable[..., Any]:
    """Runs a task with nobody listening and nobody cancelling."""

    def run(**fields: Any) -> Any:
        name = f"gaia-test-{uuid.uuid4().hex[:12]}"
        values: dict[str, Any] = {"name": name, "labels": {"gaia.deployment": name}, "argv": ("true",), **fields}
        return docker_executor.run(Task(**values), threading.Event(), lambda stream, data: None)

    return run


def test_unknown_image_is_told_quickly(ran: Callable[..., Any]) -> None:
    """An image that cannot be had is told in the engine's words, within seconds."""
    began_s = time.monotonic()
    end = ran(image="registry.invalid/gaia/no-such-image:1")
    assert isinstance(end, docker.ImageFailed)
    assert "registry.invalid" in end.message
    assert time.monotonic() - began_s < SECONDS_FOR_QUICK


def test_memory_beyond_the_limit(ran: Callable[..., Any], busybox_image: str) -> None:
    """A program that takes more memory than it was given is told apart from one that was killed."""
    limited = Resources(memory_bytes=16 << 20)
    assert ran(image=busybox_image, argv=("tail", "/dev/zero"), resources=limited) == docker.OutOfMemory()
    assert ran(image=busybox_image, argv=("sh", "-c", "kill -9 $$"), resources=limited) == Exited(137)


def test_leftovers_of_a_killed_worker_are_removed(docker_executor: docker.DockerExecutor, busybox_image: str) -> None:
    """Containers are found by deployment and worker; those of others are left alone."""
    mine, other = uuid.uuid4().hex, uuid.uuid4().hex
    api = docker_executor._api
    for deployment in (mine, other):
        labels = {"gaia.deployment": deployment, "gaia.worker": "w1"}
        api.start(api.create_container(busybox_image, ["sleep", "1000"], labels=labels)["Id"])
    assert docker_executor.cleanup({"gaia.deployment": mine, "gaia.worker": "w2"}) == 0
    assert docker_executor.cleanup({"gaia.deployment": mine, "gaia.worker": "w1"}) == 1
    assert docker_executor.cleanup({"gaia.deployment": mine, "gaia.worker": "w1"}) == 0
    assert docker_executor.cleanup({"gaia.deployment": other, "gaia.worker": "w1"}) == 1


def test_stale_container_of_the_same_name_is_replaced(
    docker_executor: docker.DockerExecutor, busybox_image: str
) -> None:
    """A container that a killed worker left under the attempt's name gives way; somebody else's does not."""
    api, name = docker_executor._api, f"gaia-test-{uuid.uuid4().hex[:12]}"
    task = Task(name=name, image=busybox_image, argv=("true",), labels={"gaia.deployment": name})

    def run() -> Any:
        return docker_executor.run(task, threading.Event(), lambda stream, data: None)

    api.create_container(busybox_image, ["sleep", "1000"], name=name, labels={"gaia.deployment": name})
    assert run() == Exited(0)
    foreign = api.create_container(busybox_image, ["true"], name=name)["Id"]
    assert isinstance(run(), docker.EngineFailed)
    api.remove_container(foreign)


def test_engine_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where nothing can run Steps the error names what was tried, and the command that helps."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(Unavailable, match=r"none\.sock"):
        docker.connect()
    monkeypatch.setattr(choose, "find_program", lambda: None)
    with pytest.raises(Unavailable, match=r"none\.sock.*bubblewrap is missing") as caught:
        choose.choose_executor("auto")
    assert caught.value.hint


def test_sandbox_is_taken_where_no_engine_answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`auto` falls back to the sandbox where it works, and says why."""
    sandbox(tmp_path)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    choice = choose.choose_executor("auto")
    assert choice.executor.name == "sandbox"
    assert "none.sock" in choice.reason


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
