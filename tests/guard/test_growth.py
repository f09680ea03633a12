"""What is asked or happens costs as much as it concerns, not as much as there is: the same counts at two sizes."""

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from gaia_core.machine import requests as rq
from gaia_core.workflow.model import StepSpec
from tests.guard.counting import Cost, cost_of, place_of
from tests.guard.figures import PARTS
from tests.guard.plant import Plant, chain, wide

SMALL, LARGE = 1_000, 10_000
CREDIT = 100

SAME = 1.02
"""A heap of ten times as many is a little higher; a walk over all of them takes ten times as long."""

SAME_MEMORY = 1.2
"""Dictionaries grow in leaps."""

SHOWN = 5

ONE = StepSpec("new", "noop", {"before": "start"}, {"after": "new"})

QUESTIONS: dict[str, Callable[[], rq.Request]] = {
    "status": lambda: rq.GetStatus("flow"),
    "list of workflows": rq.ListWorkflows,
    "first page of Steps": lambda: rq.ListSteps("flow"),
    "why a Step waits": lambda: rq.Explain("flow", "s9"),
    "plan of expiring a Step": lambda: rq.PlanExpire("flow", ("s5",)),
    "expiring a Step": lambda: rq.Expire("flow", ("s5",)),
    "expiring a Key": lambda: rq.Expire("flow", ("out/6",)),
    "merging a Step": lambda: rq.Merge("flow", (ONE,)),
    "time": rq.Tick,
}


@pytest.fixture(scope="module")
def running() -> tuple[Plant, Plant]:
    """Two workflows of which some Steps are complete, some run and most are ready: a small one and a large one."""
    plants = []
    for size in (SMALL, LARGE):
        plant = Plant(CREDIT)
        plant.upload("flow", wide(size))
        plant.start("flow")
        plant.round()
        plants.append(plant)
    return plants[0], plants[1]


@pytest.mark.parametrize("what", QUESTIONS)
def test_a_question_costs_as_much_as_its_answer(what: str, running: tuple[Plant, Plant]) -> None:
    """A small question about a large workflow is answered without looking through the workflow."""
    small, large = (cost_of(lambda plant=plant: plant.ask(QUESTIONS[what]())) for plant in running)
    _assert_same(small, large)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("shape", [wide, chain])
def test_a_completion_among_many_steps_costs_the_same(shape: Callable[[int], list[StepSpec]], part: str) -> None:
    """However many Steps there are, ready, complete or behind it, a completion concerns those that read its outputs."""
    _assert_same(*(_completions(shape, size)[part] for size in (SMALL, LARGE)))


@pytest.mark.parametrize("part", PARTS)
def test_a_completion_among_many_workflows_costs_the_same(part: str) -> None:
    """However many other workflows have ready Steps, a completion costs the same."""
    _assert_same(*(_completions(wide, 10, workflows)[part] for workflows in (SMALL // 10, LARGE // 10)))


@cache
def _completions(shape: Callable[[int], list[StepSpec]], size: int, workflows: int = 1) -> dict[str, Cost]:
    """Return what some batches of completions cost each part."""
    plant = Plant(CREDIT)
    for number in range(workflows):
        plant.upload(f"flow{number}", shape(size))
    for number in range(workflows):
        plant.start(f"flow{number}")
    plant.round()
    costs = {part: Cost() for part in PARTS}

    def count(part: str, act: Callable[[], Any]) -> None:
        with costs[part].counted():
            act()

    for _ in range(3):
        plant.round(count)
    return costs


def _assert_same(small: Cost, large: Cost) -> None:
    """Compare what was counted at two sizes; name what has grown."""
    before, after = small.figures(1), large.figures(1)
    grown = {what: (before[what], after[what]) for what in before if after[what] > SAME * before[what]}
    if large.peak_bytes > SAME_MEMORY * small.peak_bytes:
        grown["bytes of memory at once"] = (small.peak_bytes, large.peak_bytes)
    if grown:
        words = [f"{what}: {little:,.0f} → {much:,.0f}" for what, (little, much) in grown.items()]
        more = (large.lines - small.lines).most_common(SHOWN)
        lines = [f"{count:+9,} lines in {place_of(code)} {code.co_qualname}" for code, count in more]
        pytest.fail("\n".join(["It grows with what there is:", *words, *lines]), pytrace=False)
