"""Tells whether Gaia kept its promises, from nothing but what is durable after a run.

Reads journal, reports, inboxes, public events and store, of a simulated run or of a real one, together with the answers
that clients got. Decides by itself which journal entries count, so that a broken reader does not hide its own work.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from math import inf
from typing import Final, NamedTuple, Protocol

from gaia_core.errors import RequestError
from gaia_core.machine import events as own
from gaia_core.machine import reports as rp
from gaia_core.machine.orders import Dispatch
from gaia_core.machine.public import Announcer
from gaia_core.machine.state import Deployment
from gaia_core.ports import EventRecord, Record
from gaia_core.scheduling import invariants as scheduling
from gaia_core.scheduling.amounts import demand_of
from gaia_core.wire.frame import unwrap
from gaia_core.wire.inbox import decode_inbox
from gaia_core.wire.journal import Entry, decode_entry
from gaia_core.wire.public import encode_announcement
from gaia_core.wire.reports import decode_reports
from gaia_core.wire.snapshot import Place, Snapshot, decode_archived, decode_snapshot, digest, encode_workflow
from gaia_core.wire.snapshot_workflow import Kept
from gaia_core.workflow import events as ev
from gaia_core.workflow import invariants
from gaia_core.workflow.keys import location
from gaia_core.workflow.model import FailureClass, FileVersion, Publication
from gaia_core.workflow.state import Step, WorkflowState
from gaia_core.workflow.states import StepState
from tests.unit.machine.deployment import snapshot

UNREAD_S: Final = 10.0
"""A sign of life that lay unread for longer must not be overlooked when its worker is given up as silent."""

CLOCKS_S: Final = 1.0
"""The clocks of journal and reports, and what we know of a decision's moment, may differ by so much."""

IS_THERE: Final = "is there already"
IS_NOT_THERE: Final = "is not there"

Attempt = tuple[int, int, int]
"""Workflow uid, Step, number."""


class InboxSeen(NamedTuple):
    """One inbox record, with the journal's end, or the time, when it was sent (None: not known)."""

    worker: str
    record: bytes
    journal_end: int | None = None
    time_s: float | None = None


class ReportSeen(NamedTuple):
    """One record of reports, with the time at which it arrived (None: not known)."""

    record: bytes
    time_s: float | None = None


@dataclass(frozen=True)
class Acknowledged:
    """What a client was told of a mutation.

    Attributes:
        answer: what is remembered of it; None: not known.
        workflow: which it was about.
        refusal: IS_THERE or IS_NOT_THERE where that is why it was refused.
        asked_s: when it was first asked, and `answered_s`, in the clock of the journal's times; None: not known.
    """

    request_id: str
    is_refused: bool
    answer: str | None = None
    workflow: str = ""
    refusal: str = ""
    asked_s: float | None = None
    answered_s: float | None = None


class Versions(Protocol):
    """What lies in the store."""

    def holds(self, path: str, version: str) -> bool:
        """Tell whether there is a version of an object."""

    def all(self) -> Iterable[tuple[str, str]]:
        """Return (path, version) of everything, as far as the store can tell."""


@dataclass
class Recording:
    """All that is left of a run.

    Attributes:
        journal: every record of the journal.
        journal_times: offset → when it was written, in the clock of the reports' times.
        store: the deployment's own bucket; None: not looked at.
        live: the leader's state after the last entry, where it is at hand.
        snapshots: every snapshot that was ever taken, as it was written.
        archives: every archived workflow that ever was, by path and version; None: not known.
        recover: returns what somebody knows who begins now, from a snapshot and the journal behind it.
        at_rest: everything was let run to its end.
        lease_s: after which a silent worker is lost; 0: not known.
        recounts: the last state is compared with a recount from scratch, which costs the square of a workflow's Steps.
    """

    journal: list[Record]
    reports: list[ReportSeen] = field(default_factory=list)
    inboxes: list[InboxSeen] = field(default_factory=list)
    events: list[EventRecord] = field(default_factory=list)
    store: Versions | None = None
    acknowledged: list[Acknowledged] = field(default_factory=list)
    journal_times: Mapping[int, float] = field(default_factory=dict)
    live: Deployment | None = None
    snapshots: Sequence[bytes] = ()
    archives: Mapping[tuple[str, str], bytes] | None = None
    recover: Callable[[], Announcer] | None = None
    at_rest: bool = True
    lease_s: float = 0.0
    recounts: bool = True


