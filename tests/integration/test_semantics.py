"""What the methods mean, asked over gRPC and over HTTP, on both backings: the same cases, the same answers.

Steps run on the executor that does nothing, so what is seen is which of them ran, and how often: their attempts.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from gaia_client.client import Gaia
from tests.integration.apis import Api, GrpcApi, HttpApi, Refused
from tests.integration.cluster import Cluster
from tests.integration.gaia_processes import Up
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

MAKE = {"name": "make", "image": "i", "command": ["x"], "outputs": {"out": "/out"}}
COPY = {"name": "copy", "image": "i", "command": ["x"], "inputs": {"in": "/in"}, "outputs": {"out": "/out"}}
GATHER = {"name": "gather", "image": "i", "command": ["x"], "inputs": {"in": "/in/"}, "outputs": {"out": "/out"}}
PAIR = {
    "name": "pair",
    "inputs": ["source"],
    "outputs": ["result"],
    "steps": [
        {"name": "first", "command": "copy", "inputs": {"in": "source"}, "outputs": {"out": "between"}},
        {"name": "second", "command": "copy", "inputs": {"in": "between"}, "outputs": {"out": "result"}},
    ],
}
COMMANDS = (MAKE, COPY, GATHER, PAIR)


def make(name: str, out: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "command": "make", "outputs": {"out": out}, **more}


def copy(name: str, source: str, out: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "command": "copy", "inputs": {"in": source}, "outputs": {"out": out}, **more}


DIAMOND = (make("a", "a.txt"), copy("b", "a.txt", "r/b.txt"), copy("c", "a.txt", "r/c.txt"),
           {"name": "d", "command": "gather", "inputs": {"in": "r/"}, "outputs": {"out": "d.txt"}},
           make("other", "o.txt"))  # fmt: skip


@contextmanager
def embedded(_: pytest.FixtureRequest, folder: Path) -> Iterator[tuple[str, str]]:
    """SQLite and a folder."""
    with Up(folder, "--executor", "noop") as up:
        yield up.address, up.http


@contextmanager
def on_kafka(request: pytest.FixtureRequest, folder: Path) -> Iterator[tuple[str, str]]:
    """Kafka and MinIO."""
    services = request.getfixturevalue("kafka"), request.getfixturevalue("minio")
    name = f"t{uuid.uuid4().hex[:12]}"
    with ExitStack() as stack:
        cluster = Cluster(*services, folder, name, f"{name}-data", stack)
        cluster.server()
        cluster.worker("w", "noop")
        yield cluster.address, cluster.http


@pytest.fixture(scope="module", params=[embedded, on_kafka], ids=["embedded", "kafka"])
def addresses(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """gRPC and HTTP address of a deployment that all cases share."""
    with request.param(request, tmp_path_factory.mktemp("semantics")) as found:
        yield found


@pytest.fixture(params=["grpc", "http"])
def api(request: pytest.FixtureRequest, addresses: tuple[str, str]) -> Iterator[Api]:
    """One of the interfaces."""
    if request.param == "http":
        yield HttpApi(addresses[1])
        return
    with Gaia({"gaia_host": addresses[0]}) as flow:
        yield GrpcApi(flow)


@pytest.fixture
def flow() -> str:
    """A name that no other case has."""
    return f"w{uuid.uuid4().hex[:10]}"


def attempts(api: Api, flow: str) -> dict[str, int]:
    """How often each Step has run."""
    return {step["name"]: step["attempt"] for step in api.status(flow)["debug"]["steps"]}


def await_state(api: Api, flow: str, state: str) -> None:
    """Wait until a workflow is in a state."""
    wait_until(lambda: api.status(flow)["state"] == state, f"{flow} is {state}", deadline_s=60)


def start(api: Api, flow: str, *steps: dict[str, Any], **properties: Any) -> None:
    """Upload Steps and wait until they are complete."""
    api.upload(flow, properties, COMMANDS, steps)
    await_state(api, flow, "complete")


def test_an_upload_starts_and_its_name_is_taken(api: Api, flow: str) -> None:
    """It runs at once; the owner is the beginning of the name; a second upload is refused and changes nothing."""
    assert api.upload(flow, {}, COMMANDS, DIAMOND) == {"a", "b", "c", "d", "other"}
    await_state(api, flow, "complete")
    assert api.workflows()[flow] == "complete"
    with pytest.raises(Refused, match="already"):
        api.upload(flow, {}, COMMANDS, ())
    assert attempts(api, flow) == dict.fromkeys("abcd", 1) | {"other": 1}


def test_a_merged_step_and_its_dependents_run_again(api: Api, flow: str) -> None:
    """Nothing else does."""
    start(api, flow, *DIAMOND)
    assert api.merge(flow, [copy("b", "a.txt", "r/b.txt")]) == {"b"}
    await_state(api, flow, "complete")
    assert attempts(api, flow) == {"a": 1, "b": 2, "c": 1, "d": 2, "other": 1}


def test_a_new_writer_of_a_tree_makes_its_readers_run_again(api: Api, flow: str) -> None:
    """A tree waits for all that write under it, also those that come late."""
    start(api, flow, *DIAMOND)
    api.merge(flow, [make("late", "r/late.txt")])
    await_state(api, flow, "complete")
    assert attempts(api, flow) == {"a": 1, "b": 1, "c": 1, "d": 2, "other": 1, "late": 1}


def test_a_changed_command_reruns_who_uses_it(api: Api, flow: str) -> None:
    """And all that depends on those; the same Command again changes nothing."""
    start(api, flow, *DIAMOND)
    assert api.command(flow, [GATHER]) == {"make", "copy", "gather", "pair"}
    api.command(flow, [{**COPY, "image": "other"}])
    await_state(api, flow, "complete")
    assert attempts(api, flow) == {"a": 1, "b": 2, "c": 2, "d": 2, "other": 1}


@pytest.mark.parametrize("name", ["c", "r/c.txt", "key:r/c.txt", "step:c"])
def test_expire_reruns_steps_and_writers_of_keys(api: Api, flow: str, name: str) -> None:
    """A Step and the Key it writes mean the same."""
    start(api, flow, *DIAMOND)
    api.expire(flow, [name])
    await_state(api, flow, "complete")
    assert attempts(api, flow) == {"a": 1, "b": 1, "c": 2, "d": 2, "other": 1}


def test_an_unknown_name_expires_nothing(api: Api, flow: str) -> None:
    """It is named, and the known ones do not run again either."""
    start(api, flow, *DIAMOND)
    with pytest.raises(Refused, match="'nobody'"):
        api.expire(flow, ["a", "nobody"])
    assert attempts(api, flow)["a"] == 1


def test_a_halted_workflow_starts_nothing_until_run(api: Api, flow: str) -> None:
    """Halted stays halted whatever is merged."""
    start(api, flow, *DIAMOND)
    api.halt(flow)
    api.merge(flow, [make("more", "m.txt")])
    status = api.status(flow)
    assert (status["state"], status["steps"]["ready"]) == ("halted", 1)
    api.run(flow)
    await_state(api, flow, "complete")
    assert attempts(api, flow)["more"] == 1


def test_sweeps_and_composites_stand_for_all_their_steps(api: Api, flow: str) -> None:
    """Their names are taken wherever a Step's is."""
    sweep = make("s", "raw/{{N}}.txt", vars={"N": [1, 2]})
    pair = {"name": "p", "command": "pair", "inputs": {"source": "raw/1.txt"}, "outputs": {"result": "p.txt"}}
    api.upload(flow, {}, COMMANDS, [sweep, pair])
    await_state(api, flow, "complete")
    api.expire(flow, ["p"])
    await_state(api, flow, "complete")
    assert attempts(api, flow) == {"s-1": 1, "s-2": 1, "p:first": 2, "p:second": 2}
    api.expire(flow, ["s"])
    await_state(api, flow, "complete")
    assert attempts(api, flow) == {"s-1": 2, "s-2": 2, "p:first": 3, "p:second": 3}


