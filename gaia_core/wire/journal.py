"""Journal entries as protobuf and back. Schema changes are met here: what old versions wrote must stay readable."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from gaia.v1 import journal_pb2 as pb
from gaia_core.machine import events as own
from gaia_core.machine.archived import Restored
from gaia_core.wire.files import (
    failure_from_proto,
    failure_to_proto,
    file_from_proto,
    file_to_proto,
    publication_to_proto,
    publications_from_proto,
)
from gaia_core.wire.model import (
    command_from_proto,
    command_to_proto,
    resources_from_proto,
    resources_to_proto,
    step_from_proto,
    step_to_proto,
)
from gaia_core.wire.snapshot import decode_archived
from gaia_core.workflow import events as ev


@dataclass(frozen=True, slots=True)
class Opening:
    """A leader took office. The entry's own offset is its term."""

    term_id: bytes
    leader_address: str
    version: str


@dataclass(frozen=True, slots=True)
class Entry:
    """What one batch decided.

    Attributes:
        opening_offset: offset of the opening of the writer's term; -1 in an opening itself.
        previous_offset: offset of the accepted entry before it; -1 for none.
        reports_offset: offset of the reports to read next.
    """

    opening_offset: int
    previous_offset: int
    now_ms: int
    events: tuple[own.Event, ...] = ()
    reports_offset: int = 0
    opening: Opening | None = None


def encode_entry(entry: Entry) -> bytes:
    """Encode an entry."""
    opening = entry.opening
    return pb.JournalEntry(
        opening_offset=entry.opening_offset,
        previous_offset=entry.previous_offset,
        now_ms=entry.now_ms,
        events=[_ENCODE[type(event)](event) for event in entry.events],
        reports_offset=entry.reports_offset,
        opening=None
        if opening is None
        else pb.Opening(term_id=opening.term_id, leader_address=opening.leader_address, version=opening.version),
    ).SerializeToString()


def decode_entry(data: bytes) -> Entry:
    """Decode an entry.

    Raises:
        google.protobuf.message.DecodeError: the bytes are no entry.
    """
    message = pb.JournalEntry.FromString(data)
    opening = message.opening
    return Entry(
        message.opening_offset,
        message.previous_offset,
        message.now_ms,
        tuple(_decode_event(event) for event in message.events),
        message.reports_offset,
        Opening(opening.term_id, opening.leader_address, opening.version) if message.HasField("opening") else None,
    )


def to_ranges(indexes: Iterable[int]) -> list[int]:
    """Return ascending indexes as (first, count) pairs, flattened."""
    ordered = list(indexes)
    if not ordered:
        return []
    starts = [0, *(n + 1 for n, (one, other) in enumerate(pairwise(ordered)) if other != one + 1)]
    ends = [*starts[1:], len(ordered)]
    return [number for start, end in zip(starts, ends, strict=True) for number in (ordered[start], end - start)]


def from_ranges(ranges: Iterable[int]) -> tuple[int, ...]:
    """Return the indexes that (first, count) pairs stand for."""
    numbers = iter(ranges)
    return tuple(index for first, count in zip(numbers, numbers, strict=True) for index in range(first, first + count))


def _created(event: ev.WorkflowCreated) -> pb.JournalEvent:
    properties = json.dumps(dict(event.properties))
    message = pb.WorkflowCreated(workflow_uid=event.uid, name=event.name, owner=event.owner, properties_json=properties)
    return pb.JournalEvent(workflow_created=message)


def _commands_set(event: ev.CommandsSet) -> pb.JournalEvent:
    commands = [command_to_proto(command) for command in event.commands]
    return pb.JournalEvent(commands_set=pb.CommandsSet(workflow_uid=event.uid, commands=commands))


def _steps_merged(event: ev.StepsMerged) -> pb.JournalEvent:
    steps = [step_to_proto(spec) for spec in event.specs]
    message = pb.StepsMerged(workflow_uid=event.uid, steps=steps, pruned=to_ranges(event.pruned))
    return pb.JournalEvent(steps_merged=message)


