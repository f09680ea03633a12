"""One attempt's log on its way to one reader: what is told of each piece, what is left out, the last lines. Pure."""

from collections import deque
from collections.abc import Collection, Iterator
from typing import Final

from gaia.v1 import api_pb2 as pb
from gaia_core.wire.pieces import Piece, piece_message

TAIL_BYTES_MAX: Final = 4 * 2**20
"""The last lines may be long; so much of them is held back at most."""


class LogTelling:
    """Tells pieces in order, each byte at most once, and what lies between them as gaps.

    Attributes:
        next: place of the next byte to tell.
    """

    def __init__(self, attempt: int, offset: int, streams: Collection[int], tail_lines: int | None) -> None:
        """Begin at an offset; with tail_lines, hold everything back until `flush`."""
        self.next = offset
        self._attempt = attempt
        self._streams = frozenset(streams)
        self._tail = _Tail(tail_lines) if tail_lines is not None else None

    def take(self, piece: Piece) -> Iterator[pb.LogsResponse]:
        """Yield what is to be told of a piece, wherever it came from; what was told before is passed over."""
        if piece.end <= self.next:
            return
        yield from self.leave_out(piece.offset)
        piece = piece.beginning_at(self.next)
        self.next = piece.end
        if self._streams and piece.stream not in self._streams:
            return
        if self._tail is not None:
            self._tail.add(piece)
        else:
            yield self._told(piece)

    def leave_out(self, end: int) -> Iterator[pb.LogsResponse]:
        """Go on at a place, and tell what that leaves out."""
        if end <= self.next:
            return
        gap = pb.LogGap(offset=self.next, size_bytes=end - self.next)
        self.next = end
        if self._tail is not None:
            self._tail.add(gap)
        else:
            yield pb.LogsResponse(attempt=self._attempt, gap=gap)

    def flush(self) -> Iterator[pb.LogsResponse]:
        """Yield the last lines that were held back; what comes from now on is told at once."""
        tail, self._tail = self._tail, None
        for one in tail.last() if tail is not None else ():
            yield self._told(one) if isinstance(one, Piece) else pb.LogsResponse(attempt=self._attempt, gap=one)

    def notice(self, words: str) -> pb.LogsResponse:
        """Return something that a person should know."""
        return notice(words, self._attempt)

    def end(self, *, running: bool = False) -> pb.LogsResponse:
        """Return what ends an attempt."""
        return pb.LogsResponse(attempt=self._attempt, end=pb.LogEnd(size_bytes=self.next, running=running))

    def _told(self, piece: Piece) -> pb.LogsResponse:
        return pb.LogsResponse(attempt=self._attempt, piece=piece_message(piece))


def notice(words: str, attempt: int = 0) -> pb.LogsResponse:
    """Return something that a person should know."""
    return pb.LogsResponse(attempt=attempt, notice=pb.LogNotice(words=words))


class _Tail:
    """The last lines of what was added."""

    def __init__(self, lines: int) -> None:
        self._lines = lines
        self._kept: deque[Piece | pb.LogGap] = deque()
        self._ends = 0
        self._bytes = 0

    def add(self, one: "Piece | pb.LogGap") -> None:
        """Add a piece or a gap, and drop what is certainly too far from the end."""
        self._kept.append(one)
        self._count(one, 1)
        while self._ends - _line_ends(self._kept[0]) > self._lines or self._bytes > TAIL_BYTES_MAX:
            self._count(self._kept.popleft(), -1)

    def _count(self, one: "Piece | pb.LogGap", sign: int) -> None:
        self._ends += sign * _line_ends(one)
        self._bytes += sign * (len(one.data) if isinstance(one, Piece) else 0)

    def last(self) -> list["Piece | pb.LogGap"]:
        """Return what the last lines are made of; an unfinished one counts, too."""
        wanted: list[Piece | pb.LogGap] = []
        left = self._lines
        is_last = True
        while self._kept and left > 0:
            one = self._kept.pop()
            if isinstance(one, Piece):
                one, left = _last_lines(one, left, is_last=is_last)
                is_last = False
            wanted.append(one)
        return wanted[::-1]


def _last_lines(piece: Piece, lines: int, *, is_last: bool) -> tuple[Piece, int]:
    """Return the end of a piece with at most so many lines, and how many are still wanted.

    Args:
        piece: what follows on it begins a line only if the piece ends one.
        lines: how many.
        is_last: nothing follows on it, so that a line end at its own end ends no wanted line.
    """
    end = len(piece.data) - 1 if is_last and piece.data.endswith(b"\n") else len(piece.data)
    while (found := piece.data.rfind(b"\n", 0, end)) >= 0:
        lines -= 1
        if lines == 0:
            return piece.beginning_at(piece.offset + found + 1), 0
        end = found
    return piece, lines


def _line_ends(one: "Piece | pb.LogGap") -> int:
    return one.data.count(b"\n") if isinstance(one, Piece) else 0
