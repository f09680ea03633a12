"""The life of Steps: dispatch, completion, dependents, trees, failure, halt and run."""

import pytest

from gaia_core.errors import AlreadyExists, InvalidWorkflow, NotAllowedNow, UnknownName
from gaia_core.machine import reports as rp
from gaia_core.machine import requests as rq
from gaia_core.machine.answers import FlowAnswer
from gaia_core.machine.diff import Affected, Expired
from gaia_core.workflow import events as ev
from gaia_core.workflow.model import Command, Failure, FailureClass, Options, StepSpec
from gaia_core.workflow.views import step_views
from tests.unit.machine.deployment import COMMANDS, MAKE, Driver, copy, make


@pytest.fixture
def driver() -> Driver:
    driver = Driver()
    driver.join()
    return driver


def state(driver: Driver) -> str:
    word, stalled = driver.flow().flow_state
    return f"{word} stalled" if stalled else word.value


def test_dependents_run_after_what_they_read_was_written(driver: Driver) -> None:
    """A Step is dispatched once every Key it reads is available, and not before."""
    driver.upload(copy("b", "a.txt", "b.txt"), make("a", "a.txt"))
    assert driver.sent() == (["a"], [])
    driver.complete("a")
    assert driver.sent() == (["b"], [])
    driver.complete("b")
    assert state(driver) == "complete"


def test_upload_of_an_existing_name_is_refused(driver: Driver) -> None:
    """An existing name is an error and changes nothing."""
    driver.upload(make("a", "a.txt"))
    with pytest.raises(AlreadyExists):
        driver.upload(make("other", "b.txt"))
    assert driver.states() == {"a": "running"}


def test_owner_is_the_name_up_to_the_first_underscore(driver: Driver) -> None:
    """Without an owner among the properties the name tells it."""
    driver.upload(name="crick_demo_2019")
    driver.upload(name="other_x", owner="watson")
    assert [driver.flow("crick_demo_2019").owner, driver.flow("other_x").owner] == ["crick", "watson"]


def test_a_tree_waits_for_all_of_its_writers(driver: Driver) -> None:
    """A Step that gathers a tree depends on every Step that writes under it."""
    driver.upload(make("x", "r/x"), make("y", "r/deep/y"), copy("gather", "r/", "all", command="list"))
    driver.complete("x")
    assert driver.states()["gather"] == "waiting"
    driver.complete("y")
    assert driver.sent() == (["gather"], [])


def test_a_key_under_a_written_tree_waits_for_its_writer(driver: Driver) -> None:
    """A Key inside a tree that a Step writes depends on that Step."""
    driver.upload(make("t", "out/", command="tree"), copy("c", "out/a.txt", "c.txt"))
    assert driver.states() == {"t": "running", "c": "waiting"}
    driver.complete("t")
    assert driver.states()["c"] == "running"


def test_a_late_writer_under_a_tree_makes_its_readers_run_again(driver: Driver) -> None:
    """A new writer recomputes every Step that reads a tree over its Key."""
    driver.upload(make("x", "r/x"), copy("gather", "r/", "all", command="list"))
    driver.run_all()
    assert driver.merge(make("y", "r/y")).recomputed == ["gather"]
    assert driver.states() == {"x": "complete", "gather": "waiting", "y": "running"}
    assert driver.run_all() == ["y", "gather"]


def test_merge_recomputes_the_step_and_all_its_dependents_and_nothing_else(driver: Driver) -> None:
    """An updated Step and everything downstream run again; the rest stays."""
    driver.upload(make("a", "a"), copy("b", "a", "b"), copy("c", "b", "c"), make("z", "z"))
    driver.run_all()
    answer = driver.merge(copy("b", "a", "b"))
    assert (answer.added, answer.updated, answer.unchanged, answer.recomputed) == ([], [], ["b"], ["b", "c"])
    assert answer.reasons == [Affected("b", "merged"), Affected("c", "upstream", "b", "b")]
    assert driver.states() == {"a": "complete", "b": "running", "c": "waiting", "z": "complete"}


def test_a_remapped_output_leaves_its_old_readers_waiting(driver: Driver) -> None:
    """What a re-mapped writer left behind does not count until it is put or announced."""
    driver.upload(make("a", "old"), copy("b", "old", "b"))
    driver.run_all()
    assert driver.merge(make("a", "new")).recomputed == ["a", "b"]
    driver.run_all()
    assert driver.states() == {"a": "complete", "b": "waiting"}
    assert state(driver) == "running stalled"


