"""What people ask about workers and of them: the list, that some leave, and what a worker in trouble is spared."""

import pytest

from gaia_core.errors import InvalidWorkflow, UnknownName
from gaia_core.machine import reports as rp
from gaia_core.machine import requests as rq
from gaia_core.machine.effects import SendDrain
from gaia_core.machine.handle import handle
from gaia_core.machine.public import Announcer, WorkerChanged
from gaia_core.machine.unplaced import REMARKS_MAX, in_words, resources_in_words, size_in_words
from gaia_core.scheduling.amounts import Amounts
from gaia_core.workflow.model import Failure, FailureClass, Fence, Options, Resources
from tests.unit.machine.deployment import COMMANDS, Driver, copy, make

GIB = 2**30


def wide(driver: Driver, count: int, name: str = "flow") -> None:
    driver.upload(make("s", "o/{{n}}", vars={"n": tuple(range(count))}), name=name)


def hello(trouble: str = "", *, draining: bool = False, slots: int = 2) -> rp.Hello:
    return rp.Hello("default", slots, 0, 0, 0, "noop", "host", draining=draining, trouble=trouble)


def unstarted(driver: Driver, *steps: str) -> list[rp.Failed]:
    failure = Failure(FailureClass.LOST, "never begun")
    return [rp.Failed(driver.fence(step), failure, unstarted=True) for step in steps]


def explained(driver: Driver, step: str) -> str:
    return driver.ask(rq.Explain("flow", step))[0][0].summary


def remarks(driver: Driver, flow: str = "flow") -> tuple[str, ...]:
    return driver.ask(rq.GetStatus(flow)).remarks


# -- the list


def test_workers_are_listed_with_all_that_is_known_of_them() -> None:
    """By name; what each holds since when, what it has and how much of it is demanded."""
    driver = Driver()
    driver.join("b", slots=3, prefetch=1, resources=Resources(4.0, 8 * GIB, 1), version="0.1.0")
    driver.join("a", slots=1, pool="other")
    demand = Options(resources=Resources(cpus=1.5, memory_bytes=GIB))
    driver.upload(make("x", "x", options=demand), make("y", "y"), make("z", "z"))
    driver.now_ms += 500
    driver.merge(make("x", "x", options=demand))
    driver.ask(rq.Remove("flow", ("y",)))
    a, b = driver.ask(rq.ListWorkers())
    assert (a.name, a.pool, a.held, a.credit) == ("a", "other", (), 1)
    assert (b.credit, b.resources, b.version) == (0, Resources(4.0, 8 * GIB, 1), "0.1.0")
    assert b.used == Resources(3.0, 2 * GIB, 0)
    assert [(one.step, one.attempt, one.since_ms, one.stopping) for one in b.held] == [
        ("x", 1, 1_000, True), ("", 1, 1_000, True), ("z", 1, 1_000, False), ("x", 2, 1_500, False),
    ]  # fmt: skip
    driver.ask(rq.Delete("flow"))
    assert {one.workflow for one in driver.ask(rq.ListWorkers())[1].held} == {""}


def test_a_worker_may_hold_more_or_less_than_it_said_first() -> None:
    """Its hello is heeded where it says so; what it holds already stays, and watchers hear nothing of it."""
    driver, announcer = Driver(), Announcer()
    driver.join("w", slots=1, prefetch=1)
    announcer.follow(driver.now_ms, driver.events)
    wide(driver, 9)
    announcer.follow(driver.now_ms, driver.events)
    for prefetch, holds, credit in ((4, 5, 0), (2, 5, 0), (10**6, 9, 4_088)):
        driver.join("w", slots=1, prefetch=prefetch)
        told = announcer.follow(driver.now_ms, driver.events)
        assert not [one for one in told if isinstance(one.fact, WorkerChanged)]
        (worker,) = driver.ask(rq.ListWorkers())
        assert (worker.attempts, worker.credit) == (holds, credit)
    driver.join("w", slots=1, prefetch=10**6)
    assert driver.events == []


# -- draining


