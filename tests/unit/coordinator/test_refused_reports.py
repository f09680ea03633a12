"""What the loop does with reports that do not count, records that are none, and orders that cannot be made."""

import logging
from collections.abc import Mapping
from dataclasses import replace

import pytest

from gaia_core.coordinator import inboxes
from gaia_core.coordinator.crew import UNDECODABLE
from gaia_core.machine import outcomes
from gaia_core.machine import reports as rp
from gaia_core.machine.orders import Dispatch
from gaia_core.ports import Aside
from gaia_core.wire import dispatches
from gaia_core.wire.dispatches import DispatchEncoder
from gaia_core.workflow.execution import Frame, frame_of
from gaia_core.workflow.model import Command, Failure, FailureClass, Options
from gaia_core.workflow.state import Step, WorkflowState
from tests.unit.coordinator.shard import LEASE_S, Hand, Shard
from tests.unit.machine.deployment import copy, make


@pytest.fixture
def shard() -> Shard:
    return Shard().open()


@pytest.fixture
def hand(shard: Shard) -> Hand:
    """A worker that was given the Step `a`."""
    hand = Hand(shard)
    hand.hello()
    shard.settle()
    shard.upload(make("a", "a"))
    hand.read()
    return hand


def refused(shard: Shard) -> dict[str, int]:
    shard.settle()
    return dict(shard.loop.refused)


@pytest.mark.parametrize(
    ("worker", "incarnation", "cause"),
    [("stranger", "i1", outcomes.UNKNOWN_WORKER), ("w", "i0", outcomes.EARLIER_LIFE)],
)
def test_a_report_of_another_worker_is_refused_and_counted(
    shard: Shard, hand: Hand, worker: str, incarnation: str, cause: str
) -> None:
    """Only the incarnation that was given an attempt ends it."""
    fence = hand.fences()["a"]
    forger = Hand(shard, worker, incarnation)
    for report in (rp.Completed(fence), rp.Failed(fence, Failure(FailureClass.COMMAND, "no")), rp.Cancelled(fence)):
        forger.say(report)
    assert refused(shard) == {cause: 3}
    assert shard.states() == {"a": "running"}


def test_a_worker_that_has_an_attempt_of_another_one_is_refused(shard: Shard, hand: Hand) -> None:
    """A worker of the deployment has no say about the attempts of others."""
    other = Hand(shard, "other")
    other.hello()
    other.say(rp.Completed(hand.fences()["a"]))
    assert refused(shard) == {outcomes.NOT_HELD: 1}
    assert shard.states() == {"a": "running"}


