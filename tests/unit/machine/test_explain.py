"""Why Steps wait, ran or will run, and what would run if something were expired."""

import pytest

from gaia_core.errors import UnknownName
from gaia_core.machine import reports as rp
from gaia_core.machine import requests as rq
from gaia_core.machine.diff import Affected
from gaia_core.machine.explain import Explanation
from gaia_core.workflow.model import Command, FailureClass, Options, StepSpec
from tests.unit.machine.deployment import COPY, MAKE, OPTIONS_RETRY, Driver, copy, make, snapshot


@pytest.fixture
def driver() -> Driver:
    """A deployment with a worker."""
    driver = Driver()
    driver.join()
    return driver


def explain(driver: Driver, name: str) -> Explanation:
    """The explanation of one Step."""
    (told,), truncated = driver.ask(rq.Explain("flow", name))
    assert not truncated
    return told


def test_a_waiting_step_tells_which_keys_it_lacks_and_who_writes_them(driver: Driver) -> None:
    """Keys that Steps will write come with those Steps and their states, others with nobody."""
    driver.upload(make("a", "t/a"), make("b", "t/b"), copy("gather", "t/", "g", command="list"), copy("c", "x", "y"))
    driver.complete("a")
    told = explain(driver, "gather")
    assert [(one.key, one.writers) for one in told.waits_for] == [("t/", (("b", "running"),))]
    assert told.summary == "waits for t/, which b will write"
    told = explain(driver, "c")
    assert [(one.key, one.writers) for one in told.waits_for] == [("x", ())]
    assert told.summary == "waits for x, which no Step writes"


def test_every_reason_is_told(driver: Driver) -> None:
    """First, merged, command changed, expired, input changed, upstream, retried, worker lost, run, removed."""
    driver.upload(make("a", "a", options=OPTIONS_RETRY), copy("b", "a", "b"), copy("c", "in", "c"))
    assert explain(driver, "a").reason == "first"
    driver.fail("a")
    assert explain(driver, "a").reason == "retried"
    assert explain(driver, "a").failure is not None
    driver.now_ms += 60_000
    driver.ask(rq.Tick())
    driver.complete("a")
    assert explain(driver, "a").failure is None
    driver.merge(make("a", "a"))
    assert explain(driver, "a").reason == "merged"
    driver.run_all()
    driver.ask(rq.Expire("flow", ("step:a",)))
    assert explain(driver, "a").reason == "expired"
    assert explain(driver, "b").reason == "upstream"
    driver.run_all()
    driver.ask(rq.SetCommands("flow", (Command("copy", "new", COPY.command, COPY.inputs, COPY.outputs),)))
    assert explain(driver, "b").reason == "command changed"
    driver.arrive("in")
    driver.run_all()
    driver.arrive("in")
    assert explain(driver, "c").reason == "input changed"
    driver.ask(rq.Halt("flow"))
    driver.ask(rq.Run("flow"))
    assert explain(driver, "c").reason == "run"
    driver.say("w", rp.Goodbye("drained"))
    assert explain(driver, "c").reason == "worker lost"
    driver.join(incarnation="i2")
    driver.run_all()
    driver.ask(rq.Remove("flow", ("a",)))
    assert explain(driver, "b").reason == "removed"


def test_the_chain_of_reasons_leads_to_the_first_cause(driver: Driver) -> None:
    """Each link names the Step before it and the Key between them; the last one has its own reason."""
    driver.upload(make("a", "a"), copy("b", "a", "b"), copy("c", "b", "c"))
    driver.run_all()
    driver.ask(rq.Expire("flow", ("step:a",)))
    assert explain(driver, "c").chain == (
        Affected("c", "upstream", "b", "b"),
        Affected("b", "upstream", "a", "a"),
        Affected("a", "expired"),
    )
    driver.merge(make("a", "a2"), copy("b", "a2", "b"))
    assert explain(driver, "c").chain == (Affected("c", "upstream", "b", "b"), Affected("b", "merged"))


def test_a_ready_step_tells_why_nobody_runs_it(driver: Driver) -> None:
    """Halted, stopped by an error, max_parallel, no worker of its pool, all leaving, all full."""
    driver.upload(make("g", "g", options=Options(pool="gpu")))
    assert explain(driver, "g").summary == "is ready; there is no worker of pool 'gpu'"
    driver.say("v", rp.Hello("gpu", 1, 0, 0, 0, "noop", "host", draining=True))
    assert explain(driver, "g").summary == "is ready; every worker of pool 'gpu' is leaving"
    driver.ask(rq.Halt("flow"))
    assert explain(driver, "g").summary == "is ready; the workflow is halted"
    driver.upload(make("s", "o/{{n}}", vars={"n": (1, 2)}), name="narrow", max_parallel=1)
    (_, second), _ = driver.ask(rq.Explain("narrow", "s"))
    assert second.summary == "is ready; max_parallel lets 1 run at a time"
    driver.upload(make("s", "o/{{n}}", vars={"n": tuple(range(200))}), name="wide", on_error="stop")
    told, truncated = driver.ask(rq.Explain("wide", "s"))
    assert (len(told), truncated) == (100, True)
    assert driver.ask(rq.Explain("wide", "s-199"))[0][0].summary == "is ready; every worker of pool 'default' is full"
    driver.fail("s-0", name="wide")
    last = driver.ask(rq.Explain("wide", "s-199"))[0][0]
    assert last.summary == "is ready; a Step failed, and on_error is stop"


