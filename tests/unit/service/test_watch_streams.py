"""Watch through the real client, gRPC and server: what is asked for comes, once, and a watch leaves nothing behind."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import islice, takewhile
from typing import Any

import grpc
import pytest

from gaia.client import Gaia
from gaia.v1 import api_pb2, api_pb2_grpc
from gaia_core.backends.memory import MemoryJournal
from gaia_core.coordinator import watching as hub_module
from gaia_core.coordinator.watching import WatchHub
from gaia_core.errors import InvalidWorkflow, NoLongerKept, UnknownName
from gaia_core.machine.public import Announcer
from gaia_core.machine.reports import Completed, Started
from gaia_core.ports import Record
from gaia_core.service import watching as service_module
from gaia_core.service.watching import CROWD_EVENTS, CROWD_SENT_PER_S, CROWD_WINDOW_S, UPDATE_EVERY_S, Pace, watching
from gaia_core.workflow import events as ev
from tests.support.waiting import wait_until
from tests.unit.coordinator.shard import Hand
from tests.unit.service.served import Served

COMMANDS = [{"name": "make", "image": "any", "command": ["make", "{{out}}"], "outputs": {"out": "/out"}}]
SWEEP = {"name": "s", "command": "make", "outputs": {"out": "{{n}}"}, "vars": {"n": [1, 2]}}
ALONE = {"name": "alone", "command": "make", "outputs": {"out": "alone"}}


@pytest.fixture
def served() -> Iterator[Served]:
    with Served() as made:
        yield made


@pytest.fixture
def flow(served: Served) -> Iterator[Gaia]:
    with served.client() as client:
        yield client


@pytest.fixture
def hand(served: Served) -> Hand:
    """A worker that does what the test says, and was asked to say hello."""
    made = Hand(served)  # type: ignore[arg-type]
    made.hello()
    return made


def take(hand: Hand, *names: str) -> None:
    """Let a worker read its orders until it has one for each of these Steps."""

    def has_all() -> bool:
        hand.read()
        return set(names) <= set(hand.fences())

    wait_until(has_all, f"orders for {names}")


def run_all(hand: Hand, *names: str) -> None:
    """Let a worker take and complete Steps."""
    take(hand, *names)
    hand.complete(*names)
    hand.orders.clear()


def change(event: dict[str, Any]) -> str:
    """Name an event in one word, and what it is about."""
    return str(event.get("change") or f"{event['kind']} {event.get('step') or event.get('key')}")


def until(events: Iterator[dict[str, Any]], last: str) -> list[dict[str, Any]]:
    """Return the next events up to one of that name, which is left out."""
    return list(takewhile(lambda event: change(event) != last, events))


def test_a_workflow_is_watched_from_its_first_event(flow: Gaia, hand: Hand) -> None:
    """From 1 on: upload, every completion, the rest; then live, as Steps are expired; all numbered without a gap."""
    flow.upload("flow", {}, COMMANDS, [SWEEP])
    events = flow.watch("flow", 1)
    run_all(hand, "s-1", "s-2")
    seen = until(events, "complete")
    assert [change(event) for event in seen] == [
        "created", "commands", "steps", "step_completed s-1", "step_completed s-2",
    ]  # fmt: skip
    flow.expire("flow", ["s-2"])
    run_all(hand, "s-2")
    seen += until(events, "complete")
    assert [change(event) for event in seen[5:]] == ["step_expired s-2", "step_completed s-2"]
    numbers = [event["sequence"] for event in seen]
    assert numbers == [1, 2, 3, 4, 5, 7, 8]
    assert {event["uid"] for event in seen} == {seen[0]["uid"]}
    assert seen[3]["outputs"][0]["files"][0]["key"] == "1"


def test_what_was_just_answered_can_be_watched(flow: Gaia) -> None:
    """A client that has just created a workflow, or deleted it and made it anew, watches that one."""
    for number in range(50):
        flow.upload("flow", {}, COMMANDS, [ALONE])
        events = flow.watch("flow", 1)
        assert [event["sequence"] for event in islice(events, 3)] == [1, 2, 3], number
        flow.delete("flow")
        with pytest.raises(UnknownName):
            flow.watch("flow")


def test_a_watch_begins_when_it_is_asked_for(flow: Gaia) -> None:
    """New events are those after the call, none of what was answered before it, though the iterator is asked later."""
    flow.upload("flow", {}, COMMANDS, [ALONE])
    for _ in range(20):
        flow.run("flow")
        of_one, of_all = flow.watch("flow", 0), flow.watch(None, 0)
        flow.halt("flow")
        assert (change(next(of_one)), change(next(of_all))) == ("halted", "halted")


def test_started_steps_are_told_before_their_ends(served: Served, flow: Gaia, hand: Hand) -> None:
    """Of a start and an end that one record reports the start comes first, without a number."""
    flow.upload("flow", {}, COMMANDS, [SWEEP])
    events = flow.watch("flow", steps=["s"], kinds=["step_started", "step_completed"])
    take(hand, "s-1", "s-2")
    for fence in hand.fences().values():
        hand.say(Started(fence), Completed(fence, (), 1))
    seen = [(event["step"], event["kind"], event["sequence"] > 0) for event in islice(events, 4)]
    for step in ("s-1", "s-2"):
        assert [one for one in seen if one[0] == step] == [
            (step, "step_started", False), (step, "step_completed", True),
        ]  # fmt: skip


def test_kinds_and_steps_filter_events(flow: Gaia, hand: Hand) -> None:
    """Only what was asked for comes; a sweep's name stands for all its Steps, a Step's own for itself."""
    flow.upload("flow", {}, COMMANDS, [SWEEP, ALONE])
    of_sweep, of_one = flow.watch("flow", steps=["s"]), flow.watch("flow", steps=["s-2", "alone"])
    of_kind = flow.watch("flow", kinds=["workflow_changed"])
    run_all(hand, "s-1", "s-2", "alone")
    flow.remove("flow", ["s"])
    assert [change(event) for event in islice(of_sweep, 2)] == ["step_completed s-1", "step_completed s-2"]
    assert [change(event) for event in islice(of_one, 2)] == ["step_completed s-2", "step_completed alone"]
    assert [change(event) for event in islice(of_kind, 5)] == ["created", "commands", "steps", "complete", "removed"]


def test_a_removed_step_is_still_called_what_it_was(flow: Gaia, hand: Hand) -> None:
    """Whoever watches a sweep hears that running Steps of it were cancelled because they are no more."""
    flow.upload("flow", {}, COMMANDS, [SWEEP])
    events = flow.watch("flow", steps=["s"])
    take(hand, "s-1", "s-2")
    flow.remove("flow", ["s-1"])
    flow.merge("flow", [{**SWEEP, "vars": {"n": [3]}}], prune=True)
    assert [change(event) for event in islice(events, 2)] == ["step_cancelled s-1", "step_cancelled s-2"]


def test_what_there_is_not_is_refused(flow: Gaia) -> None:
    """An unknown kind is told with its place and what comes near; so is an unknown workflow. Nothing is begun."""
    flow.upload("flow", {}, COMMANDS, [ALONE])
    with pytest.raises(InvalidWorkflow) as refusal:
        flow.watch("flow", kinds=["step_completed", "step_complete", "x"])
    assert [problem.place for problem in refusal.value.problems] == ["kinds[1]", "kinds[2]"]
    assert "did you mean 'step_completed'?" in refusal.value.problems[0].message
    with pytest.raises(UnknownName, match="did you mean 'flow'"):
        flow.watch("flov")


def test_a_filter_of_steps_that_there_are_not_is_refused(flow: Gaia, hand: Hand) -> None:
    """A name that no Step has would be waited for in vain: it is told, and how to watch Steps to come."""
    flow.upload("flow", {}, COMMANDS, [SWEEP, ALONE])
    with pytest.raises(UnknownName) as refusal:
        flow.watch("flow", steps=["s", "aline", "s-1", "later"])
    first, second = refusal.value.problems
    assert str(first) == "steps[1]: 'aline' is no Step of 'flow'; did you mean 'alone'?"
    assert second.place == "steps[3]"
    assert "merge" in refusal.value.hint
    flow.merge("flow", [{**ALONE, "name": "later", "outputs": {"out": "later"}}])
    events = flow.watch("flow", steps=["later"], kinds=["step_completed"])
    run_all(hand, "later")
    assert change(next(events)) == "step_completed later"


def test_a_filter_of_steps_needs_a_workflow(flow: Gaia) -> None:
    """Names of Steps mean something within one workflow only."""
    with pytest.raises(InvalidWorkflow) as refusal:
        flow.watch(steps=["s"])
    assert [problem.place for problem in refusal.value.problems] == ["steps"]


def test_a_watch_of_steps_goes_on_when_they_are_removed(served: Served, flow: Gaia, hand: Hand) -> None:
    """A watch that broke off is begun again, also when the Steps that it is about are no more."""
    flow.upload("flow", {}, COMMANDS, [SWEEP, ALONE])
    events = flow.watch("flow", steps=["s", "alone"], kinds=["step_cancelled", "step_completed"])
    take(hand, "s-1", "s-2", "alone")
    flow.remove("flow", ["s"])
    assert [change(event) for event in islice(events, 2)] == ["step_cancelled s-1", "step_cancelled s-2"]
    served.again()
    again = Hand(served, incarnation="i2")  # type: ignore[arg-type]
    again.hello()
    run_all(again, "alone")
    assert change(next(events)) == "step_completed alone"


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"from_sequence": -1}, "from_sequence"),
        ({"from_sequence": 2**64}, "from_sequence"),
        ({"from_sequence": "1"}, "from_sequence"),
        ({"from_sequence": True}, "from_sequence"),
        ({"kinds": "step_completed"}, "kinds"),
        ({"steps": [1]}, "steps"),
    ],
)
def test_wrong_types_are_told_with_their_place(flow: Gaia, wrong: dict[str, Any], place: str) -> None:
    """A wrong argument is a problem of the caller, in words."""
    with pytest.raises(InvalidWorkflow) as refusal:
        flow.watch("flow", **wrong)
    assert [problem.place for problem in refusal.value.problems] == [place]


def test_what_is_no_longer_kept_is_refused(monkeypatch: pytest.MonkeyPatch, flow: Gaia) -> None:
    """Below what is kept, the refusal names the oldest number and how to begin."""
    monkeypatch.setattr(hub_module, "KEPT_PER_WORKFLOW_MAX", 2)
    flow.upload("flow", {}, COMMANDS, [ALONE])
    wait_until(lambda: next(flow.watch("flow"))["sequence"] == 2, "three events were told")
    with pytest.raises(NoLongerKept, match="before number 2 ") as refusal:
        flow.watch("flow", 1)
    assert refusal.value.hint == "begin with 2"


@pytest.mark.parametrize("updates", [False, True])
def test_a_deleted_workflow_ends_its_streams(served: Served, flow: Gaia, updates: bool) -> None:
    """The stream ends behind the deletion, whatever it filters; that of all workflows goes on."""
    flow.upload("flow", {}, COMMANDS, [ALONE])
    kinds = () if updates else ("step_failed",)
    of_one = flow.watch("flow", updates=updates, kinds=kinds)
    of_all = flow.watch(updates=updates)
    flow.delete("flow")
    assert [told["deleted"] for told in of_one][-1:] == ([True] if updates else [])
    flow.upload("flow", {}, COMMANDS, [ALONE])
    uids = {told["uid"] for told in takewhile(lambda told: told["uid"] < 2, of_all)}
    assert uids <= {1}
    of_all.close()  # type: ignore[attr-defined]
    wait_until(lambda: not served.hub.is_watched, "no watcher is left")


def test_who_leaves_while_it_waits_frees_its_watcher(served: Served, flow: Gaia) -> None:
    """A stream that is closed, dropped, or whose client closes leaves nothing on the server."""
    flow.upload("flow", {}, COMMANDS, [ALONE])
    closed, dropped, rest = flow.watch("flow"), flow.watch("flow", updates=True), flow.watch()
    next(closed), next(dropped), next(rest)
    never_asked = flow.watch("flow")
    assert len(served.hub._watchers) == 4
    closed.close()  # type: ignore[attr-defined]
    wait_until(lambda: len(served.hub._watchers) == 3, "the closed one left")
    del dropped, never_asked
    wait_until(lambda: len(served.hub._watchers) == 1, "the dropped ones left")
    flow.close()
    wait_until(lambda: not served.hub.is_watched, "the last one left")


def test_who_leaves_in_mid_flood_frees_its_watcher(served: Served, flow: Gaia, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that does not read holds nothing up, and when it is gone its watcher is, too."""
    monkeypatch.setattr(service_module, "EVENTS_AT_ONCE", 1)
    flow.upload("flow", {}, COMMANDS, [])
    window_stays_small = [("grpc.http2.bdp_probe", 0)]
    with grpc.insecure_channel(served.config.listen, options=window_stays_small) as channel:
        stub = api_pb2_grpc.GaiaStub(channel)  # type: ignore[no-untyped-call]
        stuck = stub.Watch(api_pb2.WatchRequest(workflow="flow", every_event=True))
        stuck.initial_metadata()
        for each in range(5):
            names = [f"{each}-{number:04}{'x' * 200}" for number in range(1_000)]
            flow.command("flow", [{"name": name, "image": "any", "command": ["true"]} for name in names])
        (watcher,) = served.hub._watchers
        wait_until(lambda: watcher.feed.events.latest == 7, "all was told")
        assert watcher.position < watcher.feed.events.end
    wait_until(lambda: not served.hub.is_watched, "no watcher is left")


