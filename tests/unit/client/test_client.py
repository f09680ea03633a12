"""The client sends what it is given as the contract says, and gives plain values and our own errors back."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml

import gaia
from gaia.client import Gaia
from gaia.v1 import api_pb2, model_pb2
from gaia_core.errors import BY_NAME, Problem

EXAMPLES = Path(__file__).parents[3] / "examples"
COMMAND = {"name": "greet", "image": "busybox", "command": ["echo", "{{NAME}}"], "outputs": {"g": ">"}}
STEP = {"name": "hello", "command": "greet", "vars": {"NAME": ["a", 1]}, "outputs": {"g": "{{NAME}}.txt"}}


def test_lines_of_the_old_page(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The documented lines work as they stand, the host coming from the environment."""
    monkeypatch.setenv("GAIA_HOST", server.address)
    server.fake.script = {
        "Status": [api_pb2.StatusResponse(state="complete")],
        "Launch": [lambda request: api_pb2.LaunchResponse(names=request.names)],
    }
    flow = gaia.Gaia()
    commands = json.loads((EXAMPLES / "demo" / "demo-commands.json").read_text())
    steps = json.loads((EXAMPLES / "demo" / "demo-steps.json").read_text())
    flow.upload("crick_demo_20191130.121500", {"owner": "crick"}, commands, steps)
    assert flow.launch(["a", "b"]) == ["a", "b"]
    assert flow.workflows() == []
    assert flow.command("biostream") == []
    flow.merge("biostream", [{"name": "ls-home", "command": "ls", "inputs": {"a": "b"}}])
    flow.run("biostream")
    flow.halt("biostream")
    assert flow.status("biostream", debug=True)["state"] == "complete"
    flow.expire("biostream", ["ls-home", "genomes"])
    flow.close()
    assert Gaia is gaia.Gaia


def test_upload_sends_all_of_it(flow: gaia.Gaia, fake: Any) -> None:
    """An upload carries name, properties, Commands, Steps and a request id, and returns the diff."""
    fake.script["Upload"] = [api_pb2.UploadResponse(diff=api_pb2.Diff(added=["hello-a", "hello-1"]))]
    reply = flow.upload("me_x", {"owner": "me", "max_parallel": 2}, [COMMAND], (STEP,))
    assert reply["added"] == ["hello-a", "hello-1"]
    assert set(reply) == {"added", "updated", "unchanged", "recomputed", "removed", "reasons", "revision"}
    (request,) = fake.requests("Upload")
    assert len(request.request_id) == 32
    assert request.workflow == "me_x"
    assert dict(request.properties) == {"owner": "me", "max_parallel": 2.0}
    assert request.commands[0].command == ["echo", "{{NAME}}"]
    assert [value.WhichOneof("kind") for value in request.steps[0].vars["NAME"].list_value.values] == [
        "string_value",
        "number_value",
    ]


def test_upload_of_the_weather_example(flow: gaia.Gaia, fake: Any) -> None:
    """The weather example passes the client's own checks."""
    commands, steps = (
        yaml.safe_load((EXAMPLES / "weather" / f"{name}.yaml").read_text()) for name in ("commands", "steps")
    )
    flow.upload("weather", {}, commands, steps)
    assert len(fake.requests("Upload")[0].steps) == len(steps)


def test_problems_come_together_and_only_a_check_is_sent(flow: gaia.Gaia, fake: Any) -> None:
    """Name, properties, form and meaning are checked at once; the server only tells what it finds beside."""
    fake.script["Upload"] = [gaia.AlreadyExists("There already is a workflow.")]
    commands = [{**COMMAND, "image": 3}, {**COMMAND, "name": "b"}]
    needless_input = {**STEP, "name": "t", "command": "b", "inputs": {"x": "y"}, "outputs": {}}
    steps = [{"name": "s", "command": "nope"}, needless_input, STEP]
    with pytest.raises(gaia.AlreadyExists) as caught:
        flow.upload("no/name", {"max_parallel": 0}, commands, steps)
    places = [problem.place for problem in caught.value.problems]
    assert places[:3] == ["workflow", "properties.max_parallel", "commands[0].image"]
    assert any(place.startswith("steps[0]") for place in places)
    assert any(place.startswith("steps[1]") for place in places)
    assert not any(place.startswith("steps[2]") for place in places)
    assert [(method, request.check_only) for method, request in fake.asked] == [("Upload", True)]


