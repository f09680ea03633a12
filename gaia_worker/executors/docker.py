"""The executor for a Docker engine: one container per attempt, or a warm one for those that may share it.

A container carries the deployment, the worker and its attempt as labels, and its name is the attempt's: what a killed
worker left is found and removed. The low-level API is used because the high-level one asks the engine about everything
twice. The parts: `docker_engine` the engine and its health, `docker_images` images, `docker_container` what a container
is given, `docker_run` one task in one container, `docker_warm` tasks that share one, `docker_removal` their end.
"""

import threading
from collections.abc import Mapping
from pathlib import Path

from gaia_core.errors import Unavailable
from gaia_worker.executors.base import (
    TERMINATE_GRACE_S,
    EngineFailed,
    Exit,
    ImageFailed,
    Sink,
    Stopped,
    Task,
)
from gaia_worker.executors.docker_container import remove_area
from gaia_worker.executors.docker_engine import ENGINE_ERRORS, Engine, find_hosts, open_engine, words_of
from gaia_worker.executors.docker_images import ImageProblem, Images, Interrupted
from gaia_worker.executors.docker_removal import Removals
from gaia_worker.executors.docker_run import EngineRestarted, Run
from gaia_worker.executors.docker_warm import WarmContainers


class DockerExecutor:
    """Runs programs in containers of one engine."""

    name = "docker"
    instant = False

    def __init__(self, engine: Engine) -> None:
        """Use an engine, which is closed with this."""
        self._engine = engine
        self._images = Images(engine.api)
        self._removals = Removals(engine)
        self._warm = WarmContainers(engine, self._images, self._removals)
        self._areas: set[Path] = set()
        engine.watch(self._look_around)

    def describe(self) -> str:
        """Return one line for logs."""
        return f"docker ({self._engine.describe()})"

    def trouble(self) -> str:
        """Say why the engine cannot be used, as of a few seconds ago; "" when it can."""
        return self._engine.trouble()

    def run(self, task: Task, cancelled: threading.Event, sink: Sink) -> Exit:
        """Run the program in a container to its end; nothing of it is left running."""
        if task.area is not None:
            self._areas.add(task.area)
        try:
            self._engine.knock()
            end = self._warm.run(task, cancelled, sink, TERMINATE_GRACE_S) if task.reuse else None
            if end is not None:
                return end
            return Run(self._engine, self._images, self._removals, task, cancelled, sink).to_end(TERMINATE_GRACE_S)
        except Interrupted:
            return Stopped()
        except ImageProblem as problem:
            return ImageFailed(str(problem), problem.is_passing)
        except EngineRestarted as problem:
            return EngineFailed(str(problem))
        except ENGINE_ERRORS as problem:
            return Stopped() if cancelled.is_set() else EngineFailed(words_of(problem))

    def cleanup(self, labels: Mapping[str, str]) -> int:
        """Kill and remove the containers that carry these labels; return how many there were.

        Raises:
            Unavailable: the engine does not answer.
        """
        wanted = [f"{name}={value}" for name, value in labels.items()]
        try:
            self._warm.forget_of(labels)  # of an incarnation in this process, which removes their files next
            found = self._engine.api.containers(all=True, filters={"label": wanted})
            for container in found:
                self._removals.now(container["Id"])
        except ENGINE_ERRORS as problem:
            raise Unavailable(f"the Docker engine does not answer: {words_of(problem)}") from problem
        return len(found)

    def close(self) -> None:
        """Remove what is warm, and close the connections to the engine; safe to call twice."""
        self._warm.close()
        self._removals.close()
        self._engine.close()
        for area in self._areas:
            remove_area(area)

    def _look_around(self) -> None:
        """Do what is due now and then while the engine is well."""
        self._removals.try_again()
        self._warm.forget_idle()


def connect() -> DockerExecutor:
    """Return the executor for the engine that answers at DOCKER_HOST or, without it, at one of the usual sockets.

    Raises:
        Unavailable: none answers.
    """
    problems = []
    for host in find_hosts():
        try:
            return DockerExecutor(open_engine(host))
        except ENGINE_ERRORS as problem:
            problems.append(f"{host}: {words_of(problem)}")
    where = "; ".join(problems)
    raise Unavailable(f"no Docker engine answers ({where})", hint="start Docker, or: sudo systemctl start docker")
