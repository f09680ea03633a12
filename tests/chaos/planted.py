"""Deliberately broken variants of the product, each of which the simulation has to find."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final
from unittest import mock

from gaia_core.coordinator import crew as crew_module
from gaia_core.coordinator import loop as loop_module
from gaia_core.coordinator import snapshots, sweeping
from gaia_core.coordinator.crew import Crew
from gaia_core.coordinator.entries import EntryReader
from gaia_core.coordinator.leases import Leases
from gaia_core.coordinator.loop import Loop
from gaia_core.coordinator.publisher import Publisher
from gaia_core.coordinator.taking import Taken
from gaia_core.coordinator.term import Term
from gaia_core.coordinator.upkeep import Upkeep
from gaia_core.machine import handle as handle_module
from gaia_core.machine import outcomes, requests
from gaia_core.machine.decision import Decision
from gaia_core.machine.events import Event, WorkflowArchived
from gaia_core.ports import EventRecord, Position, Record
from gaia_core.scheduling.fleet import Worker
from gaia_core.scheduling.heartbeats import Verdict, compare
from gaia_core.scheduling.placement import PoolOpenings
from gaia_core.wire.journal import Entry
from gaia_core.wire.snapshot import Snapshot
from gaia_core.workflow.state import Consequences
from gaia_worker.agent import Agent
from gaia_worker.seen import Seen
from tests.chaos.surroundings import SimEventLog

Plant = Callable[[], AbstractContextManager[Any]]


@contextmanager
def effects_before_the_append() -> Iterator[None]:
    """Perform what was decided before it is journaled."""
    append, perform = Term.append, Loop._perform
    performing: list[Loop] = []

    def early(self: Loop, decision: Decision) -> None:
        perform(self, decision.effects)
        decision.effects.clear()

    original = Loop._carry_out

    def carry_out(self: Loop, *args: Any, **kwargs: Any) -> Any:
        performing.append(self)
        try:
            return original(self, *args, **kwargs)
        finally:
            performing.pop()

    dispatch = loop_module.dispatch

    def dispatch_and_send(decision: Decision) -> None:
        dispatch(decision)
        early(performing[-1], decision)

    assert append is Term.append
    with (
        mock.patch.object(Loop, "_carry_out", carry_out),
        mock.patch.object(loop_module, "dispatch", dispatch_and_send),
    ):
        yield


def reader_that_trusts_any_predecessor() -> AbstractContextManager[Any]:
    """Accept an entry of the latest opening whatever entry it follows on."""

    def feed(self: EntryReader, record: Record) -> Entry | None:
        entry = self.assemble(record)
        if entry is None:
            return None
        if entry.opening is not None:
            self.opening = record.offset
            self._parts.clear()
        elif entry.opening_offset != self.opening:
            self.void += 1
            return None
        self.last, self.last_id = record.offset, self._assembled_id
        return entry

    return mock.patch.object(EntryReader, "feed", feed)


def reader_that_trusts_any_term() -> AbstractContextManager[Any]:
    """Accept entries of deposed leaders."""

    def feed(self: EntryReader, record: Record) -> Entry | None:
        entry = self.assemble(record)
        if entry is not None:
            self.opening = record.offset if entry.opening is not None else self.opening
            self.last, self.last_id = record.offset, self._assembled_id
        return entry

    return mock.patch.object(EntryReader, "feed", feed)


def leader_that_looks_at_no_strangers() -> AbstractContextManager[Any]:
    """Go on after another leader has written."""
    return mock.patch.object(Term, "_check_strangers", return_value=None)


def fence_without_attempt_number() -> AbstractContextManager[Any]:
    """Take the end of any attempt of a Step for that of the current one."""

    def objection(decision: Decision, said: Any, fence: Any, _: Any) -> str:
        worker = decision.state.fleet.workers.get(said.worker)
        is_held = (
            worker is not None
            and worker.incarnation == said.incarnation
            and any((one.uid, one.step) == (fence.workflow_uid, fence.step) for one in worker.held)
        )
        return "" if is_held else outcomes.NOT_HELD

    return mock.patch.object(outcomes, "_objection", objection)


def request_ids_forgotten() -> AbstractContextManager[Any]:
    """Begin a term without what was answered before it."""
    replay = Term._replay

    def forgetful(self: Term, start: int, end: int) -> None:
        replay(self, start, end)
        self.state.answered.clear()

    return mock.patch.object(Term, "_replay", forgetful)


def publisher_that_knows_its_position() -> AbstractContextManager[Any]:
    """Go on from one's own idea of the position after a commit whose outcome is unknown."""
    open_event_log = Publisher._open_event_log

    def reopen(self: Publisher) -> None:
        known, is_first = self.published, self._log is None and not self._pending
        open_event_log(self)
        if not is_first:
            self.published = known

    return mock.patch.object(Publisher, "_open_event_log", reopen)


