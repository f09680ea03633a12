"""Find the Docker engine, or start one where none answers and we may (root, apt).

An engine that somebody else runs is used as it is and never stopped. One that we started is remembered in the cache
folder by pid and start time, so that any later call of stop() ends exactly that process. Used by conftest.py, images.py
and the Makefile: `python -m tests.support.engine [start|stop|status]`.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import DockerException

from tests.support.machine import (
    ServiceMissing,
    cache_folder,
    ensure_programs,
    find_program,
    may_install,
    process_identity,
    run,
)
from tests.support.waiting import TooLate, wait_until

DEFAULT_HOST = "unix:///var/run/docker.sock"
PING_S = 5
START_S = 60
STOP_S = 60
CALL_S = 600
LOG_TAIL_LINES = 15


@dataclass(frozen=True)
class Engine:
    """A Docker engine that answered.

    Attributes:
        host: URL of its API, as DOCKER_HOST takes it.
        version: what it says of itself.
        pid: of the process when we started it (in this run or an earlier one), else None.
        system: operating system that it names.
        rootless: it runs without root, so its host network is not ours.
    """

    host: str
    version: str
    system: str
    rootless: bool
    pid: int | None = None

    @property
    def shares_network(self) -> bool:
        """Tell whether a container on the host network is reached at 127.0.0.1 (not so where it runs in a VM)."""
        return sys.platform == "linux" and not self.rootless and "Docker Desktop" not in self.system

    def __str__(self) -> str:
        origin = f"started by us, pid {self.pid}" if self.pid else "found running"
        return f"docker engine {self.version} at {self.host} ({origin})"


def ensure_engine() -> Engine:
    """Return the engine that answers, starting one where that is needed and allowed.

    Raises:
        ServiceMissing: none answers, and we may not or cannot start one; the message names the command that helps.
    """
    engine = find_engine()
    named = os.environ.get("DOCKER_HOST", DEFAULT_HOST)
    if engine is None and named != DEFAULT_HOST:
        raise ServiceMissing(f"no Docker engine answers at DOCKER_HOST={named}; start it, or: unset DOCKER_HOST")
    if engine is None and may_install():
        ensure_programs("dockerd", "iptables")
        # Installing may already have started it, by the machine's service manager.
        engine = find_engine() or _start()
    if engine is None:
        raise ServiceMissing("no Docker engine answers; start Docker Desktop, or: sudo systemctl start docker")
    os.environ["DOCKER_HOST"] = engine.host
    return engine


def find_engine() -> Engine | None:
    """Return the first engine that answers: DOCKER_HOST if set, else the usual sockets."""
    return next((engine for host in _candidates() if (engine := _ask(host))), None)


def stop() -> str:
    """End the engine that we started; say in one line what was done. One that we did not start is left alone."""
    pid = _recorded_pid()
    if pid is None:
        return "docker engine: none started by us, nothing to stop"
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: process_identity(pid) is None, "dockerd to end", deadline_s=STOP_S, evidence=_log_tail)
    _record().unlink(missing_ok=True)
    return f"docker engine: stopped, pid {pid}"


@contextmanager
def connect(engine: Engine) -> Iterator[docker.DockerClient]:
    """Give a client of the engine and close it afterwards."""
    client = docker.DockerClient(base_url=engine.host, timeout=CALL_S)
    try:
        yield client
    finally:
        client.close()


def compose_command() -> list[str]:
    """Return how docker compose is called here: `docker compose` (v2) when it answers, else docker-compose (1.29).

    Raises:
        ServiceMissing: neither is there and we may not install one.
    """
    try:
        run(["docker", "compose", "version"])
    except ServiceMissing:
        ensure_programs("docker-compose")
        return ["docker-compose"]
    return ["docker", "compose"]


def _candidates() -> list[str]:
    if host := os.environ.get("DOCKER_HOST"):
        return [host]
    home = Path.home()
    sockets = [home / ".docker/run/docker.sock", home / ".colima/default/docker.sock"]
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        sockets.append(Path(runtime) / "docker.sock")
    return [DEFAULT_HOST, *(f"unix://{path}" for path in sockets if path.exists())]


def _ask(host: str) -> Engine | None:
    if host.startswith("unix://") and not _listens(host.removeprefix("unix://")):
        return None
    try:
        client = docker.DockerClient(base_url=host, timeout=PING_S)
    except DockerException:
        return None
    try:
        info = client.info()
    except (DockerException, OSError):
        return None
    finally:
        client.close()
    rootless = any("rootless" in option for option in info.get("SecurityOptions") or [])
    pid = _recorded_pid() if host == DEFAULT_HOST else None
    return Engine(host, info["ServerVersion"], info.get("OperatingSystem", ""), rootless, pid)


def _listens(path: str) -> bool:
    """Tell whether somebody listens on a socket file; docker's own client would leak a socket for each refusal."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(PING_S)
        return probe.connect_ex(path) == 0


def _start() -> Engine:
    _forget_stale(Path("/var/run/docker.pid"), "dockerd")
    _forget_stale(Path("/var/run/docker/containerd/containerd.pid"), "containerd")
    program = find_program("dockerd") or "dockerd"
    with _log().open("ab") as log:
        process = subprocess.Popen(
            [program, "--log-level", "warn"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C in the terminal is for the tests, not for the engine
        )
    _record().write_text(process_identity(process.pid) or "", encoding="utf-8")

    def answer() -> Engine | None:
        if process.poll() is not None:
            raise ServiceMissing(f"dockerd ended with code {process.returncode}:\n{_log_tail()}")
        return _ask(DEFAULT_HOST)

    try:
        return wait_until(answer, "dockerd to answer", deadline_s=START_S, evidence=_log_tail)
    except TooLate as problem:
        stop()
        raise ServiceMissing(str(problem)) from problem
    finally:
        process.returncode = process.returncode or 0  # it outlives us on purpose: no warning at exit


def _forget_stale(pid_file: Path, program: str) -> None:
    """Remove a pid file whose number now belongs to another program: the engine would take it for its own."""
    try:
        pid = int(pid_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    try:
        name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        name = ""
    if name != program:
        pid_file.unlink(missing_ok=True)


def _recorded_pid() -> int | None:
    try:
        identity = _record().read_text(encoding="utf-8")
    except OSError:
        return None
    pid = int(identity.partition("-")[0] or 0)
    return pid if pid and process_identity(pid) == identity else None


def _record() -> Path:
    return cache_folder("engine") / "dockerd.identity"


def _log() -> Path:
    return cache_folder("engine") / "dockerd.log"


def _log_tail() -> str:
    return "\n".join(_log().read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL_LINES:])


def main(arguments: list[str]) -> int:
    """Do what the command line asks: start (the default), stop or status."""
    action = arguments[0] if arguments else "start"
    if action not in ("start", "stop", "status"):
        print("usage: python -m tests.support.engine [start|stop|status]", file=sys.stderr)
        return 2
    try:
        if action == "stop":
            print(stop())
        else:
            print((ensure_engine() if action == "start" else find_engine()) or "docker engine: none answers")
    except (ServiceMissing, TooLate) as problem:
        print(problem, file=sys.stderr)
        return 5
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
