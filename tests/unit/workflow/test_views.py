"""What readers are told: states in words, Keys that are lacking, failures, pages."""

from typing import Any

import pytest

from gaia_core.errors import UnknownName
from gaia_core.machine import queries
from gaia_core.machine import reports as rp
from gaia_core.machine import requests as rq
from gaia_core.workflow.model import Failure, FailureClass, StepSpec
from gaia_core.workflow.states import StepState, flow_state
from gaia_core.workflow.views import FAILED_SHOWN_MAX, INPUTS_SHOWN_MAX, PAGE_STEPS_MAX, Status
from tests.unit.machine.deployment import COMMANDS, Driver, copy, make


@pytest.fixture
def driver() -> Driver:
    driver = Driver()
    driver.join(slots=5000)
    return driver


def status(driver: Driver) -> Status:
    found = driver.ask(rq.GetStatus("flow"))
    assert isinstance(found, Status)
    return found


def counts(**numbers: int) -> list[int]:
    return [numbers.get(state.word, 0) for state in StepState]


@pytest.mark.parametrize(
    ("halted", "numbers", "state", "stalled"),
    [
        (True, {}, "halted", False),
        (True, {"failed": 1}, "halted", False),
        (False, {}, "initialized", False),
        (False, {"running": 1, "failed": 1}, "running", False),
        (False, {"ready": 1, "failed": 1}, "running", False),
        (False, {"retrying": 1, "failed": 1, "waiting": 1}, "running", False),
        (False, {"failed": 1, "waiting": 5, "complete": 2}, "error", False),
        (False, {"waiting": 1, "complete": 2}, "running", True),
        (False, {"complete": 2}, "complete", False),
    ],
)
def test_the_first_rule_that_holds_is_the_state(
    halted: bool, numbers: dict[str, int], state: str, stalled: bool
) -> None:
    """Halted, initialized, running, error, stalled, complete: in that order."""
    assert flow_state(halted, counts(**numbers)) == (state, stalled)


def test_lacking_keys_come_missing_ones_first(driver: Driver) -> None:
    """`waiting-inputs` holds what waiting Steps lack, what no Step will produce first; `missing-inputs` only this."""
    driver.upload(make("a", "a"), copy("b", "a", "b"), copy("c", "outside", "c"), copy("d", "c", "d"))
    found = status(driver)
    assert found.waiting_inputs[0] == "outside"
    assert sorted(found.waiting_inputs) == ["a", "c", "outside"]
    assert (found.waiting_inputs_count, found.missing_inputs) == (3, ("outside",))
    driver.arrive("outside")
    driver.run_all()
    assert (status(driver).waiting_inputs, status(driver).state) == ((), "complete")


def test_lists_are_bounded_and_counts_are_not(driver: Driver) -> None:
    """At most a thousand Keys and a hundred failures are shown; the counts tell all."""
    many = INPUTS_SHOWN_MAX + 5
    driver.upload(
        StepSpec("r", "copy", {"in": "outside/{{n}}"}, {}, {"n": tuple(range(many))}),
        StepSpec("f", "make", {}, {}, {"n": tuple(range(FAILED_SHOWN_MAX + 5))}),
    )
    fences = [driver.fence(step.name) for step in driver.flow().by_alias["f"]]
    driver.say("w", *(rp.Failed(fence, Failure(FailureClass.COMMAND, "it failed")) for fence in fences))
    found = status(driver)
    assert (len(found.waiting_inputs), found.waiting_inputs_count) == (INPUTS_SHOWN_MAX, many)
    assert len(found.missing_inputs) == INPUTS_SHOWN_MAX
    assert (len(found.failed), found.steps["failed"]) == (FAILED_SHOWN_MAX, FAILED_SHOWN_MAX + 5)


def test_failures_are_shown_with_where_and_why(driver: Driver) -> None:
    """A failed Step is shown with its attempt, worker and failure; once it runs again it is not."""
    driver.upload(make("a", "a"), copy("b", "a", "b"))
    driver.fail("a", FailureClass.OUTPUT_MISSING)
    (failed,) = status(driver).failed
    assert (failed.step, failed.attempt, failed.worker, failed.failure.message) == ("a", 1, "w", "it failed")
    assert status(driver).state == "error"
    driver.ask(rq.Run("flow"))
    assert status(driver).failed == ()


