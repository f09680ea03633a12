"""`gaia watch`: what it prints, when it ends, and with which code."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

import gaia
from gaia.v1 import api_pb2, events_pb2
from gaia_client import ending
from gaia_client.cli import main as cli_main
from gaia_client.feed import Feed
from gaia_client.following import EVENTS, Following, Wanted

Invoke = Callable[..., Result]


def changed(sequence: int, change: str) -> events_pb2.Event:
    """Return an event of the workflow as a whole."""
    return events_pb2.Event(workflow="w", sequence=sequence, workflow_changed=events_pb2.WorkflowChanged(change=change))


def completed(sequence: int) -> events_pb2.Event:
    """Return the event of a Step that completed."""
    return events_pb2.Event(workflow="w", sequence=sequence, step_completed=events_pb2.StepCompleted(step="s"))


def at(state: str, sequence: int, *, stalled: bool = False) -> api_pb2.Update:
    """Return an update."""
    return api_pb2.Update(workflow="w", workflow_uid=1, sequence=sequence, state=state, stalled=stalled)


@pytest.fixture
def history(fake: Any, status: Any) -> Any:
    """A workflow that is complete, with three events."""
    fake.events = [changed(1, "created"), completed(2), changed(3, "complete")]
    fake.updates = [at("complete", 3)]
    fake.script["Status"] = [status("complete", complete=1)]
    return fake


@pytest.fixture
def invoke(server: Any, pauses: list[float], monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """Run the command line against the fake server, without patience."""
    monkeypatch.setattr(ending, "QUIET_S", 0.0)
    monkeypatch.setattr(ending, "STALLED_S", 0.0)
    monkeypatch.setattr("gaia_client.following.TICK_S", 0.01)
    return lambda *args: CliRunner(env={"GAIA_HOST": server.address}).invoke(cli_main.cli, args)


def numbers(result: Result) -> list[int]:
    """Return the numbers of the events that were printed as JSON."""
    return [json.loads(line)["sequence"] for line in result.stdout.splitlines()]


def asked_for_events(fake: Any) -> list[Any]:
    """Return the requests for events."""
    return [request for request in fake.requests("Watch") if request.every_event]


def test_a_line_per_event(invoke: Invoke, history: Any) -> None:
    """In a pipe each event is a line, and the watch ends when the workflow is at rest and all were printed."""
    result = invoke("watch", "w")
    assert result.exit_code == 0
    assert [line.split("  ", 1)[1].strip() for line in result.stdout.splitlines()] == [
        "1  workflow was created",
        "2  completed s (attempt 0, 0.0 s)",
        "3  workflow is complete",
    ]
    (request,) = asked_for_events(history)
    assert not request.HasField("from_sequence")


def test_json_lines(invoke: Invoke, history: Any) -> None:
    """With --json each event is an object on a line of its own."""
    assert numbers(invoke("watch", "w", "--json")) == [1, 2, 3]
    assert numbers(invoke("--json", "watch", "w", "--from", "3")) == [3]


def test_only_what_comes_from_now_on(invoke: Invoke, history: Any) -> None:
    """--from 0 begins behind the latest event."""
    assert numbers(invoke("watch", "w", "--from", "0", "--json")) == []
    assert asked_for_events(history)[0].from_sequence == 4


def test_filters_go_to_the_server(invoke: Invoke, history: Any) -> None:
    """Kinds and Steps are for the server to choose by."""
    assert invoke("watch", "w", "--kind", "step_completed", "--kind", "step_failed", "--step", "s").exit_code == 0
    (request,) = asked_for_events(history)
    assert (list(request.kinds), list(request.steps)) == (["step_completed", "step_failed"], ["s"])


def test_filtered_events_end_with_silence(flow: gaia.Gaia, history: Any) -> None:
    """The last event need not pass the filters: the watch is over when nothing came for a while."""
    clock, seen = [0.0], []
    for item in Following(flow, Wanted("w", kinds=["step_completed"]), lambda: clock[0]):
        if item is not None and item.stream == EVENTS:
            seen.append(item.value["sequence"])
        if seen:
            clock[0] += ending.QUIET_S
    assert seen == [2]


@pytest.mark.parametrize(
    ("state", "stalled", "code"),
    [("complete", False, 0), ("error", False, 1), ("halted", False, 1), ("running", True, 1)],
)
def test_exit_status(invoke: Invoke, history: Any, status: Any, state: str, stalled: bool, code: int) -> None:
    """With --exit-status only a complete workflow ends with 0; without it every end is fine."""
    history.updates = [at(state, 3, stalled=stalled)]
    history.script["Status"] = [status(state, stalled=stalled)]
    assert invoke("watch", "w", "--exit-status").exit_code == code
    assert invoke("watch", "w").exit_code == 0


def test_a_deleted_workflow_ends_it(invoke: Invoke, history: Any) -> None:
    """When the workflow is deleted there is nothing more to come, also for who follows; it did not complete."""
    history.events.append(changed(4, "deleted"))
    result = invoke("watch", "w", "--follow", "--exit-status", "--json")
    assert (numbers(result), result.exit_code) == ([1, 2, 3, 4], 1)


def test_a_late_update_does_not_end_it(invoke: Invoke, history: Any, status: Any) -> None:
    """The server is asked before the end: updates may lag behind a change that was made a moment ago."""
    history.script["Status"] = [status("running", running=1), status("running", running=1), status("complete")]
    assert invoke("watch", "w", "--exit-status").exit_code == 0
    assert len(history.requests("Status")) == 3


def test_a_new_workflow_may_be_unknown_to_watchers_yet(invoke: Invoke, history: Any) -> None:
    """A workflow that exists is watched as soon as it can be."""
    history.script["Watch"] = [gaia.UnknownName("no w"), api_pb2.WatchResponse(update=history.updates[0])]
    history.events[0].sequence = 1
    history.script["Watch"].append(lambda _: api_pb2.WatchResponse(event=history.events[0]))
    assert invoke("watch", "w").exit_code == 0


def test_it_outlives_a_restart(invoke: Invoke, history: Any) -> None:
    """A stream that breaks off is begun again behind the last event that came."""
    history.broken_watches = 2
    assert numbers(invoke("watch", "w", "--json")) == [1, 2, 3]
    assert [request.from_sequence for request in asked_for_events(history)] == [0, 2, 3]


def test_errors(invoke: Invoke, fake: Any, status: Any, dead_address: str) -> None:
    """No workflow, no server, no such kind, too slow a reader: a line and the code of the error."""
    fake.script = {"Watch": [gaia.UnknownName("There is no workflow 'w'.")], "Status": [gaia.UnknownName("None.")]}
    assert invoke("watch", "w").exit_code == 3
    fake.script = {"Status": [status("running")]}
    fake.updates, fake.events, fake.too_slow_watches = [at("running", 9)], [changed(1, "created")], 1
    result = invoke("watch", "w", "--json")
    assert (result.exit_code, numbers(result), json.loads(result.stderr)["error"]) == (4, [1], "NoLongerKept")
    assert invoke("watch", "--from", "3").exit_code == 2
    assert invoke("watch", "--exit-status").exit_code == 2
    assert invoke("--host", dead_address, "watch").exit_code == 5


def test_all_workflows(flow: gaia.Gaia, history: Any) -> None:
    """Of all workflows together events come without end, also when all are at rest."""
    items = iter(Following(flow, Wanted(None)))
    seen = [item.value["sequence"] for item in _taken(items, 6) if item is not None and item.stream == EVENTS]
    assert seen == [1, 2, 3]
    assert [request.workflow for request in history.requests("Watch")] == ["", ""]


def test_a_view_may_skip_what_came_too_fast(flow: gaia.Gaia, history: Any) -> None:
    """Who only draws goes on with what is still kept, where anybody else is refused."""
    history.too_slow_watches = 1
    following_it = Following(flow, Wanted("w", may_skip=True))
    assert [item.value["sequence"] for item in following_it if item and item.stream == EVENTS] == [1, 1, 2, 3]
    assert following_it.status is not None


def test_a_feed_waits_for_who_takes_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more is read ahead than a queue holds, and an error of a stream reaches whoever takes."""
    given: list[int] = []
    behind = threading.Event()

    def stream() -> Iterator[dict[str, Any]]:
        for number in range(10):
            given.append(number)
            yield {"number": number}
        behind.set()
        raise gaia.Unavailable("gone")

    monkeypatch.setattr("gaia_client.feed.WAITING_MAX", 3)
    feed = Feed()
    feed.add("numbers", stream())
    assert [item.value["number"] for item in (feed.take(5.0) for _ in range(3)) if item] == [0, 1, 2]
    assert not behind.is_set()
    assert len(given) <= 3 + 3 + 1
    assert [item.value["number"] for item in (feed.take(5.0) for _ in range(7)) if item] == list(range(3, 10))
    with pytest.raises(gaia.Unavailable):
        feed.take(5.0)
    assert feed.take(0.0) is None


