"""What a reader of a log is told: every byte once and in place, what is missing, and the last lines."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gaia.v1 import api_pb2 as pb
from gaia_core.service.log_telling import TAIL_BYTES_MAX, LogTelling
from gaia_core.wire.pieces import STDERR, STDOUT, Piece


def pieces_of(whole: bytes, cuts: list[int]) -> list[Piece]:
    """Cut a log into pieces, of both streams in turn."""
    places = sorted({0, len(whole), *(cut for cut in cuts if cut <= len(whole))})
    found = pairwise(places)
    return [Piece(a, (STDOUT, STDERR)[n % 2], 0, whole[a:b]) for n, (a, b) in enumerate(found)]


def told(telling: LogTelling, *pieces: Piece) -> list[pb.LogsResponse]:
    return [response for piece in pieces for response in telling.take(piece)]


def words(responses: list[pb.LogsResponse]) -> bytes:
    return b"".join(response.piece.data for response in responses)


WHOLE = st.lists(st.sampled_from([b"a", b"b", b"\n"]), max_size=40).map(b"".join)
CUTS = st.lists(st.integers(0, 40), max_size=8)


@given(WHOLE, CUTS, CUTS, st.integers(0, 40))
def test_two_sources_that_overlap_give_each_byte_once(whole: bytes, one: list[int], other: list[int], at: int) -> None:
    """Whatever was told live, and from wherever one begins, the store's pieces go on exactly there."""
    start = min(at, len(whole))
    telling = LogTelling(1, start, (), None)
    live = [piece for piece in pieces_of(whole, one) if piece.end <= len(whole) * 2 // 3]
    responses = told(telling, *live, *pieces_of(whole, other))
    assert words(responses) == whole[start:]
    assert telling.next == len(whole)
    assert not any(response.HasField("gap") for response in responses)


@given(WHOLE, CUTS, st.integers(0, 12))
def test_the_last_lines_are_those_of_the_whole(whole: bytes, cuts: list[int], lines: int) -> None:
    """Wherever it is cut into pieces; a line that is not ended counts."""
    telling = LogTelling(1, 0, (), lines)
    assert told(telling, *pieces_of(whole, cuts)) == []
    last = b"".join(whole.splitlines(keepends=True)[-lines:]) if lines else b""
    assert words(list(telling.flush())) == last


def test_what_comes_after_the_last_lines_is_told_at_once() -> None:
    """Held back is only what was there."""
    telling = LogTelling(1, 0, (), 1)
    told(telling, Piece(0, STDOUT, 0, b"one\ntwo\n"))
    assert words(list(telling.flush())) == b"two\n"
    assert words(told(telling, Piece(8, STDOUT, 0, b"three"))) == b"three"


def test_what_lies_between_pieces_is_told_as_left_out() -> None:
    """With its place and size, so that a reader knows; of both streams together, whichever is read."""
    telling = LogTelling(2, 0, (STDERR,), None)
    responses = told(telling, Piece(0, STDOUT, 0, b"abc"), Piece(10, STDERR, 0, b"x"))
    gap = pb.LogsResponse(attempt=2, gap=pb.LogGap(offset=3, size_bytes=7))
    assert responses[0] == gap
    assert words(responses) == b"x"
    assert telling.end().end == pb.LogEnd(size_bytes=11)


def test_only_the_streams_that_are_wanted_are_told() -> None:
    """The others are no gaps."""
    telling = LogTelling(1, 0, (STDOUT,), None)
    responses = told(telling, Piece(0, STDOUT, 0, b"a"), Piece(1, STDERR, 0, b"b"), Piece(2, STDOUT, 0, b"c"))
    assert words(responses) == b"ac"
    assert len(responses) == 2


def test_last_lines_without_end_are_bounded() -> None:
    """A program that writes no line end does not fill the server's memory."""
    telling = LogTelling(1, 0, (), 10)
    size = 1 << 20
    for number in range(12):
        told(telling, Piece(number * size, STDOUT, 0, b"x" * size))
    assert len(words(list(telling.flush()))) <= TAIL_BYTES_MAX
