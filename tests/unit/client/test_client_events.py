"""Every kind of event has words, in a line of a log and in the live view."""

from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from gaia.v1 import events_pb2, model_pb2
from gaia_client.render import events
from gaia_core.wire import plain

TIME = Timestamp(seconds=1714566600, nanos=123000000)
FAILURE = model_pb2.Failure(message="exit code 2\nnext line", **{"class": model_pb2.FAILURE_CLASS_COMMAND})
PUBLICATIONS = [model_pb2.Publication(key=f"k{number}") for number in range(5)]


def event(sequence: int = 7, **fact: Any) -> dict[str, Any]:
    """Return an event as the client yields it."""
    return plain.event(events_pb2.Event(workflow="w", workflow_uid=1, sequence=sequence, time=TIME, **fact))


FACTS: list[tuple[Any, str]] = [
    (events_pb2.WorkflowChanged(change="created"), "workflow was created"),
    (events_pb2.WorkflowChanged(change="halted"), "workflow was halted"),
    (events_pb2.WorkflowChanged(change="error"), "workflow is in error"),
    (events_pb2.WorkflowChanged(change="commands", names=["c"], count=1), "workflow has new Commands 1: c"),
    (
        events_pb2.WorkflowChanged(change="steps", names=[str(n) for n in range(20)], count=5000),
        "workflow has new Steps 5000: 0 1 2 3 4 5 6 7 8 9 10 11 … and 4988 more",
    ),
    (events_pb2.StepStarted(step="s", attempt=2, worker="w1"), "started s (attempt 2 on w1)"),
    (
        events_pb2.StepCompleted(step="s", attempt=1, worker="w1", outputs=PUBLICATIONS[:2], run_ms=1530),
        "completed s (attempt 1 on w1, 1.5 s): k0 k1",
    ),
    (
        events_pb2.StepCompleted(step="s", attempt=1, worker="w1", outputs=PUBLICATIONS, run_ms=9),
        "completed s (attempt 1 on w1, 0.0 s): k0 k1 k2 and 2 more keys",
    ),
    (
        events_pb2.StepFailed(step="s", attempt=1, failure=FAILURE),
        "failed s (COMMAND, attempt 1): exit code 2 next line",
    ),
    (
        events_pb2.StepRetrying(step="s", attempt=1, failure=FAILURE, not_before=TIME),
        "retrying s at 12:30:00Z (COMMAND, attempt 1): exit code 2 next line",
    ),
    (events_pb2.StepCancelled(step="s", attempt=3, reason="halted"), "cancelled s (attempt 3): halted"),
    (events_pb2.StepExpired(step="s", reason="merged"), "expired s: merged"),
    (events_pb2.StepExpired(step="s", reason="expired"), "expired s"),
    (events_pb2.KeyAvailable(key="k"), "key k is there"),
    (events_pb2.KeyForgotten(key="k"), "key k is looked up anew"),
    (
        events_pb2.StepProgress(step="s", attempt=1, done=3, total=10, message="mapping"),
        "s (attempt 1) is at 3/10 mapping",
    ),
    (events_pb2.StepProgress(step="s", attempt=1, worker="w1", done=42, total=100), "s (attempt 1 on w1) is at 42%"),
    (events_pb2.StepProgress(step="s", attempt=1, message="half way"), "s (attempt 1) is at half way"),
    (events_pb2.WorkerChanged(worker="w1", change="joined", pool="big"), "worker w1 joined (pool big)"),
    (events_pb2.WorkerChanged(worker="w1", change="left", reason="idle"), "worker w1 left: idle"),
]


def field_of(fact: Any) -> str:
    """Return the name of the field of an Event that holds such a fact."""
    return next(one.name for one in events_pb2.Event.DESCRIPTOR.oneofs_by_name["event"].fields
                if one.message_type is fact.DESCRIPTOR)  # fmt: skip


@pytest.mark.parametrize(("fact", "words"), FACTS, ids=lambda value: value if isinstance(value, str) else "")
def test_words(fact: Any, words: str) -> None:
    """An event is told in one line of words."""
    assert events.words(event(**{field_of(fact): fact})) == words


def test_a_tree_is_told_with_the_number_of_its_files() -> None:
    """Of a large tree an event lists the first files only, beside how many there are."""
    told = event(key_available=events_pb2.KeyAvailable(key="t/", files=[model_pb2.FileVersion(key="t/a")], count=5000))
    assert (told["key"], len(told["files"]), told["count"]) == ("t/", 1, 5000)


def test_every_kind_has_words() -> None:
    """The kinds that the help lists are those of the contract, and each has its words tested."""
    contract = {field.name for field in events_pb2.Event.DESCRIPTOR.oneofs_by_name["event"].fields}
    assert set(events.KINDS) == contract == {field_of(fact) for fact, _ in FACTS}


def test_an_unknown_kind_is_named() -> None:
    """What a newer server tells is shown by its kind."""
    assert events.words({**event(), "kind": "moon_rose"}) == "moon_rose"


def test_lines() -> None:
    """A line of a log has the full time and the number; the live view has the time of day only."""
    told = event(key_forgotten=events_pb2.KeyForgotten(key="k"))
    live_only = event(0, step_started=events_pb2.StepStarted(step="s", attempt=1))
    assert events.line(told, with_workflow=False).words == "2024-05-01 12:30:00Z      7  key k is looked up anew"
    assert events.line(live_only, with_workflow=True).words == "2024-05-01 12:30:00Z  w      -  started s (attempt 1)"
    assert events.short_line(told, with_workflow=False).words == "12:30:00Z  key k is looked up anew"
    assert events.short_line(told, with_workflow=True).words == "12:30:00Z  w  key k is looked up anew"