def test_a_client_that_closes_ends_its_iterators(flow: Gaia) -> None:
    """Another thread that waits for an event finds the stream at its end, without an error."""
    flow.upload("flow", {}, COMMANDS, [ALONE])
    events = flow.watch("flow", 0)
    seen: list[list[dict[str, Any]]] = []
    thread = threading.Thread(target=lambda: seen.append(list(events)))
    thread.start()
    flow.close()
    thread.join(10)
    assert seen == [[]]


def test_a_stream_outlives_a_restart(served: Served, flow: Gaia) -> None:
    """A server that is stopped ends its streams at once, and a client's goes on behind the last event that came."""
    flow.upload("flow", {}, COMMANDS, [ALONE])
    whole, new, quiet = flow.watch("flow", 1), flow.watch("flow", 0), flow.watch("flow", 0)
    assert [event["sequence"] for event in islice(whole, 3)] == [1, 2, 3]
    served.again()
    flow.halt("flow")
    flow.run("flow")
    assert [event["sequence"] for event in islice(whole, 2)] == [4, 5]
    served.again()
    flow.halt("flow")
    assert [event["sequence"] for event in islice(new, 3)] == [4, 5, 6]
    assert [event["sequence"] for event in islice(quiet, 3)] == [4, 5, 6]
    assert [event["sequence"] for event in islice(whole, 1)] == [6]


