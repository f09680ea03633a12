"""The end of a log, however long and however it is cut."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gaia_worker.capture import TAIL_BYTES_MAX, TAIL_LINES_MAX, Capture, LogTail
from gaia_worker.executors.base import STDERR, STDOUT
from gaia_worker.masking import Masks


@given(st.lists(st.binary(max_size=3 * TAIL_BYTES_MAX), max_size=6))
def test_tail_is_bounded_and_a_suffix(chunks: list[bytes]) -> None:
    """The tail is the end of what was written, of at most so many lines and bytes."""
    tail = LogTail()
    for chunk in chunks:
        tail.add(chunk)
    text = tail.text()
    assert b"".join(chunks).decode("utf-8", "replace").endswith(text) or "\ufffd" in text
    assert len(text) <= TAIL_BYTES_MAX
    assert text.count("\n") <= TAIL_LINES_MAX


def test_tail_keeps_whole_lines() -> None:
    """Of many lines the last hundred are kept, the first of them whole."""
    tail = LogTail()
    for number in range(50_000):
        tail.add(f"line {number}\n".encode())
    assert tail.text().splitlines() == [f"line {number}" for number in range(49_900, 50_000)]


def test_short_log_is_kept_as_it_is() -> None:
    """What fits is not touched."""
    tail = LogTail()
    tail.add(b"a\nb")
    assert tail.text() == "a\nb"


def test_secrets_are_masked_in_what_people_read(tmp_path: Path) -> None:
    """In the log, the tail, `>` and `>>`, wherever a write cuts them; what is routed by `stdout` is data."""
    logged: list[tuple[int, bytes]] = []
    data, both = tmp_path / "data", tmp_path / "both"
    capture = Capture(data, both, lambda stream, words: logged.append((stream, words)), Masks(["hunter22"]))
    capture.write(STDOUT, b"key: hun")
    capture.write(STDERR, b"hunter22 is wrong\n")
    capture.write(STDOUT, b"ter22\n")
    capture.write(STDOUT, b"hunt")
    capture.close()
    capture.close()
    assert data.read_bytes() == b"key: hunter22\nhunt"
    assert both.read_bytes() == b"key: *** is wrong\n***\nhunt"
    assert capture.tail() == "key: *** is wrong\n***\nhunt"
    assert logged == [(STDOUT, b"key: "), (STDERR, b"*** is wrong\n"), (STDOUT, b"***\n"), (STDOUT, b"hunt")]