def test_what_is_waited_for_is_told(api: Api, flow: str) -> None:
    """Keys that no Step will write come first, and alone among the missing ones; such a workflow is stalled."""
    api.upload(flow, {}, COMMANDS, [copy("b", "raw.txt", "b.txt"), copy("c", "b.txt", "c.txt")])
    status = api.status(flow)
    assert (status["state"], status["stalled"]) == ("running", True)
    assert status["waiting-inputs"] == ["raw.txt", "b.txt"]
    assert (status["waiting-inputs-count"], status["missing-inputs"]) == (2, ["raw.txt"])


def test_refusals_name_every_problem_with_its_place(api: Api, flow: str) -> None:
    """All at once, and nothing is made."""
    steps = [
        {"name": "x", "command": "mke", "outputs": {"out": "x"}},
        {"name": "y", "command": "copy", "inputs": {"inn": "a"}, "outputs": {"out": "/y"}},
        make("z", "../z"),
        {**make("v", "v"), "vras": {}},
    ]
    with pytest.raises(Refused) as refusal:
        api.upload(flow, {"max_parallel": 0}, COMMANDS, steps)
    words = str(refusal.value)
    for place in ("properties.max_parallel", "steps[0].command", "steps[1].outputs.out", "steps[2].outputs.out",
                  "steps[3].vras"):  # fmt: skip
        assert place in words, place
    assert flow not in api.workflows()


def test_a_circle_and_rival_writers_are_refused(api: Api, flow: str) -> None:
    """Also through trees."""
    start(api, flow, *DIAMOND)
    with pytest.raises(Refused, match="circle"):
        api.merge(flow, [copy("a", "r/b.txt", "a.txt")])
    with pytest.raises(Refused, match="is written by"):
        api.merge(flow, [make("rival", "r/b.txt")])
    assert attempts(api, flow)["a"] == 1


def test_an_unknown_workflow_is_told(api: Api, flow: str) -> None:
    """Whatever is asked of it, but for what creates it."""
    for ask in (
        api.status,
        api.run,
        api.halt,
        lambda name: api.expire(name, ["a"]),
        lambda name: api.command(name, ()),
    ):
        with pytest.raises(Refused, match="There is no workflow"):
            ask(flow)
    api.command(flow, COMMANDS)
    assert api.status(flow)["state"] == "initialized"
    assert api.merge(flow, [make("a", "a.txt")]) == {"a"}
    await_state(api, flow, "complete")