class Violation(NamedTuple):
    """A promise that was not kept."""

    rule: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.what}"


@dataclass
class Verdict:
    """What an audit found.

    Attributes:
        unreferenced: number of versions in the store that nothing refers to.
    """

    violations: list[Violation] = field(default_factory=list)
    entries: int = 0
    completions: int = 0
    unreferenced: int = 0


def audit(recording: Recording) -> Verdict:
    """Check everything; see the rules below."""
    verdict = Verdict()
    entries = list(accepted(recording.journal))
    history = History(recording, entries)
    checks: list[Callable[[], Iterable[Violation]]] = [
        history.follow,
        lambda: acknowledged_requests_are_kept(recording, entries),
        lambda: refusals_are_true(recording, entries),
        lambda: dispatches_are_journaled(recording, history),
        lambda: silent_workers_were_silent(recording, entries),
        lambda: events_are_announced_once(recording, entries),
        lambda: published_files_exist(recording, history),
        lambda: replay_is_live(recording, history),
        lambda: snapshots_are_true(recording, entries),
        lambda: everything_has_ended(recording, history),
    ]
    for check in checks:
        verdict.violations += check()
    verdict.entries = len(entries)
    verdict.completions = history.completions
    verdict.unreferenced = _unreferenced(recording, history)
    return verdict


def accepted(journal: Iterable[Record]) -> Iterator[tuple[int, Entry]]:
    """Yield the entries that count: those that name the latest opening and the latest entry before them."""
    opening = last = -1
    parts: dict[bytes, list[bytes]] = {}
    for record in journal:
        frame = unwrap(record.offset, record.value)
        if frame is None:
            continue
        whole = parts.setdefault(frame.entry_id, [])
        if frame.part != len(whole):
            continue
        whole.append(frame.payload)
        if len(whole) < frame.parts:
            continue
        entry = decode_entry(b"".join(parts.pop(frame.entry_id)))
        if entry.opening is not None:
            opening = record.offset
            parts.clear()
        elif (entry.opening_offset, entry.previous_offset) != (opening, last):
            continue
        last = record.offset
        yield record.offset, entry


