"""Which worker gets which Step: pools, credit, load."""

from collections import Counter

import pytest

from gaia_core.machine import reports as rp
from gaia_core.machine import requests as rq
from gaia_core.scheduling import fleet
from gaia_core.workflow.model import Options
from tests.unit.machine.deployment import Driver, make


def wide(driver: Driver, count: int) -> None:
    driver.upload(make("s", "o/{{n}}", vars={"n": tuple(range(count))}))


def shares(driver: Driver) -> Counter[str]:
    return Counter(step.worker for step in driver.flow().steps.values() if step.state.word == "running")


def test_work_is_spread_by_load_per_slot() -> None:
    """The least loaded worker comes first, measured by its slots."""
    driver = Driver()
    driver.join("big", slots=6)
    driver.join("small", slots=3)
    wide(driver, 6)
    assert shares(driver) == {"big": 4, "small": 2}


def test_idle_slots_come_before_prefetch() -> None:
    """Nothing is prefetched while another worker has an idle slot."""
    driver = Driver()
    driver.join("greedy", slots=1, prefetch=10)
    driver.join("plain", slots=3)
    wide(driver, 4)
    assert shares(driver) == {"greedy": 1, "plain": 3}


def test_nobody_gets_more_than_its_credit() -> None:
    """Slots and prefetch together bound what a worker holds; the rest stays ready."""
    driver = Driver()
    driver.join("a", slots=2, prefetch=1)
    driver.join("b", slots=1)
    wide(driver, 10)
    assert shares(driver) == {"a": 3, "b": 1}
    assert driver.flow().counts[1] == 6


def test_a_stopping_attempt_takes_its_slot_until_it_ends() -> None:
    """Credit comes back with the end of an attempt, not with its cancel."""
    driver = Driver()
    driver.join("a", slots=1)
    wide(driver, 1)
    driver.ask(rq.Expire("flow", ("s",)))
    assert shares(driver) == {}


def test_pools_are_kept_apart() -> None:
    """A Step goes to workers of its pool only, and a full pool does not hold another one up."""
    driver = Driver()
    driver.join("cpu", slots=1)
    driver.join("gpu", slots=1, pool="gpu")
    gpu = Options(pool="gpu")
    driver.upload(*(make(f"g{n}", f"g{n}", options=gpu) for n in range(3)), *(make(f"c{n}", f"c{n}") for n in range(3)))
    assert shares(driver) == {"cpu": 1, "gpu": 1}
    assert {step.name[0] for step in driver.flow().steps.values() if step.worker == "gpu"} == {"g"}


def test_a_worker_without_slots_counts_as_one() -> None:
    """A hello that names no slots still gets work."""
    driver = Driver()
    driver.join("odd", slots=0)
    wide(driver, 2)
    assert shares(driver) == {"odd": 1}


def test_prefetch_is_bounded() -> None:
    """A worker may not hoard: what it declares is cut."""
    driver = Driver()
    driver.join("greedy", slots=1, prefetch=10**6)
    assert driver.state.fleet.workers["greedy"].credit == 4_097


def test_a_worker_that_was_only_silent_works_again() -> None:
    """A worker that was given up and says hello again, as each of its heartbeats does, is taken in again."""
    driver = Driver()
    driver.join("w", slots=2)
    wide(driver, 1)
    driver.ask(rq.LoseWorker("w", "i1", "silent"))
    assert driver.state.fleet.workers == {}
    driver.join("w", slots=2)
    assert driver.state.fleet.workers["w"].slots == 2
    assert (driver.step("s-0").worker, driver.step("s-0").attempt) == ("w", 2)


def test_a_worker_whose_name_was_taken_stays_out() -> None:
    """An older incarnation that wakes up does not push its successor out; once that has left, it may come back."""
    driver = Driver()
    driver.join("w")
    driver.join("w", incarnation="i2")
    driver.join("w")
    assert driver.state.fleet.workers["w"].incarnation == "i2"
    driver.ask(rq.LoseWorker("w", "i2", "silent"))
    driver.join("w")
    assert driver.state.fleet.workers["w"].incarnation == "i1"


def test_a_draining_worker_gets_nothing_new() -> None:
    """A worker that says it drains keeps what it holds and is given no more."""
    driver = Driver()
    driver.join("w", slots=1)
    wide(driver, 2)
    driver.say("w", rp.Hello("default", 1, 0, 0, 0, "noop", "host", draining=True))
    driver.complete("s-0")
    assert driver.states() == {"s-0": "complete", "s-1": "ready"}


def test_those_that_left_are_remembered_within_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest incarnations that left are forgotten first."""
    monkeypatch.setattr(fleet, "LEFT_MAX", 2)
    driver = Driver()
    for number in range(3):
        driver.join("w", incarnation=f"i{number}")
        driver.say("w", rp.Goodbye("drained"), incarnation=f"i{number}")
    assert list(driver.state.fleet.left) == [("w", "i1"), ("w", "i2")]
