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

from gaia_core.coordinator.crew import Crew
from gaia_core.coordinator.intake import Batch, Intake, Submission
from gaia_core.coordinator.meter import Meter
from gaia_core.coordinator.snapshots import Snapshots
from gaia_core.coordinator.term import Term
from gaia_core.coordinator.watching import WatchHub
from gaia_core.errors import Bug, GaiaError, RequestError, Unavailable
from gaia_core.machine import requests as rq
from gaia_core.machine.archived import Archived, IsArchived
from gaia_core.machine.decision import Decision
from gaia_core.machine.effects import Effect, StoreEffect
from gaia_core.machine.handle import dispatch, handle
from gaia_core.machine.queries import unfinished
from gaia_core.machine.state import PIECES_PER_ENTRY
from gaia_core.ports import Aside, CoordinatorBus, Journal, ReportBatch, SetAside, nowhere
from gaia_core.wire.journal import Entry
from gaia_core.workflow.validate import ANY, Rules

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.5
"""How often timers and leases are looked at when nothing else happens; backoffs are a second and more."""

OFFSET_KEPT_S: Final = 600.0
"""When nothing but heartbeats was read for so long, that is journaled too: reports are not kept for ever."""

CONFIRM_EVERY_S: Final = 2.0
"""How often a leader that has nothing to journal makes sure that it still leads: one question to the journal."""

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
        self.meter = Meter()
        self.answer_later: Callable[[Submission, Archived], None] = _refuse_archived
        self._bus = bus
        self._clock = clock
        self._followers = followers
        self._ask_store = ask_store
        self._rules = rules
        self._crew = Crew(bus, lease_s, watchers, self._keep, self.intake.wake)
        self._stopping = threading.Event()
        self._journaled_s = 0.0
        self._confirmed_s = 0.0

    @property
    def refused(self) -> Counter[str]:
        """Return how many reports did not count, by cause, in this term; from any thread."""
        return self._crew.refused

    @property
    def reports_waiting(self) -> int:
        """Return how many records of reports were not taken in yet, as far as is known; from any thread."""
        return max(0, self._bus.seen_end() - self._crew.offset)

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
        self._crew.begin(self.term, self.meter)
        target = self._bus.end_offset()
        self._bus.listen(self._crew.offset, self.intake.put_reports, self.intake.fail)
        while self._crew.offset < target and not self._stopping.is_set():
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
        self._crew.give_up_impossible(decision)
        extra = [effect for reports in batch for effect in self._crew.enter(decision, reports, now_s)]
        answers = [self._answer(decision, one.request) for one in submissions]
        if not catching_up:
            self._keep_time(decision, now_s)
            dispatch(decision)
        is_asked = any(isinstance(one.request, rq.Confirm) for one in submissions)
        if decision.events or is_asked or self._offset_is_old(now_s):
            entry = self._append(decision)
            self._journaled_s = self._confirmed_s = now_s
            self._crew.tell_underway()
            self._followers(*entry)
        elif submissions or now_s - self._confirmed_s > CONFIRM_EVERY_S:
            self.term.confirm()  # no append will tell, and a deposed leader may not answer from what it once knew
            self._confirmed_s = now_s
        self._crew.tell_underway()
        self._perform(decision.effects + extra)
        state.tidy(PIECES_PER_ENTRY)
        return answers

    def _append(self, decision: Decision) -> tuple[int, Entry]:
        """Make a decision durable."""
        began_s, grown = self._clock.monotonic_s(), self.term.grown_bytes
        entry = self.term.append(decision.events, decision.state.now_ms, self._crew.offset)
        took_s = self._clock.monotonic_s() - began_s
        self.meter.appended(took_s, self.term.grown_bytes - grown)
        self.meter.decided(decision, took_s)
        return entry

    def _offset_is_old(self, now_s: float) -> bool:
        """Tell whether the journal should hear how far the reports were read, though nothing happened."""
        return self._crew.offset != self.term.reports_offset and now_s - self._journaled_s > OFFSET_KEPT_S

    def _answer(self, decision: Decision, request: rq.Request) -> tuple[Any, RequestError | IsArchived | None]:
        """Carry out a request; return its answer, or why there is none (yet)."""
        try:
            return handle(decision, request), None
        except (RequestError, IsArchived) as refusal:
            return None, refusal

    def _keep(self, aside: Aside) -> None:
        """Put a record aside, wherever that is now."""
        self.meter.set_aside[aside.log] += 1
        self.set_aside(aside)

    def _keep_time(self, decision: Decision, now_s: float) -> None:
        """End backoffs that are due, and give up workers that were silent too long."""
        if self._crew.look(now_s):
            decision.state.served_since_ms = decision.state.now_ms
        handle(decision, rq.Tick())
        self._crew.lose_the_silent(decision, now_s)

    def _perform(self, effects: list[Effect]) -> None:
        """Act on what is now durable."""
        self._crew.perform(effects)
        for effect in effects:
            if isinstance(effect, StoreEffect):
                self._ask_store(effect)


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