def test_merge_and_command_tell_all_problems_together(flow: gaia.Gaia, fake: Any) -> None:
    """The client finds those of form, the server those of all that is understood; what was left out is not told."""
    left_out = gaia.Problem("steps[0].vars.x", "null is not allowed; leave it out or write an empty string")
    wrong = gaia.InvalidWorkflow.of([left_out, gaia.Problem("steps[1].command", "there is none")])
    fake.script["Merge"] = [wrong]
    steps = [{"name": "s", "command": "c", "vars": {"x": math.nan}, "inputs": 5}, {"name": "t", "command": "d"}]
    with pytest.raises(gaia.InvalidWorkflow) as refusal:
        flow.merge("w", steps, prune=True, expected_revision=3)
    places = ["steps[0].inputs", "steps[0].vars.x", "steps[1].command"]
    assert [problem.place for problem in refusal.value.problems] == places
    (asked,) = fake.requests("Merge")
    assert (asked.check_only, asked.prune, asked.expected_revision, len(asked.steps)) == (True, True, 3, 2)
    with pytest.raises(gaia.InvalidWorkflow):
        flow.command("w", [{"name": "s"}])
    assert all(request.check_only for _, request in fake.asked)


def test_what_stands_in_the_way_is_told_with_all_problems(flow: gaia.Gaia, fake: Any) -> None:
    """A stale revision is refused as such, also where the form of the change has problems, which are told beside it."""
    fake.script["Merge"] = [gaia.NotAllowedNow("Workflow 'w' has revision 3, not 2.", hint="read it again")]
    with pytest.raises(gaia.NotAllowedNow) as refusal:
        flow.merge("w", [{"name": "s"}], expected_revision=2)
    assert (refusal.value.hint, len(refusal.value.problems)) == ("read it again", 1)


def test_problems_of_form_are_told_without_a_server(dead_address: str, pauses: list[float]) -> None:
    """That nobody can find the others is no reason to keep these back."""
    with gaia.Gaia({"gaia_host": dead_address}) as flow, pytest.raises(gaia.InvalidWorkflow):
        flow.merge("w", [{"name": "s"}])


def test_command_returns_plain_commands(flow: gaia.Gaia, fake: Any) -> None:
    """Commands come back as users write them; a call without any carries no request id."""
    fake.script["Command"] = [
        lambda request: api_pb2.CommandResponse(
            commands=request.commands or [model_pb2.Command(name="ls", image="ubuntu", command=["ls"])]
        )
    ]
    assert flow.command("w") == flow.command("w", []) == [{"name": "ls", "image": "ubuntu", "command": ["ls"]}]
    assert flow.command("w", [COMMAND]) == [COMMAND]
    assert [bool(request.request_id) for request in fake.requests("Command")] == [False, False, True]


def test_status_has_the_documented_keys(flow: gaia.Gaia, fake: Any, status: Callable[..., Any]) -> None:
    """A status is a plain dict with the documented keys, and debug only if asked for."""
    failure = model_pb2.Failure(message="exit code 2", exit_code=2, log_tail="boom\n", **{"class": 1})
    fake.script["Status"] = [
        status(
            "error", failed=[api_pb2.FailedStep(step="s", attempt=2, worker="w1", failure=failure)],
            waiting_inputs=["a", "b"], waiting_inputs_count=2000, missing_inputs=["a"],
            commands=[model_pb2.Command(name="c", vars={"n": {"number_value": 1}})],
        )
    ]  # fmt: skip
    assert flow.status("w") == {
        "state": "error",
        "stalled": False,
        "commands": [{"name": "c", "vars": {"n": 1}}],
        "steps": {"waiting": 0, "ready": 0, "running": 0, "retrying": 0, "complete": 0, "failed": 0},
        "waiting-inputs": ["a", "b"],
        "waiting-inputs-count": 2000,
        "missing-inputs": ["a"],
        "failed": [
            {"step": "s", "attempt": 2, "worker": "w1", "class": "COMMAND", "message": "exit code 2", "exit-code": 2,
             "log-tail": "boom\n"}
        ],
        "revision": 0,
    }  # fmt: skip


