"""Public events: what the world is told of each journal entry, numbered without gaps per workflow uid.

An `Announcer` follows the journal on a state of its own, so it gives the same numbers however often it replays.
Pure; the wire layer encodes what it returns.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NamedTuple, TypeAlias

from gaia_core.machine import events as own
from gaia_core.machine.archived import Archived
from gaia_core.machine.reports import Progress, Started, WorkerReports
from gaia_core.machine.state import PIECES_PER_ENTRY, Deployment
from gaia_core.workflow import events as ev
from gaia_core.workflow.model import Failure, FileVersion, Publication
from gaia_core.workflow.state import Consequences, WorkflowState
from gaia_core.workflow.states import FlowState, StepState

NAMES_TOLD_MAX: Final = 1_000

FILES_TOLD_MAX: Final = 100
"""An outside tree may have any number of files, an event has to fit into one record."""


@dataclass(frozen=True, slots=True)
class WorkflowChanged:
    """created, commands, steps, removed, halted, resumed, complete, error, stalled or deleted."""

    change: str
    names: tuple[str, ...] = ()
    count: int = 0


class StepCompleted(NamedTuple):
    """An attempt was accepted."""

    step: str
    attempt: int
    worker: str
    outputs: tuple[Publication, ...]
    run_ms: int
    image_digest: str = ""


@dataclass(frozen=True, slots=True)
class StepFailed:
    """The Step failed for good."""

    step: str
    attempt: int
    worker: str
    failure: Failure


@dataclass(frozen=True, slots=True)
class StepCancelled:
    """A running attempt no longer counts."""

    step: str
    attempt: int
    reason: str


@dataclass(frozen=True, slots=True)
class StepExpired:
    """A complete Step has to run again."""

    step: str
    reason: str


@dataclass(frozen=True, slots=True)
class StepRetrying:
    """An attempt failed and another one follows."""

    step: str
    attempt: int
    failure: Failure
    not_before_ms: int


@dataclass(frozen=True, slots=True)
class KeyAvailable:
    """A Key that no Step writes is there."""

    key: str
    files: tuple[FileVersion, ...]
    count: int


@dataclass(frozen=True, slots=True)
class KeyForgotten:
    """A Key that no Step writes is looked up anew."""

    key: str


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A worker has started the attempt's program; for watchers only."""

    step: str
    attempt: int
    worker: str


@dataclass(frozen=True, slots=True)
class StepProgress:
    """How far a running attempt is, as its program says; for watchers only. `total` is 0 where it does not say."""

    step: str
    attempt: int
    worker: str
    done: int
    total: int
    message: str


@dataclass(frozen=True, slots=True)
class WorkerChanged:
    """A worker joined, is draining, is in trouble or well again, or left; for watchers only."""

    worker: str
    change: str
    pool: str = ""
    reason: str = ""


Fact: TypeAlias = (
    WorkflowChanged
    | StepCompleted
    | StepFailed
    | StepCancelled
    | StepExpired
    | StepRetrying
    | KeyAvailable
    | KeyForgotten
    | StepStarted
    | StepProgress
    | WorkerChanged
)


Told: TypeAlias = tuple[Fact, tuple[str, ...]]
"""A fact, and every name that stands for the Step it is about."""


class Announcement(NamedTuple):
    """One fact with its place in the history of its workflow.

    Attributes:
        workflow: its name; "" for facts about workers.
        uid: of the workflow; 0 for facts about workers.
        sequence: numbered from 1 without gaps; 0 for facts that are for watchers only.
        names: what the Step it is about is called, by itself and together with others; () for other facts.
    """

    workflow: str
    uid: int
    sequence: int
    time_ms: int
    fact: Fact
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Update:
    """How a workflow stands after an entry of the journal.

    Attributes:
        sequence: of its latest event.
        steps: number of Steps by StepState.
        archived: it has left memory.
    """

    workflow: str
    uid: int
    sequence: int
    state: str
    stalled: bool
    steps: tuple[int, ...]
    deleted: bool = False
    archived: bool = False


def underway(state: Deployment, said: WorkerReports) -> Iterator[Announcement]:
    """Yield which running attempts one worker has started and how far they are; to be asked before that is entered."""
    for report in said.reports:
        if isinstance(report, Started | Progress):
            fence = report.fence
            workflow = state.by_uid.get(fence.workflow_uid)
            step = workflow.steps.get(fence.step) if workflow is not None else None
            if workflow is None or step is None or step.state is not StepState.RUNNING:
                continue
            if (step.attempt, step.worker) == (fence.attempt, said.worker):
                about = (step.name, step.attempt, step.worker)
                fact = (
                    StepStarted(*about)
                    if isinstance(report, Started)
                    else StepProgress(*about, report.done, report.total, report.message)
                )
                yield Announcement(workflow.name, workflow.uid, 0, state.now_ms, fact, step.names)