def test_updates_outlive_a_restart(served: Served, flow: Gaia) -> None:
    """Updates begin again with how the workflow stands then."""
    flow.upload("flow", {}, COMMANDS, [ALONE])
    updates = flow.watch("flow", updates=True)
    assert next(updates)["state"] == "running"
    flow.halt("flow")
    served.again()
    assert next(update for update in updates if update["state"] == "halted")["sequence"] == 4


@pytest.mark.parametrize("updates", [False, True])
def test_a_workflow_that_is_deleted_while_the_stream_is_broken(served: Served, flow: Gaia, updates: bool) -> None:
    """What is left of it is told, to its end, and no new workflow of its name is taken for it."""
    for name in ("gone", "new"):
        flow.upload(name, {}, COMMANDS, [ALONE])
    gone, new = flow.watch("gone", updates=updates), flow.watch("new", updates=updates)
    for stream in (gone, new):
        list(islice(stream, 1 if updates else 3))
    served.stop()
    with Served.on(served) as other, other.client() as behind:
        for name in ("gone", "new"):
            behind.delete(name)
        behind.upload("new", {}, COMMANDS, [ALONE])
    served.start()
    for stream in (gone, new):
        (last,) = list(stream)
        assert last["sequence"] == 4
        assert last["deleted"] if updates else change(last) == "deleted"


