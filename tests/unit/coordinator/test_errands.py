"""What the machine wants of the store is done: Keys looked up, files deleted; and tried again where it fails."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from gaia_core.coordinator import errands as module
from gaia_core.coordinator.errands import Errands
from gaia_core.errors import Overloaded, Unavailable
from gaia_core.machine.effects import DeleteData, LookUp
from gaia_core.machine.requests import Arrive, DataGone, MayWrite, Request
from tests.support.waiting import wait_until
from tests.unit.coordinator.stores import NotingStore


class Desk:
    """Takes what arrives, unless it is full, and hears of what is deleted.

    Attributes:
        writers: how often it will still say that attempts may write.
    """

    def __init__(self) -> None:
        self.arrived: dict[str, list[str]] = {}
        self.gone: list[int] = []
        self.full = 0
        self.writers = 0

    def submit(self, request: Request) -> "Future[Any]":
        if self.full:
            self.full -= 1
            raise Overloaded("full")
        answer: Future[Any] = Future()
        match request:
            case Arrive():
                assert request.instead_of == (None,) * len(request.keys)
                for one in request.keys:
                    self.arrived[one.key] = [file.key for file in one.files]
            case MayWrite():
                answer.set_result(self.writers > 0)
                self.writers = max(0, self.writers - 1)
            case DataGone():
                self.gone.append(request.uid)
        return answer


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> NotingStore:
    """A store with two files, that is asked again at once."""
    monkeypatch.setattr(module, "AGAIN_FIRST_S", 0.0)
    monkeypatch.setattr(module, "CONFIRM_S", 0.0)
    store = NotingStore()
    store.drop("a")
    store.drop("t/b")
    return store


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def errands(store: NotingStore, desk: Desk) -> Iterator[Errands]:
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


def test_a_key_that_the_store_refuses_hides_no_other(errands: Errands, store: NotingStore, desk: Desk) -> None:
    """What else was asked for arrives all the same."""
    store.moods["flow/bad"] = 10**6
    errands.ask(LookUp("flow", ("bad", "a", ".gaia:x", "t/")))
    wait_until(lambda: len(desk.arrived) == 2, "both arrivals")
    assert desk.arrived == {"a": ["a"], "t/": ["t/b"]}


@pytest.mark.parametrize("path", ["flow/a", "flow/t/"])
def test_a_store_that_fails_is_asked_again(errands: Errands, store: NotingStore, desk: Desk, path: str) -> None:
    """A store that stayed away for a while leaves no Step waiting."""
    store.moods[path] = 3
    errands.ask(LookUp("flow", ("a", "t/")))
    wait_until(lambda: len(desk.arrived) == 2, "both arrivals")


def test_a_full_queue_loses_no_arrival(errands: Errands, desk: Desk) -> None:
    """What the coordinator has no room for is brought again."""
    desk.full = 2
    errands.ask(LookUp("flow", ("a",)))
    wait_until(lambda: desk.arrived, "an arrival")


def test_asking_again_is_bounded(errands: Errands, store: NotingStore) -> None:
    """A Key that the store never tells about is given up."""
    store.moods["flow/bad"] = 10**6
    errands.ask(LookUp("flow", ("bad",)))
    wait_until(lambda: len(store.asked) == module.LOOKS_MAX, "the last try")
    errands.ask(LookUp("flow", ("a",)))
    wait_until(lambda: store.asked[-1] == ("stat", "flow/a"), "the next question")
    assert store.asked.count(("stat", "flow/bad")) == module.LOOKS_MAX


def test_many_keys_of_a_folder_are_looked_up_by_one_list(errands: Errands, store: NotingStore, desk: Desk) -> None:
    """An upload with thousands of Keys in one folder does not cost as many requests."""
    for number in range(100):
        store.drop(f"in/{number}")
    errands.ask(LookUp("flow", tuple(f"in/{number}" for number in range(200))))
    wait_until(lambda: len(desk.arrived) == 100, "all arrivals")
    assert store.asked == [("list", "flow/in/")]


def test_all_versions_of_a_deleted_workflow_go(errands: Errands, store: NotingStore, desk: Desk) -> None:
    """Every version of its files and manifests is deleted, and only then it is said; others keep theirs."""
    for _ in range(3):
        store.drop("a")
        store.put_bytes(None, ".gaia/manifests/flow/7/1-1-1", b"m")
    others = [
        ("flow2/a", b"2"),
        ("flo", b"3"),
        (".gaia/manifests/flow/70/1-1-1", b"4"),
        (".gaia/manifests/f/7/1", b"5"),
    ]
    for path, data in others:
        store.put_bytes(None, path, data)
    errands.ask(DeleteData(7, "flow"))
    wait_until(lambda: desk.gone == [7], "the end is told")
    left = [one.path for one in store.list(None, "", 100)]
    assert left == sorted(path for path, _ in others)


def test_a_deletion_that_fails_is_tried_again(errands: Errands, store: NotingStore, desk: Desk) -> None:
    """Nothing is said before all is gone, however often the store or the coordinator fail."""
    store.moods = {"flow/": 3, ".gaia/manifests/flow/7/": 2}
    desk.full = 2
    errands.ask(DeleteData(7, "flow"))
    wait_until(lambda: desk.gone, "the end is told")
    assert desk.gone == [7]
    assert store.list(None, "", 100) == []


def test_a_deletion_that_fails_for_months_goes_on(errands: Errands, store: NotingStore, desk: Desk) -> None:
    """The number of tries has no bound, and neither their pause nor the thread breaks over it."""
    store.moods = {"flow/": 2_000}
    errands.ask(DeleteData(7, "flow"))
    wait_until(lambda: desk.gone == [7], "the end is told")


def test_while_attempts_may_write_a_deletion_is_not_over(errands: Errands, store: NotingStore, desk: Desk) -> None:
    """What an attempt that is being stopped uploads behind a deletion is deleted, too."""
    desk.writers = 3
    seen: list[int] = []

    def submit(request: Request) -> "Future[Any]":
        if isinstance(request, MayWrite):
            if 0 not in seen:
                store.drop(f"late/{desk.writers}")
            seen.append(desk.writers)
        return desk.submit(request)

    errands._submit = submit
    errands.ask(DeleteData(7, "flow"))
    wait_until(lambda: desk.gone == [7], "the end is told")
    assert seen[:4] == [3, 2, 1, 0]
    assert store.list(None, "flow/", 100) == []


@pytest.mark.parametrize(("answered", "left"), [(1, 2), (2, 1)])
def test_who_no_longer_leads_deletes_nothing_more(
    store: NotingStore, desk: Desk, monkeypatch: pytest.MonkeyPatch, answered: int, left: int
) -> None:
    """Also in the middle of a deletion: the name may be free behind its back, and the files another workflow's."""
    monkeypatch.setattr(module, "DELETED_AT_ONCE_MAX", 1)
    asked: list[Request] = []

    def submit(request: Request) -> "Future[Any]":
        asked.append(request)
        if len(asked) > answered:
            raise Unavailable("Another leader wrote.")
        return desk.submit(request)

    errands = Errands(store, submit)
    thread = threading.Thread(target=errands.run)
    thread.start()
    errands.ask(DeleteData(7, "flow"))
    wait_until(lambda: len(asked) > 3, "it was asked again")
    errands.stop()
    thread.join(10)
    assert len(store.list(None, "flow/", 100)) == left


