"""Errors as ends of gRPC calls: a status code, and beside it all that is wrong, in our words and in the standard ones.

`gaia-refusal-bin` holds a Refusal, for clients that know us. `grpc-status-details-bin` holds a google.rpc.Status, for
those that know gRPC: with BadRequest, a violation per problem, and with RetryInfo where asking again helps.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from gaia.v1 import api_pb2 as pb
from gaia_core.errors import Bug, GaiaError, InvalidWorkflow, NotLeading, Problem, Unavailable

log = logging.getLogger(__name__)

REFUSAL_KEY: Final = "gaia-refusal-bin"
"""Trailing metadata that holds the Refusal of a call that was refused."""

STATUS_KEY: Final = "grpc-status-details-bin"
"""Trailing metadata that holds its google.rpc.Status, where that says more than code and message.

Source: gRPC's "richer error model", which grpc-go, grpc-java and others read by themselves.
"""

LEADER_KEY: Final = "gaia-leader"
"""Trailing metadata by which a standby names the leader's address."""

REFUSAL_LIMIT_KEY: Final = "gaia-refusal-bytes-max"
"""Metadata by which a client says that it takes larger refusals."""

TEXT_MAX: Final = 1_000
"""Characters of one text of a refusal, or less, where it does not fit otherwise."""

REFUSAL_BYTES_MAX: Final = 4_500
"""gRPC clients take 8 KiB of metadata unless they were told otherwise; on the wire this is a third more."""

STATUS_BYTES_MAX: Final = 1_500
"""Of these, for the Status at most: the first problems of many."""

DETAILS_MAX: Final = 150
"""Characters of the status message: each may take twelve bytes there, and the whole is in the Refusal."""

PROBLEM_BYTES_MIN: Final = 8
"""No problem takes less, so no more are ever tried than could fit."""

Sent = TypeVar("Sent", bound=Message)


async def abort(context: Any, method: str, error: Exception) -> None:
    """End a call with the status of an error."""
    if isinstance(error, grpc.aio.AbortError):
        raise error
    if not isinstance(error, GaiaError):
        log.error("a call broke", extra={"method": method}, exc_info=error)
        error = Bug("The server broke while it answered; its log says more.")
    log.info("refused", extra={"method": method, "error": type(error).__name__, "cause": error.message})
    asked = dict(context.invocation_metadata() or ()).get(REFUSAL_LIMIT_KEY, "")
    limit = int(asked) if asked.isdecimal() else REFUSAL_BYTES_MAX
    context.set_trailing_metadata(_trailers(error, limit))
    await context.abort(grpc.StatusCode[error.grpc_code], _details(error))


def _trailers(error: GaiaError, limit: int) -> tuple[tuple[str, str | bytes], ...]:
    """Return what is sent along with an error, in so many bytes at most."""
    trailers: list[tuple[str, str | bytes]] = []
    if isinstance(error, InvalidWorkflow | Unavailable):
        status = _fitting(lambda problems, text: _status(error, problems, text), error.problems, STATUS_BYTES_MAX)
        trailers.append((STATUS_KEY, status.SerializeToString()))
        limit -= status.ByteSize()
    refusal = _fitting(lambda problems, text: _refusal(error, problems, text), error.problems, limit)
    trailers.append((REFUSAL_KEY, refusal.SerializeToString()))
    if isinstance(error, NotLeading) and error.leader:
        trailers.append((LEADER_KEY, error.leader))
    return tuple(trailers)


def _refusal(error: GaiaError, problems: Sequence[Problem], text_max: int) -> pb.Refusal:
    return pb.Refusal(
        error=type(error).__name__,
        message=_cut(error.message, text_max),
        hint=_cut(error.hint, text_max),
        problems=[pb.Problem(place=_cut(one.place, text_max), message=_cut(one.message, text_max)) for one in problems],
    )


def _status(error: GaiaError, problems: Sequence[Problem], text_max: int) -> status_pb2.Status:
    """Return an error in the standard words."""
    details: list[Message] = []
    if isinstance(error, InvalidWorkflow):
        violations = [
            error_details_pb2.BadRequest.FieldViolation(
                field=_cut(one.place, text_max), description=_cut(one.message, text_max)
            )
            for one in problems
        ]
        details.append(error_details_pb2.BadRequest(field_violations=violations))
    if isinstance(error, Unavailable):
        details.append(error_details_pb2.RetryInfo(retry_delay=Duration(seconds=error.retry_s)))
    code = grpc.StatusCode[error.grpc_code].value[0]
    return status_pb2.Status(code=code, message=_details(error), details=[_packed(one) for one in details])


def _packed(message: Message) -> Packed:
    packed = Packed()
    packed.Pack(message)
    return packed


def _details(error: GaiaError) -> str:
    return error.message[:DETAILS_MAX]


def _cut(text: str, length: int) -> str:
    """Return a text that fits into metadata; names of a megabyte are told by how they begin."""
    return text if len(text) <= length else f"{text[:length]}…"


def _fitting(make: Callable[[Sequence[Problem], int], Sent], problems: Sequence[Problem], limit: int) -> Sent:
    """Return a message that fits: the last problems are dropped, and if one is too long still, texts are cut."""
    kept, text_max = min(len(problems), max(1, limit // PROBLEM_BYTES_MIN)), TEXT_MAX
    while True:
        message = make(problems[:kept], text_max)
        if message.ByteSize() <= limit or text_max <= 1:
            return message
        if kept > 1:
            kept = kept * 3 // 4
        else:
            text_max //= 2
