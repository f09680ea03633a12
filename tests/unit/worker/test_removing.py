"""Folders that go beside what goes on: out of sight at once, gone soon, never more than a few waiting."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import pytest

from gaia_worker import removing as module
from gaia_worker.removing import WAITING_MAX, Remover
from gaia_worker.scratch import remove_folder


def full(folder: Path) -> Path:
    """Make a folder with something in it."""
    (folder / "sub").mkdir(parents=True)
    (folder / "sub/file").touch()
    return folder


def test_a_folder_is_out_of_sight_at_once_and_gone_in_the_end(tmp_path: Path) -> None:
    """Closing finishes what was begun and leaves nothing."""
    with closing(Remover(tmp_path / "aside/w")) as remover:
        for number in range(3):
            remover.remove(full(tmp_path / str(number)))
            assert not (tmp_path / str(number)).exists()
        remover.settle()
        assert list((tmp_path / "aside/w").iterdir()) == []
    assert not (tmp_path / "aside/w").exists()


def test_only_a_few_folders_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who brings more than the disk removes waits until there is room among those that wait."""
    may_go_on = threading.Event()

    def slow(folder: Path) -> None:
        assert may_go_on.wait(30)
        remove_folder(folder)

    monkeypatch.setattr(module, "remove_folder", slow)
    with closing(Remover(tmp_path / "aside")) as remover:
        for number in range(WAITING_MAX):
            remover.remove(full(tmp_path / str(number)))
        more = threading.Thread(target=remover.remove, args=(full(tmp_path / "more"),))
        more.start()
        assert (tmp_path / "more").exists()
        may_go_on.set()
        more.join(30)
        assert not (tmp_path / "more").exists()
    assert not (tmp_path / "aside").exists()


def test_clearing_waits_for_what_is_being_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two never remove the same folder."""
    inside, most = [], []

    def counted(folder: Path) -> None:
        inside.append(folder)
        most.append(len(inside))
        remove_folder(folder)
        inside.pop()

    monkeypatch.setattr(module, "remove_folder", counted)
    with closing(Remover(tmp_path / "aside")) as remover:
        for number in range(10):
            remover.remove(full(tmp_path / str(number)))
        remover.clear()
    assert max(most) == 1


def test_what_a_killed_worker_left_is_cleared(tmp_path: Path) -> None:
    """The next life removes what was taken away and not yet removed."""
    full(tmp_path / "aside/left")
    with closing(Remover(tmp_path / "aside")) as remover:
        remover.clear()
        assert not (tmp_path / "aside").exists()


def test_what_cannot_be_removed_is_told_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A refusal of the disk ends nothing."""

    def refuse(folder: Path) -> None:
        raise OSError("busy")

    monkeypatch.setattr(module, "remove_folder", refuse)
    with closing(Remover(tmp_path / "aside")) as remover:
        remover.remove(full(tmp_path / "folder"))
    assert "scratch not cleared" in caplog.text
