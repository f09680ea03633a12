"""What a snapshot gives back is what it was made of, and goes on as that would have; only its history is forgotten."""

from itertools import pairwise
from typing import Any

import pytest

from gaia_core.machine import reports as rp
from gaia_core.machine import requests as rq
from gaia_core.machine.public import Announcer
from gaia_core.machine.state import Deployment
from gaia_core.scheduling.fleet import Fleet, Worker
from gaia_core.wire.snapshot import digest
from gaia_core.workflow.graph import Folder, Graph, Key
from gaia_core.workflow.model import Command, FailureClass, Options, StepSpec
from gaia_core.workflow.restore import Run, rebuild, runs_of
from gaia_core.workflow.state import Step, WorkflowState
from tests.unit.machine.deployment import COPY, MAKE, Driver, copy, make, restored

ONE = StepSpec("one", "copy", {"in": "in"}, {"out": "mid"})
TWO = StepSpec("two", "copy", {"in": "mid"}, {"out": "out"})


def pair(*steps: StepSpec) -> Command:
    """Return a composite."""
    return Command("pair", inputs={"in": ""}, outputs={"out": ""}, steps=steps)


def sweep(*elements: int) -> StepSpec:
    """A sweep that writes."""
    return StepSpec("s", "make", {}, {"out": "s/{{n}}"}, {"n": elements})


def test_a_restarted_deployment_goes_on_where_it_was() -> None:
    """Complete Steps stay complete, running ones are held, waiting ones begin when their inputs come."""
    driver = Driver()
    driver.join("w", slots=1)
    driver.upload(make("a", "a"), copy("b", "a", "b"), copy("c", "b", "c"), make("d", "d"))
    driver.complete("a")
    driver.restart()
    assert driver.states() == {"a": "complete", "b": "ready", "c": "waiting", "d": "running"}
    assert driver.run_all() == ["d", "b", "c"]


def test_ready_steps_keep_the_order_in_which_they_became_ready() -> None:
    """After a restart what waits longest for a worker is still first."""
    driver = Driver()
    driver.upload(make("a", "a"))
    driver.join("w", slots=1)
    driver.upload(copy("x", "k", "x"), make("y", "y"), name="other")
    driver.now_ms += 1
    driver.arrive("k", name="other")
    driver.restart()
    driver.complete("a")
    assert driver.states("other") == {"x": "ready", "y": "running"}


def test_steps_of_one_spec_may_come_from_several_merges() -> None:
    """Which elements a spec still has, and which Step is which, does not depend on their order."""
    driver = Driver()
    driver.upload(sweep(2, 3))
    driver.merge(sweep(1, 2, 3))
    driver.merge(sweep(3, 4))
    driver.ask(rq.Remove("flow", ("s-2",)))
    flow = driver.flow()
    specs = list({id(step.spec): step.spec for step in flow.steps.values()}.values())
    numbers = [specs.index(step.spec) for step in flow.steps.values()]
    assert [specs[n].vars["n"] for n in numbers] == [(3, 4), (1, 2, 3), (3, 4)]
    assert list(runs_of(flow, numbers, specs)) == [Run(1, 1, 0, 0), Run(2, 1, 1, 0), Run(3, 1, 0, 1)]
    driver.restart()
    assert [(step.index, step.name) for step in driver.flow().steps.values()] == [(1, "s-3"), (2, "s-1"), (3, "s-4")]


def test_steps_side_by_side_are_one_run() -> None:
    """A sweep as it was merged takes four numbers, however many Steps it has."""
    driver = Driver()
    driver.upload(sweep(*range(50)))
    flow = driver.flow()
    spec = flow.steps[0].spec
    assert list(runs_of(flow, [0] * 50, [spec])) == [Run(0, 50, 0, 0)]


def test_a_workflow_without_steps_has_no_runs() -> None:
    """There is nothing to tell of no Steps."""
    driver = Driver()
    driver.upload()
    assert list(runs_of(driver.flow(), [], [])) == []
    driver.restart()
    assert driver.flow().flow_state[0].value == "initialized"


def test_a_spec_that_makes_fewer_steps_than_it_did_is_noticed() -> None:
    """A run beyond the end of an expansion means that the rules of expansion are not those it was written by."""
    driver = Driver()
    driver.upload(sweep(1, 2))
    spec = driver.flow().steps[0].spec
    with pytest.raises(LookupError, match="'s' stands for 2 Steps"):
        rebuild(driver.flow(), [spec], [Run(0, 3, 0, 0)], 3)


def test_new_steps_of_a_changed_composite_are_numbered_alike() -> None:
    """What a changed Command adds gets its indexes by what is there, not by the order in which that came."""
    driver = Driver()
    elements = [StepSpec(f"t{n}", "pair", {"in": "k"}, {"out": f"o{n}"}) for n in range(8)]
    driver.upload(commands=(COPY, MAKE, pair(ONE, TWO)))
    for one in elements:
        driver.merge(one)
    driver.merge(elements[3], elements[0])
    driver.restart()
    third = StepSpec("three", "make", {}, {"out": "more"})
    driver.ask(rq.SetCommands("flow", (pair(ONE, TWO, third),)))
    added = [step.name for step in driver.flow().steps.values() if step.name.endswith(":three")]
    assert added == [f"t{n}:three" for n in range(8)]
    driver.restart()


