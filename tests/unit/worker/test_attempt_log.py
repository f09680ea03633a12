"""What is kept and what is told of a log: in order, in place, bounded."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaia_core.wire.pieces import STDERR, STDOUT, Piece, read_stored
from gaia_worker.attempt_log import UNTOLD_BYTES_MAX, AttemptLog


class Clock:
    def __init__(self) -> None:
        self.now_ms = 1000

    def __call__(self) -> int:
        return self.now_ms


def kept(log: AttemptLog) -> list[Piece]:
    path = log.finish()
    return list(read_stored([path.read_bytes()])) if path is not None else []


def together(pieces: list[Piece]) -> bytes:
    return b"".join(piece.data for piece in pieces)


def test_streams_are_kept_as_they_came_with_their_times(tmp_path: Path) -> None:
    """A piece ends where the other stream begins, and after a pause."""
    clock = Clock()
    log = AttemptLog(tmp_path, 1 << 20, clock)
    log.write(STDOUT, b"one ")
    log.write(STDOUT, b"two\n")
    log.write(STDERR, b"oh\n")
    clock.now_ms = 5000
    log.write(STDERR, b"later\n")
    assert kept(log) == [
        Piece(0, STDOUT, 1000, b"one two\n"),
        Piece(8, STDERR, 1000, b"oh\n"),
        Piece(11, STDERR, 5000, b"later\n"),
    ]


def test_a_silent_attempt_leaves_no_file(tmp_path: Path) -> None:
    """Nothing is stored for it."""
    log = AttemptLog(tmp_path, 1 << 20, Clock())
    log.write(STDOUT, b"")
    assert log.finish() is None
    assert list(tmp_path.iterdir()) == []


@given(st.lists(st.binary(max_size=300), max_size=60), st.integers(300, 3000))
def test_of_a_long_log_the_beginning_and_the_end_are_kept(
    tmp_path_factory: pytest.TempPathFactory, writes: list[bytes], limit: int
) -> None:
    """Each piece lies where its offset says; both ends are there, and no more than the limit."""
    folder = tmp_path_factory.mktemp("log")
    log = AttemptLog(folder, limit, Clock())
    for number, data in enumerate(writes):
        log.write(STDOUT if number % 3 else STDERR, data)
    whole = b"".join(writes)
    pieces = kept(log)
    assert log.size_bytes == len(whole)
    assert all(whole[piece.offset : piece.end] == piece.data for piece in pieces)
    assert [piece.offset for piece in pieces] == sorted(piece.offset for piece in pieces)
    assert sum(len(piece.data) for piece in pieces) <= limit
    if whole:
        assert pieces[0].offset == 0
        assert pieces[-1].end == len(whole)


def test_a_flood_is_kept_by_its_ends(tmp_path: Path) -> None:
    """Of ten times the limit the first half of it and at least the last quarter are there."""
    limit = 1 << 20
    log = AttemptLog(tmp_path, limit, Clock())
    whole = random.Random(1).randbytes(10 * limit)
    for start in range(0, len(whole), 65536):
        log.write(STDOUT, whole[start : start + 65536])
    pieces = kept(log)
    gaps = [(before.end, after.offset) for before, after in pairwise(pieces)]
    gaps = [(end, begin) for end, begin in gaps if end != begin]
    assert len(gaps) == 1
    assert gaps[0][0] > 0.45 * limit
    assert len(whole) - gaps[0][1] > 0.2 * limit
    assert sum(len(piece.data) for piece in pieces) <= limit
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= limit


def test_what_is_told_is_bounded_and_in_place(tmp_path: Path) -> None:
    """A flood between two times of telling is cut off; what comes then shows by its place what is missing."""
    log = AttemptLog(tmp_path, 1 << 20, Clock())
    assert log.take() == ((), 0)
    log.write(STDOUT, b"x" * 1_000_000)
    told, size = log.take()
    assert size == 1_000_000
    assert 0 < sum(len(piece.data) for piece in told) <= UNTOLD_BYTES_MAX
    log.write(STDOUT, b"after")
    told, size = log.take()
    assert (told[0].offset, told[0].data, size) == (1_000_000, b"after", 1_000_005)
    log.finish()


def test_a_full_disk_ends_the_keeping_only(tmp_path: Path) -> None:
    """What is written is told all the same, and the attempt never hears of it."""
    log = AttemptLog(tmp_path / "missing", 1 << 20, Clock())
    log.write(STDOUT, b"words")
    assert together(list(log.take()[0])) == b"words"
    assert log.finish() is None
