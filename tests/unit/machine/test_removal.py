"""Steps and workflows that go: remove, prune, delete; and revisions that guard against acting on what is old."""

import pytest

from gaia_core.errors import InvalidWorkflow, NotAllowedNow, UnknownName
from gaia_core.machine import reports as rp
from gaia_core.machine import requests as rq
from gaia_core.machine.diff import Affected
from gaia_core.machine.effects import DeleteData, LookUp, SendCancels
from gaia_core.machine.public import Announcement, Announcer, WorkflowChanged
from gaia_core.machine.queries import unfinished
from gaia_core.workflow.model import Command
from gaia_core.workflow.validate import Rules
from tests.unit.machine.deployment import Driver, copy, make


@pytest.fixture
def driver() -> Driver:
    """A deployment with a worker."""
    driver = Driver()
    driver.join()
    return driver


def test_a_removed_step_leaves_its_readers_waiting(driver: Driver) -> None:
    """What it wrote no longer counts, though it lies in the store; whoever read it runs again once it is there."""
    driver.upload(make("a", "a"), copy("b", "a", "b"), copy("c", "b", "c"), make("other", "o"))
    driver.run_all()
    diff = driver.ask(rq.Remove("flow", ("a",)))
    assert (diff.removed, diff.recomputed) == (["a"], ["b", "c"])
    assert diff.reasons == [Affected("b", "removed", "", "a"), Affected("c", "upstream", "b", "b")]
    assert driver.states() == {"b": "waiting", "c": "waiting", "other": "complete"}
    assert driver.ask(rq.GetStatus("flow")).missing_inputs == ("a",)
    driver.arrive("a")
    assert driver.run_all() == ["b", "c"]


def test_a_removed_running_step_is_cancelled(driver: Driver) -> None:
    """Its attempt is stopping until its end is known, and its late completion changes nothing."""
    driver.upload(make("a", "a"))
    fence = driver.fence("a")
    driver.ask(rq.Remove("flow", ("a",)))
    assert list(driver.state.fleet.workers["w"].held.values()) == [True]
    driver.say("w", rp.Completed(fence, (), 1))
    assert (driver.states(), dict(driver.state.fleet.workers["w"].held)) == ({}, {})


def test_a_removed_name_may_be_used_again(driver: Driver) -> None:
    """The new Step is another one: its index is new, so nothing late of the old one is taken for its own."""
    driver.upload(make("a", "a"))
    driver.ask(rq.Remove("flow", ("a",)))
    driver.merge(make("a", "a"))
    assert (driver.step("a").index, driver.step("a").attempt) == (1, 2)


def test_a_sweep_is_removed_by_name_and_by_element(driver: Driver) -> None:
    """The name of a sweep stands for all its Steps, a Step's name for itself."""
    driver.upload(make("s", "o/{{n}}", vars={"n": (1, 2, 3)}))
    assert driver.ask(rq.Remove("flow", ("s-2",))).removed == ["s-2"]
    assert driver.ask(rq.Remove("flow", ("step:s",))).removed == ["s-1", "s-3"]
    assert driver.flow().flow_state[0] == "initialized"


def test_an_unknown_name_removes_nothing(driver: Driver) -> None:
    """Every unknown name is told, and the known ones stay."""
    driver.upload(make("a", "a"))
    with pytest.raises(UnknownName) as refusal:
        driver.ask(rq.Remove("flow", ("a", "b", "c")))
    assert [problem.place for problem in refusal.value.problems] == ["names[1]", "names[2]"]
    assert list(driver.states()) == ["a"]


def test_a_smaller_sweep_keeps_its_other_elements_unless_pruned(driver: Driver) -> None:
    """Merging a sweep again with fewer elements removes none unless asked."""
    sweep = make("s", "o/{{n}}", vars={"n": (1, 2, 3)})
    fewer = make("s", "o/{{n}}", vars={"n": (1,)})
    driver.upload(sweep)
    assert driver.merge(fewer).removed == []
    assert list(driver.states()) == ["s-1", "s-2", "s-3"]
    diff = driver.ask(rq.Merge("flow", (fewer,), prune=True))
    assert (diff.removed, diff.unchanged) == (["s-2", "s-3"], ["s-1"])
    assert list(driver.states()) == ["s-1"]


def test_pruned_keys_may_be_written_by_others_in_the_same_merge(driver: Driver) -> None:
    """What goes does not stand in the way of what comes."""
    driver.upload(make("s", "o/{{n}}", vars={"n": (1, 2)}))
    fewer = make("s", "o/{{n}}", vars={"n": (1,)})
    with pytest.raises(InvalidWorkflow):
        driver.merge(fewer, make("t", "o/2"))
    assert driver.ask(rq.Merge("flow", (fewer, make("t", "o/2")), prune=True)).added == ["t"]


