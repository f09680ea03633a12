"""The one writer: journal first, then acts and answers; failover, lost orders, silent workers."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from gaia_core.coordinator.loop import CONFIRM_EVERY_S, OFFSET_KEPT_S
from gaia_core.coordinator.term import TermEnded
from gaia_core.errors import AlreadyExists, Bug, JournalCorrupt, Overloaded, Unavailable, UnknownName
from gaia_core.machine import reports as rp
from gaia_core.machine import requests as rq
from gaia_core.machine.effects import LookUp
from gaia_core.machine.orders import Cancel, Drain
from gaia_core.wire.frame import wrap
from gaia_core.wire.journal import Entry, Opening, encode_entry
from gaia_core.workflow.model import Fence
from tests.unit.coordinator.shard import LEASE_S, Gate, Hand, Shard, accepted, failed
from tests.unit.machine.deployment import COMMANDS, copy, make, published, snapshot


@pytest.fixture
def shard() -> Shard:
    return Shard().open()


def with_worker(shard: Shard, **more: Any) -> Hand:
    """Let a worker join."""
    hand = Hand(shard, **more)
    hand.hello()
    shard.settle()
    return hand


def before_append(shard: Shard, look: Callable[[], object]) -> None:
    """Call a function before each append of a shard in office."""
    shard.loop.term._journal = Gate(shard.journal, look)


# -- journal first


def test_a_step_runs_from_upload_to_complete(shard: Shard) -> None:
    """Upload, dispatch, completion, dispatch of the dependent, completion."""
    hand = with_worker(shard)
    shard.upload(copy("b", "a.txt", "b.txt"), make("a", "a.txt"))
    assert hand.told() == [("run", "a", 1)]
    hand.complete("a")
    shard.settle()
    assert hand.told() == [("run", "b", 1)]
    hand.complete("b")
    shard.settle()
    assert shard.states() == {"b": "complete", "a": "complete"}


def test_nothing_is_answered_dispatched_or_shown_before_the_append(shard: Shard) -> None:
    """While an entry is on its way, its answers, orders, lookups and followers wait; a query of the batch does, too."""
    hand = with_worker(shard)
    shard.followed.clear()
    seen: list[object] = []
    upload = shard.loop.submit(rq.Upload("flow", {}, COMMANDS, (make("a", "a"), copy("b", "x", "b"))))
    query = shard.loop.submit(rq.ListWorkers())
    refused = shard.loop.submit(rq.GetStatus("nothing"))
    answers = (upload, query, refused)
    before_append(
        shard,
        lambda: seen.append(
            (hand.read(), [one.done() for one in answers], list(shard.followed), list(shard.looked_up))
        ),
    )
    shard.turn()
    assert seen == [([], [False, False, False], [], [])]
    assert upload.result(0).added == ["a", "b"]
    assert len(query.result(0)) == 1
    assert isinstance(refused.exception(0), UnknownName)
    assert len(hand.read()) == len(shard.followed) == 1
    assert shard.looked_up == [LookUp("flow", ("x",))]


def test_one_batch_makes_one_entry(shard: Shard) -> None:
    """What waits together is journaled together, with how far the reports were read."""
    hand = Hand(shard)
    hand.hello()
    shard.settle()
    entries = len(accepted(shard.log))
    for name in ("one", "two", "three"):
        shard.loop.submit(rq.Upload(name, {}, COMMANDS, (make("a", "a"),)))
    shard.turn()
    assert len(accepted(shard.log)) == entries + 1
    assert accepted(shard.log)[-1][1].reports_offset == shard.bus.end_offset()


def test_what_changes_nothing_is_not_journaled(shard: Shard) -> None:
    """Queries, refusals and heartbeats leave no entry."""
    hand = with_worker(shard)
    shard.upload(make("a", "a"))
    hand.read()
    entries = len(accepted(shard.log))
    shard.ask(rq.ListWorkflows())
    with pytest.raises(AlreadyExists):
        shard.upload()
    hand.beat(*hand.fences().values())
    shard.settle()
    assert len(accepted(shard.log)) == entries


def test_a_refusal_changes_nothing(shard: Shard) -> None:
    """After a refusal the state is what it was, and the next request of the batch is carried out."""
    shard.upload(make("a", "out/a"))
    before = snapshot(shard.state)
    refused = shard.loop.submit(rq.Expire("flow", ("a", "nothing")))
    fine = shard.loop.submit(rq.GetStatus("flow"))
    shard.turn()
    assert isinstance(refused.exception(0), UnknownName)
    assert fine.result(0).state == "running"
    assert snapshot(shard.state) == before


def test_later_requests_of_a_batch_see_earlier_ones(shard: Shard) -> None:
    """A batch is carried out in order."""
    first = shard.loop.submit(rq.Upload("flow", {}, COMMANDS, ()))
    second = shard.loop.submit(rq.Upload("flow", {}, COMMANDS, ()))
    third = shard.loop.submit(rq.Merge("flow", (make("a", "a"),)))
    shard.turn()
    assert first.result(0).added == []
    assert isinstance(second.exception(0), AlreadyExists)
    assert third.result(0).added == ["a"]


def test_a_cancelled_request_is_not_carried_out(shard: Shard) -> None:
    """Nobody waits for the answer any more, so nothing is done."""
    answer = shard.loop.submit(rq.Upload("flow", {}, COMMANDS, ()))
    assert answer.cancel()
    shard.turn()
    assert shard.state.workflows == {}


# -- the end of a term


@pytest.mark.parametrize("written", [False, True])
def test_a_failed_append_ends_the_term_and_answers_nothing(shard: Shard, written: bool) -> None:
    """Nothing is dispatched or shown, and whoever waits is told that the outcome is not known."""
    hand = with_worker(shard)
    shard.followed.clear()
    answers = [
        shard.loop.submit(rq.Upload("flow", {}, COMMANDS, (make("a", "a"),))),
        shard.loop.submit(rq.ListWorkers()),
    ]
    shard.journal.fail_next(written=written)
    with pytest.raises(TermEnded):
        shard.turn()
    assert all(map(failed, answers))
    assert (hand.read(), shard.followed) == ([], [])
    successor = shard.successor().open()
    assert list(successor.state.workflows) == (["flow"] if written else [])


def test_a_strangers_opening_ends_the_term(shard: Shard) -> None:
    """A deposed leader neither answers nor dispatches."""
    hand = with_worker(shard)
    shard.log.write(wrap(encode_entry(Entry(-1, 0, 1, opening=Opening(b"o", "there", "test"))), b"opening.")[0])
    answer = shard.loop.submit(rq.Upload("flow", {}, COMMANDS, (make("a", "a"),)))
    with pytest.raises(TermEnded):
        shard.turn()
    assert failed(answer)
    assert hand.read() == []
    assert Shard(shard.log).open().state.workflows == {}


@pytest.mark.parametrize(
    "request_", [rq.Halt("flow"), rq.GetUid("flow"), rq.ListWorkflows()], ids=lambda one: type(one).__name__
)
def test_a_deposed_leader_refuses_and_answers_nothing(shard: Shard, request_: rq.Request) -> None:
    """Not even what needs no entry: a workflow that it does not know may be there by now."""
    shard.successor().open()
    answer = shard.loop.submit(request_)
    with pytest.raises(TermEnded):
        shard.turn()
    assert failed(answer)


def test_a_deposed_leader_without_work_learns_it_within_seconds(shard: Shard) -> None:
    """Else workers that another one ordered something would wait for nobody, with nothing to journal."""
    shard.log.write(b"a record of somebody else")
    shard.pass_time(5)
    shard.successor().open()
    with pytest.raises(TermEnded):
        shard.pass_time(CONFIRM_EVERY_S + 1)


def test_run_ends_with_the_term_and_tells_whoever_waits(shard: Shard) -> None:
    """When the loop ends by itself, requests that wait, cancelled ones among them, do not wait for ever."""
    in_flight = shard.loop.submit(rq.Upload("flow", {}, COMMANDS, ()))
    later: list[Any] = []

    def more() -> None:
        later.extend([shard.loop.submit(rq.ListWorkers()), shard.loop.submit(rq.ListWorkers())])
        later[0].cancel()
        shard.journal.fail_next(written=False)

    before_append(shard, more)
    with pytest.raises(TermEnded):
        shard.loop.run()
    assert failed(in_flight)
    assert later[0].cancelled()
    assert failed(later[1])
    with pytest.raises(Unavailable):
        shard.loop.submit(rq.ListWorkers())


def test_a_bug_is_told_as_one(shard: Shard, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the machine breaks, the loop ends loudly and nobody waits for ever."""
    monkeypatch.setattr("gaia_core.coordinator.loop.handle", lambda *_: 1 / 0)
    answer = shard.loop.submit(rq.ListWorkers())
    with pytest.raises(Bug, match="ZeroDivisionError"):
        shard.loop.run()
    assert failed(answer)


