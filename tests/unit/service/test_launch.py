"""Workers that are launched: their names are free, and what they are launched with is kept with them."""

import json
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import grpc
import pytest

from gaia.client import Gaia
from gaia.v1 import api_pb2, api_pb2_grpc, worker_pb2
from gaia_client import refusals
from gaia_core.config import load
from gaia_core.errors import ConfigError, GaiaError, InvalidWorkflow, NotAllowedNow, Unavailable
from gaia_core.machine.reports import Hello
from gaia_core.service.launching import NoLauncher
from gaia_core.wire.reports import report_from_proto
from gaia_worker.settings import metadata_of
from tests.support.waiting import wait_until
from tests.unit.coordinator.shard import Hand
from tests.unit.service.served import Served

METADATA = {"zone": "eu-1", "cost": 0.5, "tags": ["spot", None], "nested": {"is": True}}


@pytest.fixture
def served() -> Iterator[Served]:
    with Served(poll_s=0.0) as made:
        yield made


@pytest.fixture
def flow(served: Served) -> Iterator[Gaia]:
    with served.client() as client:
        yield client


def test_what_a_worker_was_launched_with_is_shown_with_it(served: Served, flow: Gaia) -> None:
    """Metadata go to the launcher, come back in the worker's hello, and outlive a restart of the server."""
    assert flow.launch(["a", "b"], METADATA) == ["a", "b"]
    assert served.launcher.launched == [("a", METADATA), ("b", METADATA)]
    for name in ("a", "b"):
        hand = Hand(served, name)  # type: ignore[arg-type]
        hand.say(Hello("default", 1, 0, 0, hand.bus.start_offset, "noop", "host", metadata=METADATA))
    wait_until(lambda: len(flow.workers()) == 2, "both said hello")
    served.again()
    assert {worker["name"]: worker["metadata"] for worker in flow.workers()} == {"a": METADATA, "b": METADATA}


@pytest.mark.parametrize("wrong", [[1], "text", {"x": math.nan}, {"x": object()}, {1: "x"}, {"x": "y" * 4_096}])
def test_wrong_metadata_are_refused_before_they_are_sent(served: Served, flow: Gaia, wrong: Any) -> None:
    """What is no map of strings to JSON values, or too large, is told in words."""
    with pytest.raises(InvalidWorkflow) as refusal:
        flow.launch(["a"], wrong)
    assert all(problem.place.startswith("metadata") for problem in refusal.value.problems)
    assert served.launcher.launched == []


def test_the_server_refuses_wrong_metadata_too(served: Served) -> None:
    """With everything else that is wrong, in one answer."""
    request = api_pb2.LaunchRequest(names=["a", "a", "?"])
    request.metadata.update({"x": "y" * 5_000})
    with grpc.insecure_channel(served.config.listen) as channel, pytest.raises(grpc.RpcError) as refused:
        api_pb2_grpc.GaiaStub(channel).Launch(request)  # type: ignore[no-untyped-call]
    refusal = refusals.refusal(refused.value)
    assert isinstance(refusal, InvalidWorkflow)
    assert [problem.place for problem in refusal.problems] == ["names[1]", "names[2]", "metadata"]
    assert refusal.problems[2].message == "has more than 4,096 bytes as JSON"
    assert served.launcher.launched == []


def test_a_worker_does_not_start_with_wrong_metadata() -> None:
    """What is no JSON object, or what could not be shown, is an error of the configuration."""
    for text in ("{", "[1]", "text"):
        with pytest.raises(ConfigError) as refusal:
            load({}, {"GAIA_WORKER_METADATA": text}, {})
        assert [problem.place for problem in refusal.value.problems] == ["GAIA_WORKER_METADATA"]
    with pytest.raises(ConfigError):
        metadata_of(json.dumps({"x": "y" * 5_000}))
    assert metadata_of("") == {}


def test_metadata_that_cannot_be_shown_are_left_out() -> None:
    """A worker in another language may say what is no JSON, or far too much: it is taken in all the same."""
    for wrong in ({"x": math.nan}, {"x": "y" * 5_000}):
        hello = worker_pb2.Hello(slots=1)
        hello.metadata.update(wrong)
        said = report_from_proto(worker_pb2.Report(hello=hello))
        assert isinstance(said, Hello)
        assert (said.slots, said.metadata) == (1, {})


