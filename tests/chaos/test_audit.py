"""The auditor itself: it finds nothing in a run that went well, and names whatever is forged in it."""

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import replace
from functools import cache

import pytest

from gaia_core.machine import events as own
from gaia_core.machine import reports as rp
from gaia_core.machine.orders import Dispatch
from gaia_core.machine.state import Deployment
from gaia_core.ports import Record
from gaia_core.wire.frame import wrap
from gaia_core.wire.inbox import decode_inbox, encode_inbox
from gaia_core.wire.journal import Entry, encode_entry
from gaia_core.wire.reports import decode_reports, encode_reports
from gaia_core.workflow import events as ev
from gaia_core.workflow.model import Failure, FailureClass, FileVersion, Publication
from tests.chaos.audit import IS_NOT_THERE, Acknowledged, History, InboxSeen, Recording, ReportSeen, accepted, audit
from tests.chaos.simulate import recorded
from tests.chaos.surroundings import SimStore
from tests.chaos.world import World

LOST = Failure(FailureClass.LOST, "worker 'worker-0' gave the attempt up")


@cache
def _run() -> Recording:
    """A run in which something of everything happened."""
    for seed in range(1, 300):
        recording = recorded(seed)
        ends = len(list(_completions(recording)))
        if ends >= 5 and len(recording.acknowledged) >= 5 and _reading(recording) and _holds_files(recording):
            return recording
    raise AssertionError("no seed does enough")


@pytest.fixture
def run() -> Recording:
    """The recorded run, to be forged; what is in it must be replaced, not changed."""
    whole = _run()
    lists = ("journal", "reports", "inboxes", "events", "acknowledged")
    return replace(whole, **{name: list(getattr(whole, name)) for name in lists})


def _events(recording: Recording, kind: type) -> Iterator[tuple[int, own.Event]]:
    for offset, entry in accepted(recording.journal):
        yield from ((offset, event) for event in entry.events if isinstance(event, kind))


def _completions(recording: Recording) -> Iterator[ev.StepsCompleted]:
    return (event for _, event in _events(recording, ev.StepsCompleted))  # type: ignore[misc]


def _dispatches(recording: Recording) -> list[tuple[int, Dispatch]]:
    """Return the places of inbox records with the dispatches in them."""
    return [
        (place, order)
        for place, seen in enumerate(recording.inboxes)
        if seen.record
        for order in decode_inbox(seen.record).orders
        if isinstance(order, Dispatch)
    ]


def _reading(recording: Recording) -> list[tuple[int, Dispatch]]:
    return [(place, one) for place, one in _dispatches(recording) if any(i.sources for i in one.execution.inputs)]


def _holds_files(recording: Recording) -> bool:
    """Tell whether anything that was published still counts at the end."""
    assert recording.live is not None
    return any(step.published for flow in recording.live.workflows.values() for step in flow.steps.values())


def append(run: Recording, *events: own.Event, reports_offset: int | None = None) -> None:
    """Journal something, as the leader would, and how far the reports were read, where that is something else."""
    entries = list(accepted(run.journal))
    opening = max(offset for offset, entry in entries if entry.opening is not None)
    last, entry = entries[-1]
    end = run.journal[-1].offset + 1
    read_to = entry.reports_offset if reports_offset is None else reports_offset
    forged = Entry(opening, last, entry.now_ms, events, read_to)
    run.journal.append(Record(end, wrap(encode_entry(forged), b"forged..")[0]))
    run.journal_times = {**run.journal_times, end: max(run.journal_times.values()) + 1}


# ---- what is forged, and the rule that finds it


def a_lost_answer(run: Recording) -> None:
    """A client has an answer that the journal does not know."""
    run.acknowledged.append(Acknowledged("never", is_refused=False))


def another_answer(run: Recording) -> None:
    """A client was told something else."""
    place = next(n for n, one in enumerate(run.acknowledged) if one.answer)
    run.acknowledged[place] = replace(run.acknowledged[place], answer='{"workflow":"another","state":"halted"}')


def a_refusal_that_was_none(run: Recording) -> None:
    """A client was refused what was carried out."""
    place = next(n for n, one in enumerate(run.acknowledged) if not one.is_refused)
    run.acknowledged[place] = replace(run.acknowledged[place], is_refused=True)


def a_refusal_from_long_ago(run: Recording) -> None:
    """A client was told that a workflow is not there, long after it was created."""
    born, event = next(_events(run, ev.WorkflowCreated))
    run.journal = [record for record in run.journal if record.offset <= born]
    asked_s = run.journal_times[born] + 1
    name = event.name  # type: ignore[union-attr]
    run.acknowledged = [Acknowledged("late", True, None, name, IS_NOT_THERE, asked_s, asked_s + 1)]


