"""The rules of the worker's loop: which orders count, what is held, what is said, when it leaves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from gaia.v1 import worker_pb2
from gaia_core.errors import InboxLost, Unavailable
from gaia_core.machine.orders import Drain
from gaia_core.machine.reports import Cancelled, Completed, Failed, Goodbye, Heartbeat, Hello, Report
from gaia_core.ports import Aside
from gaia_core.wire.inbox import execution_from_proto
from gaia_core.workflow.model import Execution, Failure, FailureClass, Resources
from gaia_worker.agent import Agent, RunAttempt
from gaia_worker.control import Control
from gaia_worker.outbox import Outbox
from gaia_worker.pace import Pace
from gaia_worker.settings import WorkerSettings
from tests.support.waiting import wait_until
from tests.unit.worker.fakes import INCARNATION, WORKER, ScriptedBus, cancel, dispatch, execution, inbox

ENDS = (Completed, Failed, Cancelled)


class Clock:
    """A clock that moves when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Programs:
    """Attempts that run until they are let go or stopped."""

    def __init__(self) -> None:
        self.started: list[int] = []
        self.let_go = threading.Event()

    def run(
        self, execution: Execution, control: Control, say: Callable[[Report], None]
    ) -> Completed | Failed | Cancelled:
        self.started.append(execution.fence.step)
        wait_until(lambda: self.let_go.is_set() or control.stopped.is_set(), "the program to end", every_s=0.001)
        return control.end(execution.fence) if control.stopped.is_set() else Completed(execution.fence)

    def wait_started(self, count: int) -> None:
        wait_until(lambda: len(self.started) >= count, "programs to start", every_s=0.001)


def agent(
    bus: ScriptedBus, run: RunAttempt | None = None, *, slots: int = 1, clock: Clock | None = None, **more: float
) -> Agent:
    """Return an agent that drains when its script is over."""
    settings = WorkerSettings(WORKER, slots=slots, scratch=Path("unused"), deployment="d", **more)  # type: ignore[arg-type]
    made = Agent(settings, INCARNATION, bus, "fake", run, clock or Clock())
    if not more.get("idle_exit_s"):
        bus.at_end = made.drain
    return made


def steps(reports: Sequence[Report]) -> list[int]:
    return [report.fence.step for report in reports]  # type: ignore[union-attr]


def test_first_word_is_hello_and_last_is_goodbye() -> None:
    """A worker says where its inbox starts before anything else, and that it leaves after everything else."""
    bus = ScriptedBus([inbox(dispatch(0))])
    assert agent(bus).run() == "drained"
    first, *_, last = bus.reports()
    assert isinstance(first, Hello)
    assert (first.partition, first.start_offset, first.slots, first.prefetch) == (7, 100, 1, 4096)
    assert last == Goodbye("drained")


def test_orders_for_another_incarnation_or_worker_are_ignored() -> None:
    """Only records for this life of this worker count."""
    bus = ScriptedBus([inbox(dispatch(0), incarnation="life-0"), inbox(dispatch(1), worker="w2"), inbox(dispatch(2))])
    agent(bus).run()
    assert steps(bus.reports(*ENDS)) == [2]


def test_orders_of_a_deposed_leader_are_ignored() -> None:
    """A term below the highest seen gives no orders."""
    bus = ScriptedBus([inbox(dispatch(0), term=5)], [inbox(dispatch(1), term=4), inbox(dispatch(2), term=5)])
    agent(bus).run()
    assert steps(bus.reports(*ENDS)) == [0, 2]


def test_undecodable_record_is_skipped() -> None:
    """Garbage in the inbox is put aside and does not stop what follows it."""
    garbage = [b"\xff\xff\xff", b"", b"\x22\x02" * 10_000, b"\xff" * 1_000_000]
    bus = ScriptedBus([*garbage, inbox(dispatch(1))])
    aside: list[Aside] = []
    worker = agent(bus)
    worker._set_aside = aside.append
    worker.run()
    assert steps(bus.reports(*ENDS)) == [1]
    places = [("inbox", 7, 100 + number, value) for number, value in enumerate(garbage)]
    assert [(one.log, one.partition, one.offset, one.value) for one in aside] == places