def test_only_changed_leaves_unchanged_steps_alone(driver: Driver) -> None:
    """Without it a Step that is given again runs again, changed or not."""
    steps = (make("a", "a"), copy("b", "a", "b"), make("c", "c"))
    driver.upload(*steps)
    driver.run_all()
    diff = driver.ask(rq.Merge("flow", (*steps[:2], make("c", "d")), only_changed=True))
    assert (diff.updated, diff.unchanged, diff.recomputed) == (["c"], ["a", "b"], ["c"])
    assert driver.merge(*steps[:2]).recomputed == ["a", "b"]


def test_only_changed_takes_over_a_larger_sweep(driver: Driver) -> None:
    """Elements that were there stay complete; the new ones run; a later Command change reaches them all."""
    driver.upload(make("s", "o/{{n}}", vars={"n": (1, 2)}))
    driver.run_all()
    diff = driver.ask(rq.Merge("flow", (make("s", "o/{{n}}", vars={"n": (1, 2, 3)}),), only_changed=True))
    assert (diff.added, diff.recomputed) == (["s-3"], [])
    assert driver.run_all() == ["s-3"]
    changed = Command("make", "other", ("make", "{{out}}"), {}, {"out": "/out"})
    assert driver.ask(rq.SetCommands("flow", (changed,))).diff.recomputed == ["s-1", "s-2", "s-3"]


@pytest.mark.parametrize(
    "change",
    [
        rq.SetCommands("flow", (Command("new", "i", ("x",)),), expected_revision=7),
        rq.Merge("flow", (make("z", "z"),), expected_revision=7),
        rq.Remove("flow", ("a",), expected_revision=7),
        rq.Delete("flow", expected_revision=7),
        rq.Run("flow", expected_revision=7),
        rq.Halt("flow", expected_revision=7),
        rq.Expire("flow", ("a",), expected_revision=7),
        rq.PlanExpire("flow", ("a",), expected_revision=7),
    ],
    ids=lambda change: type(change).__name__,
)
def test_a_change_of_another_revision_is_refused(driver: Driver, change: rq.Request) -> None:
    """The refusal tells the revision there is."""
    driver.upload(make("a", "a"))
    with pytest.raises(NotAllowedNow, match="has revision 3, not 7"):
        driver.ask(change)


def test_the_expected_revision_is_that_of_the_latest_answer(driver: Driver) -> None:
    """A diff tells the revision after it; a workflow that is not there yet has revision 0."""
    driver.ask(rq.SetCommands("flow", (Command("make", "i", ("x",), {}, {"out": "/out"}),), expected_revision=0))
    diff = driver.ask(rq.Merge("flow", (make("a", "a"),), expected_revision=2))
    assert driver.ask(rq.Merge("flow", (make("b", "b"),), expected_revision=diff.revision)).added == ["b"]
    with pytest.raises(NotAllowedNow, match="has revision 0, not 3"):
        driver.ask(rq.Merge("another", (make("b", "b"),), expected_revision=3))


def test_a_deleted_workflow_is_forgotten(driver: Driver) -> None:
    """Its name is free, what runs of it is stopped, and late reports of it only free slots."""
    driver.upload(make("a", "a"), make("b", "b"))
    fences = [driver.fence("a"), driver.fence("b")]
    assert driver.ask(rq.Delete("flow")).state == "deleted"
    assert sorted(driver.effects[0].attempts) == [(0, 1), (1, 1)]  # type: ignore[union-attr]
    with pytest.raises(UnknownName):
        driver.ask(rq.GetStatus("flow"))
    driver.upload(make("a", "a"))
    assert (driver.flow().uid, driver.states()) == (2, {"a": "running"})
    driver.say("w", rp.Cancelled(fences[0]), rp.Completed(fences[1], (), 1))
    assert list(driver.state.fleet.workers["w"].held.values()) == [False]


def test_attempts_of_a_deleted_workflow_may_write_until_they_have_ended(driver: Driver) -> None:
    """Its files are looked through once more after that: what comes late must not outlive it under its name."""
    driver.upload(make("a", "a"))
    fence = driver.fence("a")
    driver.ask(rq.Delete("flow", data=True))
    assert driver.ask(rq.MayWrite(fence.workflow_uid)) is True
    driver.say("w", rp.Completed(fence))
    assert driver.ask(rq.MayWrite(fence.workflow_uid)) is False


def test_what_a_lost_worker_held_of_a_deleted_workflow_is_gone(driver: Driver) -> None:
    """Nothing is tried again."""
    driver.upload(make("a", "a"))
    driver.ask(rq.Delete("flow"))
    driver.say("w", rp.Goodbye("drained"))
    assert driver.state.fleet.workers == {}


def test_a_deleted_workflow_with_work_in_every_queue_leaves_nothing(driver: Driver) -> None:
    """Ready Steps, backoffs and limits of time in the queue are dropped with it."""
    driver.say("w", rp.Goodbye("drained"))
    driver.upload(make("a", "a"))
    driver.ask(rq.Delete("flow"))
    driver.join()
    assert driver.sent() == ([], [])


