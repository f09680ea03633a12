"""Whether a worker may take something new: what checks say, what hangs, and what breaks."""

import shutil
import threading
from collections import deque
from pathlib import Path

import pytest

from gaia_worker import health
from gaia_worker.health import Check, Health, disk_check
from tests.support.waiting import wait_until


class Clock:
    """A clock that moves when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_first_check_that_finds_something_is_told() -> None:
    """Until none does; the others are not asked meanwhile."""
    first, second = deque(["", "one", ""]), deque(["two", ""])
    made = Health([Check("a", first.popleft), Check("b", second.popleft)])
    said = []
    for _ in range(3):
        made.look()
        said.append(made.trouble())
    assert said == ["two", "one", ""]


def test_a_check_that_breaks_is_trouble() -> None:
    """Nobody knows then that all is well."""

    def broken() -> str:
        raise ValueError("what is this?")

    made = Health([Check("The engine", broken)])
    made.look()
    assert made.trouble() == "The engine cannot be looked at: what is this?"


def test_a_check_that_hangs_is_trouble_until_it_answers() -> None:
    """Whoever asks waits for nothing; the worker leaves without it, too."""
    clock, asked, answers = Clock(), threading.Event(), threading.Event()

    def hang() -> str:
        asked.set()
        answers.wait(30)
        return ""

    made = Health([Check("The engine", hang)], clock, every_s=0.0)
    made.start()
    assert asked.wait(30)
    assert made.trouble() == ""
    clock.now += health.ANSWER_S + 1
    assert made.trouble() == "The engine has not answered for 15 s"
    answers.set()
    wait_until(lambda: made.trouble() == "", "it is well again")
    made.close()


@pytest.mark.parametrize(
    ("free_min", "is_low"), [("101", True), ("100", False), ("11%", True), ("10%", False), ("0", False)]
)
def test_a_disk_with_too_little_free_is_trouble(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free_min: str, is_low: bool
) -> None:
    """Measured where the scratch folder lies, or will; the words do not change with what is free."""
    usage = shutil._ntuple_diskusage(1_000, 900, 100)  # type: ignore[attr-defined]
    monkeypatch.setattr(shutil, "disk_usage", {tmp_path: usage}.__getitem__)
    folder = tmp_path / "still" / "to be made"
    words = f"less than {free_min} of the disk is free where {str(folder)!r} lies"
    assert disk_check(folder, free_min).look() == (words if is_low else "")
