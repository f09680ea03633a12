"""How far a program is, as it says: every way of saying it, and whatever else it puts at that place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaia_worker.progress import MESSAGE_CHARACTERS_MAX, ProgressFile, Said, parse


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("3/10", Said(3, 10, "")),
        (" 3 / 10  mapping   reads\n", Said(3, 10, "mapping reads")),
        ("1/10\n2/10 now\n\n", Said(2, 10, "now")),
        ("11/10", Said(10, 10, "")),
        ("42%", Said(42, 100, "")),
        ("42.7 % nearly", Said(42, 100, "nearly")),
        ("250%", Said(100, 100, "")),
        ("half way", Said(0, 0, "half way")),
        ("9999999999999999999999/1", Said(0, 0, "9999999999999999999999/1")),
        ("bell\x07 and \x1b[2Jmore", Said(0, 0, "bell and [2Jmore")),
    ],
)
def test_the_last_line_counts(written: str, said: Said) -> None:
    """So many of so many, a share, or words; each with words, of which only what can be shown is kept."""
    assert parse(written.encode()) == said


@given(st.binary(max_size=5000))
def test_whatever_is_written_is_bounded_and_printable(data: bytes) -> None:
    """Nothing that a program writes there can do harm where it is shown."""
    said = parse(data)
    if said is not None:
        assert len(said.message) <= MESSAGE_CHARACTERS_MAX
        assert said.message.isprintable()
        assert 0 <= said.done <= said.total < 10**18


@pytest.fixture
def file(tmp_path: Path) -> ProgressFile:
    made = ProgressFile(tmp_path)
    made.folder.mkdir()
    return made


def test_only_news_are_told(file: ProgressFile) -> None:
    """A file that is not there, has not changed, or says the same again tells nothing."""
    place = file.folder / "progress"
    assert file.news() is None
    place.write_text("1/2\n")
    assert file.news() == Said(1, 2, "")
    assert file.news() is None
    place.write_text("1/2\n1/2\n")
    assert file.news() is None
    (file.folder / "next").write_text("2/2")
    (file.folder / "next").rename(place)
    assert file.news() == Said(2, 2, "")


def test_of_a_huge_file_the_end_counts(file: ProgressFile) -> None:
    """It is not read from its beginning, and may well be sparse."""
    with (file.folder / "progress").open("wb") as out:
        out.seek(1 << 40)
        out.write(b"\n7/8\n")
    assert file.news() == Said(7, 8, "")


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "secret"])
def test_what_is_no_file_is_not_looked_into(file: ProgressFile, tmp_path: Path, kind: str) -> None:
    """A link would show a file of the host, a pipe would hold the worker up."""
    place = file.folder / "progress"
    if kind == "link":
        (tmp_path / "secret").write_text("secret")
        place.symlink_to(tmp_path / "secret")
    elif kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    else:
        place.symlink_to("/dev/zero")
    assert file.news() is None
