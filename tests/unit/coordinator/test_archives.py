"""Archived workflows over a real loop and publisher: put aside, read, brought back, whatever the store does."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest

from gaia_core.backends.inprocess import InProcessBus
from gaia_core.backends.memory import MemoryEventLog, MemoryEvents, MemoryJournal, MemoryLog
from gaia_core.coordinator import archives as module
from gaia_core.coordinator import encoding
from gaia_core.coordinator.archives import Archives
from gaia_core.coordinator.intake import Submission
from gaia_core.coordinator.loop import Clock
from gaia_core.coordinator.reign import Duties, Reign
from gaia_core.coordinator.standby import Standby
from gaia_core.coordinator.sweeping import Sweeper
from gaia_core.errors import GaiaError, StoreError, TooLarge, Unavailable, UnknownName
from gaia_core.machine import requests as rq
from gaia_core.machine.archived import Archived
from gaia_core.machine.effects import Archive, DropArchive
from gaia_core.machine.public import Announcement, Announcer
from gaia_core.machine.reports import Completed
from gaia_core.ports import Store, Stored
from gaia_core.workflow.marks import attempt_mark
from gaia_core.workflow.model import Fence, FileVersion, Publication
from gaia_core.workflow.validate import Rules
from tests.support.waiting import wait_until
from tests.unit.coordinator.shard import Hand
from tests.unit.coordinator.stores import NotingStore
from tests.unit.machine.archiving import Attic
from tests.unit.machine.deployment import COMMANDS, copy, make, published

WAIT_S = 30.0
PATH = ".gaia/test/archive/1"


class House:
    """One leader after the other on the same journal and store; finished workflows leave memory at once."""

    def __init__(self, store: Store, retention_s: float = 0.001) -> None:
        self.store = store
        self.log, self.events = MemoryLog(), MemoryEvents()
        self.rules = Rules(retention_s=retention_s)
        self.ends: list[GaiaError] = []
        self.now_ms = 1_000_000
        self.open()

    def open(self) -> None:
        """Take office."""
        self.bus = InProcessBus()
        duties = Duties(30.0, 0.0, True, self.rules, deployment="test")
        clock = Clock(lambda: self.now_ms, lambda: self.now_ms / 1000)
        journal = MemoryJournal(self.log)
        self.reign = Reign(
            journal, self.bus, lambda: MemoryEventLog(self.events), self.store, clock, duties, self.ends.append
        )
        self.reign.open("here:1", "test")
        self.hand = Hand(self, "w")  # type: ignore[arg-type] - it only asks for the bus
        self.hand.hello()

    def close(self) -> None:
        """Leave office."""
        self.reign.close()
        self.bus.close()
        assert not self.ends

    def ask(self, request: rq.Request) -> Any:
        """Ask, and wait for the answer."""
        return self.reign.submit(request).result(WAIT_S)

    def finish(self, name: str = "flow") -> None:
        """Run a workflow to its end."""
        self.ask(rq.Upload(name, {}, COMMANDS, (make("a", "x"),)))
        self.complete("a")
        wait_until(lambda: self.line(name).state == "complete", "completion")

    def complete(self, step: str) -> None:
        """Let a Step that is dispatched complete."""
        before = len(self.hand.orders)
        wait_until(lambda: bool(self.hand.read()) or len(self.hand.orders) > before, "an order")
        self.hand.complete(step)

    def line(self, name: str = "flow") -> Any:
        """Return a workflow's line in the list."""
        return next(line for line in self.ask(rq.ListWorkflows()) if line.name == name)

    def retire(self, name: str = "flow") -> None:
        """Let time pass until a workflow has left memory."""
        self.now_ms += 61_000
        wait_until(lambda: self.line(name).archived, "leaving memory")


@pytest.fixture
def store() -> NotingStore:
    return NotingStore()


@pytest.fixture
def house(store: NotingStore) -> Iterator[House]:
    made = House(store)
    yield made
    made.close()


