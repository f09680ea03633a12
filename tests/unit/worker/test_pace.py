"""A worker holds as much beyond its slots as hides the way to the coordinator and back, and no more."""

from __future__ import annotations

import pytest

from gaia_worker.pace import PREFETCH, PREFETCH_MAX, Pace


class Line:
    """A worker that always has enough to do, and a clock of its own."""

    def __init__(self, slots: int = 4) -> None:
        self.now_s = 0.0
        self.pace = Pace(slots, lambda: self.now_s)
        self.full = lambda: slots + self.pace.prefetch

    def beat(self, rate: float, round_trip_s: float, seconds: float = 5.0) -> int:
        """Let so many attempts end in each second and others come for them; return what is held beyond the slots."""
        due: list[float] = []
        held = self.full()
        until_s, next_s = self.now_s + seconds, self.now_s
        while next_s < until_s or due:
            if due and (due[0] <= next_s or next_s >= until_s):
                self.now_s = due.pop(0)
                self.pace.began()
                held += 1
            else:
                self.now_s = next_s
                self.pace.ended(held)
                held -= 1
                due.append(self.now_s + round_trip_s)
                next_s += 1 / rate
        self.now_s = max(self.now_s, until_s)
        self.pace.adapt()
        return self.pace.prefetch


def test_slow_programs_need_two() -> None:
    """Tens of milliseconds hide any round trip."""
    assert Line().beat(rate=10, round_trip_s=0.02) == PREFETCH


def test_quick_programs_have_as_many_as_hide_the_round_trip() -> None:
    """Twice what ends during one; it falls again when programs take longer."""
    line = Line()
    assert line.beat(rate=400, round_trip_s=0.05) == pytest.approx(40, abs=2)
    assert line.beat(rate=2, round_trip_s=0.05) == PREFETCH


def test_there_is_a_limit() -> None:
    """However quick programs are, and however slow the coordinator."""
    assert Line().beat(rate=50_000, round_trip_s=0.9, seconds=2) == PREFETCH_MAX


def test_small_changes_are_not_told() -> None:
    """Each change is journaled, so half as many again is none."""
    line = Line()
    first = line.beat(rate=400, round_trip_s=0.05)
    assert line.beat(rate=550, round_trip_s=0.05) == first
    assert line.beat(rate=250, round_trip_s=0.05) == first


def test_a_worker_without_work_learns_nothing() -> None:
    """An order that comes long after an end was no answer to it, nor is one to a worker that had room all the time."""
    line = Line(slots=1)
    for _ in range(100):
        line.pace.ended(held=3)
        line.now_s += 2
        line.pace.began()
    line.pace.adapt()
    assert line.pace.prefetch == PREFETCH
    for _ in range(1000):
        line.pace.ended(held=1)
        line.now_s += 0.5
        line.pace.began()
    line.pace.adapt()
    assert line.pace.prefetch == PREFETCH