def test_stop_answers_what_is_in_hand_and_refuses_the_rest(shard: Shard) -> None:
    """After `stop` the loop returns, and a request that still waits is told."""
    thread = threading.Thread(target=shard.loop.run)
    thread.start()
    assert shard.loop.submit(rq.ListWorkers()).result(10) == []
    shard.loop.stop()
    thread.join(10)
    assert not thread.is_alive()
    with pytest.raises(Unavailable):
        shard.loop.submit(rq.ListWorkers())


def test_reports_that_cannot_be_read_end_the_term(shard: Shard) -> None:
    """A bus that fails ends the loop with its cause."""
    shard.loop.intake.fail(Unavailable("the bus is gone"))
    with pytest.raises(Unavailable, match="the bus is gone"):
        shard.loop.run()


def test_an_opening_that_fails_tells_whoever_waits() -> None:
    """Requests that came before the leader led are not left alone when it never does."""
    shard = Shard()
    answer = shard.loop.submit(rq.ListWorkers())
    shard.journal.fail_next(written=False)
    with pytest.raises(Unavailable):
        shard.open()
    assert failed(answer)


def test_an_opening_whose_first_batch_fails_tells_whoever_waits_once(shard: Shard) -> None:
    """Requests that were in that batch are told already that their outcome is not known."""
    with_worker(shard).bus.report(b"something to read first")
    successor = shard.successor()
    early = successor.loop.submit(rq.Upload("flow", {}, COMMANDS, (make("a", "a"),)))
    appends: list[None] = []

    def fail_the_second() -> None:
        appends.append(None)
        if len(appends) == 2:
            successor.journal.fail_next(written=False)

    before_append(successor, fail_the_second)
    with pytest.raises(TermEnded):
        successor.open()
    assert failed(early)