def test_status_names_the_commands_and_counts_the_steps(driver: Driver) -> None:
    """A plain status holds the Commands and the number of Steps by state."""
    driver.upload(make("a", "a"), copy("b", "a", "b"))
    found = status(driver)
    assert found.commands == COMMANDS
    assert {word: number for word, number in found.steps.items() if number} == {"running": 1, "waiting": 1}


def test_workflows_are_listed_by_name_and_filtered(driver: Driver) -> None:
    """Sorted by name; filters by prefix, owner and state; properties as given."""
    driver.upload(make("a", "a"), name="b_two", colour={"deep": [1, None]})
    driver.upload(name="a_one")
    driver.upload(name="a_two", owner="b")
    filters: list[dict[str, str]] = [{}, {"prefix": "a_"}, {"owner": "b"}, {"state": "running"}]
    names = [[line.name for line in driver.ask(rq.ListWorkflows(**one))] for one in filters]
    assert names == [["a_one", "a_two", "b_two"], ["a_one", "a_two"], ["a_two", "b_two"], ["b_two"]]
    (line,) = driver.ask(rq.ListWorkflows(state="running"))
    assert (line.properties, line.steps["running"], line.created_ms) == ({"colour": {"deep": [1, None]}}, 1, 1_000)


def test_updated_follows_the_last_event(driver: Driver) -> None:
    """A workflow's time of update is that of its last event, not of the last look at it."""
    driver.upload(make("a", "a"))
    driver.now_ms = 5_000
    driver.complete("a")
    driver.now_ms = 9_000
    status(driver)
    (line,) = driver.ask(rq.ListWorkflows())
    assert (line.created_ms, line.updated_ms) == (1_000, 5_000)


def test_steps_are_paged(driver: Driver) -> None:
    """A page holds Steps by index with their Keys; the last one names no next."""
    driver.upload(make("s", "o/{{n}}", vars={"n": (0, 1, 2)}), copy("r", "x", "y"))
    page, following = driver.ask(rq.ListSteps("flow", page_size=3))
    assert ([step.name for step in page], following) == (["s-0", "s-1", "s-2"], 3)
    (last,), end = driver.ask(rq.ListSteps("flow", page_start=following, page_size=3))
    assert end == 0
    assert (last.name, last.state, last.inputs, last.outputs, last.missing) == (
        "r", "waiting", {"in": "x"}, {"out": "y"}, 1,
    )  # fmt: skip


def test_a_page_is_bounded(driver: Driver) -> None:
    """However much is asked for, a page has its limit."""
    driver.upload(make("s", "o/{{n}}", vars={"n": tuple(range(PAGE_STEPS_MAX + 1))}))
    page, following = driver.ask(rq.ListSteps("flow", page_size=10**9))
    assert (len(page), following) == (PAGE_STEPS_MAX, PAGE_STEPS_MAX)


def test_steps_are_filtered(driver: Driver) -> None:
    """Steps are found by how their name begins, by state and by Command."""
    driver.upload(make("s", "o/{{n}}", vars={"n": (0, 1, 2)}), copy("r", "x", "y"))
    driver.complete("s-1")

    def found(**filters: Any) -> list[str]:
        return [step.name for step in driver.ask(rq.ListSteps("flow", **filters))[0]]

    assert found(prefix="s-") == ["s-0", "s-1", "s-2"]
    assert found(states=("complete", "waiting")) == ["s-1", "r"]
    assert found(command="copy") == ["r"]
    assert found(command="copy", prefix="s") == []


def test_looking_for_steps_is_bounded(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that finds nothing among many Steps ends early and tells where to go on."""
    monkeypatch.setattr(queries, "STEPS_SCANNED_MAX", 2)
    driver.upload(make("s", "o/{{n}}", vars={"n": (0, 1, 2)}), copy("r", "x", "y"))
    assert driver.ask(rq.ListSteps("flow", prefix="r")) == ([], 2)
    page, following = driver.ask(rq.ListSteps("flow", prefix="r", page_start=2))
    assert ([step.name for step in page], following) == (["r"], 0)


def test_an_unknown_workflow_is_told_with_the_nearest(driver: Driver) -> None:
    """A workflow that does not exist is an error with a suggestion."""
    driver.upload(name="flow")
    with pytest.raises(UnknownName, match="did you mean 'flow'"):
        driver.ask(rq.GetStatus("flwo"))
