"""Where requests are read: small ones at once, large ones in threads of their own, and only so many of these at a time.

The interfaces live on one thread, which answers nobody while it reads: 100,000 Steps take it seconds. And whatever is
read waits in memory until it is answered. Knows nothing of what a request says.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from gaia_core.errors import Overloaded
from gaia_core.service.limits import MESSAGE_BYTES_MAX

AT_ONCE_BYTES: Final = 64 * 1024
"""Smaller requests are read at once, so that they never wait for a thread, and are not counted; many of them are
bounded by the queue that they wait in."""

BYTES_AT_WORK_MAX: Final = 2 * MESSAGE_BYTES_MAX
"""Of large requests together, as they were sent; read, they take about ten times as much."""

THREADS: Final = 2
"""More would only take turns, since Python runs one at a time; with one, all would wait for the largest."""

Result = TypeVar("Result")


class Reception:
    """Counts large requests from their arrival to their answers, and reads them.

    Args:
        bytes_max: of all large requests that are held at a time; one alone may always be.
    """

    def __init__(self, bytes_max: int = BYTES_AT_WORK_MAX) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._counting = threading.Lock()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="reading")

    @contextmanager
    def hold(self, size_bytes: int = 0) -> Iterator["Held"]:
        """Hold a request of this size while it is read and answered.

        Raises:
            Overloaded: too many large ones are held already.
        """
        held = Held(self, self._threads)
        try:
            held.grow(size_bytes)
            yield held
        finally:
            held.leave()

    def take(self, more_bytes: int, own_bytes: int) -> None:
        """Count more bytes of a request of which some are counted already.

        Raises:
            Overloaded: with those of others there are too many.
        """
        with self._counting:
            if self._bytes > own_bytes and self._bytes + more_bytes > self._bytes_max:
                words = "The server has too much to do: large requests wait already."
                raise Overloaded(words, hint="ask again in a moment")
            self._bytes += more_bytes

    def give_back(self, size_bytes: int) -> None:
        """Count bytes no more; from any thread."""
        with self._counting:
            self._bytes -= size_bytes


class Held:
    """One request that is read and answered."""

    def __init__(self, reception: Reception, threads: ThreadPoolExecutor) -> None:
        self._reception = reception
        self._threads = threads
        self._size = 0
        self._counted = 0
        self._reading: Future[Any] | None = None

    def grow(self, size_bytes: int) -> None:
        """Note that so much more of it has arrived.

        Raises:
            Overloaded: there is no room for it.
        """
        self._size += size_bytes
        if self._size > AT_ONCE_BYTES:
            self._reception.take(self._size - self._counted, self._counted)
            self._counted = self._size

    async def read(self, function: Callable[[], Result]) -> Result:
        """Return what a function makes of it; if it is large, others are answered meanwhile."""
        if self._size <= AT_ONCE_BYTES:
            return function()
        self._reading = reading = self._threads.submit(function)
        return await asyncio.wrap_future(reading)

    def leave(self) -> None:
        """Count it no more, as soon as nobody reads it any more."""
        if self._reading is None:
            self._reception.give_back(self._counted)
        else:
            self._reading.add_done_callback(lambda _: self._reception.give_back(self._counted))
