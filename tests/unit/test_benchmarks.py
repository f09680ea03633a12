"""What benchmarks rest on: the counts that let a figure stand, the names they expect, the workers they simulate."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from benchmarks import flows
from benchmarks.audit import BenchmarkFailed, JournalCount, check
from benchmarks.load import Load, quantiles_ms
from benchmarks.simulated_workers import SimulatedWorker
from gaia.v1 import events_pb2, worker_pb2
from gaia_core.workflow import parse
from gaia_core.workflow.expand import expand


def test_a_flow_knows_the_names_of_its_sweep() -> None:
    """They are those that Gaia gives."""
    flow = flows.sweep("flow", 12)
    (command,) = parse.read_commands(flow.commands).items
    (step,) = parse.read_steps(flow.steps).items
    assert flow.names == [flat.name for flat in expand(step, {command.name: command}, "", [])]


def test_a_load_knows_where_its_steps_are() -> None:
    """Single Steps are dealt out to the workflows in turns; each small workflow has the same Steps."""
    assert Load("singles", "one", 18, 1).step_names()["one-1"] == ["s1", "s17"]
    assert Load("flows", "many", 2, 1, steps=2).step_names() == {"many-0": ["s0", "s1"], "many-1": ["s0", "s1"]}


def test_quantiles_are_values_that_were_measured() -> None:
    """Median, 99th percentile and the longest, in milliseconds, whatever the order."""
    waits = [number / 1000 for number in range(100, -1, -1)]
    assert quantiles_ms(waits, "wait") == {"wait_p50_ms": 50.0, "wait_p99_ms": 99.0, "wait_max_ms": 100.0}


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        (["a", "b", "a"], ""),
        (["a", "b"], "step_completed events: 2, not 3"),
        (["a", "b", "b"], "events that were asked for: 2, not 3"),
    ],
)
def test_a_step_counts_as_often_as_it_had_to_run(told: list[str], problem: str) -> None:
    """A Step that ran twice must be told twice, and no other one in its place."""
    events = [_completed(number, step) for number, step in enumerate(told, 1)]
    events.append(events_pb2.Event(sequence=len(events) + 1))
    events[-1].workflow_changed.change = "complete"
    count = JournalCount(dispatches=3, completions=3)
    with pytest.raises(BenchmarkFailed, match=problem) if problem else nullcontext():
        check(["a", "b", "a"], count, events)


def test_a_simulated_worker_ends_each_attempt_once() -> None:
    """Also when it is ordered again, by a later coordinator, or was cancelled before its dispatch came."""
    worker = SimulatedWorker("simulated", slots=4, start_offset=0)
    worker.obey(_orders(worker, 5, dispatched=(1,), cancelled=(2,)))
    worker.obey(_orders(worker, 6, dispatched=(1, 2), cancelled=(1,)))
    assert _said(worker) == [("completed", 1), ("cancelled", 2)]


def test_a_simulated_worker_heeds_only_what_counts() -> None:
    """A record of a deposed coordinator, for another worker or for another life changes nothing."""
    worker = SimulatedWorker("simulated", slots=4, start_offset=0)
    worker.obey(_orders(worker, 6))
    worker.obey(_orders(worker, 5, dispatched=(1,)))
    worker.obey(_orders(worker, 6, dispatched=(2,), name="other"))
    worker.obey(_orders(worker, 6, dispatched=(3,), incarnation="earlier"))
    assert _said(worker) == []


def test_a_simulated_worker_that_drains_gives_back_what_comes() -> None:
    """It says so before it gives anything back."""
    worker = SimulatedWorker("simulated", slots=4, start_offset=0)
    worker.drain()
    worker.obey(_orders(worker, 5, dispatched=(1,)))
    (record,) = map(worker_pb2.ReportRecord.FromString, worker.take())
    hello, failed = record.reports
    assert hello.hello.draining
    assert failed.failed.unstarted


def _completed(sequence: int, step: str) -> events_pb2.Event:
    event = events_pb2.Event(sequence=sequence)
    event.step_completed.step = step
    return event


def _orders(
    worker: SimulatedWorker,
    term: int,
    dispatched: tuple[int, ...] = (),
    cancelled: tuple[int, ...] = (),
    name: str = "",
    incarnation: str = "",
) -> bytes:
    record = worker_pb2.InboxRecord(
        worker=name or worker.name, incarnation=incarnation or worker.incarnation, term=term
    )
    for step in cancelled:
        record.entries.add().cancel.fence.CopyFrom(_fence(step, term))
    for step in dispatched:
        record.entries.add().dispatch.fence.CopyFrom(_fence(step, term))
    return record.SerializeToString()


def _fence(step: int, term: int) -> worker_pb2.Fence:
    return worker_pb2.Fence(workflow_uid=7, step=step, attempt=1, term=term)


def _said(worker: SimulatedWorker) -> list[tuple[str, int]]:
    records = map(worker_pb2.ReportRecord.FromString, worker.take())
    kinds = [(report.WhichOneof("report"), report) for record in records for report in record.reports]
    return [(kind, getattr(report, kind).fence.step) for kind, report in kinds if kind is not None]