def test_steps_that_vanish_are_told_by_index() -> None:
    """The inner Steps that a changed composite no longer has go in one order, everywhere."""
    driver = Driver()
    driver.join()
    driver.upload(commands=(COPY, MAKE, pair(ONE, TWO)))
    driver.merge(*[StepSpec(f"t{n}", "pair", {"in": "k"}, {"out": f"o{n}"}) for n in range(12)])
    announcer = Announcer()
    announcer.state = restored_state(driver)
    only = StepSpec("one", "copy", {"in": "in"}, {"out": "out"})
    driver.ask(rq.SetCommands("flow", (pair(only),)))
    told = announcer.follow(driver.now_ms, driver.events)
    removed = [one.fact.names for one in told if getattr(one.fact, "change", "") == "removed"]
    assert removed == [tuple(f"t{n}:two" for n in range(12))]


def restored_state(driver: Driver) -> Deployment:
    announcer = Announcer()
    announcer.state = driver.replica
    return restored(announcer).state


def test_keys_keep_what_steps_do_not_tell() -> None:
    """What arrived, what a Step left behind, what one once wrote, and Keys that nobody names any more."""
    driver = Driver()
    driver.join()
    driver.upload(make("a", "left"), copy("b", "outside", "b"), copy("c", "bare", "c"))
    driver.arrive("outside", "lonely")
    driver.complete("a")
    driver.ask(rq.Remove("flow", ("a", "c")))
    driver.restart()
    keys = driver.flow().graph.keys
    assert (keys["left"].left_behind, keys["left"].was_written, keys["left"].writer) == (True, True, None)
    assert keys["outside"].arrived is not None
    assert keys["lonely"].arrived is not None
    assert not keys["bare"].readers
    driver.ask(rq.Expire("flow", ("outside",)))
    driver.restart()
    assert driver.flow().graph.keys["outside"].arrived is None


def test_failures_and_backoffs_survive() -> None:
    """A Step that waits for its next attempt gets it after a restart, and a failed one says why."""
    driver = Driver()
    driver.join()
    driver.upload(make("a", "a", options=Options(retries=1)), make("b", "b"), copy("c", "a", "c"))
    driver.fail("a")
    driver.fail("b")
    driver.restart()
    assert driver.states() == {"a": "retrying", "b": "failed", "c": "waiting"}
    failure = driver.step("b").failure
    assert failure is not None
    assert (failure.kind, failure.message) == (FailureClass.COMMAND, "it failed")
    driver.now_ms += 60_000
    driver.ask(rq.Tick())
    assert driver.step("a").attempt == 2
    driver.fail("a")
    assert driver.states()["a"] == "failed"


def test_attempts_that_are_being_stopped_keep_their_slots() -> None:
    """A worker's slot stays taken after a restart until the end of a stopped attempt is told."""
    driver = Driver()
    driver.join("w", slots=1)
    driver.upload(make("a", "a"))
    old = driver.fence("a")
    driver.ask(rq.Halt("flow"))
    driver.ask(rq.Run("flow"))
    driver.restart()
    assert list(driver.state.fleet.workers["w"].held.values()) == [True]
    driver.say("w", rp.Cancelled(old))
    assert driver.states() == {"a": "running"}


def test_incarnations_that_left_are_remembered() -> None:
    """One that was pushed out by a namesake is not taken in again after a restart."""
    driver = Driver()
    driver.join("w", incarnation="i1")
    driver.join("w", incarnation="i2")
    driver.restart()
    driver.join("w", incarnation="i1")
    assert driver.state.fleet.workers["w"].incarnation == "i2"


def test_a_repeated_request_is_answered_as_before_the_restart() -> None:
    """Request ids are kept, so a mutation still happens once."""
    driver = Driver()
    request = rq.Upload("flow", {}, (MAKE,), (make("a", "a"),), rq.RequestId("r1", b"digest"))
    before = driver.ask(request)
    driver.restart()
    assert driver.ask(request).added == before.added
    assert driver.flow().revision == 3


def test_deleted_workflows_whose_files_are_there_keep_their_names() -> None:
    """Their names stay taken after a restart, and their uids are never used again."""
    driver = Driver()
    driver.upload()
    driver.ask(rq.Delete("flow", data=True))
    driver.restart()
    assert (driver.state.doomed, driver.state.last_uid) == ({1: "flow"}, 1)


