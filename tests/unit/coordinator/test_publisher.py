"""Public events: each once, in order, without a gap, whatever fails."""

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence

import pytest

from gaia.v1 import events_pb2
from gaia_core.backends.memory import MemoryEventLog, MemoryEvents, MemoryJournal
from gaia_core.coordinator import publisher as module
from gaia_core.coordinator.publisher import Publisher
from gaia_core.coordinator.watching import WatchHub
from gaia_core.errors import JournalCorrupt, Unavailable
from gaia_core.machine import requests as rq
from gaia_core.ports import EventLog, EventRecord, Position
from tests.support.waiting import wait_until
from tests.unit.coordinator.shard import Hand, Shard, accepted
from tests.unit.machine.deployment import copy, make


class Flaky:
    """An event log that fails when told to, before or after it wrote."""

    def __init__(self, shared: MemoryEvents, plan: list[str]) -> None:
        self._log = MemoryEventLog(shared)
        self._plan = plan
        self.close = self._log.close

    def _step(self, what: str) -> bool:
        if self._plan and self._plan[0].startswith(what):
            return self._plan.pop(0).endswith("before")
        return False

    def position(self) -> Position:
        if self._step("position"):
            raise Unavailable("no position")
        return self._log.position()

    def publish(self, events: Sequence[EventRecord], position: Position) -> None:
        planned = bool(self._plan) and self._plan[0].startswith("publish")
        if self._step("publish"):
            raise Unavailable("nothing was written")
        self._log.publish(events, position)
        if planned:
            raise Unavailable("nobody knows")


@pytest.fixture
def shard() -> Shard:
    """A shard with some history."""
    shard = Shard().open()
    hand = Hand(shard)
    hand.hello()
    shard.settle()
    shard.upload(make("a", "a"), copy("b", "a", "b"), name="one")
    shard.upload(make("a", "a"), name="two")
    hand.read()
    hand.complete("a")
    shard.settle()
    return shard


@pytest.fixture
def events() -> MemoryEvents:
    return MemoryEvents()


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.0)


def publisher(shard: Shard, events: MemoryEvents, plan: Sequence[str] = ()) -> Publisher:
    left = list(plan)
    opened: Callable[[], EventLog] = lambda: Flaky(events, left)  # noqa: E731
    return Publisher(MemoryJournal(shard.log), opened, WatchHub())


def publish_all(made: Publisher) -> None:
    """Publish what there is, and stop."""
    thread = threading.Thread(target=made.run)
    thread.start()
    wait_until(lambda: not made._pending and not made._entries, "everything to be published")
    made.stop()
    thread.join(10)
    assert not thread.is_alive()


def told(events: MemoryEvents) -> dict[str, list[str]]:
    """Return the kinds of each workflow's events, having checked order, numbers and content."""
    kinds: dict[str, list[str]] = defaultdict(list)
    for record in MemoryEventLog(events).read():
        kinds[record.workflow].append(record.kind)
        assert record.sequence == len(kinds[record.workflow])
        event = events_pb2.Event.FromString(record.value)
        assert (event.workflow, event.workflow_uid, event.sequence) == record[:3]
        assert event.WhichOneof("event") == record.kind
        assert record.subject == getattr(getattr(event, record.kind), "step", "")
    return kinds


ALL = {
    "one": ["workflow_changed", "workflow_changed", "workflow_changed"],
    "two": ["workflow_changed", "workflow_changed", "workflow_changed", "step_completed", "workflow_changed"],
}


def test_everything_is_published_once_with_its_position(shard: Shard, events: MemoryEvents) -> None:
    """Every event is out, in order, and the position is that of the last entry that announced something."""
    made = publisher(shard, events)
    made.open()
    publish_all(made)
    assert told(events) == ALL
    assert events.position == made.published
    assert made.published.entry_offset == accepted(shard.log)[-1][0]


@pytest.mark.parametrize("failure", ["publish before", "publish after"])
@pytest.mark.parametrize("then", [[], ["position before"], ["publish before"], ["publish after", "position before"]])
def test_a_failed_publish_leaves_no_gap_and_no_double(
    shard: Shard, events: MemoryEvents, failure: str, then: list[str]
) -> None:
    """The outcome is unknown: a new log knows the position, and what it lacks is published again."""
    made = publisher(shard, events, [failure, *then])
    made.open()
    publish_all(made)
    assert told(events) == ALL


