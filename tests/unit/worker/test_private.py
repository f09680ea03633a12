"""The default scratch folder is of one user alone, or the worker does not start."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from gaia_core.errors import ConfigError
from gaia_worker.private import default_scratch


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the folder is made, or lies already."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"gaia-scratch-{os.getuid()}"


def test_it_is_made_for_its_user_alone(place: Path) -> None:
    """Each user has one, which nobody else can look into; the next worker finds it."""
    before = os.umask(0)
    try:
        assert [default_scratch(), default_scratch()] == [place, place]
    finally:
        os.umask(before)
    assert place.stat().st_mode & 0o777 == 0o700


def test_one_that_others_could_look_into_is_closed(place: Path) -> None:
    """A folder of ours with other permissions gets the right ones, and keeps what is in it."""
    place.mkdir(mode=0o755)
    (place / "kept").touch()
    assert default_scratch() == place
    assert place.stat().st_mode & 0o777 == 0o700
    assert (place / "kept").exists()


def test_a_link_in_its_place_is_refused(place: Path, tmp_path: Path) -> None:
    """Whoever put it there would choose where files go."""
    (tmp_path / "elsewhere").mkdir(mode=0o755)
    place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="is a symbolic link") as refused:
        default_scratch()
    assert "GAIA_SCRATCH" in refused.value.hint
    assert (tmp_path / "elsewhere").stat().st_mode & 0o777 == 0o755


def test_a_file_in_its_place_is_refused(place: Path) -> None:
    """What is no folder stays as it is."""
    place.touch()
    with pytest.raises(ConfigError, match="is no folder"):
        default_scratch()


def test_another_users_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner could exchange the files of running attempts."""
    place.mkdir()
    other = os.getuid() + 1
    place.rename(place.with_name(f"gaia-scratch-{other}"))
    monkeypatch.setattr(os, "getuid", lambda: other)
    with pytest.raises(ConfigError, match=r"belongs to another user \(uid \d+\)"):
        default_scratch()
