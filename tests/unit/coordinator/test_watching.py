"""The hub keeps the latest events of every workflow for watchers, tells what is gone, and wakes who waits, once."""

import threading
from collections.abc import Iterable

import pytest

from gaia_core.coordinator import watching as module
from gaia_core.coordinator.watching import ALL, Watcher, WatchHub
from gaia_core.errors import NoLongerKept, Unavailable, UnknownName
from gaia_core.machine import events as own
from gaia_core.machine.public import Announcement, Announcer, StepStarted, Update, WorkflowChanged
from gaia_core.workflow import events as ev
from gaia_core.workflow.model import FileVersion

MANY = 10**6


class Told:
    """A hub, told what a real announcer makes of entries of the journal."""

    def __init__(self) -> None:
        self.hub = WatchHub()
        self.announcer = Announcer()
        self.woken: list[str] = []

    def entry(self, *events: own.Event) -> None:
        """Let one entry of the journal be followed."""
        self.hub.tell(self.announcer.follow(1, events), self.announcer.updates)

    def create(self, uid: int, name: str = "flow") -> None:
        """Begin a workflow: one event."""
        self.entry(ev.WorkflowCreated(uid, name, "me", {}))

    def happen(self, uid: int, count: int = 1) -> None:
        """Let so many events of a workflow come in one entry."""
        self.entry(*[ev.WorkflowHalted(uid)] * count)

    def start(self, uid: int) -> None:
        """Tell that a Step has started, which nobody numbers."""
        self.hub.tell([Announcement("flow", uid, 0, 1, StepStarted("s", 1, "w"))])

    def watch(self, uid: int, from_sequence: int | None = None, name: str = "one") -> Watcher:
        """Begin to watch; `woken` gets the name each time."""
        return self.hub.watch(uid, from_sequence, lambda: self.woken.append(name))

    def read(self, watcher: Watcher, most: int = MANY) -> list[int]:
        """Return the numbers of the next events."""
        return [event.sequence for event in self.hub.read(watcher, most)]


def changes(events: Iterable[Announcement]) -> list[tuple[str, int, str]]:
    """Return (workflow, uid, change) of events about workflows."""
    return [(e.workflow, e.uid, e.fact.change) for e in events if isinstance(e.fact, WorkflowChanged)]


def stand(updates: Iterable[Update]) -> list[tuple[int, int, str]]:
    """Return (uid, sequence, state) of updates."""
    return [(update.uid, update.sequence, update.state) for update in updates]


def ten_events() -> Told:
    """One workflow, uid 1, with ten events."""
    made = Told()
    made.create(1)
    made.happen(1, 9)
    return made


@pytest.fixture
def told() -> Told:
    """One workflow, uid 1, with ten events."""
    return ten_events()


def keeping(monkeypatch: pytest.MonkeyPatch, most: int, most_per_workflow: int) -> Told:
    """One workflow, uid 1, with ten events, told to a hub that keeps only so much."""
    monkeypatch.setattr(module, "KEPT_MAX", most)
    monkeypatch.setattr(module, "KEPT_PER_WORKFLOW_MAX", most_per_workflow)
    return ten_events()


def test_a_watch_from_a_number_begins_there_and_goes_on(told: Told) -> None:
    """From a sequence number on every event comes once, in order, those of the past and those to come."""
    watcher = told.watch(1, 4)
    assert told.read(watcher, 3) == [4, 5, 6]
    told.happen(1)
    assert told.read(watcher) == [7, 8, 9, 10, 11]
    assert told.read(watcher) == []


def test_a_watch_without_a_number_gets_all_that_is_kept(told: Told) -> None:
    """All kept events come, from the oldest on."""
    assert told.read(told.watch(1)) == list(range(1, 11))


def test_a_watch_from_zero_gets_only_what_is_new(told: Told) -> None:
    """Of the past nothing comes, and the watcher knows how far that went."""
    watcher = told.watch(1, 0)
    assert told.read(watcher) == []
    assert watcher.latest == 10
    told.happen(1, 2)
    assert told.read(watcher) == [11, 12]


def test_a_number_that_is_still_to_come_gets_nothing_of_the_past(told: Told) -> None:
    """A watch may begin at the next event, as one does that is begun again."""
    watcher = told.watch(1, 11)
    assert told.read(watcher) == []
    told.happen(1)
    assert told.read(watcher) == [11]


