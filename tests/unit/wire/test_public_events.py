"""Public events as the world reads them: everything needed to act is in them."""

from typing import get_args

import pytest

from gaia.v1 import events_pb2, model_pb2
from gaia_core.machine import public
from gaia_core.wire.public import encode_announcement, timestamp
from gaia_core.workflow.model import Failure, FailureClass, FileVersion, Publication

FILE = FileVersion("o/a", "v1", 5, b"\x01" * 32)
OUTPUT = Publication("o/a", (FILE,))
MANIFEST = Publication("t/", (), FileVersion(".gaia/m", "v2", 9, b"\x02" * 32))
FAILURE = Failure(FailureClass.COMMAND, "it failed", 3, "last words")

FACTS = {
    "workflow_changed": public.WorkflowChanged("steps", ("a", "b"), 2),
    "step_completed": public.StepCompleted("a", 2, "w", (OUTPUT, MANIFEST), 17),
    "step_failed": public.StepFailed("a", 2, "w", FAILURE),
    "step_cancelled": public.StepCancelled("a", 2, "halted"),
    "step_expired": public.StepExpired("a", "expired"),
    "step_retrying": public.StepRetrying("a", 2, FAILURE, 1_700_000_000_123),
    "key_available": public.KeyAvailable("o/a", (FILE,)),
    "key_forgotten": public.KeyForgotten("o/a"),
    "step_started": public.StepStarted("a", 2, "w"),
    "worker_changed": public.WorkerChanged("w", "left", "default", "drained"),
}


def encoded(fact: public.Fact) -> tuple[str, events_pb2.Event]:
    kind, value = encode_announcement(public.Announcement("flow", 7, 42, 1_700_000_000_123, fact))
    return kind, events_pb2.Event.FromString(value)


def test_every_kind_of_fact_is_tried() -> None:
    """A new kind of fact has to be added here."""
    assert {type(fact) for fact in FACTS.values()} == set(get_args(public.Fact))


@pytest.mark.parametrize("kind", FACTS)
def test_an_event_says_what_it_is_and_where_it_stands(kind: str) -> None:
    """The kind is the name of the field that is set; workflow, uid, sequence and time are in every event."""
    told, event = encoded(FACTS[kind])
    assert told == kind == event.WhichOneof("event")
    assert (event.workflow, event.workflow_uid, event.sequence) == ("flow", 7, 42)
    assert event.time.ToMilliseconds() == 1_700_000_000_123


def test_a_completion_has_enough_in_it_to_act() -> None:
    """Step, attempt, worker, duration, and of each output Key, version, size and digest, or its manifest."""
    completed = encoded(FACTS["step_completed"])[1].step_completed
    assert (completed.step, completed.attempt, completed.worker, completed.run_ms) == ("a", 2, "w", 17)
    file, manifest = completed.outputs[0].files[0], completed.outputs[1].manifest
    assert (file.key, file.version, file.size_bytes, file.sha256) == ("o/a", "v1", 5, b"\x01" * 32)
    assert (manifest.key, manifest.version) == (".gaia/m", "v2")


@pytest.mark.parametrize("kind", ["step_failed", "step_retrying"])
def test_a_failure_comes_with_its_cause(kind: str) -> None:
    """Class, message, exit code and the log's tail."""
    failure = getattr(encoded(FACTS[kind])[1], kind).failure
    assert getattr(failure, "class") == model_pb2.FAILURE_CLASS_COMMAND
    assert (failure.message, failure.exit_code, failure.log_tail) == ("it failed", 3, "last words")


def test_a_retry_tells_when() -> None:
    """The time before which no next attempt starts."""
    assert encoded(FACTS["step_retrying"])[1].step_retrying.not_before.ToMilliseconds() == 1_700_000_000_123


def test_times_keep_their_milliseconds() -> None:
    """Milliseconds since the epoch become seconds and nanoseconds."""
    assert (timestamp(1_999).seconds, timestamp(1_999).nanos) == (1, 999_000_000)
