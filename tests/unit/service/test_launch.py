"""Workers that are launched: their names are free, and what they are launched with is kept with them."""

import json
import math
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from gaia.client import Gaia
from gaia.v1 import api_pb2, api_pb2_grpc, worker_pb2
from gaia_client import refusals
from gaia_core import app
from gaia_core.app import ProcessLauncher
from gaia_core.config import load
from gaia_core.errors import ConfigError, InvalidWorkflow
from gaia_core.machine.reports import Hello
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
    assert served.launcher.launched == [(["a", "b"], METADATA)]
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


def test_a_process_gets_its_metadata_from_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the launch, never those of the server itself; the worker reads them as any setting."""
    started: list[dict[str, str]] = []

    class Process:
        def __init__(self, _: list[str], env: dict[str, str], **more: Any) -> None:
            started.append(env)

        def terminate(self) -> None: ...
        def wait(self) -> None: ...

    monkeypatch.setattr(app.subprocess, "Popen", Process)
    launcher = ProcessLauncher({"GAIA_WORKER_METADATA": '{"of": "the server"}'}, 300.0)
    launcher.launch(["a"], METADATA)
    launcher.launch(["b"], {})
    launcher.close()
    configs = [load({}, environ, {}) for environ in started]
    assert [config.worker_name for config in configs] == ["a", "b"]
    assert [metadata_of(config.worker_metadata) for config in configs] == [METADATA, {}]


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
