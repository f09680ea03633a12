"""Public events: what the world is told of each journal entry, numbered without gaps per workflow uid.

An `Announcer` follows the journal on a state of its own, so it gives the same numbers however often it replays.
Pure; the wire layer encodes what it returns.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeAlias

from gaia_core.machine import events as own
from gaia_core.machine.state import Deployment
from gaia_core.workflow import events as ev
from gaia_core.workflow.model import Failure, FileVersion, Publication
from gaia_core.workflow.state import Consequences, WorkflowState
from gaia_core.workflow.states import FlowState

NAMES_TOLD_MAX: Final = 1_000

FILES_TOLD_MAX: Final = 100
"""An outside tree may have any number of files, an event has to fit into one record."""


@dataclass(frozen=True, slots=True)
class WorkflowChanged:
    """created, commands, steps, halted, resumed, complete, error or stalled."""

    change: str
    names: tuple[str, ...] = ()
    count: int = 0


@dataclass(frozen=True, slots=True)
class StepCompleted:
    """An attempt was accepted."""

    step: str
    attempt: int
    worker: str
    outputs: tuple[Publication, ...]
    run_ms: int


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


Fact: TypeAlias = (
    WorkflowChanged
    | StepCompleted
    | StepFailed
    | StepCancelled
    | StepExpired
    | StepRetrying
    | KeyAvailable
    | KeyForgotten
)


@dataclass(frozen=True, slots=True)
class Announcement:
    """One fact with its place in the history of its workflow."""

    workflow: str
    uid: int
    sequence: int
    time_ms: int
    fact: Fact


class Announcer:
    """Follows the journal and tells what the world should know of it."""

    def __init__(self) -> None:
        self.state = Deployment()
        self.sequences: dict[int, int] = {}
        self._rest: dict[int, str] = {}

    def follow(self, now_ms: int, events: Iterable[own.Event]) -> list[Announcement]:
        """Apply one entry's events and return what they announce."""
        self.state.now_ms = now_ms
        told: list[Announcement] = []
        touched: dict[int, None] = {}
        for event in events:
            followed = self.state.apply(event)
            uid = getattr(event, "uid", None)
            if uid is not None:
                workflow = self.state.by_uid[uid]
                touched[uid] = None
                told += self._number(workflow, _facts(workflow, event, followed), now_ms)
        self.state.due(now_ms)  # who only follows starts nothing; its timers must not pile up
        for uid in touched:
            workflow = self.state.by_uid[uid]
            told += self._number(workflow, self._came_to_rest(workflow), now_ms)
        return told

    def _number(self, workflow: WorkflowState, facts: Iterable[Fact], now_ms: int) -> Iterator[Announcement]:
        for fact in facts:
            sequence = self.sequences.get(workflow.uid, 0) + 1
            self.sequences[workflow.uid] = sequence
            yield Announcement(workflow.name, workflow.uid, sequence, now_ms, fact)

    def _came_to_rest(self, workflow: WorkflowState) -> Iterator[Fact]:
        """Yield complete, error or stalled when the workflow has only now become so."""
        state, stalled = workflow.flow_state
        rest = "stalled" if stalled else state.value
        if rest != self._rest.get(workflow.uid):
            self._rest[workflow.uid] = rest
            if rest in (FlowState.COMPLETE, FlowState.ERROR, "stalled"):
                yield WorkflowChanged(rest)


def _facts(workflow: WorkflowState, event: own.Event, followed: Consequences) -> Iterator[Fact]:
    tell = _TELL.get(type(event))
    if tell is not None:
        yield from tell(workflow, event)
    reason = getattr(event, "reason", "halted")
    for step, attempt, _ in followed.stopped:
        yield StepCancelled(step.name, attempt, reason)
    for step in followed.expired:
        yield StepExpired(step.name, reason)


def _completed(workflow: WorkflowState, event: ev.StepsCompleted) -> Iterator[Fact]:
    for place, index in enumerate(event.steps):
        outputs = event.outputs[place] if event.outputs else ()
        name = workflow.steps[index].name
        yield StepCompleted(name, event.attempts[place], event.worker, outputs, event.run_ms[place])


def _failed(workflow: WorkflowState, event: ev.AttemptFailed) -> Iterator[Fact]:
    name = workflow.steps[event.step].name
    if event.retry_at_ms is None:
        yield StepFailed(name, event.attempt, event.worker, event.failure)
    else:
        yield StepRetrying(name, event.attempt, event.failure, event.retry_at_ms)


def _changed(change: str, names: Iterable[str] = (), count: int = 0) -> Iterator[Fact]:
    yield WorkflowChanged(change, tuple(islice(names, NAMES_TOLD_MAX)), count)


_TELL: Final[dict[type, Callable[[WorkflowState, Any], Iterator[Fact]]]] = {
    ev.WorkflowCreated: lambda _, __: _changed("created"),
    ev.CommandsSet: lambda _, e: _changed("commands", (one.name for one in e.commands), len(e.commands)),
    ev.StepsMerged: lambda _, e: _changed("steps", (one.name for one in e.specs), len(e.specs)),
    ev.WorkflowHalted: lambda _, __: _changed("halted"),
    ev.WorkflowResumed: lambda _, __: _changed("resumed"),
    ev.KeysArrived: lambda _, e: (KeyAvailable(one.key, one.files[:FILES_TOLD_MAX], len(one.files)) for one in e.keys),
    ev.KeysForgotten: lambda _, e: (KeyForgotten(key) for key in e.keys),
    ev.StepsCompleted: _completed,
    ev.AttemptFailed: _failed,
}