def test_status_debug_is_paged(flow: gaia.Gaia, fake: Any) -> None:
    """Debug asks for one page and names the next."""
    debug = api_pb2.Debug(
        steps=[api_pb2.StepDebug(name="s", state="waiting", inputs={"a": "k"}, missing_inputs=1)],
        workers=[api_pb2.WorkerDebug(name="w1", slots=2)],
        next_page_start=1001,
    )
    fake.script["Status"] = [api_pb2.StatusResponse(state="running", debug=debug)]
    reply = flow.status("w", debug=True, page_start=1)["debug"]
    assert reply["next-page-start"] == 1001
    assert reply["steps"][0]["inputs"] == {"a": "k"}
    assert reply["workers"][0]["name"] == "w1"
    (request,) = fake.requests("Status")
    assert (request.debug, request.page_start, request.page_size) == (True, 1, 1000)


def test_explanations_tell_whether_there_are_more(flow: gaia.Gaia, fake: Any) -> None:
    """A sweep may have more Steps than are explained; `explain` returns those that are."""
    told = api_pb2.Explanation(step="s-1", state="ready")
    fake.script["Explain"] = [api_pb2.ExplainResponse(steps=[told], truncated=True)]
    reply = flow.explanations("w", "s")
    assert reply == {"steps": flow.explain("w", "s"), "truncated": True}
    assert [step["step"] for step in reply["steps"]] == ["s-1"]


def test_workflows_are_plain(flow: gaia.Gaia, fake: Any) -> None:
    """The list has times as text, properties as given, counts by state; filters are passed on."""
    message = api_pb2.Workflow(name="w", owner="me", state="running", steps=api_pb2.StepCounts(ready=3))
    message.properties.update({"n": 1})
    message.created.FromSeconds(0)
    fake.script["Workflows"] = [api_pb2.WorkflowsResponse(workflows=[message])]
    (reply,) = flow.workflows(prefix="w", owner="me", state="running")
    assert (reply["properties"], reply["created"], reply["updated"]) == ({"n": 1}, "1970-01-01T00:00:00Z", None)
    assert json.loads(json.dumps(reply)) == reply
    (request,) = fake.requests("Workflows")
    assert (request.prefix, request.owner, request.state) == ("w", "me", "running")


@pytest.mark.parametrize(
    "name", [name for name in BY_NAME if name not in ("Unavailable", "StoreError", "ObjectMissing")]
)
def test_errors_are_those_of_the_server(flow: gaia.Gaia, fake: Any, pauses: list[float], name: str) -> None:
    """A refusal is raised as the class the server raised, with message, hint and problems."""
    fake.script["Run"] = [BY_NAME[name]("What is wrong.", hint="try this", problems=[Problem("steps[0]", "ä")])]
    with pytest.raises(BY_NAME[name]) as caught:
        flow.run("w")
    assert type(caught.value) is BY_NAME[name]
    assert (caught.value.message, caught.value.hint) == ("What is wrong.", "try this")
    assert caught.value.problems == (Problem("steps[0]", "ä"),)


def test_many_problems_fit_a_refusal(flow: gaia.Gaia, fake: Any) -> None:
    """A refusal with a thousand problems arrives whole."""
    problems = [Problem(f"steps[{number}].inputs.genome", "x" * 60) for number in range(1000)]
    fake.script["Merge"] = [gaia.InvalidWorkflow.of(problems)]
    with pytest.raises(gaia.InvalidWorkflow) as caught:
        flow.merge("w", [{"name": "s", "command": "c"}])
    assert caught.value.problems == tuple(problems)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, gaia.RequestError),
        (grpc.StatusCode.NOT_FOUND, gaia.UnknownName),
        (grpc.StatusCode.UNAUTHENTICATED, gaia.NotAuthorized),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, gaia.TooLarge),
        (grpc.StatusCode.UNIMPLEMENTED, gaia.Unavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, gaia.Unavailable),
        (grpc.StatusCode.INTERNAL, gaia.Bug),
        (grpc.StatusCode.UNKNOWN, gaia.Bug),
    ],
)
def test_codes_without_a_refusal(flow: gaia.Gaia, fake: Any, code: grpc.StatusCode, error: type) -> None:
    """A failure that carries no refusal of ours is named by its gRPC code."""
    fake.script["Halt"] = [code]
    with pytest.raises(error):
        flow.halt("w")


