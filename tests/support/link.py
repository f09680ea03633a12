"""A link between two processes that a test may cut, hold up, slow down or spoil: a TCP proxy on threads."""

from __future__ import annotations

import queue
import socket
import threading
import time
from contextlib import suppress
from typing import Self

CHUNK_BYTES = 64 * 1024

BODY_BYTES = 16 * 1024
"""What comes in so large a piece is content and no header."""


class Link:
    """Forwards connections to a server; a context manager.

    Args:
        target_port: where the server listens, on the loopback interface.
        port: where to listen.
    """

    def __init__(self, target_port: int, port: int) -> None:
        self.port = port
        self._target_port = target_port
        self._delay_s = 0.0
        self._is_cut = False
        self._breaks = 0
        self._breaks_after_bytes = 0
        self._spoils = 0
        self._lock = threading.Lock()
        self._flows = threading.Event()
        self._flows.set()
        self._open: set[socket.socket] = set()
        self._listener = socket.socket()
        self._accepting = threading.Thread(target=self._accept, name="link", daemon=True)

    def __enter__(self) -> Self:
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self.port))
        self._listener.listen(100)
        self._accepting.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        self._flows.set()
        self._listener.shutdown(socket.SHUT_RDWR)  # makes accept() return
        self._listener.close()
        self._accepting.join(10)

    def cut(self) -> None:
        """Break every connection, and every new one at once."""
        self._is_cut = True
        for end in list(self._open):
            _shut(end)

    def hold(self) -> None:
        """Forward nothing, as a cable that was pulled: nobody is told, and new connections open and stay silent."""
        self._flows.clear()

    def slow(self, delay_s: float) -> None:
        """Forward everything so many seconds later."""
        self._delay_s = delay_s

    def break_after(self, size_bytes: int, times: int) -> None:
        """Break a connection once so many bytes went one way through it; the next so many such ones."""
        with self._lock:
            self._breaks_after_bytes, self._breaks = size_bytes, times

    def spoil(self, times: int) -> None:
        """Flip a bit in the next so many large pieces."""
        with self._lock:
            self._spoils = times

    @property
    def faults_left(self) -> int:
        """How many connections are still to be broken, and pieces to be spoiled."""
        return self._breaks + self._spoils

    def mend(self) -> None:
        """Forward all that comes and has come, at once."""
        self._is_cut, self._delay_s = False, 0.0
        self._flows.set()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        """Forward one connection both ways until one end closes."""
        with near, socket.socket() as far:
            ends = {near, far}
            self._open |= ends
            try:
                if self._is_cut:
                    return
                far.connect(("127.0.0.1", self._target_port))
                ways = [self._way(near, far), self._way(far, near)]
                for way in ways:
                    way.join()
            except OSError:
                return
            finally:
                self._open -= ends

    def _way(self, source: socket.socket, sink: socket.socket) -> threading.Thread:
        """Start forwarding one way; when that ends, so does the other."""
        waiting: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
        sending = threading.Thread(target=self._send, args=(waiting, source, sink), daemon=True)
        sending.start()
        threading.Thread(target=self._receive, args=(source, waiting), daemon=True).start()
        return sending

    def _receive(self, source: socket.socket, waiting: queue.SimpleQueue[tuple[float, bytes]]) -> None:
        gone_bytes = 0
        with suppress(OSError):
            while data := source.recv(CHUNK_BYTES):
                gone_bytes += len(data)
                if self._breaks_now(gone_bytes):
                    break
                waiting.put((time.monotonic() + self._delay_s, self._perhaps_spoiled(data)))
        waiting.put((0.0, b""))

    def _breaks_now(self, gone_bytes: int) -> bool:
        with self._lock:
            breaks = self._breaks > 0 and gone_bytes > self._breaks_after_bytes
            self._breaks -= breaks
            return breaks

    def _perhaps_spoiled(self, data: bytes) -> bytes:
        with self._lock:
            if not self._spoils or len(data) < BODY_BYTES:
                return data
            self._spoils -= 1
        place = len(data) // 2
        return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]

    def _send(
        self, waiting: queue.SimpleQueue[tuple[float, bytes]], source: socket.socket, sink: socket.socket
    ) -> None:
        with suppress(OSError):
            while True:
                due, data = waiting.get()
                time.sleep(max(0.0, due - time.monotonic()))
                self._flows.wait()
                if not data:
                    break
                sink.sendall(data)
        _shut(source)
        _shut(sink)


def _shut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
