"""Errors as ends of gRPC calls: a status code, and beside it a Refusal that says all that is wrong."""

import logging
from typing import Any, Final

import grpc

from gaia.v1 import api_pb2 as pb
from gaia_core.errors import Bug, GaiaError, NotLeading

log = logging.getLogger(__name__)

REFUSAL_KEY: Final = "gaia-refusal-bin"
"""Trailing metadata that holds the Refusal of a call that was refused."""

LEADER_KEY: Final = "gaia-leader"
"""Trailing metadata by which a standby names the leader's address."""

REFUSAL_LIMIT_KEY: Final = "gaia-refusal-bytes-max"
"""Metadata by which a client says that it takes larger refusals."""

TEXT_MAX: Final = 1_000
"""Characters of one text of a refusal."""

REFUSAL_BYTES_MAX: Final = 4_500
"""gRPC clients take 8 KiB of metadata unless they were told otherwise; on the wire this is a third more."""

DETAILS_MAX: Final = 150
"""Characters of the status message: each may take twelve bytes there, and the whole is in the Refusal."""


async def abort(context: Any, method: str, error: Exception) -> None:
    """End a call with the status of an error."""
    if isinstance(error, grpc.aio.AbortError):
        raise error
    if not isinstance(error, GaiaError):
        log.error("a call broke", extra={"method": method}, exc_info=error)
        error = Bug("The server broke while it answered; its log says more.")
    refusal = pb.Refusal(
        error=type(error).__name__,
        message=_cut(error.message),
        hint=_cut(error.hint),
        problems=[pb.Problem(place=_cut(one.place), message=_cut(one.message)) for one in error.problems],
    )
    log.info("refused", extra={"method": method, "error": refusal.error, "cause": error.message})
    asked = dict(context.invocation_metadata() or ()).get(REFUSAL_LIMIT_KEY, "")
    limit = int(asked) if asked.isdecimal() else REFUSAL_BYTES_MAX
    leader = error.leader if isinstance(error, NotLeading) else ""
    trailer = ((REFUSAL_KEY, _fit(refusal, limit)), *(((LEADER_KEY, leader),) if leader else ()))
    context.set_trailing_metadata(trailer)
    await context.abort(grpc.StatusCode[error.grpc_code], refusal.message[:DETAILS_MAX])


def _cut(text: str) -> str:
    """Return a text that fits into metadata; names of a megabyte are told by how they begin."""
    return text if len(text) <= TEXT_MAX else f"{text[:TEXT_MAX]}…"


def _fit(refusal: pb.Refusal, limit: int) -> bytes:
    """Serialize a refusal into what the client's metadata may hold, dropping the last problems."""
    while len(refusal.problems) > 1 and refusal.ByteSize() > limit:
        del refusal.problems[len(refusal.problems) * 3 // 4 :]
    return refusal.SerializeToString()