def test_all_workflows_are_watched_together(told: Told) -> None:
    """Events of all come in the order they were told; a number means nothing there but 0."""
    new, kept, numbered = told.watch(ALL, 0), told.watch(ALL), told.watch(ALL, 7)
    told.create(2, "other")
    told.happen(1)
    assert [(e.workflow, e.sequence) for e in told.hub.read(new, MANY)] == [("other", 1), ("flow", 11)]
    assert len(told.hub.read(kept, MANY)) == len(told.hub.read(numbered, MANY)) == 12


def test_workers_are_told_to_who_watches_all(told: Told) -> None:
    """Events about workers belong to no workflow."""
    one, everything = told.watch(1, 0), told.watch(ALL, 0)
    told.entry(own.WorkerJoined("w", "i1", "default", 1, 0, 0, "noop", "host", draining=False))
    assert told.hub.read(one, MANY) == []
    assert [type(e.fact).__name__ for e in told.hub.read(everything, MANY)] == ["WorkerChanged"]


def test_events_without_a_number_come_in_their_place(told: Told) -> None:
    """What is not numbered is read like the rest, but a watch from a number begins with that number."""
    told.start(1)
    told.happen(1)
    told.start(1)
    assert told.read(told.watch(1, 10)) == [10, 0, 11, 0]
    assert told.read(told.watch(1, 11)) == [11, 0]
    assert told.read(told.watch(1, 12)) == []


def test_below_what_is_kept_is_refused_naming_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there and is gone is not passed over in silence."""
    told = keeping(monkeypatch, 100, 5)
    told.happen(1, 10)
    with pytest.raises(NoLongerKept, match="before number 16 ") as refusal:
        told.watch(1, 15)
    assert refusal.value.hint == "begin with 16"
    assert told.read(told.watch(1, 16)) == [16, 17, 18, 19, 20]
    assert told.read(told.watch(1)) == [16, 17, 18, 19, 20]


def test_a_workflow_of_which_nothing_is_kept_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others may push out all events of a quiet workflow; its next number is then the oldest there will be."""
    told = keeping(monkeypatch, 5, 5)
    told.create(2, "busy")
    told.happen(2, 10)
    for gone in (1, 10):
        with pytest.raises(NoLongerKept, match="before number 11 "):
            told.watch(1, gone)
    watcher = told.watch(1, 11)
    told.happen(1)
    assert told.read(watcher) == [11]


def test_a_busy_workflow_pushes_out_its_own_events_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """One workflow keeps its limit, and all together keep theirs, the oldest going first."""
    told = keeping(monkeypatch, 30, 12)
    told.create(2, "busy")
    told.happen(2, 17)
    assert told.read(told.watch(2)) == list(range(7, 19))
    assert told.read(told.watch(1)) == list(range(1, 11))
    told.happen(2, 7)
    assert told.read(told.watch(1)) == list(range(6, 11))
    assert len(told.hub.read(told.watch(ALL), MANY)) == 30


@pytest.mark.parametrize("uid", [1, ALL])
def test_a_watcher_that_is_too_slow_is_told(monkeypatch: pytest.MonkeyPatch, uid: int) -> None:
    """Whoever falls behind what is kept hears how much it missed, instead of a gap."""
    told = keeping(monkeypatch, 20, 20)
    slow, quick = told.watch(uid), told.watch(uid)
    assert told.read(slow, 4) == [1, 2, 3, 4]
    assert len(told.read(quick)) == 10
    for _ in range(4):
        told.happen(1, 5)
        assert len(told.read(quick)) == 5
    with pytest.raises(NoLongerKept, match="too slow: 6 events"):
        told.read(slow)


