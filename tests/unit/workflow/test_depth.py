"""Workflows as deep as they get: nothing here may recurse."""

import sys

import pytest

from gaia_core.errors import InvalidWorkflow
from gaia_core.machine import requests as rq
from gaia_core.workflow.model import StepSpec
from tests.unit.machine.deployment import Driver, copy, make

DEPTH = 10_000


@pytest.fixture(scope="module")
def chain() -> list[StepSpec]:
    assert sys.getrecursionlimit() < DEPTH
    return [make("s0", "k0"), *(copy(f"s{n}", f"k{n - 1}", f"k{n}") for n in range(1, DEPTH))]


def test_a_chain_of_ten_thousand_steps_is_checked_and_run(
    chain: list[StepSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is taken, a completion makes the next one ready, and what follows from an expiry is found to its end."""
    monkeypatch.setattr("gaia_core.workflow.invariants.check", lambda _: None)  # compares every Key with every other
    driver = Driver()
    driver.join()
    driver.upload(*chain)
    driver.complete("s0")
    assert driver.step("s1").state.word == "running"
    assert len(driver.ask(rq.PlanExpire("flow", ("s0",))).steps) == DEPTH
    driver.ask(rq.Expire("flow", ("s0",)))
    assert (driver.step("s0").state.word, driver.step("s1").state.word) == ("running", "waiting")


def test_a_circle_of_ten_thousand_steps_is_told(chain: list[StepSpec]) -> None:
    """However long it is, it is one problem with a place."""
    driver = Driver()
    with pytest.raises(InvalidWorkflow) as refusal:
        driver.upload(copy("s0", f"k{DEPTH - 1}", "k0"), *chain[1:])
    assert refusal.value.problems
    assert driver.state.workflows == {}