def test_retries_keep_their_request_id(flow: gaia.Gaia, fake: Any, pauses: list[float]) -> None:
    """A server that goes away for a while is asked again, with growing pauses and the same request id."""
    flow.workflows()
    unavailable, cancelled = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED
    fake.script["Run"] = [unavailable, cancelled, gaia.Unavailable("no leader"), api_pb2.RunResponse(workflow="w")]
    assert flow.run("w")["workflow"] == "w"
    ids = {request.request_id for request in fake.requests("Run")}
    assert len(ids) == 1
    assert len(fake.requests("Run")) == 4
    assert pauses == [0.1, 0.2, 0.4]


def test_retries_are_bounded(flow: gaia.Gaia, fake: Any, pauses: list[float]) -> None:
    """A server that stays away is given up after about twelve seconds, in its own words."""
    fake.script["Run"] = [gaia.Unavailable("Kafka at k:9092 does not answer", hint="look at it")]
    with pytest.raises(gaia.Unavailable, match="Kafka at k:9092 does not answer"):
        flow.run("w")
    assert 10 < sum(pauses) < 15


def test_an_overloaded_server_is_asked_again(make_server: Any, pauses: list[float]) -> None:
    """One that has too much to do is given time, and nobody else is asked: the request, with its id, is the same."""
    busy, other = make_server(), make_server()
    busy.fake.script["Run"] = [gaia.Overloaded("too much"), gaia.Overloaded("too much"), api_pb2.RunResponse()]
    with gaia.Gaia({"gaia_host": f"{busy.address},{other.address}"}) as flow:
        flow.run("w")
        assert pauses == [0.1, 0.2]
        first, *others = busy.fake.requests("Run")
        assert others == [first, first]
        busy.fake.script["Halt"] = [gaia.Overloaded("too much")]
        with pytest.raises(gaia.Overloaded, match="too much"):
            flow.halt("w")
        assert 10 < sum(pauses) < 15
    assert other.fake.asked == []


def test_each_mutation_has_its_own_id(flow: gaia.Gaia, fake: Any) -> None:
    """Two calls are two requests, however alike."""
    flow.run("w")
    flow.run("w")
    first, second = (request.request_id for request in fake.requests("Run"))
    assert first != second


def test_nobody_there(dead_address: str, pauses: list[float]) -> None:
    """A client that never reached a server gives up at once and says what was tried and what helps."""
    with gaia.Gaia({"gaia_host": dead_address}) as flow, pytest.raises(gaia.Unavailable) as caught:
        flow.workflows()
    assert caught.value.message == f"No Gaia server answers at {dead_address}"
    assert caught.value.hint == "start one with: gaia up"
    assert pauses == []


def test_next_host_is_tried_and_kept(make_server: Any, dead_address: str) -> None:
    """Of several hosts the first that answers is used, and asked first from then on."""
    server = make_server()
    with gaia.Gaia({"gaia_host": f"{dead_address},{server.address}"}) as flow:
        flow.workflows()
        flow.workflows()
        assert flow._connection._hosts[0] == server.address
    assert len(server.fake.asked) == 2


def test_standby_names_the_leader(make_server: Any, pauses: list[float]) -> None:
    """A standby's trailing metadata lead to the leader, even if it was not on the list."""
    standby, leader = make_server(), make_server()
    standby.fake.script["Run"] = [gaia.Unavailable("This is a standby")]
    standby.fake.trailers["Run"] = ("gaia-leader", leader.address)
    with gaia.Gaia({"gaia_host": standby.address}) as flow:
        flow.run("w")
    assert leader.fake.requests("Run") == standby.fake.requests("Run")


def test_token_is_sent(server: Any) -> None:
    """The token travels as a bearer token, and does not show itself."""
    with gaia.Gaia({"gaia_host": server.address, "token": "s3cret"}) as flow:
        flow.workflows()
    assert server.fake.metadata[0]["authorization"] == "Bearer s3cret"


