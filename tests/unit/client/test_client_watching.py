"""A client's watch is begun again where it broke off, neither too often nor for another workflow."""

from collections.abc import Callable
from itertools import islice
from typing import Any

import grpc
import pytest

import gaia
from gaia.v1 import api_pb2, events_pb2
from gaia_core.errors import NoLongerKept, Unavailable, UnknownName
from tests.unit.client.conftest import Watched

GONE = grpc.StatusCode.UNAVAILABLE


def told(*sequences: int, workflow: str = "flow") -> list[api_pb2.WatchResponse]:
    """Events with these numbers."""
    changed = events_pb2.WorkflowChanged(change="halted")
    return [
        api_pb2.WatchResponse(
            event=events_pb2.Event(workflow=workflow, workflow_uid=1, sequence=number, workflow_changed=changed)
        )
        for number in sequences
    ]


def starts(fake: Any) -> list[int | None]:
    """Return what each call of Watch asked to begin with."""
    requests = fake.requests("Watch")
    return [request.from_sequence if request.HasField("from_sequence") else None for request in requests]


def test_all_that_was_asked_for_is_sent(flow: gaia.Gaia, fake: Any) -> None:
    """Numbers, kinds, Steps and whether events or updates are wanted travel as given."""
    fake.watches = [Watched((1, 0)), Watched((1, 0)), Watched((0, 0))]
    flow.watch("flow", 7, kinds=["step_completed"], steps=("a", "b"))
    flow.watch("flow", updates=True)
    flow.watch()
    assert [request for _, request in fake.asked] == [
        api_pb2.WatchRequest(
            workflow="flow", from_sequence=7, every_event=True, kinds=["step_completed"], steps=["a", "b"]
        ),
        api_pb2.WatchRequest(workflow="flow"),
        api_pb2.WatchRequest(every_event=True),
    ]


def test_events_are_plain_and_end_with_the_stream(flow: gaia.Gaia, fake: Any) -> None:
    """Each event is a dict; a stream that ends well ends the iterator."""
    fake.watches = [Watched((1, 0), told(1, 2))]
    assert list(flow.watch("flow")) == [
        {"workflow": "flow", "uid": 1, "sequence": number, "time": "1970-01-01T00:00:00Z", "kind": "workflow_changed",
         "change": "halted", "names": [], "count": 0}
        for number in (1, 2)
    ]  # fmt: skip


def test_updates_are_plain(flow: gaia.Gaia, fake: Any) -> None:
    """Each update is a dict, with all states counted."""
    update = api_pb2.Update(workflow="flow", workflow_uid=1, sequence=9, state="running", stalled=True)
    update.steps.complete = 3
    fake.watches = [Watched((1, 0), [api_pb2.WatchResponse(update=update)])]
    assert list(flow.watch("flow", updates=True)) == [
        {"workflow": "flow", "uid": 1, "sequence": 9, "state": "running", "stalled": True, "deleted": False,
         "steps": {"waiting": 0, "ready": 0, "running": 0, "retrying": 0, "complete": 3, "failed": 0}}
    ]  # fmt: skip


def test_a_broken_stream_is_begun_again_behind_what_came(flow: gaia.Gaia, fake: Any, pauses: list[float]) -> None:
    """No event is missed, none comes twice, and one that has no number does not move the beginning."""
    fake.watches = [
        Watched((1, 0), told(1, 2, 0), GONE),
        Watched(None, (), GONE),
        Watched((1, 2), told(3), GONE),
        Watched((1, 3), told(4)),
    ]
    assert [event["sequence"] for event in flow.watch("flow", 1)] == [1, 2, 0, 3, 4]
    assert starts(fake) == [1, 3, 3, 4]
    assert pauses == [0.1]


@pytest.mark.parametrize(
    ("asked", "again"), [(None, None), (0, 6), (3, 3)], ids=["all that is kept", "only new", "from a number"]
)
def test_a_stream_that_breaks_before_its_first_event(
    flow: gaia.Gaia, fake: Any, pauses: list[float], asked: int | None, again: int | None
) -> None:
    """It begins where it would have: for new events behind the latest one there was."""
    fake.watches = [Watched((1, 5), (), GONE), Watched((1, 8), told(9))]
    assert [event["sequence"] for event in flow.watch("flow", asked)] == [9]
    assert starts(fake) == [asked, again]