def _steps_reset(event: ev.StepsReset) -> pb.JournalEvent:
    upstream = [0 if other is None else other - own for own, other in zip(event.steps, event.upstream, strict=False)]
    message = pb.StepsReset(
        workflow_uid=event.uid, ranges=to_ranges(event.steps), reason=event.reason, upstream=upstream
    )
    return pb.JournalEvent(steps_reset=message)


def _decode_reset(message: pb.StepsReset) -> ev.StepsReset:
    steps = from_ranges(message.ranges)
    upstream = tuple(own + away if away else None for own, away in zip(steps, message.upstream, strict=False))
    return ev.StepsReset(message.workflow_uid, steps, message.reason, upstream)


def _steps_removed(event: ev.StepsRemoved) -> pb.JournalEvent:
    return pb.JournalEvent(steps_removed=pb.StepsRemoved(workflow_uid=event.uid, ranges=to_ranges(event.steps)))


def _deleted(event: ev.WorkflowDeleted) -> pb.JournalEvent:
    return pb.JournalEvent(workflow_deleted=pb.WorkflowDeleted(workflow_uid=event.uid, data=event.data))


def _keys_arrived(event: ev.KeysArrived) -> pb.JournalEvent:
    keys = [publication_to_proto(key) for key in event.keys]
    return pb.JournalEvent(keys_arrived=pb.KeysArrived(workflow_uid=event.uid, keys=keys))


def _keys_forgotten(event: ev.KeysForgotten) -> pb.JournalEvent:
    return pb.JournalEvent(keys_forgotten=pb.KeysForgotten(workflow_uid=event.uid, keys=event.keys))


def _dispatched(event: ev.StepsDispatched) -> pb.JournalEvent:
    message = pb.StepsDispatched(
        workflow_uid=event.uid, worker=event.worker, steps=event.steps, attempts=event.attempts
    )
    return pb.JournalEvent(steps_dispatched=message)


def _completed(event: ev.StepsCompleted) -> pb.JournalEvent:
    outputs = [pb.Outputs(publications=[publication_to_proto(one) for one in each]) for each in event.outputs]
    digests, images = _images_to_columns(event.images) if event.images else ([], [])
    message = pb.StepsCompleted(
        workflow_uid=event.uid,
        worker=event.worker,
        steps=event.steps,
        attempts=event.attempts,
        run_ms=event.run_ms,
        outputs=outputs,
        image_digests=digests,
        images=images,
    )
    return pb.JournalEvent(steps_completed=message)


def _images_to_columns(images: tuple[str, ...]) -> tuple[list[str], list[int]]:
    """Return the different images, and the number of each Step's own; no numbers where all are the same."""
    digests = [digest for digest in dict.fromkeys(images) if digest]
    if images == (digests[0],) * len(images):
        return digests, []
    numbers = {"": 0, **{digest: number for number, digest in enumerate(digests, 1)}}
    return digests, [numbers[digest] for digest in images]


def _images_from_columns(message: pb.StepsCompleted) -> tuple[str, ...]:
    """Return the image of each Step, or () where none ran one."""
    digests = message.image_digests
    if not digests:
        return ()
    if not message.images:
        return (digests[0],) * len(message.steps)
    known = ("", *digests)
    return tuple(known[number] for number in message.images)


def _attempt_failed(event: ev.AttemptFailed) -> pb.JournalEvent:
    message = pb.AttemptFailed(
        workflow_uid=event.uid,
        worker=event.worker,
        step=event.step,
        attempt=event.attempt,
        failure=failure_to_proto(event.failure),
        retry_at_ms=event.retry_at_ms,
        outputs=[publication_to_proto(one) for one in event.outputs],
    )
    return pb.JournalEvent(attempt_failed=message)


def _attempts_ended(event: ev.AttemptsEnded) -> pb.JournalEvent:
    message = pb.AttemptsEnded(workflow_uid=event.uid, worker=event.worker, steps=event.steps, attempts=event.attempts)
    return pb.JournalEvent(attempts_ended=message)