@pytest.mark.parametrize("change", [{"attempt": 2}, {"attempt": 0}, {"step": 7}, {"workflow_uid": 99}])
def test_a_report_of_another_attempt_is_refused_and_counted(
    shard: Shard, hand: Hand, change: dict[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    """Of a later or earlier attempt, of a Step or workflow that there is not; the log tells how many, and why."""
    hand.say(rp.Completed(hand.fences()["a"]._replace(**change)))
    with caplog.at_level(logging.WARNING):
        assert refused(shard) == {outcomes.NOT_HELD: 1}
    assert shard.states() == {"a": "running"}
    (line,) = [record for record in caplog.records if record.message == "refused reports"]
    assert line.__dict__["refused"] == {outcomes.NOT_HELD: 1}


@pytest.mark.parametrize("difference", [-1, 1, 10**9])
def test_a_report_of_another_term_is_refused_and_counted(shard: Shard, hand: Hand, difference: int) -> None:
    """An attempt that was ordered in this term cannot end in another one."""
    fence = hand.fences()["a"]
    hand.say(rp.Completed(fence._replace(term=fence.term + difference)))
    assert refused(shard) == {outcomes.OTHER_TERM: 1}
    assert shard.states() == {"a": "running"}
    hand.complete("a")
    shard.settle()
    assert shard.states() == {"a": "complete"}


@pytest.mark.parametrize("is_told_again", [False, True])
def test_an_attempt_of_an_earlier_term_ends_in_either(shard: Shard, hand: Hand, is_told_again: bool) -> None:
    """What a worker holds at a takeover may end in the term it was ordered in, or in that of a repetition."""
    successor = shard.successor().open()
    fence = hand.fences()["a"]
    term = successor.loop.term.number if is_told_again else fence.term
    hand.say(rp.Completed(fence._replace(term=successor.loop.term.number + 1)))
    assert refused(successor) == {outcomes.OTHER_TERM: 1}
    hand.say(rp.Completed(fence._replace(term=term)))
    successor.settle()
    assert successor.states() == {"a": "complete"}


def test_a_completion_counts_once(shard: Shard, hand: Hand) -> None:
    """The same report again, in the same record or in a later one, changes nothing and is counted."""
    fence = hand.fences()["a"]
    hand.say(rp.Completed(fence), rp.Completed(fence))
    hand.say(rp.Completed(fence))
    assert refused(shard) == {outcomes.REPEATED: 1, outcomes.NOT_HELD: 1}
    assert (shard.states(), shard.step("a").attempt) == ({"a": "complete"}, 1)


def test_a_woken_worker_completes_nothing_and_publishes_nothing(shard: Shard, hand: Hand) -> None:
    """What a worker that was lost still stored and reported is invisible; the attempt that took over is what counts."""
    other = Hand(shard, "other")
    other.hello()
    for _ in range(int(LEASE_S) + 1):
        other.beat()
        shard.pass_time(1)
    other.read()
    hand.complete("a")
    assert refused(shard) == {outcomes.UNKNOWN_WORKER: 1}
    assert (shard.states(), shard.step("a").published) == ({"a": "running"}, ())
    other.complete("a")
    shard.settle()
    (published,) = shard.step("a").published
    assert [file.version for file in published.files] == ["v2"]


def test_records_that_are_no_reports_are_put_aside(shard: Shard, hand: Hand, caplog: pytest.LogCaptureFixture) -> None:
    """Each is kept with its offset and the cause, all are counted, the log has one line; what follows them counts."""
    kept: list[Aside] = []
    shard.loop.set_aside = kept.append
    first = shard.bus.end_offset()
    garbage = [b"", b"\x00", b"\xff" * 10_000, b"\x0a\x01w", b"\x1a\x02" * 10_000]
    for record in garbage:
        hand.bus.report(record)
    hand.complete("a")
    with caplog.at_level(logging.WARNING):
        assert refused(shard) == {UNDECODABLE: len(garbage)}
    assert [(one.log, one.offset, one.value) for one in kept] == [
        ("reports", first + number, record) for number, record in enumerate(garbage)
    ]
    assert all(one.cause for one in kept)
    assert len([record for record in caplog.records if "no reports" in record.message]) == 1
    assert shard.states() == {"a": "complete"}


# -- orders that cannot be made


def beat_on(shard: Shard, hand: Hand, seconds: int) -> None:
    """Let time pass for a worker that is alive and holds all it was told to run."""
    for _ in range(seconds // 5):
        hand.read()
        hand.beat(*hand.fences().values())
        shard.pass_time(5)


def test_a_step_whose_order_cannot_be_made_fails_and_others_go_on(
    shard: Shard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is wrong with one Step neither ends the loop nor is tried for ever: ENGINE, with the cause."""

    entry = DispatchEncoder.entry

    def broken(self: DispatchEncoder, workflow: WorkflowState, step: Step) -> bytes:
        if step.name == "bad":
            raise KeyError("lost")
        return entry(self, workflow, step)

    monkeypatch.setattr(DispatchEncoder, "entry", broken)
    hand = Hand(shard)
    hand.hello()
    shard.settle()
    shard.upload(make("bad", "b"), make("good", "g"))
    beat_on(shard, hand, 200)
    assert hand.fences().keys() == {"good"}
    hand.complete("good")
    shard.settle()
    assert shard.states() == {"bad": "failed", "good": "complete"}
    failure = shard.step("bad").failure
    assert failure is not None
    assert failure.kind is FailureClass.ENGINE
    assert "KeyError('lost')" in failure.message
    assert shard.state.fleet.workers["w"].credit == hand.slots


def test_an_order_that_no_record_holds_fails_its_step(shard: Shard, monkeypatch: pytest.MonkeyPatch) -> None:
    """An order above what the bus takes is not sent again and again; those beside it are sent."""
    monkeypatch.setattr(inboxes, "ORDERS_BYTES_FULL", 300)
    monkeypatch.setattr(inboxes, "ORDER_BYTES_MAX", 700)
    hand = Hand(shard)
    hand.hello()
    shard.settle()
    shard.upload(make("large", "x" * 800), make("small", "s"), make("small-too", "t"))
    beat_on(shard, hand, 200)
    assert hand.fences().keys() == {"small", "small-too"}
    assert shard.states() == {"large": "failed", "small": "running", "small-too": "running"}
    assert "bytes" in (shard.step("large").failure or Failure(FailureClass.ENGINE, "")).message


def test_text_that_cannot_be_encoded_fails_its_step_alone(shard: Shard, monkeypatch: pytest.MonkeyPatch) -> None:
    """One order that protobuf refuses does not take the others of its record with it."""

    def odd(workflow: str, command: Command, own: Options, values: Mapping[str, str]) -> Frame:
        frame = frame_of(workflow, command, own, values)
        return replace(frame, execution=replace(frame.execution, workdir="\ud800")) if own.keep else frame

    monkeypatch.setattr(dispatches, "frame_of", odd)
    hand = Hand(shard)
    hand.hello()
    shard.settle()
    shard.upload(make("even", "e"), make("odd", "o", options=Options(keep="on_failure")), copy("next", "e", "n"))
    shard.turn()
    assert [order.execution.step for order in hand.read() if isinstance(order, Dispatch)] == ["even"]
    assert shard.states() == {"even": "running", "odd": "retrying", "next": "waiting"}
