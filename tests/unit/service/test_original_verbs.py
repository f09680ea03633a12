"""The verbs of the original Gaia: what they take, what they reply, and every refusal as 400 with all that is wrong."""

from collections.abc import Iterator
from typing import Any

import pytest

from gaia_core.machine import requests as rq
from gaia_core.service.replies import debug_message, status_message
from gaia_core.service.verb_calls import PATHS
from gaia_core.wire import plain
from tests.support.waiting import wait_until
from tests.unit.coordinator.shard import Hand, Shard
from tests.unit.service.calls import Calls, running

COPY = {
    "name": "copy",
    "image": "busybox",
    "command": ["cp", "{{in}}", "{{out}}"],
    "inputs": {"in": "/in"},
    "outputs": {"out": "/out"},
    "vars": {},
}
MAKE = {
    "name": "make",
    "image": "busybox",
    "command": ["echo", "{{word}}"],
    "inputs": {},
    "outputs": {"out": ">"},
    "vars": {"word": "hello"},
}
WORKFLOW = "ada_words_20240501.120000"
UNKNOWN = "There is no workflow 'nobody'."


def make(name: str, **more: Any) -> dict[str, Any]:
    """A Step that reads nothing."""
    return {"name": name, "command": "make", "outputs": {"out": f"made/{name}.txt"}, **more}


def copy(name: str, source: str) -> dict[str, Any]:
    """A Step that reads one Key."""
    return {"name": name, "command": "copy", "inputs": {"in": source}, "outputs": {"out": f"copied/{name}.txt"}}


SWEEP = make("sweep", vars={"word": ["one", "two"]}, outputs={"out": "sweep/{{word}}.txt"})


@pytest.fixture
def shard() -> Shard:
    """The machine behind the calls."""
    return Shard()


@pytest.fixture
def calls(shard: Shard) -> Iterator[Calls]:
    """Calls to a server that leads."""
    with running(shard) as started:
        yield started


def upload(calls: Calls, *steps: dict[str, Any], **properties: Any) -> Any:
    """Create the workflow."""
    body = {"workflow": WORKFLOW, "properties": properties, "commands": [COPY, MAKE], "steps": list(steps)}
    return calls.post("upload", body)


def status(calls: Calls, **more: Any) -> Any:
    """Return the workflow's status."""
    return calls.post("status", {"workflow": WORKFLOW, **more})["status"]


def test_upload_replies_the_names_of_the_steps_after_expansion(calls: Calls) -> None:
    """upload: {"workflow": {name: [Step names]}}, in the order of the request, sweeps expanded."""
    assert upload(calls, make("b"), SWEEP, copy("a", "made/b.txt")) == {
        "workflow": {WORKFLOW: ["b", "sweep-one", "sweep-two", "a"]}
    }


def test_upload_may_leave_out_what_there_is_none_of(calls: Calls) -> None:
    """Absent properties, Commands and Steps are none."""
    assert calls.post("upload", {"workflow": "empty"}) == {"workflow": {"empty": []}}


def test_command_replies_all_commands_by_name(calls: Calls) -> None:
    """command: {"commands": {name: Command}} with the documented fields, with Commands to add, with [] and without."""
    assert calls.post("command", {"workflow": "new", "commands": [COPY]}) == {"commands": {"copy": COPY}}
    both = {"commands": {"copy": COPY, "make": MAKE}}
    assert calls.post("command", {"workflow": "new", "commands": [MAKE]}) == both
    assert calls.post("command", {"workflow": "new", "commands": []}) == both
    assert calls.post("command", {"workflow": "new"}) == both


def test_a_command_is_given_with_all_its_fields(calls: Calls) -> None:
    """What a Command has beyond the original's fields comes back too, and the documented maps are always there."""
    given = {"name": "nap", "image": "i", "command": ["nap"], "timeout": 5, "stdout": "/out"}
    reply = calls.post("command", {"workflow": "new", "commands": [given]})
    assert reply["commands"]["nap"] == {**given, "inputs": {}, "outputs": {}, "vars": {}}


