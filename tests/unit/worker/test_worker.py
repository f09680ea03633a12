"""A whole worker over the in-process bus: from a dispatch to its report, and its end."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from pathlib import Path

import pytest

from gaia_core.backends.inprocess import InProcessBus
from gaia_core.errors import Unavailable
from gaia_core.machine.reports import Completed, Goodbye, Hello, Report
from gaia_core.ports import ReportBatch
from gaia_core.wire.reports import decode_reports
from gaia_worker.app import Surroundings, WorkerHandle, start_worker_thread
from gaia_worker.executors.noop import NoopExecutor
from gaia_worker.settings import WorkerSettings
from tests.unit.worker.fakes import INCARNATION, WORKER, DictStore, dispatch, inbox


class Coordinator:
    """The other end of the bus: sends orders and hears reports."""

    def __init__(self) -> None:
        self.bus = InProcessBus()
        self.heard: queue.Queue[Report] = queue.Queue()

        def hear(batch: ReportBatch) -> None:
            for record in batch.records:
                for report in decode_reports(record).reports:
                    self.heard.put(report)

        self.bus.listen(0, hear, lambda problem: None)

    def hear(self) -> Report:
        """Return the next report."""
        return self.heard.get(timeout=10)


@pytest.fixture
def coordinator() -> Iterator[Coordinator]:
    """A coordinator that listens."""
    made = Coordinator()
    yield made
    made.bus.close()


def start(coordinator: Coordinator, executor: NoopExecutor, scratch: Path) -> WorkerHandle:
    settings = WorkerSettings(WORKER, slots=1, scratch=scratch, deployment="d", pool="fast", host="h", version="1")
    return start_worker_thread(
        settings, INCARNATION, coordinator.bus.connect(WORKER), Surroundings(DictStore(), executor)
    )


def test_worker_in_a_thread_runs_and_drains(coordinator: Coordinator, tmp_path: Path) -> None:
    """A started worker says hello, completes what it is given, and leaves when asked to."""
    worker = start(coordinator, NoopExecutor(), tmp_path)
    assert coordinator.hear() == Hello("fast", 1, 4096, 0, 0, "noop", "h", "1")
    coordinator.bus.send(WORKER, 0, inbox(dispatch(3)))
    assert coordinator.hear() == Completed(dispatch(3).execution.fence)
    worker.drain()
    assert worker.join(10) == "drained"
    assert coordinator.hear() == Hello("fast", 1, 4096, 0, 0, "noop", "h", "1", draining=True)
    assert coordinator.hear() == Goodbye("drained")


def test_worker_whose_engine_is_gone_tells_the_one_who_joins(coordinator: Coordinator, tmp_path: Path) -> None:
    """What breaks a worker in its thread is raised where it is waited for."""

    class Gone(NoopExecutor):
        def cleanup(self, labels: object) -> int:
            raise Unavailable("the engine is gone")

    worker = start(coordinator, Gone(), tmp_path)
    with pytest.raises(Unavailable, match="the engine is gone"):
        worker.join(10)
