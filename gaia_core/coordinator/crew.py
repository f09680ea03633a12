"""The workers as the loop knows them in one term: what they say is taken in, their lives are watched, orders are sent.

What is decided of it is the machine's; this only sees to it that it hears all there is, and that workers hear what was
decided. Called by the loop alone, in its thread.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from gaia_core.coordinator.inboxes import Inboxes, Unsent
from gaia_core.coordinator.leases import Leases
from gaia_core.coordinator.meter import Meter
from gaia_core.coordinator.ordered import OrderedTerms
from gaia_core.coordinator.term import Term
from gaia_core.coordinator.watching import WatchHub
from gaia_core.errors import RequestError
from gaia_core.machine import requests as rq
from gaia_core.machine.decision import Decision
from gaia_core.machine.effects import Effect, SendCancels, SendDispatches, SendDrain
from gaia_core.machine.handle import handle
from gaia_core.machine.outcomes import STOPPED
from gaia_core.machine.outcomes import reports as enter_reports
from gaia_core.machine.public import Announcement, StepProgress, underway
from gaia_core.machine.reports import Failed, Heartbeat, Hello, Progress, WorkerReports
from gaia_core.ports import Aside, CoordinatorBus, ReportBatch, SetAside
from gaia_core.scheduling.fleet import AttemptId, Worker
from gaia_core.scheduling.heartbeats import compare
from gaia_core.skew import too_far
from gaia_core.wire.reports import decode_reports
from gaia_core.workflow.model import Failure, FailureClass, Fence

log = logging.getLogger(__name__)

UNDECODABLE: Final = "record that is no report"


class Crew:
    """The workers of one shard, from the beginning of a term to its end.

    Args:
        bus: to and from them.
        lease_s: how long one may be silent.
        watchers: told which attempts have started, and how far they are.
        keep: puts a record aside that nobody can use.
        wake: has the loop take another turn.

    Attributes:
        offset: how far their reports were read.
        refused: how many of them did not count, by cause.
    """

    def __init__(
        self,
        bus: CoordinatorBus,
        lease_s: float,
        watchers: WatchHub,
        keep: SetAside,
        wake: Callable[[], object],
    ) -> None:
        self.offset = 0
        self.refused: Counter[str] = Counter()
        self._bus = bus
        self._leases = Leases(lease_s)
        self._watchers = watchers
        self._keep = keep
        self._wake = wake
        self._impossible: list[WorkerReports] = []
        self._dismissed: list[tuple[WorkerReports, Heartbeat]] = []
        self._underway: list[Announcement] = []
        self._suspects: dict[str, int] = {}

    def begin(self, term: Term, meter: Meter) -> None:
        """Begin with what is known when a term begins; refused reports are counted there, too."""
        self._meter = meter
        self._term = term.number
        self._fleet = term.state.fleet
        self._inboxes = Inboxes(self._bus, self._fleet, self._term)
        self._ordered = OrderedTerms(self._term, self._fleet)
        self.offset = term.reports_offset

    def enter(self, decision: Decision, batch: ReportBatch, now_s: float) -> list[Effect]:
        """Enter a batch of report records; what is none is put aside. Return the orders that workers missed."""
        first = batch.next_offset - len(batch.records)
        garbage: list[Aside] = []
        missed: list[Effect] = []
        refused: Counter[str] = Counter()
        for offset, record in enumerate(batch.records, first):
            try:
                said = decode_reports(record)
            except RequestError as error:
                garbage.append(Aside("reports", 0, offset, error.message, record))
                continue
            if self._is_too_far(decision, said):
                continue
            self._note_underway(decision, said, now_s)
            objections = enter_reports(decision, said, self._ordered.hold)
            if objections:
                refused += objections
            worker = decision.state.fleet.workers.get(said.worker)
            if worker is None:
                continue
            if worker.incarnation == said.incarnation:
                self._leases.heard(said.worker, now_s)
                missed += self._judge(decision, worker, said)
            else:
                self._dismissed += [(said, report) for report in said.reports if isinstance(report, Heartbeat)]
        if garbage:
            self._pass_over(garbage)
        self.refused += refused
        self._meter.refused += refused
        del refused[STOPPED]  # a cancel and an end that crossed each other: nothing to wonder about
        if refused:
            log.warning("refused reports", extra={"refused": dict(refused), "from_offset": first})
        self.offset = batch.next_offset
        return missed

    def give_up_impossible(self, decision: Decision) -> None:
        """Fail the attempts that could not be ordered."""
        impossible, self._impossible = self._impossible, []
        for said in impossible:
            enter_reports(decision, said)

    def tell_underway(self) -> None:
        """Let watchers know which attempts have started, before they hear from others how those ended."""
        if self._underway:
            self._watchers.tell(self._underway)
            self._underway = []

    def look(self, now_s: float) -> bool:
        """Note that the coordinator is there now; return whether it was away until now; see `Leases.look`."""
        return self._leases.look(now_s)

    def lose_the_silent(self, decision: Decision, now_s: float) -> None:
        """Give up workers that were silent too long."""
        workers = decision.state.fleet.workers
        for name in self._lost(self._leases.silent(workers, now_s)):
            log.warning("lost a silent worker", extra={"worker": name})
            handle(decision, rq.LoseWorker(name, workers[name].incarnation, "silent for a whole lease"))

    def perform(self, effects: list[Effect]) -> None:
        """Send the orders among the effects, now that they are durable."""
        self._inboxes.note_deliveries()
        for unsent in self._inboxes.perform(effects):
            self._note_impossible(unsent)
        self._dismiss()

    def _note_underway(self, decision: Decision, said: WorkerReports, now_s: float) -> None:
        """Keep how far attempts are, and for watchers also which have started."""
        is_watched = self._watchers.is_watched
        if not is_watched and not any(type(report) is Progress for report in said.reports):
            return
        for one in underway(decision.state, said):
            fact = one.fact
            is_worth_telling = not isinstance(fact, StepProgress)
            if isinstance(fact, StepProgress):
                is_worth_telling = self._watchers.progress.note(one.workflow, fact, now_s)
            if is_watched and is_worth_telling:
                self._underway.append(one)

    def _is_too_far(self, decision: Decision, said: WorkerReports) -> bool:
        """Send a worker away whose version is too far from ours; tell whether what it says counts for nothing.

        One that was taken in before, by a server of another version, is heard until it has left.
        """
        for report in said.reports:
            why = too_far(report.version) if isinstance(report, Hello) else ""
            if why and isinstance(report, Hello):
                log.warning("sent a worker away", extra={"worker": said.worker, "cause": why})
                self._inboxes.dismiss(said.worker, said.incarnation, report.partition, (), why)
                worker = decision.state.fleet.workers.get(said.worker)
                return worker is None or worker.incarnation != said.incarnation
        return False

    def _pass_over(self, garbage: list[Aside]) -> None:
        """Put records aside that are no reports: one line in the log for all of a batch."""
        self.refused[UNDECODABLE] += len(garbage)
        for one in garbage:
            self._keep(one)
        details = {"records": len(garbage), "offset": garbage[0].offset, "cause": garbage[0].cause}
        log.warning("passed over records that are no reports", extra=details)

    def _judge(self, decision: Decision, worker: Worker, said: WorkerReports) -> list[Effect]:
        """Compare a worker's heartbeats with what it should hold; return the orders that it missed."""
        missed: list[Effect] = []
        for report in said.reports:
            if isinstance(report, Hello):
                self._watchers.caches.note(worker.name, report.cache)
            elif isinstance(report, Heartbeat):
                self._inboxes.note_deliveries()
                self._inboxes.prune(worker)
                claimed, finished = _attempts(report.held), _attempts(report.finished)
                sent = self._inboxes.sent[worker.name]
                verdict = compare(worker.held, claimed, sent, report.inbox_offset, finished)
                if verdict.lost:
                    handle(decision, rq.LoseAttempts(worker.name, worker.incarnation, tuple(verdict.lost)))
                missed += self._orders_again(decision, worker, verdict.resend, verdict.cancel)
                if worker.dismissed and not worker.draining:  # the order may never have come
                    missed.append(SendDrain(worker.name))
        return missed

    def _orders_again(
        self, decision: Decision, worker: Worker, resend: list[AttemptId], cancel: list[AttemptId]
    ) -> list[Effect]:
        """Return the orders that a worker missed."""
        effects: list[Effect] = [
            SendCancels(worker.name, one.uid, ((one.step, one.attempt),), "no longer wanted") for one in cancel
        ]
        for one in resend:
            workflow = decision.state.by_uid[one.uid]
            effects.append(SendDispatches(worker.name, workflow, (workflow.steps[one.step],)))
        return effects

    def _lost(self, silent: list[str]) -> list[str]:
        """Return the silent workers of whom nothing was on the bus either when their silence was first seen."""
        if any(name not in self._suspects for name in silent):
            end = self._bus.end_offset()
            self._suspects = {name: self._suspects.get(name, end) for name in silent}
        else:
            self._suspects = {name: self._suspects[name] for name in silent}
        return [name for name, end in self._suspects.items() if self.offset >= end]

    def _dismiss(self) -> None:
        """Send away the lives whose names others have now: what they hold counts for nothing any more."""
        dismissed, self._dismissed = self._dismissed, []
        for said, heartbeat in dismissed:
            worker = self._fleet.workers.get(said.worker)
            if worker is not None and worker.incarnation != said.incarnation:
                log.info(
                    "told an earlier life to leave", extra={"worker": worker.name, "incarnation": said.incarnation}
                )
                self._inboxes.dismiss(
                    worker.name, said.incarnation, worker.partition, heartbeat.held, "Another process has its name."
                )

    def _note_impossible(self, unsent: Unsent) -> None:
        """Remember that an attempt can never be ordered, for the next turn."""
        worker, attempt, cause = unsent
        log.error("an order cannot be made", extra={"worker": worker.name, "attempt": attempt, "cause": cause})
        failure = Failure(FailureClass.ENGINE, f"Gaia could not order the attempt: {cause}")
        report = Failed(Fence(*attempt, self._term), failure)
        self._impossible.append(WorkerReports(worker.name, worker.incarnation, (report,)))
        self._wake()


def _attempts(fences: Iterable[Fence]) -> set[AttemptId]:
    return {AttemptId(fence.workflow_uid, fence.step, fence.attempt) for fence in fences}
