"""A client and a service in one process: what one sends reaches the other through the bytes that would travel."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from gaia_core.service.grpc_api import GaiaService

TURNS = 10
"""A stream that gives nothing in so many turns of its event loop waits for something to happen."""


class NoLauncher:
    """Starts nothing: the workers are the transcript's."""

    def launch(self, names: Any, metadata: Any) -> None:
        """Pretend that they were started."""

    def close(self) -> None:
        """Have nothing to end."""


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

    def stream(self, method: str, request: Any, answer: Any) -> Iterator[Any]:
        """Call a method whose stream has no end; yield what comes of it by now."""
        return iter(asyncio.run(_by_now(getattr(self._service, method)(request, None))))

    def upload(self, method: str, requests: Callable[[], Iterator[Any]], answer: Any) -> Any:
        """Call a method that takes a stream."""
        return asyncio.run(getattr(self._service, method)(_streamed(requests()), None))

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
