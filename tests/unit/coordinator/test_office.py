"""A server stands by until it is elected, leads until it is deposed, and makes way when its term ends by itself."""

import threading
from collections.abc import Callable, Iterator

import pytest

from gaia_core.backends.inprocess import InProcessBus
from gaia_core.backends.memory import MemoryEventLog, MemoryEvents, MemoryJournal, MemoryLog
from gaia_core.backends.memory_store import MemoryStore
from gaia_core.coordinator import office as module
from gaia_core.coordinator.desk import Desk
from gaia_core.coordinator.office import Backing, Office
from gaia_core.coordinator.reign import Duties
from gaia_core.errors import GaiaError, NotLeading, Unavailable
from gaia_core.machine import requests as rq
from gaia_core.workflow.validate import Rules
from tests.support.waiting import wait_until
from tests.unit.coordinator.shard import Time


class Ballot:
    """An election that the test decides."""

    def __init__(self) -> None:
        self.candidates: list[tuple[Callable[[], None], Callable[[], None]]] = []
        self.stood = 0

    def open(self) -> "Ballot":
        return self

    def stand(self, elected: Callable[[], None], deposed: Callable[[], None]) -> None:
        self.stood += 1
        self.candidates.append((elected, deposed))

    def close(self) -> None:
        self.candidates.clear()

    def elect(self) -> None:
        self.candidates[-1][0]()

    def depose(self) -> None:
        self.candidates[-1][1]()


class Journal(MemoryJournal):
    """A journal that takes nothing more when told so."""

    broken = False

    def append(self, records):  # type: ignore[no-untyped-def]
        if Journal.broken:
            raise Unavailable("the disk is full")
        return super().append(records)


class House:
    """One server's office with all it needs, in a thread of its own."""

    def __init__(self, ballot: Ballot | None, opens_events: Callable[[], None] = lambda: None) -> None:
        self.opens_events = opens_events
        self.log, self.events = MemoryLog(), MemoryEvents()
        self.desk = Desk()
        self.roles: list[str] = []
        self.failure: GaiaError | None = None
        backing = Backing(
            open_journal=lambda: Journal(self.log),
            open_bus=lambda: InProcessBus(first_offset=100),
            open_event_log=self._open_event_log,
            open_election=ballot.open if ballot is not None else None,
            store=MemoryStore(),
            own_bucket="own",
            buckets=None,
        )
        self.office = Office(backing, self.desk, Duties(30.0, 0.0, True, Rules()), Time().clock(), "me:1")
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _open_event_log(self) -> MemoryEventLog:
        self.opens_events()
        return MemoryEventLog(self.events)

    def _run(self) -> None:
        try:
            self.office.hold(self.roles.append)
        except GaiaError as error:
            self.failure = error

    def await_roles(self, *roles: str) -> None:
        wait_until(lambda: self.roles == list(roles), f"roles {roles}", evidence=lambda: str(self.roles))

    def leave(self) -> None:
        self.office.leave()
        self.thread.join(10)
        assert not self.thread.is_alive()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STAND_AGAIN_S", 0.0)
    monkeypatch.setattr(Journal, "broken", False)


@pytest.fixture
def ballot() -> Ballot:
    return Ballot()


@pytest.fixture
def house(ballot: Ballot) -> Iterator[House]:
    """A server that stands for election."""
    made = House(ballot)
    made.await_roles("standby")
    yield made
    made.leave()


def create(house: House, name: str) -> None:
    house.desk.submit(rq.Upload(name, {}, (), ())).result(10)


def names(house: House) -> list[str]:
    return [line.name for line in house.desk.submit(rq.ListWorkflows()).result(10)]


def test_who_is_elected_leads_and_who_is_deposed_stands_by(house: House, ballot: Ballot) -> None:
    """Each time from the journal: what the leader did is known afterwards."""
    with pytest.raises(NotLeading):
        create(house, "one")
    ballot.elect()
    house.await_roles("standby", "leader")
    create(house, "one")
    ballot.depose()
    house.await_roles("standby", "leader", "standby")
    wait_until(lambda: names(house) == ["one"], "the workflow is followed")
    with pytest.raises(NotLeading) as refusal:
        create(house, "two")
    assert refusal.value.leader == "me:1"


def test_a_term_that_ends_by_itself_makes_way(house: House, ballot: Ballot) -> None:
    """The server leaves the election, so that others have a chance, and stands again."""
    ballot.elect()
    house.await_roles("standby", "leader")
    Journal.broken = True
    with pytest.raises(Unavailable):
        create(house, "lost")
    Journal.broken = False
    house.await_roles("standby", "leader", "standby")
    assert ballot.stood == 2
    ballot.elect()
    house.await_roles("standby", "leader", "standby", "leader")
    create(house, "kept")
    assert names(house) == ["kept"]


def test_where_nobody_else_can_lead_the_end_of_the_term_is_the_servers() -> None:
    """Embedded: it says why and stops."""
    house = House(None)
    house.await_roles("leader")
    Journal.broken = True
    with pytest.raises(Unavailable):
        create(house, "lost")
    house.thread.join(10)
    assert house.failure is not None
    assert "the disk is full" in house.failure.message


def test_what_is_asked_of_a_term_that_cannot_begin_is_refused(ballot: Ballot) -> None:
    """While the journal is replayed requests wait; they do not wait for ever."""
    asked, may_fail = threading.Event(), threading.Event()

    def refuse() -> None:
        asked.set()
        may_fail.wait(10)
        raise Unavailable("Kafka does not answer")

    house = House(ballot, refuse)
    house.await_roles("standby")
    ballot.elect()
    assert asked.wait(10)
    answer = house.desk.submit(rq.ListWorkflows())
    assert not answer.done()
    may_fail.set()
    with pytest.raises(Unavailable):
        answer.result(10)
    house.leave()
