"""Real processes that are killed and stopped at random under load, and what they leave, audited.

Kafka and MinIO that are stopped here are this test's own. A failure names its seed, which chooses workload and faults,
though not their moments. CHAOS_S makes the trouble in the cluster last longer; with CHAOS_EXECUTOR=docker its Steps
run in containers.
"""

from __future__ import annotations

import os
import random
import secrets
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import docker
import pytest

from gaia_client import client as client_module
from gaia_client.client import Gaia
from gaia_core.backends.s3 import S3Settings, S3Store
from gaia_core.errors import RequestError, Unavailable
from gaia_worker.cache import FOLDER as CACHE
from gaia_worker.removing import ASIDE
from tests.chaos import durable
from tests.chaos.audit import Acknowledged, Recording, audit
from tests.integration.cluster import LEASE_S, Cluster
from tests.integration.gaia_processes import GaiaProcess, Up, free_address
from tests.support.services import KafkaService, MinioService
from tests.support.waiting import wait_until

CLUSTER_TROUBLE_S = float(os.environ.get("CHAOS_S", "45"))
CHAOS_EXECUTOR = os.environ.get("CHAOS_EXECUTOR", "sandbox")
EMBEDDED_KILLS = 6
REST_S = 120.0 if CHAOS_EXECUTOR == "sandbox" else 600.0
PACE_S = 0.5 if CHAOS_EXECUTOR == "sandbox" else 8.0
"""The longest pause of a client between two requests: containers take their time, and must not pile up."""

COMMANDS = [
    {"name": "make", "image": "any", "command": ["sh", "-c", "echo {{word}} > {{out}}"], "vars": {"word": "a"},
     "outputs": {"out": "/job/out"}},
    {"name": "copy", "image": "any", "command": ["sh", "-c", "sleep 0.1; cat {{in}} > {{out}}"],
     "inputs": {"in": "/job/in"}, "outputs": {"out": "/job/out"}},
]  # fmt: skip


class Workload:
    """A client that changes workflows at random until it is told to stop, and keeps what it was answered.

    Attributes:
        acknowledged: the answers, in order.
    """

    def __init__(self, hosts: str, name: str, seed: int, image: str) -> None:
        self.acknowledged: list[Acknowledged] = []
        self._hosts, self._name = hosts, name
        self._commands = [{**command, "image": image} for command in COMMANDS]
        self._random = random.Random(seed)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name)
        self._flows = 0
        self._id = ""
        self._broke: BaseException | None = None

    def start(self) -> Workload:
        """Begin."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop, and tell what went wrong."""
        self._stopping.set()
        self._thread.join(60)
        assert not self._thread.is_alive(), f"{self._name} waits for an answer"
        if self._broke is not None:
            raise self._broke

    def next_id(self) -> str:
        """Return the id of the next request, and remember it."""
        self._id = uuid.uuid4().hex
        return self._id

    def _run(self) -> None:
        try:
            with Gaia({"gaia_host": self._hosts}) as flow:
                while not self._stopping.is_set():
                    self._ask(self._make_up(flow))
                    self._stopping.wait(self._random.uniform(PACE_S / 10, PACE_S))
        except BaseException as error:  # noqa: BLE001 - told by `stop`
            self._broke = error

    def _ask(self, request: Callable[[], object]) -> None:
        self._id = ""
        try:
            request()
        except RequestError:
            if self._id:
                self.acknowledged.append(Acknowledged(self._id, is_refused=True, answered_s=time.time()))
        except Unavailable:
            pass  # nobody knows whether it was done
        else:
            self.acknowledged.append(Acknowledged(self._id, is_refused=False))

    def _make_up(self, flow: Gaia) -> Callable[[], object]:
        chance = self._random
        name = f"{self._name}_{chance.randint(max(1, self._flows - 2), max(1, self._flows))}"
        choices: list[tuple[int, Callable[[], object]]] = [
            (4, lambda: self._upload(flow)),
            (4, lambda: flow.merge(name, self._steps())),
            (2, lambda: flow.expire(name, ["first"])),
            (1, lambda: flow.halt(name)),
            (2, lambda: flow.run(name)),
            (1, lambda: flow.delete(name, data=chance.random() < 0.5)),
            (1, lambda: flow.command(name, [{**self._commands[0], "vars": {"word": uuid.uuid4().hex}}])),
        ]
        if not self._flows:
            return choices[0][1]
        return chance.choices([act for _, act in choices], [weight for weight, _ in choices])[0]

    def _upload(self, flow: Gaia) -> object:
        self._flows += 1
        return flow.upload(f"{self._name}_{self._flows}", {}, self._commands, self._steps())

    def _steps(self) -> list[dict[str, Any]]:
        count = self._random.randint(1, 6)
        many = list(range(count))
        return [
            {"name": "first", "command": "make", "outputs": {"out": "first"}},
            {"name": "then", "command": "copy", "inputs": {"in": "first"}, "outputs": {"out": "then/{{N}}"},
             "vars": {"N": many}},
            {"name": "last", "command": "copy", "inputs": {"in": f"then/{count - 1}"}, "outputs": {"out": "last"}},
        ]  # fmt: skip


