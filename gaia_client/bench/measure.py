"""The measure itself: warm up, Steps side by side, a chain, Steps that arrive by themselves; then who ran them."""

import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Final

from gaia_client.bench import crew, figures, flows
from gaia_client.bench.course import TICK_S, Course, Progress
from gaia_client.bench.made import Made
from gaia_client.client import Gaia
from gaia_core.errors import NotAllowedNow
from gaia_core.version import VERSION

WARM_STEPS: Final = 10
WARM_STEPS_MOST: Final = 1_000
LEAD_S: Final = 0.1
"""The first merge is due a moment after everything is prepared for it."""

COMPLETED: Final = "step_completed"
KEY_CAME: Final = "key_available"

Result = dict[str, Any]
Phase = Callable[[str, int, int], AbstractContextManager[Progress]]
"""Shows one part of the measure: what it is, how many Steps it has, and how many were complete before it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured.

    Attributes:
        crew: the workers that there are for it.
        timeout_s: give up when nothing becomes complete for so many seconds.
    """

    program: flows.Program
    size: crew.Size
    crew: crew.Workers
    timeout_s: float


class Measure:
    """One measure of one Gaia."""

    def __init__(
        self, flow: Gaia, made: Made, plan: Plan, phase: Phase, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._flow = flow
        self._made = made
        self._plan = plan
        self._phase = phase
        self._now_s = now_s
        self._commands = flows.commands(plan.program)
        self._workers: list[str] = []

    def run(self) -> Result:
        """Measure everything, one after the other.

        Raises:
            GaiaError: it cannot be measured; the message tells why.
            TimeoutError: it does not get on.
        """
        wide = self._wide()
        chain, apart_s = self._chain()
        through_s = wide["upload-s"] + wide["seconds"]
        arrivals = self._arrivals(self._plan.size.wide / through_s / 2, apart_s)
        known = crew.by_name(self._plan.crew, self._flow.workers())
        took_part = crew.took_part(known, self._workers)
        return {
            "version": VERSION,
            "image": self._plan.program.image,
            "command": list(self._plan.program.command),
            "workers": [{name: each[name] for name in ("name", "pool", "executor", "host")} for each in took_part],
            "executors": crew.executors(took_part),
            "credit": crew.credit_of(took_part),
            "wide": wide,
            "chain": chain,
            "arrivals": arrivals,
            "workflows": list(self._made.names),
        }

    def _wide(self) -> Result:
        """Measure Steps that are all ready at the same moment."""
        count = self._plan.size.wide
        slots = sum(each["slots"] for each in self._plan.crew)
        warm = min(max(slots, WARM_STEPS), WARM_STEPS_MOST)
        first, *others = flows.wide(count)
        began_s = self._now_s()
        name = self._made.upload("wide", self._commands, first)
        for part in others:
            self._made.merge(name, part).result()
        upload_s = self._now_s() - began_s
        self._made.merge(name, flows.warm(warm)).result()
        course = Course(self._flow, name, self._plan.timeout_s)
        with course.shown(self._phase("warming up", warm, 0)):
            course.await_complete(warm)
        with course.shown(self._phase("side by side", count, warm)):
            before = course.update["sequence"]
            self._flow.put(name, flows.START_KEY, b"now")
            began = self._event(name, before + 1, KEY_CAME)
            course.await_complete(count + warm)
        ended = self._event(name, course.update["sequence"])
        seconds, steps_per_s = figures.rate(count, began, ended)
        return {
            "steps": count,
            "steps-per-s": round(steps_per_s, 1),
            "seconds": round(seconds, 4),
            "upload-s": round(upload_s, 3),
            "attempts": self._attempts(name, count),
        }

    def _chain(self) -> tuple[Result, float]:
        """Measure Steps one after the other; return how far the clocks are apart, too."""
        count = self._plan.size.chain
        name = self._made.upload("chain", self._commands, flows.chain(count))
        course = Course(self._flow, name, self._plan.timeout_s, (COMPLETED,), self._now_s)
        with course.shown(self._phase("one after the other", count, 0)):
            began_s = self._now_s()
            self._flow.put(name, flows.START_KEY, b"now")
            course.await_events(count)
        self._note(course)
        gaps = figures.gaps_ms(began_s, course.events)
        result = {
            "steps": count,
            "ms-per-step": {**_shares(gaps, median=50, p90=90), "mean": round(fmean(gaps), 3)},
        }
        return result, figures.clocks_apart_s(course.events)

    def _arrivals(self, steps_per_s: float, apart_s: float) -> Result:
        """Measure Steps that come when they come, whether or not those before them are complete."""
        schedule = figures.schedule_for(steps_per_s, self._plan.size.wide)
        name = self._made.upload("arrivals", self._commands, [])
        course = Course(self._flow, name, self._plan.timeout_s, (COMPLETED,), self._now_s)
        with course.shown(self._phase("arriving", schedule.steps, 0)):
            began_s = self._now_s() + LEAD_S
            self._send(schedule, began_s, name, course)
            course.await_events(schedule.steps)
        self._note(course)
        apart_s = min(apart_s, figures.clocks_apart_s(course.events))
        latencies = figures.latencies_ms(schedule, began_s, course.events, apart_s)
        return {
            "steps": schedule.steps,
            "steps-per-s": round(steps_per_s, 1),
            "steps-per-merge": schedule.steps_per_merge,
            "ms": {**_shares(latencies, p50=50, p99=99), "max": round(max(latencies), 3)},
        }

    def _send(self, schedule: figures.Schedule, began_s: float, name: str, course: Course) -> None:
        """Send every merge when it is due, and take in what is told meanwhile."""
        sent = []
        for number in range(schedule.merges):
            due_s = began_s + schedule.due_s(number)
            while (left_s := due_s - self._now_s()) > 0:
                course.turn(min(left_s, TICK_S))
            sent.append(self._made.merge(name, flows.arrival(number, schedule.steps_per_merge)))
            _raise_failures(sent)
        for merge in sent:
            merge.result()

    def _event(self, name: str, sequence: int, *kinds: str) -> Result:
        """Return the first event from a number on, of all or of these kinds; it is known to be there."""
        with closing(self._flow.watch(name, sequence, kinds=kinds)) as events:  # type: ignore[type-var]
            return next(events)

    def _note(self, course: Course) -> None:
        """Remember who ran what."""
        self._workers += {event["worker"] for event in course.events}

    def _attempts(self, name: str, count: int) -> int:
        """Return how many attempts the wide Steps took, and remember who made them.

        Raises:
            NotAllowedNow: somebody has changed the workflow since it was complete.
        """
        found = list(self._flow.steps(name, prefix="wide-"))
        states = Counter(step["state"] for step in found)
        if states != {"complete": count}:
            raise NotAllowedNow(f"Somebody changed {name}: {count} Steps were complete, and are now {dict(states)}.")
        self._workers += {step["worker"] for step in found}
        return sum(step["attempt"] for step in found)


def _shares(values: list[float], **percents: float) -> dict[str, float]:
    return {name: round(figures.share(values, percent), 3) for name, percent in percents.items()}


def _raise_failures(sent: list[Any]) -> None:
    """Raise what went wrong with a merge, and forget those that are done."""
    for merge in [merge for merge in sent if merge.done()]:
        merge.result()
        sent.remove(merge)
