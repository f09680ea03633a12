"""A workflow that is deleted with its data leaves none, and its name is taken until that is so."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gaia.client import Gaia
from gaia_core.backends.folder import FolderStore
from gaia_core.backends.memory_store import MemoryStore
from gaia_core.coordinator import errands as module
from gaia_core.errors import NotAllowedNow, UnknownName
from gaia_core.machine.reports import Cancelled
from gaia_core.ports import Store
from tests.support.waiting import wait_until
from tests.unit.coordinator.shard import Hand
from tests.unit.coordinator.stores import NotingStore
from tests.unit.service.served import Served

COMMANDS = [
    {"name": "copy", "image": "any", "command": ["cp"], "inputs": {"in": "/in"}, "outputs": {"out": "/out"}},
]
STEP = {"name": "s", "command": "copy", "inputs": {"in": "a"}, "outputs": {"out": "b"}}


@pytest.fixture(autouse=True)
def _tried_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_FIRST_S", 0.01)


@pytest.fixture(params=["memory", "folder"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Every store that needs no service."""
    return MemoryStore() if request.param == "memory" else FolderStore(tmp_path / "store")


@pytest.fixture
def serve() -> Iterator[Callable[[Store], Served]]:
    """Start servers that end with the test."""
    started: list[Served] = []

    def start(store: Store) -> Served:
        started.append(Served(store).start())
        return started[-1]

    yield start
    for one in started:
        one.stop()


def upload_again(flow: Gaia, name: str = "flow") -> None:
    """Use the name again, as soon as that is allowed."""

    def is_free() -> bool:
        try:
            flow.upload(name, {}, COMMANDS, [STEP])
        except NotAllowedNow:
            return False
        return True

    wait_until(is_free, "the name is free")


def test_every_version_goes_and_the_name_is_free_then(store: Store, serve: Callable[[Store], Served]) -> None:
    """Files that were put, again and again, and those of attempts are deleted, and nothing else is."""
    served = serve(store)
    with served.client() as flow:
        for name in ("flow", "flow2"):
            flow.upload(name, {}, COMMANDS, [STEP])
            versions = [flow.put(name, "a", b"%d" % each)[0]["version"] for each in range(3)]
        store.put_bytes(None, "flow/b", b"of an attempt")
        store.put_bytes(None, ".gaia/manifests/flow/1/0-1-0", b"manifest")
        flow.delete("flow", data=True)
        with pytest.raises(UnknownName):
            flow.status("flow")
        upload_again(flow)
        assert [one.path for one in store.list(None, "", 100)] == ["flow2/a"]
        assert flow.status("flow")["missing-inputs"] == ["a"]
        assert flow.ls("flow") == []
        assert [file["version"] for file in flow.ls("flow2")] == versions[-1:]


def test_without_data_the_files_stay_and_the_name_is_free(store: Store, serve: Callable[[Store], Served]) -> None:
    """Deleting a workflow is not deleting what it worked on; another one of its name finds it."""
    served = serve(store)
    with served.client() as flow:
        flow.upload("flow", {}, COMMANDS, [STEP])
        flow.put("flow", "a", b"1")
        flow.delete("flow")
        flow.upload("flow", {}, COMMANDS, [STEP])
        wait_until(lambda: flow.ls("flow"), "the file is found")
        assert flow.get("flow", "a") == b"1"


def test_a_store_that_fails_keeps_the_name_taken(serve: Callable[[Store], Served]) -> None:
    """It is asked until it obeys; meanwhile the name is refused in words, and nothing else is hindered."""
    store = NotingStore()
    served = serve(store)
    with served.client() as flow:
        flow.upload("flow", {}, COMMANDS, [STEP])
        flow.put("flow", "a", b"1")
        store.moods = {"flow/": 10**6}
        flow.delete("flow", data=True)
        wait_until(lambda: store.moods["flow/"] < 10**6 - 3, "three tries")
        with pytest.raises(NotAllowedNow, match="still being deleted"):
            flow.upload("flow", {}, COMMANDS, [STEP])
        with pytest.raises(NotAllowedNow, match="still being deleted"):
            flow.merge("flow", [])
        flow.upload("other", {}, COMMANDS, [STEP])
        store.moods = {}
        upload_again(flow)
        assert store.stat(None, "flow/a") is None


def test_a_new_leader_goes_on_deleting(serve: Callable[[Store], Served]) -> None:
    """What the one before it could not delete is asked for again, and the name stays taken in between."""
    store = NotingStore()
    served = serve(store)
    with served.client() as flow:
        flow.upload("flow", {}, COMMANDS, [STEP])
        flow.put("flow", "a", b"1")
        store.moods = {"flow/": 10**6}
        flow.delete("flow", data=True)
        served.again()
        with pytest.raises(NotAllowedNow, match="still being deleted"):
            flow.upload("flow", {}, COMMANDS, [STEP])
        store.moods = {}
        upload_again(flow)
        assert store.stat(None, "flow/a") is None


def test_what_a_running_attempt_still_writes_goes_too(serve: Callable[[Store], Served]) -> None:
    """A worker that uploads before it hears of the deletion leaves nothing to the next workflow of the name."""
    store = NotingStore()
    served = serve(store)
    hand = Hand(served)  # type: ignore[arg-type]
    hand.hello()
    with served.client() as flow:
        flow.upload("flow", {}, COMMANDS, [STEP])
        flow.put("flow", "a", b"1")
        wait_until(lambda: hand.read() and hand.fences(), "the order")
        flow.delete("flow", data=True)
        wait_until(lambda: store.count("delete_all") >= 4, "it was deleted more than once")
        store.put_bytes(None, "flow/b", b"late")
        with pytest.raises(NotAllowedNow):
            flow.upload("flow", {}, COMMANDS, [STEP])
        hand.say(Cancelled(hand.fences()["s"]))
        upload_again(flow)
        assert store.list(None, "flow/", 10) == []


class SlowStore(MemoryStore):
    """A store that takes a put and does not return before it may."""

    def __init__(self) -> None:
        super().__init__()
        self.has_stored, self.may_return = threading.Event(), threading.Event()

    def put_file(self, bucket: str | None, path: str, source: Path) -> object:  # type: ignore[override]
        stored = super().put_file(bucket, path, source)
        self.has_stored.set()
        assert self.may_return.wait(30)
        return stored


def test_what_is_put_into_a_workflow_that_goes_meanwhile_is_taken_back(serve: Callable[[Store], Served]) -> None:
    """The put is refused, and no file of it stays to be found by another workflow of the name."""
    store = SlowStore()
    served = serve(store)
    with served.client() as flow:
        flow.upload("flow", {}, COMMANDS, [STEP])
        refused: list[UnknownName] = []

        def put() -> None:
            try:
                flow.put("flow", "a", b"1")
            except UnknownName as refusal:
                refused.append(refusal)

        thread = threading.Thread(target=put)
        thread.start()
        assert store.has_stored.wait(30)
        flow.delete("flow", data=True)
        upload_again(flow, "flow3")
        wait_until(lambda: not store.list(None, "flow/", 1), "its files are gone")
        store.put_bytes(None, "flow3/kept", b"1")
        store.may_return.set()
        thread.join(30)
        assert len(refused) == 1
        assert [one.path for one in store.list(None, "", 10)] == ["flow3/kept"]