class History:
    """Replays the accepted entries and checks each event against the state that it meets."""

    def __init__(self, recording: Recording, entries: list[tuple[int, Entry]]) -> None:
        self.state = Deployment()
        self.completions = 0
        self.dispatched: dict[Attempt, tuple[int, str]] = {}
        self.published: set[tuple[str, str]] = set()
        self._entries = entries
        self.archives = recording.archives
        self._recounts = recording.recounts
        self._numbers: dict[tuple[int, str], int] = {}
        self._completed: set[Attempt] = set()
        self._said = _said(recording.reports)
        self._ended = _ended(recording.reports)
        self._read_to = 0
        self._has_reports = bool(recording.reports)

    def follow(self) -> Iterator[Violation]:
        """Yield what no journal may say."""
        for offset, entry in self._entries:
            self.state.now_ms = max(self.state.now_ms, entry.now_ms)
            for event in entry.events:
                problems = list(self._problems(offset, event))
                yield from problems
                if problems:
                    return  # the state is not worth looking at any more
                try:
                    self.state.apply(event)
                except Exception as error:  # noqa: BLE001 - whatever breaks is a finding
                    yield Violation("journal replays", f"{event} at {offset} cannot be applied: {error!r}")
                    return
            self._read_to = entry.reports_offset
        for workflow in self.state.workflows.values() if self._recounts else ():
            try:
                invariants.check(workflow)
                scheduling.check(self.state.fleet, self.state.ready, [workflow])
            except Exception as error:  # noqa: BLE001
                yield Violation("journal replays", f"{workflow.name}: {error}")

    def _problems(self, offset: int, event: own.Event) -> Iterator[Violation]:
        match event:
            case ev.StepsDispatched():
                yield from self._give(offset, event)
                for step, attempt in zip(event.steps, event.attempts, strict=True):
                    yield from self._dispatch(offset, event, step, attempt)
            case ev.StepsCompleted():
                for place, (step, attempt) in enumerate(zip(event.steps, event.attempts, strict=True)):
                    outputs = event.outputs[place] if event.outputs else ()
                    yield from self._complete(offset, event, (event.uid, step, attempt), outputs)
            case ev.AttemptFailed():
                yield from self._fail(offset, event)
            case ev.KeysArrived():
                self._publish(event.uid, event.keys)
            case own.WorkflowArchived():
                yield from self._archive(offset, event)
            case own.WorkflowRevived():
                yield from self._revive(offset, event)

    def _archive(self, offset: int, event: own.WorkflowArchived) -> Iterator[Violation]:
        """Compare what left memory with what lies in the store."""
        workflow = self.state.by_uid.get(event.uid)
        if workflow is None:
            yield Violation("archives are true", f"workflow {event.uid} leaves memory at {offset} and is not there")
        elif self.archives is not None:
            expected = b"".join(encode_workflow(Kept(workflow, event.sequence, event.rest)))
            if self.archives.get((event.file.key, event.file.version)) != expected:
                yield Violation("archives are true", f"{workflow.name!r} left memory at {offset} as it is not")

    def _revive(self, offset: int, event: own.WorkflowRevived) -> Iterator[Violation]:
        """Compare what comes back with what left."""
        known = self.state.archived_of(event.uid)
        if known is None:
            yield Violation("archives are true", f"workflow {event.uid} comes back at {offset} and was not away")
        elif sha256(event.restored.data).digest() != known.file.sha256:
            yield Violation("archives are true", f"{known.name!r} comes back at {offset} as it did not leave")

    def _give(self, offset: int, event: ev.StepsDispatched) -> Iterator[Violation]:
        """Make sure that the worker takes something, and that what it holds demands no more than it has."""
        worker, workflow = self.state.fleet.workers.get(event.worker), self.state.by_uid.get(event.uid)
        if worker is None or workflow is None:
            return
        if worker.draining or worker.dismissed or worker.trouble:
            yield Violation("workers get what they take", f"{event.worker!r} takes nothing at offset {offset}")
        used = worker.used
        for index in event.steps:
            if index in workflow.steps:
                step = workflow.steps[index]
                used = used.plus(demand_of(step.options.over(workflow.commands[step.command].options).resources))
        if not used.fits(worker.capacity):
            yield Violation("workers get what they take", f"{event.worker!r} is over-committed at offset {offset}")

    def _dispatch(self, offset: int, event: ev.StepsDispatched, step: int, attempt: int) -> Iterator[Violation]:
        workflow = self.state.by_uid.get(event.uid)
        known = workflow.steps.get(step) if workflow is not None else None
        name = known.name if known is not None else ""
        before = self._numbers.get((event.uid, name), 0)
        if not name or attempt <= before:
            yield Violation("attempts grow", f"attempt {attempt} of {name!r} follows on {before} (offset {offset})")
        self._numbers[event.uid, name] = attempt
        self.dispatched[event.uid, step, attempt] = (offset, event.worker)

    def _complete(
        self, offset: int, event: ev.StepsCompleted, attempt: Attempt, outputs: Sequence[Publication]
    ) -> Iterator[Violation]:
        if attempt in self._completed:
            yield Violation("completed once", f"attempt {attempt} is completed again at offset {offset}")
        elif not self._is_current(attempt, event.worker):
            yield Violation(
                "only the current attempt ends", f"{attempt} of {event.worker!r} completes at offset {offset}"
            )
        said = self._said.get((event.worker, attempt), [])
        if self._has_reports and not any(set(outputs) <= set(one) for one in said):
            yield Violation("ends were reported", f"nobody reported what attempt {attempt} completed with at {offset}")
        self._completed.add(attempt)
        self.completions += 1
        self._publish(event.uid, outputs)

    def _fail(self, offset: int, event: ev.AttemptFailed) -> Iterator[Violation]:
        attempt = (event.uid, event.step, event.attempt)
        if not self._is_current(attempt, event.worker):
            yield Violation("only the current attempt ends", f"{attempt} of {event.worker!r} fails at offset {offset}")
        if event.failure.kind is FailureClass.LOST and "gave the attempt up" in event.failure.message:
            yield Violation("stops are journaled", f"{attempt} was stopped, as nobody had decided (offset {offset})")
        if _is_given_up(event) and (place := self._ended.get((event.worker, attempt), inf)) < self._read_to:
            yield Violation("ends are read", f"{attempt} is lost at {offset}, though report {place} told its end")
        self._publish(event.uid, event.outputs)

    def _is_current(self, attempt: Attempt, worker: str) -> bool:
        uid, index, number = attempt
        workflow = self.state.by_uid.get(uid)
        step = workflow.steps.get(index) if workflow is not None else None
        if step is None:
            return False
        return (step.state, step.attempt, step.worker) == (StepState.RUNNING, number, worker)

    def _publish(self, uid: int, publications: Iterable[Publication]) -> None:
        workflow = self.state.by_uid.get(uid)
        if workflow is not None:
            self.published.update(_places(workflow.name, publications))


