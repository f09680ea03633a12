"""Files of secrets that a killed worker left are removed by the next one; those of a living worker are not."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from gaia_worker import secret_files
from gaia_worker.secret_files import SecretFiles

HOLD = """
import sys
from pathlib import Path
from gaia_worker.secret_files import SecretFiles
files = SecretFiles(Path(sys.argv[1]))
place = files.place("attempt")
place.mkdir()
(place / "key").write_text("hunter2")
print("there", flush=True)
sys.stdin.read()
"""


def names(parent: Path) -> list[str]:
    return sorted(path.name for path in parent.rglob("*") if path.is_file())


def test_what_a_killed_worker_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    """Whatever the next one is called; as long as it lives its files stay."""
    parent = tmp_path / ".secrets"
    command = [sys.executable, "-c", HOLD, str(parent)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"there\n"
        SecretFiles(parent).clear()
        assert names(parent) == ["key"]
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        SecretFiles(parent).clear()
        assert list(parent.iterdir()) == []


def test_nobody_else_can_look_into_them(tmp_path: Path) -> None:
    """All workers' folder and each worker's are the user's own; a worker that leaves takes its folder along."""
    parent = tmp_path / "scratch" / ".secrets"
    one, other = SecretFiles(parent), SecretFiles(parent)
    places = [one.place("a"), one.place("b"), other.place("a")]
    assert len(set(places)) == 3
    assert places[0].parent == places[1].parent
    for folder in (parent, places[0].parent, places[2].parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    one.clear()
    other.clear()
    assert len(list(parent.iterdir())) == 2
    one.close()
    one.close()
    other.close()
    assert list(parent.iterdir()) == []


def test_nothing_is_made_before_it_is_needed(tmp_path: Path) -> None:
    """Workers whose programs ask for no files leave no folder behind."""
    files = SecretFiles(tmp_path / ".secrets")
    files.clear()
    files.close()
    assert list(tmp_path.iterdir()) == []


def test_without_locks_nothing_is_taken_for_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file system cannot tell the dead from the living, everything stays."""

    def refuse(_: int, __: int) -> None:
        raise OSError("no locks available")

    parent = tmp_path / ".secrets"
    (parent / "left").mkdir(parents=True)
    monkeypatch.setattr(secret_files.fcntl, "flock", refuse)
    files = SecretFiles(parent)
    files.place("a").mkdir()
    SecretFiles(parent).clear()
    assert len(list(parent.iterdir())) == 2
    files.close()
    assert [path.name for path in parent.iterdir()] == ["left"]
