"""One workflow at rest as messages and back: what users wrote, which Steps came of it, how they stand.

Equal states give equal bytes, whatever their history: Steps go by index, specs by the first Step that is theirs, Keys
by name. Called by `wire.snapshot`, which frames the messages.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from sys import intern
from typing import Any, Final, TypeVar

from gaia.v1 import journal_pb2
from gaia.v1 import snapshot_pb2 as pb
from gaia_core.errors import SnapshotDamaged
from gaia_core.wire.files import failure_from_proto, failure_to_proto, publication_to_proto, publications_from_proto
from gaia_core.wire.model import command_from_proto, command_to_proto, step_from_proto, step_to_proto
from gaia_core.workflow import events as ev
from gaia_core.workflow.model import StepSpec
from gaia_core.workflow.restore import KeyRest, Run, names_crc, rebuild, rests_of, runs_of, settle
from gaia_core.workflow.state import Step, WorkflowState
from gaia_core.workflow.states import StepState

ROWS_MAX: Final = 4_096
"""Rows of a message of columns; with all of them it takes some 100 KB."""

WEIGHT_MAX: Final = 256 * 1024
"""About how many bytes a message takes before the next one is begun; half a frame, since it is but an estimate."""

_OTHER_STEPS: Final = "other Steps come of what was written"
_FILE_WEIGHT: Final = 150
_STATES: Final = tuple(StepState)

_Item = TypeVar("_Item")
_Part = TypeVar("_Part")


@dataclass(slots=True)
class Kept:
    """A workflow, and what an announcer knows of it.

    Attributes:
        sequence: number of its latest public event.
        rest: the state that was told of last; "" for none.
    """

    workflow: WorkflowState
    sequence: int = 0
    rest: str = ""


def workflow_parts(kept: Kept) -> Iterator[pb.SnapshotPart]:
    """Yield the messages that one workflow is made of. Cost: expands all its specs."""
    workflow = kept.workflow
    yield pb.SnapshotPart(
        workflow=pb.SnapshotWorkflow(
            uid=workflow.uid,
            name=workflow.name,
            owner=workflow.owner,
            properties_json=json.dumps(dict(workflow.properties)),
            created_ms=workflow.created_ms,
            updated_ms=workflow.updated_ms,
            released_ms=workflow.released_ms,
            halted=workflow.halted,
            revision=workflow.revision,
            next_index=workflow.next_index,
            sequence=kept.sequence,
            rest=kept.rest,
            arrivals=workflow.graph.arrivals,
        )
    )
    for commands in by_size(map(command_to_proto, workflow.commands.values())):
        yield pb.SnapshotPart(commands=pb.SnapshotCommands(commands=commands))
    specs, numbers = _specs_of(workflow)
    for written in by_size(map(step_to_proto, specs)):
        yield pb.SnapshotPart(specs=pb.SnapshotSpecs(specs=written))
    for runs in by_count(runs_of(workflow, numbers, specs)):
        yield pb.SnapshotPart(runs=pb.SnapshotRuns(runs=[number for run in runs for number in run]))
    for steps in by_weight(workflow.steps.values(), _weight):
        yield pb.SnapshotPart(steps=_steps(steps))
    for keys in by_size(map(_key, rests_of(workflow))):
        yield pb.SnapshotPart(keys=pb.SnapshotKeys(keys=keys))
    for dropped in by_count(sorted(workflow.attempts_of_dropped.items())):
        names, attempts = zip(*dropped, strict=True)
        yield pb.SnapshotPart(dropped=pb.SnapshotDropped(names=names, attempts=attempts))
    end = pb.SnapshotWorkflowEnd(steps=len(workflow.steps), names_crc=names_crc(workflow))
    yield pb.SnapshotPart(workflow_end=end)


def by_count(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    """Yield items in lists of at most `ROWS_MAX`."""
    rest = iter(items)
    while part := list(islice(rest, ROWS_MAX)):
        yield part


def by_size(messages: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield messages in lists that take about `WEIGHT_MAX` bytes."""
    return by_weight(messages, lambda message: int(message.ByteSize()))


