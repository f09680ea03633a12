"""The one writer: drains what waits, lets the machine decide, journals the decision, and only then acts on it.

While an append is in flight the next batch gathers, so the load sets the batch size by itself. Nothing is answered,
dispatched or shown before the entry that holds it is durable; reads and refusals leave after the batch they came with.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final

from gaia_core.coordinator.inboxes import Inboxes, Unsent
from gaia_core.coordinator.intake import Batch, Intake, Submission
from gaia_core.coordinator.leases import Leases
from gaia_core.coordinator.meter import Meter
from gaia_core.coordinator.ordered import OrderedTerms
from gaia_core.coordinator.snapshots import Snapshots
from gaia_core.coordinator.term import Term
from gaia_core.coordinator.watching import WatchHub
from gaia_core.errors import Bug, GaiaError, RequestError, Unavailable
from gaia_core.machine import requests as rq
from gaia_core.machine.archived import Archived, IsArchived
from gaia_core.machine.decision import Decision
from gaia_core.machine.effects import Effect, SendCancels, SendDispatches, SendDrain, StoreEffect
from gaia_core.machine.handle import dispatch, handle
from gaia_core.machine.outcomes import STOPPED
from gaia_core.machine.outcomes import reports as enter_reports
from gaia_core.machine.public import Announcement, StepProgress, underway
from gaia_core.machine.queries import unfinished
from gaia_core.machine.reports import Failed, Heartbeat, Hello, Progress, WorkerReports
from gaia_core.machine.state import PIECES_PER_ENTRY
from gaia_core.ports import Aside, CoordinatorBus, Journal, ReportBatch, SetAside, nowhere
from gaia_core.scheduling.fleet import AttemptId, Worker
from gaia_core.scheduling.heartbeats import compare
from gaia_core.skew import too_far
from gaia_core.wire.journal import Entry
from gaia_core.wire.reports import decode_reports
from gaia_core.workflow.model import Failure, FailureClass, Fence
from gaia_core.workflow.validate import ANY, Rules

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.5
"""How often timers and leases are looked at when nothing else happens; backoffs are a second and more."""

OFFSET_KEPT_S: Final = 600.0
"""When nothing but heartbeats was read for so long, that is journaled too: reports are not kept for ever."""

CONFIRM_EVERY_S: Final = 2.0
"""How often a leader that has nothing to journal makes sure that it still leads: one question to the journal."""

UNDECODABLE: Final = "record that is no report"

_ASK_AGAIN: Final = "ask again with the same request id"


@dataclass(frozen=True, slots=True)
class Clock:
    """Time as the loop reads it; tests bring their own.

    Attributes:
        wall_ms: milliseconds since the epoch; read once, at the start of a term.
        monotonic_s: seconds that never go back.
    """

    wall_ms: Callable[[], int]
    monotonic_s: Callable[[], float]


class Loop:
    """Leads one shard for one term.

    Args:
        followers: called with each entry and its offset once it is durable; must be quick.
        ask_store: called with what is wanted of the store; must be quick.
        watchers: told which attempts have started.
        rules: what the deployment allows.

    Attributes:
        set_aside: keeps records that nobody can use; to be set before `open`.
        refused: how many reports did not count, by cause, in this term.
        meter: counts what is done, over all terms.
        answer_later: takes over requests about workflows that have left memory; must be quick.
    """

    def __init__(
        self,
        journal: Journal,
        bus: CoordinatorBus,
        clock: Clock,
        lease_s: float,
        followers: Callable[[int, Entry], None],
        ask_store: Callable[[StoreEffect], None],
        watchers: WatchHub,
        rules: Rules = ANY,
    ) -> None:
        self.intake = Intake()
        self.set_aside: SetAside = nowhere
        self.term = Term(journal, self._keep)
        self.refused: Counter[str] = Counter()
        self.meter = Meter()
        self.answer_later: Callable[[Submission, Archived], None] = _refuse_archived
        self._bus = bus
        self._clock = clock
        self._leases = Leases(lease_s)
        self._followers = followers
        self._ask_store = ask_store
        self._watchers = watchers
        self._rules = rules
        self._impossible: list[WorkerReports] = []
        self._dismissed: list[tuple[WorkerReports, Heartbeat]] = []
        self._started: list[Announcement] = []
        self._stopping = threading.Event()
        self._reports_offset = 0
        self._journaled_s = 0.0
        self._confirmed_s = 0.0
        self._suspects: dict[str, int] = {}

    @property
    def reports_waiting(self) -> int:
        """Return how many records of reports were not taken in yet, as far as is known; from any thread."""
        return max(0, self._bus.seen_end() - self._reports_offset)

    @property
    def troubles(self) -> dict[str, str]:
        """Return why workers take nothing new, by their names; from any thread."""
        workers = list(self.term.state.fleet.workers.values())
        return {worker.name: worker.trouble for worker in workers if worker.trouble}

    def submit(self, request: rq.Request) -> "Future[Any]":
        """Queue a request; see `Intake.submit`."""
        return self.intake.submit(request)

    def open(self, leader_address: str, version: str, snapshots: Snapshots | None = None) -> None:
        """Replay the journal, take office, and take in every report that waits, before anything is decided.

        Args:
            leader_address: by which clients reach this server.
            version: of this Gaia.
            snapshots: to begin from; None where there are none.

        Raises:
            JournalCorrupt: a record of ours cannot be read.
            Unavailable: journal or bus do not answer.
        """
        waiting: list[Submission] = []
        try:
            self.term.open(self._clock.wall_ms(), leader_address, version, snapshots)
            self._take_office(waiting)
        except BaseException:
            _give_up([*waiting, *self.intake.close()])
            raise
        self.meter.terms += 1
        log.info("took office", extra={"term": self.term.number, "void_records": self.term.void_records})

    def _take_office(self, waiting: list[Submission]) -> None:
        """Catch up with the reports while requests wait."""
        self._base_ms = self.term.state.now_ms
        self._base_s = self._journaled_s = self._confirmed_s = self._clock.monotonic_s()
        self._inboxes = Inboxes(self._bus, self.term.state.fleet, self.term.number)
        self._ordered = OrderedTerms(self.term.number, self.term.state.fleet)
        self._reports_offset = self.term.reports_offset
        target = self._bus.end_offset()
        self._bus.listen(self._reports_offset, self.intake.put_reports, self.intake.fail)
        while self._reports_offset < target and not self._stopping.is_set():
            batch = self.intake.drain(LOOK_EVERY_S)
            waiting += batch.submissions
            self._turn(Batch([], batch.reports), catching_up=True)
        for wanted in unfinished(self.term.state):
            self._ask_store(wanted)
        self._turn(Batch(waiting, []))

    def run(self) -> None:
        """Work until `stop`.

        Raises:
            Unavailable: the term ended by itself: journal or bus failed, or another leader took office.
            Bug: the machine broke; nothing more can be trusted.
        """
        try:
            while not self._stopping.is_set():
                self.turn()
        except GaiaError:
            raise
        except Exception as error:
            raise Bug(f"The coordinator broke: {error!r}") from error
        finally:
            self.give_up()

    def turn(self, wait_s: float = LOOK_EVERY_S) -> None:
        """Deal with what waits, as one batch, waiting at most wait_s for the first of it; raises as `run` does."""
        self._turn(self.intake.drain(wait_s))

    def stop(self) -> None:
        """Make `run` return after the current batch."""
        self._stopping.set()
        self.intake.wake()

    def give_up(self) -> None:
        """Refuse what nobody will answer any more; safe to call twice."""
        _give_up(self.intake.close())

    def _turn(self, batch: Batch, *, catching_up: bool = False) -> None:
        """Deal with one batch, as a whole; if that fails, say so to whoever waits."""
        wanted = [one for one in batch.submissions if _is_wanted(one)]
        try:
            answers = self._carry_out(batch.reports, wanted, catching_up=catching_up)
        except BaseException:
            for submission in wanted:
                submission.answer.set_exception(Unavailable("It is not known whether this was done.", hint=_ASK_AGAIN))
            raise
        for submission, (answer, refusal) in zip(wanted, answers, strict=True):
            if isinstance(refusal, IsArchived):
                self.answer_later(submission, refusal.archived)
            elif refusal is not None:
                submission.answer.set_exception(refusal)
            else:
                submission.answer.set_result(answer)

    def _carry_out(
        self, batch: list[ReportBatch], submissions: list[Submission], *, catching_up: bool
    ) -> list[tuple[Any, RequestError | IsArchived | None]]:
        """Decide, journal, act; return the answers, or refusals, of the submissions."""
        now_s = self._clock.monotonic_s()
        state = self.term.state
        state.now_ms = max(state.now_ms, self._base_ms + int((now_s - self._base_s) * 1000))
        decision = Decision(state, self._rules)
        extra: list[Effect] = []
        self._give_up_impossible(decision)
        for reports in batch:
            self._enter(decision, reports, now_s, extra)
        answers = [self._answer(decision, one.request) for one in submissions]
        if not catching_up:
            self._keep_time(decision, now_s)
            dispatch(decision)
        is_asked = any(isinstance(one.request, rq.Confirm) for one in submissions)
        if decision.events or is_asked or self._offset_is_old(now_s):
            entry = self._append(decision)
            self._journaled_s = self._confirmed_s = now_s
            self._tell_started()
            self._followers(*entry)
        elif submissions or now_s - self._confirmed_s > CONFIRM_EVERY_S:
            self.term.confirm()  # no append will tell, and a deposed leader may not answer from what it once knew
            self._confirmed_s = now_s
        self._tell_started()
        self._perform(decision.effects + extra)
        state.tidy(PIECES_PER_ENTRY)
        return answers

    def _append(self, decision: Decision) -> tuple[int, Entry]:
        """Make a decision durable."""
        began_s, grown = self._clock.monotonic_s(), self.term.grown_bytes
        entry = self.term.append(decision.events, decision.state.now_ms, self._reports_offset)
        took_s = self._clock.monotonic_s() - began_s
        self.meter.appended(took_s, self.term.grown_bytes - grown)
        self.meter.decided(decision, took_s)
        return entry

    def _tell_started(self) -> None:
        """Let watchers know which attempts have started, before they hear from others how those ended."""
        if self._started:
            self._watchers.tell(self._started)
            self._started = []

    def _offset_is_old(self, now_s: float) -> bool:
        """Tell whether the journal should hear how far the reports were read, though nothing happened."""
        return self._reports_offset != self.term.reports_offset and now_s - self._journaled_s > OFFSET_KEPT_S

    def _answer(self, decision: Decision, request: rq.Request) -> tuple[Any, RequestError | IsArchived | None]:
        """Carry out a request; return its answer, or why there is none (yet)."""
        try:
            return handle(decision, request), None
        except (RequestError, IsArchived) as refusal:
            return None, refusal

    def _enter(self, decision: Decision, batch: ReportBatch, now_s: float, extra: list[Effect]) -> None:
        """Enter a batch of report records; what is none is put aside."""
        first = batch.next_offset - len(batch.records)
        garbage: list[Aside] = []
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
                self._judge(decision, worker, said, extra)
            else:
                self._dismissed += [(said, report) for report in said.reports if isinstance(report, Heartbeat)]
        if garbage:
            self._pass_over(garbage)
        self.refused += refused
        self.meter.refused += refused
        del refused[STOPPED]  # a cancel and an end that crossed each other: nothing to wonder about
        if refused:
            log.warning("refused reports", extra={"refused": dict(refused), "from_offset": first})
        self._reports_offset = batch.next_offset

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
                self._started.append(one)

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

    def _keep(self, aside: Aside) -> None:
        """Put a record aside, wherever that is now."""
        self.meter.set_aside[aside.log] += 1
        self.set_aside(aside)

    def _pass_over(self, garbage: list[Aside]) -> None:
        """Put records aside that are no reports: one line in the log for all of a batch."""
        self.refused[UNDECODABLE] += len(garbage)
        self.meter.set_aside["reports"] += len(garbage)
        for one in garbage:
            self.set_aside(one)
        details = {"records": len(garbage), "offset": garbage[0].offset, "cause": garbage[0].cause}
        log.warning("passed over records that are no reports", extra=details)

    def _judge(self, decision: Decision, worker: Worker, said: WorkerReports, extra: list[Effect]) -> None:
        """Compare a worker's heartbeats with what it should hold."""
        for report in said.reports:
            if isinstance(report, Heartbeat):
                self._inboxes.note_deliveries()
                self._inboxes.prune(worker)
                claimed, finished = _attempts(report.held), _attempts(report.finished)
                sent = self._inboxes.sent[worker.name]
                verdict = compare(worker.held, claimed, sent, report.inbox_offset, finished)
                if verdict.lost:
                    handle(decision, rq.LoseAttempts(worker.name, worker.incarnation, tuple(verdict.lost)))
                extra += self._orders_again(decision, worker, verdict.resend, verdict.cancel)
                if worker.dismissed and not worker.draining:  # the order may never have come
                    extra.append(SendDrain(worker.name))

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

    def _keep_time(self, decision: Decision, now_s: float) -> None:
        """End backoffs that are due, and give up workers that were silent too long."""
        if self._leases.look(now_s):
            decision.state.served_since_ms = decision.state.now_ms
        handle(decision, rq.Tick())
        workers = decision.state.fleet.workers
        for name in self._lost(self._leases.silent(workers, now_s)):
            log.warning("lost a silent worker", extra={"worker": name})
            handle(decision, rq.LoseWorker(name, workers[name].incarnation, "silent for a whole lease"))

    def _lost(self, silent: list[str]) -> list[str]:
        """Return the silent workers of whom nothing was on the bus either when their silence was first seen."""
        if any(name not in self._suspects for name in silent):
            end = self._bus.end_offset()
            self._suspects = {name: self._suspects.get(name, end) for name in silent}
        else:
            self._suspects = {name: self._suspects[name] for name in silent}
        return [name for name, end in self._suspects.items() if self._reports_offset >= end]

    def _perform(self, effects: list[Effect]) -> None:
        """Act on what is now durable."""
        self._inboxes.note_deliveries()
        for unsent in self._inboxes.perform(effects):
            self._note_impossible(unsent)
        self._dismiss()
        for effect in effects:
            if isinstance(effect, StoreEffect):
                self._ask_store(effect)

    def _dismiss(self) -> None:
        """Send away the lives whose names others have now: what they hold counts for nothing any more."""
        dismissed, self._dismissed = self._dismissed, []
        for said, heartbeat in dismissed:
            worker = self.term.state.fleet.workers.get(said.worker)
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
        report = Failed(Fence(*attempt, self.term.number), failure)
        self._impossible.append(WorkerReports(worker.name, worker.incarnation, (report,)))
        self.intake.wake()

    def _give_up_impossible(self, decision: Decision) -> None:
        """Fail the attempts that could not be ordered."""
        impossible, self._impossible = self._impossible, []
        for said in impossible:
            enter_reports(decision, said)


def _attempts(fences: Iterable[Fence]) -> set[AttemptId]:
    return {AttemptId(fence.workflow_uid, fence.step, fence.attempt) for fence in fences}


def _refuse_archived(submission: Submission, archived: Archived) -> None:
    """Answer for a loop that nobody keeps archives for."""
    submission.answer.set_exception(Unavailable(f"The workflow {archived.name!r} is archived."))


def _give_up(submissions: Iterable[Submission]) -> None:
    """Tell whoever still waits that nobody will answer."""
    for submission in submissions:
        if not submission.answer.done() and _is_wanted(submission):
            submission.answer.set_exception(Unavailable("The coordinator is shutting down."))


def _is_wanted(submission: Submission) -> bool:
    """Tell whether anybody still waits for the answer."""
    return submission.answer.set_running_or_notify_cancel()
