"""What is measured: a workflow of each shape, turned by hand, and what a Step of it takes where, and in which log."""

from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any, Final, NamedTuple

from gaia_core.machine.state import Deployment
from gaia_core.wire.journal import Entry, decode_entry, encode_entry
from gaia_core.workflow import events as ev
from gaia_core.workflow.model import StepSpec
from tests.guard.counting import Cost, memory_of, place_of
from tests.guard.plant import CREDIT, NOOP, NOW_MS, Plant, chain, sweep, wide

STEPS: Final = 1_250
ROUNDS: Final = 2
"""Between a first batch and a last one, which are not like the others."""


class Shape(NamedTuple):
    """A workflow.

    Attributes:
        batch: how many of its Steps end together.
        rounds: how many batches are counted.
    """

    specs: Callable[[int], list[StepSpec]]
    batch: int
    rounds: int


PARTS: Final = ("leader", "worker", "publisher")

SHAPES: Final = {
    "wide": Shape(wide, CREDIT, ROUNDS),
    "sweep": Shape(sweep, CREDIT, ROUNDS),
    "chain": Shape(chain, 1, 100),
}


class Measured(NamedTuple):
    """The figures of a workflow, and what those of a part of Gaia (leader, worker, publisher) are made of."""

    figures: dict[str, float]
    costs: dict[str, Cost]
    steps: int

    def dearest(self, part: str, most: int | None = None) -> list[str]:
        """Return where most lines of a part are run, and what it calls most, per Step."""
        cost = self.costs[part]
        lines = Counter({f"lines in {place_of(code)} {code.co_qualname}": n for code, n in cost.lines.items()})
        calls = Counter({f"calls of {name}": n for name, n in (cost.c_calls + cost.messages).items()})
        found = lines.most_common(most) + calls.most_common(most)
        return [f"{count / self.steps:8.2f} {what}" for what, count in found]


@cache
def measured(name: str) -> Measured:
    """Measure a workflow of one shape."""
    shape = SHAPES[name]
    plant = Plant()
    plant.upload("flow", shape.specs(STEPS))
    plant.start("flow")
    plant.round()
    costs = {part: Cost() for part in PARTS}
    flushed = plant.bus.flushes
    before = {log: counted.now() for log, counted in plant.logs.items()}

    def count(part: str, act: Callable[[], Any]) -> None:
        with costs[part].counted():
            act()

    for _ in range(shape.rounds):
        plant.round(count)
    steps = shape.batch * shape.rounds
    flushes = plant.bus.flushes - flushed
    figures = {
        f"{part}: {what} per Step": figure
        for part, cost in costs.items()
        for what, figure in cost.figures(steps).items()
        if part == "leader" or what != "lines that decide"
    }
    figures["gaia.steps: flushes per batch"] = flushes / shape.rounds
    for log, counted in plant.logs.items():
        writes, records, size = (now - then for now, then in zip(counted.now(), before[log], strict=True))
        figures[f"gaia.{log}: writes per batch"] = writes / shape.rounds
        figures[f"gaia.{log}: records per batch"] = records / shape.rounds
        figures[f"gaia.{log}: bytes per Step"] = size / steps
    size, followed = memory_of(waiting(shape.specs(STEPS)))
    figures["memory: bytes per waiting Step"] = size / STEPS
    figures["memory: objects followed by the garbage collector per waiting Step"] = followed / STEPS
    return Measured(figures, costs, steps)


def waiting(specs: list[StepSpec]) -> Callable[[], Deployment]:
    """Return what makes a deployment with a workflow that waits, as its journal tells it."""
    created = ev.WorkflowCreated(1, "flow", "somebody", {})
    events = (created, ev.CommandsSet(1, (NOOP,)), ev.StepsMerged(1, tuple(specs)))
    entry = encode_entry(Entry(0, 0, NOW_MS, events))

    def make() -> Deployment:
        state = Deployment()
        state.now_ms = NOW_MS
        for event in decode_entry(entry).events:
            state.apply(event)
        return state

    return make