def test_reading_anywhere_in_what_is_kept_gives_what_lies_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropping the oldest, as often as it may be, moves nothing else."""
    told = keeping(monkeypatch, 7, 7)
    watcher = told.watch(1, 0)
    for number in range(11, 200):
        told.happen(1)
        assert told.read(watcher) == [number]
        kept = list(range(max(1, number - 6), number + 1))
        assert [told.read(told.watch(1, first)) for first in kept] == [kept[at:] for at in range(len(kept))]


def test_what_was_never_told_of_cannot_be_watched(told: Told) -> None:
    """A uid that nobody knows is no workflow that has yet to come."""
    with pytest.raises(UnknownName):
        told.watch(2, 1)


def test_what_is_left_of_a_deleted_workflow_can_be_watched(told: Told) -> None:
    """Whoever was away when it was deleted hears the rest; where nothing is left, nobody is let wait for ever."""
    told.entry(ev.WorkflowDeleted(1))
    assert told.read(told.watch(1, 9)) == [9, 10, 11]
    assert told.read(told.watch(1)) == list(range(1, 12))
    (update,) = told.hub.updates(told.watch(1))
    assert update.deleted
    for start in (0, 12):
        with pytest.raises(UnknownName):
            told.watch(1, start)


def test_who_watches_a_workflow_sees_it_deleted(told: Told) -> None:
    """The last event says so, and so does the last update."""
    watcher, other = told.watch(1, 0), told.watch(1, 0)
    told.hub.updates(other)
    told.entry(ev.WorkflowDeleted(1))
    assert changes(told.hub.read(watcher, MANY)) == [("flow", 1, "deleted")]
    (update,) = told.hub.updates(other)
    assert update.deleted


def test_the_name_of_a_deleted_workflow_is_another_one(told: Told) -> None:
    """Deleted and made again, even in one entry: each uid has its own events, numbered from 1."""
    old = told.watch(1, 0)
    told.entry(ev.WorkflowDeleted(1), ev.WorkflowCreated(2, "flow", "me", {}))
    new = told.watch(2)
    assert changes(told.hub.read(old, MANY)) == [("flow", 1, "deleted")]
    assert changes(told.hub.read(new, MANY)) == [("flow", 2, "created")]
    assert stand(told.hub.updates(new)) == [(2, 1, "initialized")]


def test_made_and_deleted_in_one_entry_is_told(told: Told) -> None:
    """A workflow that nobody could watch is told of all the same."""
    watcher = told.watch(ALL, 0)
    told.entry(ev.WorkflowCreated(2, "short", "me", {}), ev.WorkflowDeleted(2))
    assert changes(told.hub.read(watcher, MANY)) == [("short", 2, "created"), ("short", 2, "deleted")]


def test_what_is_forgotten_of_deleted_workflows_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workflows may come and go for ever: once its events are pushed out, nothing is kept of a deleted one."""
    told = keeping(monkeypatch, 10, 10)
    for uid in range(2, 50):
        told.create(uid, f"flow {uid}")
        told.entry(ev.WorkflowDeleted(uid))
        told.start(uid)
    assert set(told.hub._feeds) == {1, 46, 47, 48, 49}
    assert set(told.hub._all.updates) == set(told.hub._feeds)


