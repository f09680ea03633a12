"""The log of one attempt: cut into pieces that know their place, stream and time; kept on disk, and told as it goes.

`write` is called by the thread that runs the program, `take` by the one that tells (`gaia_worker.telling`). Neither is
ever held up for long, and what is not told in time is left out: its place shows that.
"""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gaia_core.wire.pieces import Piece
from gaia_worker.spool import PARTS, Spool

PIECE_BYTES_MAX: Final = 32 * 1024
PIECE_MS_MAX: Final = 100
"""What a stream gets in so short a time is one piece: a program that writes byte by byte costs no message for each."""

UNTOLD_BYTES_MAX: Final = 64 * 1024
"""Of one attempt, between two times that it is told: 256 KiB a second. More than that nobody reads live."""

PIECES_PER_PART: Final = 8
"""A piece is at most so small a share of a part of what is kept."""

log = logging.getLogger(__name__)


class AttemptLog:
    """Everything an attempt writes, or the beginning and the end of it.

    Attributes:
        size_bytes: how much was written.
    """

    def __init__(self, folder: Path, bytes_max: int, wall_ms: Callable[[], int]) -> None:
        """Keep at most so many bytes in an existing folder.

        Args:
            folder: of the attempt alone.
            bytes_max: of what is kept.
            wall_ms: milliseconds since the epoch.
        """
        self.size_bytes = 0
        self._spool: Spool | None = Spool(folder, bytes_max)
        self._piece_bytes_max = max(1, min(PIECE_BYTES_MAX, bytes_max // PARTS // PIECES_PER_PART))
        self._wall_ms = wall_ms
        self._lock = threading.Lock()
        self._stream = 0
        self._time_ms = 0
        self._growing = bytearray()
        self._untold: list[Piece] = []
        self._untold_bytes = 0

    def write(self, stream: int, data: bytes) -> None:
        """Take what the program wrote to a stream."""
        now_ms = self._wall_ms()
        with self._lock:
            if stream != self._stream or now_ms - self._time_ms > PIECE_MS_MAX:
                self._cut()
            start = 0
            while start < len(data):
                if not self._growing:
                    self._stream, self._time_ms = stream, now_ms
                room = self._piece_bytes_max - len(self._growing)
                self._growing += data[start : start + room]
                start += room
                if len(self._growing) >= self._piece_bytes_max:
                    self._cut()

    def take(self) -> tuple[tuple[Piece, ...], int]:
        """Return what was written and not told before, and how much was written up to now."""
        with self._lock:
            self._cut()
            untold, self._untold, self._untold_bytes = tuple(self._untold), [], 0
            return untold, self.size_bytes

    def finish(self) -> Path | None:
        """Return the file of all that is kept, None where that is nothing; nothing is written after this."""
        with self._lock:
            self._cut()
            try:
                return self._spool.finish() if self._spool is not None else None
            except OSError as problem:
                self._give_up(problem)
                return None

    def _cut(self) -> None:
        """End the piece that grows, and let another one begin."""
        if not self._growing:
            return
        piece = Piece(self.size_bytes, self._stream, self._time_ms, bytes(self._growing))
        self.size_bytes = piece.end
        self._growing.clear()
        if self._untold_bytes + len(piece.data) <= UNTOLD_BYTES_MAX:
            self._untold.append(piece)
            self._untold_bytes += len(piece.data)
        if self._spool is not None:
            try:
                self._spool.add(piece)
            except OSError as problem:
                self._give_up(problem)

    def _give_up(self, problem: OSError) -> None:
        """Keep nothing more: a full disk must not end a program that does not need it."""
        log.warning("log not kept", extra={"why": str(problem)})
        if self._spool is not None:
            self._spool.abandon()
        self._spool = None
