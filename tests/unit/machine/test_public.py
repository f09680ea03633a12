"""What the world is told, in which order."""

from gaia_core.machine import public
from gaia_core.machine import reports as rp
from gaia_core.machine import requests as rq
from gaia_core.workflow.model import Failure, FailureClass, Fence, Options, StepSpec
from tests.unit.machine.deployment import COMMANDS, Driver, copy, make


def test_deleted_is_the_last_event_of_a_workflow() -> None:
    """Who forgets a workflow when it is deleted misses nothing: attempts that this stopped are told before."""
    driver, announcer = Driver(), public.Announcer()
    driver.join()
    announcer.follow(driver.now_ms, driver.events)
    driver.upload(make("runs", "runs"))
    before = announcer.follow(driver.now_ms, driver.events)
    driver.ask(rq.Delete("flow"))
    after = announcer.follow(driver.now_ms, driver.events)
    assert [one.fact for one in after] == [
        public.StepCancelled("runs", 1, "deleted"),
        public.WorkflowChanged("deleted"),
    ]
    assert [one.sequence for one in after] == [before[-1].sequence + 1, before[-1].sequence + 2]


class Followed:
    """A deployment, and an announcer that follows each of its entries."""

    def __init__(self) -> None:
        self.driver = Driver()
        self.announcer = public.Announcer()

    def follow(self) -> list[public.Announcement]:
        """Return what the last input announces."""
        return self.announcer.follow(self.driver.now_ms, self.driver.events)

    def ask(self, request: rq.Request) -> list[public.Announcement]:
        """Carry out a request and return what it announces."""
        self.driver.ask(request)
        return self.follow()

    def join(self, *steps: StepSpec) -> list[public.Announcement]:
        """Let a worker join, upload Steps, and return what that announces."""
        self.driver.join()
        return [*self.follow(), *self.ask(rq.Upload("flow", {}, COMMANDS, steps))]


def sweep(name: str, *elements: str) -> StepSpec:
    """One Step for each element."""
    return make(name, f"{name}/{{{{n}}}}", vars={"n": elements})


def test_workers_are_told_of_without_a_number() -> None:
    """That one joined, drains, or left, and why, belongs to no workflow."""
    followed = Followed()
    told = followed.join()
    followed.driver.say("w", rp.Hello("default", 100, 0, 0, 0, "noop", "host", draining=True))
    told += followed.follow()
    followed.driver.say("w", rp.Goodbye("drained"))
    told += followed.follow()
    facts = [one.fact for one in told if isinstance(one.fact, public.WorkerChanged)]
    assert facts == [
        public.WorkerChanged("w", "joined", "default"),
        public.WorkerChanged("w", "draining", "default"),
        public.WorkerChanged("w", "left", "", "left: drained"),
    ]
    assert {(one.workflow, one.uid, one.sequence) for one in told if one.fact in facts} == {("", 0, 0)}


def test_a_started_attempt_is_told_of_if_it_is_the_one_that_runs() -> None:
    """A start counts for the running attempt, from the worker that has it; nothing else a worker says is a start."""
    followed = Followed()
    followed.join(sweep("s", "1", "2"))
    state, fence = followed.driver.state, followed.driver.fence("s-1")

    def told(worker: str, *said: rp.Report) -> list[public.Announcement]:
        return list(public.underway(state, rp.WorkerReports(worker, "i1", said)))

    (one,) = told("w", rp.Heartbeat(0, (fence,)), rp.Started(fence))
    assert (one.workflow, one.uid, one.sequence, one.names) == ("flow", 1, 0, ("s-1", "s"))
    assert one.fact == public.StepStarted("s-1", 1, "w")
    unknown = [
        Fence(99, fence.step, 1, 0), Fence(1, 99, 1, 0), Fence(1, fence.step, 2, 0),
    ]  # fmt: skip
    assert told("w", *map(rp.Started, unknown)) == []
    assert told("other", rp.Started(fence)) == []
    followed.ask(rq.Halt("flow"))
    assert told("w", rp.Started(fence)) == []