def test_merge_replies_the_names_of_its_steps(calls: Calls) -> None:
    """merge: {"steps": [names]} of new, changed and unchanged Steps alike, in the order of the request."""
    upload(calls, make("old"), make("b"))
    body = {"workflow": WORKFLOW, "steps": [make("old"), SWEEP, make("b", vars={"word": "x"}), make("new")]}
    assert calls.post("merge", body) == {"steps": ["old", "sweep-one", "sweep-two", "b", "new"]}
    assert calls.post("merge", body) == {"steps": ["old", "sweep-one", "sweep-two", "b", "new"]}


def test_merge_keeps_the_order_where_names_resemble_each_other(calls: Calls) -> None:
    """A Step whose name is the beginning of another's does not draw it to itself."""
    upload(calls, make("a-b"))
    steps = [make("a"), make("a-b"), make("a-b-c"), make("a:c")]
    reply = calls.post("merge", {"workflow": WORKFLOW, "steps": steps})
    assert reply == {"steps": ["a", "a-b", "a-b-c", "a:c"]}


def test_merge_creates_a_workflow(calls: Calls) -> None:
    """merge of a new workflow makes it, with no Steps where none are given."""
    assert calls.post("merge", {"workflow": "new", "steps": []}) == {"steps": []}
    assert calls.post("status", {"workflow": "new"})["status"]["state"] == "initialized"


def test_halt_and_run_reply_the_workflow(calls: Calls) -> None:
    """halt: {"halt": workflow}; run: {"run": workflow}; both act."""
    upload(calls, make("a"))
    assert calls.post("halt", {"workflow": WORKFLOW}) == {"halt": WORKFLOW}
    assert status(calls)["state"] == "halted"
    assert calls.post("run", {"workflow": WORKFLOW}) == {"run": WORKFLOW}
    assert status(calls)["state"] == "running"


def test_expire_replies_the_names_it_was_given(calls: Calls, shard: Shard) -> None:
    """expire: {"expire": names}, and the Steps behind them and their dependents run again."""
    upload(calls, SWEEP, copy("after", "sweep/one.txt"))
    finish(shard, "sweep-one", "sweep-two", "after")
    assert status(calls)["state"] == "complete"
    assert calls.post("expire", {"workflow": WORKFLOW, "expire": ["sweep", "copied/after.txt"]}) == {
        "expire": ["sweep", "copied/after.txt"]
    }
    assert status(calls)["steps"]["complete"] == 0
    assert calls.post("expire", {"workflow": WORKFLOW, "expire": []}) == {"expire": []}


def finish(shard: Shard, *steps: str) -> None:
    """Let a worker take Steps and complete them, one after the other."""
    hand = Hand(shard)
    hand.hello()
    for step in steps:
        wait_until(lambda step=step: hand.read() is not None and step in hand.fences(), f"{step} was dispatched")
        hand.complete(step)
    wait_until(lambda: {shard.states(WORKFLOW)[step] for step in steps} == {"complete"}, "all are complete")


def test_status_tells_state_commands_and_what_is_waited_for(calls: Calls) -> None:
    """status: {"workflow": …, "status": …} with `state`, `commands` as a map, `waiting-inputs`, and the counts."""
    upload(calls, make("a"), copy("b", "made/a.txt"), copy("c", "outside.txt"))
    reply = calls.post("status", {"workflow": WORKFLOW})
    assert list(reply) == ["workflow", "status"]
    assert reply["workflow"] == WORKFLOW
    told = reply["status"]
    assert told["state"] == "running"
    assert told["commands"] == {"copy": COPY, "make": MAKE}
    assert told["waiting-inputs"] == ["outside.txt", "made/a.txt"]
    assert told["waiting-inputs-count"] == 2
    assert told["missing-inputs"] == ["outside.txt"]
    assert told["steps"] == {"waiting": 2, "ready": 1, "running": 0, "retrying": 0, "complete": 0, "failed": 0}
    assert "debug" not in told