def test_streams_that_break_at_once_are_not_begun_in_a_rush(flow: gaia.Gaia, fake: Any, pauses: list[float]) -> None:
    """Between streams that tell nothing lies a pause."""
    fake.watches = [Watched((1, 5), (), GONE)] * 4 + [Watched((1, 5), told(6))]
    assert [event["sequence"] for event in flow.watch("flow")] == [6]
    assert pauses == [0.5] * 4


def test_of_all_workflows_only_what_is_new_comes_again(flow: gaia.Gaia, fake: Any) -> None:
    """There is no number that all share, so a stream of all goes on with what happens then."""
    fake.watches = [Watched((0, 0), told(1, 2), GONE), Watched((0, 0), told(7))]
    assert [event["sequence"] for event in flow.watch()] == [1, 2, 7]
    assert starts(fake) == [None, 0]


def test_a_server_that_stays_away_ends_it(flow: gaia.Gaia, fake: Any, pauses: list[float]) -> None:
    """After some twelve seconds the iterator raises that nobody answers."""
    fake.watches = [Watched((1, 0), told(1), GONE)] + [Watched(None, (), GONE)] * 20
    events = flow.watch("flow")
    assert next(events)["sequence"] == 1
    with pytest.raises(Unavailable):
        next(events)
    assert 10 < sum(pauses) < 15


def test_nobody_there_is_told_at_once(dead_address: str, pauses: list[float]) -> None:
    """A watch that never reached a server fails with the call."""
    with gaia.Gaia({"gaia_host": dead_address}) as flow, pytest.raises(Unavailable):
        flow.watch("flow")
    assert pauses == []


def test_a_standby_leads_to_the_leader(make_server: Callable[..., Any], pauses: list[float]) -> None:
    """A watch follows to the leader as every call does."""
    standby, leader = make_server(), make_server()
    standby.fake.watches = [Watched(None, (), Unavailable("This is a standby"))]
    standby.fake.trailers["Watch"] = ("gaia-leader", leader.address)
    leader.fake.watches = [Watched((1, 0), told(1))]
    with gaia.Gaia({"gaia_host": standby.address}) as flow:
        assert [event["sequence"] for event in flow.watch("flow", 1)] == [1]


@pytest.mark.parametrize("error", [UnknownName("There is no workflow 'flow'"), NoLongerKept("Events before number 9")])
def test_a_refusal_comes_with_the_call(flow: gaia.Gaia, fake: Any, error: gaia.GaiaError) -> None:
    """What cannot be watched is told when it is asked for, in the server's words."""
    fake.watches = [Watched(None, (), error)]
    with pytest.raises(type(error), match=error.message):
        flow.watch("flow", 1)


def test_too_slow_a_reader_is_told_while_it_reads(flow: gaia.Gaia, fake: Any) -> None:
    """What the server refuses later comes out of the iterator."""
    fake.watches = [Watched((1, 0), told(1), NoLongerKept("The watcher was too slow"))]
    events = flow.watch("flow", 1)
    assert next(events)["sequence"] == 1
    with pytest.raises(NoLongerKept, match="too slow"):
        next(events)


def test_a_stream_that_is_begun_again_means_the_same_workflow(flow: gaia.Gaia, fake: Any) -> None:
    """It asks for the uid, so no other workflow of the name is taken for it; where that is no more, it ends."""
    unknown = UnknownName("There is no such workflow")
    fake.watches = [Watched((7, 0), told(1), GONE), Watched((7, 5), told(2), GONE), Watched(None, (), unknown)]
    assert [event["sequence"] for event in flow.watch("flow", 1)] == [1, 2]
    assert [request.workflow_uid for request in fake.requests("Watch")] == [0, 7, 7]


def test_a_server_that_does_not_say_how_it_begins(flow: gaia.Gaia, fake: Any) -> None:
    """Its stream counts as begun with the first event, which is not lost."""
    fake.watches = [Watched(None, told(1, 2), GONE), Watched(None, told(3))]
    assert [event["sequence"] for event in flow.watch("flow", 1)] == [1, 2, 3]
    fake.watches = [Watched(None)]
    assert list(flow.watch("flow", 1)) == []


def test_an_iterator_that_is_closed_ends_the_call(flow: gaia.Gaia, fake: Any) -> None:
    """Leaving the loop early leaves no call behind."""
    fake.watches = [Watched((1, 0), told(*range(1, 100)))]
    events = flow.watch("flow", 1)
    assert [event["sequence"] for event in islice(events, 2)] == [1, 2]
    events.close()  # type: ignore[attr-defined]
    assert list(events) == []
    assert flow.workflows() == []