def by_weight(items: Iterable[_Item], weight_of: Callable[[_Item], int]) -> Iterator[list[_Item]]:
    """Yield items in lists of about `WEIGHT_MAX` bytes and at most `ROWS_MAX` rows, by what each is said to take."""
    part: list[_Item] = []
    weight = 0
    for item in items:
        part.append(item)
        weight += weight_of(item)
        if weight > WEIGHT_MAX or len(part) == ROWS_MAX:
            yield part
            part, weight = [], 0
    if part:
        yield part


def _weight(step: Step) -> int:
    """Return about how many bytes a Step takes beside its row."""
    published = _FILE_WEIGHT * sum(1 + len(one.files) for one in step.published) if step.published else 0
    failure = step.failure
    return published if failure is None else published + len(failure.message) + len(failure.log_tail)


def _specs_of(workflow: WorkflowState) -> tuple[list[StepSpec], list[int]]:
    """Return the distinct specs, and for each Step the number of its own."""
    specs: list[StepSpec] = []
    by_id: dict[int, int] = {}
    numbers = []
    for step in workflow.steps.values():
        number = by_id.get(id(step.spec))
        if number is None:
            number = by_id[id(step.spec)] = len(specs)
            specs.append(step.spec)
        numbers.append(number)
    return specs, numbers


def _steps(steps: Sequence[Step]) -> pb.SnapshotSteps:
    """Encode Steps as columns."""
    words: dict[str, int] = {"": 0}
    since = [0, *(step.ready_since_ms for step in steps)]
    return pb.SnapshotSteps(
        count=len(steps),
        states=_column(int(step.state) for step in steps),
        attempts=_column(step.attempt for step in steps),
        attempts_before=_column(step.attempts_before for step in steps),
        workers=_column(words.setdefault(step.worker, len(words)) for step in steps),
        faults=_column(step.faults for step in steps),
        disturbances=_column(step.disturbances for step in steps),
        reasons=_column(words.setdefault(step.reason, len(words)) for step in steps),
        causes=_column(0 if step.cause is None else step.cause - step.index for step in steps),
        retry_at_ms=_column(step.retry_at_ms for step in steps),
        times_ready=_column(step.times_ready for step in steps),
        ready_since_ms=_column(later - before for before, later in pairwise(since)),
        published_at=[place for place, step in enumerate(steps) if step.published],
        published=[
            journal_pb2.Outputs(publications=map(publication_to_proto, step.published))
            for step in steps
            if step.published
        ],
        failed_at=[place for place, step in enumerate(steps) if step.failure is not None],
        failures=[failure_to_proto(step.failure) for step in steps if step.failure is not None],
        image_digests=_column(words.setdefault(step.image_digest, len(words)) for step in steps),
        words=list(words),
    )


def _column(numbers: Iterable[int]) -> list[int]:
    """Return a column, empty where it is all zeros."""
    column = list(numbers)
    return column if any(column) else []


def _key(rest: KeyRest) -> pb.SnapshotKey:
    return pb.SnapshotKey(
        name=rest.name,
        arrived=publication_to_proto(rest.arrived) if rest.arrived is not None else None,
        arrived_as=rest.arrived_as,
        left_behind=rest.left_behind,
        was_written=rest.was_written,
    )


