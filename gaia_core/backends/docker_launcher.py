"""Launched workers as containers of a Docker engine, one each, with deterministic names and labels.

They outlive a server that is killed, as processes do; the next server finds them by their labels. What a container
said is kept in a file when it has ended, and the container is removed.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import docker  # type: ignore[import-untyped,unused-ignore]
from docker.errors import (  # type: ignore[import-untyped,unused-ignore]
    APIError,
    DockerException,
    ImageNotFound,
    NotFound,
)

from gaia_core.backends.process_launcher import LEAVE_S, STOPPING, last_words, no_room, note_end, own_settings
from gaia_core.errors import NotAllowedNow, Unavailable

CALL_S: Final = 30
WAIT_S: Final = 3600
"""One call that waits for a container's end may take so long; then it is made again."""

AGAIN_S: Final = 5.0
CONFLICT: Final = 409
LAUNCHED_LABEL: Final = "gaia.launched"
DEPLOYMENT_LABEL: Final = "gaia.deployment"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Containers:
    """What containers of workers are made of.

    Attributes:
        deployment: labels them, and is part of their names.
        image: whose entrypoint is `gaia`.
        environ: the workers' settings.
        network: of the engine, from which Kafka, S3 and the servers are reached; "" for the engine's default.
        volumes: HOST:CONTAINER or HOST:CONTAINER:ro, each.
        idle_exit_s: how long a worker stays without a Step.
        folder: for what they said, a file each.
        most: that may live at a time.
    """

    deployment: str
    image: str
    environ: Mapping[str, str]
    network: str
    volumes: Sequence[str]
    idle_exit_s: float
    folder: Path
    most: int


class DockerLauncher:
    """Starts workers in containers.

    Args:
        made_of: see `Containers`.
        connect: returns a client of the engine; one that does not answer is asked again when it is needed.
    """

    takes_s = 30.0

    def __init__(self, made_of: Containers, connect: Callable[[], Any]) -> None:
        self._made_of = made_of
        self._connect = connect
        self._api: Any = None
        self._connecting = threading.Lock()
        self._lock = threading.Lock()
        self._living: dict[str, WorkerContainer] = {}
        self._stopping = threading.Event()
        try:
            self._engine()
        except Unavailable as error:
            log.warning("no workers can be launched now", extra={"cause": error.message})

    def objection(self, count: int) -> str:
        """Return why so many more workers cannot be started now, in words; "" if they can."""
        return STOPPING if self._stopping.is_set() else no_room(len(self._living), count, self._made_of.most)

    def launch(self, name: str, metadata: Mapping[str, Any]) -> "WorkerContainer":
        """Start a worker, and let it say what else it was started with.

        Raises:
            NotAllowedNow: the image is not there, or a container has the name.
            Unavailable: the engine does not answer, or refuses.
        """
        made_of, api = self._made_of, self._engine()
        own = own_settings(name, metadata, made_of.idle_exit_s)
        called = f"gaia-worker-{name}-{sha256(made_of.deployment.encode()).hexdigest()[:8]}"
        try:
            created = api.create_container(
                made_of.image,
                ["worker"],
                name=called,
                environment={**made_of.environ, **own},
                labels={DEPLOYMENT_LABEL: made_of.deployment, LAUNCHED_LABEL: name},
                host_config=api.create_host_config(
                    binds=list(made_of.volumes), network_mode=made_of.network or None, init=True
                ),
            )
            self._started(str(created["Id"]))
        except ImageNotFound as error:
            words = f"The engine has no image {made_of.image!r}"
            raise NotAllowedNow(f"{words}; pull or build it where the server runs.") from error
        except APIError as error:
            if error.status_code == CONFLICT:
                raise NotAllowedNow(f"There is a container {called!r} already.") from error
            raise Unavailable(f"the Docker engine refused: {error.explanation}") from error
        except (DockerException, OSError) as error:
            raise Unavailable(f"the Docker engine does not answer: {error}") from error
        log.info("launched a worker", extra={"worker": name, "container": called})
        return self._watched(name, str(created["Id"]))

    def close(self) -> None:
        """Ask the workers to leave; those that still run Steps leave when these have ended."""
        self._stopping.set()
        with self._lock:
            living = list(self._living.values())
        for worker in living:
            with suppress(DockerException, OSError):
                self._api.kill(worker.container, "SIGTERM")
        until_s = time.monotonic() + LEAVE_S
        for worker in living:
            worker.gone.wait(max(0.0, until_s - time.monotonic()))

    def _started(self, container: str) -> None:
        """Start a container, or leave none behind."""
        try:
            self._api.start(container)
        except (DockerException, OSError):
            with suppress(DockerException, OSError):
                self._api.remove_container(container, v=True, force=True)
            raise

    def _engine(self) -> Any:
        """Return the client; the first time, look after the containers that an earlier server left.

        Raises:
            Unavailable: the engine does not answer.
        """
        with self._connecting:
            if self._api is None:
                api = self._connect()
                wanted = [f"{DEPLOYMENT_LABEL}={self._made_of.deployment}", LAUNCHED_LABEL]
                try:
                    found = api.containers(all=True, filters={"label": wanted})
                except (DockerException, OSError) as error:
                    raise Unavailable(f"The Docker engine does not answer: {error}") from error
                self._api = api
                for container in found:
                    self._watched(container["Labels"][LAUNCHED_LABEL], container["Id"])
            return self._api

    def _watched(self, name: str, container: str) -> "WorkerContainer":
        """Look after a container until it is gone."""
        worker = WorkerContainer(self._api, name, container, self._made_of.folder.absolute() / f"{name}.log")
        with self._lock:
            self._living[container] = worker
        threading.Thread(target=self._watch, args=(worker,), name=f"launched-{name}", daemon=True).start()
        return worker

    def _watch(self, worker: "WorkerContainer") -> None:
        while not worker.look():
            worker.gone.wait(AGAIN_S)  # set below and nowhere else: this is a pause, also while the server stops
        with self._lock:
            del self._living[worker.container]
        worker.gone.set()