def call(served: Served, *names: str, request_id: str = "") -> api_pb2.LaunchResponse | GaiaError:
    """Ask once, as any client may, and return the answer or the refusal."""
    with grpc.insecure_channel(served.config.listen) as channel:
        try:
            stub = api_pb2_grpc.GaiaStub(channel)  # type: ignore[no-untyped-call]
            return cast(
                "api_pb2.LaunchResponse", stub.Launch(api_pb2.LaunchRequest(request_id=request_id, names=names))
            )
        except grpc.RpcError as refused:
            return refusals.refusal(refused)


def test_a_retried_launch_starts_nothing_twice(served: Served) -> None:
    """The same request id is answered as the first time, also when the workers are there and after a restart."""
    for _ in range(2):
        assert call(served, "a", "b", request_id="one") == api_pb2.LaunchResponse(names=["a", "b"])
    hand = Hand(served, "a")  # type: ignore[arg-type]
    hand.say(Hello("default", 1, 0, 0, hand.bus.start_offset, "noop", "host"))
    with served.client() as flow:
        wait_until(flow.workers, "it said hello")
    served.again()
    assert call(served, "a", "b", request_id="one") == api_pb2.LaunchResponse(names=["a", "b"])
    assert [name for name, _ in served.launcher.launched] == ["a", "b"]


def test_another_launch_under_the_same_id_is_refused(served: Served) -> None:
    """An id stands for one request."""
    call(served, "a", request_id="one")
    assert isinstance(call(served, "b", request_id="one"), NotAllowedNow)
    assert [name for name, _ in served.launcher.launched] == ["a"]


def test_what_fails_to_start_is_told_and_remembered(served: Served) -> None:
    """The caller hears which worker did not start, and why; a retry hears it too, and starts nothing."""
    served.launcher.failures["b"] = Unavailable("no room for a process")
    for _ in range(2):
        refusal = call(served, "a", "b", request_id="one")
        assert isinstance(refusal, NotAllowedNow)
        assert refusal.message == "The worker 'b' did not start: no room for a process; started: 'a'"
    assert [name for name, _ in served.launcher.launched] == ["a"]


def test_a_worker_that_ends_before_its_first_word_is_told(served: Served) -> None:
    """A start is waited for: its hello ends the wait, and so does its end, which is told in words, of each."""
    served.launcher.takes_s = 60.0
    served.launcher.ends |= {"a": "exit code 5: no engine answers", "b": "exit code 2: no such setting"}
    refusal = call(served, "a", "b")
    assert isinstance(refusal, NotAllowedNow)
    assert refusal.message == (
        "The worker 'a' did not start: exit code 5: no engine answers; "
        "the worker 'b' did not start: exit code 2: no such setting"
    )


def test_a_launch_waits_for_the_first_word(served: Served) -> None:
    """While a worker is being started its name is taken; the answer comes with its hello."""
    served.launcher.takes_s = 60.0
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(call, served, "a", request_id="one")
        wait_until(lambda: served.launcher.launched, "it is being started")
        again = threads.submit(call, served, "a", request_id="one")
        taken = call(served, "a", request_id="two")
        assert isinstance(taken, InvalidWorkflow)
        assert [problem.message for problem in taken.problems] == ["a worker is named 'a' already"]
        assert not first.done()
        hand = Hand(served, "a")  # type: ignore[arg-type]
        hand.say(Hello("default", 1, 0, 0, hand.bus.start_offset, "noop", "host"))
        assert first.result(30) == again.result(30) == api_pb2.LaunchResponse(names=["a"])
    assert [name for name, _ in served.launcher.launched] == ["a"]


def test_a_server_without_room_or_launcher_says_so(served: Served) -> None:
    """An objection of the launcher is the refusal; what is wrong with the request comes first."""
    served.launcher.refusal = NoLauncher().objection(1)
    refusal = call(served, "a")
    assert isinstance(refusal, NotAllowedNow)
    assert refusal.message == "This server starts no workers (GAIA_LAUNCHER=none)."
    assert refusal.hint == "start them with: gaia worker"
    assert isinstance(call(served, "?"), InvalidWorkflow)
    assert isinstance(call(served, *(f"w{number}" for number in range(1_001))), InvalidWorkflow)
    assert isinstance(call(served), InvalidWorkflow)
    assert served.launcher.launched == []
