"""Folders of attempts: removed whatever is in them, kept within bounds, measured by what they take."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gaia_worker.scratch import keep_folder, remove_folder, used_bytes
from tests.unit.worker.users import ordinary_user

DEPTH = 3000
"""Folders in folders with names of 20 characters: far beyond what a path can be long, or descriptors be open."""


def deep(folder: Path, depth: int = DEPTH) -> None:
    """Make folders in folders, a file in each."""
    descriptor = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
        os.mkdir("d" * 20, dir_fd=descriptor)
        inner = os.open("d" * 20, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)


def test_a_folder_goes_with_all_that_is_in_it(tmp_path: Path) -> None:
    """Files, links, pipes and folders are removed; what a link leads to stays."""
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    (outside / "sub").mkdir(parents=True)
    (outside / "sub/file").write_text("stays")
    (folder / "a/b/c").mkdir(parents=True)
    (folder / "1").mkdir()
    (folder / "a/1").mkdir()
    (folder / "a/1/file").touch()
    (folder / "a/link").symlink_to(outside)
    (folder / "a/b/dangling").symlink_to("nowhere")
    os.mkfifo(folder / "a/pipe")
    (folder / "a/hard").hardlink_to(outside / "sub/file")
    remove_folder(folder)
    assert not folder.exists()
    assert (outside / "sub/file").read_text() == "stays"


def test_a_missing_folder_is_fine(tmp_path: Path) -> None:
    """Removing what is not there does nothing, and a link in a folder's place is removed itself."""
    remove_folder(tmp_path / "nothing")
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    remove_folder(tmp_path / "link")
    assert (tmp_path / "there").is_dir()
    assert not (tmp_path / "link").is_symlink()


def test_a_tree_deeper_than_any_path_goes(tmp_path: Path) -> None:
    """Depth is no hindrance."""
    folder = tmp_path / "folder"
    folder.mkdir()
    deep(folder)
    remove_folder(folder)
    assert not folder.exists()


def test_a_wide_tree_goes(tmp_path: Path) -> None:
    """Many folders with files beside each other are removed."""
    for number in range(500):
        folder = tmp_path / "folder" / str(number)
        (folder / "x/y").mkdir(parents=True)
        (folder / "x/file").touch()
    remove_folder(tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


def test_locked_folders_go_for_their_owner() -> None:
    """What a program forbade to read, enter or write is removed by its owner, who need not be root."""
    with ordinary_user() as home:
        folder = home / "folder"
        for name in ("none/sub", "none/sub/deeper", "read-only/sub"):
            (folder / name).mkdir(parents=True)
            (folder / name / "file").touch()
            (folder / name / "file").chmod(0)
        for name, mode in (("none/sub/deeper", 0), ("none/sub", 0), ("none", 0), ("read-only", 0o555), ("", 0o400)):
            (folder / name).chmod(mode)
        remove_folder(folder)
        assert not folder.exists()


def test_what_is_kept_is_bounded_and_the_oldest_goes(tmp_path: Path) -> None:
    """Of the folders that were put aside the last ones stay, as many as fit."""
    kept = tmp_path / "kept"
    for number in range(4):
        folder = tmp_path / f"attempt-{number}"
        (folder / "outputs").mkdir(parents=True)
        (folder / "outputs/file").write_bytes(bytes(100_000))
        assert keep_folder(folder, kept / folder.name, 250_000)
        assert not folder.exists()
        for place, name in enumerate(sorted(path.name for path in kept.iterdir())):  # clocks may be coarse
            os.utime(kept / name, ns=(place, place))
    assert sorted(path.name for path in kept.iterdir()) == ["attempt-2", "attempt-3"]


def test_a_folder_that_is_too_large_is_not_kept(tmp_path: Path) -> None:
    """What is more than may be kept stays where it is, and drives nothing out."""
    small, large, kept = tmp_path / "small", tmp_path / "large", tmp_path / "kept"
    for folder, size in ((small, 1000), (large, 1_000_000)):
        folder.mkdir()
        (folder / "file").write_bytes(bytes(size))
    assert keep_folder(small, kept / "small", 100_000)
    assert not keep_folder(large, kept / "large", 100_000)
    assert large.exists()
    assert (kept / "small/file").exists()


def test_an_attempt_that_is_kept_again_replaces_its_folder(tmp_path: Path) -> None:
    """The same attempt's folder is kept once."""
    for content in ("old", "new"):
        (tmp_path / "attempt").mkdir()
        (tmp_path / "attempt/file").write_text(content)
        assert keep_folder(tmp_path / "attempt", tmp_path / "kept/attempt", 100_000)
    assert (tmp_path / "kept/attempt/file").read_text() == "new"


def test_holes_and_second_names_take_no_room(tmp_path: Path) -> None:
    """A sparse file counts by what is written in it, a file with two names once, and no link is followed."""
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    with (folder / "sparse").open("wb") as file:
        file.truncate(1 << 40)
        file.write(bytes(4096))
    (folder / "sub/file").write_bytes(bytes(1_000_000))
    (folder / "second").hardlink_to(folder / "sub/file")
    (folder / "link").symlink_to("/usr")
    assert 1_000_000 <= used_bytes(folder) < 1_200_000


def test_a_measure_ends_where_it_is_enough(tmp_path: Path) -> None:
    """Whether there is more than a limit is known without looking at everything."""
    for number in range(10):
        (tmp_path / str(number)).write_bytes(bytes(100_000))
    assert 150_000 < used_bytes(tmp_path, 150_000) < 400_000


@pytest.mark.parametrize("missing", ["nothing", "file"])
def test_what_is_no_folder_takes_no_room(tmp_path: Path, missing: str) -> None:
    """A measure of what is not there, or is going, is nothing."""
    (tmp_path / "file").touch()
    assert used_bytes(tmp_path / missing) == 0
