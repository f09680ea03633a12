"""What is wrong travels in our words and in gRPC's standard ones, and never takes more room than clients give it."""

import asyncio
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from gaia.v1 import api_pb2, api_pb2_grpc
from gaia_core.coordinator import intake
from gaia_core.errors import (
    GaiaError,
    InvalidWorkflow,
    NotLeading,
    Overloaded,
    Problem,
    TooLarge,
    Unavailable,
    UnknownName,
)
from gaia_core.service.refusals import LEADER_KEY, REFUSAL_KEY, STATUS_KEY, abort
from tests.property.test_fuzz import METADATA_BYTES_MAX, Call
from tests.unit.service.served import Served


def refused(error: GaiaError) -> tuple[Call, api_pb2.Refusal, list[Message]]:
    """Return how a call ends with an error, its Refusal, and the standard details."""
    call = Call()
    asyncio.run(abort(call, "method", error))
    return call, api_pb2.Refusal.FromString(call.trailers[REFUSAL_KEY]), details(call.trailers.get(STATUS_KEY), call)


def details(data: bytes | None, ended: Any) -> list[Message]:
    """Return the standard details of a call, the status of which must be that of the call."""
    if data is None:
        return []
    status = status_pb2.Status.FromString(data)
    assert grpc.StatusCode[ended.code].value[0] == status.code
    assert ended.details == status.message
    kinds = {kind.DESCRIPTOR.full_name: kind for kind in (error_details_pb2.BadRequest, error_details_pb2.RetryInfo)}
    return [kinds[packed.TypeName()].FromString(packed.value) for packed in status.details]


def test_problems_are_field_violations() -> None:
    """Each problem of an invalid request is a violation: its place the field, its words the description."""
    problems = [Problem("steps[0].command", "there is no Command 'x'"), Problem("names[1]", "is none")]
    _, refusal, (found,) = refused(InvalidWorkflow.of(problems))
    assert [(one.field, one.description) for one in found.field_violations] == problems  # type: ignore[attr-defined]
    assert [(one.place, one.message) for one in refusal.problems] == problems


@pytest.mark.parametrize("error", [Unavailable("gone"), Overloaded("too much"), NotLeading("no", leader="a:1")])
def test_what_is_worth_another_attempt_says_when(error: Unavailable) -> None:
    """UNAVAILABLE, and RESOURCE_EXHAUSTED for want of room, carry RetryInfo."""
    call, _, (found,) = refused(error)
    assert found.retry_delay.seconds == 1  # type: ignore[attr-defined]
    assert call.code == error.grpc_code
    assert call.trailers.get(LEADER_KEY, "") == getattr(error, "leader", "")


@pytest.mark.parametrize("error", [TooLarge("of 64 MiB"), UnknownName("no such", problems=[Problem("x", "y")])])
def test_other_refusals_have_no_standard_details(error: GaiaError) -> None:
    """Asking again would not help, and no field breaks a rule."""
    assert refused(error)[2] == []


@pytest.mark.parametrize("count", [1, 2, 1_000])
@pytest.mark.parametrize("text", ["x", "x" * 100, "x" * 10_000, "\U0001f600" * 2_000])
def test_a_refusal_fits_what_clients_take(count: int, text: str) -> None:
    """However many problems there are and however long: both tell the first, and together they fit 8 KiB."""
    error = InvalidWorkflow.of([Problem(f"{number}{text}", text) for number in range(count)])
    call, refusal, (found,) = refused(error)
    assert call.wire_bytes() < METADATA_BYTES_MAX
    assert refusal.problems[0].place.startswith("0")
    assert found.field_violations[0].field.startswith("0")  # type: ignore[attr-defined]


@pytest.fixture
def served() -> Iterator[Served]:
    with Served(poll_s=0.0) as made:
        yield made


def test_details_reach_a_client_that_knows_nothing_of_us(served: Served) -> None:
    """Over the wire, under the standard key."""
    with grpc.insecure_channel(served.config.listen) as channel, pytest.raises(grpc.RpcError) as refusal:
        api_pb2_grpc.GaiaStub(channel).Upload(api_pb2.UploadRequest(workflow="/"))  # type: ignore[no-untyped-call]
    trailers = {pair.key: pair.value for pair in refusal.value.trailing_metadata()}  # type: ignore[attr-defined]
    status = status_pb2.Status.FromString(trailers[STATUS_KEY])
    bad_request = error_details_pb2.BadRequest()
    assert status.details[0].Unpack(bad_request)
    assert [violation.field for violation in bad_request.field_violations] == ["workflow"]


def test_http_says_when_to_ask_again(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 429 and 503 comes Retry-After, with other refusals it does not."""
    url = f"http://{served.config.http_listen}/workflows"
    assert "Retry-After" not in httpx.post(url, json=[]).headers
    monkeypatch.setattr(intake, "REQUESTS_WAITING_MAX", 0)
    reply = httpx.post(url, json={})
    assert (reply.status_code, reply.headers["Retry-After"]) == (429, "1")