def test_merge_cancels_a_running_attempt_and_its_slot_stays_taken_until_its_end(driver: Driver) -> None:
    """A cancelled attempt is stopping, with its slot, until its end is reported."""
    driver = Driver()
    driver.join(slots=1)
    driver.upload(make("a", "a"))
    driver.merge(make("a", "a"))
    assert driver.sent() == ([], ["a"])
    assert driver.states() == {"a": "ready"}
    driver.say("w", rp.Cancelled(driver.fence("a", attempt=1)))
    assert driver.step("a").attempt == 2
    assert driver.states() == {"a": "running"}


def test_a_completion_of_a_cancelled_attempt_is_not_accepted(driver: Driver) -> None:
    """Only the current attempt may complete; the end of another one frees its slot."""
    driver.upload(make("a", "a"))
    late = driver.fence("a")
    driver.merge(make("a", "a"))
    driver.say("w", rp.Completed(late))
    assert driver.refused == 1
    assert driver.states() == {"a": "running"}


@pytest.mark.parametrize("forged", ["attempt", "worker", "incarnation", "step", "workflow"])
def test_a_forged_or_late_report_changes_nothing(driver: Driver, forged: str) -> None:
    """A report counts only from the incarnation that holds the named attempt."""
    driver.join("other")
    driver.upload(make("a", "a"))
    fence = driver.fence("a")
    holder = driver.step("a").worker
    bad = {
        "attempt": rp.Completed(driver.fence("a", attempt=7)),
        "step": rp.Completed(type(fence)(fence.workflow_uid, 99, 1)),
        "workflow": rp.Completed(type(fence)(99, fence.step, 1)),
    }.get(forged, rp.Completed(fence))
    speaker = {"worker": "w" if holder == "other" else "other"}.get(forged, holder)
    driver.say(speaker, bad, incarnation="i2" if forged == "incarnation" else "i1")
    assert (driver.refused, driver.events) == (1, [])


def test_a_duplicate_completion_is_ignored(driver: Driver) -> None:
    """The same completion twice, also within one record, counts once."""
    driver.upload(make("a", "a"), copy("b", "a", "b"))
    done = rp.Completed(driver.fence("a"))
    driver.say("w", done, done)
    assert driver.refused == 1
    assert driver.states() == {"a": "complete", "b": "running"}


def test_halt_cancels_everything_and_run_starts_afresh(driver: Driver) -> None:
    """After halt nothing starts, and run dispatches new attempts."""
    driver.upload(make("a", "a"), make("b", "b"), copy("c", "a", "c"))
    driver.complete("b")
    assert driver.ask(rq.Halt("flow")) == FlowAnswer("flow", "halted")
    assert driver.sent() == ([], ["a"])
    driver.merge(make("d", "d"))
    assert driver.sent() == ([], [])
    assert driver.ask(rq.Run("flow")).state == "running"
    assert driver.states() == {"a": "running", "b": "complete", "c": "waiting", "d": "running"}


def test_run_tries_failed_steps_again_and_touches_nothing_else(driver: Driver) -> None:
    """On a running workflow, run retries what failed."""
    driver.upload(make("a", "a"), copy("b", "a", "b"), make("c", "c"))
    driver.fail("a")
    driver.complete("c")
    assert state(driver) == "error"
    driver.ask(rq.Run("flow"))
    assert driver.states() == {"a": "running", "b": "waiting", "c": "complete"}


def test_retries_are_used_with_backoff_and_then_the_step_fails(driver: Driver) -> None:
    """A failure of the Step's own uses its retries, each after a growing pause."""
    driver.upload(make("a", "a", options=Options(retries=1)))
    driver.fail("a")
    assert driver.states() == {"a": "retrying"}
    driver.ask(rq.Tick())
    assert driver.states() == {"a": "retrying"}
    driver.now_ms += 1_000
    driver.ask(rq.Tick())
    assert driver.states() == {"a": "running"}
    driver.fail("a")
    assert state(driver) == "error"
    assert driver.step("a").attempt == 2


@pytest.mark.parametrize("kind", [FailureClass.OUTPUT_MISSING, FailureClass.INPUT_MISSING, FailureClass.IMAGE])
def test_final_failures_are_not_retried(driver: Driver, kind: FailureClass) -> None:
    """A missing output, a missing input and a missing image are final whatever the retries."""
    driver.upload(make("a", "a", options=Options(retries=9)))
    driver.fail("a", kind)
    assert driver.states() == {"a": "failed"}


