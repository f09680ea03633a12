"""Two deployments hear the same; in one of them finished workflows leave memory at any moment. Nobody can tell."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gaia_core.errors import RequestError
from gaia_core.machine import reports as rp
from gaia_core.machine import requests as rq
from gaia_core.machine.resting import is_finished
from gaia_core.workflow.model import Failure, FailureClass, Fence, Options, StepSpec
from tests.unit.machine.archiving import Attic
from tests.unit.machine.deployment import COMMANDS, copy, make, published

FLOWS = ("one", "two", "three")
STEPS: dict[str, StepSpec] = {
    "make": make("a", "x"),
    "sweep": StepSpec("s", "make", {}, {"out": "s/{{n}}"}, {"n": (1, 2)}, Options(retries=1)),
    "copy": copy("b", "x", "y"),
    "outside": copy("c", "k", "z"),
    "list": copy("d", "s/", "w", command="list"),
    "tree": make("e", "t/", command="tree"),
}

flows = st.sampled_from(FLOWS)


class Twins(RuleBasedStateMachine):
    """One deployment that keeps everything in memory, and one that does not."""

    def __init__(self) -> None:
        super().__init__()
        self.steady, self.restless = Attic(), Attic()
        self.version = 0

    def both(self, request: rq.Request) -> None:
        """Ask both; they answer, or refuse, alike."""
        answers: list[Any] = []
        for one in (self.steady, self.restless):
            try:
                answers.append(one.ask(request))
            except RequestError as refusal:
                answers.append(str(refusal))
        assert answers[0] == answers[1]

    def say(self, *said: rp.Report) -> None:
        """Report to both."""
        for one in (self.steady, self.restless):
            one.say("w", *said)

    @initialize()
    def begin(self) -> None:
        """A worker, and a workflow that is soon finished."""
        self.say(rp.Hello("default", 3, 1, 0, 0, "noop", "host"))
        self.both(rq.Upload("one", {}, COMMANDS, (STEPS["make"], STEPS["copy"])))

    @rule(flow=flows, names=st.lists(st.sampled_from(sorted(STEPS)), max_size=3, unique=True))
    def upload(self, flow: str, names: list[str]) -> None:
        """Create a workflow, or be told that it is there."""
        self.both(rq.Upload(flow, {"on_error": "stop"} if flow == "two" else {}, COMMANDS, self.specs(names)))

    @rule(flow=flows, names=st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=2, unique=True))
    def merge(self, flow: str, names: list[str]) -> None:
        """Merge Steps."""
        self.version += 1
        self.both(rq.Merge(flow, self.specs(names), rq.RequestId(f"id {self.version}", b"d")))

    @rule(flow=flows, name=st.sampled_from(["a", "b", "s", "s-1", "x", "k", "s/"]))
    def expire(self, flow: str, name: str) -> None:
        """Expire a Step or a Key."""
        self.both(rq.PlanExpire(flow, (name,)))
        self.both(rq.Expire(flow, (name,)))

    @rule(flow=flows, name=st.sampled_from(["a", "b", "c", "s", "e"]))
    def remove(self, flow: str, name: str) -> None:
        """Take Steps out."""
        self.both(rq.Remove(flow, (name,)))

    @rule(flow=flows, key=st.sampled_from(["k", "q", "x"]))
    def put(self, flow: str, key: str) -> None:
        """Put a Key."""
        self.version += 1
        self.both(rq.Arrive(flow, (published(key, f"v{self.version}"),)))

    @rule(flow=flows, request=st.sampled_from([rq.Run, rq.Halt, rq.Run]))
    def run_or_halt(self, flow: str, request: type[rq.Run | rq.Halt]) -> None:
        """Run or halt."""
        self.both(request(flow))

    @rule(flow=flows, data=st.sampled_from([False, False, True]))
    def delete(self, flow: str, data: bool) -> None:
        """Delete, wherever it lies."""
        self.both(rq.Delete(flow, data))
        for uid in list(self.steady.state.doomed):
            self.both(rq.DataGone(uid))

    @rule(count=st.integers(1, 4), fails=st.sampled_from([False, False, False, True]))
    def end(self, count: int, fails: bool) -> None:
        """Let attempts end."""
        held = sorted(self.steady.state.fleet.workers["w"].held)
        for attempt in held[:count]:
            fence = Fence(*attempt)
            workflow = self.steady.state.by_uid.get(attempt.uid)
            step = workflow.steps.get(attempt.step) if workflow is not None else None
            outputs = tuple(published(key.name, f"v{attempt.attempt}") for key in step.outputs) if step else ()
            failed = rp.Failed(fence, Failure(FailureClass.COMMAND, "no", 1))
            self.say(failed if fails else rp.Completed(fence, outputs, 1))

    @rule(seconds=st.sampled_from([0, 1, 120]))
    def wait(self, seconds: int) -> None:
        """Let time pass."""
        for one in (self.steady, self.restless):
            one.now_ms += seconds * 1000
        self.both(rq.Tick())

    @rule(flow=flows)
    def put_aside(self, flow: str) -> None:
        """Let a finished workflow leave memory."""
        workflow = self.restless.state.workflows.get(flow)
        if workflow is not None and is_finished(workflow):
            assert self.restless.ask(self.restless.encode(workflow.uid)) is True

    @rule(flow=flows)
    def read(self, flow: str) -> None:
        """Ask what only reads."""
        for request in (rq.GetStatus(flow), rq.ListSteps(flow), rq.Explain(flow, "a"), rq.GetFiles(flow, "", True)):
            self.both(request)

    @rule()
    def restart(self) -> None:
        """Begin from snapshots."""
        self.restless.restart()

    @invariant()
    def nobody_can_tell(self) -> None:
        """What was announced is the same, and so is what is in memory or would come back."""
        assert self.steady.told == self.restless.told
        names = {line.name: line.state for line in self.steady.ask(rq.ListWorkflows())}
        assert names == {line.name: line.state for line in self.restless.ask(rq.ListWorkflows())}

    def teardown(self) -> None:
        """Bring everything back, and compare all there is."""
        self.restless.revive_all()
        assert self.restless.digest == self.steady.digest
        assert not any(self.restless.objects.values())

    def specs(self, names: list[str]) -> tuple[StepSpec, ...]:
        return tuple(STEPS[name] for name in names)


TestTwins = Twins.TestCase
TestTwins.settings = settings(max_examples=settings.default.max_examples // 4, stateful_step_count=30)