@contextmanager
def workloads(hosts: str, seed: int, image: str = "any", count: int = 2) -> Iterator[list[Workload]]:
    """Run clients, whose request ids are known."""
    made = {f"client{number}": Workload(hosts, f"client{number}", seed + number, image) for number in range(count)}

    def request_id() -> str:
        return made[threading.current_thread().name].next_id()

    with mock.patch.object(client_module, "_request_id", request_id):
        try:
            yield [one.start() for one in made.values()]
        finally:
            for one in made.values():
                one.stop()


def check_at_rest(read: Callable[[], Recording], scratch: Path, seed: int) -> None:
    """Wait until everything has come to its end, then audit it."""
    wait_until(
        lambda: not any(one.rule in ("everything ends", "events all come") for one in audit(read()).violations),
        "everything comes to its end",
        deadline_s=REST_S,
        every_s=2.0,
        evidence=lambda: "\n".join(map(str, audit(read()).violations)),
    )
    verdict = audit(read())
    assert verdict.violations == [], f"seed {seed}: " + "\n".join(map(str, verdict.violations))
    assert verdict.completions > 20
    wait_until(lambda: left_in(scratch) == [], "no scratch folder is left", evidence=lambda: str(left_in(scratch)))


def left_in(scratch: Path) -> list[Path]:
    """Return the folders of attempts that are still there, also those being removed; the cache of inputs stays."""
    attempts = [path for path in scratch.glob("*/*") if path.parent.name not in (CACHE, ASIDE)]
    return [*attempts, *scratch.glob(f"{ASIDE}/*/*")]


def test_an_embedded_gaia_that_is_killed_again_and_again_loses_nothing(tmp_path: Path) -> None:
    """Kill -9 at any moment: no answer is lost, nothing completes twice, every event comes once."""
    seed = secrets.randbelow(2**31)
    chance = random.Random(seed)
    up = Up(tmp_path, "--executor", "sandbox", "--slots", "2")
    with up:
        with workloads(up.address, seed) as clients:
            for _ in range(EMBEDDED_KILLS):
                _let_it_work(chance.uniform(0.5, 3.0))
                up.kill()
                up.start()
        acknowledged = [one for client in clients for one in client.acknowledged]
        check_at_rest(lambda: durable.of_folder(up.data, acknowledged), up.data / "scratch", seed)
    assert sum(not one.is_refused for one in acknowledged) > 10