def test_a_worker_that_is_asked_to_leave_gets_nothing_more() -> None:
    """At once, and so in every replica and after a restart; what it runs goes on, and it leaves when that has ended."""
    driver = Driver()
    driver.join(slots=1)
    wide(driver, 2)
    answer = driver.ask(rq.Drain(("w",), rq.RequestId("one", b"body")))
    assert answer.names == ["w"]
    assert driver.effects == [SendDrain("w")]
    driver.restart()
    assert driver.ask(rq.Drain(("w",), rq.RequestId("one", b"body"))) == answer
    assert driver.effects == []
    assert driver.ask(rq.Drain(("w", "w"))).names == ["w", "w"]
    assert driver.effects == []
    driver.complete("s-0")
    driver.say("w", hello(draining=True))
    assert driver.ask(rq.ListWorkers())[0].draining
    assert driver.states() == {"s-0": "complete", "s-1": "ready"}
    driver.say("w", rp.Goodbye("drained"))
    assert driver.state.fleet.workers == {}
    driver.join(incarnation="i2")
    assert driver.states()["s-1"] == "running"


def test_what_a_leaving_worker_never_started_costs_nothing() -> None:
    """It is given back before the worker's own word that it drains was heard."""
    driver = Driver()
    driver.join(slots=1, prefetch=1)
    wide(driver, 2)
    driver.ask(rq.Drain(("w",)))
    driver.say("w", *unstarted(driver, "s-1"))
    assert driver.states() == {"s-0": "running", "s-1": "ready"}
    assert driver.step("s-1").disturbances == 0


def test_workers_that_are_not_there_cannot_be_asked_to_leave() -> None:
    """One unknown name refuses all, and nothing changes."""
    driver = Driver()
    driver.join("alpha")
    with pytest.raises(UnknownName) as refusal:
        driver.ask(rq.Drain(("alpha", "alpho")))
    assert [str(one) for one in refusal.value.problems] == [
        "names[1]: there is no worker 'alpho'; did you mean 'alpha'?"
    ]
    assert driver.state.fleet.workers["alpha"].is_open
    with pytest.raises(InvalidWorkflow):
        driver.ask(rq.Drain(()))


# -- trouble


def test_a_worker_in_trouble_gets_nothing_until_it_is_well() -> None:
    """What it gives back unstarted goes elsewhere for nothing; what it runs goes on."""
    driver = Driver()
    driver.join("w", slots=1, prefetch=1)
    wide(driver, 2)
    driver.say("w", hello("the disk is full"))
    assert driver.ask(rq.ListWorkers())[0].trouble == "the disk is full"
    driver.say("w", *unstarted(driver, "s-1"))
    assert driver.states() == {"s-0": "running", "s-1": "ready"}
    assert driver.step("s-1").disturbances == 0
    driver.restart()
    driver.complete("s-0")
    assert driver.states()["s-1"] == "ready"
    driver.say("w", hello())
    assert driver.states()["s-1"] == "running"


def test_a_worker_that_is_well_cannot_give_back_for_nothing() -> None:
    """It would be given the same Step again, and again."""
    driver = Driver()
    driver.join("w", slots=1, prefetch=1)
    wide(driver, 2)
    driver.say("w", *unstarted(driver, "s-1"))
    assert driver.step("s-1").disturbances == 1


def test_only_what_is_new_of_a_worker_is_journaled() -> None:
    """Hellos come with every heartbeat; other words of the same trouble are news, long ones are cut."""
    driver = Driver()
    driver.join("w", slots=2)
    seen = []
    for words in ("a", "a", "b" * 999, "b" * 999, "", ""):
        driver.say("w", hello(words))
        seen.append(len(driver.events))
    assert seen == [1, 0, 1, 0, 1, 0]
    driver.say("w", hello("b" * 999))
    assert len(driver.state.fleet.workers["w"].trouble) == 300


def test_watchers_are_told_how_workers_are() -> None:
    """Joined, in trouble, well, draining, left: each once."""
    driver, announcer = Driver(), Announcer()
    told = []
    for said in (hello(), hello("bad"), hello("bad"), hello(), hello("bad", draining=True), rp.Goodbye("drained")):
        driver.say("w", said)
        told += announcer.follow(driver.now_ms, driver.events)
    facts = [one.fact for one in told]
    assert facts == [
        WorkerChanged("w", "joined", "default"),
        WorkerChanged("w", "trouble", "default", "bad"),
        WorkerChanged("w", "well", "default"),
        WorkerChanged("w", "draining", "default", "bad"),
        WorkerChanged("w", "left", "", "left: drained"),
    ]


# -- why nobody runs it


