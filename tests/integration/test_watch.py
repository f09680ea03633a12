"""Watching, files from outside and deletion on real processes: `gaia up`, and a cluster on Kafka and MinIO.

Both backings, the same cases. Programs run in the sandbox; what others write goes straight into the store.
"""

from __future__ import annotations

import io
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from minio import Minio
from minio.commonconfig import ENABLED
from minio.versioningconfig import VersioningConfig

from gaia.v1 import events_pb2
from gaia_client.client import Gaia
from gaia_core.backends.sqlite import SqliteEventLog
from gaia_core.errors import InvalidWorkflow, NotAllowedNow, UnknownName
from tests.integration.cluster import Cluster
from tests.integration.gaia_processes import GaiaProcess, Up
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

Result = TypeVar("Result")

POLL_S = "0.2"
ALLOWED = "shared-data"
"""Another bucket, which Keys may name; embedded every bucket is."""

COPY = {"name": "copy", "image": "any", "command": ["sh", "-c", "cat {{in}} > {{out}}"],
        "inputs": {"in": "/job/in"}, "outputs": {"out": "/job/out"}}  # fmt: skip
SLOW = {**COPY, "name": "slow", "command": ["sh", "-c", "sleep 0.3; cat {{in}} > {{out}}; echo x >> {{out}}"]}
JOIN = {**COPY, "name": "join", "command": ["sh", "-c", "cat {{in}}* > {{out}}"], "inputs": {"in": "/job/in/"}}


def copy(name: str, source: str, out: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "command": "copy", "inputs": {"in": source}, "outputs": {"out": out}, **more}


class Rig(ABC):
    """One running deployment, and what a stranger can do to its store."""

    @abstractmethod
    def client(self) -> Gaia:
        """Return a client, closed with the rig."""

    @abstractmethod
    def kill_and_restart(self) -> None:
        """End the server as a power cut would, and start it again."""

    @abstractmethod
    def drop(self, path: str, data: bytes, bucket: str | None = None) -> None:
        """Write an object straight into the store."""

    @abstractmethod
    def versions(self, prefix: str) -> int:
        """Return how many versions of objects are kept under a prefix."""

    @abstractmethod
    def published(self, workflow: str, last: str) -> list[events_pb2.Event]:
        """Return a workflow's public events, up to a change of this name."""


class EmbeddedRig(Rig):
    """`gaia up` on a folder."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack = stack
        self._up = stack.enter_context(Up(folder, "--executor", "sandbox", "--slots", "2"))

    def client(self) -> Gaia:
        return self._stack.enter_context(self._up.client())

    def kill_and_restart(self) -> None:
        self._up.kill()
        self._up.start()

    def drop(self, path: str, data: bytes, bucket: str | None = None) -> None:
        place = self._up.data / "store" / (bucket or "data") / path
        place.parent.mkdir(parents=True, exist_ok=True)
        beside = place.with_name("being written")
        beside.write_bytes(data)
        beside.rename(place)

    def versions(self, prefix: str) -> int:
        plain = self._up.data / "store" / "data" / prefix
        inodes = {path.stat().st_ino for path in plain.rglob("*") if path.is_file()}
        kept = [path for path in (self._up.data / "store" / ".versions" / "data").rglob("*") if path.is_file()]
        return len(inodes | {path.stat().st_ino for path in kept})

    def published(self, workflow: str, last: str) -> list[events_pb2.Event]:
        def has_come() -> list[events_pb2.Event] | None:
            with closing(SqliteEventLog(self._up.data / "events.sqlite")) as log:
                found = [events_pb2.Event.FromString(one.value) for one in log.read(most=10_000)]
            mine = [event for event in found if event.workflow == workflow]
            return mine if mine and mine[-1].workflow_changed.change == last else None

        return wait_until(has_come, f"{workflow} became {last}", deadline_s=60)


class ClusterRig(Rig):
    """`gaia server` and a `gaia worker` on Kafka and MinIO."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._server: GaiaProcess = cluster.server()
        cluster.worker("one", "sandbox")
        minio = cluster.minio
        self._minio = Minio(minio.endpoint, access_key=minio.access_key, secret_key=minio.secret_key, secure=False)
        if not self._minio.bucket_exists(bucket_name=ALLOWED):
            self._minio.make_bucket(bucket_name=ALLOWED)
            self._minio.set_bucket_versioning(bucket_name=ALLOWED, config=VersioningConfig(ENABLED))

    def client(self) -> Gaia:
        return self._cluster.client()

    def kill_and_restart(self) -> None:
        self._server.kill()
        self._server = self._cluster.server()

    def drop(self, path: str, data: bytes, bucket: str | None = None) -> None:
        self._minio.put_object(
            bucket_name=bucket or self._cluster.bucket, object_name=path, data=io.BytesIO(data), length=len(data)
        )

    def versions(self, prefix: str) -> int:
        listed = self._minio.list_objects(
            bucket_name=self._cluster.bucket, prefix=prefix, recursive=True, include_version=True
        )
        return sum(1 for _ in listed)

    def published(self, workflow: str, last: str) -> list[events_pb2.Event]:
        return self._cluster.events(workflow, last)


