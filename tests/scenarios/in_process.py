"""A client and a service in one process: what one sends reaches the other through the bytes that would travel."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

from gaia_core.service.grpc_api import GaiaService

TURNS = 20
"""A stream that gives nothing in so many turns of its event loop waits for something to happen."""


class Connection:
    """A client's connection to a service in the same process, through the bytes that would travel.

    Attributes:
        again: repeats the last mutation with the id that it had.
    """

    def __init__(self, service: GaiaService) -> None:
        self._service = service
        self.again: Callable[[], Any] = lambda: None

    def call(self, method: str, request: Any, answer: Any) -> Any:
        """Call a method that answers once."""

        def send() -> Any:
            received = type(request).FromString(request.SerializeToString())
            said = asyncio.run(getattr(self._service, method)(received, None))
            return answer.FromString(said.SerializeToString())

        if getattr(request, "request_id", ""):
            self.again = send
        return send()

    def download(self, method: str, request: Any, answer: Any, consume: Callable[[Iterator[Any]], Any]) -> Any:
        """Call a method that answers with a stream."""
        return consume(iter(asyncio.run(_gathered(getattr(self._service, method)(request, None)))))

    def stream(self, method: str, request: Any, answer: Any) -> "ByNow":
        """Call a method whose stream has no end; return what comes of it by now."""
        begun = Begun()
        return ByNow(asyncio.run(_by_now(getattr(self._service, method)(request, begun))), begun.said)

    def upload(self, method: str, requests: Callable[[], Iterator[Any]], answer: Any) -> Any:
        """Call a method that takes a stream."""
        return asyncio.run(getattr(self._service, method)(_streamed(requests()), None))

    def close(self) -> None:
        """Have nothing to close."""


class Begun:
    """What a method sees of a call whose stream it begins."""

    def __init__(self) -> None:
        self.said: dict[str, str] = {}

    async def send_initial_metadata(self, metadata: Iterable[tuple[str, str]]) -> None:
        """Keep what is said before the first message."""
        self.said = dict(metadata)


class ByNow:
    """The messages of a stream up to where it waited, and what was said before them."""

    def __init__(self, messages: list[Any], begun: dict[str, str]) -> None:
        self.begun = begun
        self._messages = iter(messages)

    def __iter__(self) -> Iterator[Any]:
        """Return the messages."""
        return self._messages

    def close(self) -> None:
        """Have nothing to close."""


async def _gathered(stream: AsyncIterator[Any]) -> list[Any]:
    return [message async for message in stream]


async def _by_now(stream: AsyncIterator[Any]) -> list[Any]:
    """Return the messages of a stream until it waits for more."""
    found: list[Any] = []
    while True:
        message = asyncio.ensure_future(anext(stream, None))
        for _ in range(TURNS):
            await asyncio.sleep(0)
        if not message.done() or message.result() is None:
            message.cancel()
            return found
        found.append(message.result())


async def _streamed(messages: Iterator[Any]) -> AsyncIterator[Any]:
    for message in messages:
        yield message
