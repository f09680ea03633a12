"""What Steps demand and workers have: admission, passing over, keeping a worker free, and what is restored."""

from typing import Any

import pytest

from gaia_core.errors import InvariantBroken
from gaia_core.machine import reports as rp
from gaia_core.machine import requests as rq
from gaia_core.scheduling import invariants, placement, ready
from gaia_core.scheduling.amounts import NOTHING, Amounts, capacity_of, demand_of
from gaia_core.scheduling.fleet import AttemptId
from gaia_core.workflow.model import Options, Resources, StepSpec
from tests.unit.machine.deployment import MAKE, Driver, make

GIB = 2**30


def needs(cpus: float | None = None, memory: int | None = None, gpus: int | None = None, **more: Any) -> Options:
    """Settings of a Step with demands."""
    return Options(resources=Resources(cpus, memory, gpus), **more)


def machine(cpus: float = 4.0, memory_gib: int = 8, gpus: int = 0) -> Resources:
    """What a worker has."""
    return Resources(cpus, memory_gib * GIB, gpus)


def sweep(name: str, count: int, options: Options, **more: Any) -> StepSpec:
    return make(name, f"{name}/{{{{n}}}}", vars={"n": tuple(range(count))}, options=options, **more)


def running(driver: Driver, flow: str = "flow") -> list[str]:
    return [step.name for step in driver.flow(flow).steps.values() if step.state.word == "running"]


def later(driver: Driver, seconds: float) -> None:
    driver.now_ms += int(seconds * 1000)
    driver.ask(rq.Tick())


def test_amounts_are_whole_numbers() -> None:
    """Parts of processors add up to the same in any order; what is not given is no demand and no limit."""
    assert demand_of(None) == demand_of(Resources()) == NOTHING
    tenth = demand_of(Resources(cpus=0.1))
    assert tenth.plus(tenth).plus(tenth) == demand_of(Resources(cpus=0.3))
    assert demand_of(Resources(cpus=0.0001)).milli_cpus == 1
    assert demand_of(Resources(8.0, 2**50, 99)).fits(capacity_of(Resources()))
    assert not demand_of(Resources(gpus=1)).fits(capacity_of(machine()))
    assert Amounts(1500, 7, 2).in_resources() == Resources(1.5, 7, 2)
    assert Amounts(3, 2, 1).minus(Amounts(1, 1, 1)) == Amounts(2, 1, 0)


@pytest.mark.parametrize(
    ("demand", "fit"),
    [(needs(cpus=1.5), 2), (needs(memory=3 * GIB), 2), (needs(gpus=1), 1), (needs(cpus=4.1), 0), (Options(), 6)],
)
def test_a_worker_never_holds_more_than_it_has(demand: Options, fit: int) -> None:
    """What all attempts on a worker demand together, those that wait included, stays within what it has."""
    driver = Driver()
    driver.join(slots=3, prefetch=3, resources=machine(gpus=1))
    driver.upload(sweep("s", 9, demand))
    assert len(running(driver)) == fit


def test_a_step_goes_where_there_is_room() -> None:
    """The least loaded of the workers with room gets it, not the least loaded of all."""
    driver = Driver()
    driver.join("small", slots=9, resources=machine(cpus=1))
    driver.join("large", slots=2, resources=machine(cpus=4))
    driver.upload(sweep("s", 2, needs(cpus=2)), make("one", "one", options=needs(cpus=1)))
    assert [driver.step(name).worker for name in ("s-0", "s-1", "one")] == ["large", "large", "small"]


def test_a_worker_that_does_not_tell_what_it_has_takes_everything() -> None:
    """Workers of others, and of earlier versions, are given Steps by their slots alone."""
    driver = Driver()
    driver.join(slots=2)
    driver.upload(sweep("s", 3, needs(cpus=64, memory=2**45, gpus=8)))
    assert len(running(driver)) == 2