def test_the_time_in_the_queue_goes_on() -> None:
    """A Step that waited half its time has the other half after a restart."""
    driver = Driver()
    driver.upload(make("a", "a", options=Options(queue_timeout_s=10)))
    driver.now_ms += 6_000
    driver.restart()
    driver.ask(rq.Tick())
    assert driver.states() == {"a": "ready"}
    driver.now_ms += 4_000
    driver.ask(rq.Tick())
    assert driver.states() == {"a": "failed"}


def test_the_time_in_the_queue_begins_anew_when_the_workflow_may_start_again() -> None:
    """So it does for who replays or restarts after the workflow was resumed."""
    driver = Driver()
    driver.upload(make("a", "a", options=Options(queue_timeout_s=10)))
    driver.ask(rq.Halt("flow"))
    driver.now_ms += 60_000
    driver.ask(rq.Run("flow"))
    driver.restart()
    driver.now_ms += 9_000
    driver.ask(rq.Tick())
    assert driver.states() == {"a": "ready"}
    driver.now_ms += 1_000
    driver.ask(rq.Tick())
    assert driver.states() == {"a": "failed"}


def test_equal_states_have_equal_digests_and_others_do_not() -> None:
    """The digest tells apart what any entry of the journal changes, and nothing else."""
    driver = Driver()
    seen = [digest(driver.state)]
    for act in (
        driver.join,
        lambda: driver.upload(make("a", "a", options=Options(retries=1)), copy("b", "k", "b")),
        lambda: driver.fail("a"),
        lambda: driver.arrive("k"),
        lambda: driver.complete("b"),
        lambda: driver.ask(rq.Expire("flow", ("step:b",))),
        lambda: driver.ask(rq.Halt("flow")),
        lambda: driver.ask(rq.Delete("flow")),
    ):
        act()
        driver.restart()
        seen.append(digest(driver.state))
    assert all(before != after for before, after in pairwise(seen))
    assert len(set(seen)) == len(seen)


DERIVED: dict[type, set[str]] = {
    Step: {
        "aliases", "commands", "element", "input_names", "inputs", "missing", "name", "options", "output_names",
        "outputs", "queued", "values",
    },
    WorkflowState: {"by_alias", "by_name", "counts", "members", "stops_on_error", "users"},
    Graph: {"awaited", "folders", "missing", "outside"},
    Key: {"available", "feeds", "folder", "pending", "readers", "writer", "writers"},
    Folder: {"folders", "keys", "parent", "path", "tree"},
    Worker: {"used"},
    Fleet: set(),
    Deployment: {"archived_names", "by_uid", "gone", "queue_timers", "ready", "resting", "served_since_ms", "timers"},
    Announcer: {"updates"},
}  # fmt: skip
"""What follows from the rest and is made anew."""

KEPT: dict[type, set[str]] = {
    Step: {
        "attempt", "attempts_before", "cause", "disturbances", "failure", "faults", "image_digest", "index",
        "published", "ready_since_ms", "reason", "retry_at_ms", "spec", "state", "times_ready", "worker",
    },
    WorkflowState: {
        "attempts_of_dropped", "commands", "created_ms", "graph", "halted", "name", "next_index", "owner", "properties",
        "released_ms", "revision", "steps", "uid", "updated_ms",
    },
    Graph: {"arrivals", "keys"},
    Key: {"arrived", "arrived_as", "left_behind", "name", "was_written"},
    Folder: set(),
    Worker: {
        "demands", "dismissed", "draining", "executor", "held", "host", "incarnation", "metadata", "name", "partition",
        "pool", "prefetch", "resources", "since_ms", "slots", "trouble", "version",
    },
    Fleet: {"left", "workers"},
    Deployment: {"answered", "archived", "doomed", "fleet", "last_uid", "now_ms", "wiped", "workflows"},
    Announcer: {"rests", "sequences", "state"},
}  # fmt: skip
"""What a snapshot holds."""


@pytest.mark.parametrize("kind", DERIVED)
def test_every_attribute_is_in_the_snapshot_or_follows_from_it(kind: Any) -> None:
    """Whoever adds one has to decide; what is kept belongs into wire/snapshot*.py too."""
    names = set(getattr(kind, "__slots__", ())) or set(vars(kind()))
    assert names == DERIVED[kind] | KEPT[kind]
    assert not DERIVED[kind] & KEPT[kind]


def test_a_worker_s_attempts_keep_their_order() -> None:
    """Those that were dispatched first have the slots, and are the ones that a loss is counted for."""
    driver = Driver()
    driver.join(slots=1, prefetch=1)
    driver.upload(make("late", "x", options=Options(priority=0)), name="one")
    driver.upload(make("waits", "x"), name="two")
    driver.ask(rq.Expire("one", ("late",)))
    driver.say("w", rp.Cancelled(driver.fence("late", "one", attempt=1)))
    assert list(driver.state.fleet.workers["w"].held) == [(2, 0, 1), (1, 0, 2)]
    driver.restart()
    assert list(driver.state.fleet.workers["w"].held) == [(2, 0, 1), (1, 0, 2)]