@pytest.mark.parametrize("debug", [False, None])
def test_a_plain_status_holds_no_steps(calls: Calls, debug: object) -> None:
    """debug=False, and null, which the original's signature allows, are a plain status."""
    upload(calls, make("a"))
    assert "debug" not in status(calls, debug=debug)


def test_status_says_what_the_python_client_says(calls: Calls, shard: Shard) -> None:
    """Except for `commands`, a map here, both clients get the same, debug included."""
    upload(calls, make("a"), copy("b", "made/a.txt"))
    Hand(shard).hello()
    wait_until(lambda: shard.states(WORKFLOW)["a"] == "running", "a runs")
    asked = rq.GetStatus(WORKFLOW), rq.ListSteps(WORKFLOW), rq.ListWorkers()
    bare, (steps, following), workers = (shard.loop.submit(request).result(10) for request in asked)
    message = status_message(bare)
    message.debug.CopyFrom(debug_message(steps, following, workers))
    told = status(calls, debug=True)
    expected = plain.status(message)
    known = {name: value for name, value in expected.items() if name in told}
    assert {**told, "commands": None} == {**known, "commands": None}
    assert [step["state"] for step in told["debug"]["steps"]] == ["running", "waiting"]
    assert [worker["name"] for worker in told["debug"]["workers"]] == ["w"]


def test_workflows_replies_a_map_by_name(calls: Calls) -> None:
    """workflows: {"workflows": {name: {name, state, properties, step-count, …}}}."""
    assert calls.post("workflows", {}) == {"workflows": {}}
    upload(calls, SWEEP, note={"seen": [1, 2.5, None]})
    lines = calls.post("workflows", {})["workflows"]
    assert list(lines) == [WORKFLOW]
    line = lines[WORKFLOW]
    assert (line["name"], line["owner"], line["state"], line["step-count"]) == (WORKFLOW, "ada", "running", 2)
    assert line["properties"] == {"note": {"seen": [1, 2.5, None]}}
    assert line["steps"]["ready"] == 2
    assert line["created"] == line["updated"] == "1970-01-01T00:16:40Z"


def test_text_of_all_languages_goes_through(calls: Calls) -> None:
    """Text beyond ASCII, in pairs of JSON's escapes too, comes back as it was."""
    raw = b'{"workflow": "w", "properties": {"note": "\\ud83d\\ude00 \xc3\xbc"}}'
    calls.http.post("/upload", content=raw, headers={"Content-Type": "application/json"})
    assert calls.post("workflows", {})["workflows"]["w"]["properties"] == {"note": "\U0001f600 ü"}


# ---- refusals ----


@pytest.mark.parametrize("verb", ["command", "run", "halt", "status"])
def test_an_unknown_workflow_is_refused(calls: Calls, verb: str) -> None:
    """A workflow that nobody made is named in the refusal."""
    assert calls.refused(verb, {"workflow": "nobody"}) == UNKNOWN


def test_expire_of_an_unknown_workflow_is_refused(calls: Calls) -> None:
    """expire makes no workflow either."""
    assert calls.refused("expire", {"workflow": "nobody", "expire": []}) == UNKNOWN


def test_status_of_an_unknown_workflow_with_debug_is_refused_once(
    calls: Calls, caplog: pytest.LogCaptureFixture
) -> None:
    """A call that asks twice has one refusal, and nothing of the other one is left to complain about."""
    assert calls.refused("status", {"workflow": "nobody", "debug": True}) == UNKNOWN
    assert [record.message for record in caplog.records if record.levelname != "INFO"] == []