class WorkerContainer:
    """One launched worker.

    Attributes:
        container: its id.
        gone: set once it has ended and was removed.
    """

    def __init__(self, api: Any, name: str, container: str, log_file: Path) -> None:
        self.container = container
        self.gone = threading.Event()
        self._api = api
        self._name = name
        self._log_file = log_file
        self._end = ""

    def ended(self) -> str:
        """Return why it is no more, with its last words; "" while it lives."""
        return self._end

    def look(self) -> bool:
        """Wait for its end, keep what it said, and remove it; return False to be called again."""
        try:
            code = int(self._api.wait(self.container, timeout=WAIT_S)["StatusCode"])
            said = self._api.logs(self.container, stdout=True, stderr=True)
            self._keep(said)
            self._end = f"exit code {code}: {last_words(said)} (log file {self._log_file})"
            self._api.remove_container(self.container, v=True, force=True)
        except NotFound:
            self._end = self._end or "somebody removed its container"
            return True
        except (DockerException, OSError):  # it takes long, or the engine is away
            return False
        note_end(self._name, code, str(self._log_file))
        return True

    def _keep(self, said: bytes) -> None:
        try:
            self._log_file.parent.mkdir(parents=True, exist_ok=True)
            with self._log_file.open("ab") as file:
                file.write(said)
        except OSError as error:
            log.warning("what a launched worker said is lost", extra={"worker": self._name, "cause": str(error)})


def connect() -> Any:
    """Return a client of the engine at DOCKER_HOST, or of the usual socket.

    Raises:
        Unavailable: none answers.
    """
    try:
        return docker.from_env(timeout=CALL_S).api
    except (DockerException, OSError) as error:
        raise Unavailable(f"No Docker engine answers: {error}", hint="set DOCKER_HOST, or GAIA_LAUNCHER") from error