# -- failover


def test_recovery_is_what_was_live(shard: Shard) -> None:
    """A new leader's state is the old one's, answers to request ids included."""
    hand = with_worker(shard)
    shard.upload(make("a", "a"), copy("b", "a", "b"), copy("c", "x", "c"), request=rq.RequestId("id", b"digest"))
    hand.read()
    hand.complete("a")
    shard.settle()
    shard.ask(rq.Arrive("flow", (published("x", "v1"),)))
    shard.ask(rq.Halt("flow"))
    successor = shard.successor()
    successor.loop.term.open(0, "there", "test")
    recovered, live = snapshot(successor.state), snapshot(shard.state)
    assert recovered[1:] == live[1:]


def test_a_request_id_is_known_to_the_next_leader(shard: Shard) -> None:
    """A retry across a failover happens once and is answered the same way."""
    identity = rq.RequestId("id", b"digest")
    answer = shard.upload(make("a", "a"), request=identity)
    successor = shard.successor().open()
    assert successor.upload(make("a", "a"), request=identity) == answer
    assert successor.step("a").attempt == shard.step("a").attempt


def test_reports_that_wait_are_taken_in_before_anything_is_dispatched(shard: Shard) -> None:
    """A completion that was on the bus when the leader fell counts: its Step does not run again."""
    hand = with_worker(shard)
    shard.upload(make("a", "a"))
    hand.read()
    successor = shard.successor()
    hand.complete("a")
    early = successor.loop.submit(rq.GetStatus("flow"))
    successor.open()
    assert successor.states() == {"a": "complete"}
    assert hand.read() == []
    successor.settle()
    assert early.result(0).state == "complete"