class HeldUp(MemoryJournal):
    """A journal that is not read before it may be."""

    is_read, may = threading.Event(), threading.Event()

    def read(self, start: int, end: int) -> Iterator[Record]:
        self.is_read.set()
        assert self.may.wait(30)
        return super().read(start, end)


def test_while_a_server_replays_its_journal_watches_wait(
    served: Served, flow: Gaia, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it knows only in part is neither unknown nor new."""
    flow.upload("flow", {}, COMMANDS, [ALONE])
    served.stop()
    monkeypatch.setattr("tests.unit.service.served.MemoryJournal", HeldUp)
    starting = threading.Thread(target=served.start)
    starting.start()
    assert HeldUp.is_read.wait(30)
    with grpc.insecure_channel(served.config.listen) as channel:
        stub = api_pb2_grpc.GaiaStub(channel)  # type: ignore[no-untyped-call]
        of_one = stub.Watch(api_pb2.WatchRequest(workflow="flow", every_event=True, from_sequence=1))
        with pytest.raises(grpc.RpcError) as silence:
            next(stub.Watch(api_pb2.WatchRequest(), timeout=0.5))
        assert silence.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        HeldUp.may.set()
        starting.join(30)
        assert next(of_one).event.sequence == 1


# The rule of updates, with a sleep that lasts until the test says so.


class Pauses:
    """A sleep that remembers how long it was to last, and ends when it is told to."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.may_end = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.asked.append(seconds)
        await self.may_end.wait()
        self.may_end.clear()


def in_a_loop(test: Callable[[], Awaitable[None]]) -> None:
    """Run a coroutine function to its end."""

    async def run() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(run())


def test_updates_come_four_times_a_second_at_most() -> None:
    """Whatever happens between two updates comes as one; after each the stream pauses for a quarter of a second."""

    async def test() -> None:
        hub, announcer, pauses = WatchHub(), Announcer(), Pauses()

        def happen(*events: Any) -> None:
            for event in events:
                hub.tell(announcer.follow(1, [event]), announcer.updates)

        happen(ev.WorkflowCreated(1, "flow", "me", {}))
        with watching(hub, Pace(), 1, api_pb2.WatchRequest(workflow="flow"), pauses.sleep) as watch:
            responses: AsyncIterator[api_pb2.WatchResponse] = watch.responses
            assert (await anext(responses)).update.sequence == 1
            for burst in range(1, 4):
                following = asyncio.ensure_future(anext(responses))
                happen(*[ev.WorkflowHalted(1)] * 100)
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                assert not following.done()
                pauses.may_end.set()
                assert (await following).update.sequence == 1 + 100 * burst
            assert pauses.asked == [UPDATE_EVERY_S] * 3
            quiet = asyncio.ensure_future(anext(responses))
            pauses.may_end.set()
            await asyncio.sleep(0)
            happen(ev.WorkflowDeleted(1))
            assert (await quiet).update.deleted
            assert [one async for one in responses] == []
        assert not hub.is_watched

    assert UPDATE_EVERY_S >= 1 / 4
    in_a_loop(test)


def test_updates_of_all_pause_once_for_all() -> None:
    """A burst in many workflows is told workflow by workflow, and then the stream pauses."""

    async def test() -> None:
        hub, announcer, pauses = WatchHub(), Announcer(), Pauses()
        for uid in range(1, 6):
            created = ev.WorkflowCreated(uid, f"flow {uid}", "me", {})
            hub.tell(announcer.follow(1, [created]), announcer.updates)
        with watching(hub, Pace(), 0, api_pb2.WatchRequest(), pauses.sleep) as watch:
            assert [(await anext(watch.responses)).update.workflow_uid for _ in range(5)] == [1, 2, 3, 4, 5]
            assert pauses.asked == []
            following = asyncio.ensure_future(anext(watch.responses))
            await asyncio.sleep(0)
            assert pauses.asked == [UPDATE_EVERY_S]
            following.cancel()

    in_a_loop(test)


def test_streams_go_slowly_together_while_very_much_happens() -> None:
    """Below a bound they do not pause; above it all of them share a rate, until it has been quiet for a while."""

    async def test() -> None:
        hub, now_s = WatchHub(), [100.0]
        pauses: list[float] = []

        async def sleep(seconds: float) -> None:
            pauses.append(round(seconds, 6))

        async def rest(sent: int) -> float:
            await pace.rest(hub.told, sent)
            return pauses[-1]

        pace = Pace(lambda: now_s[0], sleep)
        share_s = 20 / CROWD_SENT_PER_S
        hub.told += CROWD_EVENTS
        assert await rest(20) == 0
        hub.told += 1
        assert [await rest(20) for _ in range(3)] == [share_s, 2 * share_s, 3 * share_s]
        assert await rest(0) == 0
        now_s[0] += CROWD_WINDOW_S
        assert await rest(20) == share_s
        assert await rest(20) == 2 * share_s
        now_s[0] += CROWD_WINDOW_S / 2
        assert await rest(20) == share_s
        now_s[0] += CROWD_WINDOW_S
        assert await rest(20) == 0
        hub.told += CROWD_EVENTS
        now_s[0] += CROWD_WINDOW_S / 2
        assert await rest(20) == 0

    in_a_loop(test)


def test_a_stream_of_events_pauses_between_portions() -> None:
    """Others have their turn while one sends what it has to send."""

    async def test() -> None:
        hub, announcer = WatchHub(), Announcer()
        hub.tell(announcer.follow(1, [ev.WorkflowCreated(1, "flow", "me", {}), *[ev.WorkflowHalted(1)] * 99]))
        rests: list[int] = []

        class Noting(Pace):
            async def rest(self, told: int, sent: int) -> None:
                assert told == 100
                rests.append(sent)

        request = api_pb2.WatchRequest(workflow="flow", every_event=True)
        with watching(hub, Noting(), 1, request) as watch:
            numbers = [(await anext(watch.responses)).event.sequence for _ in range(100)]
            assert numbers == list(range(1, 101))
            assert sum(rests) >= 100 - rests[0]
            assert max(rests) <= service_module.EVENTS_AT_ONCE

    in_a_loop(test)


def test_what_a_stream_leaves_out_does_not_slow_it_down() -> None:
    """Only what is sent counts, so a stream of few kinds keeps up with a busy workflow."""

    async def test() -> None:
        hub, announcer = WatchHub(), Announcer()
        created = ev.WorkflowCreated(1, "flow", "me", {})
        hub.tell(announcer.follow(1, [created, *[ev.WorkflowHalted(1)] * 200, ev.WorkflowDeleted(1, data=False)]))
        rests: list[int] = []

        class Noting(Pace):
            async def rest(self, told: int, sent: int) -> None:
                rests.append(sent)

        request = api_pb2.WatchRequest(workflow="flow", every_event=True, kinds=["step_completed"])
        with watching(hub, Noting(), 1, request) as watch:
            assert [one async for one in watch.responses] == []
        assert len(rests) >= 200 // service_module.EVENTS_AT_ONCE
        assert set(rests) == {0}

    in_a_loop(test)
