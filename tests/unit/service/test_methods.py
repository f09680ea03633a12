"""Every further method through the real client, gRPC and server: what goes in arrives, what comes out is plain."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from gaia.client import Gaia
from gaia.v1 import api_pb2
from gaia_core.errors import GaiaError, InvalidWorkflow, NotAllowedNow, UnknownName
from gaia_core.machine.orders import Drain
from gaia_core.machine.reports import CacheFigures, Completed, Failed
from gaia_core.workflow.model import Failure, FailureClass, FileVersion, Publication
from tests.support.waiting import wait_until
from tests.unit.coordinator.shard import Hand
from tests.unit.coordinator.stores import NotingStore
from tests.unit.service.served import Served

MAKE = {"name": "make", "image": "any", "command": ["make", "{{out}}"], "outputs": {"out": "/out"}}
COPY = {**MAKE, "name": "copy", "inputs": {"in": "/in"}}
SWEEP = {"name": "s", "command": "make", "outputs": {"out": "made/{{n}}"}, "vars": {"n": [1, 2, 3]}}
READER = {"name": "r", "command": "copy", "inputs": {"in": "made/1"}, "outputs": {"out": "read"}}
OUTSIDE = {"name": "o", "command": "copy", "inputs": {"in": "given"}, "outputs": {"out": "kept"}}


@pytest.fixture
def store() -> NotingStore:
    return NotingStore()


@pytest.fixture
def served(store: NotingStore) -> Iterator[Served]:
    with Served(store, poll_s=0.0) as made:
        yield made


@pytest.fixture
def hand(served: Served) -> Hand:
    made = Hand(served)  # type: ignore[arg-type]
    made.hello()
    return made


@pytest.fixture
def flow(served: Served, hand: Hand) -> Iterator[Gaia]:
    """A client; a workflow `flow` is there: a sweep of three, a reader of one of them, one of an outside Key."""
    with served.client() as client:
        client.upload("flow", {}, [MAKE, COPY], [SWEEP, READER, OUTSIDE])
        yield client


def run(hand: Hand, *names: str) -> None:
    """Let the worker take and complete Steps."""

    def has_all() -> bool:
        hand.read()
        return set(names) <= set(hand.fences())

    wait_until(has_all, f"orders for {names}")
    hand.complete(*names)
    hand.orders.clear()


def states(flow: Gaia) -> dict[str, str]:
    return {step["name"]: step["state"] for step in flow.steps("flow")}


def test_steps_are_listed_and_filtered(flow: Gaia, hand: Hand) -> None:
    """By prefix, state and Command, each Step as a plain map."""
    wait_until(lambda: states(flow)["s-1"] == "running", "it runs")
    assert list(states(flow)) == ["s-1", "s-2", "s-3", "r", "o"]
    assert [step["name"] for step in flow.steps("flow", prefix="s-", states=["running"])] == ["s-1", "s-2", "s-3"]
    assert [step["name"] for step in flow.steps("flow", command="copy")] == ["r", "o"]
    assert list(flow.steps("flow", states=["failed", "complete"])) == []
    (step,) = flow.steps("flow", prefix="r")
    assert step == {
        "name": "r", "command": "copy", "state": "waiting", "attempt": 0, "worker": "",
        "inputs": {"in": "made/1"}, "outputs": {"out": "read"}, "missing-inputs": 1,
        "image-digest": None,
    }  # fmt: skip
    with pytest.raises(InvalidWorkflow, match="there is no state 'done'"):
        list(flow.steps("flow", states=["done"]))


def test_workflows_are_filtered_by_states_that_there_are(flow: Gaia) -> None:
    """What is no state of a workflow is refused as one of Steps is, instead of found nowhere."""
    assert [line["name"] for line in flow.workflows(state="running")] == ["flow"]
    assert flow.workflows(state="complete") == []
    with pytest.raises(InvalidWorkflow) as refusal:
        flow.workflows(state="haltd")
    there_are = "There are: halted, initialized, running, error, complete"
    (problem,) = refusal.value.problems
    assert str(problem) == f"state: there is no state 'haltd'; did you mean 'halted'? {there_are}"
    with pytest.raises(InvalidWorkflow, match="'asleep'; there are: halted, initialized, running, error, complete"):
        flow.workflows(state="asleep")
    with pytest.raises(InvalidWorkflow, match=r"states\[1\]: there is no state 'faild'; did you mean 'failed'\?"):
        list(flow.steps("flow", states=["ready", "faild"]))


def test_steps_come_page_by_page(flow: Gaia, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, also where pages are short or empty, each comes once."""
    monkeypatch.setattr("gaia_core.machine.queries.STEPS_SCANNED_MAX", 2)
    many = {"name": "m", "command": "make", "vars": {"n": list(range(20))}}
    flow.merge("flow", [many])
    assert [step["name"] for step in flow.steps("flow", prefix="m-")] == [f"m-{number}" for number in range(20)]
    assert len(list(flow.steps("flow"))) == 25


