"""Where the logs of a Step are to be looked for."""

import pytest

from gaia_core.errors import NotAllowedNow, UnknownName
from gaia_core.machine import requests as rq
from gaia_core.machine.logs import LogTarget
from gaia_core.workflow.model import StepSpec
from tests.unit.machine.deployment import Driver, make


@pytest.fixture
def driver() -> Driver:
    """A deployment with a worker."""
    driver = Driver()
    driver.join()
    return driver


def find(driver: Driver, name: str) -> LogTarget:
    found: LogTarget = driver.ask(rq.FindLog("flow", name))
    return found


def test_a_step_is_found_with_its_latest_attempt(driver: Driver) -> None:
    """While it runs, when it is complete, and again when it has to run anew."""
    driver.upload(make("other", "x"), make("a", "a"))
    began_ms = driver.state.now_ms
    running = find(driver, "a")
    assert (running.workflow, running.uid, running.step, running.name, running.attempt) == ("flow", 1, 1, "a", 1)
    assert (running.is_running, running.is_over, running.executor) == (True, False, "noop")
    assert running.ready_since_ms <= began_ms
    driver.complete("a")
    done = find(driver, "a")
    assert (done.attempt, done.is_running, done.is_over, done.is_complete) == (1, False, True, True)
    driver.ask(rq.Expire("flow", ("step:a",)))
    assert find(driver, "a").attempt == 2


def test_a_name_that_stands_for_one_step_is_enough(driver: Driver) -> None:
    """Of a sweep with one element, say; one that stands for several, or for none, is refused."""
    driver.upload(
        StepSpec("one", "make", {}, {"out": "one-{{n}}"}, {"n": ("1",)}),
        StepSpec("many", "make", {}, {"out": "many-{{n}}"}, {"n": tuple(map(str, range(9)))}),
    )
    assert find(driver, "one").name == "one-1"
    with pytest.raises(NotAllowedNow, match="stands for 9 Steps") as several:
        find(driver, "many")
    assert several.value.hint == "name one of them: many-0, many-1, many-2, many-3, many-4 and 4 more"
    with pytest.raises(UnknownName, match="did you mean 'one-1'"):
        find(driver, "one-l")