def a_request_carried_out_twice(run: Recording) -> None:
    """A request id is answered anew."""
    append(run, next(event for _, event in _events(run, own.RequestAnswered)))


def a_completion_counted_twice(run: Recording) -> None:
    """A completion is journaled again."""
    append(run, next(_completions(run)))


def a_completion_of_another_attempt(run: Recording) -> None:
    """An attempt completes that is not the current one."""
    append(run, replace(next(_completions(run)), attempts=(77,) * len(next(_completions(run)).attempts)))


def a_failure_of_an_ended_attempt(run: Recording) -> None:
    """An attempt fails that is over."""
    done = next(_completions(run))
    append(run, ev.AttemptFailed(done.uid, done.worker, done.steps[0], done.attempts[0], LOST))


def an_attempt_number_used_again(run: Recording) -> None:
    """A Step is dispatched with the number of an earlier attempt."""
    append(run, next(event for _, event in _events(run, ev.StepsDispatched)))


def an_end_that_nobody_reported(run: Recording) -> None:
    """A completion is journaled of which no report tells."""
    run.reports = [seen for seen in run.reports if not _tells_of(seen, rp.Completed)] + [ReportSeen(b"\xff")]


def a_dispatch_without_entry(run: Recording) -> None:
    """A worker is told to run what the journal does not know."""
    place, order = _dispatches(run)[0]
    inbox = decode_inbox(run.inboxes[place].record)
    fence = order.execution.fence._replace(attempt=88)
    forged = replace(inbox, orders=(Dispatch(replace(order.execution, fence=fence)),))
    run.inboxes.append(InboxSeen(inbox.worker, encode_inbox(forged)))


def a_dispatch_before_its_entry(run: Recording) -> None:
    """A worker is told to run what is journaled only then."""
    place, _ = _dispatches(run)[-1]
    run.inboxes[place] = run.inboxes[place]._replace(journal_end=0)


def a_dispatch_to_another_worker(run: Recording) -> None:
    """Another worker is told to run it than the journal says."""
    place, _ = _dispatches(run)[0]
    inbox = replace(decode_inbox(run.inboxes[place].record), worker="somebody")
    run.inboxes.append(InboxSeen("somebody", encode_inbox(inbox)))


def an_input_that_nobody_published(run: Recording) -> None:
    """A worker is sent to a version that no accepted attempt wrote."""
    place, order = _reading(run)[0]
    inbox = decode_inbox(run.inboxes[place].record)
    item = next(item for item in order.execution.inputs if item.sources)
    source = Publication(item.key, (FileVersion(item.key, "forged", 1, b""),))
    forged = Dispatch(replace(order.execution, inputs=(replace(item, sources=(source,)),)))
    run.inboxes.append(InboxSeen(inbox.worker, encode_inbox(replace(inbox, orders=(forged,)))))


def a_stop_that_nobody_decided(run: Recording) -> None:
    """An attempt ends as cancelled that the journal did not stop: the run is cut after its dispatch."""
    offset, event = next(_events(run, ev.StepsDispatched))
    run.journal = [record for record in run.journal if record.offset <= offset]
    append(run, ev.AttemptFailed(event.uid, event.worker, event.steps[0], event.attempts[0], LOST))  # type: ignore[union-attr]


def an_event_published_twice(run: Recording) -> None:
    """A public event is there again."""
    run.events.append(run.events[3])


def an_event_left_out(run: Recording) -> None:
    """A public event is not there."""
    del run.events[1]


def an_event_that_is_not_true(run: Recording) -> None:
    """A public event tells something else than the journal."""
    run.events[1] = run.events[1]._replace(value=b"forged")


def the_last_event_left_out(run: Recording) -> None:
    """The latest public event never came."""
    del run.events[-1]


def a_published_file_deleted(run: Recording) -> None:
    """What a Key stands for is not in the store."""
    run.store = SimStore(World(0))


def a_live_state_of_its_own(run: Recording) -> None:
    """The leader knows something that the journal does not."""
    run.live = Deployment()


def a_run_that_was_cut_short(run: Recording) -> None:
    """An attempt was never heard of again."""
    offset, _ = next(_events(run, ev.StepsDispatched))
    run.journal = [record for record in run.journal if record.offset <= offset]