def test_a_new_incarnation_loses_what_the_old_one_held(driver: Driver) -> None:
    """A restarted worker's attempts go on at once as the next attempt."""
    driver.upload(make("a", "a"))
    driver.join(incarnation="i2")
    assert driver.states() == {"a": "running"}
    assert driver.step("a").attempt == 2


def test_a_lost_worker_gives_its_attempts_to_others(driver: Driver) -> None:
    """What a silent worker held is dispatched elsewhere."""
    driver.upload(make("a", "a"))
    driver.join("other")
    driver.ask(rq.LoseWorker("w", "i1", "silent"))
    assert (driver.step("a").worker, driver.step("a").attempt) == ("other", 2)


def test_losses_are_bounded(driver: Driver) -> None:
    """A Step whose workers are lost again and again fails in the end with that cause."""
    driver.upload(make("a", "a"))
    for _ in range(6):
        driver.now_ms += 100_000
        driver.ask(rq.Tick())
        driver.fail("a", FailureClass.LOST)
    assert driver.states() == {"a": "failed"}


def give_back(driver: Driver, step: str) -> None:
    """Let the worker of a Step say that it never started the latest attempt."""
    lost = Failure(FailureClass.LOST, "drained")
    driver.say(driver.step(step).worker, rp.Failed(driver.fence(step), lost, unstarted=True))


def drain(driver: Driver, worker: str) -> None:
    """Let a worker say that it takes nothing new."""
    known = driver.state.fleet.workers[worker]
    driver.say(worker, rp.Hello("default", known.slots, known.prefetch, 0, 0, "noop", "host", draining=True))


def test_what_a_draining_worker_never_started_costs_no_chance() -> None:
    """It is ready again at once, under the next number, however often that happens, and no failure is told."""
    driver = Driver()
    driver.join("w0")
    driver.upload(make("a", "a"))
    for number in range(20):
        driver.join(f"w{number + 1}")
        drain(driver, f"w{number}")
        give_back(driver, "a")
    step = driver.step("a")
    assert (step.worker, step.attempt, step.disturbances, step.failure, step.reason) == ("w20", 21, 0, None, "first")


def test_a_worker_that_takes_more_may_not_give_back_for_ever() -> None:
    """What it did not start counts as lost, or it could be given the same attempt again and again."""
    driver = Driver()
    driver.join("w")
    driver.upload(make("a", "a"))
    for _ in range(6):
        driver.now_ms += 100_000
        driver.ask(rq.Tick())
        give_back(driver, "a")
    assert driver.states() == {"a": "failed"}


def test_of_a_lost_worker_only_what_it_could_have_started_counts() -> None:
    """Those are the first attempts it got, as many as it has slots; the others are ready again at once."""
    driver = Driver()
    driver.join("w", slots=2, prefetch=3)
    driver.upload(*(make(name, name) for name in "abcde"))
    driver.merge(make("a", "a"))
    driver.complete("b")
    driver.ask(rq.LoseWorker("w", "i1", "silent"))
    assert {name: driver.step(name).disturbances for name in "abcde"} == {"a": 0, "b": 0, "c": 1, "d": 1, "e": 0}
    assert driver.states() == {"a": "ready", "b": "complete", "c": "ready", "d": "ready", "e": "ready"}
    driver.join("other")
    assert {name: driver.step(name).attempt for name in "acde"} == {"a": 3, "c": 2, "d": 2, "e": 2}


def test_an_outside_key_makes_its_readers_ready_and_a_change_runs_them_again(driver: Driver) -> None:
    """A Key that no Step writes is available once it arrived; a changed one expires its readers."""
    driver.upload(copy("b", "a", "b"), copy("c", "b", "c"))
    assert state(driver) == "running stalled"
    driver.arrive("a")
    driver.run_all()
    driver.arrive("a")
    assert driver.run_all() == ["b", "c"]


def test_a_key_that_a_step_writes_cannot_be_put(driver: Driver) -> None:
    """An object that merely lies in the store never counts."""
    driver.upload(make("a", "a"))
    with pytest.raises(NotAllowedNow):
        driver.arrive("a")


