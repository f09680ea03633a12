"""Public events as the world reads them: everything needed to act is in them."""

from typing import get_args

import pytest

from gaia.v1 import events_pb2, model_pb2
from gaia_core.machine import public
from gaia_core.wire.frame import RECORD_BYTES_MAX
from gaia_core.wire.public import encode_announcement, subject_of, timestamp
from gaia_core.workflow import events as ev
from gaia_core.workflow.model import Failure, FailureClass, FileVersion, Publication

FILE = FileVersion("o/a", "v1", 5, b"\x01" * 32)
OUTPUT = Publication("o/a", (FILE,))
MANIFEST = Publication("t/", (), FileVersion(".gaia/m", "v2", 9, b"\x02" * 32))
FAILURE = Failure(FailureClass.COMMAND, "it failed", 3, "last words")

FACTS = {
    "workflow_changed": public.WorkflowChanged("steps", ("a", "b"), 2),
    "step_completed": public.StepCompleted("a", 2, "w", (OUTPUT, MANIFEST), 17, "sha256:12"),
    "step_failed": public.StepFailed("a", 2, "w", FAILURE),
    "step_cancelled": public.StepCancelled("a", 2, "halted"),
    "step_expired": public.StepExpired("a", "expired"),
    "step_retrying": public.StepRetrying("a", 2, FAILURE, 1_700_000_000_123),
    "key_available": public.KeyAvailable("o/a", (FILE,), 1),
    "key_forgotten": public.KeyForgotten("o/a"),
    "step_started": public.StepStarted("a", 2, "w"),
    "step_progress": public.StepProgress("a", 2, "w", 3, 10, "mapping"),
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


def test_the_subject_is_the_step_or_the_key() -> None:
    """Facts about a Step name it, those about a Key name that, those about the workflow nothing."""
    subjects = {kind: subject_of(fact) for kind, fact in FACTS.items()}
    assert {kind for kind, subject in subjects.items() if subject == "a"} == {k for k in FACTS if k.startswith("step")}
    assert (subjects["key_available"], subjects["key_forgotten"], subjects["workflow_changed"]) == ("o/a", "o/a", "")


def test_a_completion_has_enough_in_it_to_act() -> None:
    """Step, attempt, worker, duration, and of each output Key, version, size and digest, or its manifest."""
    completed = encoded(FACTS["step_completed"])[1].step_completed
    assert (completed.step, completed.attempt, completed.worker, completed.run_ms) == ("a", 2, "w", 17)
    file, manifest = completed.outputs[0].files[0], completed.outputs[1].manifest
    assert (file.key, file.version, file.size_bytes, file.sha256) == ("o/a", "v1", 5, b"\x01" * 32)
    assert (manifest.key, manifest.version) == (".gaia/m", "v2")


def test_a_large_tree_is_told_in_part() -> None:
    """However many files an outside tree has, its event fits into a record, and tells how many there are."""
    files = tuple(FileVersion("t/" + f"{number:898}", "v" * 36, 1, b"") for number in range(100_000))
    created = ev.WorkflowCreated(7, "flow", "me", {})
    told = public.Announcer().follow(0, [created, ev.KeysArrived(7, (Publication("t/", files),))])
    (value,) = [encode_announcement(one)[1] for one in told if isinstance(one.fact, public.KeyAvailable)]
    available = events_pb2.Event.FromString(value).key_available
    assert len(value) < RECORD_BYTES_MAX
    assert (available.key, available.count) == ("t/", 100_000)
    assert available.files[0].key == files[0].key


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