class Trouble:
    """Does something bad to one of many processes, again and again."""

    def __init__(self, seed: int, processes: dict[str, GaiaProcess], services: dict[str, KafkaService | MinioService]):
        self.done: list[str] = []
        self._random = random.Random(seed)
        self._processes, self._services = processes, services

    def for_a_while(self, seconds: float) -> None:
        """Cause trouble for so long, and leave everything running."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            _let_it_work(self._random.uniform(1.0, 4.0))
            name = self._random.choice([*self._processes, *self._processes, *self._services])
            if name in self._services:
                self._restart(name) if self._random.random() < 0.3 else self._pause(name)
            elif self._random.random() < 0.5:
                self._kill(name)
            else:
                self._stop(name)

    def _kill(self, name: str) -> None:
        self.done.append(f"kill {name}")
        self._processes[name].kill()
        _let_it_work(self._random.uniform(0.0, 3.0))
        self._processes[name].start()

    def _stop(self, name: str) -> None:
        seconds = self._random.choice((2.0, 8.0, 16.0))
        self.done.append(f"stop {name} for {seconds:g} s")
        process = self._processes[name].process
        process.send_signal(signal.SIGSTOP)
        try:
            _let_it_work(seconds)
        finally:
            process.send_signal(signal.SIGCONT)

    def _restart(self, name: str) -> None:
        self.done.append(f"kill and restart {name}")
        self._services[name].container.kill()
        _let_it_work(self._random.uniform(0.0, 3.0))
        self._services[name].container.start()
        self._services[name].wait_ready()

    def _pause(self, name: str) -> None:
        seconds = self._random.choice((2.0, 6.0))
        self.done.append(f"pause {name} for {seconds:g} s")
        container = self._services[name].container
        container.pause()
        try:
            _let_it_work(seconds)
        finally:
            container.unpause()


def _let_it_work(seconds: float) -> None:
    """Let the processes work undisturbed: trouble has to come at moments that nobody chose."""
    threading.Event().wait(seconds)


@pytest.fixture
def own_cluster(docker_engine: object, tmp_path: Path, bucket: str) -> Iterator[Cluster]:
    """A cluster on a Kafka and a MinIO that nobody else uses."""
    with KafkaService() as kafka, MinioService() as minio, ExitStack() as stack:
        yield Cluster(kafka, minio, tmp_path, "chaos", bucket, stack)


def test_a_cluster_in_trouble_keeps_its_promises(own_cluster: Cluster, busybox_image: str) -> None:
    """Leader, standby and workers are killed and stopped, Kafka and MinIO paused: the audit finds nothing."""
    cluster, seed = own_cluster, secrets.randbelow(2**31)
    other = free_address()
    second = {"GAIA_LISTEN": other, "GAIA_HTTP_LISTEN": free_address()}
    hosts = f"{cluster.address},{other}"
    processes = {
        "server-1": cluster.server(),
        "server-2": _standby(cluster, second),
        "worker-1": cluster.worker("w1", CHAOS_EXECUTOR),
        "worker-2": cluster.worker("w2", CHAOS_EXECUTOR),
    }
    trouble = Trouble(seed, processes, {"kafka": cluster.kafka, "minio": cluster.minio})
    with workloads(hosts, seed, busybox_image) as clients:
        trouble.for_a_while(CLUSTER_TROUBLE_S)
    print("\n".join(trouble.done))
    print({what: len([one for one in trouble.done if one.startswith(what)]) for what in ("kill", "stop", "pause")})
    acknowledged = [one for client in clients for one in client.acknowledged]
    store = S3Store(
        S3Settings(
            cluster.minio.endpoint, cluster.minio.access_key, cluster.minio.secret_key, False, bucket=cluster.bucket
        )
    )
    check_at_rest(
        lambda: durable.of_topics(cluster.kafka.bootstrap, cluster.prefix, store, acknowledged, LEASE_S),
        cluster.folder / "scratch",
        seed,
    )
    assert sum(not one.is_refused for one in acknowledged) > 10
    with closing(docker.from_env()) as engine:
        label = f"gaia.deployment={cluster.prefix}"
        assert engine.containers.list(all=True, filters={"label": label}) == [], "containers are left"


def _standby(cluster: Cluster, environ: dict[str, str]) -> GaiaProcess:
    process = GaiaProcess(["server"], cluster.folder / "second.log", {**cluster.environ, **environ})
    cluster.stack.enter_context(process)
    process.await_words("Gaia stands by")
    return process