@pytest.mark.parametrize("most", [1, 2, 5])
def test_a_large_entry_takes_several_publishes(
    shard: Shard, events: MemoryEvents, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """A publish holds so many events and no more; a position may lie inside an entry; nothing is lost or doubled."""
    monkeypatch.setattr(module, "EVENTS_PER_PUBLISH_MAX", most)
    made = publisher(shard, events, ["publish after"])
    made.open()
    publish_all(made)
    assert told(events) == ALL


def test_a_new_publisher_goes_on_where_the_old_one_ended(shard: Shard, events: MemoryEvents) -> None:
    """After a restart nothing comes twice, and the numbers go on."""
    first = publisher(shard, events)
    first.open()
    publish_all(first)
    before = events.position
    shard.ask(rq.Halt("one"))
    second = publisher(shard, events)
    second.open()
    publish_all(second)
    assert told(events) == {**ALL, "one": [*ALL["one"], "workflow_changed", "step_cancelled"]}
    assert events.position > before


def test_what_becomes_durable_later_is_fed(shard: Shard, events: MemoryEvents) -> None:
    """Entries that the loop hands over are published; those that were read from the journal are not repeated."""
    made = publisher(shard, events)
    made.open()
    for offset, entry in shard.followed:
        made.feed(offset, entry)
    count = len(shard.followed)
    shard.ask(rq.Halt("two"))
    for offset, entry in shard.followed[count:]:
        made.feed(offset, entry)
    publish_all(made)
    assert told(events) == {**ALL, "two": [*ALL["two"], "workflow_changed"]}


def test_what_another_leader_wrote_in_between_is_caught_up_with(shard: Shard, events: MemoryEvents) -> None:
    """Between the publisher's first look and the opening of the term others may write: nothing of that is missed."""
    made = publisher(shard, events)
    made.open()
    shard.ask(rq.Merge("two", (make("late", "late"),)))
    successor = shard.successor().open()
    made.catch_up()
    count = len(successor.followed)
    successor.ask(rq.Halt("two"))
    for offset, entry in successor.followed[count:]:
        made.feed(offset, entry)
    publish_all(made)
    assert told(events)["two"][len(ALL["two"]) :] == ["workflow_changed", "workflow_changed", "step_cancelled"]


def test_strays_are_not_announced(shard: Shard, events: MemoryEvents) -> None:
    """What a deposed leader wrote after the next opening is void for the world too."""
    Shard(shard.log).open()
    answer = shard.loop.submit(rq.Halt("one"))
    with pytest.raises(Unavailable):
        shard.turn()
    assert answer.done()
    made = publisher(shard, events)
    made.open()
    publish_all(made)
    assert told(events) == ALL


def test_a_later_position_than_the_journals_end_is_refused(shard: Shard, events: MemoryEvents) -> None:
    """More was published than the journal holds: it was cut or exchanged, and the server must not start."""
    _, end = shard.log.bounds()
    events.position = Position(end)
    with pytest.raises(JournalCorrupt, match=f"up to journal offset {end}, but it ends at {end}"):
        publisher(shard, events).open()
    events.position = Position(end - 1)
    publisher(shard, events).open()


def test_an_event_log_that_does_not_answer_refuses_to_open(shard: Shard, events: MemoryEvents) -> None:
    """Without a position there is nothing to go on from."""
    with pytest.raises(Unavailable):
        publisher(shard, events, ["position before"]).open()


def test_a_publisher_that_is_stopped_while_its_log_fails_ends(shard: Shard, events: MemoryEvents) -> None:
    """What is not out then comes with the next start."""
    made = publisher(shard, events, ["publish before"] * 1_000)
    made.open()
    made.stop()
    thread = threading.Thread(target=made.run)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert told(events) == {}
    again = publisher(shard, events)
    again.open()
    publish_all(again)
    assert told(events) == ALL


def test_a_deposed_publisher_publishes_nothing_twice(shard: Shard, events: MemoryEvents) -> None:
    """Two publishers over one log shut each other out by turns and still tell each event once."""
    old, new = publisher(shard, events), publisher(shard, events)
    old.open()
    new.open()
    publish_all(new)
    publish_all(old)
    assert told(events) == ALL


def test_whoever_asks_is_told_when_watchers_know(shard: Shard, events: MemoryEvents) -> None:
    """What was fed before the question is followed and told by its answer, also while the event log is away."""
    hub = WatchHub()
    left = ["publish before", "position before", "position before"]
    made = Publisher(MemoryJournal(shard.log), lambda: Flaky(events, left), hub)
    made.open()
    told = hub.told
    shard.loop._followers = made.feed
    shard.ask(rq.Halt("one"))
    before = made.settled()
    assert not before.done()
    thread = threading.Thread(target=made.run)
    thread.start()
    before.result(10)
    assert hub.told > told
    made.settled().result(10)
    waiting = made.settled()
    waiting.cancel()
    made.stop()
    thread.join(10)
    assert made.settled().done()
    made.close()


def test_whoever_waits_for_a_publisher_that_never_ran_is_let_go(shard: Shard, events: MemoryEvents) -> None:
    """A reign that ends before its publisher had a state leaves no watcher waiting."""
    made = publisher(shard, events)
    made.claim()
    settled = made.settled()
    assert not settled.done()
    made.close()
    assert settled.done()
