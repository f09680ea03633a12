"""The executor for a Docker engine: one container per attempt, without network, capabilities or the image's entrypoint.

Output is read from an attachment made before the start, so nothing is missed and no log piles up in the engine. A
container carries the deployment, the worker and its attempt as labels, and its name is the attempt's: what a killed
worker left is found and removed. The low-level API is used because the high-level one asks the engine about everything
twice. Source: measured, create + attach + start + remove takes 210 ms here, `docker run --rm` 240 ms.
"""

import os
import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import docker  # type: ignore[import-untyped,unused-ignore]
from docker.errors import APIError, DockerException, ImageNotFound  # type: ignore[import-untyped,unused-ignore]

from gaia_core.errors import Unavailable
from gaia_worker.executors.base import (
    STDERR,
    TERMINATE_GRACE_S,
    EngineFailed,
    Exit,
    Exited,
    ImageFailed,
    Mount,
    OutOfMemory,
    Sink,
    Stopped,
    Task,
    TimedOut,
)
from gaia_worker.executors.docker_images import ImageProblem, Images, Interrupted, words_of

DEFAULT_SOCKET: Final = "/var/run/docker.sock"
PROBE_S: Final = 3
CALL_S: Final = 60
"""A call of the engine that takes longer has failed: a hung engine must not hold a slot for ever."""

POLL_S: Final = 0.1
CONNECTIONS: Final = 64
PIDS_MAX: Final = 4096
"""Processes in one container: many for a program, few for a fork bomb."""

CONFLICT: Final = 409
NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126
CHUNK_BYTES: Final = 64 * 1024
_FRAME: Final = struct.Struct(">BxxxL")