def test_a_watcher_outlasts_what_it_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of a deleted workflow may be pushed out before its watcher reads: it is told, and waits for nothing."""
    told = keeping(monkeypatch, 5, 5)
    of_events, of_updates = told.watch(1), told.watch(1)
    told.entry(ev.WorkflowDeleted(1))
    told.create(2, "busy")
    told.happen(2, 10)
    assert 1 not in told.hub._feeds
    with pytest.raises(NoLongerKept):
        told.read(of_events)
    (update,) = told.hub.updates(of_updates)
    assert update.deleted


def test_who_waits_is_woken_once(told: Told) -> None:
    """A watcher that read everything is woken by what comes next, and not again before it has read that."""
    watcher = told.watch(1)
    told.happen(1)
    assert told.woken == []
    told.read(watcher)
    told.happen(1)
    assert told.woken == []
    told.read(watcher)
    assert told.read(watcher) == []
    told.happen(1)
    told.happen(1)
    assert told.woken == ["one"]


def test_who_waits_is_woken_by_its_own_workflow_only(told: Told) -> None:
    """A busy workflow costs the watchers of others nothing; who watches all is woken by each, once."""
    told.create(2, "busy")
    for uid, name in ((1, "one"), (2, "two"), (ALL, "all")):
        assert told.hub.read(told.watch(uid, 0, name), MANY) == []
    told.happen(2)
    assert sorted(told.woken) == ["all", "two"]


def test_events_about_workers_wake_once(told: Told) -> None:
    """What belongs to no workflow and what belongs to all is the same."""
    assert told.hub.read(told.watch(ALL, 0), MANY) == []
    told.entry(own.WorkerJoined("w", "i1", "default", 1, 0, 0, "noop", "host", draining=False))
    assert told.woken == ["one"]


def test_who_left_is_neither_woken_nor_counted(told: Told) -> None:
    """The end of a watch leaves nothing behind."""
    watcher = told.watch(1, 0)
    told.read(watcher)
    assert told.hub.is_watched
    told.hub.leave(watcher)
    told.hub.leave(watcher)
    told.happen(1)
    assert not told.hub.is_watched
    assert told.woken == []


def test_updates_are_those_since_the_last(told: Told) -> None:
    """First how it stands, then only what changed, several changes as one."""
    watcher = told.watch(1)
    assert stand(told.hub.updates(watcher)) == [(1, 10, "halted")]
    assert told.hub.updates(watcher) == []
    told.happen(1)
    told.entry(ev.WorkflowResumed(1))
    assert told.woken == ["one"]
    assert stand(told.hub.updates(watcher)) == [(1, 12, "initialized")]


def test_updates_of_all_are_of_those_that_changed(told: Told) -> None:
    """Who watches all hears of each workflow that changed, in the order of the changes, also of its deletion."""
    told.create(2, "two")
    told.create(3, "gone")
    told.entry(ev.WorkflowDeleted(3))
    watcher = told.watch(ALL)
    assert stand(told.hub.updates(watcher)) == [(1, 10, "halted"), (2, 1, "initialized")]
    told.happen(1)
    told.happen(2)
    told.happen(1)
    assert stand(told.hub.updates(watcher)) == [(2, 2, "halted"), (1, 12, "halted")]
    told.entry(ev.WorkflowDeleted(2))
    assert stand(told.hub.updates(watcher)) == [(2, 3, "deleted")]


def test_a_hub_that_closes_lets_everyone_read_what_there_is(told: Told) -> None:
    """Whoever waits is woken; nobody misses an event, and then everybody is told that no more will come."""
    of_events, of_updates, waiting = told.watch(1), told.watch(ALL), told.watch(1, 0, "waiting")
    told.read(waiting)
    told.hub.close()
    assert "waiting" in told.woken
    assert told.read(of_events) == list(range(1, 11))
    assert len(told.hub.updates(of_updates)) == 1
    for watcher in (of_events, waiting):
        with pytest.raises(Unavailable):
            told.read(watcher)
    with pytest.raises(Unavailable):
        told.hub.updates(of_updates)


def test_watchers_in_many_threads_miss_nothing(told: Told) -> None:
    """While one thread tells, watchers come, wait, read in portions, and go: each gets every number, once, in order."""
    count, readers = 3_000, 8
    found: list[list[int]] = [[] for _ in range(readers)]
    failures: list[BaseException] = []

    def follow(numbers: list[int], portion: int) -> None:
        try:
            woken = threading.Event()
            watcher = told.hub.watch(1, 11, woken.set)
            while not numbers or numbers[-1] < 10 + count:
                woken.clear()
                events = told.hub.read(watcher, portion)
                numbers += [event.sequence for event in events]
                if not events:
                    assert woken.wait(30), "nobody woke it"
            told.hub.leave(watcher)
        except BaseException as problem:  # noqa: BLE001 - shown by the test
            failures.append(problem)

    threads = [threading.Thread(target=follow, args=(found[each], each + 1)) for each in range(readers)]
    for thread in threads:
        thread.start()
    for _ in range(count):
        told.happen(1)
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert all(numbers == list(range(11, 11 + count)) for numbers in found)
    assert not told.hub.is_watched


def archive(told: Told, uid: int) -> None:
    """Let a workflow leave memory."""
    told.entry(own.WorkflowArchived(uid, FileVersion("path", "v", 1, b""), told.announcer.sequences[uid], ""))


def test_an_archived_workflow_stands_as_it_did(told: Told) -> None:
    """Its events are kept as those of any other, and watchers of all, also new ones, hear how it stands."""
    everything = told.watch(ALL)
    archive(told, 1)
    assert stand(told.hub.updates(told.watch(1)))[-1][:2] == (1, 10)
    assert stand(told.hub.updates(everything)) == stand(told.hub.updates(told.watch(ALL)))
    assert told.read(told.watch(1, 8)) == [8, 9, 10]


def test_of_archived_workflows_only_how_they_stand_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once its events were pushed out nothing else is kept of one, until somebody watches it or it comes back."""
    told = keeping(monkeypatch, most=5, most_per_workflow=5)
    archive(told, 1)
    told.create(2, "other")
    told.happen(2, 5)
    assert set(told.hub._feeds) == {2}
    with pytest.raises(NoLongerKept):
        told.watch(1, 1)
    assert set(told.hub._feeds) == {2}
    watcher = told.watch(1, 0)
    assert (watcher.latest, stand(told.hub.updates(watcher))[-1][:2]) == (10, (1, 10))
    assert told.read(watcher) == []
    told.hub.leave(watcher)
    assert set(told.hub._feeds) == {2}
    with pytest.raises(UnknownName):
        told.watch(3)


def test_who_watches_an_archived_workflow_hears_of_its_end(told: Told) -> None:
    """A deletion where it lies is told as any other."""
    archive(told, 1)
    watcher = told.watch(1, 0)
    told.entry(ev.WorkflowDeleted(1))
    assert changes(told.hub.read(watcher, MANY)) == [("flow", 1, "deleted")]
    assert told.hub.updates(watcher)[-1].deleted