def test_events_about_steps_know_all_their_names() -> None:
    """A Step is called by its own name and that of its sweep, also in the events that tell of its removal."""
    followed = Followed()
    followed.join(sweep("s", "1", "2", "3"), make("alone", "alone"))
    followed.driver.complete("s-1")
    told = followed.follow()
    followed.driver.complete("alone")
    told += followed.follow()
    told += followed.ask(rq.Expire("flow", ("s-1",)))
    told += followed.ask(rq.Remove("flow", ("s-2",)))
    told += followed.ask(rq.Merge("flow", (sweep("s", "1"),), prune=True))
    names = [(type(one.fact).__name__, one.names) for one in told if one.names]
    assert names == [
        ("StepCompleted", ("s-1", "s")),
        ("StepCompleted", ("alone",)),
        ("StepExpired", ("s-1", "s")),
        ("StepCancelled", ("s-2", "s")),
        ("StepCancelled", ("s-3", "s")),
        ("StepCancelled", ("s-1", "s")),
    ]


def test_a_step_that_no_worker_took_fails_without_an_attempt() -> None:
    """What an earlier attempt completed is not said to have failed."""
    followed = Followed()
    followed.join(make("s", "o", options=Options(queue_timeout_s=10)))
    followed.driver.complete("s")
    followed.driver.ask(rq.LoseWorker("w", "i1", "away"))
    followed.driver.ask(rq.Expire("flow", ("s",)))
    followed.follow()
    followed.driver.now_ms += 10_000
    failed, at_rest = followed.ask(rq.Tick())
    failure = Failure(FailureClass.TIMEOUT, "no worker took it within 10 s")
    assert failed.fact == public.StepFailed("s", 0, "", failure)
    assert at_rest.fact == public.WorkflowChanged("error")


def test_updates_tell_how_each_touched_workflow_stands_after_an_entry() -> None:
    """One update a workflow and entry, with the number of its latest event and its Steps by state."""
    followed = Followed()
    followed.join(make("a", "a"), make("b", "b"))
    (update,) = followed.announcer.updates
    assert update == public.Update("flow", 1, 3, "running", False, (0, 0, 2, 0, 0, 0))
    followed.driver.complete("a")
    followed.follow()
    (update,) = followed.announcer.updates
    assert (update.sequence, update.steps) == (4, (0, 0, 1, 0, 1, 0))
    followed.driver.join("other")
    followed.follow()
    assert followed.announcer.updates == []
    followed.ask(rq.Delete("flow"))
    (update,) = followed.announcer.updates
    assert update == public.Update("flow", 1, 6, "deleted", False, (0,) * 6, deleted=True)
    assert followed.announcer.sequences == {}


def test_a_workflow_that_is_stalled_says_so_in_its_update() -> None:
    """Waiting for a Key that no Step will write is shown."""
    followed = Followed()
    followed.join(copy("c", "outside", "c"))
    (update,) = followed.announcer.updates
    assert (update.state, update.stalled) == ("running", True)


def test_every_removed_step_is_named() -> None:
    """An event names a thousand Steps at most, so more of them follow until all were named."""
    followed = Followed()
    followed.join(sweep("s", *map(str, range(2_500))))
    told = followed.ask(rq.Remove("flow", ("s",)))
    facts = [one.fact for one in told if isinstance(one.fact, public.WorkflowChanged)]
    assert [(fact.change, len(fact.names), fact.count) for fact in facts] == [
        ("removed", 1_000, 1_000),
        ("removed", 1_000, 1_000),
        ("removed", 500, 500),
    ]
    assert [name for fact in facts for name in fact.names] == [f"s-{n}" for n in range(2_500)]
    assert [one.sequence for one in told] == list(range(told[0].sequence, told[0].sequence + len(told)))
