"""Snapshots in the store, and everybody who begins from one: found, passed over when damaged, refused when wrong."""

import logging
from collections.abc import Sequence

import pytest

from gaia_core.backends.memory import MemoryEventLog, MemoryEvents, MemoryJournal, MemoryLog
from gaia_core.backends.memory_store import MemoryStore
from gaia_core.coordinator import taking
from gaia_core.coordinator.publisher import Publisher
from gaia_core.coordinator.recovery import begin
from gaia_core.coordinator.snapshots import Snapshots, snapshot_folder
from gaia_core.coordinator.standby import Standby
from gaia_core.coordinator.taking import Taken, take
from gaia_core.coordinator.term import Term
from gaia_core.coordinator.upkeep import Upkeep
from gaia_core.coordinator.watching import ALL, WatchHub
from gaia_core.errors import JournalCorrupt, NoLongerKept, SnapshotDamaged, Unavailable
from gaia_core.machine import requests as rq
from gaia_core.ports import Position, Stored
from gaia_core.wire.snapshot import digest
from tests.unit.coordinator.shard import Hand, Shard, accepted
from tests.unit.machine.deployment import copy, make

FOLDER = snapshot_folder("test")


class House:
    """A shard with work to do, its journal and its snapshots."""

    def __init__(self) -> None:
        self.shard = Shard().open()
        self.hand = Hand(self.shard)
        self.store = MemoryStore()
        self.snapshots = Snapshots(self.store, FOLDER)
        self.number = 0
        self.hand.hello()
        self.shard.settle()

    @property
    def journal(self) -> MemoryJournal:
        return MemoryJournal(self.shard.log)

    @property
    def end(self) -> int:
        return self.journal.bounds()[1]

    def work(self) -> None:
        """Run a small workflow half through."""
        self.number += 1
        self.shard.upload(make("a", "a"), copy("b", "a", "b"), name=f"flow-{self.number}")
        self.hand.read()
        self.hand.complete("a")
        self.shard.settle()

    def take(self, below: int | None = None) -> Taken:
        """Take a snapshot of all there is."""
        return take(self.journal, self.snapshots, self.end if below is None else below)

    def damage(self, offset: int) -> None:
        """Exchange a byte of a snapshot."""
        kept = next(one for one in self.snapshots.listed() if one.offset == offset)
        data = bytearray(b"".join(self.store.open(None, kept.stored.path, kept.stored.version)))
        data[len(data) // 2] ^= 1
        self.store.put_bytes(None, kept.stored.path, bytes(data))

    def successor(self) -> Term:
        """Take office anew from snapshots and journal."""
        term = Term(self.journal)
        term.open(1, "there:1", "test", self.snapshots)
        return term


@pytest.fixture
def house() -> House:
    """A shard with one workflow."""
    made = House()
    made.work()
    return made


def offsets(house: House) -> list[int]:
    return [kept.offset for kept in house.snapshots.listed()]


def test_a_leader_begins_from_the_newest_snapshot(house: House) -> None:
    """Snapshot and tail give the state that the whole journal gives, so the head may be cut."""
    house.take()
    house.work()
    taken = house.take()
    house.work()
    house.shard.log.cut(taken.offset + 1)
    assert digest(house.successor().state) == digest(house.shard.state)


def test_a_term_that_began_from_a_snapshot_goes_on_by_the_reader_rules(house: House) -> None:
    """Its entries name the opening and the predecessor that the snapshot tells of, so every reader accepts them."""
    house.take()
    term = house.successor()
    term.append([], 5, 0)
    assert accepted(house.shard.log)[-1][0] == house.end - 1


def test_an_entry_behind_the_snapshot_of_the_same_term_is_accepted(house: House) -> None:
    """The opening of the term lies before the snapshot, and is known from it."""
    taken = house.take()
    house.work()
    beginning = begin(house.journal, house.snapshots)
    assert (beginning.reader.opening, beginning.reader.last) == (house.shard.loop.term.number, taken.offset)


def test_a_snapshot_stays_below_what_is_published(house: House) -> None:
    """It stands behind the last accepted entry before that offset, so that a publisher can begin from it too."""
    offset = accepted(house.shard.log)[3][0]
    assert house.take(below=offset).offset == accepted(house.shard.log)[2][0]


def test_two_snapshots_are_kept(house: House) -> None:
    """The newest and the one before, which was found good by whoever took the newest."""
    first = house.take()
    house.work()
    second = house.take()
    house.work()
    third = house.take()
    assert [first.second_offset, second.second_offset, third.second_offset] == [-1, first.offset, second.offset]
    assert offsets(house) == [third.offset, second.offset]


def test_nothing_new_makes_no_snapshot(house: House) -> None:
    """What is there already is told, and nothing may be cut for it."""
    taken = house.take()
    assert house.take() == Taken(taken.offset, taken.size_bytes)
    assert House().take(below=0) == Taken(-1)


def test_a_damaged_snapshot_is_passed_over(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """The one before serves, with a warning; nothing behind it is dropped, since somebody else may count on that."""
    first = house.take()
    house.work()
    second = house.take()
    house.damage(second.offset)
    with caplog.at_level(logging.WARNING):
        assert digest(house.successor().state) == digest(house.shard.state)
    assert [record.message for record in caplog.records] == ["passed over a snapshot"]
    third = house.take()
    assert third.second_offset == first.offset
    assert offsets(house) == [third.offset, second.offset, first.offset]


def test_an_incomplete_snapshot_is_passed_over(house: House) -> None:
    """A store that holds only a part of one does not mislead anybody."""
    taken = house.take()
    kept = house.snapshots.listed()[0]
    data = b"".join(house.store.open(None, kept.stored.path, kept.stored.version))
    house.work()
    house.store.put_bytes(None, f"{FOLDER}{taken.offset + 1:020}", data[: len(data) // 2])
    house.store.put_bytes(None, f"{FOLDER}{taken.offset + 2:020}", data)
    house.store.put_bytes(None, f"{FOLDER}notes", b"not one of ours")
    beginning = begin(house.journal, house.snapshots)
    assert beginning.kept is not None
    assert beginning.kept.offset == taken.offset


def test_a_journal_that_ends_before_a_snapshot_is_refused(house: House) -> None:
    """A journal that was lost or exchanged must not be led on: what is in the snapshot would be lost."""
    house.take()
    with pytest.raises(JournalCorrupt, match=r"snapshot behind journal offset \d+, but the journal ends at 0"):
        Term(MemoryJournal()).open(1, "here", "test", house.snapshots)


def test_a_backup_whose_store_is_later_than_its_journal_is_good_without_the_later_snapshot(house: House) -> None:
    """As the refusal says: the snapshot before it and the copied journal give all that the copy knows."""
    house.take()
    house.work()
    copied, known = MemoryLog(), digest(house.shard.state)
    for record in house.shard.log.slice(*house.shard.log.bounds()):
        copied.write(record.value)
    house.work()
    house.take()
    with pytest.raises(JournalCorrupt) as refusal:
        Term(MemoryJournal(copied)).open(1, "here", "test", house.snapshots)
    assert "delete that snapshot" in refusal.value.hint
    later = house.snapshots.listed()[0].stored
    house.store.delete_all(None, later.path, 10)
    term = Term(MemoryJournal(copied))
    term.open(1, "here", "test", house.snapshots)
    assert digest(term.state) == known


def test_another_journal_is_refused(house: House) -> None:
    """An entry that is not the one that the snapshot knows shows that the journal was exchanged."""
    other = House()
    for _ in range(5):
        other.work()
    house.take()
    with pytest.raises(JournalCorrupt, match="is not the one that the snapshot behind it knows"):
        Term(other.journal).open(1, "here", "test", house.snapshots)


def test_a_journal_that_begins_behind_the_snapshots_is_refused(house: House) -> None:
    """A hole between what is known and what follows is named."""
    taken = house.take()
    house.work()
    house.shard.log.cut(house.end)
    with pytest.raises(JournalCorrupt, match=rf"begins at offset {house.end}, and the latest .* offset {taken.offset}"):
        house.successor()


def test_a_journal_that_was_cut_while_a_snapshot_was_read_is_tried_again(house: House) -> None:
    """Newer snapshots are there by then."""
    house.take()
    house.work()

    class Slow(Snapshots):
        def newest(self, below: int = 0):  # type: ignore[no-untyped-def]
            found = super().newest(below)
            house.take()
            house.work()
            house.shard.log.cut(house.take().offset + 1)
            return found

    with pytest.raises(Unavailable, match="cut while"):
        begin(house.journal, Slow(house.store, FOLDER))
    assert begin(house.journal, house.snapshots).kept is not None


def test_a_store_that_gives_back_something_else_is_noticed(house: House) -> None:
    """A snapshot counts only once it was read back; nothing is dropped for one that did not."""
    house.take()
    house.work()
    opened = house.store.open

    def forgetful(bucket: str | None, path: str, version: str):  # type: ignore[no-untyped-def]
        return opened(bucket, path, version) if path.endswith(f"{offsets(house)[-1]:020}") else iter([b""])

    house.store.open = forgetful  # type: ignore[method-assign]
    with pytest.raises(SnapshotDamaged, match="gave back another"):
        house.take()


# -- the publisher


def publisher(house: House, events: MemoryEvents, hub: WatchHub | None = None) -> Publisher:
    made = Publisher(house.journal, lambda: MemoryEventLog(events), hub or WatchHub())
    made.open(house.snapshots)
    return made


def publish_all(made: Publisher) -> None:
    made.stop()
    made.run()
    made.close()


def test_a_publisher_goes_on_from_a_snapshot(house: House) -> None:
    """Every event is published once, with the numbers that a replay of the whole journal gives."""
    whole, parts = MemoryEvents(), MemoryEvents()
    publish_all(publisher(house, parts))
    house.work()
    taken = house.take(below=parts.position.entry_offset)
    made = Publisher(house.journal, lambda: MemoryEventLog(whole), WatchHub())
    made.open()
    publish_all(made)
    house.shard.log.cut(taken.offset + 1)
    publish_all(publisher(house, parts))
    assert parts.events == whole.events
    assert parts.position == whole.position


def test_a_snapshot_behind_the_entry_that_was_published_last_does_not_serve(house: House) -> None:
    """Some events of that entry may still be missing: the publisher begins before it, and publishes those."""
    events = MemoryEvents()
    publish_all(publisher(house, events))
    before, last = dict(events.events), events.position
    house.take(below=last.entry_offset + 1)
    newest = max(events.events)
    del events.events[newest]
    events.position = Position(last.entry_offset, last.event_count - 1)
    publish_all(publisher(house, events))
    assert events.events == before


def test_a_publisher_that_was_overtaken_before_it_began_takes_a_cut_journal_for_no_loss(house: House) -> None:
    """Another leader published, took snapshots and cut meanwhile: nothing is corrupt, this one is just too late."""
    events = MemoryEvents()
    late = Publisher(house.journal, lambda: MemoryEventLog(events), WatchHub())
    late.claim()
    publish_all(publisher(house, events))
    house.shard.log.cut(house.take(below=events.position.entry_offset).offset + 1)
    with pytest.raises(Unavailable, match="Others have published"):
        late.begin(house.snapshots)


def test_watchers_go_on_across_a_restart_from_a_snapshot(house: House) -> None:
    """The latest events before it are kept with it; who asks for others is told that they are gone."""
    events, hub = MemoryEvents(), WatchHub()
    publish_all(publisher(house, events))
    house.shard.ask(rq.Delete("flow-1"))
    for _ in range(3):
        house.work()
    house.take()
    publish_all(publisher(house, events))
    house.work()
    house.shard.log.cut(offsets(house)[0] + 1)
    begun = Publisher(house.journal, lambda: MemoryEventLog(events), hub)
    begun.claim()
    begun.published = Position(house.end)
    begun.begin(house.snapshots)
    uid = house.shard.state.workflows["flow-2"].uid
    watcher = hub.watch(uid, 2, lambda: None)
    told = {one.sequence: one for one in hub.read(watcher, 1_000)}
    assert sorted(told) == [key[1] for key in sorted(events.events) if key[0] == uid and key[1] > 1]
    assert {names for one in told.values() if (names := one.names)} == {("a",)}
    everything = hub.watch(ALL, None, lambda: None)
    assert "flow-1" in {one.workflow for one in hub.read(everything, 1_000)}
    assert "flow-1" not in {one.workflow for one in hub.updates(everything)}
    last = hub.read(hub.watch(1, None, lambda: None), 1_000)[-1]
    assert getattr(last.fact, "change", "") == "deleted"


def test_events_that_a_snapshot_does_not_keep_are_told_to_be_gone(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never is anything passed over in silence."""
    monkeypatch.setattr(taking, "RECENT_MAX", 1)
    house.work()
    house.take()
    events, hub = MemoryEvents(), WatchHub()
    events.position = Position(house.end - 1)
    made = Publisher(house.journal, lambda: MemoryEventLog(events), hub)
    made.claim()
    made.published = Position(house.end)
    made.begin(house.snapshots)
    uid = house.shard.state.workflows["flow-1"].uid
    with pytest.raises(NoLongerKept, match="no longer kept"):
        hub.watch(uid, 1, lambda: None)
    assert hub.read(hub.watch(uid, 0, lambda: None), 10) == []
    assert {one.workflow for one in hub.updates(hub.watch(ALL, 0, lambda: None))} == {"flow-1", "flow-2"}


# -- a standby


def status(standby: Standby, name: str) -> str:
    return str(standby.submit(rq.GetStatus(name)).result(0).state)


def test_a_standby_begins_from_a_snapshot(house: House) -> None:
    """It answers as if it had read the whole journal, and knows the leader without having read its opening."""
    taken = house.take()
    house.work()
    house.shard.log.cut(taken.offset + 1)
    standby = Standby(house.journal, house.snapshots)
    standby.follow()
    assert status(standby, "flow-1") == status(standby, "flow-2") == "running"
    with pytest.raises(Unavailable) as refusal:
        standby.submit(rq.Halt("flow-1"))
    assert refusal.value.leader == "here:1"  # type: ignore[attr-defined]


def test_a_standby_that_fell_behind_begins_anew(house: House) -> None:
    """Where it was reading is cut away: it takes the newest snapshot, and its watchers begin again."""
    standby = Standby(house.journal, house.snapshots)
    standby.follow()
    watchers = standby.watchers
    house.work()
    house.shard.log.cut(house.take().offset + 1)
    house.work()
    standby.follow()
    assert [line.name for line in standby.submit(rq.ListWorkflows()).result(0)] == ["flow-1", "flow-2", "flow-3"]
    assert standby.watchers is not watchers
    with pytest.raises(Unavailable):
        watchers.read(watchers.watch(ALL, 0, lambda: None), 1)


# -- upkeep


class Taker:
    """Takes snapshots in this process."""

    def __init__(self, house: House, plan: Sequence[Exception] = ()) -> None:
        self.house, self.plan = house, list(plan)
        self.asked: list[int] = []
        self.stopped = False

    def take(self, below: int) -> Taken:
        self.asked.append(below)
        if self.plan:
            raise self.plan.pop()
        return self.house.take(below)

    def stop(self) -> None:
        self.stopped = True


class Care:
    """Upkeep of a shard whose journal grows as the test says."""

    def __init__(self, house: House, plan: Sequence[Exception] = ()) -> None:
        self.house = house
        self.grown, self.published = 0, -1
        self.taker = Taker(house, plan)
        self.journal = house.journal
        self.upkeep = Upkeep(
            self.journal, house.snapshots, self.taker, lambda: self.grown, lambda: self.published, 1_000
        )

    def grow(self, by: int) -> int:
        """Let the journal grow, all of it published, look, and return how many snapshots were asked for by now."""
        self.house.work()
        self.grown += by
        self.published = self.house.end
        self.upkeep.look()
        return len(self.taker.asked)


def test_a_snapshot_is_taken_when_the_journal_has_grown(house: House) -> None:
    """By what is set at least, and by as much as the newest snapshot is large: then reading either costs the same."""
    care = Care(house)
    assert [care.grow(999), care.grow(1)] == [0, 1]
    large = house.snapshots.listed()[0].size_bytes
    assert large > 1_000
    assert [care.grow(1_000), care.grow(large - 1_001), care.grow(1)] == [1, 1, 2]


def test_a_snapshot_that_is_there_already_counts(house: House) -> None:
    """A new leader knows the size of the newest one from the store."""
    house.work()
    size = house.take().size_bytes
    care = Care(house)
    assert [care.grow(size - 1), care.grow(1)] == [0, 1]


def test_the_journal_is_cut_before_what_the_second_newest_snapshot_leaves(house: House) -> None:
    """Should the newest turn out to be damaged, the one before and the journal still give everything."""
    care = Care(house)
    care.grow(10**6)
    assert care.journal.bounds()[0] == 0
    first = offsets(house)[0]
    care.grow(10**6)
    assert care.journal.bounds()[0] == first + 1
    house.damage(offsets(house)[0])
    assert digest(house.successor().state) == digest(house.shard.state)


def test_what_is_not_published_is_not_cut(house: House) -> None:
    """A publisher that is behind finds all that it has yet to publish."""
    care = Care(house)
    care.grow(10**6)
    house.work()
    care.grown += 10**6
    care.published = 2
    care.upkeep.look()
    assert care.journal.bounds()[0] == 0


def test_nothing_is_taken_before_anything_is_published(house: House) -> None:
    """A publisher could not begin from it."""
    care = Care(house)
    care.grown = 10**6
    care.upkeep.look()
    assert care.taker.asked == []


def test_a_snapshot_that_cannot_be_taken_changes_nothing(house: House) -> None:
    """It is tried again; the journal stays as it is."""
    care = Care(house, [Unavailable("no room")])
    with pytest.raises(Unavailable):
        care.grow(10**6)
    assert care.journal.bounds()[0] == 0
    assert care.grow(0) == 2
    assert len(offsets(house)) == 1


def test_upkeep_ends_when_told_to(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """And so does what takes a snapshot at that time; until then failures are told and tried again."""
    care = Care(house, [Unavailable("no room")])
    care.grown, care.published = 10**6, house.end
    waits: list[float] = []
    care.upkeep._stopping.wait = lambda pause_s: waits.append(pause_s) or len(waits) > 2  # type: ignore[assignment]
    care.upkeep.run()
    assert waits == [0.0, 60.0, 1.0]
    assert [record.message for record in caplog.records] == ["no snapshot was taken; trying again"]
    care.upkeep.stop()
    assert care.taker.stopped


def test_a_listing_tells_offset_and_size() -> None:
    """The newest comes first, by number and not by text."""
    store = MemoryStore()
    for offset in (9, 100, 20):
        store.put_bytes(None, f"{FOLDER}{offset:020}", b"x" * offset)
    listed = Snapshots(store, FOLDER).listed()
    assert [(kept.offset, kept.size_bytes) for kept in listed] == [(100, 100), (20, 20), (9, 9)]
    assert isinstance(listed[0].stored, Stored)
