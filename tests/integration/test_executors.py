"""What is Docker's own, with a real engine, images and leftovers; and which executor is chosen.

What all executors do alike is the suite `tests/contract/test_executors*.py`.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gaia_core.errors import Unavailable
from gaia_core.workflow.model import Resources
from gaia_worker.executors import choose, docker
from gaia_worker.executors.base import EngineFailed, Exited, ImageFailed, OutOfMemory, Task
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
    assert isinstance(end, ImageFailed)
    assert "registry.invalid" in end.message
    assert time.monotonic() - began_s < SECONDS_FOR_QUICK


def test_memory_beyond_the_limit(ran: Callable[..., Any], busybox_image: str) -> None:
    """A program that takes more memory than it was given is told apart from one that was killed."""
    limited = Resources(memory_bytes=16 << 20)
    assert ran(image=busybox_image, argv=("tail", "/dev/zero"), resources=limited) == OutOfMemory()
    assert ran(image=busybox_image, argv=("sh", "-c", "kill -9 $$"), resources=limited) == Exited(137)


def test_leftovers_of_a_killed_worker_are_removed(docker_executor: docker.DockerExecutor, busybox_image: str) -> None:
    """Containers are found by deployment and worker; those of others are left alone."""
    mine, other = uuid.uuid4().hex, uuid.uuid4().hex
    api = docker_executor._engine.api
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
    api, name = docker_executor._engine.api, f"gaia-test-{uuid.uuid4().hex[:12]}"
    task = Task(name=name, image=busybox_image, argv=("true",), labels={"gaia.deployment": name})

    def run() -> Any:
        return docker_executor.run(task, threading.Event(), lambda stream, data: None)

    api.create_container(busybox_image, ["sleep", "1000"], name=name, labels={"gaia.deployment": name})
    assert run() == Exited(0)
    wait_until(lambda: not api.containers(all=True, filters={"name": name}), "the name to be free")
    foreign = api.create_container(busybox_image, ["true"], name=name)["Id"]
    assert isinstance(run(), EngineFailed)
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