@dataclass(slots=True)
class WorkflowReader:
    """Feeds on the messages of one workflow, in order.

    Attributes:
        kept: the workflow; not to be used before its end was fed.
    """

    kept: Kept
    next_index: int
    arrivals: int
    specs: list[StepSpec] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    keys: list[KeyRest] = field(default_factory=list)
    steps: Iterator[Step] | None = None

    @staticmethod
    def begin(message: pb.SnapshotWorkflow) -> "WorkflowReader":
        """Begin a workflow."""
        properties = json.loads(message.properties_json)
        created = ev.WorkflowCreated(message.uid, message.name, message.owner, properties)
        workflow = WorkflowState(created, message.created_ms)
        workflow.updated_ms = message.updated_ms
        workflow.released_ms = message.released_ms
        workflow.halted = message.halted
        workflow.revision = message.revision
        return WorkflowReader(Kept(workflow, message.sequence, message.rest), message.next_index, message.arrivals)

    def feed(self, part: pb.SnapshotPart) -> bool:
        """Take in the next message; tell whether it was the last one.

        Raises:
            SnapshotDamaged: it does not fit to those before.
        """
        workflow = self.kept.workflow
        match part.WhichOneof("part"):
            case "commands":
                workflow.commands.update((one.name, command_from_proto(one)) for one in part.commands.commands)
            case "specs":
                self.specs += map(step_from_proto, part.specs.specs)
            case "runs":
                numbers = iter(part.runs.runs)
                self.runs += map(Run, numbers, numbers, numbers, numbers)
            case "steps":
                _enter(self._next(part.steps.count), part.steps)
            case "keys":
                self.keys += map(_key_rest, part.keys.keys)
            case "dropped":
                names = zip(part.dropped.names, part.dropped.attempts, strict=True)
                workflow.attempts_of_dropped.update(names)
            case "workflow_end":
                self._end(part.workflow_end)
                return True
            case other:
                raise SnapshotDamaged(f"A part of the kind {other!r} lies inside the workflow {workflow.name!r}.")
        return False

    def _next(self, count: int) -> list[Step]:
        steps = list(islice(self._rebuilt(), count))
        if len(steps) < count:
            raise SnapshotDamaged(self._unlike(_OTHER_STEPS))
        return steps

    def _rebuilt(self) -> Iterator[Step]:
        """Return an iterator over the Steps that goes on where it was; they are made by the first call."""
        if self.steps is None:
            try:
                rebuild(self.kept.workflow, self.specs, self.runs, self.next_index)
            except LookupError as error:
                raise SnapshotDamaged(self._unlike(str(error))) from error
            self.steps = iter(self.kept.workflow.steps.values())
        return self.steps

    def _end(self, end: pb.SnapshotWorkflowEnd) -> None:
        workflow = self.kept.workflow
        left = sum(1 for _ in self._rebuilt())
        if left or (end.steps, end.names_crc) != (len(workflow.steps), names_crc(workflow)):
            raise SnapshotDamaged(self._unlike(_OTHER_STEPS))
        settle(workflow, self.keys, self.arrivals)

    def _unlike(self, why: str) -> str:
        return f"The workflow {self.kept.workflow.name!r} does not come out of the snapshot as it was: {why}."


def _key_rest(message: pb.SnapshotKey) -> KeyRest:
    arrived = publications_from_proto([message.arrived])[0] if message.HasField("arrived") else None
    return KeyRest(message.name, arrived, message.arrived_as, message.left_behind, message.was_written)


def _enter(steps: Sequence[Step], message: pb.SnapshotSteps) -> None:
    """Decode columns into Steps."""
    words = [intern(word) for word in message.words]
    columns = (
        message.states, message.attempts, message.attempts_before, message.workers, message.faults,
        message.disturbances, message.reasons, message.causes, message.retry_at_ms, message.times_ready,
        message.ready_since_ms, message.image_digests,
    )  # fmt: skip
    zeros = [0] * len(steps)
    since = 0
    for (
        step, state, step.attempt, step.attempts_before, worker, step.faults, step.disturbances, reason, cause,
        step.retry_at_ms, step.times_ready, later, digest,
    ) in zip(steps, *(list(column) or zeros for column in columns), strict=True):  # fmt: skip
        step.state = _STATES[state]
        step.worker = words[worker]
        step.reason = words[reason]
        step.image_digest = words[digest]
        step.cause = step.index + cause if cause else None
        since += later
        step.ready_since_ms = since
    for place, outputs in zip(message.published_at, message.published, strict=True):
        steps[place].published = publications_from_proto(outputs.publications)
    for place, failure in zip(message.failed_at, message.failures, strict=True):
        steps[place].failure = failure_from_proto(failure)
