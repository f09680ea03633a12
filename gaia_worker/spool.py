"""What is kept of one attempt's log until it goes to the store: on disk, the beginning and the end of a long one."""

from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from gaia_core.wire.pieces import Piece, stored

PARTS: Final = 4
"""The beginning takes two parts of four, the end the last one or two."""


class Spool:
    """Pieces in order, of no more bytes than a limit. Used by one thread at a time; to be finished.

    The first half of the limit is filled with the beginning. After that two files take turns, each a quarter: the older
    one is begun anew when the other is full.
    """

    def __init__(self, folder: Path, bytes_max: int) -> None:
        """Keep in an existing folder; no file is made before there is something to keep."""
        self._head = folder / "log"
        self._tails = (folder / "log-tail-0", folder / "log-tail-1")
        self._part_bytes = bytes_max // PARTS
        self._turn = -1
        self._file: BinaryIO | None = None
        self._left_bytes = 0

    def add(self, piece: Piece) -> None:
        """Keep a piece, and drop old ones of the end where there are too many.

        Raises:
            OSError: the disk takes no more.
        """
        data = stored(piece)
        if self._file is None or len(data) > self._left_bytes:
            self._begin_file()
        assert self._file is not None
        self._file.write(data)
        self._left_bytes -= len(data)

    def finish(self) -> Path | None:
        """Close everything and return the file of the whole, None where nothing was kept; safe to call twice.

        Raises:
            OSError: the disk takes no more.
        """
        if self._turn < 0:
            return None
        self._close()
        with self._head.open("ab") as out:
            for tail in (self._tails[self._turn % 2], self._tails[(self._turn + 1) % 2]):
                if tail.exists():
                    with tail.open("rb") as source:
                        while chunk := source.read(1 << 20):
                            out.write(chunk)
                    tail.unlink()
        return self._head

    def abandon(self) -> None:
        """Let go of the file that is open; what is not written yet is lost."""
        with suppress(OSError):  # it is closed all the same
            self._close()

    def _begin_file(self) -> None:
        self._close()
        self._turn += 1
        if self._turn == 0:
            self._file = self._head.open("wb")
            self._left_bytes = 2 * self._part_bytes
        else:
            self._file = self._tails[(self._turn + 1) % 2].open("wb")
            self._left_bytes = self._part_bytes

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
