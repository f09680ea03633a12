"""How much there is of everything: what stands in a pool, and what more workers of it could do now."""

from gaia_core.machine import requests as rq
from gaia_core.machine.figures import Figures, PoolFigures
from gaia_core.machine.reports import Hello
from gaia_core.workflow.model import Options
from tests.unit.machine.deployment import Driver, copy, make


def figures(driver: Driver) -> Figures:
    """Return them, and let the invariants be checked."""
    found: Figures = driver.ask(rq.GetFigures())
    return found


def test_steps_and_workflows_are_counted_by_state() -> None:
    """Over all workflows; every state of Steps is there, also without any."""
    driver = Driver()
    driver.upload(make("a", "k"), copy("b", "k", "l"))
    driver.upload(make("a", "k"), name="other")
    driver.ask(rq.Halt("other"))
    found = figures(driver)
    assert found.steps == {"waiting": 1, "ready": 2, "running": 0, "retrying": 0, "complete": 0, "failed": 0}
    assert found.workflows == {"running": 1, "halted": 1, "archived": 0}


def test_ready_steps_are_those_that_more_workers_could_take() -> None:
    """Not those of a halted workflow, nor those that its max_parallel holds back."""
    driver = Driver()
    driver.upload(make("a", "k"), make("b", "l"))
    driver.upload(make("a", "k"), name="halted")
    driver.ask(rq.Halt("halted"))
    assert figures(driver).pools["default"].ready == 2
    driver.ask(
        rq.Upload("few", {"max_parallel": 1}, tuple(driver.flow().commands.values()), (make("a", "k"), make("b", "l")))
    )
    assert figures(driver).pools["default"].ready == 3


def test_a_workflow_in_several_pools_is_counted_in_each() -> None:
    """Steps are counted where they wait; what was taken back does not count, at the latest where all was."""
    driver = Driver()
    driver.upload(
        make("a", "k"), make("b", "l", options=Options(pool="big")), make("c", "m", options=Options(pool="big"))
    )
    assert {pool: one.ready for pool, one in figures(driver).pools.items()} == {"default": 1, "big": 2}
    driver.ask(rq.Remove("flow", ("b", "c")))
    assert figures(driver).pools["default"].ready == 1
    driver.ask(rq.Remove("flow", ("a",)))
    assert figures(driver).pools == {}


def test_workers_are_counted_by_pool() -> None:
    """With what they hold, and what they may still be given; those that drain take nothing."""
    driver = Driver()
    driver.join("w", slots=2, prefetch=1)
    driver.join("x", slots=4)
    driver.say("x", Hello("default", 4, 0, 0, 0, "noop", "host", draining=True))
    driver.upload(make("a", "k"))
    assert figures(driver).pools == {
        "default": PoolFigures(ready=0, held=1, workers=2, draining=1, slots=2, credit=2),
    }
