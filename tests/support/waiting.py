"""The one place where tests let time pass: wait for a condition, never for a duration."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


class TooLate(AssertionError):
    """Say that a condition did not hold before its deadline."""


def wait_until(
    condition: Callable[[], Result | None],
    what: str,
    *,
    deadline_s: float = 10.0,
    every_s: float = 0.05,
    evidence: Callable[[], str] | None = None,
) -> Result:
    """Return the first truthy value of condition.

    Args:
        condition: asked at once and then every every_s; an exception of it passes through.
        what: names the awaited thing in the error.
        deadline_s: seconds after which to give up.
        every_s: pause between two questions.
        evidence: its text is appended to the error, for example the end of a log.
    Raises:
        TooLate: the condition did not hold within deadline_s.
    """
    end = time.monotonic() + deadline_s
    while not (value := condition()):
        if time.monotonic() >= end:
            details = f"\n{evidence()}" if evidence else ""
            raise TooLate(f"waited {deadline_s:g} s in vain for {what}{details}")
        time.sleep(every_s)
    return value