def ticks_before_reports() -> AbstractContextManager[Any]:
    """Give silent workers up without reading what lies on the bus."""
    return mock.patch.object(Crew, "_lost", lambda self, silent: silent)


def cancels_not_sent_again() -> AbstractContextManager[Any]:
    """Believe that every cancel arrives."""

    def trusting(*args: Any) -> Verdict:
        verdict = compare(*args)
        verdict.cancel.clear()
        return verdict

    return mock.patch.object(crew_module, "compare", trusting)


def dispatches_not_sent_again() -> AbstractContextManager[Any]:
    """Believe that every dispatch arrives."""

    def trusting(*args: Any) -> Verdict:
        verdict = compare(*args)
        verdict.resend.clear()
        return verdict

    return mock.patch.object(crew_module, "compare", trusting)


def leader_that_answers_from_memory() -> AbstractContextManager[Any]:
    """Answer what needs no entry without looking whether somebody else leads by now."""
    return mock.patch.object(Term, "confirm", return_value=None)


@contextmanager
def worker_that_obeys_deposed_leaders() -> Iterator[None]:
    """Follow orders of a lower term than the highest seen; of leaders who have no reason to look at the journal."""
    take = Agent._take

    def obedient(self: Agent, record: Record) -> None:
        self._term = 0
        take(self, record)

    with mock.patch.object(Agent, "_take", obedient), leader_that_answers_from_memory():
        yield


def worker_that_forgets_attempts() -> AbstractContextManager[Any]:
    """Begin an attempt each time that its order comes."""
    dispatch = Agent._dispatch

    def forgetful(self: Agent, order: Any) -> None:
        self._seen = Seen(self._clock, 1)
        dispatch(self, order)

    return mock.patch.object(Agent, "_dispatch", forgetful)


def snapshots_without_request_ids() -> AbstractContextManager[Any]:
    """Leave out of snapshots what was answered."""
    encode = snapshots.encode_snapshot

    def forgetful(snapshot: Snapshot) -> Iterator[bytes]:
        snapshot.announcer.state.answered.clear()
        return encode(snapshot)

    return mock.patch.object(snapshots, "encode_snapshot", forgetful)


def _cut(before: Callable[[Taken], int]) -> AbstractContextManager[Any]:
    """Cut the journal somewhere else than before what the second newest snapshot leaves."""
    look = Upkeep.look

    def elsewhere(self: Upkeep) -> None:
        taker, self._taker = self._taker, mock.Mock()
        self._taker.take = lambda below: (taken := taker.take(below))._replace(second_offset=before(taken) - 1)
        try:
            look(self)
        finally:
            self._taker = taker

    return mock.patch.object(Upkeep, "look", elsewhere)


def cut_one_record_too_far() -> AbstractContextManager[Any]:
    """Cut the first record behind the second newest snapshot, too."""
    return _cut(lambda taken: taken.second_offset + 2 if taken.second_offset >= 0 else 0)


def cut_up_to_the_newest_snapshot() -> AbstractContextManager[Any]:
    """Trust that the newest snapshot stays good."""
    return _cut(lambda taken: taken.offset + 1)


def archives_of_what_has_changed() -> AbstractContextManager[Any]:
    """Let a workflow leave memory whatever happened to it since it was encoded."""

    def careless(decision: Decision, request: Any) -> bool:
        workflow = decision.state.by_uid.get(request.uid)
        if workflow is None:
            return False
        decision.emit(WorkflowArchived(request.uid, request.file, request.sequence, request.rest))
        return True

    return mock.patch.dict(handle_module._INTERNAL, {requests.Archived: careless})