def test_the_name_stays_taken_while_files_are_deleted(driver: Driver) -> None:
    """Files of a new workflow must not be deleted in place of the old one's; a new leader asks again."""
    driver.upload(make("a", "a"))
    driver.ask(rq.Delete("flow", data=True))
    assert DeleteData(1, "flow") in driver.effects
    assert list(unfinished(driver.state)) == [DeleteData(1, "flow")]
    with pytest.raises(NotAllowedNow, match="are still being deleted"):
        driver.upload(make("a", "a"))
    driver.ask(rq.DataGone(1))
    driver.ask(rq.DataGone(1))
    assert not [one for one in unfinished(driver.state) if not isinstance(one, LookUp)]
    driver.upload(make("a", "a"))


def test_a_retried_removal_is_answered_as_the_first_time(driver: Driver) -> None:
    """The same request id with the same body changes nothing more."""
    driver.upload(make("a", "a"))
    identity = rq.RequestId("r", b"d")
    first = driver.ask(rq.Remove("flow", ("a",), identity))
    driver.merge(make("a", "a"))
    again = driver.ask(rq.Remove("flow", ("a",), identity))
    assert again == first
    assert list(driver.states()) == ["a"]


def test_a_key_keeps_its_other_readers(driver: Driver) -> None:
    """Removing one of two readers leaves the other waiting for the same Key."""
    driver.upload(copy("a", "in", "a"), copy("b", "in", "b"))
    driver.ask(rq.Remove("flow", ("a",)))
    driver.arrive("in")
    assert driver.states() == {"b": "running"}


def test_vanished_steps_are_told_to_the_world() -> None:
    """However they went: removed, pruned, or replaced by what their Step makes now."""
    driver, announcer = Driver(), Announcer()
    told: list[Announcement] = []

    def follow() -> None:
        told.extend(announcer.follow(driver.now_ms, driver.events))

    driver.upload(make("s", "o/{{n}}", vars={"n": (1, 2)}), make("a", "a"))
    follow()
    driver.ask(rq.Remove("flow", ("a",)))
    follow()
    driver.ask(rq.Merge("flow", (make("s", "o/{{n}}", vars={"n": (1,)}),), prune=True))
    follow()
    changes = [one.fact for one in told if isinstance(one.fact, WorkflowChanged) and one.fact.change == "removed"]
    assert [change.names for change in changes] == [("a",), ("s-2",)]


def test_reasons_are_those_of_the_graph_as_it_is(driver: Driver) -> None:
    """A reader's reason is the Step that it reads from now, or else the one that gave its Key up."""
    driver.upload(copy("a", "in", "x"), make("b", "y"), copy("r", "x", "z"))
    diff = driver.merge(copy("a", "in", "y"), make("b", "x"))
    assert Affected("r", "upstream", "b", "x") in diff.reasons
    diff = driver.merge(make("b", "elsewhere"))
    assert Affected("r", "upstream", "b", "x") in diff.reasons


@pytest.mark.parametrize(
    ("key", "words"),
    [("gaia:k", "Gaia's own bucket"), ("others:k", "names the bucket 'others', which Keys may not; allowed: shared")],
)
def test_buckets_that_may_not_be_named_are_refused(driver: Driver, key: str, words: str) -> None:
    """Gaia's own, and those that are not listed; wherever a Key is given."""
    driver.rules = Rules(own_bucket="gaia", buckets=frozenset({"shared"}))
    with pytest.raises(InvalidWorkflow, match=words) as refusal:
        driver.upload(copy("a", key, "x"), copy("b", "shared:k", f"{key}2"))
    assert [problem.place for problem in refusal.value.problems] == ["steps[0].inputs.in", "steps[1].outputs.out"]
    driver.upload(copy("b", "shared:k", "NoBucket:k"))
    with pytest.raises(InvalidWorkflow, match=words):
        driver.ask(rq.CheckPut("flow", (key,), ("keys[0]",)))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (rq.Remove("flow", ("c",)), "removed"),
        (rq.Delete("flow"), "deleted"),
        (rq.Merge("flow", (make("c", "c"),)), "merged"),
        (rq.Merge("flow", (make("s", "s/{{n}}", vars={"n": (1,)}),), only_changed=True, prune=True), "merged"),
        (rq.SetCommands("flow", (Command("make", "other", ("x",), {}, {"out": "/out"}),)), "command changed"),
        (rq.Expire("flow", ("step:c",)), "expired"),
        (rq.Halt("flow"), "halted"),
    ],
    ids=lambda each: type(each).__name__ if not isinstance(each, str) else "",
)
def test_a_worker_is_told_why_an_attempt_is_stopped(driver: Driver, change: rq.Mutation, reason: str) -> None:
    """A cancel gives the words that the public event has."""
    driver.upload(make("c", "c"), make("s", "s/{{n}}", vars={"n": (1, 2)}))
    driver.ask(change)
    assert {effect.reason for effect in driver.effects if isinstance(effect, SendCancels)} == {reason}