def test_room_comes_back_with_the_end_of_an_attempt() -> None:
    """Not with its cancel: until the program is gone it has what it was given, whatever the Step demands by now."""
    driver = Driver()
    driver.join(slots=4, resources=machine(cpus=4))
    driver.upload(make("a", "a", options=needs(cpus=3)), make("b", "b", options=needs(cpus=3)))
    stopped = driver.fence("a")
    driver.merge(make("a", "a", options=needs(cpus=1)))
    assert driver.state.fleet.workers["w"].used == demand_of(Resources(cpus=4))
    assert running(driver) == ["a"]
    driver.restart()
    driver.say("w", rp.Cancelled(stopped))
    assert driver.state.fleet.workers["w"].used == demand_of(Resources(cpus=4))
    assert running(driver) == ["a", "b"]
    driver.complete("a", "b")
    assert driver.state.fleet.workers["w"].used == NOTHING


def test_those_that_find_no_room_do_not_block_others() -> None:
    """Steps with smaller demands, and without any, pass those that fit nowhere now; also in the same workflow."""
    driver = Driver()
    driver.join(slots=9, resources=machine(cpus=4))
    driver.upload(
        sweep("big", 2, needs(cpus=3, priority=5)), sweep("small", 2, needs(cpus=1)), sweep("free", 2, Options())
    )
    assert sorted(running(driver)) == ["big-0", "free-0", "free-1", "small-0"]


def test_steps_of_different_demands_run_in_the_order_in_which_they_became_ready() -> None:
    """Within a priority no demand comes before another one that was ready earlier."""
    driver = Driver()
    driver.upload(
        make("a", "a", options=needs(cpus=1)), make("b", "b"), make("c", "c", options=needs(cpus=1)), make("d", "d")
    )
    driver.join(slots=1, resources=machine())
    assert driver.run_all() == ["a", "b", "c", "d"]


def test_a_higher_priority_goes_first_whatever_it_demands() -> None:
    """Priority counts before the order among Steps that have room."""
    driver = Driver()
    driver.upload(make("a", "a"), make("b", "b", options=needs(cpus=1, priority=1)))
    driver.join(slots=1, resources=machine())
    assert driver.run_all() == ["b", "a"]


def busy(driver: Driver, flows: tuple[str, ...] = ("small",)) -> None:
    """Let a worker be full of Steps of one processor, with many more behind, and then a Step of three come."""
    driver.join(slots=4, prefetch=1, resources=machine(cpus=4))
    for flow in flows:
        driver.upload(sweep("s", 200, needs(cpus=1)), name=flow)
    driver.now_ms += 1
    driver.upload(make("big", "big", options=needs(cpus=3)), name="flow")


def finish_one(driver: Driver, flow: str = "small") -> None:
    driver.complete(running(driver, flow)[0], name=flow)


def test_a_large_step_does_not_starve() -> None:
    """After half a minute its worker takes no other Steps with demands until it fits; before, it is passed over."""
    driver = Driver()
    busy(driver)
    for _ in range(9):
        finish_one(driver)
    assert driver.states()["big"] == "ready"
    later(driver, 31)
    for left in (3, 2):
        finish_one(driver)
        assert len(running(driver, "small")) == left
    finish_one(driver)
    assert running(driver) == ["big"]
    assert len(running(driver, "small")) == 1
    driver.complete("big")
    assert len(running(driver, "small")) == 4


def test_while_a_worker_is_kept_free_steps_without_demands_go_on_there() -> None:
    """They take nothing that the large Step needs, but for one place, which is left to it."""
    driver = Driver()
    busy(driver)
    driver.upload(sweep("f", 50, Options()), name="free")
    later(driver, 31)
    for _ in range(9):
        finish_one(driver, "small" if running(driver, "small") else "free")
        if running(driver):
            break
    assert running(driver) == ["big"]
    assert running(driver, "free")


def test_what_is_waited_for_may_go_elsewhere_or_be_gone() -> None:
    """A Step that finds room on another worker, is halted or removed, or whose worker leaves, keeps nothing free."""
    for act in (
        lambda driver: driver.join("v", slots=1, resources=machine(cpus=3)),
        lambda driver: driver.ask(rq.Halt("flow")),
        lambda driver: driver.ask(rq.Remove("flow", ("big",))),
        lambda driver: driver.ask(rq.Delete("flow")),
    ):
        driver = Driver()
        busy(driver)
        later(driver, 31)
        finish_one(driver)
        assert driver.state.ready.reserved["default"].worker == "w"
        act(driver)
        finish_one(driver)
        finish_one(driver)
        assert len(running(driver, "small")) >= 4
        kept = driver.state.ready.reserved.get("default")
        assert kept is None or kept.step.name != "big"


