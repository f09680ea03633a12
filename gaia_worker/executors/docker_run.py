"""One task in a container of its own: create, attach, start, read, wait; removed in the background.

Five calls of the engine for a program that ends well, of which the last one holds up nobody; the others are asked only
where something is wrong. Output is read from an attachment made before the start, so nothing is missed and no log piles
up in the engine. Called by `docker`.
"""

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from docker.errors import APIError, ImageNotFound, NotFound  # type: ignore[import-untyped,unused-ignore]

from gaia_worker.executors.base import STDERR, EngineFailed, Exit, Exited, OutOfMemory, Sink, Task
from gaia_worker.executors.docker_container import creation, refused_code
from gaia_worker.executors.docker_engine import ENGINE_ERRORS, Engine, words_of
from gaia_worker.executors.docker_images import Image, Images, Interrupted
from gaia_worker.executors.docker_removal import CONFLICT, Removals
from gaia_worker.executors.docker_streams import Streams
from gaia_worker.executors.docker_watch import Watch

WAIT_S: Final = 1.0
"""How long to wait for the end of a program that closed its streams before looking whether it must be ended."""

BACK_S: Final = 90.0
"""How long an engine may be away while it is started again, before what ran in it is given up."""

KILL_TOLD_S: Final = 0.5
"""The engine tells of a kill after it is done, so perhaps a little after the end of the program."""

BACK_POLL_S: Final = 0.5
SIGNALLED: Final = 128
"""Codes above it are those of programs that a signal ended."""

GAP: Final = b"[gaia: the engine was started again here; words may be missing]\n"


class EngineRestarted(Exception):
    """The engine was away while a program ran, and nobody knows what became of that."""


class _EngineLost(Exception):
    """The engine went away while a container ran."""


class _EngineLacks(Exception):
    """The engine was asked for what it has not, and has been found out."""


