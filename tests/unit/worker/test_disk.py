"""What running attempts write is measured, and ends them where it is too much."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gaia_core.workflow.model import FailureClass
from gaia_worker import disk as module
from gaia_worker.disk import DiskWatch
from gaia_worker.failing import AttemptFailed
from tests.support.waiting import wait_until

GIB = 1024**3


def write(folder: Path, name: str, size_bytes: int) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(bytes(size_bytes))


@pytest.fixture
def plenty(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Say how much the disk has left."""

    def say(free_bytes: int) -> None:
        usage = module.shutil._ntuple_diskusage(1000 * GIB, 1000 * GIB - free_bytes, free_bytes)  # type: ignore[attr-defined]
        monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage)

    say(500 * GIB)
    return say


def test_an_attempt_that_writes_too_much_is_ended_once(tmp_path: Path, plenty: object) -> None:
    """COMMAND with the limit and its setting; what others write does not count."""
    watch, ended = DiskWatch(pause_s=3600), []
    write(tmp_path / "a", "one", 60_000)
    write(tmp_path / "b", "one", 60_000)
    write(tmp_path / "other", "large", 900_000)
    with (
        watch.watching((tmp_path / "a", tmp_path / "b"), 150_000, ended.append),
        watch.watching((tmp_path / "other",), 1_000_000, ended.append),
    ):
        watch.look()
        assert ended == []
        write(tmp_path / "b", "two", 60_000)
        watch.look()
        watch.look()
    (problem,) = ended
    assert problem.kind is FailureClass.COMMAND
    assert "150000 bytes" in problem.message
    assert "GAIA_DISK_BYTES" in problem.message


def test_the_watch_goes_on_by_itself(tmp_path: Path, plenty: object) -> None:
    """While an attempt runs it is looked at again and again; afterwards nobody looks until the next one."""
    watch = DiskWatch(pause_s=0.001)
    for name in ("first", "second"):
        ended: list[AttemptFailed] = []
        (tmp_path / name).mkdir()
        with watch.watching((tmp_path / name,), 100_000, ended.append):
            write(tmp_path / name, "file", 200_000)
            wait_until(lambda ended=ended: ended, "the attempt was ended")
        assert len(ended) == 1
        wait_until(lambda: watch._thread is None, "the watch ended")


def test_on_a_full_disk_the_largest_attempt_ends(
    tmp_path: Path, plenty: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nearly no room left is nobody's fault: the one that wrote most makes room, and may run elsewhere."""
    monkeypatch.setattr(module, "RESERVE_BYTES", 40_000)
    watch, small, large = DiskWatch(pause_s=3600), [], []
    write(tmp_path / "small", "file", 10_000)
    write(tmp_path / "large", "file", 50_000)
    with (
        watch.watching((tmp_path / "small",), GIB, small.append),
        watch.watching((tmp_path / "large",), GIB, large.append),
    ):
        plenty(module.RESERVE_BYTES + 1)
        watch.look()
        assert (small, large) == ([], [])
        plenty(1000)
        watch.look()
    assert small == []
    (problem,) = large
    assert problem.kind is FailureClass.ENGINE
    assert "1000 bytes are left" in problem.message


def test_an_attempt_that_has_ended_is_not_ended_again(tmp_path: Path, plenty: object) -> None:
    """Nothing is called after the context."""
    watch, ended = DiskWatch(pause_s=3600), []
    with watch.watching((tmp_path,), 1000, ended.append):
        pass
    write(tmp_path, "file", 100_000)
    watch.look()
    assert ended == []


def test_who_wrote_little_is_not_ended_for_a_full_disk(
    tmp_path: Path, plenty: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the end of an attempt would bring back next to nothing it goes on: somebody else filled the disk."""
    monkeypatch.setattr(module, "RESERVE_BYTES", 40_000)
    watch, ended = DiskWatch(pause_s=3600), []
    write(tmp_path / "small", "file", 10_000)
    plenty(1000)
    with watch.watching((tmp_path / "small",), GIB, ended.append):
        watch.look()
    assert ended == []