def test_a_worker_that_can_no_longer_be_kept_free_is_given_up() -> None:
    """When the worker leaves that was kept free, another one is."""
    driver = Driver()
    busy(driver)
    driver.join("v", slots=4, resources=machine(cpus=4))
    driver.upload(sweep("s", 9, needs(cpus=1)), name="more")
    later(driver, 31)
    finish_one(driver)
    kept = driver.state.ready.reserved["default"].worker
    driver.ask(rq.LoseWorker(kept, "i1", "silent"))
    later(driver, 61)
    assert driver.state.ready.reserved["default"].worker == ({"v", "w"} - {kept}).pop()


def test_a_step_beyond_max_parallel_keeps_nothing_free() -> None:
    """What its workflow may not start does not hold others up."""
    driver = Driver()
    driver.join(slots=4, resources=machine(cpus=4))
    driver.upload(sweep("big", 2, needs(cpus=3)), make("free", "free", options=Options(priority=9)), max_parallel=2)
    later(driver, 61)
    driver.upload(make("late", "late", options=needs(cpus=1)), name="other")
    assert running(driver, "other") == ["late"]
    assert driver.state.ready.reserved == {}


def test_a_step_that_fits_nowhere_keeps_nothing_free() -> None:
    """Nobody waits for what no worker is large enough for."""
    driver = Driver()
    driver.join(slots=4, resources=machine(cpus=2))
    driver.upload(make("huge", "huge", options=needs(cpus=3)), sweep("s", 3, needs(cpus=1)))
    later(driver, 61)
    driver.complete("s-0")
    assert running(driver) == ["s-1", "s-2"]
    assert driver.state.ready.reserved == {}
    driver.join("v", slots=1, resources=machine(cpus=3))
    assert driver.step("huge").worker == "v"


def test_the_worker_that_lacks_least_is_kept_free() -> None:
    """By shares of what each has, of those that are large enough; what a worker has none of does not count."""
    driver = Driver()
    driver.join("a", slots=4, resources=machine(cpus=4))
    driver.join("b", slots=4, resources=machine(cpus=8))
    driver.join("tiny", slots=4, resources=machine(cpus=1))
    driver.upload(make("x", "x", options=needs(cpus=8)), make("y", "y", options=needs(cpus=3)))
    driver.now_ms += 1
    driver.upload(make("big", "big", options=needs(cpus=4)), make("late", "late", options=needs(cpus=5)), name="other")
    later(driver, 61)
    assert driver.state.ready.reserved["default"].worker == "b"
    assert driver.state.ready.reserved["default"].step.name == "big"


