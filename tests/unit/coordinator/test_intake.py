"""What waits for the loop: bounds, order, and the end."""

import threading

import pytest

from gaia_core.coordinator import intake as module
from gaia_core.coordinator.intake import REPORT_BATCHES_WAITING_MAX, Intake
from gaia_core.errors import Overloaded, Unavailable
from gaia_core.machine.requests import ListWorkers
from gaia_core.ports import ReportBatch
from tests.support.waiting import wait_until


def test_everything_that_waits_comes_in_order() -> None:
    """One drain takes all requests and reports, in the order they came."""
    intake = Intake()
    answers = [intake.submit(ListWorkers()) for _ in range(3)]
    intake.put_reports(ReportBatch([b"1"], 1))
    intake.put_reports(ReportBatch([b"2"], 2))
    batch = intake.drain(0)
    assert [submission.answer for submission in batch.submissions] == answers
    assert [reports.next_offset for reports in batch.reports] == [1, 2]
    assert intake.drain(0) == module.Batch([], [])


def test_too_many_requests_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue is bounded, and has room again after a drain."""
    monkeypatch.setattr(module, "REQUESTS_WAITING_MAX", 2)
    intake = Intake()
    intake.submit(ListWorkers())
    intake.submit(ListWorkers())
    with pytest.raises(Overloaded, match="2 requests"):
        intake.submit(ListWorkers())
    intake.drain(0)
    intake.submit(ListWorkers())


def test_too_many_reports_make_the_bus_wait() -> None:
    """Whoever brings reports is held up while too many wait, and goes on after a drain."""
    intake = Intake()
    for offset in range(REPORT_BATCHES_WAITING_MAX):
        intake.put_reports(ReportBatch([], offset))
    thread = threading.Thread(target=intake.put_reports, args=(ReportBatch([], 99),))
    thread.start()
    assert len(intake.drain(0).reports) == REPORT_BATCHES_WAITING_MAX
    thread.join(10)
    assert [batch.next_offset for batch in intake.drain(10).reports] == [99]


def test_closing_lets_a_waiting_bus_go() -> None:
    """A bus that is held up is not held up for ever."""
    intake = Intake()
    for offset in range(REPORT_BATCHES_WAITING_MAX):
        intake.put_reports(ReportBatch([], offset))
    thread = threading.Thread(target=intake.put_reports, args=(ReportBatch([], 99),))
    thread.start()
    intake.close()
    thread.join(10)
    assert not thread.is_alive()


def test_a_failure_is_raised_by_every_drain() -> None:
    """The reports cannot be read any more: the loop hears of it before anything else."""
    intake = Intake()
    intake.submit(ListWorkers())
    intake.fail(Unavailable("gone"))
    for _ in range(2):
        with pytest.raises(Unavailable, match="gone"):
            intake.drain(0)


def test_waking_ends_one_wait() -> None:
    """A drain that waits returns, and the next one waits again."""
    intake = Intake()
    drained = threading.Event()

    def wait() -> None:
        intake.drain(60)
        drained.set()

    thread = threading.Thread(target=wait)
    thread.start()
    intake.wake()
    wait_until(drained.is_set, "the drain to return")
    thread.join()
    assert intake.drain(0) == module.Batch([], [])


def test_after_closing_nothing_is_taken() -> None:
    """What waited is handed back once, and whoever comes later is told."""
    intake = Intake()
    answer = intake.submit(ListWorkers())
    assert [submission.answer for submission in intake.close()] == [answer]
    assert intake.close() == []
    with pytest.raises(Unavailable, match="shutting down"):
        intake.submit(ListWorkers())
