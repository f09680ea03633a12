"""A failed call as the same error the server raised: read from the Refusal it sends along, or from the gRPC code."""

import re
from collections.abc import Iterable
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError

from gaia.v1 import api_pb2
from gaia_core import errors
from gaia_core.errors import GaiaError, Problem

REFUSAL_KEY: Final = "gaia-refusal-bin"
"""Trailing metadata that holds a serialised Refusal."""

LEADER_KEY: Final = "gaia-leader"
"""Trailing metadata with which a standby names the leader's address."""

_SIZES = re.compile(r"\((\d+) vs\. (\d+)\)")

_BY_CODE: Final = {
    error.grpc_code: error
    for error in (
        errors.RequestError,
        errors.UnknownName,
        errors.AlreadyExists,
        errors.NotAllowedNow,
        errors.NoLongerKept,
        errors.NotAuthorized,
        errors.TooLarge,
    )
}


def trailer(failure: grpc.RpcError, key: str) -> str | bytes | None:
    """Return one entry of the trailing metadata of a failed call."""
    pairs: Iterable[Any] = (failure.trailing_metadata() or ()) if isinstance(failure, grpc.Call) else ()
    return next((pair.value for pair in pairs if pair.key == key), None)


def code_of(failure: grpc.RpcError) -> grpc.StatusCode:
    """Return the code of a failed call."""
    return failure.code() if isinstance(failure, grpc.Call) else grpc.StatusCode.UNKNOWN


def refusal(failure: grpc.RpcError) -> GaiaError | None:
    """Return the error that the server itself raised, or None when something between us failed."""
    data = trailer(failure, REFUSAL_KEY)
    if not isinstance(data, bytes):
        return None
    try:
        message = api_pb2.Refusal.FromString(data)
    except DecodeError:
        return None
    kind = errors.BY_NAME.get(message.error) or _BY_CODE.get(code_of(failure).name, errors.RequestError)
    problems = [Problem(problem.place, problem.message) for problem in message.problems]
    return kind(message.message, hint=message.hint, problems=problems)


def error_of(failure: grpc.RpcError, hosts: Iterable[str]) -> GaiaError:
    """Return the error to raise for a failed call.

    Args:
        failure: what gRPC raised.
        hosts: the addresses that were tried.
    """
    return refusal(failure) or _transport_error(code_of(failure), _details(failure), ", ".join(hosts))


def _transport_error(code: grpc.StatusCode, details: str, hosts: str) -> GaiaError:
    """Name what lies between client and server: nothing there, something else there, too slow, too large."""
    if "http1" in details.lower() or code is grpc.StatusCode.UNIMPLEMENTED:
        hint = "give the gRPC port, 24442 unless set otherwise"
        return errors.Unavailable(f"What answers at {hosts} is no Gaia server of this version", hint=hint)
    if code is grpc.StatusCode.UNAVAILABLE:
        return errors.Unavailable(f"No Gaia server answers at {hosts}", hint="start one with: gaia up")
    if code in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED):
        return errors.Unavailable(f"The Gaia server at {hosts} did not answer in time")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and (sizes := _SIZES.search(details)):
        return _too_large(int(sizes[1]), int(sizes[2]))
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return errors.NotAuthorized(details, hint="give the server's token as --token or GAIA_TOKEN")
    kind = _BY_CODE.get(code.name, errors.Bug)
    return kind(details or f"The server answered {code.name}")


def _too_large(size: int, limit: int) -> errors.TooLarge:
    return errors.TooLarge(
        f"A message of {size:,} bytes is over the limit of {limit:,} bytes",
        hint="upload a part, then merge the rest",
    )


def _details(failure: grpc.RpcError) -> str:
    return (failure.details() or "") if isinstance(failure, grpc.Call) else str(failure)