def test_many_demands_are_tried_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many different demands there are, a round looks at a few, and every one comes up."""
    monkeypatch.setattr(ready, "DEMANDS_TRIED_MAX", 3)
    driver = Driver()
    driver.join(slots=1, resources=machine(cpus=2))
    driver.upload(*(make(f"s{n}", f"o{n}", options=needs(cpus=9 - n)) for n in range(9)))
    for _ in range(9):
        driver.ask(rq.Tick())
    assert running(driver) == ["s7"]
    driver.complete("s7")
    for _ in range(9):
        driver.ask(rq.Tick())
    assert running(driver) == ["s8"]


def test_what_follows_a_worker_that_wrote_its_input_goes_there() -> None:
    """While that has an idle slot and room; no Step waits for it."""
    driver = Driver()
    driver.join("a", slots=2, resources=machine(cpus=2))
    driver.join("b", slots=2, resources=machine(cpus=2))
    driver.upload(make("first", "x", options=needs(cpus=1)))
    assert driver.step("first").worker == "a"
    near = [StepSpec(f"n{n}", "copy", {"in": "x"}, {"out": f"y{n}"}, {}, needs(cpus=1)) for n in range(4)]
    driver.merge(*near, make("other", "other"))
    driver.complete("other")
    driver.complete("first")
    assert [driver.step(f"n{n}").worker for n in range(4)] == ["a", "a", "b", "b"]


def test_a_writer_whose_worker_is_gone_or_full_counts_for_nothing() -> None:
    """Then the least loaded worker gets the Step, as ever; a Key from outside has no writer."""
    driver = Driver()
    driver.join("a", slots=1)
    driver.join("b", slots=2)
    driver.upload(make("first", "x"), StepSpec("next", "copy", {"in": "x"}, {"out": "y"}))
    driver.merge(make("fill", "fill", options=Options(priority=9)), make("full", "full", options=Options(priority=9)))
    assert driver.step("first").worker == "a"
    driver.ask(rq.Expire("flow", ("step:fill",)))
    driver.upload(make("more", "more", options=Options(priority=9)), name="other")
    driver.complete("first")
    assert driver.step("next").state.word in ("ready", "running")
    driver.arrive("in")
    driver.merge(StepSpec("outer", "copy", {"in": "in"}, {"out": "z"}))
    driver.join("c", slots=9)
    assert driver.step("outer").worker == "c"


def test_restored_from_a_snapshot_a_worker_is_as_full_as_before() -> None:
    """Demands, and since when attempts are held, are part of the state: of stopping attempts, too."""
    driver = Driver()
    driver.join(slots=4, resources=machine())
    driver.upload(sweep("s", 2, needs(cpus=1.25, memory=GIB)), make("plain", "plain"))
    driver.ask(rq.Expire("flow", ("s-0",)))
    before = driver.state.fleet.workers["w"]
    driver.restart()
    after = driver.state.fleet.workers["w"]
    assert after.used == before.used == Amounts(3750, 3 * GIB, 0)
    assert (after.demands, after.since_ms) == (before.demands, before.since_ms)
    assert after.resources == machine()


def test_what_a_worker_has_is_settled_with_its_first_hello() -> None:
    """A later hello of the same life, with other resources, changes them no more than its slots are asked for again."""
    driver = Driver()
    driver.join(slots=4, resources=machine(cpus=4))
    driver.upload(make("a", "a", options=needs(cpus=3)))
    driver.say("w", rp.Hello("default", 4, 0, 0, 0, "noop", "host", draining=True, resources=machine(cpus=1)))
    assert driver.state.fleet.workers["w"].resources == machine(cpus=4)


def test_invariants_name_what_is_wrong() -> None:
    """Each sum that is kept is compared with what it is the sum of."""
    driver = Driver()
    driver.join(slots=1, resources=machine())
    driver.upload(sweep("s", 2, needs(cpus=1)))
    state, worker = driver.state, driver.state.fleet.workers["w"]

    def broken() -> str:
        with pytest.raises(InvariantBroken) as problem:
            invariants.check(state.fleet, state.ready, state.workflows.values())
        return str(problem.value)

    driver.step("s-1").queued = None
    assert "s-1 of flow is ready and not queued" in broken()
    state.ready.pools.clear()
    assert "s-1 of flow is ready and not queued" in broken()
    worker.resources = machine(cpus=0.5)
    assert "w is over-committed" in broken()
    worker.used = NOTHING
    assert "used of w" in broken()
    worker.since_ms[AttemptId(9, 9, 9)] = 0
    assert "w keeps something" in broken()


def test_keeping_free_lasts_while_nobody_has_credit() -> None:
    """A full pool is not looked at, and what was settled for it stays."""
    driver = Driver()
    busy(driver)
    later(driver, 31)
    finish_one(driver)
    driver.upload(sweep("f", 50, Options()), name="free")
    kept = driver.state.ready.reserved["default"]
    later(driver, 1)
    assert driver.state.ready.reserved["default"] == kept
    assert placement.RESERVE_AFTER_MS == 30_000


def test_a_workflow_with_its_own_commands_demands_what_they_say() -> None:
    """A Command's demands hold for its Steps that have none of their own."""
    command = MAKE.__class__("make", "image", ("x",), {}, {"out": "/out"}, options=needs(cpus=3))
    driver = Driver()
    driver.join(slots=9, resources=machine(cpus=4))
    driver.upload(make("a", "a"), make("b", "b"), make("c", "c", options=needs(cpus=1)), commands=(command,))
    assert running(driver) == ["a", "c"]