def leases_that_began_before_the_term() -> AbstractContextManager[Any]:
    """Take whom a new leader has not heard yet for silent."""

    def silent(self: Leases, workers: Iterable[str], now_s: float) -> list[str]:
        return [name for name in workers if now_s - self._heard.get(name, 0.0) > self._lease_s]

    return mock.patch.object(Leases, "silent", silent)


def reports_passed_over() -> AbstractContextManager[Any]:
    """Journal one report more than was read."""
    append = Term.append

    def beyond(self: Term, events: Sequence[Event], now_ms: int, reports_offset: int) -> tuple[int, Entry]:
        return append(self, events, now_ms, reports_offset + 1)

    return mock.patch.object(Term, "append", beyond)


def position_published_apart() -> AbstractContextManager[Any]:
    """Publish events first and the position that they lead to afterwards."""
    publish = SimEventLog.publish

    def in_two(self: SimEventLog, events: Sequence[EventRecord], position: Position) -> None:
        publish(self, events, self._announced.position)
        publish(self, (), position)

    return mock.patch.object(SimEventLog, "publish", in_two)


def ends_of_stopped_attempts_counted() -> AbstractContextManager[Any]:
    """Take the end of an attempt that is being stopped for that of a current one."""
    return mock.patch.object(outcomes, "_is_stopping", return_value=False)


def snapshots_without_what_is_being_stopped() -> AbstractContextManager[Any]:
    """Forget in snapshots which attempts are to end."""
    encode = snapshots.encode_snapshot

    def forgetful(snapshot: Snapshot) -> Iterator[bytes]:
        for worker in snapshot.announcer.state.fleet.workers.values():
            worker.held.update(dict.fromkeys(worker.held, False))
        return encode(snapshot)

    return mock.patch.object(snapshots, "encode_snapshot", forgetful)


def opening_that_reads_nothing() -> AbstractContextManager[Any]:
    """Take office without what was written between the replay and the opening."""
    replay = Term._replay

    def blind(self: Term, start: int, end: int) -> None:
        if start >= self._end:
            self.state.apply = lambda _: Consequences()  # type: ignore[method-assign]
        replay(self, start, end)
        self.state.__dict__.pop("apply", None)

    return mock.patch.object(Term, "_replay", blind)


@contextmanager
def sweeper_that_does_not_ask_whether_it_leads() -> Iterator[None]:
    """Delete what a leader's memory knows no reference to, of one that has no reason to look at the journal."""
    with mock.patch.object(sweeping, "Confirm", requests.GetGone), leader_that_answers_from_memory():
        yield


def leader_that_over_commits() -> AbstractContextManager[Any]:
    """Give a worker whatever it has a place for."""
    return mock.patch.object(PoolOpenings, "_has_room", lambda _, seat, __: seat.held < seat.most)


def leader_that_heeds_no_trouble() -> AbstractContextManager[Any]:
    """Give a worker Steps as long as it does not leave."""
    return mock.patch.object(Worker, "is_open", property(lambda worker: not worker.is_leaving))


PLANTS: Final[dict[str, Plant]] = {
    plant.__name__: plant
    for plant in (
        effects_before_the_append, reader_that_trusts_any_predecessor, reader_that_trusts_any_term,
        leader_that_looks_at_no_strangers, fence_without_attempt_number, request_ids_forgotten,
        publisher_that_knows_its_position, ticks_before_reports, cancels_not_sent_again, dispatches_not_sent_again,
        leader_that_answers_from_memory, worker_that_obeys_deposed_leaders, worker_that_forgets_attempts,
        snapshots_without_request_ids, cut_one_record_too_far,
        leases_that_began_before_the_term, reports_passed_over, position_published_apart,
        ends_of_stopped_attempts_counted, snapshots_without_what_is_being_stopped, opening_that_reads_nothing,
        cut_up_to_the_newest_snapshot, archives_of_what_has_changed, sweeper_that_does_not_ask_whether_it_leads,
        leader_that_over_commits, leader_that_heeds_no_trouble,
    )
}  # fmt: skip

BY_RULE: Final = {
    "sweeper_that_does_not_ask_whether_it_leads": "published files exist",
    "leader_that_over_commits": "workers get what they take",
    "leader_that_heeds_no_trouble": "workers get what they take",
}
"""Bugs that come with another one, and by which rule they themselves are found."""