@pytest.fixture(params=["embedded", "cluster"])
def rig(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """A deployment that looks for files from outside five times a second."""
    monkeypatch.setenv("GAIA_POLL_S", POLL_S)
    monkeypatch.setenv("GAIA_BUCKETS", ALLOWED)
    with ExitStack() as stack:
        if request.param == "embedded":
            yield EmbeddedRig(stack, tmp_path)
        else:
            yield ClusterRig(request.getfixturevalue("cluster"))


@pytest.fixture
def flow(rig: Rig) -> Gaia:
    return rig.client()


class Following:
    """A thread that watches and keeps what it is told."""

    def __init__(self, watch: Callable[[], Iterator[dict[str, Any]]]) -> None:
        self.told: list[dict[str, Any]] = []
        self.failures: list[BaseException] = []
        self._events = watch()
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()

    def _follow(self) -> None:
        try:
            for event in self._events:
                self.told.append(event)
        except BaseException as problem:  # noqa: BLE001 - shown by the test
            self.failures.append(problem)

    def numbers(self) -> list[int]:
        """Return the sequence numbers that came, of events that have one."""
        return [event["sequence"] for event in self.told if event["sequence"]]

    def await_change(self, change: str, times: int = 1) -> None:
        """Wait until the workflow has changed so."""

        def has_come() -> bool:
            assert not self.failures, self.failures
            return [event.get("change") for event in self.told].count(change) >= times

        wait_until(has_come, f"it became {change}", deadline_s=90, evidence=lambda: str(self.told[-5:]))

    def join(self) -> None:
        """Wait until the stream has ended."""
        self._thread.join(30)
        assert not self._thread.is_alive()
        assert not self.failures, self.failures


def attempts(flow: Gaia, workflow: str) -> dict[str, int]:
    return {step["name"]: step["attempt"] for step in flow.steps(workflow)}


def await_content(flow: Gaia, workflow: str, key: str, data: bytes) -> None:
    """Wait until a Key holds this."""

    def has() -> bool:
        try:
            return flow.get(workflow, key) == data
        except UnknownName:
            return False

    wait_until(has, f"{key} holds {data!r}", deadline_s=60, evidence=lambda: str(flow.status(workflow)))


def test_a_stream_goes_on_over_kills_of_the_server(rig: Rig, flow: Gaia) -> None:
    """From 1 through upload, completions, two kill -9 in mid-run, expire and deletion: every event once, in order."""
    steps = [
        {"name": f"s{n}", "command": "slow", "inputs": {"in": f"k{n - 1}"}, "outputs": {"out": f"k{n}"}}
        for n in range(1, 7)
    ]
    flow.upload("chain", {}, [SLOW], steps)
    whole = Following(lambda: flow.watch("chain", 1))
    completed = Following(lambda: rig.client().watch("chain", kinds=["step_completed"], steps=["s2", "s6"]))
    updates = Following(lambda: rig.client().watch("chain", updates=True))
    flow.put("chain", "k0", b"start\n")
    wait_until(lambda: flow.status("chain")["steps"]["complete"] >= 2, "two Steps are complete", deadline_s=60)
    rig.kill_and_restart()
    wait_until(lambda: flow.status("chain")["steps"]["complete"] >= 4, "four Steps are complete", deadline_s=60)
    rig.kill_and_restart()
    whole.await_change("complete")
    assert flow.get("chain", "k6") == b"start\n" + b"x\n" * 6
    wait_until(lambda: updates.told[-1]["state"] == "complete", "the update says so")
    assert updates.told[-1]["steps"]["complete"] == 6
    flow.expire("chain", ["s6"])
    whole.await_change("complete", 2)
    flow.delete("chain")
    for one in (whole, completed, updates):
        one.join()
    published = rig.published("chain", "deleted")
    assert whole.numbers() == [event.sequence for event in published] == list(range(1, len(published) + 1))
    kinds = [event.WhichOneof("event") for event in published]
    assert [event["kind"] for event in whole.told if event["sequence"]] == kinds
    assert [event["step"] for event in completed.told] == ["s2", "s6", "s6"]
    assert updates.told[-1]["deleted"]


def test_a_quiet_stream_outlives_a_kill(rig: Rig, flow: Gaia) -> None:
    """A watch for new events that was told nothing before the kill misses nothing that comes after it."""
    flow.upload("quiet", {}, [COPY], [copy("r", "given", "out")])
    flow.merge("quiet", [copy("r", "given", "out")])
    events = Following(lambda: flow.watch("quiet", 0))
    rig.kill_and_restart()
    rig.drop("quiet/given", b"here")
    events.await_change("complete")
    assert [event["kind"] for event in events.told if event["sequence"]] == [
        "key_available", "step_completed", "workflow_changed",
    ]  # fmt: skip
    flow.delete("quiet")
    events.join()


def test_a_file_written_straight_into_the_store_starts_what_waits_for_it(rig: Rig, flow: Gaia) -> None:
    """It is noticed; overwritten it runs its readers again; so does a tree, once it has come to rest."""
    steps = [copy("r", "in/a", "out/a"), copy("s", "out/a", "end"), copy("other", "given", "kept"),
             {"name": "all", "command": "join", "inputs": {"in": "tree/"}, "outputs": {"out": "all"}}]  # fmt: skip
    flow.upload("outside", {}, [COPY, JOIN], steps)
    flow.put("outside", "given", b"put")
    assert flow.status("outside")["missing-inputs"] == ["in/a", "tree/"]
    rig.drop("outside/in/a", b"first")
    await_content(flow, "outside", "end", b"first")
    rig.drop("outside/in/a", b"second")
    await_content(flow, "outside", "end", b"second")
    rig.drop("outside/tree/1", b"one ")
    rig.drop("outside/tree/2", b"two")
    await_content(flow, "outside", "all", b"one two")
    rig.drop("outside/tree/2", b"three")
    await_content(flow, "outside", "all", b"one three")
    assert flow.wait("outside", timeout_s=60)["state"] == "complete"
    assert attempts(flow, "outside") == {"r": 2, "s": 2, "other": 1, "all": 2}


def test_many_files_written_into_a_folder_start_all_that_wait(rig: Rig, flow: Gaia) -> None:
    """Each Step has its file, whichever comes when, and none runs twice."""
    numbers = range(40)
    flow.upload("many", {}, [COPY], [copy(f"r{n}", f"in/{n}", f"out/{n}") for n in numbers])
    for number in numbers:
        rig.drop(f"many/in/{number}", b"%d" % number)
    assert flow.wait("many", timeout_s=90)["state"] == "complete"
    assert set(attempts(flow, "many").values()) == {1}
    assert flow.get("many", "out/39") == b"39"


def test_an_announced_tree_counts_at_once(rig: Rig, flow: Gaia) -> None:
    """Whoever knows that a tree is whole need not wait until it has come to rest."""
    flow.upload(
        "told", {}, [JOIN], [{"name": "all", "command": "join", "inputs": {"in": "t/"}, "outputs": {"out": "o"}}]
    )
    rig.drop("told/t/1", b"1")
    rig.drop("told/t/2", b"2")
    assert flow.announce("told", ["t/"]) == ["t/"]
    assert flow.wait("told", timeout_s=60)["state"] == "complete"
    assert flow.get("told", "o") == b"12"
    assert attempts(flow, "told") == {"all": 1}
    with pytest.raises(UnknownName):
        flow.announce("told", ["nothing"])
    with pytest.raises(NotAllowedNow):
        flow.announce("told", ["o"])


def test_deleting_with_data_leaves_no_version(rig: Rig, flow: Gaia) -> None:
    """Files put and dropped, outputs of every attempt: all go, then the name is free and nothing old is found."""
    steps = [copy("r", "in", "out"), copy("w", "gone", "never")]
    flow.upload("kept", {}, [COPY], [])
    flow.put("kept", "x", b"1")
    kept = rig.versions("kept/")
    flow.upload("gone", {}, [COPY], steps)
    rig.drop("gone/in", b"dropped")
    await_content(flow, "gone", "out", b"dropped")
    for each in (b"second", b"third"):
        flow.put("gone", "in", each)
        await_content(flow, "gone", "out", each)
    assert rig.versions("gone/") >= 6
    flow.delete("gone", data=True)

    def is_free() -> bool:
        try:
            flow.upload("gone", {}, [COPY], steps)
        except NotAllowedNow:
            return False
        return True

    wait_until(is_free, "the name is free", deadline_s=60)
    assert rig.versions("kept/") == kept
    assert isinstance(rig, EmbeddedRig) or rig.versions("gone/") == 0
    assert flow.status("gone")["missing-inputs"] == ["in", "gone"]
    assert flow.ls("gone") == []
    assert flow.get("kept", "x") == b"1"


def test_keys_of_another_bucket(rig: Rig, flow: Gaia) -> None:
    """Read and written there, noticed there, shared by workflows; a bucket that is not allowed is refused."""
    source, made = f"{ALLOWED}:{id(rig)}/in.txt", f"{ALLOWED}:{id(rig)}/out.txt"
    flow.upload("reads", {}, [COPY], [copy("r", source, made)])
    flow.upload("follows", {}, [COPY], [copy("f", made, "end")])
    rig.drop(f"{id(rig)}/in.txt", b"shared", ALLOWED)
    await_content(flow, "reads", made, b"shared")
    await_content(flow, "follows", "end", b"shared")
    rig.drop(f"{id(rig)}/in.txt", b"again", ALLOWED)
    await_content(flow, "follows", "end", b"again")
    flow.delete("reads", data=True)
    assert flow.get("follows", made) == b"again"
    if isinstance(rig, ClusterRig):
        with pytest.raises(InvalidWorkflow, match="which Keys may not"):
            flow.merge("follows", [copy("g", "other-bucket:x", "y")])