def test_a_closed_client_calls_nobody(server: Any) -> None:
    """What a thread still reads when the client is closed ends; it does not connect again."""
    flow = gaia.Gaia({"gaia_host": server.address})
    flow.close()
    with pytest.raises(gaia.NotAllowedNow):
        flow.workflows()


def _taken(items: Iterator[Any], count: int) -> list[Any]:
    """Return so many items."""
    return [next(items) for _ in range(count)]


def test_steps_that_there_are_not_end_the_watch_at_once(invoke: Invoke, history: Any) -> None:
    """What the server says of a --step that it does not know is printed, before anything is waited for."""
    unknown = gaia.Problem("steps[0]", "'x' is no Step of 'w'")
    history.script["Watch"] = [gaia.UnknownName("Some names stand for no Steps.", problems=[unknown])]
    result = invoke("watch", "w", "--step", "x")
    assert (result.exit_code, result.stdout) == (3, "")
    assert "'x' is no Step of 'w'" in result.stderr
    (request,) = history.requests("Watch")
    assert list(request.steps) == ["x"]


def test_steps_belong_to_a_workflow(invoke: Invoke, history: Any) -> None:
    """--step without a WORKFLOW is a wrong use of the command, and nothing is asked."""
    result = invoke("watch", "--step", "x")
    assert (result.exit_code, history.asked) == (2, [])
    assert "--step needs a WORKFLOW" in result.stderr
