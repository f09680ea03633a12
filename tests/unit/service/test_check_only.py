"""check_only over the wire: what the call would refuse, with all problems, and nothing is changed."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from gaia.v1 import api_pb2 as pb
from gaia.v1 import model_pb2
from gaia.v1.api_pb2_grpc import GaiaStub
from gaia_core.wire.model import command_to_proto, step_to_proto
from tests.unit.machine.deployment import COMMANDS, copy, make
from tests.unit.service.served import Served


@pytest.fixture(scope="module")
def gaia_stub() -> Iterator[Any]:
    """A client in another language than ours, which checks nothing itself."""
    served = Served().start()
    with grpc.insecure_channel(served.config.listen) as channel:
        stub = GaiaStub(channel)
        stub.Upload(pb.UploadRequest(workflow="flow", commands=map(command_to_proto, COMMANDS)))
        yield stub
    served.stop()


def refused(call: Any, request: Any) -> tuple[str, list[str]]:
    """The class of a refusal and the places of its problems."""
    with pytest.raises(grpc.RpcError) as caught:
        call(request)
    trailers = {pair.key: pair.value for pair in caught.value.trailing_metadata()}
    refusal = pb.Refusal.FromString(trailers["gaia-refusal-bin"])
    return refusal.error, [problem.place for problem in refusal.problems]


def test_a_check_of_a_sound_change_changes_nothing(gaia_stub: Any) -> None:
    """It is answered with nothing."""
    commands, steps = [command_to_proto(command) for command in COMMANDS], [step_to_proto(make("a", "a"))]
    checks = [
        gaia_stub.Upload(pb.UploadRequest(workflow="new", commands=commands, steps=steps, check_only=True)),
        gaia_stub.Command(pb.CommandRequest(workflow="new", commands=commands, check_only=True)),
        gaia_stub.Merge(pb.MergeRequest(workflow="flow", steps=steps, check_only=True)),
    ]
    assert [check.ByteSize() for check in checks] == [0, 0, 0]
    assert [each.name for each in gaia_stub.Workflows(pb.WorkflowsRequest()).workflows] == ["flow"]
    assert not gaia_stub.Steps(pb.StepsRequest(workflow="flow")).steps


def test_a_check_tells_what_stands_in_the_way(gaia_stub: Any) -> None:
    """A name that is taken, another revision, a name that is none."""
    steps = [step_to_proto(copy("a", "k", "/a"))]
    upload = pb.UploadRequest(workflow="flow", properties={"max_parallel": 0}, steps=steps, check_only=True)
    assert refused(gaia_stub.Upload, upload) == (
        "AlreadyExists",
        ["properties.max_parallel", "steps[0].outputs.out", "steps[0].command"],
    )
    merge = pb.MergeRequest(workflow="flow", steps=steps, expected_revision=7, check_only=True)
    assert refused(gaia_stub.Merge, merge) == ("NotAllowedNow", ["steps[0].outputs.out"])
    command = pb.CommandRequest(workflow="no name", commands=[command_to_proto(COMMANDS[0])], check_only=True)
    assert refused(gaia_stub.Command, command) == ("InvalidWorkflow", ["workflow"])


def test_what_cannot_be_understood_hides_nothing_else(gaia_stub: Any) -> None:
    """Also where no check is asked for: an empty Key, a null, an unknown Command, an overlap."""
    steps = [
        model_pb2.Step(name="a", command="copy", inputs={"in": ""}, outputs={"out": "k"}),
        step_to_proto(make("b", "k", command="nothing")),
    ]
    merge = pb.MergeRequest(workflow="flow", steps=steps)
    places = ["steps[0].inputs.in", "steps[1].command", "steps[1].outputs.out"]
    assert refused(gaia_stub.Merge, merge) == ("InvalidWorkflow", places)