def test_a_workflow_comes_and_goes(house: House, store: NotingStore) -> None:
    """It leaves memory, is read where it lies, comes back changed, and leaves again; one object is left of it."""
    house.finish()
    house.retire()
    assert house.ask(rq.GetStatus("flow")).steps["complete"] == 1
    assert house.line().archived
    house.ask(rq.Merge("flow", (copy("b", "x", "y"),)))
    assert not house.line().archived
    house.complete("b")
    wait_until(lambda: house.line().steps["complete"] == 2, "completion")
    house.retire()
    wait_until(lambda: len(list(store.list_versions(None, PATH))) == 1, "the object before to be dropped")
    wait_until(lambda: len(house.events.events) > 6, "all events to be published")
    assert sorted(number for _, number in house.events.events) == list(range(1, len(house.events.events) + 1))


def test_a_leader_after_another_knows_what_is_archived(house: House) -> None:
    """A replay of the journal leads to the same archived workflows, and brings back those that came back."""
    house.finish()
    house.finish("other")
    house.retire()
    house.retire("other")
    house.ask(rq.Halt("other"))
    house.close()
    house.open()
    assert {line.name: line.archived for line in house.ask(rq.ListWorkflows())} == {"flow": True, "other": False}
    house.ask(rq.Expire("flow", ("a",)))
    house.complete("a")
    wait_until(lambda: house.line().state == "complete", "completion")


def test_requests_at_once_bring_it_back_once(house: House) -> None:
    """Whoever comes second finds it there; refusals are told as ever."""
    house.finish()
    house.retire()
    ids = [rq.RequestId(str(number), b"") for number in range(4)]
    answers = [house.reign.submit(rq.Merge("flow", (make(f"s{one.id}", f"o{one.id}"),), one)) for one in ids]
    refused = house.reign.submit(rq.Remove("flow", ("nothing",)))
    assert [answer.result(WAIT_S).added for answer in answers] == [["s0"], ["s1"], ["s2"], ["s3"]]
    assert isinstance(refused.exception(WAIT_S), UnknownName)


def test_a_refused_question_about_it_is_refused_as_ever(house: House) -> None:
    """Asking for a Step that it does not have is an error of who asks."""
    house.finish()
    house.retire()
    with pytest.raises(UnknownName):
        house.ask(rq.Explain("flow", "nothing"))


def test_what_was_seen_in_passing_brings_nothing_back(house: House) -> None:
    """A look into the store that ends late changes nothing; what somebody puts does."""
    house.finish()
    house.retire()
    seen = published("k", "v")
    assert house.ask(rq.Arrive("flow", (seen,), (None,))) is None
    assert house.line().archived
    house.ask(rq.Arrive("flow", (seen,)))
    assert not house.line().archived


def test_a_deleted_one_leaves_no_object(house: House, store: NotingStore) -> None:
    """The object goes with the workflow, and the name is free."""
    house.finish()
    house.retire()
    house.ask(rq.Delete("flow"))
    wait_until(lambda: not list(store.list_versions(None, PATH)), "the object to be dropped")
    house.finish()