def test_order_that_cannot_be_followed_is_a_failure_of_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is wrong with one order ends its attempt with words; the worker goes on with the others."""

    def decode(order: worker_pb2.Dispatch) -> Execution:
        if order.step_name == "step-0":
            raise ValueError("nothing to be made of it")
        return execution_from_proto(order)

    monkeypatch.setattr("gaia_worker.agent.execution_from_proto", decode)
    programs = Programs()
    programs.let_go.set()
    bus = ScriptedBus([inbox(dispatch(0), dispatch(1))], lambda: programs.wait_started(1))
    agent(bus, programs.run).run()
    failed, completed = bus.reports(*ENDS)
    assert isinstance(failed, Failed)
    assert (failed.failure.kind, failed.fence.step) == (FailureClass.ENGINE, 0)
    assert "nothing to be made of it" in failed.failure.message
    assert isinstance(completed, Completed)


def test_dispatch_sent_again_runs_once() -> None:
    """An attempt is known for the rest of the incarnation's life, whoever's term sends it again."""
    bus = ScriptedBus(
        [inbox(dispatch(0), dispatch(0))], [inbox(dispatch(0), term=2), inbox(dispatch(0, attempt=2), term=2)]
    )
    agent(bus).run()
    assert [(end.fence.step, end.fence.attempt) for end in bus.reports(Completed)] == [(0, 1), (0, 2)]  # type: ignore[union-attr]


def test_cancel_ahead_of_its_dispatch_is_kept() -> None:
    """A cancel that overtakes its dispatch is answered when the dispatch comes, and nothing runs."""
    programs = Programs()
    bus = ScriptedBus([inbox(cancel(3))], [inbox(dispatch(3))])
    agent(bus, programs.run).run()
    assert bus.reports(*ENDS) == [Cancelled(execution(3).fence)]
    assert programs.started == []


def test_cancel_of_an_ended_attempt_is_no_news() -> None:
    """A cancel that comes after the end changes nothing and says nothing."""
    bus = ScriptedBus([inbox(dispatch(0))], [inbox(cancel(0))])
    agent(bus).run()
    assert bus.reports(*ENDS) == [Completed(execution(0).fence)]


def test_cancel_stops_what_runs_and_takes_back_what_waits() -> None:
    """A running attempt is stopped and a queued one never starts; both are reported as cancelled."""
    programs = Programs()
    bus = ScriptedBus(
        [inbox(dispatch(0), dispatch(1))],
        lambda: programs.wait_started(1),
        [inbox(cancel(1), cancel(0))],
    )
    agent(bus, programs.run).run()
    assert sorted(steps(bus.reports(Cancelled))) == [0, 1]
    assert programs.started == [0]


def test_drain_finishes_what_runs_and_gives_back_what_waits() -> None:
    """A draining worker loses nothing: running attempts end well, queued and later ones go elsewhere."""
    programs = Programs()
    bus = ScriptedBus(
        [inbox(dispatch(0), dispatch(1))],
        lambda: programs.wait_started(1),
        [inbox(Drain(), dispatch(2))],
        programs.let_go.set,
    )
    assert agent(bus, programs.run).run() == "drained"
    assert steps(bus.reports(Completed)) == [0]
    given_back = bus.reports(Failed)
    assert sorted(steps(given_back)) == [1, 2]
    assert {(report.failure.kind, report.unstarted) for report in given_back} == {(FailureClass.LOST, True)}  # type: ignore[union-attr]
    first_end = next(place for place, report in enumerate(bus.reports()) if isinstance(report, Failed))
    assert Hello in {type(report) for report in bus.reports()[1:first_end]}
    assert [hello.draining for hello in bus.reports(Hello)] == [False, True]  # type: ignore[union-attr]


def test_a_worker_that_is_not_wanted_knows_why() -> None:
    """A drain may have a reason, for the person who started the worker."""
    bus = ScriptedBus([inbox(Drain("It is too old."))])
    made = agent(bus, Programs().run)
    assert made.run() == "drained"
    assert made.sent_away == "It is too old."


def test_stop_now_kills_what_runs() -> None:
    """A worker that is stopped at once kills its attempts and says that they were lost, not cancelled."""
    programs = Programs()
    bus = ScriptedBus([inbox(dispatch(0))], lambda: programs.wait_started(1))
    made = agent(bus, programs.run)
    bus.at_end = made.stop_now
    assert made.run() == "stopped"
    (end,) = bus.reports(*ENDS)
    assert isinstance(end, Failed)
    assert end.failure.kind is FailureClass.LOST


def test_instant_completions_of_one_receive_travel_together() -> None:
    """Hundreds of no-op Steps cost one report record."""
    bus = ScriptedBus(
        [inbox(*(dispatch(step) for step in range(250))), inbox(*(dispatch(step) for step in range(250, 500)))]
    )
    agent(bus).run()
    (record,) = [record for record in bus.records if isinstance(record.reports[0], Completed)]
    assert [report.fence.step for report in record.reports] == list(range(500))  # type: ignore[union-attr]


def test_reports_that_gather_behind_a_slow_bus_travel_together() -> None:
    """What ends while a record is being handed over shares the next one."""
    handing_over, go_on = threading.Event(), threading.Event()

    class SlowBus(ScriptedBus):
        def report(self, record: bytes) -> None:
            handing_over.set()
            assert go_on.wait(10)
            super().report(record)

    bus = SlowBus()
    outbox = Outbox(WORKER, INCARNATION, bus)
    outbox.add(Goodbye("first"))
    first = threading.Thread(target=outbox.send)
    first.start()
    assert handing_over.wait(10)
    for step in range(5):
        outbox.add(Completed(execution(step).fence))
    go_on.set()
    outbox.send()
    first.join()
    assert [len(record.reports) for record in bus.records] == [1, 5]


def test_heartbeat_lists_what_runs_and_waits_and_how_far_the_inbox_was_followed() -> None:
    """A heartbeat names every attempt held; it comes when its time has come, not before."""
    programs, clock = Programs(), Clock()

    def later() -> list[bytes]:
        programs.wait_started(1)
        clock.now = 5.0
        return [inbox(dispatch(1))]

    bus = ScriptedBus([inbox(dispatch(0)), inbox(dispatch(0), incarnation="other")], later, programs.let_go.set)
    agent(bus, programs.run, clock=clock).run()
    (heartbeat,) = bus.reports(Heartbeat)
    assert heartbeat == Heartbeat(103, (execution(0).fence, execution(1).fence))


@pytest.mark.parametrize(("told", "said"), [({}, [2, 40, 4]), ({"prefetch": 7}, [7, 7, 7])])
def test_what_a_worker_may_hold_follows_its_pace(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, int], said: list[int]
) -> None:
    """Each heartbeat's hello says what quick or slow programs need, unless that was configured."""
    needed = [40, 4]
    monkeypatch.setattr(Pace, "adapt", lambda pace: setattr(pace, "prefetch", needed.pop(0)))
    clock, bus = Clock(), ScriptedBus()
    worker = agent(bus, Programs().run, clock=clock, **told)
    bus.at_end = lambda: None
    worker.begin()
    for beat in (5.0, 10.0):
        clock.now = beat
        worker.turn()
    assert [hello.prefetch for hello in bus.reports(Hello)] == said


