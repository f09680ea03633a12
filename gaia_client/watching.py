"""Streams of events that outlive a restart of the server: begun again where they broke off."""

from collections.abc import Callable, Iterator
from typing import Any

from gaia.v1 import api_pb2
from gaia_client import replies
from gaia_client.connection import Connection
from gaia_core.errors import Unavailable


def watch(connection: Connection, request: api_pb2.WatchRequest) -> Iterator[dict[str, Any]]:
    """Yield events or updates as plain dicts, until the watched workflow is deleted.

    A stream that breaks is begun again behind the last event that came. Of all workflows together only what happens
    from then on can be had, so a few events may be missed there.

    Args:
        connection: to the server.
        request: what to watch.

    Raises:
        Unavailable: the server stays away.
        NoLongerKept: the first event asked for is gone.
    """
    show: Callable[[Any], dict[str, Any]] = _event if request.every_event else _update
    while True:
        came = False
        try:
            for response in connection.stream("Watch", request, api_pb2.WatchResponse):
                came = True
                yield show(response)
                _move_on(request, response)
        except Unavailable:
            if not came:
                raise
        else:
            return


def _move_on(request: api_pb2.WatchRequest, response: api_pb2.WatchResponse) -> None:
    """Let the request begin behind what came, should it have to be sent again."""
    if not request.workflow:
        request.from_sequence = 0
    elif response.event.sequence:
        request.from_sequence = response.event.sequence + 1


def _event(response: api_pb2.WatchResponse) -> dict[str, Any]:
    return replies.event(response.event)


def _update(response: api_pb2.WatchResponse) -> dict[str, Any]:
    return replies.update(response.update)