def _given_back(event: ev.AttemptsGivenBack) -> pb.JournalEvent:
    message = pb.AttemptsGivenBack(
        workflow_uid=event.uid, worker=event.worker, steps=event.steps, attempts=event.attempts
    )
    return pb.JournalEvent(attempts_given_back=message)


def _joined(event: own.WorkerJoined) -> pb.JournalEvent:
    message = pb.WorkerJoined(
        worker=event.worker,
        incarnation=event.incarnation,
        pool=event.pool,
        slots=event.slots,
        prefetch=event.prefetch,
        partition=event.partition,
        executor=event.executor,
        host=event.host,
        draining=event.draining,
        metadata_json=json.dumps(dict(event.metadata)) if event.metadata else "",
        resources=resources_to_proto(event.resources),
        trouble=event.trouble,
        version=event.version,
    )
    return pb.JournalEvent(worker_joined=message)


def _dismissed(event: own.WorkerDismissed) -> pb.JournalEvent:
    return pb.JournalEvent(worker_dismissed=pb.WorkerDismissed(worker=event.worker, incarnation=event.incarnation))


def _left(event: own.WorkerLeft) -> pb.JournalEvent:
    message = pb.WorkerLeft(worker=event.worker, incarnation=event.incarnation, reason=event.reason)
    return pb.JournalEvent(worker_left=message)


def _answered(event: own.RequestAnswered) -> pb.JournalEvent:
    message = pb.RequestAnswered(request_id=event.request_id, digest=event.digest, answer_json=event.answer)
    return pb.JournalEvent(request_answered=message)


def _archived(event: own.WorkflowArchived) -> pb.JournalEvent:
    message = pb.WorkflowArchived(
        workflow_uid=event.uid, file=file_to_proto(event.file), sequence=event.sequence, rest=event.rest
    )
    return pb.JournalEvent(workflow_archived=message)


_ENCODE: Final[dict[type, Callable[[Any], pb.JournalEvent]]] = {
    ev.WorkflowCreated: _created,
    ev.CommandsSet: _commands_set,
    ev.StepsMerged: _steps_merged,
    ev.StepsReset: _steps_reset,
    ev.StepsRemoved: _steps_removed,
    ev.WorkflowDeleted: _deleted,
    ev.QueueTimedOut: lambda e: pb.JournalEvent(queue_timed_out=pb.QueueTimedOut(workflow_uid=e.uid, steps=e.steps)),
    own.EntriesLost: lambda e: pb.JournalEvent(entries_lost=pb.EntriesLost(offset=e.offset)),
    own.DataDeleted: lambda e: pb.JournalEvent(data_deleted=pb.DataDeleted(workflow_uid=e.workflow_uid)),
    ev.WorkflowHalted: lambda e: pb.JournalEvent(workflow_halted=pb.WorkflowHalted(workflow_uid=e.uid)),
    ev.WorkflowResumed: lambda e: pb.JournalEvent(workflow_resumed=pb.WorkflowResumed(workflow_uid=e.uid)),
    ev.KeysArrived: _keys_arrived,
    ev.KeysForgotten: _keys_forgotten,
    ev.StepsDispatched: _dispatched,
    ev.StepsCompleted: _completed,
    ev.AttemptFailed: _attempt_failed,
    ev.BackoffsEnded: lambda e: pb.JournalEvent(backoffs_ended=pb.BackoffsEnded(workflow_uid=e.uid, steps=e.steps)),
    ev.AttemptsEnded: _attempts_ended,
    ev.AttemptsGivenBack: _given_back,
    own.WorkflowArchived: _archived,
    own.WorkflowRevived: lambda e: pb.JournalEvent(
        workflow_revived=pb.WorkflowRevived(workflow_uid=e.uid, state=e.restored.data)
    ),
    own.WorkerJoined: _joined,
    own.WorkerLeft: _left,
    own.WorkerDismissed: _dismissed,
    own.RequestAnswered: _answered,
}

