"""A Docker engine of a test's own, with its own socket and data, so that it may be stopped, killed and paused."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import docker

from tests.support.engine import Engine, connect
from tests.support.machine import ServiceMissing, find_program, process_identity, run
from tests.support.waiting import wait_until

START_S = 60
ANSWER_S = 5


class OwnEngine:
    """A dockerd with a containerd of its own; the images given to it are taken from the engine that answers."""

    def __init__(self, folder: Path, *, live_restore: bool) -> None:
        program, unshare = find_program("dockerd"), find_program("unshare")
        if program is None or unshare is None or os.geteuid() != 0:
            raise ServiceMissing("an engine of one's own needs dockerd, unshare and root")
        self.host = f"unix://{folder}/docker.sock"
        self._folder = folder
        self._log = folder / "dockerd.log"
        # Without a bridge it removes that of the machine, so it has a network of its own.
        self._command = [unshare, "--net", program, "--host", self.host, "--bridge=none", "--iptables=false"]
        self._command += ["--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")]
        self._command += ["--pidfile", str(folder / "docker.pid"), "--ip-masq=false", "--log-level=warn"]
        self._command += ["--live-restore"] if live_restore else []
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._forget_dead()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, start_new_session=True)
        wait_until(self._answers, "dockerd to answer", deadline_s=START_S, evidence=self._words)

    def _forget_dead(self) -> None:
        """Remove pid files of killed processes that nobody waited for: the engine would take them for running ones."""
        for file in (self._folder / "docker.pid", self._folder / "exec/containerd/containerd.pid"):
            if file.exists():
                pid = int(file.read_text(encoding="utf-8"))
                wait_until(lambda pid=pid: process_identity(pid) is None, "the killed engine to be gone")
                file.unlink()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def end(self, number: signal.Signals) -> None:
        """Send it a signal and wait for its end."""
        self.send(number)
        assert self._process is not None
        self._process.wait(START_S)

    def take(self, image: str, other: Engine) -> None:
        """Copy an image from another engine."""
        with connect(other) as source, closing(docker.DockerClient(base_url=self.host)) as target:
            target.images.load(b"".join(source.images.get(image).save(named=True)))

    def close(self) -> None:
        """End all containers in it, and then itself."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
        if self._process.poll() is not None:
            self.start()
        with closing(docker.DockerClient(base_url=self.host)) as client:
            for container in client.containers.list(all=True):
                container.remove(force=True)
        self.end(signal.SIGTERM)
        self._unmount()

    def _unmount(self) -> None:
        """Undo the mounts that a killed engine left."""
        mounted = [line.split()[1] for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
        for path in reversed(mounted):
            if path.startswith(f"{self._folder}/"):
                run(["umount", "--lazy", path])

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise ServiceMissing(f"dockerd ended with code {self._process.returncode}:\n{self._words()}")
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(ANSWER_S)
            try:
                asking.connect(self.host.removeprefix("unix://"))
                asking.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return b"200 OK" in asking.recv(100)
            except OSError:
                return False

    def _words(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-3000:]


@contextmanager
def own_engine(folder: Path, image: str, other: Engine, *, live_restore: bool = False) -> Iterator[OwnEngine]:
    """Give an engine that has one image."""
    engine = OwnEngine(folder, live_restore=live_restore)
    try:
        engine.start()
        engine.take(image, other)
        yield engine
    finally:
        engine.close()
