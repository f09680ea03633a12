"""A Docker engine that is restarted, hangs or is slow: what ran in it never failed by its own fault.

Each test has an engine of its own.
"""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from gaia_worker.executors import docker, docker_run
from gaia_worker.executors import docker_engine as engine_module
from gaia_worker.executors.base import EngineFailed, Exit, Exited, Stopped, Task
from tests.support.docker_tasks import Tasks
from tests.support.engine import Engine
from tests.support.machine import ServiceMissing
from tests.support.own_engine import OwnEngine, own_engine
from tests.support.waiting import wait_until

# docker's library leaves a socket behind for a connection that it could not make, which it is told here to try.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")

UP = "echo up; while [ ! -e /gate/open ]; do sleep 0.1; done; echo done"


class Site:
    """Tasks on an engine of their own, and one that runs."""

    def __init__(self, engine: OwnEngine, tasks: Tasks, stack: ExitStack) -> None:
        self.engine = engine
        self.tasks = tasks
        self.gate = tasks.given("/gate")
        self.cancelled = threading.Event()
        self.words = b""
        self._threads = stack.enter_context(ThreadPoolExecutor())

    def begin(self, script: str = UP, **fields: object) -> Future[Exit]:
        """Start a task and wait until its program runs."""
        task = self.tasks.task("sh", "-c", script, **{"mounts": (self.gate,), **fields})
        end = self.submit(task)
        wait_until(lambda: b"up" in self.words or end.done(), "the program to run", deadline_s=30)
        return end

    def submit(self, task: Task) -> Future[Exit]:
        """Start a task."""
        return self._threads.submit(self.tasks.executor.run, task, self.cancelled, self._take)

    def open_gate(self) -> None:
        """Let the program end."""
        (self.gate.source / "open").touch()

    def _take(self, stream: int, data: bytes) -> None:
        self.words += data


@pytest.fixture
def make(
    docker_engine: Engine, busybox_image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Site]]:
    """Make a site; a call of its engine may take a second, and its health is looked at all the time."""
    monkeypatch.setattr(engine_module, "CALL_S", 3)
    monkeypatch.setattr(engine_module, "PROBE_S", 1)
    monkeypatch.setattr(engine_module, "LOOK_S", 0.2)
    with ExitStack() as stack:

        def made(*, live_restore: bool = False) -> Site:
            # The path of a socket may have a hundred characters.
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gaia-", dir="/tmp")))
            try:
                engine = stack.enter_context(
                    own_engine(folder, busybox_image, docker_engine, live_restore=live_restore)
                )
            except ServiceMissing as problem:
                if os.environ.get("CI"):
                    raise
                pytest.skip(str(problem))
            monkeypatch.setenv("DOCKER_HOST", engine.host)
            executor = docker.connect()
            stack.callback(executor.close)
            return Site(engine, Tasks(executor, busybox_image, tmp_path), stack)

        yield made


def test_program_goes_on_through_a_restart_that_spares_it(make: Callable[..., Site]) -> None:
    """With live-restore the container still runs: the attempt goes on, with a mark where words may be missing."""
    site = make(live_restore=True)
    end = site.begin(words_count=False)
    site.engine.end(signal.SIGKILL)
    site.engine.start()
    wait_until(lambda: docker_run.GAP in site.words, "the attempt to be back", deadline_s=60)
    site.open_gate()
    assert end.result(60) == Exited(0)
    assert site.words.endswith(b"done\n")


def test_words_that_count_may_not_be_missing(make: Callable[..., Site]) -> None:
    """A Step whose standard output is a result cannot go on behind a gap in it."""
    site = make(live_restore=True)
    end = site.begin(words_count=True)
    site.engine.end(signal.SIGKILL)
    site.engine.start()
    assert "words of it are lost" in failure(end)
    wait_until(lambda: not site.tasks.containers(), "the container to go", deadline_s=30)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("reuse", [False, True])
def test_restart_that_ends_the_program_is_the_engines_failure(
    make: Callable[..., Site], number: signal.Signals, *, reuse: bool
) -> None:
    """However the program ends then, it is not its own failure; the worker is unwell in between, and well again."""
    site = make()
    end = site.begin(f"trap 'exit 3' TERM; {UP}", reuse=reuse)
    site.engine.end(number)
    wait_until(site.tasks.executor.trouble, "the trouble to be known")
    site.engine.start()
    failure(end)
    wait_until(lambda: not site.tasks.executor.trouble(), "all to be well", deadline_s=30)
    wait_until(lambda: not site.tasks.containers(), "the container to go", deadline_s=30)
    assert site.tasks.shell("echo again") == (Exited(0), "again\n")


def test_engine_that_stays_away_ends_the_attempt(make: Callable[..., Site], monkeypatch: pytest.MonkeyPatch) -> None:
    """A slot does not wait for ever."""
    monkeypatch.setattr(docker_run, "BACK_S", 0.5)
    site = make()
    end = site.begin()
    site.engine.end(signal.SIGKILL)
    assert "did not come back" in failure(end)


def test_engine_that_hangs_takes_no_slot(make: Callable[..., Site]) -> None:
    """All calls time out; the failure is the engine's, the worker knows of it, and nothing stays in the engine."""
    site = make()
    site.engine.send(signal.SIGSTOP)
    assert "timed out" in failure(site.submit(site.tasks.task("true")))
    wait_until(lambda: "does not answer" in site.tasks.executor.trouble(), "the trouble to be known")
    site.engine.send(signal.SIGCONT)
    wait_until(lambda: not site.tasks.executor.trouble(), "all to be well", deadline_s=30)
    assert site.tasks.shell("echo again") == (Exited(0), "again\n")
    wait_until(lambda: not site.tasks.containers(), "the container to go", deadline_s=30)


def test_cancel_is_heard_while_the_engine_hangs(make: Callable[..., Site]) -> None:
    """The slot is free again; the container goes as soon as the engine answers."""
    site = make()
    end = site.begin()
    site.engine.send(signal.SIGSTOP)
    site.cancelled.set()
    assert end.result(60) == Stopped()
    site.engine.send(signal.SIGCONT)
    wait_until(lambda: not site.tasks.containers(), "the container to go", deadline_s=30)


def test_creation_that_succeeds_after_its_time_leaves_nothing(make: Callable[..., Site]) -> None:
    """The engine makes the container when it wakes up, though nobody waits for it: it is found by its name and goes."""
    site = make()
    assert site.tasks.shell("true")[0] == Exited(0)
    task = site.tasks.task("true")
    site.engine.send(signal.SIGSTOP)
    failure(site.submit(task))
    site.engine.send(signal.SIGCONT)
    wait_until(lambda: not site.tasks.executor._removals._sought, "the container to be found", deadline_s=30)
    wait_until(lambda: not site.tasks.containers(), "the container to go", deadline_s=30)


def test_container_that_somebody_stops_is_not_the_programs_failure(make: Callable[..., Site]) -> None:
    """`docker kill` of an attempt's container by a person is told as what it is."""
    site = make()
    end = site.begin()
    (container,) = site.tasks.containers()
    site.tasks.api.kill(container["Id"])
    assert "stopped from outside" in failure(end)


def failure(end: Future[Exit]) -> str:
    """Return the message of an end that must be the engine's failure."""
    found = end.result(120)
    assert isinstance(found, EngineFailed), found
    return found.message