def test_expire_runs_steps_and_dependents_again(driver: Driver) -> None:
    """A Step's name, and a Key's, stand for the Steps that run again with all that depends on them."""
    driver.upload(make("a", "x/a"), copy("b", "x/a", "b"), make("z", "z"))
    driver.run_all()
    expired = driver.ask(rq.Expire("flow", ("x/",)))
    assert (expired.steps, expired.keys) == (["a", "b"], ["x/a", "b"])
    assert expired.reasons == [Affected("a", "expired", "", "x/a"), Affected("b", "upstream", "a", "x/a")]
    assert driver.run_all() == ["a", "b"]
    assert driver.ask(rq.Expire("flow", ("step:b",))).steps == ["b"]


def test_expire_of_an_outside_key_forgets_it(driver: Driver) -> None:
    """A Key that no Step writes is looked up anew and its readers run again."""
    driver.upload(copy("b", "a", "out"))
    driver.arrive("a")
    driver.run_all()
    assert driver.ask(rq.Expire("flow", ("a",))) == Expired(["b"], ["out", "a"], [Affected("b", "expired", "", "a")])
    assert driver.states() == {"b": "waiting"}


def test_expire_names_what_is_unknown_and_what_is_ambiguous(driver: Driver) -> None:
    """An unknown name is an error that names it; one that is both a Step and a Key is refused with the hint."""
    driver.upload(make("same", "same"), make("a", "b"))
    driver.run_all()
    with pytest.raises(UnknownName) as unknown:
        driver.ask(rq.Expire("flow", ("a", "nothing")))
    assert [problem.place for problem in unknown.value.problems] == ["names[1]"]
    with pytest.raises(InvalidWorkflow, match="step:same"):
        driver.ask(rq.Expire("flow", ("same",)))
    assert driver.states() == {"same": "complete", "a": "complete"}
    assert driver.ask(rq.Expire("flow", ("step:same",))).steps == ["same"]


def test_the_name_of_a_sweep_stands_for_all_its_steps(driver: Driver) -> None:
    """Wherever a Step name is taken, the sweep's name takes all Steps made from it."""
    driver.upload(make("s", "o/{{n}}", vars={"n": (1, 2)}))
    driver.run_all()
    assert driver.ask(rq.Expire("flow", ("s",))).steps == ["s-1", "s-2"]


def test_a_changed_command_recomputes_its_steps_and_their_dependents(driver: Driver) -> None:
    """Every Step that uses a changed Command, and all that depends on it, runs again."""
    driver.upload(make("a", "a"), copy("b", "a", "b"), copy("y", "q", "y"))
    driver.run_all()
    driver.ask(rq.SetCommands("flow", (Command("make", "new", ("x",), {}, {"out": "/out"}),)))
    assert driver.states() == {"a": "running", "b": "waiting", "y": "waiting"}
    assert driver.flow().commands["make"].image == "new"


def test_a_command_that_breaks_existing_steps_is_refused_by_name(driver: Driver) -> None:
    """A change that makes an existing Step invalid is refused, naming the Step, and changes nothing."""
    driver.upload(make("a", "a"))
    with pytest.raises(InvalidWorkflow, match="Step 'a' would become invalid"):
        driver.ask(rq.SetCommands("flow", (Command("make", "new", ("x",), {}, {"other": "/out"}),)))
    assert driver.flow().commands["make"] == MAKE


def test_a_request_id_answers_twice_and_acts_once(driver: Driver) -> None:
    """A retried mutation with the same body is answered as the first time; another body is refused."""
    identity = rq.RequestId("id-1", b"digest")
    upload = rq.Upload("flow", {}, COMMANDS, (make("a", "a"),), identity)
    first, again = driver.ask(upload), driver.ask(upload)
    assert again == first
    assert again.reasons == [Affected("a", "first")]
    expire = rq.Expire("flow", ("step:a",), rq.RequestId("id-2", b"digest"))
    assert driver.ask(expire) == driver.ask(expire)
    with pytest.raises(NotAllowedNow):
        driver.ask(rq.Upload("flow", {}, COMMANDS, (), rq.RequestId("id-1", b"other")))


def test_a_step_without_outputs_runs_once_and_completes(driver: Driver) -> None:
    """Nothing to write is no reason not to run."""
    driver.upload(StepSpec("quiet", "make"))
    driver.complete("quiet")
    assert state(driver) == "complete"