def test_explain_tells_why_a_step_waits_runs_and_ran(flow: Gaia, hand: Hand) -> None:
    """State, summary, what it waits for and who writes that, the chain of causes, the failure."""
    (waits,) = flow.explain("flow", "r")
    assert (waits["state"], waits["reason"], waits["waits-for-count"]) == ("waiting", "first", 1)
    (key,) = waits["waits-for"]
    assert (key["key"], [writer["step"] for writer in key["writers"]]) == ("made/1", ["s-1"])
    run(hand, "s-1", "s-2", "s-3")
    run(hand, "r")
    wait_until(lambda: states(flow)["r"] == "complete", "it is complete")
    flow.expire("flow", ["s-1"])
    (again,) = flow.explain("flow", "r")
    assert (again["reason"], again["attempt"]) == ("upstream", 1)
    assert [(link["step"], link["reason"]) for link in again["chain"]] == [("r", "upstream"), ("s-1", "expired")]
    assert [one["step"] for one in flow.explain("flow", "s")] == ["s-1", "s-2", "s-3"]
    wait_until(lambda: hand.read() or "s-1" in hand.fences(), "the order")
    hand.say(Failed(hand.fences()["s-1"], Failure(FailureClass.COMMAND, "exit code 3", 3, "last words")))
    wait_until(lambda: states(flow)["s-1"] == "failed", "it failed")
    (failed,) = flow.explain("flow", "s-1")
    assert failed["failure"] == {
        "class": "COMMAND", "message": "exit code 3", "exit-code": 3, "log-tail": "last words",
    }  # fmt: skip
    json.dumps(flow.explain("flow", "s"))
    with pytest.raises(UnknownName):
        flow.explain("flow", "nobody")


def test_workers_are_listed(flow: Gaia) -> None:
    """Each with its pool, slots, and how much it holds."""
    wait_until(lambda: flow.workers() and flow.workers()[0]["attempts"] == 3, "it has three Steps")
    (worker,) = flow.workers()
    held = worker.pop("held")
    assert worker == {
        "name": "w",
        "pool": "default",
        "slots": 10,
        "prefetch": 0,
        "attempts": 3,
        "executor": "noop",
        "host": "host",
        "metadata": {},
        "credit": 7,
        "resources": {"cpus": None, "memory": None, "gpus": None},
        "used": {"cpus": 0, "memory": 0, "gpus": 0},
        "draining": False,
        "trouble": "",
        "version": "",
        "cache": None,
    }
    assert [(one["workflow"], one["step"], one["attempt"], one["stopping"]) for one in held] == [
        ("flow", f"s-{n}", 1, False) for n in (1, 2, 3)
    ]
    assert all(one["since"].endswith("Z") for one in held)


def test_a_workers_cache_is_told_as_it_said_last(flow: Gaia, hand: Hand) -> None:
    """With any hello, in `workers` and in `status`; nothing is journaled for it."""
    for hits in (1, 3):
        hand.hello(cache=CacheFigures(5, 500, 1000, hits, 1, 50))
        wait_until(lambda hits=hits: (flow.workers()[0]["cache"] or {}).get("hits") == hits, "what it says")
    told = {"files": 5, "bytes": 500, "bytes_max": 1000, "hits": 3, "misses": 1, "hit_bytes": 50}
    assert flow.workers()[0]["cache"] == told
    assert flow.status("flow", debug=True)["debug"]["workers"][0]["cache"] == told
    hand.hello()
    wait_until(lambda: flow.workers()[0]["cache"] is None, "that it has none")