def test_a_lost_dispatch_is_sent_again_by_the_next_leader(shard: Shard) -> None:
    """A leader that fell between journal and bus: the worker's heartbeat shows that it never heard, and it is told."""
    hand = with_worker(shard)
    answer = shard.loop.submit(rq.Upload("flow", {}, COMMANDS, (make("a", "a"),)))
    shard.loop._perform = lambda _: 1 / 0
    with pytest.raises(ZeroDivisionError):
        shard.turn()
    assert failed(answer)
    successor = shard.successor().open()
    assert successor.states() == {"a": "running"}
    assert hand.told() == []
    hand.beat()
    successor.settle()
    assert hand.told() == [("run", "a", 1)]
    assert hand.fences()["a"].term == successor.loop.term.number
    hand.complete("a")
    successor.settle()
    assert successor.states() == {"a": "complete"}


def test_an_attempt_that_goes_on_is_left_alone_by_the_next_leader(shard: Shard) -> None:
    """A worker that holds what the journal says goes on with it."""
    hand = with_worker(shard)
    shard.upload(make("a", "a"))
    hand.read()
    successor = shard.successor().open()
    hand.beat(*hand.fences().values())
    successor.settle()
    assert hand.told() == []
    hand.complete("a")
    successor.settle()
    assert successor.states() == {"a": "complete"}


def test_a_lost_cancel_is_sent_again_by_the_next_leader(shard: Shard) -> None:
    """An attempt that is stopping and that its worker still holds is cancelled again."""
    hand = with_worker(shard, slots=1)
    shard.upload(make("a", "a"))
    hand.read()
    shard.loop._perform = lambda _: None
    shard.loop.submit(rq.Halt("flow"))
    shard.turn()
    successor = shard.successor().open()
    hand.beat(*hand.fences().values())
    successor.settle()
    assert hand.told() == [("stop", "no longer wanted", 1)]
    hand.say(rp.Cancelled(hand.fences()["a"]))
    successor.settle()
    assert successor.state.fleet.workers["w"].credit == 1


def test_lookups_that_were_under_way_are_asked_for_again(shard: Shard) -> None:
    """A leader that fell before the store answered: the next one asks for every Key that is still lacking."""
    shard.upload(copy("a", "x", "y"), copy("b", "y", "z"), copy("c", "t/", "u", command="list"))
    successor = shard.successor().open()
    (wanted,) = successor.looked_up
    assert (wanted.workflow, sorted(wanted.keys)) == ("flow", ["t/", "x"])


def test_time_goes_on_from_the_journal(shard: Shard) -> None:
    """`now` is the last journaled time plus what passed since, whatever the wall clock says then."""
    shard.time.wall_ms = 0
    shard.time.monotonic_s += 7
    shard.upload()
    assert shard.state.now_ms == 1_007_000
    assert shard.successor().open().state.now_ms == 1_007_000


def test_the_reports_offset_is_kept_young(shard: Shard) -> None:
    """When nothing but heartbeats comes for long, how far they were read is journaled all the same."""
    hand = with_worker(shard)
    entries = len(accepted(shard.log))
    for _ in range(int(OFFSET_KEPT_S) + 1):
        hand.beat()
        shard.pass_time(1)
    assert len(accepted(shard.log)) == entries + 1
    assert not accepted(shard.log)[-1][1].events
    assert shard.successor().open().loop.term.reports_offset > 110


# -- workers


