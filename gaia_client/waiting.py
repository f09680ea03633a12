"""Ask again and again until a workflow has come to rest; time comes in from outside."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from gaia_core.errors import Unavailable

FIRST_PAUSE_S: Final = 0.05
PAUSE_FACTOR: Final = 1.5
PAUSE_MAX_S: Final = 0.5

OUTAGE_MAX_S: Final = 60.0
"""So long a waiting client forgives a server that does not answer, on top of what every call forgives."""

RESTING: Final = frozenset({"initialized", "complete", "error", "halted"})


STALLED_S: Final = 1.5
"""A workflow counts as stalled only after so long: Keys that lie in the store may be on their way."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Where time comes from and how it passes; both in seconds."""

    now: Callable[[], float]
    sleep: Callable[[float], None]


def at_rest(status: dict[str, Any]) -> bool:
    """Tell whether nothing will change by itself: no Steps, complete, error, halted, or stalled."""
    return status["state"] in RESTING or bool(status["stalled"])


def wait(
    ask: Callable[[], dict[str, Any]],
    clock: Clock,
    timeout_s: float | None,
    on_progress: Callable[[dict[str, Any]], None] | None,
) -> dict[str, Any]:
    """Return the first status at rest.

    Args:
        ask: gives a status.
        clock: the time.
        timeout_s: seconds to wait at most; None means for ever.
        on_progress: called with every status, the last one included.

    Raises:
        TimeoutError: not at rest in time; the message tells how far it got.
        Unavailable: the server stayed away for longer than a minute.
    """
    start = answered = clock.now()
    pause = FIRST_PAUSE_S
    status: dict[str, Any] | None = None
    stalled_since: float | None = None
    while True:
        try:
            status = ask()
            answered = clock.now()
        except Unavailable:
            if status is None or clock.now() - answered > OUTAGE_MAX_S:
                raise
        else:
            if on_progress:
                on_progress(status)
            stalled_since = (stalled_since or answered) if status["stalled"] else None
            patient = stalled_since is not None and answered - stalled_since < STALLED_S
            if at_rest(status) and not patient:
                return status
        left = None if timeout_s is None else start + timeout_s - clock.now()
        if left is not None and left <= 0:
            raise TimeoutError(f"Still {status['state']} after {timeout_s:g} s: {progress_words(status)}")
        clock.sleep(pause if left is None else min(pause, left))
        pause = min(pause * PAUSE_FACTOR, PAUSE_MAX_S)


def progress_words(status: dict[str, Any]) -> str:
    """Return Steps by state in a few words: "3 of 14 Steps complete, 2 running, 9 waiting"."""
    steps = status["steps"]
    others = [f"{steps[state]} {state}" for state in steps if state != "complete" and steps[state]]
    total = sum(steps.values())
    noun = "Step" if total == 1 else "Steps"
    return ", ".join([f"{steps['complete']} of {total} {noun} complete", *others])
