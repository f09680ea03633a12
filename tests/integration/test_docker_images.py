"""Images from a registry that wants to know who asks: pulled once, told by digest, and no cancel waits for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from docker.errors import APIError

from gaia_worker.executors import docker
from gaia_worker.executors.base import Exited, ImageFailed, Stopped
from tests.support.docker_tasks import Tasks
from tests.support.engine import Engine
from tests.support.registry import NAME, Registry, credentials, running_registry
from tests.support.waiting import wait_until


@pytest.fixture
def registry(docker_engine: Engine) -> Iterator[Registry]:
    """A registry that the engine reaches."""
    if not docker_engine.shares_network:
        pytest.skip("the engine cannot reach this machine's loopback")
    with running_registry() as made:
        yield made


@pytest.fixture
def make(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Tasks]]:
    """Make tasks of a worker whose user has logged in, or not."""
    made: list[Tasks] = []

    def tasks(*, logged_in: bool = True) -> Tasks:
        folder = tmp_path / "config"
        folder.mkdir()
        if logged_in:
            (folder / "config.json").write_text(credentials(registry), encoding="utf-8")
        monkeypatch.setenv("DOCKER_CONFIG", str(folder))
        made.append(Tasks(docker.connect(), registry.image, tmp_path))
        return made[-1]

    yield tasks
    for each in made:
        with suppress(APIError):
            each.api.remove_image(registry.image, force=True)
        each.executor.close()


def test_private_image_is_pulled_with_the_engines_own_credentials(
    registry: Registry, make: Callable[..., Tasks]
) -> None:
    """Once, however many Steps want it; the end tells the digest that the registry knows it by."""
    tasks = make()
    with ThreadPoolExecutor(4) as pool:
        ends = list(pool.map(lambda _: tasks.run(tasks.task("no-such-program"))[0], range(4)))
    assert ends == [Exited(127)] * 4
    assert {end.image_digest for end in ends if isinstance(end, Exited)} == {
        f"{registry.address}/{NAME}@{registry.digest}"
    }
    assert registry.asked_for_layer == 1


def test_registry_that_does_not_know_us_is_a_lasting_failure(registry: Registry, make: Callable[..., Tasks]) -> None:
    """It is told in the engine's words, and not tried again."""
    tasks = make(logged_in=False)
    end, _ = tasks.run(tasks.task("true"))
    assert isinstance(end, ImageFailed)
    assert not end.is_passing
    assert registry.image in end.message


def test_registry_that_is_gone_is_a_passing_failure(registry: Registry, make: Callable[..., Tasks]) -> None:
    """Nobody listens: that may be over in a while."""
    tasks = make()
    end, _ = tasks.run(tasks.task("true", image="127.0.0.1:1/some/tool:1"))
    assert isinstance(end, ImageFailed)
    assert end.is_passing


def test_cancel_while_the_image_is_pulled(registry: Registry, make: Callable[..., Tasks]) -> None:
    """It is heard at once, whatever the registry does, and the slot is free."""
    tasks, cancelled = make(), threading.Event()
    registry.silent.clear()
    with ThreadPoolExecutor(1) as pool:
        end = pool.submit(tasks.run, tasks.task("true"), cancelled)
        wait_until(lambda: registry.asked_for_layer, "the pull to be under way")
        cancelled.set()
        assert end.result(10)[0] == Stopped()
    assert tasks.containers() == []
