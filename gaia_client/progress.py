"""How fast a workflow gets on and when it will be done, in words; time comes in from outside."""

from collections import deque
from typing import Any, Final

from gaia_client.waiting import progress_words

WINDOW_S: Final = 30.0
"""The rate is that of the last half minute: Steps differ, and what was long ago misleads."""

LINE_EVERY_S: Final = 1.0
"""Plain lines come at most this often."""


class Pace:
    """The rate at which Steps become complete."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def add(self, now: float, status: dict[str, Any]) -> None:
        """Note how many Steps are complete at a time in seconds."""
        complete = status["steps"]["complete"]
        if self._seen and complete < self._seen[-1][1]:
            self._seen.clear()
        self._seen.append((now, complete))
        while now - self._seen[0][0] > WINDOW_S and len(self._seen) > 2:
            self._seen.popleft()

    def rate(self) -> float:
        """Return Steps per second, 0 while unknown."""
        if len(self._seen) < 2:
            return 0.0
        (start, before), (end, after) = self._seen[0], self._seen[-1]
        return (after - before) / (end - start) if end > start else 0.0

    def words(self, status: dict[str, Any]) -> str:
        """Return "3 of 14 Steps complete, 11 waiting, 1.2 Steps/s, about 9 s left"."""
        return ", ".join(filter(None, [progress_words(status), self.speed_words(status)]))

    def speed_words(self, status: dict[str, Any]) -> str:
        """Return "1.2 Steps/s, about 9 s left", or nothing while unknown or when nothing is left."""
        steps = status["steps"]
        left = sum(steps.values()) - steps["complete"] - steps["failed"]
        if not self.rate() or not left:
            return ""
        return f"{amount(self.rate())} Steps/s, about {duration(left / self.rate())} left"


class Lines:
    """Chooses what is worth a line where nothing can be drawn over: changes, and not too many of them."""

    def __init__(self) -> None:
        self._last: tuple[Any, ...] = ()
        self._last_s = float("-inf")

    def worth(self, now: float, status: dict[str, Any], final: bool) -> bool:
        """Tell whether a status differs from the last line, and that line is old enough."""
        current = (status["state"], status["stalled"], tuple(status["steps"].items()))
        if current == self._last or (not final and now - self._last_s < LINE_EVERY_S):
            return False
        self._last, self._last_s = current, now
        return True


def amount(value: float) -> str:
    """Return a number with the three digits that count: "12,345", "12.3", "0.0123"."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """Return seconds in words: "9 s", "4 min", "2 h 5 min"."""
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