def test_upload_of_a_name_that_exists_is_refused_and_changes_nothing(calls: Calls) -> None:
    """An existing workflow stays as it is, and the hint tells of merge."""
    upload(calls, make("a"))
    words = calls.refused("upload", {"workflow": WORKFLOW, "properties": {}, "commands": [], "steps": []})
    assert words == f"There already is a workflow '{WORKFLOW}'.\nhint: use merge to add Steps to it"
    assert status(calls)["steps"]["ready"] == 1


def test_upload_tells_everything_that_is_wrong_at_once(calls: Calls) -> None:
    """Problems of the body, of form and of meaning come together, each with its place, and nothing is made."""
    broken = {
        "workflow": "a b",
        "properties": {"owner": 7},
        "commands": [MAKE, {"name": "c", "img": "x", "command": "ls"}],
        "steps": [make("a"), make("b", outputs={"out": "made/a.txt"}), make("c", command="mak"), {"name": "d"}],
        "stepz": [],
    }
    words = calls.refused("upload", broken).splitlines()
    assert words[0] == "The request has 9 problems; nothing was changed."
    assert [line.strip().partition(": ")[0] for line in words[1:]] == [
        *("stepz", "workflow", "properties.owner"),
        *("commands[1].img", "commands[1]", "commands[1].command", "steps[3]"),
        *("steps[2].command", "steps[1].outputs.out"),
    ]
    assert "did you mean 'steps'?" in words[1]
    assert calls.post("workflows", {}) == {"workflows": {}}


def test_merge_of_broken_steps_is_refused(calls: Calls) -> None:
    """What a Step would break in the workflow is told with its place."""
    upload(calls, make("a"))
    steps = [
        copy("b", "x"), {**copy("c", "/x"), "command": "cop"}, make("d", outputs={"out": "made/a.txt"}),
    ]  # fmt: skip
    words = calls.refused("merge", {"workflow": WORKFLOW, "steps": steps})
    assert "steps[1].inputs.in: '/x' is absolute" in words
    assert "steps[1].command: there is no Command 'cop'; did you mean 'copy'?" in words
    assert "steps[2].outputs.out: 'made/a.txt' is written by Step 'd'" in words


def test_a_command_that_breaks_a_step_is_refused(calls: Calls) -> None:
    """The refusal names the Steps that would become invalid."""
    upload(calls, make("a"))
    changed = {**MAKE, "outputs": {"other": ">"}}
    assert "Step 'a' would become invalid" in calls.refused("command", {"workflow": WORKFLOW, "commands": [changed]})


def test_expire_places_are_those_of_its_own_body(calls: Calls) -> None:
    """Unknown names are told by their place in `expire`."""
    upload(calls, make("a"))
    words = calls.refused("expire", {"workflow": WORKFLOW, "expire": ["a", "made/b.txt", "aa"]})
    assert words.splitlines()[1:] == [
        f"  expire[1]: 'made/b.txt' is neither a Step nor a Key of '{WORKFLOW}'",
        f"  expire[2]: 'aa' is neither a Step nor a Key of '{WORKFLOW}'; did you mean 'a'?",
    ]