def a_worker_given_up_unheard(run: Recording) -> None:
    """A worker is given up as silent though its sign of life lies unread."""
    hello = next(event for _, event in _events(run, own.WorkerJoined))
    said = rp.WorkerReports(hello.worker, hello.incarnation, (rp.Heartbeat(0, ()),))  # type: ignore[union-attr]
    run.reports.append(ReportSeen(encode_reports(said), max(run.journal_times.values()) - 60))
    append(run, own.WorkerLeft(hello.worker, hello.incarnation, "silent for a whole lease"))  # type: ignore[union-attr]


def a_worker_given_up_at_once(run: Recording) -> None:
    """A worker is given up as silent before a lease has passed."""
    hello = next(event for _, event in _events(run, own.WorkerJoined))
    run.lease_s = 1e9
    append(run, own.WorkerLeft(hello.worker, hello.incarnation, "silent for a whole lease"))  # type: ignore[union-attr]


def an_end_that_was_passed_over(run: Recording) -> None:
    """An attempt counts as lost although its end was read: the run is cut before its completion."""
    offset, event = next(_events(run, ev.StepsCompleted))
    run.journal = [record for record in run.journal if record.offset < offset]
    failure = Failure(FailureClass.LOST, f"worker {event.worker!r} does not know the attempt")  # type: ignore[union-attr]
    append(run, reports_offset=len(run.reports))
    append(run, ev.AttemptFailed(event.uid, event.worker, event.steps[0], event.attempts[0], failure))  # type: ignore[union-attr]


def an_event_that_cannot_be(run: Recording) -> None:
    """The journal says something of a worker that is not there."""
    append(run, ev.AttemptsEnded(1, "nobody", (0,), (1,)))


FORGERIES: dict[Callable[[Recording], None], str] = {
    a_lost_answer: "acknowledged is kept",
    another_answer: "answers are true",
    a_refusal_that_was_none: "answers are true",
    a_refusal_from_long_ago: "refusals are true",
    a_request_carried_out_twice: "requests happen once",
    a_completion_counted_twice: "completed once",
    a_completion_of_another_attempt: "only the current attempt ends",
    a_failure_of_an_ended_attempt: "only the current attempt ends",
    an_attempt_number_used_again: "attempts grow",
    an_end_that_nobody_reported: "ends were reported",
    a_dispatch_without_entry: "dispatches are journaled",
    a_dispatch_before_its_entry: "dispatches are journaled",
    a_dispatch_to_another_worker: "dispatches are journaled",
    an_input_that_nobody_published: "inputs are published",
    a_stop_that_nobody_decided: "stops are journaled",
    an_event_published_twice: "events come once",
    an_event_left_out: "events have no gaps",
    an_event_that_is_not_true: "events are true",
    the_last_event_left_out: "events all come",
    a_published_file_deleted: "published files exist",
    a_live_state_of_its_own: "replay is live",
    a_run_that_was_cut_short: "everything ends",
    a_worker_given_up_unheard: "silence is heard out",
    a_worker_given_up_at_once: "silence lasts",
    an_end_that_was_passed_over: "ends are read",
    an_event_that_cannot_be: "journal replays",
}


def _tells_of(seen: ReportSeen, kind: type) -> bool:
    return any(isinstance(report, kind) for report in decode_reports(seen.record).reports)


def test_a_run_that_went_well_is_found_in_order(run: Recording) -> None:
    """Nothing is found where nothing was forged, and everything was looked at."""
    verdict = audit(run)
    assert verdict.violations == []
    assert verdict.entries == len(list(accepted(run.journal)))
    assert verdict.completions == sum(len(event.steps) for event in _completions(run))


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
def test_the_auditor_names_what_was_forged(run: Recording, forge: Callable[[Recording], None]) -> None:
    """Each way to break a promise is found, by the rule that forbids it."""
    forge(run)
    assert FORGERIES[forge] in {violation.rule for violation in audit(run).violations}


def test_entries_of_deposed_leaders_and_repeated_ones_do_not_count(run: Recording) -> None:
    """The auditor decides by itself which entries count, whatever the readers of the product do."""
    before = list(accepted(run.journal))
    end = run.journal[-1].offset + 1
    values = {record.offset: record.value for record in run.journal}
    strays = [Record(end + n, values[offset]) for n, (offset, entry) in enumerate(before) if entry.opening is None]
    assert len(strays) > 5
    assert list(accepted([*run.journal, *strays])) == before


def test_a_recording_without_reports_is_judged_by_the_rest(run: Recording) -> None:
    """Where reports are no longer kept, nobody is blamed for that."""
    without = copy(run)
    without.reports = []
    assert list(History(without, list(accepted(run.journal))).follow()) == []
