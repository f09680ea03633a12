"""From the moments at which things were told to rates and latencies. Pure; seconds in, milliseconds out."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from math import ceil
from typing import Any, Final, NamedTuple

from gaia_client.bench.flows import number_of

RESOLUTION_S: Final = 0.001
"""Events are dated to the millisecond."""

MERGES_PER_S: Final = 50
"""Steps that arrive faster than this arrive several at a time, as a program would send them."""

ARRIVALS_S_MAX: Final = 30.0
ARRIVALS_MOST: Final = 20_000
"""A server keeps the latest 50,000 events of a workflow, so these are all still there for one that reads slowly."""


class Schedule(NamedTuple):
    """When Steps arrive: so many merges, so far apart, each of so many Steps."""

    merges: int
    steps_per_merge: int
    every_s: float

    @property
    def steps(self) -> int:
        """Return the number of all Steps."""
        return self.merges * self.steps_per_merge

    def due_s(self, number: int) -> float:
        """Return when a merge is due, after the beginning."""
        return number * self.every_s


def schedule_for(steps_per_s: float, most: int) -> Schedule:
    """Return how about as many Steps arrive at a rate, at most so many and in at most half a minute."""
    steps = max(1, min(most, ARRIVALS_MOST, int(steps_per_s * ARRIVALS_S_MAX)))
    per_merge = min(ceil(steps_per_s / MERGES_PER_S), steps)
    return Schedule(steps // per_merge, per_merge, per_merge / steps_per_s)


def rate(steps: int, began: Mapping[str, Any], ended: Mapping[str, Any]) -> tuple[float, float]:
    """Return the seconds from one event to another, by the server's clock, and Steps per second."""
    took_s = max(dated_s(ended) - dated_s(began), RESOLUTION_S)
    return took_s, steps / took_s


def gaps_ms(began_s: float, completions: Iterable[Mapping[str, Any]]) -> list[float]:
    """Return how long each Step of a chain took, from what was told of the one before it to what was told of it."""
    in_order = sorted(completions, key=lambda event: number_of(event["step"]))
    moments = [began_s, *(event["came-s"] for event in in_order)]
    return [1000 * (after - before) for before, after in pairwise(moments)]


def clocks_apart_s(events: Iterable[Mapping[str, Any]]) -> float:
    """Return the client's clock less the server's, and the time that telling an event takes at the least.

    Args:
        events: with the moments at which they came.
    """
    return min(float(event["came-s"]) - dated_s(event) for event in events)


def latencies_ms(
    schedule: Schedule, began_s: float, completions: Iterable[Mapping[str, Any]], apart_s: float
) -> list[float]:
    """Return how long each Step took from the moment at which it was due until its completion was told.

    A merge that was sent late counts from when it was due, so what makes it late is not left out. An event that was
    told late, because a watcher may not slow down what it watches, counts as if it had come with the quickest.

    Args:
        schedule: when merges were due.
        began_s: when it began, by the client's clock.
        completions: events of all Steps.
        apart_s: what `clocks_apart_s` found.
    """
    return [
        1000 * (dated_s(event) + apart_s - began_s - schedule.due_s(number_of(event["step"]))) for event in completions
    ]


def share(values: Sequence[float], percent: float) -> float:
    """Return the smallest of some values that so many per cent of them do not exceed."""
    return sorted(values)[max(ceil(len(values) * percent / 100), 1) - 1]


def dated_s(event: Mapping[str, Any]) -> float:
    """Return the moment that the server dated an event with."""
    return datetime.fromisoformat(event["time"]).timestamp()
