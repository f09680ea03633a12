"""Answers are remembered for a day, and no more of them than fit."""

import pytest

from gaia_core.machine import remembered as module
from gaia_core.machine.remembered import KEPT_MS, Answered, Answers


def answered(at_ms: int = 0, answer: str = "{}") -> Answered:
    return Answered(b"digest", answer, at_ms)


def test_an_answer_is_remembered_for_a_day() -> None:
    """The oldest go when their time is over."""
    answers = Answers()
    answers.remember("a", answered(0))
    answers.remember("b", answered(1))
    answers.remember("c", answered(KEPT_MS))
    assert list(answers) == ["b", "c"]


def test_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many the oldest go."""
    monkeypatch.setattr(module, "KEPT_MAX", 3)
    answers = Answers()
    for name in "abcde":
        answers.remember(name, answered())
    assert list(answers) == ["c", "d", "e"]


def test_so_much_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large ones push out more than small ones; what was pushed out counts no more."""
    monkeypatch.setattr(module, "KEPT_BYTES_MAX", 100)
    answers = Answers()
    for name in "abc":
        answers.remember(name, answered(answer="x" * 20))
    answers.remember("large", answered(answer="x" * 60))
    assert list(answers) == ["c", "large"]
    answers.remember("large", answered())
    answers.forget("c")
    assert answers.weight == len("large") + len(b"digest") + len("{}")