_DECODE: Final[dict[str, Callable[[Any], own.Event]]] = {
    "workflow_created": lambda m: ev.WorkflowCreated(m.workflow_uid, m.name, m.owner, json.loads(m.properties_json)),
    "commands_set": lambda m: ev.CommandsSet(m.workflow_uid, tuple(command_from_proto(c) for c in m.commands)),
    "steps_merged": lambda m: ev.StepsMerged(
        m.workflow_uid, tuple(step_from_proto(s) for s in m.steps), from_ranges(m.pruned)
    ),
    "steps_reset": _decode_reset,
    "steps_removed": lambda m: ev.StepsRemoved(m.workflow_uid, from_ranges(m.ranges)),
    "workflow_deleted": lambda m: ev.WorkflowDeleted(m.workflow_uid, m.data),
    "queue_timed_out": lambda m: ev.QueueTimedOut(m.workflow_uid, tuple(m.steps)),
    "entries_lost": lambda m: own.EntriesLost(m.offset),
    "data_deleted": lambda m: own.DataDeleted(m.workflow_uid),
    "workflow_halted": lambda m: ev.WorkflowHalted(m.workflow_uid),
    "workflow_resumed": lambda m: ev.WorkflowResumed(m.workflow_uid),
    "keys_arrived": lambda m: ev.KeysArrived(m.workflow_uid, publications_from_proto(m.keys)),
    "keys_forgotten": lambda m: ev.KeysForgotten(m.workflow_uid, tuple(m.keys)),
    "steps_dispatched": lambda m: ev.StepsDispatched(m.workflow_uid, m.worker, tuple(m.steps), tuple(m.attempts)),
    "steps_completed": lambda m: ev.StepsCompleted(
        m.workflow_uid,
        m.worker,
        tuple(m.steps),
        tuple(m.attempts),
        tuple(m.run_ms),
        tuple(publications_from_proto(each.publications) for each in m.outputs),
        _images_from_columns(m),
    ),
    "attempt_failed": lambda m: ev.AttemptFailed(
        m.workflow_uid,
        m.worker,
        m.step,
        m.attempt,
        failure_from_proto(m.failure),
        m.retry_at_ms if m.HasField("retry_at_ms") else None,
        publications_from_proto(m.outputs),
    ),
    "backoffs_ended": lambda m: ev.BackoffsEnded(m.workflow_uid, tuple(m.steps)),
    "attempts_ended": lambda m: ev.AttemptsEnded(m.workflow_uid, m.worker, tuple(m.steps), tuple(m.attempts)),
    "attempts_given_back": lambda m: ev.AttemptsGivenBack(m.workflow_uid, m.worker, tuple(m.steps), tuple(m.attempts)),
    "worker_joined": lambda m: own.WorkerJoined(
        m.worker,
        m.incarnation,
        m.pool,
        m.slots,
        m.prefetch,
        m.partition,
        m.executor,
        m.host,
        m.draining,
        json.loads(m.metadata_json or "{}"),
        resources_from_proto(m.resources),
        m.trouble,
        m.version,
    ),
    "worker_dismissed": lambda m: own.WorkerDismissed(m.worker, m.incarnation),
    "workflow_archived": lambda m: own.WorkflowArchived(m.workflow_uid, file_from_proto(m.file), m.sequence, m.rest),
    "workflow_revived": lambda m: own.WorkflowRevived(m.workflow_uid, Restored(m.state, decode_archived)),
    "worker_left": lambda m: own.WorkerLeft(m.worker, m.incarnation, m.reason),
    "request_answered": lambda m: own.RequestAnswered(m.request_id, m.digest, m.answer_json),
}


def _decode_event(message: pb.JournalEvent) -> own.Event:
    kind = message.WhichOneof("event")
    if kind is None:
        raise ValueError("a journal event of a kind that this version does not know")
    return _DECODE[kind](getattr(message, kind))