def test_where_attempts_are_and_how_they_ended_is_told(driver: Driver) -> None:
    """Running, complete, retrying and failed Steps name attempt, worker and cause."""
    driver.upload(make("a", "a", options=OPTIONS_RETRY), make("b", "b"))
    assert explain(driver, "a").summary == "attempt 1 is with worker 'w'"
    driver.fail("a")
    told = explain(driver, "a")
    assert told.summary == "attempt 1 failed (COMMAND: it failed) and is followed by another"
    assert told.retry_at_ms is not None
    assert told.retry_at_ms > driver.now_ms
    driver.fail("b", FailureClass.OUTPUT_MISSING)
    assert explain(driver, "b").summary == "failed (OUTPUT_MISSING: it failed)"
    driver.now_ms += 60_000
    driver.ask(rq.Tick())
    driver.complete("a")
    assert explain(driver, "a").summary == "attempt 2 completed on worker 'w'"


def test_an_unknown_step_is_told_with_the_nearest(driver: Driver) -> None:
    """A name that is no Step is an error."""
    driver.upload(make("gather", "a"))
    with pytest.raises(UnknownName, match="did you mean 'gather'"):
        driver.ask(rq.Explain("flow", "gathr"))


def test_a_plan_tells_what_expire_would_do_and_changes_nothing(driver: Driver) -> None:
    """The same Steps, Keys and reasons."""
    driver.upload(make("a", "a"), copy("b", "a", "b"), copy("c", "in", "c"))
    driver.arrive("in")
    driver.run_all()
    before = snapshot(driver.state)
    plan = driver.ask(rq.PlanExpire("flow", ("in",)))
    assert (plan.steps, plan.keys) == (["c"], ["c", "in"])
    assert plan.reasons == [Affected("c", "expired", "", "in")]
    assert snapshot(driver.state) == before
    assert driver.ask(rq.Expire("flow", ("in",))) == plan


def test_who_waits_for_a_failed_step_is_told_so(driver: Driver) -> None:
    """Nothing will be written before somebody tries it again."""
    both = Command("both", "image", ("x",), {"a": "/a", "b": "/b"}, {})
    driver.upload(make("f", "f"), make("g", "g"), StepSpec("r", "both", {"a": "f", "b": "g"}), commands=(MAKE, both))
    driver.fail("f")
    assert explain(driver, "r").summary == "waits for f, which f failed to write"


def test_a_step_that_waits_too_long_in_the_queue_fails(driver: Driver) -> None:
    """`queue_timeout` limits how long a Step may be ready; a halted workflow's time does not count."""
    driver.upload(make("g", "g", options=Options(pool="gpu", queue_timeout_s=10)))
    driver.now_ms += 9_000
    driver.ask(rq.Tick())
    assert driver.states() == {"g": "ready"}
    driver.ask(rq.Halt("flow"))
    driver.now_ms += 9_000
    driver.ask(rq.Tick())
    driver.ask(rq.Run("flow"))
    driver.now_ms += 9_000
    driver.ask(rq.Tick())
    assert driver.states() == {"g": "ready"}
    driver.now_ms += 9_000
    driver.ask(rq.Tick())
    assert driver.states() == {"g": "failed"}
    assert explain(driver, "g").summary == "failed (TIMEOUT: no worker took it within 10 s)"
    driver.ask(rq.Run("flow"))
    driver.join("v", pool="gpu")
    assert driver.states() == {"g": "running"}
    driver.now_ms += 60_000
    driver.ask(rq.Tick())
    assert driver.states() == {"g": "running"}


def test_nothing_starts_after_a_failure_where_on_error_is_stop(driver: Driver) -> None:
    """What runs ends; the state is error once nothing runs; `run` goes on."""
    driver.say("w", rp.Goodbye("drained"))
    driver.join("v", slots=2)
    driver.upload(make("s", "o/{{n}}", vars={"n": (1, 2, 3, 4)}), on_error="stop")
    driver.fail("s-1")
    assert driver.states() == {"s-1": "failed", "s-2": "running", "s-3": "ready", "s-4": "ready"}
    assert driver.ask(rq.GetStatus("flow")).state == "running"
    driver.complete("s-2")
    assert driver.ask(rq.GetStatus("flow")).state == "error"
    driver.ask(rq.Run("flow"))
    assert len(driver.run_all()) == 3
    assert driver.ask(rq.GetStatus("flow")).state == "complete"