def acknowledged_requests_are_kept(recording: Recording, entries: list[tuple[int, Entry]]) -> Iterator[Violation]:
    """Find answers that clients got and the journal does not know, and requests that were carried out twice.

    Of a refused request an earlier copy may still be carried out, if its client asked elsewhere meanwhile; only what
    had been carried out when the refusal came was refused wrongly.
    """
    kept: dict[str, own.RequestAnswered] = {}
    times: dict[str, float] = {}
    for offset, entry in entries:
        for event in entry.events:
            if isinstance(event, own.RequestAnswered):
                if event.request_id in kept:
                    yield Violation("requests happen once", f"{event.request_id!r} was carried out again at {offset}")
                kept[event.request_id] = event
                times[event.request_id] = recording.journal_times.get(offset, 0.0)
    for one in recording.acknowledged:
        known = kept.get(one.request_id)
        if one.is_refused:
            if known is not None and (one.answered_s is None or times[one.request_id] <= one.answered_s):
                yield Violation("answers are true", f"{one.request_id!r} was refused, and carried out all the same")
        elif known is None:
            yield Violation("acknowledged is kept", f"{one.request_id!r} was answered and is not in the journal")
        elif one.answer is not None and known.answer != one.answer:
            yield Violation("answers are true", f"{one.request_id!r} was answered otherwise than the journal says")


def refusals_are_true(recording: Recording, entries: list[tuple[int, Entry]]) -> Iterator[Violation]:
    """Find refusals by somebody who did not know what was journaled before the client asked.

    A workflow that was refused because it is there, or is not, was so at some moment between question and answer.
    """
    lives = _lives(entries, recording.journal_times) if recording.journal_times else {}
    for one in recording.acknowledged:
        if one.asked_s is None or one.answered_s is None:
            continue
        there = lives.get(one.workflow, [])
        always = any(from_s < one.asked_s and to_s > one.answered_s for from_s, to_s in there)
        ever = any(from_s <= one.answered_s and to_s >= one.asked_s for from_s, to_s in there)
        if (one.refusal == IS_NOT_THERE and always) or (one.refusal == IS_THERE and not ever):
            yield Violation(
                "refusals are true", f"{one.request_id!r}: it is not so that {one.workflow!r} {one.refusal}"
            )


def _lives(entries: Iterable[tuple[int, Entry]], times: Mapping[int, float]) -> dict[str, list[tuple[float, float]]]:
    """Return when there were workflows of which names, as (from, to)."""
    lives: dict[str, list[tuple[float, float]]] = defaultdict(list)
    begun: dict[int, tuple[str, float]] = {}
    for offset, entry in entries:
        for event in entry.events:
            if isinstance(event, ev.WorkflowCreated):
                begun[event.uid] = (event.name, times[offset])
            elif isinstance(event, ev.WorkflowDeleted):
                name, from_s = begun.pop(event.uid)
                lives[name].append((from_s, times[offset]))
    for name, from_s in begun.values():
        lives[name].append((from_s, inf))
    return lives


