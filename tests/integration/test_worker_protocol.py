"""docs/worker-protocol.md against workers in two languages: a test that plays the coordinator on real Kafka.

What only a whole deployment shows is in test_cluster.py and test_go_worker.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gaia_core.backends.kafka import KafkaSettings, partition_of
from gaia_core.backends.kafka_bus import KafkaCoordinatorBus
from gaia_core.backends.kafka_topics import ensure_topics
from gaia_core.machine import reports as rp
from gaia_core.machine.orders import Cancel, Dispatch, Drain, Inbox, Order
from gaia_core.ports import ReportBatch
from gaia_core.wire.inbox import encode_inbox
from gaia_core.wire.reports import decode_reports
from gaia_core.workflow.model import Execution, Fence, FileVersion, Input, Output, Publication
from tests.integration.cluster import Cluster
from tests.integration.gaia_processes import GaiaProcess
from tests.integration.go_worker import go_process
from tests.support.waiting import wait_until

NAME = "spoken-to"


class Coordinator:
    """Says what a test wants and keeps what the worker says."""

    def __init__(self, cluster: Cluster) -> None:
        settings = KafkaSettings(cluster.kafka.bootstrap, cluster.prefix)
        ensure_topics(settings)
        self.said: list[tuple[str, rp.Report]] = []
        self.bus = KafkaCoordinatorBus(settings)
        self.bus.listen(0, self._hear, self._fail)

    def _hear(self, batch: ReportBatch) -> None:
        for said in map(decode_reports, batch.records):
            assert said.worker == NAME
            self.said += [(said.incarnation, report) for report in said.reports]

    def _fail(self, problem: Exception) -> None:
        raise problem

    def order(self, term: int, *orders: Order, incarnation: str | None = None) -> int:
        """Send one record; return its offset once it is there."""
        incarnation = incarnation or self.said[-1][0]
        self.bus.send(NAME, partition_of(NAME, 64), encode_inbox(Inbox(NAME, incarnation, term, orders)))
        (delivery,) = wait_until(self.bus.deliveries, "the record was taken")
        assert delivery.offset is not None
        return delivery.offset

    def heard(self, kind: type, what: Callable[[Any], bool] = lambda _: True) -> Any:
        """Wait for a report of this kind and return it."""

        def found() -> list[rp.Report]:
            return [report for _, report in list(self.said) if isinstance(report, kind) and what(report)]

        return wait_until(found, kind.__name__, deadline_s=30)[-1]

    def ends(self) -> list[tuple[str, int]]:
        """Return how attempts ended, by the number of their Step."""
        kinds = rp.Completed | rp.Failed | rp.Cancelled
        return [(type(report).__name__, report.fence.step) for _, report in self.said if isinstance(report, kinds)]


@pytest.fixture
def coordinator(cluster: Cluster) -> Iterator[Coordinator]:
    coordinator = Coordinator(cluster)
    yield coordinator
    coordinator.bus.close()


@pytest.fixture(params=["go", "python"])
def worker(request: pytest.FixtureRequest, cluster: Cluster, coordinator: Coordinator) -> GaiaProcess:
    """A worker with one slot that has said hello."""
    if request.param == "go":
        process = go_process(cluster, request.getfixturevalue("go_worker"), NAME, slots=1)
    else:
        arguments = ["worker", "--name", NAME, "--executor", "sandbox", "--slots", "1"]
        process = GaiaProcess(arguments, cluster.folder / "worker.log", cluster.environ)
        cluster.stack.enter_context(process)
    hello = coordinator.heard(rp.Hello)
    assert (hello.slots, hello.partition, hello.draining) == (1, partition_of(NAME, 64), False)
    return process


def dispatch(step: int, term: int, *argv: str, **fields: Any) -> Dispatch:
    """Return an order to run a program, without inputs and outputs unless they are given."""
    return Dispatch(Execution(Fence(7, step, 1, term), "flow", f"step-{step}", "command", "none", argv, **fields))


def test_an_attempt_runs_once_by_the_latest_coordinator(coordinator: Coordinator, worker: GaiaProcess) -> None:
    """Orders sent again, of a deposed coordinator or for another life change nothing; a cancel may come first."""
    twice = dispatch(1, 5, "true")
    coordinator.order(5, Cancel(Fence(7, 2, 1, 5)), twice, twice, dispatch(2, 5, "true"))
    coordinator.order(4, dispatch(3, 4, "true"))
    coordinator.heard(rp.Completed, lambda report: report.fence.step == 1)
    coordinator.order(9, dispatch(4, 9, "true"), incarnation="somebody else")
    coordinator.order(6, dispatch(1, 6, "true"), Cancel(Fence(7, 1, 1, 6)), dispatch(5, 6, "true"))
    coordinator.heard(rp.Completed, lambda report: report.fence.step == 5)
    assert sorted(coordinator.ends()) == [("Cancelled", 2), ("Completed", 1), ("Completed", 5)]


def test_heartbeats_list_what_is_held_until_its_end_was_said(coordinator: Coordinator, worker: GaiaProcess) -> None:
    """An attempt whose order was read is in every heartbeat until its end stands before one."""
    offset = coordinator.order(5, dispatch(1, 5, "sleep", "600"), dispatch(2, 5, "true"))
    beat = coordinator.heard(rp.Heartbeat, lambda report: report.inbox_offset > offset)
    assert sorted(fence.step for fence in beat.held) == [1, 2]
    coordinator.heard(rp.Started)
    coordinator.order(5, Cancel(Fence(7, 1, 1, 5)))
    coordinator.heard(rp.Completed)
    coordinator.heard(rp.Heartbeat, lambda report: report.inbox_offset > offset and not report.held)
    assert coordinator.ends() == [("Cancelled", 1), ("Completed", 2)]
    ended: set[int] = set()
    for _, report in coordinator.said:
        if isinstance(report, rp.Heartbeat) and report.inbox_offset > offset:
            assert {fence.step for fence in report.held} == {1, 2} - ended
        elif isinstance(report, rp.Completed | rp.Cancelled):
            ended.add(report.fence.step)


def test_a_drained_worker_gives_back_what_waits(coordinator: Coordinator, worker: GaiaProcess) -> None:
    """It says so first, gives back what waits as LOST, refuses what comes, finishes what runs, and says goodbye."""
    coordinator.order(5, dispatch(1, 5, "sleep", "600"), dispatch(2, 5, "true"))
    coordinator.heard(rp.Started)
    coordinator.order(5, Drain())
    coordinator.heard(
        rp.Failed, lambda report: report.fence.step == 2 and report.failure.kind.name == "LOST" and report.unstarted
    )
    coordinator.order(5, dispatch(3, 5, "true"))
    coordinator.heard(
        rp.Failed, lambda report: report.fence.step == 3 and report.failure.kind.name == "LOST" and report.unstarted
    )
    coordinator.order(5, Cancel(Fence(7, 1, 1, 5)))
    assert worker.process.wait(timeout=30) == 0, worker.said()
    coordinator.heard(rp.Goodbye)
    kinds = [type(report) for _, report in coordinator.said]
    draining = [isinstance(report, rp.Hello) and report.draining for _, report in coordinator.said]
    assert draining.index(True) < kinds.index(rp.Failed)
    assert kinds[-1] is rp.Goodbye
    assert coordinator.ends() == [("Failed", 2), ("Failed", 3), ("Cancelled", 1)]


def test_a_small_worker_refuses_what_it_leaves_out(cluster: Cluster, coordinator: Coordinator, go_worker: Path) -> None:
    """Each attempt that needs what the Go worker leaves out fails in words, as ENGINE, and never starts."""
    go_process(cluster, go_worker, NAME, slots=1)
    coordinator.heard(rp.Hello)
    manifest = Publication("tree/", manifest=FileVersion(".gaia/manifests/flow/7/0-1-0", "v", 1, b""))
    needs: list[tuple[str, dict[str, Any]]] = [
        ("no trees", {"inputs": (Input("in", "tree/", "/job/in/", (Publication("tree/"),)),)}),
        ("no trees", {"outputs": (Output("out", "tree/", "/job/out/"),)}),
        ("no other buckets", {"outputs": (Output("out", "elsewhere:a.txt", ">"),)}),
        ("no inputs by RPC", {"inputs": (Input("in", "a.txt", "/job/in", ()),), "inputs_by_rpc": True}),
        ("no secrets", {"secrets": {"TOKEN": "token"}}),
        ("no entrypoints of images", {"keeps_entrypoint": True}),
        ("no manifests", {"inputs": (Input("in", "tree/a.txt", "/job/in", (manifest,)),)}),
    ]
    orders = [dispatch(step, 5, "true", **fields) for step, (_, fields) in enumerate(needs)]
    coordinator.order(5, *orders, dispatch(len(needs), 5, "true"))
    coordinator.heard(rp.Completed)
    failed = [report for _, report in coordinator.said if isinstance(report, rp.Failed)]
    assert [report.fence.step for report in failed] == list(range(len(needs)))
    assert {report.failure.kind.name for report in failed} == {"ENGINE"}
    for (words, _), report in zip(needs, failed, strict=True):
        assert words in report.failure.message
    assert [report.fence.step for _, report in coordinator.said if isinstance(report, rp.Started)] == [len(needs)]
