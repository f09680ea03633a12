"""Logs of attempts that outlive a restart of the server: a stream that breaks is begun again where it broke off."""

from collections.abc import Iterator
from typing import Any, Final

from gaia.v1 import api_pb2, logs_pb2
from gaia_client.connection import Connection, Stream
from gaia_core.errors import InvalidWorkflow, NotAllowedNow, Problem, Unavailable
from gaia_core.wire import plain

PAUSE_S: Final = 0.5
"""Before a stream is begun again that broke without having told anything."""

ALL: Final = "all"

STREAMS: Final = {"stdout": logs_pb2.LOG_STREAM_STDOUT, "stderr": logs_pb2.LOG_STREAM_STDERR}

Responses = Stream[api_pb2.LogsResponse]


def first_of(attempt: object, follow: bool) -> tuple[int, bool]:
    """Return the number of the first attempt to read, 0 for the newest, and whether to go on with later ones.

    Raises:
        InvalidWorkflow: it is neither a number, nor "all", nor None.
    """
    if attempt is None:
        return 0, follow
    if attempt == ALL:
        return 1, True
    if isinstance(attempt, int) and not isinstance(attempt, bool) and attempt >= 1:
        return attempt, False
    raise InvalidWorkflow.of([Problem("attempt", f"must be a number from 1 on, or {ALL!r}")])


def stream_of(name: object) -> "logs_pb2.LogStream":
    """Return a stream by its name.

    Raises:
        InvalidWorkflow: there is none.
    """
    if not isinstance(name, str) or name not in STREAMS:
        raise InvalidWorkflow.of([Problem("streams", f"{name!r} is none of {', '.join(STREAMS)}")])
    return STREAMS[name]


def read(connection: Connection, request: api_pb2.LogsRequest) -> Iterator[dict[str, Any]]:
    """Begin to read, and return an iterator over what is told, as plain dicts.

    Raises:
        UnknownName: there is no such workflow, Step or attempt.
        NotAllowedNow: the name stands for several Steps.
        Unavailable: no server answers. The iterator, too: the server stays away.
    """
    return _outliving(connection, request, _begin(connection, request))


def _begin(connection: Connection, request: api_pb2.LogsRequest) -> Responses:
    return connection.stream("Logs", request, api_pb2.LogsResponse)


def _outliving(connection: Connection, request: api_pb2.LogsRequest, stream: Responses) -> Iterator[dict[str, Any]]:
    """Yield what a stream and those that follow it tell."""
    try:
        while True:
            came = False
            try:
                for response in stream:
                    came = True
                    _move_on(request, response)
                    yield plain.log(response)
            except Unavailable:
                if not came:
                    connection.pause(PAUSE_S)
            else:
                return
            stream = _begin(connection, request)
    except NotAllowedNow:
        if not connection.is_closed:
            raise
    finally:
        stream.close()


def _move_on(request: api_pb2.LogsRequest, response: api_pb2.LogsResponse) -> None:
    """Let the request begin behind what came, should it have to be sent again."""
    told = response.WhichOneof("told")
    if told == "piece":
        request.attempt, request.from_offset = response.attempt, response.piece.offset + len(response.piece.data)
    elif told == "gap":
        request.attempt, request.from_offset = response.attempt, response.gap.offset + response.gap.size_bytes
    elif told == "end":
        request.attempt, request.from_offset = response.attempt, response.end.size_bytes
    if told in ("piece", "gap"):
        request.ClearField("tail_lines")