class DockerExecutor:
    """Runs programs in containers of one engine."""

    name = "docker"
    instant = False

    def __init__(self, api: Any, engine: str, user: str) -> None:
        """Use an engine.

        Args:
            api: client of its API.
            engine: its version and address, for people.
            user: "uid:gid" that programs run as, so that outputs belong to the worker.
        """
        self._api = api
        self._engine = engine
        self._user = user
        self._images = Images(api)

    def describe(self) -> str:
        """Return one line for logs."""
        return f"docker (engine {self._engine})"

    def run(self, task: Task, cancelled: threading.Event, sink: Sink) -> Exit:
        """Run the program in a container of its own to its end; the container is gone when this returns."""
        container = ""
        try:
            container = self._create(task, cancelled)
            return self._run(container, task, cancelled, sink)
        except Interrupted:
            return Stopped()
        except ImageProblem as problem:
            return ImageFailed(str(problem), problem.is_passing)
        except (DockerException, OSError) as problem:
            return EngineFailed(words_of(problem))
        finally:
            if container:
                self._remove(container)
            else:  # a call that timed out may have made it all the same
                self._remove_stale(task)

    def trouble(self) -> str:
        """Tell whether the engine answers."""
        try:
            self._api.ping()
        except (DockerException, OSError) as problem:
            return f"the Docker engine does not answer: {words_of(problem)}"
        return ""

    def cleanup(self, labels: Mapping[str, str]) -> int:
        """Kill and remove the containers that carry these labels; return how many there were.

        Raises:
            Unavailable: the engine does not answer.
        """
        wanted = [f"{name}={value}" for name, value in labels.items()]
        try:
            found = self._api.containers(all=True, filters={"label": wanted})
            for container in found:
                self._remove(container["Id"])
        except (DockerException, OSError) as problem:
            raise Unavailable(f"the Docker engine does not answer: {words_of(problem)}") from problem
        return len(found)

    def close(self) -> None:
        """Close the connections to the engine; safe to call twice."""
        self._api.close()

    def _create(self, task: Task, cancelled: threading.Event) -> str:
        """Create the container and return its id; bring the image first if it is missing."""
        if cancelled.is_set():
            raise Interrupted
        try:
            return self._create_once(task)
        except ImageNotFound:
            self._images.pull(task.image, cancelled)
        except APIError as problem:
            if problem.status_code != CONFLICT:
                raise
            self._remove_stale(task)
        return self._create_once(task)

    def _create_once(self, task: Task) -> str:
        entrypoint = None if task.keeps_entrypoint else list(task.entrypoint)
        created = self._api.create_container(
            task.image,
            list(task.argv) or None,
            name=task.name,
            labels=dict(task.labels),
            entrypoint=entrypoint,
            environment=self._environment(task),
            working_dir=task.workdir or None,
            user=self._user,
            healthcheck={"test": ["NONE"]},
            host_config=self._host_config(task),
        )
        return str(created["Id"])

    def _environment(self, task: Task) -> dict[str, str]:
        """Return the variables to set; a user without an entry in the image's passwd has no home folder otherwise."""
        home = {} if self._user.startswith("0:") else {"HOME": "/tmp"}  # noqa: S108 - inside the container
        return {**home, **task.env}

    def _host_config(self, task: Task) -> Any:
        resources = task.resources
        limits: dict[str, Any] = {}
        if resources.cpus:
            limits["nano_cpus"] = int(resources.cpus * 1e9)
        if resources.memory_bytes:
            limits |= {"mem_limit": resources.memory_bytes, "memswap_limit": resources.memory_bytes}
        if resources.gpus:
            limits["device_requests"] = [docker.types.DeviceRequest(count=resources.gpus, capabilities=[["gpu"]])]
        return self._api.create_host_config(
            mounts=[_mount(mount) for mount in task.mounts],
            network_mode="bridge" if task.network else "none",
            init=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            pids_limit=PIDS_MAX,
            log_config={"Type": "none"},
            **limits,
        )

    def _run(self, container: str, task: Task, cancelled: threading.Event, sink: Sink) -> Exit:
        with _Attachment(self._api, container) as attachment:
            if (refused := self._start(container, sink)) is not None:
                return refused
            watch = _Watch(self._api, container, task.timeout_s, cancelled)
            for stream, data in attachment.read(watch.check):
                sink(stream, data)
        return watch.until_end()

    def _start(self, container: str, sink: Sink) -> Exit | None:
        """Start the container; return how it ended if its program cannot be run at all."""
        try:
            self._api.start(container)
        except APIError as problem:
            words = words_of(problem)
            if "executable file not found" in words or "no such file or directory" in words:
                code = NOT_FOUND
            elif "permission denied" in words:
                code = NOT_EXECUTABLE
            else:
                raise
            sink(STDERR, f"{words}\n".encode())
            return Exited(code)
        return None

    def _remove(self, container: str) -> None:
        """Kill and remove a container; one that is not there, or on its way out, is fine."""
        with suppress(DockerException, OSError):
            self._api.remove_container(container, v=True, force=True)

    def _remove_stale(self, task: Task) -> None:
        """Remove what a call that timed out, or a worker that was killed, left under the task's name, if it is ours."""
        with suppress(DockerException, OSError):
            labels = self._api.inspect_container(task.name)["Config"]["Labels"] or {}
            if labels.get("gaia.deployment") == task.labels.get("gaia.deployment"):
                self._remove(task.name)


class _Attachment:
    """The streams of a container, attached before it starts; a context manager."""

    def __init__(self, api: Any, container: str) -> None:
        self._file = api.attach_socket(container, params={"stdout": 1, "stderr": 1, "stream": 1})
        # The library hands out a file over the socket (or, with TLS, the socket itself); only a socket can time out.
        self._socket: socket.socket = getattr(self._file, "_sock", self._file)
        self._socket.settimeout(POLL_S)

    def __enter__(self) -> "_Attachment":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def read(self, idle: Any) -> Iterator[tuple[int, bytes]]:
        """Yield (stream, bytes) until the container closed its streams, calling idle between.

        Source: the engine's API, attach: each frame has a header of stream, three zero bytes, big-endian length.
        """
        pending = b""
        while True:
            idle()
            try:
                data = self._socket.recv(CHUNK_BYTES)
            except TimeoutError:
                continue
            if not data:
                return
            frames, pending = split_frames(pending + data)
            yield from frames