def test_a_long_deletion_lets_others_have_their_turn(
    monkeypatch: pytest.MonkeyPatch, store: NotingStore, desk: Desk
) -> None:
    """Between its portions Keys are looked up."""
    monkeypatch.setattr(module, "DELETED_AT_ONCE_MAX", 10)
    for number in range(100):
        store.drop(f"gone/{number}", workflow="big")
    errands = Errands(store, desk.submit)
    errands.ask(DeleteData(7, "big"))
    errands.ask(LookUp("flow", ("a",)))
    thread = threading.Thread(target=errands.run)
    thread.start()
    wait_until(lambda: desk.gone == [7], "the end is told")
    errands.stop()
    thread.join(10)
    assert store.asked[0] == ("delete_all", "big/")
    assert store.asked[1] == ("stat", "flow/a")


class Endless(NotingStore):
    """A store in which a deletion never comes to its end."""

    def delete_all(self, bucket: str | None, prefix: str, most: int, sure: Callable[[], object] = bool) -> int:
        self.asked.append(("delete_all", prefix))
        return 1


def test_who_stops_does_not_wait_for_a_deletion(desk: Desk) -> None:
    """A server that goes down leaves the rest to the next one."""
    store = Endless()
    errands = Errands(store, desk.submit)
    errands.ask(DeleteData(7, "flow"))
    thread = threading.Thread(target=errands.run)
    thread.start()
    wait_until(lambda: store.asked, "it has begun")
    errands.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert desk.gone == []
