"""The order in which ready Steps run: priority, turns, limits, and entries that no longer count."""

from gaia_core.machine import requests as rq
from gaia_core.workflow.model import Options
from tests.unit.machine.deployment import Driver, copy, make


def wide(driver: Driver, name: str, count: int, **properties: object) -> None:
    driver.upload(make("s", "o/{{n}}", vars={"n": tuple(range(count))}), name=name, **properties)


def order(driver: Driver, rounds: int, *flows: str) -> list[str]:
    """Complete what runs, one after the other, and return the workflows in the order their Steps ran."""
    ran = []
    for _ in range(rounds):
        name, step = next(
            (f, s.name) for f in flows for s in driver.flow(f).steps.values() if s.state.word == "running"
        )
        ran.append(name)
        driver.complete(step, name=name)
    return ran


def running(driver: Driver, flow: str) -> list[str]:
    return [name for name, word in driver.states(flow).items() if word == "running"]


def test_workflows_take_turns_also_with_a_single_slot() -> None:
    """A wide workflow leaves a narrow one every other turn, however little credit there is at a time."""
    driver = Driver()
    wide(driver, "wide", 20)
    wide(driver, "narrow", 3)
    driver.join(slots=1)
    assert order(driver, 6, "wide", "narrow") == ["wide", "narrow", "wide", "narrow", "wide", "narrow"]


def test_many_workflows_take_turns() -> None:
    """Every workflow comes up before any comes up twice."""
    driver = Driver()
    flows = [f"flow{n}" for n in range(5)]
    for name in flows:
        wide(driver, name, 3)
    driver.join(slots=1)
    ran = order(driver, 10, *flows)
    assert sorted(ran[:5]) == flows
    assert sorted(ran[5:]) == flows


def test_a_higher_priority_runs_first_and_equal_ones_in_order() -> None:
    """Within a workflow priority decides, then the order in which Steps became ready."""
    driver = Driver()
    driver.upload(
        make("a", "a"),
        make("low", "l", options=Options(priority=-1)),
        make("b", "b"),
        make("c", "c", options=Options(priority=7)),
    )
    driver.join(slots=1)
    assert driver.run_all() == ["c", "a", "b", "low"]


def test_max_parallel_holds_over_all_pools() -> None:
    """No more than max_parallel Steps of a workflow run at once, whatever pools they are of."""
    driver = Driver()
    driver.join()
    driver.join("g", pool="gpu")
    driver.upload(make("a", "a"), make("b", "b", options=Options(pool="gpu")), make("c", "c"), max_parallel=2)
    assert len(running(driver, "flow")) == 2
    driver.run_all()
    assert set(driver.states().values()) == {"complete"}


def test_a_workflow_at_its_limit_leaves_the_credit_to_others() -> None:
    """max_parallel of one workflow does not hold another one up."""
    driver = Driver()
    wide(driver, "limited", 5, max_parallel=1)
    wide(driver, "free", 3)
    driver.join(slots=4)
    assert (len(running(driver, "limited")), len(running(driver, "free"))) == (1, 3)


def test_a_halted_workflow_keeps_its_place() -> None:
    """What is ready in a halted workflow runs once it is resumed."""
    driver = Driver()
    wide(driver, "flow", 3)
    driver.ask(rq.Halt("flow"))
    driver.join()
    assert running(driver, "flow") == []
    driver.ask(rq.Run("flow"))
    assert len(running(driver, "flow")) == 3


def test_a_step_that_changes_its_priority_is_queued_once() -> None:
    """An entry that no longer counts is passed over: a Step runs once, at its new priority."""
    driver = Driver()
    driver.upload(make("a", "a"), make("b", "b"))
    driver.merge(make("b", "b", options=Options(priority=3)))
    driver.merge(make("a", "a", options=Options(priority=9)))
    driver.merge(make("a", "a"))
    driver.join(slots=1)
    assert driver.run_all() == ["b", "a"]
    assert [driver.step(name).attempt for name in "ab"] == [1, 1]


def test_a_step_that_changes_its_pool_leaves_the_old_one() -> None:
    """A Step that was ready for one pool and is meant for another runs only there."""
    driver = Driver()
    driver.upload(make("a", "a"))
    driver.merge(make("a", "a", options=Options(pool="gpu")))
    driver.join()
    assert driver.states() == {"a": "ready"}
    driver.join("g", pool="gpu")
    assert driver.step("a").worker == "g"


def test_a_step_that_waits_again_does_not_run() -> None:
    """A ready Step whose input was taken away is not dispatched."""
    driver = Driver()
    driver.upload(copy("a", "x", "y"))
    driver.arrive("x")
    driver.ask(rq.Expire("flow", ("x",)))
    driver.join()
    assert driver.states() == {"a": "waiting"}