def dispatches_are_journaled(recording: Recording, history: History) -> Iterator[Violation]:
    """Find orders to run something that the journal does not know, or did not know yet, or that pin other files."""
    for seen in recording.inboxes:
        try:
            inbox = decode_inbox(seen.record)
        except RequestError:
            continue
        for order in inbox.orders:
            if isinstance(order, Dispatch):
                fence = order.execution.fence
                attempt = (fence.workflow_uid, fence.step, fence.attempt)
                offset, worker = history.dispatched.get(attempt, (None, ""))
                if offset is None or worker != inbox.worker:
                    yield Violation(
                        "dispatches are journaled", f"{attempt} was sent to {inbox.worker!r} out of nowhere"
                    )
                elif _is_too_early(seen, offset, recording.journal_times):
                    yield Violation("dispatches are journaled", f"{attempt} was sent before it was journaled")
                pinned = {
                    place
                    for item in order.execution.inputs
                    for place in _places(order.execution.workflow, item.sources)
                }
                if not pinned <= history.published:
                    yield Violation("inputs are published", f"{attempt} reads {sorted(pinned - history.published)}")


def _is_too_early(seen: InboxSeen, offset: int, times: Mapping[int, float]) -> bool:
    """Tell whether an order was sent before the entry at an offset was durable."""
    if seen.journal_end is not None:
        return offset >= seen.journal_end
    return seen.time_s is not None and seen.time_s < times.get(offset, 0.0)


def silent_workers_were_silent(recording: Recording, entries: list[tuple[int, Entry]]) -> Iterator[Violation]:
    """Find workers that were given up as silent too early, or while a sign of life of theirs lay unread."""
    if not recording.journal_times:
        return
    heard: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for offset, seen in enumerate(recording.reports):
        said = _decoded(seen.record)
        if said is not None and seen.time_s is not None:
            heard[said.incarnation].append((offset, seen.time_s))
    lags = _lags(entries, recording.journal_times)
    for _, entry in entries:
        for event in entry.events:
            if isinstance(event, own.WorkerLeft) and event.reason.startswith("silent"):
                time_s = entry.now_ms / 1000 + lags[entry.opening_offset]
                read = [came_s for place, came_s in heard[event.incarnation] if place < entry.reports_offset]
                last_s = max(recording.journal_times[entry.opening_offset], *read, -inf)
                if time_s - last_s < recording.lease_s - CLOCKS_S:
                    yield Violation("silence lasts", f"{event.worker!r} was given up after {time_s - last_s:.1f} s")
                for place, came_s in heard[event.incarnation]:
                    if place >= entry.reports_offset and came_s < time_s - UNREAD_S:
                        yield Violation(
                            "silence is heard out", f"{event.worker!r} was given up though report {place} was unread"
                        )
                        break


def _lags(entries: Iterable[tuple[int, Entry]], times: Mapping[int, float]) -> dict[int, float]:
    """Return what to add to a term's own time to have the journal's: an append may take long after its decision.

    Openings tell nothing: a term's own time only begins when it is caught up.
    """
    lags: dict[int, float] = {}
    for offset, entry in entries:
        if entry.opening is None:
            term = entry.opening_offset
            lags[term] = min(lags.get(term, inf), times[offset] - entry.now_ms / 1000)
    return lags


def events_are_announced_once(recording: Recording, entries: list[tuple[int, Entry]]) -> Iterator[Violation]:
    """Compare the public events with what an Announcer makes of the journal."""
    try:
        expected = _announced(entries)
    except Exception as error:  # noqa: BLE001
        yield Violation("journal replays", f"the announcer broke: {error!r}")
        return
    found: dict[int, list[EventRecord]] = defaultdict(list)
    for event in recording.events:
        found[event.workflow_uid].append(event)
    for uid, events in found.items():
        yield from _event_problems(uid, events, expected[uid])
    if recording.at_rest:
        for uid, values in expected.items():
            if len(found[uid]) < len(values):
                yield Violation("events all come", f"{len(found[uid])} of {len(values)} of workflow {uid} were told")