def test_a_silent_worker_loses_its_lease(shard: Shard) -> None:
    """After the lease time its attempts go elsewhere, as the next attempt; before it nothing happens."""
    silent, other = with_worker(shard, name="silent"), Hand(shard, "other")
    shard.upload(make("a", "a"))
    other.hello()
    for _ in range(int(LEASE_S)):
        other.beat()
        shard.pass_time(1)
    assert shard.step("a").worker == "silent"
    other.beat()
    shard.pass_time(1)
    assert (shard.step("a").worker, shard.step("a").attempt) == ("other", 2)
    assert list(shard.state.fleet.workers) == ["other"]
    silent.read()
    silent.complete("a")
    shard.settle()
    assert shard.states() == {"a": "running"}


def test_a_worker_that_was_only_silent_comes_back(shard: Shard) -> None:
    """Its next heartbeat, with its hello, takes it in again, and it is told to stop what went elsewhere."""
    hand = with_worker(shard)
    shard.upload(make("a", "a"))
    hand.read()
    shard.pass_time(LEASE_S + 1)
    assert shard.state.fleet.workers == {}
    hand.hello()
    hand.beat(*hand.fences().values())
    shard.settle()
    assert sorted(hand.told()) == [("run", "a", 2), ("stop", "no longer wanted", 1)]


def test_a_silent_worker_is_lost_also_while_others_never_stop_talking(shard: Shard) -> None:
    """Reports that were on the bus when the lease ended are read first; those that keep coming are not waited for."""
    with_worker(shard, name="silent")
    other = with_worker(shard, name="other")
    end_offset = shard.bus.end_offset
    shard.bus.end_offset = lambda: end_offset() + 5
    for _ in range(int(LEASE_S) + 10):
        other.beat()
        shard.time.monotonic_s += 1
        while shard.loop._crew.offset < end_offset():
            shard.loop._turn(shard.loop.intake.drain(10))
    assert list(shard.state.fleet.workers) == ["other"]


def test_a_heartbeat_that_waits_on_the_bus_saves_a_worker(shard: Shard) -> None:
    """A lease ends only after everything that was on the bus by then was read."""
    hand = with_worker(shard)
    for _ in range(int(LEASE_S)):
        shard.time.monotonic_s += 1
        shard.turn()
    end_offset = shard.bus.end_offset
    shard.bus.end_offset = lambda: end_offset() + 1
    shard.time.monotonic_s += 1
    shard.turn()
    assert list(shard.state.fleet.workers) == ["w"]
    hand.beat()
    shard.bus.end_offset = end_offset
    shard.settle()
    shard.pass_time(2)
    assert list(shard.state.fleet.workers) == ["w"]


def test_a_coordinator_that_was_away_loses_nobody(shard: Shard) -> None:
    """A gap in the loop renews all leases."""
    with_worker(shard)
    shard.time.monotonic_s += 10 * LEASE_S
    shard.settle()
    assert list(shard.state.fleet.workers) == ["w"]


def test_a_new_leader_begins_by_believing_in_all(shard: Shard) -> None:
    """Leases are not journaled: a takeover renews all."""
    with_worker(shard)
    shard.pass_time(LEASE_S - 1)
    successor = shard.successor().open()
    successor.pass_time(LEASE_S - 1)
    assert list(successor.state.fleet.workers) == ["w"]
    successor.pass_time(2)
    assert successor.state.fleet.workers == {}


def test_an_attempt_whose_order_was_read_and_that_is_not_held_is_lost(shard: Shard) -> None:
    """The worker read past the dispatch and does not know it: it goes out again as the next attempt."""
    hand = with_worker(shard)
    shard.upload(make("a", "a"))
    hand.beat()
    shard.settle()
    assert shard.step("a").attempt == 1
    hand.read()
    hand.beat()
    shard.settle()
    assert shard.step("a").attempt == 2
    assert hand.told() == [("run", "a", 2)]


