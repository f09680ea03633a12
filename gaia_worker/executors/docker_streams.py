"""What a program in a container writes, as the engine sends it: frames on a connection of their own."""

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

POLL_S: Final = 0.1
CHUNK_BYTES: Final = 64 * 1024
_FRAME: Final = struct.Struct(">BxxxL")


class Streams:
    """Both streams of a program on one connection; a context manager."""

    def __init__(self, file: Any) -> None:
        """Read what the library handed out: a file over the socket or, with TLS, the socket itself."""
        self._file = file
        self._socket: socket.socket = getattr(file, "_sock", file)
        self._socket.settimeout(POLL_S)

    def __enter__(self) -> "Streams":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def read(self, idle: Callable[[], None]) -> Iterator[tuple[int, bytes]]:
        """Yield (stream, bytes) until the streams are closed or the engine is gone, calling idle between.

        Source: the engine's API, attach: each frame has a header of stream, three zero bytes, big-endian length.
        """
        pending = b""
        while True:
            idle()
            try:
                data = self._socket.recv(CHUNK_BYTES)
            except TimeoutError:
                continue
            except ConnectionError:
                return
            if not data:
                return
            frames, pending = split_frames(pending + data)
            yield from frames


class Held:
    """A connection whose end the container takes for the end of its standard input."""

    def __init__(self, file: Any) -> None:
        """Hold what the library handed out."""
        self._file = file

    def close(self) -> None:
        """Let go; safe to call twice."""
        with suppress(OSError):
            getattr(self._file, "_sock", self._file).close()
            self._file.close()


def split_frames(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """Split an attachment's bytes into (stream, payload) and the rest that is not yet a whole frame."""
    frames = []
    start = 0
    while len(data) - start >= _FRAME.size:
        stream, length = _FRAME.unpack_from(data, start)
        end = start + _FRAME.size + length
        if end > len(data):
            break
        frames.append((stream, data[start + _FRAME.size : end]))
        start = end
    return frames, data[start:]