def test_workers_are_asked_to_leave(flow: Gaia, hand: Hand) -> None:
    """The order reaches the worker, again while it does not say that it drains; unknown names are refused."""
    with pytest.raises(UnknownName) as refusal:
        flow.drain(["w", "v"])
    assert [str(problem) for problem in refusal.value.problems] == ["names[1]: there is no worker 'v'"]
    assert not flow.workers()[0]["draining"]
    assert flow.drain(["w"]) == ["w"]
    assert flow.workers()[0]["draining"]
    wait_until(lambda: Drain() in hand.read(), "the order")
    hand.beat(*hand.fences().values())
    wait_until(lambda: Drain() in hand.read(), "the order, again")


def test_remove_takes_steps_out(flow: Gaia, hand: Hand) -> None:
    """Those named, a sweep with all its Steps; readers of what they wrote are named with the reason."""
    run(hand, "s-1", "s-2", "s-3")
    run(hand, "r")
    wait_until(lambda: states(flow)["r"] == "complete", "it is complete")
    answer = flow.remove("flow", ["s"])
    assert (answer["removed"], answer["recomputed"]) == (["s-1", "s-2", "s-3"], ["r"])
    assert [(link["reason"], link["key"]) for link in answer["reasons"]["r"]] == [("removed", "made/1")]
    assert states(flow) == {"r": "waiting", "o": "waiting"}
    with pytest.raises(UnknownName) as refusal:
        flow.remove("flow", ["r", "s", "nobody"])
    assert [problem.place for problem in refusal.value.problems] == ["names[1]", "names[2]"]
    assert list(states(flow)) == ["r", "o"]


def test_a_plan_of_expire_changes_nothing(flow: Gaia, hand: Hand) -> None:
    """It answers what expire would, with reasons; expire then does that."""
    run(hand, "s-1", "s-2", "s-3")
    run(hand, "r")
    wait_until(lambda: states(flow)["r"] == "complete", "it is complete")
    before = states(flow), flow.status("flow")["revision"]
    plan = flow.expire("flow", ["made/1"], plan=True)
    assert (states(flow), flow.status("flow")["revision"]) == before
    assert [(link["step"], link["reason"]) for link in plan["reasons"]["r"]] == [("r", "upstream"), ("s-1", "expired")]
    done = flow.expire("flow", ["made/1"])
    assert done == {"steps": plan["steps"], "keys": plan["keys"]} == {"steps": ["s-1", "r"], "keys": ["made/1", "read"]}
    assert states(flow)["r"] == "waiting"
    with pytest.raises(UnknownName):
        flow.expire("flow", ["nobody"], plan=True)


def test_merge_can_leave_alone_what_did_not_change(flow: Gaia, hand: Hand) -> None:
    """With only_changed a Step runs again only if its definition is another one."""
    run(hand, "s-1", "s-2", "s-3")
    wait_until(lambda: states(flow)["s-3"] == "complete", "they are complete")
    changed = {**OUTSIDE, "outputs": {"out": "elsewhere"}}
    answer = flow.merge("flow", [SWEEP, changed], only_changed=True)
    assert (answer["updated"], answer["unchanged"], answer["recomputed"]) == (["o"], ["s-1", "s-2", "s-3"], ["o"])
    assert flow.merge("flow", [SWEEP])["recomputed"] == ["s-1", "s-2", "s-3", "r"]


def test_merge_can_prune_a_sweep(flow: Gaia) -> None:
    """With prune, elements that a sweep no longer makes are removed; without, they stay."""
    smaller = {**SWEEP, "vars": {"n": [1, 2]}}
    assert flow.merge("flow", [smaller])["removed"] == []
    assert flow.merge("flow", [smaller], prune=True)["removed"] == ["s-3"]
    assert "s-3" not in states(flow)