@pytest.mark.parametrize(
    ("verb", "body", "words"),
    [
        ("command", {}, "'workflow' is missing"),
        ("command", {"workflow": "w", "commands": {}}, "commands: must be a list, not a map"),
        ("command", {"workflow": "w", "commands": None}, "commands: must be a list, not null"),
        ("merge", {"workflow": "w", "steps": [7]}, "steps[0]: must be a map, not the number 7"),
        ("merge", {"workflow": "w", "steps": [{"key": "a"}]}, "steps[0]: 'name' is missing"),
        ("upload", {"workflow": ["w"]}, "workflow: must be a string, not a list"),
        ("upload", {"workflow": "w", "properties": []}, "properties: must be a map, not a list"),
        ("run", {"workflow": None}, "workflow: null is not allowed"),
        ("run", {"workflow": 20240501}, 'workflow: must be a string, not the number 20240501; write "20240501"'),
        ("halt", {"name": "w"}, "name: is unknown; there are: workflow"),
        ("halt", {"workflow": ""}, "workflow: '' is no name"),
        ("status", {"workflow": "w", "debug": "yes"}, "debug: must be true or false"),
        ("status", {"workflow": "w", "debug": 1}, "debug: must be true or false"),
        ("status", {"workflow": "w", "debgu": True}, "debgu: is unknown; did you mean 'debug'?"),
        ("expire", {"workflow": "w"}, "'expire' is missing"),
        ("expire", {"workflow": "w", "keys": ["a"]}, "keys: is unknown; there are: workflow, expire"),
        ("expire", {"workflow": "w", "expire": "a"}, "expire: must be a list of Step names and Keys"),
        ("expire", {"workflow": "w", "expire": ["a", 7]}, "expire[1]: must be a string"),
        ("workflows", {"owner": "ada"}, "owner: is unknown; the body is {}"),
        ("workflows", [], "the body must be a map of nothing"),
        ("run", "w", "the body must be a map of workflow"),
        ("run", None, "the body must be a map of workflow"),
    ],
)
def test_a_body_of_the_wrong_shape_is_refused(calls: Calls, verb: str, body: object, words: str) -> None:
    """Wrong types, missing and unknown fields are refused in words, with their place."""
    assert words in calls.refused(verb, body)


@pytest.mark.parametrize("path", sorted(PATHS))
@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "the body is empty; send {}"),
        (b"{", "the body is no JSON: Expecting property name enclosed in double quotes (line 1, column 2)"),
        (b"\xff{}", "the body is not UTF-8 (byte 0)"),
        (b"[" * 200_000, "the body is nested too deeply"),
        (b'{"workflow": ' * 200_000, "the body is nested too deeply"),
        (b'{"workflow": "a", "workflow": "b"}', "the body gives 'workflow' twice in one map"),
        (b'{"workflow": NaN}', "the body is no JSON: NaN is no number there"),
        (b'{"workflow": ' + b"9" * 5_000 + b"}", "the body has a number of too many digits"),
    ],
    ids=["empty", "cut", "bytes", "lists", "maps", "twice", "nan", "digits"],
)
def test_a_body_that_is_no_json_is_refused(calls: Calls, path: str, raw: bytes, words: str) -> None:
    """Every verb answers what is no JSON in the same words."""
    assert words in calls.refused_raw(path[1:], raw)


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("run", {"workflow": "\ud800"}),
        ("run", {"\ud800": 1}),
        ("upload", {"workflow": "w", "properties": {"\ud800": "x"}}),
        ("upload", {"workflow": "w", "properties": {"x": ["\udfff"]}}),
        ("upload", {"workflow": "w", "commands": [{**MAKE, "command": ["\ud800"]}]}),
        ("upload", {"workflow": "w", "commands": [MAKE], "steps": [make("a", vars={"word": "\ud800"})]}),
        ("merge", {"workflow": "w", "steps": [make("a\ud800")]}),
        ("merge", {"workflow": "w", "steps": [make("a", **{"\ud800": 1})]}),
        ("expire", {"workflow": WORKFLOW, "expire": ["\ud800", "a\u202e", "\x00"]}),
    ],
)
def test_characters_that_are_no_text_are_refused(calls: Calls, verb: str, body: object) -> None:
    """Half a character, anywhere, is refused like any other mistake and comes back as JSON that every reader takes."""
    upload(calls, make("a"))
    assert calls.refused(verb, body)
    assert list(calls.post("workflows", {})["workflows"]) == [WORKFLOW]


def test_more_problems_than_anybody_reads_are_cut(calls: Calls) -> None:
    """A thousand problems are told, and how many more there are."""
    lines = calls.refused("merge", {"workflow": "w", "steps": [7] * 1_500}).splitlines()
    assert (len(lines), lines[-1]) == (1 + 1_000 + 1, "  … and 500 more")