class Run:
    """One task, from its creation to its end."""

    def __init__(
        self, engine: Engine, images: Images, removals: Removals, task: Task, cancelled: threading.Event, sink: Sink
    ) -> None:
        """Prepare; nothing is created yet."""
        self._engine = engine
        self._api = engine.api
        self._images = images
        self._removals = removals
        self._task = task
        self._cancelled = cancelled
        self._sink = sink
        self._image: Image | None = None
        self._asked = engine.offers

    def to_end(self, grace_s: float) -> Exit:
        """Run the program to its end; raises one of ENGINE_ERRORS, ImageProblem or Interrupted where that fails.

        Args:
            grace_s: what it gets to end by itself after its time is up.
        """
        while True:
            container = self._create()
            try:
                return self._run(container, grace_s)
            except _EngineLacks:
                self._removals.now(container)
            except BaseException:
                if not self._engine.trouble():  # what is written cannot be taken: its program still runs
                    self._removals.now(container)
                raise
            finally:
                self._removals.remove(container)

    def _create(self) -> str:
        """Create the container and return its id; what is in its way is removed, if it is ours."""
        try:
            return self._create_once()
        except ImageNotFound:
            self._images.forget(self._task.image)
        except APIError as problem:
            if problem.status_code != CONFLICT:
                raise
            self._removals.now_if_ours(self._task.name, self._task.labels.get("gaia.deployment", ""))
        return self._create_once()

    def _create_once(self) -> str:
        task = self._task
        self._image = self._images.find(task.image, self._cancelled)
        if self._cancelled.is_set():
            raise Interrupted
        self._asked = self._engine.offers
        arguments = creation(self._engine, task, self._image.id, task.mounts)
        entrypoint = None if task.keeps_entrypoint else list(task.entrypoint)
        try:
            created = self._api.create_container(
                command=list(task.argv) or None, entrypoint=entrypoint, name=task.name, **arguments
            )
        except APIError:
            raise
        except OSError:  # no answer: it may be made all the same
            self._removals.seek(task.name, task.labels.get("gaia.deployment", ""))
            raise
        return str(created["Id"])

    def _run(self, container: str, grace_s: float) -> Exit:
        """Start the container and stay with it, also through a restart of its engine."""
        watch = Watch(
            self._task,
            self._cancelled,
            grace_s,
            lambda: self._signal(container, "SIGTERM"),
            lambda: self._signal(container, "SIGKILL"),
        )
        with self._attach(container) as streams:
            if (refused := self._start(container)) is not None:
                return refused
            self._read(streams, watch)
        while True:
            try:
                return self._end(container, watch)
            except _EngineLost:
                self._come_back(container)
            with self._attach(container) as streams:
                self._sink(STDERR, GAP)
                self._read(streams, watch)

    def _attach(self, container: str) -> Streams:
        return Streams(self._api.attach_socket(container, params={"stdout": 1, "stderr": 1, "stream": 1}))

    def _start(self, container: str) -> Exit | None:
        """Start the container; return how it ended if its program cannot be run at all."""
        try:
            self._api.start(container)
        except APIError as problem:
            words = words_of(problem)
            if self._engine.learn(words, self._asked):
                raise _EngineLacks from problem
            if (code := refused_code(words)) is None:
                raise
            self._sink(STDERR, f"{words}\n".encode())
            return self._exited(code)
        return None

    def _read(self, streams: Streams, watch: Watch) -> None:
        for stream, data in streams.read(watch.check):
            self._sink(stream, data)

    def _end(self, container: str, watch: Watch) -> Exit:
        """Wait for a container whose streams are closed, and tell how its program ended.

        A program may close its streams long before it ends. An engine that is being stopped ends all programs; it then
        takes no new connections, which is how that is told from an end of the program's own.
        """
        code = self._wait(container, watch)
        if watch.ended_by is not None:
            return watch.ended_by
        if not self._engine.lets_in():
            raise _EngineLost
        if code == 0:
            return self._exited(0)
        state = self._api.inspect_container(container)["State"]
        if state["OOMKilled"]:
            return OutOfMemory()
        if code > SIGNALLED and self._was_killed_by_others(container, state):
            return EngineFailed("the container was stopped from outside")
        return self._exited(code)

    def _wait(self, container: str, watch: Watch) -> int:
        """Return the exit code once there is one."""
        while True:
            watch.check()
            if not self._engine.lets_in():
                raise _EngineLost
            try:
                ended = self._api.wait(container, timeout=WAIT_S, condition="not-running")
            except APIError:
                raise
            except OSError:
                continue  # not yet, or the engine is gone, which is looked at first
            return int(ended["StatusCode"])

    def _was_killed_by_others(self, container: str, state: Mapping[str, Any]) -> bool:
        """Tell whether somebody ended the container through the engine, as `docker stop` and `docker kill` do."""
        wanted = {"container": [container], "event": ["kill"]}
        since_s, until_s = _seconds(state["StartedAt"]), _seconds(state["FinishedAt"]) + KILL_TOLD_S
        events = self._api.events(since=f"{since_s:.6f}", until=f"{until_s:.6f}", filters=wanted, decode=True)
        return any(True for _ in events)

    def _come_back(self, container: str) -> None:
        """Return once the engine is there again and the container still runs; anything else is an engine's failure."""
        until_s = time.monotonic() + BACK_S
        while True:
            if self._cancelled.wait(BACK_POLL_S):
                raise Interrupted
            with suppress(*ENGINE_ERRORS):
                self._engine.knock()
                if self._state(container) != "running":
                    raise EngineRestarted("the engine was stopped while the program ran; how it ended is not known")
                break
            if time.monotonic() > until_s:
                raise EngineRestarted("the engine went away while the program ran, and did not come back")
        if self._task.words_count:
            raise EngineRestarted("the engine was started again while the program ran; words of it are lost")

    def _state(self, container: str) -> str:
        try:
            return str(self._api.inspect_container(container)["State"]["Status"])
        except NotFound:
            return "gone"

    def _signal(self, container: str, name: str) -> None:
        with suppress(APIError):  # it has just ended by itself
            self._api.kill(container, name)

    def _exited(self, code: int) -> Exit:
        return Exited(code, self._image.digest if self._image is not None else "")


def _seconds(time_text: str) -> float:
    """Return a time as the engine writes it in seconds since 1970."""
    return datetime.fromisoformat(time_text).timestamp()
