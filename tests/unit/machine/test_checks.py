"""A check refuses exactly what the call would refuse, in the same words, and changes nothing."""

from typing import Any

import pytest

from gaia_core.errors import AlreadyExists, InvalidWorkflow, NotAllowedNow, Problem, RequestError, UnknownName
from gaia_core.machine import requests as rq
from gaia_core.workflow.form.items import Reading
from gaia_core.workflow.model import Command, StepSpec
from gaia_core.workflow.parse import read_commands, read_steps
from gaia_core.workflow.validate import Rules
from tests.unit.machine.deployment import COMMANDS, COPY, Driver, copy, make


@pytest.fixture
def driver() -> Driver:
    """A deployment with a workflow, the name of a deleted one whose files are still there, and rules for buckets."""
    driver = Driver()
    driver.join()
    driver.upload(make("a", "a"), copy("b", "a", "b"))
    driver.rules = Rules(buckets=frozenset(["allowed"]))
    driver.ask(rq.SetCommands("doomed", COMMANDS))
    driver.ask(rq.Delete("doomed", data=True))
    return driver


def refusal(driver: Driver, request: rq.Request) -> tuple[type[RequestError], str, str, tuple[Problem, ...]] | None:
    """How a request is refused, if it is."""
    try:
        driver.ask(request)
    except RequestError as error:
        return type(error), error.message, error.hint, error.problems
    return None


STEPS: dict[str, tuple[tuple[StepSpec, ...], dict[str, Any]]] = {
    "sound": ((make("c", "c"),), {}),
    "overlap": ((make("c", "a"),), {}),
    "bucket": ((copy("c", "other:k", "c"),), {}),
    "stale": ((make("c", "c"),), {"expected_revision": 7}),
    "stale and wrong": ((make("c", "a"),), {"expected_revision": 7}),
    "expected": ((make("c", "c"),), {"expected_revision": 3}),
    "pruned": ((make("a", "o/{{n}}", vars={"n": (1,)}),), {"prune": True}),
}


@pytest.mark.parametrize("name", ["flow", "new", "doomed", "no/name", ""])
@pytest.mark.parametrize("given", STEPS)
def test_a_check_of_steps_is_refused_as_their_merge(driver: Driver, name: str, given: str) -> None:
    """By name, revision, buckets and all that Steps may be wrong with."""
    steps, more = STEPS[given]
    checked = refusal(driver, rq.CheckSteps(name, Reading(steps), **more))
    assert checked == refusal(driver, rq.Merge(name, steps, **more))


CHANGES: dict[str, tuple[tuple[Command, ...], dict[str, Any]]] = {
    "sound": ((Command("other", "i", ("x",)),), {}),
    "breaks": ((Command("copy", "i", ("x",), {"from": "/in"}, {"out": "/out"}),), {}),
    "wrong": ((Command("copy", "i", ("{{",), {"from": "/in"}, {"out": "/out"}),), {}),
    "stale": ((COPY,), {"expected_revision": 7}),
    "none": ((), {}),
}


@pytest.mark.parametrize("name", ["flow", "new", "doomed", "no/name", ""])
@pytest.mark.parametrize("given", CHANGES)
def test_a_check_of_commands_is_refused_as_their_change(driver: Driver, name: str, given: str) -> None:
    """A check without Commands is one of looking at them."""
    commands, more = CHANGES[given]
    checked = refusal(driver, rq.CheckCommands(name, Reading(commands), **more))
    assert checked == refusal(driver, rq.SetCommands(name, commands, **more))


@pytest.mark.parametrize("name", ["flow", "new", "doomed", "no/name", ""])
@pytest.mark.parametrize("steps", [(make("c", "c"),), (make("c", "c"), make("d", "c")), (copy("c", "other:k", "c"),)])
def test_a_check_of_an_upload_is_refused_as_the_upload(driver: Driver, name: str, steps: tuple[StepSpec, ...]) -> None:
    """A name that is taken, or not free yet, refuses both, with all that is wrong beside."""
    checked = refusal(driver, rq.CheckUpload(name, Reading(COMMANDS), Reading(steps)))
    assert checked == refusal(driver, rq.Upload(name, {}, COMMANDS, steps))


def test_what_stands_in_the_way_comes_with_all_problems(driver: Driver) -> None:
    """The class tells what to do first, the problems what else."""
    with pytest.raises(AlreadyExists) as taken:
        driver.ask(rq.Upload("flow", {}, COMMANDS, (make("c", "/c"),)))
    assert [problem.place for problem in taken.value.problems] == ["steps[0].outputs.out"]
    with pytest.raises(NotAllowedNow, match="still being deleted") as doomed:
        driver.ask(rq.Merge("doomed", (make("c", "c"),)))
    assert [problem.place for problem in doomed.value.problems] == ["steps[0].command"]
    with pytest.raises(NotAllowedNow, match="has revision 3, not 7") as stale:
        driver.ask(rq.Remove("flow", ("nothing",), expected_revision=7))
    assert stale.value.problems == ()


def test_problems_of_form_are_told_with_those_that_a_check_finds(driver: Driver) -> None:
    """What was not understood, or is not known, keeps nothing else back; a name that was not is not told again."""
    steps = read_steps([{"name": "c", "command": "nope", "inputs": 5, "outputs": {"out": "a"}}])
    with pytest.raises(InvalidWorkflow) as refused:
        driver.ask(rq.CheckSteps("flow", steps))
    places = ["steps[0].inputs", "steps[0].command", "steps[0].outputs.out"]
    assert [problem.place for problem in refused.value.problems] == places
    with pytest.raises(InvalidWorkflow) as refused:
        driver.ask(rq.CheckSteps(None, steps))
    assert [problem.place for problem in refused.value.problems] == ["steps[0].inputs"]
    commands = read_commands([{"name": "copy", "image": "i", "command": [], "inputs": {"from": "/in"}}])
    for name in ("flow", None):
        with pytest.raises(InvalidWorkflow) as refused:
            driver.ask(rq.CheckCommands(name, commands))
        assert len(refused.value.problems) == (4 if name else 1)
    with pytest.raises(InvalidWorkflow) as refused:
        driver.ask(rq.CheckUpload(None, commands, steps, (Problem("properties", "must be a map"),)))
    assert refused.value.problems[0].place == "properties"


def test_a_list_of_commands_that_is_none_is_refused_as_such(driver: Driver) -> None:
    """It is no question for the Commands there are."""
    with pytest.raises(InvalidWorkflow, match="1 problem"):
        driver.ask(rq.CheckCommands("new", read_commands("copy")))
    assert driver.ask(rq.CheckCommands(None, Reading(()))) is None
    with pytest.raises(UnknownName):
        driver.ask(rq.CheckCommands("new", Reading(())))