def _event_problems(uid: int, events: Sequence[EventRecord], expected: Sequence[bytes]) -> Iterator[Violation]:
    """Yield what is wrong with the events of one workflow, in the order in which they were published."""
    numbers = [event.sequence for event in events]
    doubled = sorted(number for number, times in Counter(numbers).items() if times > 1)
    if doubled:
        yield Violation("events come once", f"numbers {doubled} of workflow {uid} were published again")
    elif numbers != list(range(1, len(numbers) + 1)):
        yield Violation("events have no gaps", f"workflow {uid} was told as {numbers}")
    elif [event.value for event in events] != list(expected[: len(events)]):
        yield Violation("events are true", f"workflow {uid} was told otherwise than the journal says")


def _announced(entries: Iterable[tuple[int, Entry]]) -> dict[int, list[bytes]]:
    """Return what the world should be told of each workflow."""
    announcer = Announcer()
    told: dict[int, list[bytes]] = defaultdict(list)
    for _, entry in entries:
        for one in announcer.follow(entry.now_ms, entry.events):
            if one.sequence:
                told[one.uid].append(encode_announcement(one)[1])
    return told


def published_files_exist(recording: Recording, history: History) -> Iterator[Violation]:
    """Find files that readers would be sent to and that are not in the store."""
    for path, version in sorted(_referenced(history)):
        if recording.store is not None and not recording.store.holds(path, version):
            yield Violation("published files exist", f"{path!r} has no version {version!r}")


def replay_is_live(recording: Recording, history: History) -> Iterator[Violation]:
    """Compare the leader's state with the replay of the journal."""
    if recording.live is not None:
        live, replayed = snapshot(recording.live)[1:], snapshot(history.state)[1:]
        if live != replayed:
            names = ("last uid", "workflows", "workers", "answers", "deletions", "wipes")
            different = [name for name, one, other in zip(names, live, replayed, strict=True) if one != other]
            yield Violation("replay is live", f"the leader's {', '.join(different)} are not what the journal says")


def snapshots_are_true(recording: Recording, entries: list[tuple[int, Entry]]) -> Iterator[Violation]:
    """Compare every snapshot, and what somebody knows who begins now, with the replay of everything."""
    taken = {(snapshot := decode_snapshot([data])).place.offset: snapshot for data in recording.snapshots}
    announcer = Announcer()
    opening, leader = -1, ""
    try:
        for offset, entry in entries:
            announcer.follow(entry.now_ms, entry.events)
            if entry.opening is not None:
                opening, leader = offset, entry.opening.leader_address
            found = taken.pop(offset, None)
            place = Place(offset, opening, entry.reports_offset, leader)
            if found is not None and not _is_true(found, place, announcer):
                yield Violation("snapshots are true", f"the one behind {offset} is not what the journal says")
    except KeyError:
        return  # others tell of what cannot be replayed
    if taken:
        yield Violation("snapshots are true", f"those behind {sorted(taken)} are behind nothing that counts")
    yield from _recovery_problems(recording, announcer)


def _is_true(snapshot: Snapshot, place: Place, announcer: Announcer) -> bool:
    """Tell whether a snapshot is what is known behind its place."""
    same_place = replace(snapshot.place, entry_id=b"") == place
    return same_place and _digest(snapshot.announcer) == _digest(announcer)


def _recovery_problems(recording: Recording, announcer: Announcer) -> Iterator[Violation]:
    """Yield what is wrong with what somebody knows who begins now."""
    if recording.recover is None:
        return
    try:
        recovered = recording.recover()
    except Exception as error:  # noqa: BLE001 - whatever breaks is a finding
        yield Violation("what is needed is kept", f"nobody can begin any more: {error!r}")
    else:
        if _digest(recovered) != _digest(announcer):
            yield Violation("snapshots are true", "who begins from one now knows something else than the journal says")


def _digest(announcer: Announcer) -> bytes:
    return digest(announcer.state, announcer.sequences, announcer.rests)


