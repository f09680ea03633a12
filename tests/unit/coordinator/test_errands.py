"""Outside Keys are looked for in the store: what is found arrives, and a store that fails is asked again."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from gaia_core.backends.memory_store import MemoryStore
from gaia_core.coordinator import errands as module
from gaia_core.coordinator.errands import Errands
from gaia_core.errors import StoreError, TooLarge
from gaia_core.machine.effects import LookUp
from gaia_core.machine.requests import Arrive, Request
from gaia_core.ports import Stored
from tests.support.waiting import wait_until


class Moody(MemoryStore):
    """A store that refuses some paths so and so often."""

    def __init__(self) -> None:
        super().__init__()
        self.moods: dict[str, int] = {}
        self.asked: list[str] = []

    def stat(self, bucket: str | None, path: str) -> Stored | None:
        self.asked.append(path)
        self._fail(path)
        return super().stat(bucket, path)

    def list(self, bucket: str | None, prefix: str, most: int) -> list[Stored]:
        self._fail(prefix)
        return super().list(bucket, prefix, most)

    def _fail(self, path: str) -> None:
        if self.moods.get(path, 0):
            self.moods[path] -= 1
            raise StoreError("not today")


class Desk:
    """Takes what arrives, unless it is full."""

    def __init__(self) -> None:
        self.arrived: dict[str, list[str]] = {}
        self.full = 0

    def submit(self, request: Request) -> "Future[Any]":
        if self.full:
            self.full -= 1
            raise TooLarge("full")
        assert isinstance(request, Arrive)
        assert request.instead_of == (None,) * len(request.keys)
        for one in request.keys:
            self.arrived[one.key] = [file.key for file in one.files]
        return Future()


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Moody:
    """A store with two files, that is asked again at once."""
    monkeypatch.setattr(module, "AGAIN_FIRST_S", 0.0)
    monkeypatch.setattr(module, "CONFIRM_S", 0.0)
    store = Moody()
    store.put_bytes(None, "flow/a", b"a")
    store.put_bytes(None, "flow/t/b", b"b")
    return store


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def errands(store: Moody, desk: Desk) -> Iterator[Errands]:
    """The thread that looks, running."""
    made = Errands(store, desk.submit)
    thread = threading.Thread(target=made.run)
    thread.start()
    yield made
    made.stop()
    thread.join(10)
    assert not thread.is_alive()


def test_what_lies_in_the_store_arrives(errands: Errands, desk: Desk) -> None:
    """Files and trees that are there arrive; what is not there does not."""
    errands.ask(LookUp("flow", ("a", "nothing", "t/", "none/")))
    wait_until(lambda: len(desk.arrived) == 2, "both arrivals")
    assert desk.arrived == {"a": ["a"], "t/": ["t/b"]}


def test_a_key_that_the_store_refuses_hides_no_other(errands: Errands, store: Moody, desk: Desk) -> None:
    """What else was asked for arrives all the same."""
    store.moods["flow/bad"] = 10**6
    errands.ask(LookUp("flow", ("bad", "a", ".gaia:x", "t/")))
    wait_until(lambda: len(desk.arrived) == 2, "both arrivals")
    assert desk.arrived == {"a": ["a"], "t/": ["t/b"]}


@pytest.mark.parametrize("path", ["flow/a", "flow/t/"])
def test_a_store_that_fails_is_asked_again(errands: Errands, store: Moody, desk: Desk, path: str) -> None:
    """A store that stayed away for a while leaves no Step waiting."""
    store.moods[path] = 3
    errands.ask(LookUp("flow", ("a", "t/")))
    wait_until(lambda: len(desk.arrived) == 2, "both arrivals")


def test_a_full_queue_loses_no_arrival(errands: Errands, desk: Desk) -> None:
    """What the coordinator has no room for is brought again."""
    desk.full = 2
    errands.ask(LookUp("flow", ("a",)))
    wait_until(lambda: desk.arrived, "an arrival")


def test_asking_again_is_bounded(errands: Errands, store: Moody) -> None:
    """A Key that the store never tells about is given up."""
    store.moods["flow/bad"] = 10**6
    errands.ask(LookUp("flow", ("bad",)))
    wait_until(lambda: len(store.asked) == module.LOOKS_MAX, "the last try")
    errands.ask(LookUp("flow", ("a",)))
    wait_until(lambda: store.asked[-1] == "flow/a", "the next question")
    assert store.asked.count("flow/bad") == module.LOOKS_MAX
