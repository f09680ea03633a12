"""Streams of events that outlive a restart of the server: begun again where they broke off."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from gaia.v1 import api_pb2
from gaia_client.connection import Connection, Stream
from gaia_core.errors import NotAllowedNow, Unavailable, UnknownName
from gaia_core.wire import plain

UID_KEY: Final = "gaia-watched-uid"
LATEST_KEY: Final = "gaia-latest-sequence"
"""What the server says when a watch has begun: which workflow that is, and the number of its latest event by then."""

PAUSE_S: Final = 0.5
"""Before a watch is begun again that broke without having told anything."""

Responses = Stream[api_pb2.WatchResponse]


def watch(connection: Connection, request: api_pb2.WatchRequest) -> Iterator[dict[str, Any]]:
    """Begin a watch, and return an iterator over events or updates as plain dicts; it ends with the watched workflow.

    A stream that breaks is begun again behind the last event that came. Of all workflows together only what happens
    from then on can be had, so a few events may be missed there.

    Args:
        connection: to the server.
        request: what to watch.

    Raises:
        UnknownName: there is no such workflow.
        NoLongerKept: the first event asked for is gone. The iterator, too: it was read too slowly.
        Unavailable: no server answers. The iterator, too: the server stays away.
    """
    show: Callable[[Any], dict[str, Any]] = _event if request.every_event else _update
    return _outliving(connection, request, _begin(connection, request), show)


def _begin(connection: Connection, request: api_pb2.WatchRequest) -> Responses:
    return connection.stream("Watch", request, api_pb2.WatchResponse)


def _outliving(
    connection: Connection,
    request: api_pb2.WatchRequest,
    stream: Responses,
    show: Callable[[Any], dict[str, Any]],
) -> Iterator[dict[str, Any]]:
    """Yield what a stream and those that follow it tell."""
    _note_beginning(request, stream)
    try:
        while True:
            came = False
            try:
                for response in stream:
                    came = True
                    yield show(response)
                    _move_on(request, response)
            except Unavailable:
                if not came:
                    connection.pause(PAUSE_S)
            else:
                return
            stream = _begin(connection, request)
    except UnknownName:  # it was deleted while nobody was there to tell, and nothing of it is left
        return
    except NotAllowedNow:
        if not connection.is_closed:
            raise
    finally:
        stream.close()


def _note_beginning(request: api_pb2.WatchRequest, stream: Responses) -> None:
    """Let the request mean this workflow, and new events those behind the ones there were, if it is sent again."""
    uid, latest = stream.begun.get(UID_KEY), stream.begun.get(LATEST_KEY)
    if request.workflow and uid and latest:
        request.workflow_uid = int(uid)
        if request.HasField("from_sequence") and not request.from_sequence:
            request.from_sequence = int(latest) + 1


def _move_on(request: api_pb2.WatchRequest, response: api_pb2.WatchResponse) -> None:
    """Let the request begin behind what came, should it have to be sent again."""
    if not request.workflow:
        request.from_sequence = 0
    elif response.event.sequence:
        request.from_sequence = response.event.sequence + 1


def _event(response: api_pb2.WatchResponse) -> dict[str, Any]:
    return plain.event(response.event)


def _update(response: api_pb2.WatchResponse) -> dict[str, Any]:
    return plain.update(response.update)