def test_an_empty_workflow_is_initialized(driver: Driver) -> None:
    """No Steps yet."""
    driver.upload()
    assert state(driver) == "initialized"


def test_priority_goes_first_and_max_parallel_holds(driver: Driver) -> None:
    """Higher priority runs first, and no more than max_parallel run at once."""
    driver.upload(make("low", "l"), make("high", "h", options=Options(priority=5)), make("mid", "m"), max_parallel=1)
    assert driver.sent() == (["high"], [])
    driver.complete("high")
    assert driver.sent() == (["low"], [])


def test_workflows_take_turns(driver: Driver) -> None:
    """A wide workflow does not keep a small one waiting."""
    driver = Driver()
    driver.upload(make("s", "o/{{n}}", vars={"n": tuple(range(500))}), name="wide")
    driver.upload(make("only", "o"), name="small")
    driver.join(slots=100)
    assert driver.states("small") == {"only": "running"}


def test_a_step_goes_only_to_workers_of_its_pool(driver: Driver) -> None:
    """A Step with a pool waits for a worker of that pool."""
    driver.upload(make("a", "a", options=Options(pool="gpu")))
    assert driver.states() == {"a": "ready"}
    driver.join("g", pool="gpu")
    assert driver.step("a").worker == "g"


def test_a_draining_worker_gets_nothing_new_and_keeps_what_it_holds(driver: Driver) -> None:
    """Once a worker says that it drains, ready Steps go elsewhere, and its attempts still count."""
    driver.upload(make("a", "a"), copy("b", "a", "b"))
    driver.say("w", rp.Hello("default", 100, 0, 0, 0, "noop", "host", draining=True))
    driver.complete("a")
    assert driver.states() == {"a": "complete", "b": "ready"}
    driver.join("other")
    assert driver.step("b").worker == "other"


def test_a_worker_given_up_for_lost_is_taken_in_again(driver: Driver) -> None:
    """The hello in a heartbeat brings a lost incarnation back, with nothing of what it held."""
    driver.ask(rq.LoseWorker("w", "i1", "silent"))
    driver.join()
    driver.upload(make("a", "a"))
    assert driver.step("a").worker == "w"


def test_a_command_given_again_unchanged_recomputes_nothing(driver: Driver) -> None:
    """Only Steps of a Command that changed run again."""
    driver.upload(make("a", "a"))
    driver.run_all()
    driver.ask(rq.SetCommands("flow", COMMANDS))
    assert (driver.states(), driver.events) == ({"a": "complete"}, [])


DIGEST = f"sha256:{'0f' * 32}"
NAMED = f"registry.example:5000/a/b@{DIGEST}"


def test_the_image_that_a_step_ran_is_kept_while_what_it_made_counts(driver: Driver) -> None:
    """State, listing and explanation tell the digest that the worker reported, until the Step has to run again."""
    driver.upload(make("a", "a"), make("b", "b"), make("c", "c"))
    fences = [driver.fence(name) for name in "abc"]
    images = (DIGEST, "", NAMED)
    driver.say("w", *(rp.Completed(fence, (), 1, image) for fence, image in zip(fences, images, strict=True)))
    (event,) = [event for event in driver.events if isinstance(event, ev.StepsCompleted)]
    assert event.images == (DIGEST, "", NAMED)
    assert [(step.name, step.image_digest) for step in step_views(driver.flow().steps.values())] == [
        ("a", DIGEST), ("b", ""), ("c", NAMED),
    ]  # fmt: skip
    (told,), _ = driver.ask(rq.Explain("flow", "a"))
    assert told.image_digest == DIGEST
    driver.ask(rq.Expire("flow", ("step:a",)))
    assert driver.step("a").image_digest == ""


@pytest.mark.parametrize(
    "text",
    ["", "sha256:12", f"{DIGEST}0", f"a b@{DIGEST}", f"@{DIGEST}", f"{DIGEST}\n", "sha256:" + "0F" * 32, "x" * 100_000],
)
def test_what_is_no_digest_is_not_journaled(driver: Driver, text: str) -> None:
    """The Step is complete all the same; a worker cannot fill the journal with what it calls an image."""
    driver.upload(make("a", "a"))
    driver.say("w", rp.Completed(driver.fence("a"), (), 1, text))
    assert driver.states() == {"a": "complete"}
    (event,) = [event for event in driver.events if isinstance(event, ev.StepsCompleted)]
    assert event.images == ()