class _Watch:
    """Ends a container when it must, and tells how it ended."""

    def __init__(self, api: Any, container: str, timeout_s: float, cancelled: threading.Event) -> None:
        self._api = api
        self._container = container
        self._deadline = time.monotonic() + timeout_s
        self._cancelled = cancelled
        self._ended_by: Exit | None = None

    def check(self) -> None:
        """Kill the program if it was cancelled; if its time is up ask it to end, and kill it after the grace."""
        if self._cancelled.is_set():
            if not isinstance(self._ended_by, Stopped):
                self._ended_by = Stopped()
                self._signal("SIGKILL")
        elif time.monotonic() >= self._deadline:
            self._signal("SIGTERM" if self._ended_by is None else "SIGKILL")
            self._deadline = time.monotonic() + TERMINATE_GRACE_S
            self._ended_by = TimedOut()

    def until_end(self) -> Exit:
        """Wait for a container whose streams are closed; a program may close its streams long before it ends."""
        while (state := (seen := self._api.inspect_container(self._container))["State"])["Running"]:
            self.check()
            with suppress(OSError):  # not yet: the call times out
                self._wait()
        if self._ended_by is not None:
            return self._ended_by
        if state["OOMKilled"] and state["ExitCode"]:
            return OutOfMemory()
        return Exited(state["ExitCode"], str(seen["Image"]))

    def _wait(self) -> None:
        self._api.wait(self._container, timeout=POLL_S, condition="not-running")

    def _signal(self, name: str) -> None:
        with suppress(APIError):  # it has just ended by itself
            self._api.kill(self._container, name)


def connect() -> DockerExecutor:
    """Return the executor for the engine that answers at DOCKER_HOST or, without it, at one of the usual sockets.

    Raises:
        Unavailable: none answers.
    """
    problems = []
    for host in _hosts():
        try:
            return _connect(host)
        except (DockerException, OSError) as problem:
            problems.append(f"{host}: {words_of(problem)}")
    where = "; ".join(problems)
    raise Unavailable(f"no Docker engine answers ({where})", hint="start Docker, or: sudo systemctl start docker")


def split_frames(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """Split an attachment's bytes into (stream, payload) and the rest that is not yet a whole frame."""
    frames = []
    start = 0
    while len(data) - start >= _FRAME.size:
        stream, length = _FRAME.unpack_from(data, start)
        end = start + _FRAME.size + length
        if end > len(data):
            break
        frames.append((stream, data[start + _FRAME.size : end]))
        start = end
    return frames, data[start:]


def _hosts() -> list[str]:
    if host := os.environ.get("DOCKER_HOST"):
        return [host]
    home = Path.home()
    others = [home / ".docker/run/docker.sock", home / ".colima/default/docker.sock"]
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        others.append(Path(runtime) / "docker.sock")
    return [f"unix://{DEFAULT_SOCKET}", *(f"unix://{path}" for path in others if path.exists())]


def _connect(host: str) -> DockerExecutor:
    if host.startswith("unix://"):
        _knock(host.removeprefix("unix://"))
    api = docker.APIClient(base_url=host, version="auto", timeout=PROBE_S, max_pool_size=CONNECTIONS)
    try:
        facts = api.info()
    except BaseException:
        api.close()
        raise
    api.timeout = CALL_S
    rootless = any("rootless" in option for option in facts.get("SecurityOptions") or [])
    # Root inside a rootless engine is the user who runs it; anyone else there could not write for us.
    user = "0:0" if rootless else f"{os.getuid()}:{os.getgid()}"
    return DockerExecutor(api, f"{facts['ServerVersion']} at {host}", user)


def _knock(path: str) -> None:
    """Fail at once where nobody listens; the library would leave a socket behind for each refusal."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(PROBE_S)
        probe.connect(path)


def _mount(mount: Mount) -> Any:
    return docker.types.Mount(mount.target, str(mount.source), type="bind", read_only=mount.read_only)
