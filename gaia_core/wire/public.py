"""Public events as protobuf, the value of the events topic's records, and back, as snapshots keep the latest."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from gaia.v1 import events_pb2 as pb
from gaia_core.machine import public
from gaia_core.wire.files import (
    failure_from_proto,
    failure_to_proto,
    file_from_proto,
    file_to_proto,
    publication_to_proto,
    publications_from_proto,
)

SHARED_MOST: Final = 1_000
"""Beginnings of events that are kept encoded: of so many workflows at a time."""


def encode_announcement(told: public.Announcement) -> tuple[str, bytes]:
    """Return the kind of a public event (the name of its field) and its bytes."""
    kind, make = _MAKE[type(told.fact)]
    own = pb.Event(sequence=told.sequence, **{kind: make(told.fact)})
    return kind, _shared(told.workflow, told.uid, told.time_ms) + own.SerializeToString()


@lru_cache(SHARED_MOST)
def _shared(workflow: str, uid: int, time_ms: int) -> bytes:
    """Return what all events have in common that one entry of the journal announces of a workflow.

    Messages that follow each other are one message, merged.
    """
    return pb.Event(workflow=workflow, workflow_uid=uid, time=timestamp(time_ms)).SerializeToString()


def kind_of(told: public.Announcement) -> str:
    """Return the kind of a public event: the name of its field."""
    return _MAKE[type(told.fact)][0]


def event_message(told: public.Announcement) -> pb.Event:
    """Return a public event as a message."""
    kind, make = _MAKE[type(told.fact)]
    return pb.Event(
        workflow=told.workflow,
        workflow_uid=told.uid,
        sequence=told.sequence,
        time=timestamp(told.time_ms),
        **{kind: make(told.fact)},
    )


def announcement_of(message: pb.Event, names: tuple[str, ...]) -> public.Announcement:
    """Decode a public event.

    Args:
        message: one that this version knows.
        names: what the Step it is about is called, which is not in the message.
    """
    kind = message.WhichOneof("event")
    fact = _FACTS[kind](getattr(message, kind)) if kind is not None else public.WorkflowChanged("")
    time_ms = _milliseconds(message.time)
    return public.Announcement(message.workflow, message.workflow_uid, message.sequence, time_ms, fact, names)


def timestamp(time_ms: int) -> Timestamp:
    """Return milliseconds since the epoch as protobuf has them."""
    return Timestamp(seconds=time_ms // 1000, nanos=time_ms % 1000 * 1_000_000)


def _milliseconds(moment: Timestamp) -> int:
    return moment.seconds * 1000 + moment.nanos // 1_000_000


def subject_of(fact: public.Fact) -> str:
    """Return the name of the Step or Key that a fact is about; "" for one about the workflow."""
    return str(getattr(fact, "step", "") or getattr(fact, "key", ""))


def _completed(fact: public.StepCompleted) -> pb.StepCompleted:
    outputs = [publication_to_proto(one) for one in fact.outputs]
    return pb.StepCompleted(
        step=fact.step,
        attempt=fact.attempt,
        worker=fact.worker,
        outputs=outputs,
        run_ms=fact.run_ms,
        image_digest=fact.image_digest,
    )


def progress_message(said: public.StepProgress) -> pb.StepProgress:
    """Return how far an attempt is as a message."""
    return pb.StepProgress(
        step=said.step,
        attempt=said.attempt,
        worker=said.worker,
        done=said.done,
        total=said.total,
        message=said.message,
    )


def _retrying(fact: public.StepRetrying) -> pb.StepRetrying:
    return pb.StepRetrying(
        step=fact.step,
        attempt=fact.attempt,
        failure=failure_to_proto(fact.failure),
        not_before=timestamp(fact.not_before_ms),
    )


_MAKE: Final[dict[type, tuple[str, Callable[[Any], Any]]]] = {
    public.WorkflowChanged: (
        "workflow_changed",
        lambda f: pb.WorkflowChanged(change=f.change, names=f.names, count=f.count),
    ),
    public.StepCompleted: ("step_completed", _completed),
    public.StepFailed: (
        "step_failed",
        lambda f: pb.StepFailed(step=f.step, attempt=f.attempt, worker=f.worker, failure=failure_to_proto(f.failure)),
    ),
    public.StepCancelled: (
        "step_cancelled",
        lambda f: pb.StepCancelled(step=f.step, attempt=f.attempt, reason=f.reason),
    ),
    public.StepExpired: ("step_expired", lambda f: pb.StepExpired(step=f.step, reason=f.reason)),
    public.StepRetrying: ("step_retrying", _retrying),
    public.KeyAvailable: (
        "key_available",
        lambda f: pb.KeyAvailable(key=f.key, files=[file_to_proto(file) for file in f.files], count=f.count),
    ),
    public.KeyForgotten: ("key_forgotten", lambda f: pb.KeyForgotten(key=f.key)),
    public.StepStarted: (
        "step_started",
        lambda f: pb.StepStarted(step=f.step, attempt=f.attempt, worker=f.worker),
    ),
    public.StepProgress: (
        "step_progress",
        progress_message,
    ),
    public.WorkerChanged: (
        "worker_changed",
        lambda f: pb.WorkerChanged(worker=f.worker, change=f.change, pool=f.pool, reason=f.reason),
    ),
}

_FACTS: Final[dict[str, Callable[[Any], public.Fact]]] = {
    "workflow_changed": lambda m: public.WorkflowChanged(m.change, tuple(m.names), m.count),
    "step_completed": lambda m: public.StepCompleted(
        m.step, m.attempt, m.worker, publications_from_proto(m.outputs), m.run_ms, m.image_digest
    ),
    "step_failed": lambda m: public.StepFailed(m.step, m.attempt, m.worker, failure_from_proto(m.failure)),
    "step_cancelled": lambda m: public.StepCancelled(m.step, m.attempt, m.reason),
    "step_expired": lambda m: public.StepExpired(m.step, m.reason),
    "step_retrying": lambda m: public.StepRetrying(
        m.step, m.attempt, failure_from_proto(m.failure), _milliseconds(m.not_before)
    ),
    "key_available": lambda m: public.KeyAvailable(m.key, tuple(map(file_from_proto, m.files)), m.count),
    "key_forgotten": lambda m: public.KeyForgotten(m.key),
    "step_started": lambda m: public.StepStarted(m.step, m.attempt, m.worker),
    "step_progress": lambda m: public.StepProgress(m.step, m.attempt, m.worker, m.done, m.total, m.message),
    "worker_changed": lambda m: public.WorkerChanged(m.worker, m.change, m.pool, m.reason),
}