CHANGES: dict[str, Callable[[Gaia, int], Any]] = {
    "command": lambda flow, revision: flow.command("flow", [{**MAKE, "image": "b"}], expected_revision=revision),
    "merge": lambda flow, revision: flow.merge("flow", [OUTSIDE], expected_revision=revision),
    "remove": lambda flow, revision: flow.remove("flow", ["o"], expected_revision=revision),
    "expire": lambda flow, revision: flow.expire("flow", ["o"], expected_revision=revision),
    "plan": lambda flow, revision: flow.expire("flow", ["o"], plan=True, expected_revision=revision),
    "delete": lambda flow, revision: flow.delete("flow", expected_revision=revision),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_can_say_which_revision_it_means(flow: Gaia, change: str) -> None:
    """With the revision that the workflow has it is done, with another one it is refused and changes nothing."""
    revision = flow.status("flow")["revision"]
    for other in (0, revision + 1):
        with pytest.raises(NotAllowedNow, match=f"has revision {revision}, not {other}"):
            CHANGES[change](flow, other)
    assert flow.status("flow")["revision"] == revision
    CHANGES[change](flow, revision)


@pytest.mark.parametrize(
    ("call", "place"),
    [
        (lambda flow: flow.merge("flow", [], expected_revision=-1), "expected_revision"),
        (lambda flow: flow.delete("flow", expected_revision="1"), "expected_revision"),
        (lambda flow: flow.explain("flow", None), "step"),
        (lambda flow: list(flow.steps("flow", prefix=1)), "prefix"),
        (lambda flow: list(flow.steps("flow", states="failed")), "states"),
        (lambda flow: list(flow.steps("flow", command=None)), "command"),
        (lambda flow: flow.announce("flow", "a"), "keys"),
        (lambda flow: flow.remove("flow", "s"), "names"),
        (lambda flow: flow.delete(None), "workflow"),
    ],
)
def test_wrong_arguments_are_told_with_their_place(flow: Gaia, call: Callable[[Any], Any], place: str) -> None:
    """A wrong type is a problem of the caller, in words, and nothing is sent."""
    with pytest.raises(InvalidWorkflow) as refusal:
        call(flow)
    assert [problem.place for problem in refusal.value.problems] == [place]


def test_announced_keys_are_there(served: Served, flow: Gaia) -> None:
    """A file, and a tree as a whole, that somebody else stored; their readers start at once."""
    tree = {"name": "list", "image": "any", "command": ["ls"], "inputs": {"in": "/in/"}}
    flow.command("flow", [tree])
    flow.merge("flow", [{"name": "t", "command": "list", "inputs": {"in": "tree/"}}])
    for path in ("flow/given", "flow/tree/a", "flow/tree/b"):
        served.store.put_bytes(None, path, b"x")
    assert flow.announce("flow", ["given", "tree/"]) == ["given", "tree/"]
    wait_until(lambda: (states(flow)["o"], states(flow)["t"]) == ("running", "running"), "both run")
    assert [file["key"] for file in flow.ls("flow", "tree/")] == ["tree/a", "tree/b"]


def test_what_cannot_be_announced_is_told_and_announces_nothing(store: NotingStore, flow: Gaia) -> None:
    """Keys under which nothing lies, that a Step writes, or that are none: each with its place."""
    wait_until(lambda: ("stat", "flow/given") in store.asked, "the upload to have looked for it")
    store.put_bytes(None, "flow/given", b"x")
    refusals: list[tuple[list[str], type[GaiaError], list[str]]] = [
        (["given", "nothing", "no/"], UnknownName, ["keys[1]", "keys[2]"]),
        (["given", "../x"], InvalidWorkflow, ["keys[1]"]),
        (["given", "made/1"], NotAllowedNow, []),
        (["given", "made/"], NotAllowedNow, []),
    ]
    for keys, error, places in refusals:
        with pytest.raises(error) as refusal:
            flow.announce("flow", keys)
        assert [problem.place for problem in refusal.value.problems] == places
    with pytest.raises(UnknownName):
        flow.announce("nowhere", ["given"])
    assert states(flow)["o"] == "waiting"
    assert flow.announce("flow", []) == []


def test_a_limit_of_refusals_that_is_no_number_is_passed_over(served: Served) -> None:
    """The refusal reaches a foreign client all the same."""
    with grpc.insecure_channel(served.config.listen) as channel:
        status = channel.unary_unary(
            "/gaia.v1.Gaia/Status",
            request_serializer=api_pb2.StatusRequest.SerializeToString,
            response_deserializer=api_pb2.StatusResponse.FromString,
        )
        with pytest.raises(grpc.RpcError) as refusal:
            status(api_pb2.StatusRequest(workflow="none"), metadata=(("gaia-refusal-bytes-max", "many"),))
    assert refusal.value.code() is grpc.StatusCode.NOT_FOUND  # type: ignore[attr-defined]


def make_tree(flow: Gaia, hand: Hand, *files: FileVersion) -> None:
    """Let a Step complete that wrote a tree of these files."""
    flow.command("flow", [{**MAKE, "name": "plant", "outputs": {"out": "/out/"}}])
    flow.merge("flow", [{"name": "plant", "command": "plant", "outputs": {"out": "wood/"}}])
    wait_until(lambda: hand.read() or "plant" in hand.fences(), "the order")
    hand.say(Completed(hand.fences()["plant"], (Publication("wood/", files),), 1))
    wait_until(lambda: states(flow)["plant"] == "complete", "it is complete")


def test_an_empty_tree_is_an_empty_folder(flow: Gaia, hand: Hand, tmp_path: Path) -> None:
    """A tree that a Step wrote is there though no file is in it; what is not there stays unknown."""
    make_tree(flow, hand)
    assert flow.ls("flow", "wood/") == []
    flow.get("flow", "wood/", tmp_path / "wood")
    assert list((tmp_path / "wood").iterdir()) == []
    for unknown in ("wood/deep/", "wo/", "made/"):
        with pytest.raises(UnknownName):
            flow.get("flow", unknown, tmp_path / "none")
    assert not (tmp_path / "none").exists()
    flow.expire("flow", ["plant"])
    with pytest.raises(UnknownName):
        flow.get("flow", "wood/", tmp_path / "none")


def test_what_lies_within_a_tree_is_listed(flow: Gaia, hand: Hand) -> None:
    """Also where the prefix names a folder, or begins the name of a file, in a tree that one Step wrote."""
    make_tree(flow, hand, *(FileVersion(f"wood/{name}", "1", 1, b"") for name in ("deep/a", "deep/b", "edge")))
    for prefix, names in (("wood/deep/", ["deep/a", "deep/b"]), ("wood/e", ["edge"]), ("wood/x", []), ("woods", [])):
        assert [file["key"] for file in flow.ls("flow", prefix)] == [f"wood/{name}" for name in names]


def test_the_words_of_a_worker_in_trouble_are_shown(served: Served, flow: Gaia, hand: Hand) -> None:
    """By `workers` and by /healthz, until it is well; it is given nothing meanwhile."""
    assert httpx.get(f"http://{served.config.http_listen}/healthz").json()["workers_in_trouble"] == {}
    hand.hello(trouble="the disk is full")
    wait_until(lambda: flow.workers()[0]["trouble"] == "the disk is full", "it is shown")
    told = httpx.get(f"http://{served.config.http_listen}/healthz").json()
    assert told["workers_in_trouble"] == {"w": "the disk is full"}
    assert flow.workers()[0]["credit"] == 0
    hand.hello()
    wait_until(lambda: flow.workers()[0]["credit"] == 7, "it is well")


def test_what_no_worker_can_ever_run_is_a_remark_of_the_status(flow: Gaia) -> None:
    """Told with the Step and the pool; a status without such Steps has none."""
    assert "remarks" not in flow.status("flow")
    flow.merge("flow", [{**SWEEP, "name": "g", "pool": "gpu", "outputs": {"out": "g/{{n}}"}}])
    assert flow.status("flow")["remarks"] == ["g-1 is ready, and there is no worker of pool 'gpu'"]
