"""What waits for the loop: bounds, order, and the end."""

import threading

import pytest

from gaia_core.coordinator import intake as module
from gaia_core.coordinator.intake import (
    REPORT_BATCHES_WAITING_MAX,
    REPORT_BYTES_AT_ONCE,
    REPORT_BYTES_BESIDE_REQUESTS,
    STEPS_BESIDE_OTHERS_MAX,
    Intake,
)
from gaia_core.errors import Overloaded, Unavailable
from gaia_core.machine.requests import CheckSteps, ListWorkers, Merge, Upload
from gaia_core.ports import ReportBatch
from gaia_core.workflow.form.items import Reading
from gaia_core.workflow.model import StepSpec
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


def upload(*steps: StepSpec) -> Upload:
    return Upload("flow", {}, (), steps)


@pytest.mark.parametrize(
    "large",
    [
        upload(*(StepSpec(f"s{n}", "c") for n in range(STEPS_BESIDE_OTHERS_MAX + 1))),
        Merge("flow", (StepSpec("s", "c", vars={"n": tuple(range(STEPS_BESIDE_OTHERS_MAX + 1))}),)),
        CheckSteps("flow", Reading([StepSpec("s", "c", vars={"n": tuple(range(40)), "m": tuple(range(40))})])),
    ],
)
def test_what_came_before_a_large_request_does_not_wait_for_it(large: Upload | Merge | CheckSteps) -> None:
    """A request about very many Steps is a batch of its own, in its turn; others come together."""
    intake = Intake()
    given = [ListWorkers(), upload(StepSpec("s", "c")), large, ListWorkers(), ListWorkers()]
    for request in given:
        intake.submit(request)
    batches = [[one.request for one in intake.drain(0).submissions] for _ in range(3)]
    assert batches == [given[:2], [large], given[3:]]


@pytest.mark.parametrize(("waits", "most"), [(False, REPORT_BYTES_AT_ONCE), (True, REPORT_BYTES_BESIDE_REQUESTS)])
def test_a_batch_has_not_too_many_reports(*, waits: bool, most: int) -> None:
    """Each batch takes some of them, fewer while somebody waits for an answer; none is lost or out of order."""
    intake = Intake()
    records = [bytes([n]) * 1_000 for n in range(200)]
    intake.put_reports(ReportBatch(records[:150], 1_150))
    intake.put_reports(ReportBatch(records[150:], 1_200))
    found: list[bytes] = []
    while len(found) < len(records):
        if waits:
            intake.submit(ListWorkers())
        reports = intake.drain(0).reports
        assert 0 < sum(len(record) for batch in reports for record in batch.records) < most + 1_000
        for batch in reports:
            found += batch.records
            assert batch.next_offset == 1_000 + len(found)
    assert found == records


def test_a_record_that_is_larger_than_a_batch_comes_alone() -> None:
    """However large a record is, it is dealt with."""
    intake = Intake()
    intake.put_reports(ReportBatch([bytes(10 * REPORT_BYTES_AT_ONCE), b"next"], 2))
    assert [len(intake.drain(0).reports[0].records) for _ in range(2)] == [1, 1]


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