def test_it_stays_in_memory_while_the_store_is_away(
    house: House, store: NotingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be put aside is tried again, and what cannot be read is told as such."""
    monkeypatch.setattr(module, "AGAIN_S", 0.01)
    puts = iter(range(2))

    def put_bytes(*_: object) -> Stored:
        for _ in puts:
            raise StoreError("not today")
        monkeypatch.undo()
        return store.put_bytes(None, PATH, _[2])  # type: ignore[arg-type]

    house.finish()
    monkeypatch.setattr(store, "put_bytes", put_bytes)
    house.retire()
    (lying,) = store.list_versions(None, PATH)
    store.delete_version(None, PATH, lying.version)
    for request in (rq.GetStatus("flow"), rq.Halt("flow")):
        with pytest.raises(Unavailable, match="'flow' cannot be read"):
            house.ask(request)


def test_a_damaged_object_is_noticed(house: House, store: NotingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not what was written answers nothing, and is nothing that a workflow leaves memory for."""
    house.finish()
    opened = store.open
    with monkeypatch.context() as patch:
        patch.setattr(store, "open", lambda *place: iter([*opened(*place), b"more"]))
        house.now_ms += 61_000
        wait_until(lambda: bool(list(store.list_versions(None, PATH))), "a try")
        assert not house.line().archived
    monkeypatch.setattr(module, "AGAIN_S", 0.01)


def test_large_workflows_are_encoded_slice_by_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    """What happens meanwhile is followed in between; a workflow that changes then is given up."""
    monkeypatch.setattr(encoding, "SLICE_S", -1.0)
    attic = Attic()
    attic.join()
    attic.upload(make("a", "x"))
    attic.run_all()
    waiting: list[Callable[[Announcer], None]] = []
    wanted = Archive(1, attic.flow().updated_ms)
    whole, given_up = encoding.Encoding(wanted, waiting.append), encoding.Encoding(wanted, waiting.append)
    waiting.pop(0)(attic.announcer)
    first = waiting.pop(0)
    while waiting and not whole.outcome.done():
        waiting.pop(0)(attic.announcer)
    encoded = whole.outcome.result(0)
    assert encoded is not None
    assert encoded.sequence == attic.announcer.sequences[1]
    attic.now_ms += 1
    attic.arrive("k")
    first(attic.announcer)
    assert given_up.outcome.result(0) is None


class Attempts:
    """An Archives that the test drives, over one archived workflow."""

    def __init__(self, store: Store, submit: Any = None, encode: Any = None) -> None:
        self.attic = Attic()
        self.attic.join()
        self.attic.upload(make("a", "x"))
        self.attic.run_all()
        self.store = store
        self.archives = Archives(store, "test", submit=submit, encode=encode)
        self.thread = threading.Thread(target=self.archives.run)

    def archived(self) -> Archived:
        said = self.attic.encode(1)
        data = self.attic.objects[said.file.key][said.file.version]
        stored = self.store.put_bytes(None, PATH, data)
        self.attic.ask(said)
        file = FileVersion(PATH, stored.version, len(data), said.file.sha256)
        return self.attic.state.archived["flow"]._replace(file=file)

    def __enter__(self) -> "Attempts":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.archives.stop()
        self.archives.stop()
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive()


def test_archives_read_lately_are_kept(store: NotingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next question about a workflow reads nothing; of many, or large ones, few are kept."""
    reads: list[object] = []
    opened = store.open
    monkeypatch.setattr(store, "open", lambda *place: reads.append(place) or opened(*place))
    with Attempts(store) as rig:
        first = rig.archived()
        other = first._replace(file=replace(first.file, size_bytes=first.file.size_bytes + 1))

        def read(archived: Archived) -> None:
            submission = Submission(rq.GetStatus("flow"))
            rig.archives.answer(submission, archived)
            assert submission.answer.result(WAIT_S).state == "complete"

        read(first)
        read(first)
        assert len(reads) == 1
        read(other)
        read(first)
        assert len(reads) == 2
        monkeypatch.setattr(module, "READY_BYTES_MAX", 0)
        read(first)
        read(other)
        read(first)
        assert len(reads) == 4


def test_too_many_questions_are_refused(store: NotingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits is bounded, and all of it is refused at the end."""
    monkeypatch.setattr(module, "WAITING_MAX", 1)
    rig = Attempts(store)
    archived = rig.archived()
    submissions = [Submission(rq.GetStatus("flow")) for _ in range(3)]
    for submission in submissions[:2]:
        rig.archives.answer(submission, archived)
    rig.archives.stop()
    rig.archives.answer(submissions[2], archived)
    kinds = [type(submission.answer.exception(0)) for submission in submissions]
    assert kinds == [Unavailable, TooLarge, Unavailable]


def test_nobody_is_waited_for_at_the_end(store: NotingStore) -> None:
    """A coordinator, or publisher, that does not answer any more holds nothing up."""
    asked = threading.Event()

    def never(_: object) -> "Future[Any]":
        asked.set()
        return Future()

    with Attempts(store, submit=never, encode=never) as rig:
        rig.archives.ask(Archive(1, 0))
        assert asked.wait(WAIT_S)


def test_a_standby_reads_archives(house: House, store: NotingStore) -> None:
    """Who only follows answers what only reads, also about workflows that have left memory."""
    house.finish()
    house.retire()
    standby = Standby(MemoryJournal(house.log), None, Archives(store, "test"))
    standby.follow()
    thread = threading.Thread(target=standby.run)
    thread.start()
    assert standby.submit(rq.GetStatus("flow")).result(WAIT_S).state == "complete"
    standby.stop()
    thread.join(WAIT_S)
    assert not thread.is_alive()
    alone = Standby(MemoryJournal(house.log))
    alone.follow()
    with pytest.raises(Unavailable, match="archived"):
        alone.submit(rq.GetStatus("flow"))


def test_watchers_of_an_archived_workflow_hear_how_it_stands(house: House) -> None:
    """Its state is told at once, its old events are gone; what happens once it is back reaches who watched."""
    house.finish()
    house.retire()
    hub = house.reign.watchers
    woken = threading.Event()
    watcher = hub.watch(house.ask(rq.GetUid("flow")), 0, woken.set)
    wait_until(lambda: hub.updates(watcher)[-1].state == "complete", "an update")
    assert hub.read(watcher, 10) == []
    house.ask(rq.Expire("flow", ("a",)))
    assert woken.wait(WAIT_S)
    found: list[Announcement] = []
    wait_until(lambda: found.extend(hub.read(watcher, 10)) or bool(found), "an event")
    assert found[0].sequence > watcher.latest > 0
    hub.leave(watcher)


def test_a_file_of_an_archived_workflow_is_found(house: House) -> None:
    """What was published is listed as before."""
    house.finish()
    before = house.ask(rq.GetFiles("flow", "", is_prefix=True))
    house.retire()
    assert house.ask(rq.GetFiles("flow", "", is_prefix=True)) == before
    assert isinstance(before[0], Publication)


def test_dropping_what_is_gone_is_fine(store: NotingStore) -> None:
    """An object that is no more needs no dropping."""
    with Attempts(store) as rig:
        archived = rig.archived()
        for _ in range(2):
            rig.archives.ask(DropArchive(archived.file))
        wait_until(lambda: not list(store.list_versions(None, PATH)), "the object to be dropped")


def test_what_an_archived_workflow_refers_to_is_not_collected(house: House, store: NotingStore) -> None:
    """The sweeper asks where it lies; its files and its object stay, their history and lost objects go."""
    mark = attempt_mark("test", Fence(1, 0, 1))
    house.ask(rq.Upload("flow", {}, COMMANDS, (make("a", "x"),)))
    old, new = (store.put_bytes(None, "flow/x", data, mark) for data in (b"old", b"new"))
    wait_until(lambda: bool(house.hand.read()), "an order")
    file = FileVersion("x", new.version, 3, b"")
    house.hand.say(Completed(house.hand.fences()["a"], (Publication("x", (file,)),), 1))
    wait_until(lambda: house.line().state == "complete", "completion")
    lost = [
        store.put_bytes(None, path, b"lost") for path in (PATH, ".gaia/test/archive/99", ".gaia/test/snapshots/0/1")
    ]
    house.retire()
    counting = house.reign._loop.term.state.archived["flow"].file.version
    day_ms = 25 * 3600 * 1000
    sweeper = Sweeper(store, house.reign.submit, "test", 1.0, 0.0, lambda: time.time_ns() // 10**6 + day_ms)
    assert sweeper.sweep() == 3
    left = {one.version for one in store.list_versions(None, "")}
    assert left == {new.version, counting, lost[2].version}
    assert old.version not in left
    young = Sweeper(store, house.reign.submit, "test", 1.0, 0.0, lambda: time.time_ns() // 10**6 + 1000)
    store.put_bytes(None, PATH, b"about to count")
    assert young.sweep() == 0