def everything_has_ended(recording: Recording, history: History) -> Iterator[Violation]:
    """Find what is under way after everything was let run to its end."""
    if not recording.at_rest:
        return
    for workflow in history.state.workflows.values():
        for step in workflow.steps.values():
            if _is_under_way(workflow, step):
                yield Violation("everything ends", f"{workflow.name}/{step.name} is {step.state.word} at rest")
    for worker in history.state.fleet.workers.values():
        if worker.held:
            yield Violation("everything ends", f"{worker.name!r} holds {sorted(worker.held)} at rest")
    for name in history.state.doomed.values():
        yield Violation("everything ends", f"the files of {name!r} are not deleted at rest")


def _is_under_way(workflow: WorkflowState, step: Step) -> bool:
    """Tell whether a Step should go on by itself."""
    if step.state is StepState.READY:
        return not workflow.holds
    return step.state in (StepState.RUNNING, StepState.RETRYING)


def _said(reports: Iterable[ReportSeen]) -> dict[tuple[str, Attempt], list[tuple[Publication, ...]]]:
    """Return the outputs of every reported completion, by worker and attempt."""
    found: dict[tuple[str, Attempt], list[tuple[Publication, ...]]] = defaultdict(list)
    for seen in reports:
        said = _decoded(seen.record)
        for report in said.reports if said is not None else ():
            if isinstance(report, rp.Completed):
                fence = report.fence
                attempt = (fence.workflow_uid, fence.step, fence.attempt)
                found[said.worker, attempt].append(report.outputs)
    return found


def _ended(reports: Iterable[ReportSeen]) -> dict[tuple[str, Attempt], int]:
    """Return the place of the first report of each end, by worker and attempt."""
    found: dict[tuple[str, Attempt], int] = {}
    for place, seen in enumerate(reports):
        said = _decoded(seen.record)
        for report in said.reports if said is not None else ():
            if isinstance(report, rp.Completed | rp.Failed | rp.Cancelled):
                fence = report.fence
                found.setdefault((said.worker, (fence.workflow_uid, fence.step, fence.attempt)), place)
    return found


def _is_given_up(event: ev.AttemptFailed) -> bool:
    """Tell whether it is the coordinator that thinks an attempt lost; a worker that leaves says so in other words."""
    words = ("was lost:", "does not know the attempt")
    return event.failure.kind is FailureClass.LOST and any(one in event.failure.message for one in words)


def _decoded(record: bytes) -> rp.WorkerReports | None:
    try:
        return decode_reports(record)
    except RequestError:
        return None


def _places(workflow: str, publications: Iterable[Publication]) -> Iterator[tuple[str, str]]:
    """Yield (path, version) of all that publications are made of, as far as it lies in the deployment's own bucket."""
    for publication in publications:
        yield from _file_places(workflow, publication.files)
        if publication.manifest is not None:
            yield publication.manifest.key, publication.manifest.version


def _file_places(workflow: str, files: Iterable[FileVersion]) -> Iterator[tuple[str, str]]:
    for file in files:
        place = location(workflow, file.key)
        if place.bucket is None:
            yield place.path, file.version


def _referenced(history: History) -> set[tuple[str, str]]:
    """Return what the workflows' Keys stand for, and where those lie that have left memory."""
    found: set[tuple[str, str]] = set()
    for workflow in history.state.workflows.values():
        found |= _referenced_by(workflow)
    for archived in history.state.archived.values():
        found.add((archived.file.key, archived.file.version))
        if history.archives is not None:
            found |= _referenced_by(
                decode_archived(history.archives[archived.file.key, archived.file.version]).workflow
            )
    return found


def _referenced_by(workflow: WorkflowState) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for step in workflow.steps.values():
        found.update(_places(workflow.name, step.published))
    for key in workflow.graph.keys.values():
        if key.arrived is not None:
            found.update(_places(workflow.name, [key.arrived]))
    return found


def _unreferenced(recording: Recording, history: History) -> int:
    referenced = _referenced(history)
    return sum(place not in referenced for place in recording.store.all()) if recording.store is not None else 0