def test_too_large_for_the_client(flow: gaia.Gaia, fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request over the limit is refused here, naming size and limit."""
    monkeypatch.setattr("gaia_client.client.MESSAGE_BYTES_MAX", 100)
    with pytest.raises(gaia.TooLarge, match="the limit is 100 bytes"):
        flow.merge("w", [{"name": "s" * 200, "command": "c"}])
    assert fake.asked == []


def test_too_large_for_the_server(make_server: Any) -> None:
    """A request over the server's own limit is refused with that limit."""
    server = make_server(message_bytes_max=1000)
    with gaia.Gaia({"gaia_host": server.address}) as flow, pytest.raises(gaia.TooLarge, match="limit of 1,000 bytes"):
        flow.merge("w", [{"name": "s", "command": "c", "vars": {"x": "y" * 2000}}])


@pytest.mark.parametrize(
    "call",
    [
        lambda flow: flow.run(None),
        lambda flow: flow.expire("w", "one-name"),
        lambda flow: flow.launch([1]),
        lambda flow: flow.launch(["a"], metadata={"x": math.inf}),
        lambda flow: flow.put("w", "../x", b""),
        lambda flow: flow.get("w", "/x"),
        lambda flow: flow.upload("w", [], [], []),
    ],
)
def test_wrong_types_are_our_errors(flow: gaia.Gaia, fake: Any, call: Callable[[gaia.Gaia], object]) -> None:
    """A wrong argument is a problem with a place, not an accident in the transport."""
    with pytest.raises(gaia.InvalidWorkflow):
        call(flow)
    assert all(request.check_only for _, request in fake.asked)


def test_wait_ends_at_rest(flow: gaia.Gaia, fake: Any, status: Callable[..., Any], pauses: list[float]) -> None:
    """Waiting polls with growing pauses, shows every status and returns the last."""
    running = status("running", complete=1, running=1)
    fake.script["Status"] = [running] * 10 + [status("complete", complete=2)]
    seen: list[str] = []
    final = flow.wait("w", on_progress=lambda each: seen.append(each["state"]))
    assert (final["state"], len(seen), seen[-1]) == ("complete", 11, "complete")
    assert pauses[0] == 0.05
    assert pauses == sorted(pauses)
    assert pauses[-1] == 0.5


@pytest.mark.parametrize("state", ["initialized", "complete", "error", "halted"])
def test_wait_returns_at_once_at_rest(flow: gaia.Gaia, fake: Any, status: Any, pauses: list[float], state: str) -> None:
    """What rests already is not waited for."""
    fake.script["Status"] = [status(state)]
    assert flow.wait("w")["state"] == state
    assert pauses == []


def test_wait_believes_in_a_stall_only_after_a_while(
    flow: gaia.Gaia, fake: Any, status: Any, pauses: list[float]
) -> None:
    """Keys may be on their way: a workflow that stays stalled rests, one that goes on does not."""
    fake.script["Status"] = [status("running", stalled=True), status("complete")]
    assert flow.wait("w")["state"] == "complete"
    fake.script["Status"] = [status("running", stalled=True)]
    assert flow.wait("w")["stalled"]
    assert sum(pauses) >= 1.5


def test_wait_times_out_in_words(flow: gaia.Gaia, fake: Any, status: Any, pauses: list[float]) -> None:
    """The timeout is kept to, and its error tells how far the workflow got."""
    fake.script["Status"] = [status("running", complete=3, running=1, waiting=9)]
    with pytest.raises(TimeoutError, match="Still running after 2 s: 3 of 13 Steps complete, 9 waiting, 1 running"):
        flow.wait("w", timeout_s=2)
    assert sum(pauses) == pytest.approx(2)


def test_wait_survives_an_outage(flow: gaia.Gaia, fake: Any, status: Any, pauses: list[float]) -> None:
    """A server that is away for longer than one call forgives does not end the waiting."""
    gone = [grpc.StatusCode.UNAVAILABLE] * 20
    fake.script["Status"] = [status("running", running=1), *gone, status("complete", complete=1)]
    assert flow.wait("w")["state"] == "complete"


def test_wait_ends_when_the_server_stays_away(flow: gaia.Gaia, fake: Any, status: Any, pauses: list[float]) -> None:
    """After a minute without an answer the waiting ends with the error."""
    fake.script["Status"] = [status("running", running=1), grpc.StatusCode.UNAVAILABLE]
    with pytest.raises(gaia.Unavailable):
        flow.wait("w")
    assert 60 < sum(pauses) < 90


def test_unknown_workflow_ends_the_waiting(flow: gaia.Gaia, fake: Any) -> None:
    """An error that time does not heal is raised at once."""
    fake.script["Status"] = [gaia.UnknownName("There is no workflow 'w'")]
    with pytest.raises(gaia.UnknownName):
        flow.wait("w")