def test_heartbeat_lists_ends_that_may_not_have_arrived() -> None:
    """An attempt is in every heartbeat until its end is acknowledged: in whatever order records land, none is lost."""
    clock = Clock()
    bus = ScriptedBus()
    bus.lost_acknowledgements = 1

    def acknowledged(*, all_but: int) -> Callable[[], list[bytes]]:
        def move() -> list[bytes]:
            bus.lost_acknowledgements = all_but
            clock.now += 5.0
            return []

        return move

    bus._turns.extend([[inbox(dispatch(0), dispatch(1))], acknowledged(all_but=1), acknowledged(all_but=0)])
    agent(bus, clock=clock).run()
    first, second = bus.reports(Heartbeat)
    assert first == Heartbeat(101, (), (execution(0).fence, execution(1).fence))
    assert second == Heartbeat(101, (), ())


def test_ends_of_programs_are_listed_too() -> None:
    """However an attempt ends: completed, failed or cancelled."""
    programs, clock = Programs(), Clock()
    bus = ScriptedBus()
    bus.lost_acknowledgements = 10

    def ended() -> list[bytes]:
        programs.let_go.set()
        wait_until(lambda: len(bus.reports(*ENDS)) == 2, "both ends", every_s=0.001)
        clock.now = 5.0
        return []

    bus._turns.extend([[inbox(dispatch(0), dispatch(1))], [inbox(cancel(1))], ended])
    agent(bus, programs.run, clock=clock).run()
    (heartbeat,) = bus.reports(Heartbeat)
    assert heartbeat.held == ()
    assert {fence.step for fence in heartbeat.finished} == {0, 1}


def test_idle_worker_leaves_only_when_told_to() -> None:
    """A launched worker leaves once nothing ran for its idle time; the time starts anew with each attempt."""
    clock = Clock()

    def at(now: float, *orders: bytes) -> Callable[[], list[bytes]]:
        def move() -> list[bytes]:
            clock.now = now
            return list(orders)

        return move

    bus = ScriptedBus(at(59.0), at(59.5, inbox(dispatch(0))), at(119.0), at(119.6))
    assert agent(bus, clock=clock, idle_exit_s=60.0).run() == "idle"
    assert clock.now == 119.6
    assert steps(bus.reports(Completed)) == [0]


