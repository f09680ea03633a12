"""How many attempts a worker holds beyond its slots: as many as it ends while an end is told and the next order comes.

A slot stands idle for that round trip if nothing waits here. What waits here could run elsewhere, so no more is held
than that: two, unless programs are quick. Measured anew with each heartbeat. Called by `gaia_worker.agent`, which lets
one thread in at a time.
"""

import math
from collections import deque
from collections.abc import Callable
from statistics import median
from typing import Final

PREFETCH: Final = 2
"""At least: enough for programs that take tens of milliseconds."""

PREFETCH_MAX: Final = 4096

MARGIN: Final = 2
"""Round trips that are hidden: they differ, and a rate that is measured while slots wait is too low."""

STEP: Final = 2
"""A change by less than this factor is not told: each one is journaled."""

ROUND_TRIP_MAX_S: Final = 1.0
"""What takes longer was no answer to an end: there was nothing to do."""

SAMPLES_MAX: Final = 1000


class Pace:
    """Measures one worker."""

    def __init__(self, slots: int, clock: Callable[[], float]) -> None:
        """Begin with the least.

        Args:
            slots: attempts that run at the same time.
            clock: seconds that never go back.
        """
        self.prefetch = PREFETCH
        self._slots = slots
        self._clock = clock
        self._since_s = clock()
        self._ends = 0
        self._unanswered: deque[float] = deque()
        self._round_trips: deque[float] = deque(maxlen=SAMPLES_MAX)

    def ended(self, held: int) -> None:
        """Note an end.

        Args:
            held: attempts that wait or run, this one included. Only a worker that holds all it may is waited for.
        """
        now_s = self._clock()
        self._ends += 1
        self._forget_late(now_s)
        if held + len(self._unanswered) >= self._slots + self.prefetch:
            self._unanswered.append(now_s)
        else:
            self._unanswered.clear()

    def began(self) -> None:
        """Note that an attempt came."""
        now_s = self._clock()
        self._forget_late(now_s)
        if self._unanswered:
            self._round_trips.append(now_s - self._unanswered.popleft())

    def adapt(self) -> None:
        """Set `prefetch` by what was seen since the last time, where that makes a difference."""
        now_s = self._clock()
        if self._round_trips and now_s > self._since_s:
            rate = self._ends / (now_s - self._since_s)
            wanted = math.ceil(MARGIN * rate * median(self._round_trips))
            wanted = min(max(wanted, PREFETCH), PREFETCH_MAX)
            if wanted >= STEP * self.prefetch or wanted * STEP <= self.prefetch:
                self.prefetch = wanted
                self._unanswered.clear()
        self._ends, self._since_s = 0, now_s
        self._round_trips.clear()

    def _forget_late(self, now_s: float) -> None:
        while self._unanswered and now_s - self._unanswered[0] > ROUND_TRIP_MAX_S:
            self._unanswered.popleft()
