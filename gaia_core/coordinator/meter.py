"""What a server counts of its work, for whoever measures it: plain numbers that live as long as the process.

Fed by the loop, once per batch, from what it decided; never by the pure core, and without locks: one thread writes,
others read what may be a moment old. How it is shown is the business of `gaia_core.service.metrics`.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from operator import attrgetter
from typing import Any, Final

from gaia_core.machine.decision import Decision
from gaia_core.machine.effects import SendDispatches
from gaia_core.workflow import events as ev

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Bounds for what Gaia itself takes."""

LONG_SECONDS: Final = (0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 3600.0, 14_400.0, 86_400.0)
"""Bounds for what users' programs take, and for waits in the queue."""

_READY_SINCE: Final = attrgetter("ready_since_ms")

SIZES: Final = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000)


class Tally:
    """How many values lie below each of a few bounds; equal values are counted at once.

    Args:
        bounds: ascending; a value belongs to the first that is not below it.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.sum = 0.0
        self._counts = [0] * (len(bounds) + 1)

    def add(self, value: float, count: int = 1) -> None:
        """Count a value, as often as it was seen."""
        self._counts[bisect_left(self.bounds, value)] += count
        self.sum += value * count

    def cumulated(self) -> list[int]:
        """Return how many values lie at or below each bound, and last how many there are."""
        return list(accumulate(self._counts))


class Meter:
    """Counts of one server, over all its terms.

    Attributes:
        terms: how often it took office.
        entries: journal entries that it appended.
        entry_bytes: of those.
        append_s: how long each took to become durable.
        batch: Steps dispatched or completed, or other events, that one entry holds.
        dispatched: attempts that were ordered.
        queued_s: from READY to the order, for each of these.
        completed: attempts that were accepted.
        run_s: how long their programs ran.
        failed: attempts by (class, whether the Step has failed for good).
        queue_timed_out: Steps that failed for want of a worker.
        stopped: attempts that were to stop and have ended.
        given_back: attempts that workers gave back unstarted.
        refused: reports that did not count, by cause.
        set_aside: records that nobody could use, by log.
    """

    def __init__(self) -> None:
        self.terms = 0
        self.entries = 0
        self.entry_bytes = 0
        self.append_s = Tally(SECONDS)
        self.batch = Tally(SIZES)
        self.dispatched = 0
        self.queued_s = Tally((*SECONDS, *LONG_SECONDS[6:]))
        self.completed = 0
        self.run_s = Tally(LONG_SECONDS)
        self.failed: Counter[tuple[str, bool]] = Counter()
        self.queue_timed_out = 0
        self.stopped = 0
        self.given_back = 0
        self.refused: Counter[str] = Counter()
        self.set_aside: Counter[str] = Counter()

    def appended(self, took_s: float, size_bytes: int) -> None:
        """Note an entry that has become durable."""
        self.entries += 1
        self.entry_bytes += size_bytes
        self.append_s.add(took_s)

    def decided(self, decision: Decision, took_s: float) -> None:
        """Note what a batch led to.

        Args:
            decision: of the whole batch.
            took_s: until it was durable.
        """
        size = 0
        for event in decision.events:
            note = _NOTES.get(type(event))
            size += note(self, event) if note is not None else 1
        if size:
            self.batch.add(size)
        now_ms = decision.state.now_ms
        for effect in decision.effects:
            if type(effect) is SendDispatches:
                self.dispatched += len(effect.steps)
                self._wait(now_ms, map(_READY_SINCE, effect.steps), took_s)

    def _wait(self, now_ms: int, since_ms: Iterable[int], took_s: float) -> None:
        """Count how long Steps were READY; most of a batch became so together."""
        for ready_ms, count in Counter(since_ms).items():
            self.queued_s.add((now_ms - ready_ms) / 1000 + took_s, count)

    def note_completed(self, event: ev.StepsCompleted) -> int:
        """Count accepted attempts."""
        count = len(event.steps)
        self.completed += count
        for run_ms, equal in Counter(event.run_ms).items():
            self.run_s.add(run_ms / 1000, equal)
        return count

    def note_failed(self, event: ev.AttemptFailed) -> int:
        """Count a failed attempt."""
        self.failed[event.failure.kind.name, event.retry_at_ms is None] += 1
        return 1

    def note_queue_timed_out(self, event: ev.QueueTimedOut) -> int:
        """Count Steps that no worker took."""
        self.queue_timed_out += len(event.steps)
        return len(event.steps)

    def note_stopped(self, event: ev.AttemptsEnded) -> int:
        """Count attempts that were to stop."""
        self.stopped += len(event.steps)
        return len(event.steps)

    def note_given_back(self, event: ev.AttemptsGivenBack) -> int:
        """Count attempts that were not started."""
        self.given_back += len(event.steps)
        return len(event.steps)


_NOTES: Final[dict[type, Callable[[Meter, Any], int]]] = {
    ev.StepsDispatched: lambda _, event: len(event.steps),
    ev.StepsCompleted: Meter.note_completed,
    ev.AttemptFailed: Meter.note_failed,
    ev.QueueTimedOut: Meter.note_queue_timed_out,
    ev.AttemptsEnded: Meter.note_stopped,
    ev.AttemptsGivenBack: Meter.note_given_back,
}