class Announcer:
    """Follows the journal and tells what the world should know of it.

    Attributes:
        state: the deployment, as of the last entry.
        sequences: uid → number of the workflow's latest event.
        rests: uid → the state that was compared last, to tell only what is new.
        updates: how the workflows stand that the last entry touched.
    """

    def __init__(self) -> None:
        self.state = Deployment()
        self.sequences: dict[int, int] = {}
        self.updates: list[Update] = []
        self.rests: dict[int, str] = {}

    def follow(self, now_ms: int, events: Iterable[own.Event]) -> list[Announcement]:
        """Apply one entry's events and return what they announce; `updates` tells how the workflows stand then."""
        self.state.now_ms = now_ms
        self.updates = []
        told: list[Announcement] = []
        touched: dict[int, None] = {}
        for event in events:
            told += self._about_workers(event, now_ms)
            if isinstance(event, own.EntriesLost):
                self.sequences = {uid: sequence + own.EVENTS_SKIPPED for uid, sequence in self.sequences.items()}
            uid = getattr(event, "uid", None)
            archived = self.state.archived_of(uid) if uid is not None else None
            if archived is not None:
                told += self._about_archived(archived, event, now_ms)
            workflow = self.state.by_uid.get(uid) if uid is not None else None
            followed = self.state.apply(event)
            workflow = workflow or (self.state.by_uid.get(uid) if uid is not None else None)
            if isinstance(event, own.WorkflowArchived):
                self._put_aside(event.uid)
                touched.pop(event.uid, None)
            elif workflow is not None:
                touched[workflow.uid] = None
                told += self._number(workflow, _facts(workflow, event, followed), now_ms)
        self.state.due(now_ms)  # who only follows starts nothing; its timers must not pile up
        self.state.overdue(now_ms)
        self.state.resting.drop()
        for uid in touched:
            present = self.state.by_uid.get(uid)
            if present is not None:
                told += self._number(present, self._came_to_rest(present), now_ms)
                self.updates.append(self._update(present))
        self._forget_deleted(touched, told)
        self.state.tidy(PIECES_PER_ENTRY)
        return told

    def standing(self) -> list[Update]:
        """Return how every workflow stands."""
        live = [self._update(workflow) for workflow in self.state.workflows.values()]
        return [*live, *map(_update_of, self.state.archived.values())]

    def _update(self, workflow: WorkflowState) -> Update:
        state, stalled = workflow.flow_state
        sequence = self.sequences.get(workflow.uid, 0)
        return Update(workflow.name, workflow.uid, sequence, state.value, stalled, tuple(workflow.counts))

    def _put_aside(self, uid: int) -> None:
        """Forget what was kept of a workflow that has left memory."""
        self.sequences.pop(uid, None)
        self.rests.pop(uid, None)
        archived = self.state.archived_of(uid)
        if archived is not None:
            self.updates.append(_update_of(archived))

    def _about_archived(self, archived: Archived, event: own.Event, now_ms: int) -> Iterator[Announcement]:
        """Go on with the numbers of a workflow that comes back, or yield that one is deleted."""
        if isinstance(event, own.WorkflowRevived):
            self.sequences[archived.uid], self.rests[archived.uid] = archived.sequence, archived.rest
        elif isinstance(event, ev.WorkflowDeleted):
            sequence = archived.sequence + 1
            yield Announcement(archived.name, archived.uid, sequence, now_ms, WorkflowChanged("deleted"))
            none = (0,) * len(StepState)
            self.updates.append(Update(archived.name, archived.uid, sequence, "deleted", False, none, deleted=True))

    def _forget_deleted(self, touched: Iterable[int], told: Iterable[Announcement]) -> None:
        """Drop what was kept of workflows that are no more."""
        gone = [uid for uid in touched if uid not in self.state.by_uid]
        for uid in gone:
            name = next(one.workflow for one in told if one.uid == uid)
            none = (0,) * len(StepState)
            self.updates.append(Update(name, uid, self.sequences.pop(uid), "deleted", False, none, deleted=True))
            self.rests.pop(uid, None)

    def _about_workers(self, event: own.Event, now_ms: int) -> Iterator[Announcement]:
        """Yield what watchers are told of workers; nobody numbers it. How much one may hold concerns none of them."""
        if isinstance(event, own.WorkerJoined):
            known = self.state.fleet.workers.get(event.worker)
            was_in_trouble = known is not None and bool(known.trouble)
            if known is not None and (known.incarnation, known.draining, known.trouble) == (
                event.incarnation, event.draining, event.trouble,
            ):  # fmt: skip
                return
            change = "draining" if event.draining else "trouble" if event.trouble else "joined"
            change = "well" if change == "joined" and was_in_trouble else change
            yield Announcement("", 0, 0, now_ms, WorkerChanged(event.worker, change, event.pool, event.trouble))
        elif isinstance(event, own.WorkerLeft):
            yield Announcement("", 0, 0, now_ms, WorkerChanged(event.worker, "left", "", event.reason))

    def _number(self, workflow: WorkflowState, facts: Iterable[Told], now_ms: int) -> Iterator[Announcement]:
        for fact, names in facts:
            sequence = self.sequences.get(workflow.uid, 0) + 1
            self.sequences[workflow.uid] = sequence
            yield Announcement(workflow.name, workflow.uid, sequence, now_ms, fact, names)

    def _came_to_rest(self, workflow: WorkflowState) -> Iterator[Told]:
        """Yield complete, error or stalled when the workflow has only now become so."""
        state, stalled = workflow.flow_state
        rest = "stalled" if stalled else state.value
        if rest != self.rests.get(workflow.uid):
            self.rests[workflow.uid] = rest
            if rest in (FlowState.COMPLETE, FlowState.ERROR, "stalled"):
                yield WorkflowChanged(rest), ()