def test_what_no_worker_can_ever_run_is_told_with_the_largest_worker() -> None:
    """No worker of the pool, all leaving, all too small, all that could in trouble: in explain and in the status."""
    driver = Driver()
    needs = Options(resources=Resources(cpus=3.0, memory_bytes=16 * GIB))
    driver.upload(make("big", "big", options=needs), make("more", "more", options=needs), copy("c", "in", "c"))
    no_worker = "there is no worker of pool 'default'"
    assert explained(driver, "big") == f"is ready; {no_worker}"
    assert remarks(driver) == (f"big is ready, and {no_worker}",)
    driver.join("flat", slots=1, resources=Resources(8.0, 4 * GIB, 0))
    driver.join("fat", slots=1, resources=Resources(2.0, 64 * GIB, 0))
    words = (
        "no worker of pool 'default' can ever run it: it demands 3 cpus and 16 GiB of memory, and the largest, 'flat', "
        "has 8 cpus, 4 GiB of memory and 0 gpus"
    )
    assert explained(driver, "big") == f"is ready; {words}"
    assert remarks(driver) == (f"big is ready, and {words}",)
    driver.join("ill", slots=1, resources=Resources(4.0, 64 * GIB, 0), trouble="its engine is gone")
    words = "every worker of pool 'default' that is large enough is in trouble: 'ill' says: its engine is gone"
    assert explained(driver, "more") == f"is ready; {words}"
    driver.ask(rq.Halt("flow"))
    assert remarks(driver) == ()


def test_what_only_has_to_wait_is_no_remark() -> None:
    """No room now, all full, a worker that is kept free: told by explain alone."""
    driver = Driver()
    driver.join(slots=3, resources=Resources(cpus=4.0))
    needs = Options(resources=Resources(cpus=3.0))
    driver.upload(make("a", "a", options=needs), make("b", "b", options=needs))
    assert explained(driver, "b") == "is ready; no worker of pool 'default' has 3 cpus free now"
    driver.now_ms += 60_000
    driver.ask(rq.Tick())
    assert explained(driver, "b") == "is ready; worker 'w' is being kept free for it"
    driver.merge(make("c", "c"), make("d", "d", options=Options(resources=Resources(cpus=2.0))), make("e", "e"))
    assert explained(driver, "d") == "is ready; no worker of pool 'default' has 2 cpus free now"
    driver.complete("a")
    driver.merge(make("f", "f"), make("g", "g"), make("h", "h"))
    assert explained(driver, "d") == "is ready; every worker of pool 'default' that is large enough is full"
    assert explained(driver, "h") == "is ready; every worker of pool 'default' is full"
    assert remarks(driver) == ()


def test_remarks_are_few() -> None:
    """Each cause once, with the first Step of it, and so many at most."""
    driver = Driver()
    driver.upload(*(make(f"s{n}", f"o{n}", options=Options(pool=f"p{n // 2}")) for n in range(40)))
    told = remarks(driver)
    assert len(told) == REMARKS_MAX
    assert told[0] == "s0 is ready, and there is no worker of pool 'p0'"


def test_amounts_in_words() -> None:
    """As people say them; what is nothing, or not told, is left out."""
    assert in_words(Amounts(500, 0, 2)) == "0.5 cpus and 2 gpus"
    assert in_words(Amounts(1000, 0, 1)) == "1 cpu and 1 gpu"
    assert in_words(Amounts(0, 1536, 0)) == "1.5 KiB of memory"
    assert resources_in_words(Resources(2.0, None, 0)) == "2 cpus and 0 gpus"
    assert [size_in_words(size) for size in (1, 1023, 2**60)] == ["1 bytes", "1023 bytes", "1024 PiB"]


def test_an_attempt_of_a_step_that_is_no_more_frees_what_it_demanded() -> None:
    """Its demand is known though its Step is gone, also from a snapshot."""
    driver = Driver()
    driver.join(slots=4, resources=Resources(cpus=4.0))
    driver.upload(make("a", "a", options=Options(resources=Resources(cpus=3.0))))
    uid, step = driver.flow().uid, driver.step("a").index
    driver.ask(rq.Delete("flow"))
    driver.restart()
    assert driver.state.fleet.workers["w"].used.milli_cpus == 3000
    driver.say("w", rp.Cancelled(Fence(uid, step, 1)))
    assert driver.state.fleet.workers["w"].used.milli_cpus == 0


def test_what_is_asked_in_the_batch_that_makes_a_step_ready_is_answered() -> None:
    """Nothing is dispatched before the end of a batch: there is room, and nothing that the Step would need more of."""
    driver = Driver()
    driver.join()
    decision = driver._begin()
    handle(decision, rq.Upload("flow", {}, COMMANDS, (make("a", "a"),)))
    assert handle(decision, rq.GetStatus("flow")).remarks == ()
    assert handle(decision, rq.Explain("flow", "a"))[0][0].summary == "is ready; it is about to be given to a worker"