def test_attempt_that_breaks_the_worker_is_reported() -> None:
    """A bug in running one attempt ends that attempt as a failure of the engine, and the worker goes on."""

    def run(execution: Execution, control: Control, say: Callable[[Report], None]) -> Completed:
        if execution.fence.step == 0:
            raise ZeroDivisionError
        return Completed(execution.fence)

    programs_ran = ScriptedBus([inbox(dispatch(0), dispatch(1))])
    programs_ran._turns.append(
        lambda: wait_until(lambda: len(programs_ran.reports(*ENDS)) == 2, "both ends", every_s=0.001) and None
    )
    agent(programs_ran, run).run()
    failed, completed = programs_ran.reports(*ENDS)
    assert isinstance(failed, Failed)
    assert failed.failure.kind is FailureClass.ENGINE
    assert isinstance(completed, Completed)


def test_an_end_that_no_report_can_carry_is_reported_as_a_failure() -> None:
    """Whatever an end says, its attempt is let go of; one that stayed held would run for ever."""

    def run(execution: Execution, control: Control, say: Callable[[Report], None]) -> Failed:
        return Failed(execution.fence, Failure(FailureClass.COMMAND, "no text: \udcff"))

    bus = ScriptedBus([inbox(dispatch(0))])
    worker = agent(bus, run)
    worker.run()
    (failed,) = bus.reports(*ENDS)
    assert isinstance(failed, Failed)
    assert failed.failure.kind is FailureClass.ENGINE
    assert "\\udcff" in failed.failure.message
    assert not worker._held


def test_lost_orders_end_the_incarnation_and_what_it_runs() -> None:
    """A worker that cannot know what it was told kills what runs and leaves the rest to its next incarnation."""
    programs = Programs()

    def cut_off() -> list[bytes]:
        programs.wait_started(1)
        raise InboxLost("orders are gone")

    bus = ScriptedBus([inbox(dispatch(0))], cut_off)
    with pytest.raises(InboxLost):
        agent(bus, programs.run).run()
    assert [type(report) for report in bus.reports(*ENDS)] == [Failed]


def test_an_inbox_that_does_not_answer_is_asked_again() -> None:
    """Kafka that stays away for a while ends nothing."""

    def away() -> list[bytes]:
        raise Unavailable("Kafka does not answer")

    bus = ScriptedBus(away, [inbox(dispatch(0))])
    assert agent(bus).run() == "drained"
    assert steps(bus.reports(*ENDS)) == [0]


def test_a_worker_in_trouble_gives_back_what_waits_and_takes_nothing_until_it_is_well() -> None:
    """It says so before anything follows from it; what runs is finished; well again, it takes new attempts."""
    programs, trouble = Programs(), [""]

    def fall_ill() -> None:
        programs.wait_started(1)
        trouble[0] = "the disk is full"

    def recover() -> None:
        trouble[0] = ""
        programs.let_go.set()

    bus = ScriptedBus(
        [inbox(dispatch(0), dispatch(1))],
        fall_ill,
        [inbox(dispatch(2))],
        recover,
        [],
        [inbox(dispatch(3))],
        lambda: programs.wait_started(2),
    )
    made = agent(bus, programs.run)
    made.health = lambda: trouble[0]
    assert made.run() == "drained"
    given_back = bus.reports(Failed)
    assert sorted(steps(given_back)) == [1, 2]
    assert {(end.failure.kind, end.failure.message, end.unstarted) for end in given_back} == {  # type: ignore[union-attr]
        (FailureClass.LOST, "the worker takes nothing new: the disk is full", True)
    }
    assert sorted(steps(bus.reports(Completed))) == [0, 3]
    assert [hello.trouble for hello in bus.reports(Hello)] == ["", "the disk is full", "", ""]  # type: ignore[union-attr]
    said = bus.reports()
    ill = next(place for place, one in enumerate(said) if isinstance(one, Hello) and one.trouble)
    assert all(said.index(end) > ill for end in given_back)


def test_hello_tells_what_a_worker_has() -> None:
    """The coordinator gives it no more than that."""
    bus = ScriptedBus()
    agent(bus, resources=Resources(2.0, 3, 1)).run()  # type: ignore[arg-type]
    assert bus.reports(Hello)[0].resources == Resources(2.0, 3, 1)  # type: ignore[union-attr]