def test_an_earlier_life_is_sent_away(shard: Shard) -> None:
    """A process whose name another one has taken ends what it holds and leaves; the later one is left alone."""
    first = with_worker(shard, incarnation="i1")
    shard.upload(make("a", "a"))
    first.read()
    fences = first.fences()
    second = with_worker(shard, incarnation="i2")
    assert second.told() == [("run", "a", 2)]
    first.beat(*fences.values())
    shard.settle()
    first.orders.clear()
    orders = first.read()
    assert [type(order) for order in orders] == [Cancel, Drain]
    assert second.read() == []
    first.say(rp.Cancelled(fences["a"]), rp.Goodbye("drained"))
    second.beat(*second.fences().values())
    shard.settle()
    assert (shard.states(), shard.state.fleet.workers["w"].incarnation) == ({"a": "running"}, "i2")


def test_an_end_that_is_overtaken_by_a_heartbeat_counts(shard: Shard) -> None:
    """The heartbeat says that the end is on its way, so its attempt is not taken for lost."""
    hand = with_worker(shard)
    shard.upload(make("a", "a"))
    hand.read()
    hand.say(rp.Heartbeat(hand.bus.inbox_offset(), (), (hand.fences()["a"],)))
    shard.settle()
    assert (shard.states(), shard.step("a").attempt) == ({"a": "running"}, 1)
    hand.complete("a")
    shard.settle()
    assert (shard.states(), shard.step("a").attempt) == ({"a": "complete"}, 1)


def test_an_order_whose_delivery_failed_is_sent_again(shard: Shard) -> None:
    """A full inbox takes nothing; with the next heartbeat the same attempt is sent again."""
    hand = with_worker(shard)
    hand.bus._inbox_most = 0
    shard.upload(make("a", "a"))
    hand.bus._inbox_most = 100
    hand.beat()
    shard.settle()
    assert hand.told() == [("run", "a", 1)]


def test_a_worker_that_holds_what_nobody_gave_it_is_told_to_stop(shard: Shard) -> None:
    """An attempt that the coordinator does not know of is cancelled."""
    hand = with_worker(shard)
    hand.beat(Fence(9, 9, 9))
    shard.settle()
    assert hand.told() == [("stop", "no longer wanted", 9)]


def test_an_undecodable_report_is_passed_over(shard: Shard) -> None:
    """Garbage on the bus stops nobody."""
    hand = Hand(shard)
    hand.bus.report(b"\xff\xff\xff")
    hand.bus.report(b"")
    hand.hello()
    shard.settle()
    assert list(shard.state.fleet.workers) == ["w"]


def test_backoffs_end_by_the_clock(shard: Shard) -> None:
    """A Step that waits for its next attempt gets it when its time has come, without any input."""
    hand = with_worker(shard)
    shard.upload(make("a", "a"))
    for attempt in (1, 2):
        assert hand.told() == [("run", "a", attempt)]
        hand.say(rp.Cancelled(hand.fences()["a"]))
        shard.settle()
    assert shard.states() == {"a": "retrying"}
    shard.pass_time(5)
    assert hand.told() == [("run", "a", 3)]


def test_too_many_requests_are_refused_at_the_door(shard: Shard, monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue in front of the loop is bounded."""
    monkeypatch.setattr("gaia_core.coordinator.intake.REQUESTS_WAITING_MAX", 1)
    shard.loop.submit(rq.ListWorkers())
    with pytest.raises(Overloaded):
        shard.loop.submit(rq.ListWorkers())


def test_a_damaged_journal_refuses_to_start(shard: Shard) -> None:
    """A leader does not lead on from what it cannot read."""
    shard.log.write(b"GAIA and nothing more")
    with pytest.raises(JournalCorrupt):
        Shard(shard.log).open()


def test_a_confirmation_is_an_entry_of_the_journal() -> None:
    """Whoever asks whether this is the leader still hears so only once the journal took an entry."""
    shard = Shard().open()
    before = len(accepted(shard.log))
    assert shard.ask(rq.Confirm()) is None
    assert len(accepted(shard.log)) == before + 1


def test_a_deposed_leader_confirms_nothing() -> None:
    """Where another leader took office, asking for a confirmation ends the term."""
    shard = Shard().open()
    shard.successor().open()
    answer = shard.loop.submit(rq.Confirm())
    with pytest.raises(TermEnded):
        shard.turn()
    assert failed(answer)