def _update_of(archived: Archived) -> Update:
    """Return how an archived workflow stands."""
    line = archived.summary
    steps = tuple(line.steps.values())
    return Update(line.name, archived.uid, archived.sequence, line.state, False, steps, archived=True)


def _facts(workflow: WorkflowState, event: own.Event, followed: Consequences) -> Iterator[Told]:
    tell = _TELL.get(type(event))
    if tell is not None:
        yield from tell(workflow, event)
    for start in range(0, len(followed.removed), NAMES_TOLD_MAX):
        gone = followed.removed[start : start + NAMES_TOLD_MAX]
        yield from _changed("removed", (step.name for step in gone), len(gone))
    reason = own.stop_reason(event)
    for step, attempt, _ in followed.stopped:
        yield StepCancelled(step.name, attempt, reason), step.names
    for step in followed.expired:
        yield StepExpired(step.name, reason), step.names
    if isinstance(event, ev.WorkflowDeleted):
        yield from _changed("deleted")


def _completed(workflow: WorkflowState, event: ev.StepsCompleted) -> Iterator[Told]:
    for place, index in enumerate(event.steps):
        outputs = event.outputs[place] if event.outputs else ()
        step = workflow.steps[index]
        image = event.images[place] if event.images else ""
        fact = StepCompleted(step.name, event.attempts[place], event.worker, outputs, event.run_ms[place], image)
        yield fact, step.names


def _failed(workflow: WorkflowState, event: ev.AttemptFailed) -> Iterator[Told]:
    step = workflow.steps[event.step]
    if event.retry_at_ms is None:
        yield StepFailed(step.name, event.attempt, event.worker, event.failure), step.names
    else:
        yield StepRetrying(step.name, event.attempt, event.failure, event.retry_at_ms), step.names


def _changed(change: str, names: Iterable[str] = (), count: int = 0) -> Iterator[Told]:
    yield WorkflowChanged(change, tuple(islice(names, NAMES_TOLD_MAX)), count), ()


def _queue_timed_out(workflow: WorkflowState, event: ev.QueueTimedOut) -> Iterator[Told]:
    for index in event.steps:
        step = workflow.steps[index]
        if step.failure is not None:
            yield StepFailed(step.name, 0, "", step.failure), step.names


_TELL: Final[dict[type, Callable[[WorkflowState, Any], Iterator[Told]]]] = {
    ev.WorkflowCreated: lambda _, __: _changed("created"),
    ev.CommandsSet: lambda _, e: _changed("commands", (one.name for one in e.commands), len(e.commands)),
    ev.StepsMerged: lambda _, e: _changed("steps", (one.name for one in e.specs), len(e.specs)),
    ev.WorkflowHalted: lambda _, __: _changed("halted"),
    ev.WorkflowResumed: lambda _, __: _changed("resumed"),
    ev.KeysArrived: lambda _, e: (
        (KeyAvailable(one.key, one.files[:FILES_TOLD_MAX], len(one.files)), ()) for one in e.keys
    ),
    ev.KeysForgotten: lambda _, e: ((KeyForgotten(key), ()) for key in e.keys),
    ev.StepsCompleted: _completed,
    ev.AttemptFailed: _failed,
    ev.QueueTimedOut: _queue_timed_out,
}
