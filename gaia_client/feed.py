"""Streams read side by side: a thread for each, and one queue that everything they give is taken from."""

import threading
from collections.abc import Iterable
from queue import Empty, Queue
from typing import Any, Final, NamedTuple

WAITING_MAX: Final = 1_000
"""Who takes slowly makes the streams wait, and through them the server, instead of filling our memory."""


class Item(NamedTuple):
    """One thing that a stream gave; `is_end` if it gives no more."""

    stream: str
    value: dict[str, Any]
    is_end: bool = False


class Feed:
    """Several streams as one.

    The threads end when their stream does, at the latest with the process: closing the client ends its streams.
    """

    def __init__(self) -> None:
        self._queue: Queue[Item | Exception] = Queue(WAITING_MAX)

    def add(self, name: str, stream: Iterable[dict[str, Any]]) -> None:
        """Begin to read a stream."""
        threading.Thread(target=self._pump, args=(name, stream), name=name, daemon=True).start()

    def take(self, timeout_s: float) -> Item | None:
        """Return what came first, or None if nothing does for so many seconds.

        Raises:
            GaiaError: what a stream raised.
        """
        try:
            item = self._queue.get(timeout=timeout_s)
        except Empty:
            return None
        if isinstance(item, Exception):
            raise item
        return item

    def _pump(self, name: str, stream: Iterable[dict[str, Any]]) -> None:
        try:
            for value in stream:
                self._queue.put(Item(name, value))
        except Exception as error:  # noqa: BLE001 - it reaches whoever takes
            self._queue.put(error)
        else:
            self._queue.put(Item(name, {}, is_end=True))
