"""Random inputs against the machine, and after each of them everything compared with a naive oracle.

The Driver adds its own checks: counters recounted, and a replica that replays the journal's bytes is the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import pytest
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gaia_core.errors import RequestError
from gaia_core.machine import public
from gaia_core.machine import reports as rp
from gaia_core.machine import requests as rq
from gaia_core.machine.effects import LookUp, SendDrain
from gaia_core.machine.public import Announcer
from gaia_core.scheduling.placement import RESERVE_AFTER_MS
from gaia_core.workflow import invariants
from gaia_core.workflow.events import StepsDispatched
from gaia_core.workflow.model import (
    Command,
    Failure,
    FailureClass,
    Fence,
    FileVersion,
    Options,
    Publication,
    Resources,
    StepSpec,
)
from tests.property import oracle as naive
from tests.support.orders import execution_of
from tests.unit.machine.deployment import Driver, restored, snapshot

FLOWS = ("one", "two")
KEYS = ("a", "b", "c", "s0", "t/a", "t/b", "t/u/c", "t/u/", "t/", "t", "u/{{n}}", "u/1", "u/")
COMMANDS = {f"r{reads}w{writes}": (reads, writes) for reads in range(3) for writes in range(3)}
PAIRS = {f"pair-{name}": counts for name, counts in COMMANDS.items()}
"""Composites: one inner Step reads all inputs, another one writes all outputs."""

NAMES = ("s0", "s1", "s2", "s3", "s0-1", "s1-2", "s0:first", "s1-2:second")
IMAGES = ("", f"sha256:{'1' * 64}", f"sha256:{'2' * 64}")
FAILURES = [kind.name for kind in FailureClass]

flows = st.sampled_from(FLOWS)
workers = st.sampled_from(["v", "w", "g"])
incarnations = st.sampled_from(["i1", "i2"])


@dataclass(frozen=True)
class Draft:
    """A Step as the test writes it, before it is given to both sides."""

    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    sweep: tuple[int, ...]
    retries: int
    pool: str
    is_pair: bool = False
    cpus: int = 0

    @property
    def command(self) -> str:
        return f"{'pair-' * self.is_pair}r{len(self.reads)}w{len(self.writes)}"

    def spec(self) -> StepSpec:
        """Return what the machine is given."""
        return StepSpec(
            self.name,
            self.command,
            {f"r{n}": key for n, key in enumerate(self.reads)},
            {f"w{n}": key for n, key in enumerate(self.writes)},
            {"n": self.sweep or 1},
            Options(
                retries=self.retries,
                pool=None if self.pool == "default" else self.pool,
                resources=Resources(cpus=self.cpus) if self.cpus else None,
            ),
        )

    def steps(self) -> dict[str, naive.Step]:
        """Return what the oracle is given."""
        found: dict[str, naive.Step] = {}
        for n in self.sweep or (1,):
            element = f"{self.name}-{n}" if self.sweep else self.name
            reads, writes = self._keys(self.reads, n), self._keys(self.writes, n)
            between = (f"composite/{element}/first/w0/",)
            parts = {element: (reads, writes)}
            if self.is_pair:
                parts = {f"{element}:first": (reads, between), f"{element}:second": (between, writes)}
            for name, (taken, made) in parts.items():
                leaf = f"r{len(taken)}w{len(made)}"
                commands = (self.command, leaf) if self.is_pair else (leaf,)
                found[name] = naive.Step(self.name, element, commands, taken, made, self.pool, self.retries, self.cpus)
        return found

    def _keys(self, keys: Iterable[str], n: int) -> tuple[str, ...]:
        return tuple(key.replace("{{n}}", str(n)) for key in keys)


drafts = st.builds(
    Draft,
    st.sampled_from(["s0", "s1", "s2", "s3", "s4", "s5", "s0-1"]),
    st.lists(st.sampled_from(KEYS), max_size=2, unique=True).map(tuple),
    st.lists(st.sampled_from([*KEYS[:6], *KEYS]), max_size=2, unique=True).map(tuple),
    st.sampled_from([(), (), (), (1,), (1, 2), (2, 3)]),
    st.integers(0, 2),
    st.sampled_from(["default", "default", "default", "gpu"]),
    st.sampled_from([False, False, True]),
    st.sampled_from([0, 0, 0, 1, 1, 2, 3]),
)


NAME = attrgetter("name")


def command(name: str, image: str = "image", extra: bool = False) -> Command:
    """A Command with as many inputs and outputs as its name says."""
    if name in PAIRS:
        return pair(name, image)
    reads, writes = COMMANDS[name]
    outputs = {f"w{n}": f"/w{n}/" for n in range(writes)}
    return Command(name, image, ("x",), {f"r{n}": f"/r{n}/" for n in range(reads + extra)}, outputs)


def pair(name: str, version: str) -> Command:
    """A composite with as many inputs and outputs as its name says; the version is a var that nobody splices."""
    reads, writes = PAIRS[name]
    inputs, outputs = {f"r{n}": f"r{n}" for n in range(reads)}, {f"w{n}": f"w{n}" for n in range(writes)}
    steps = (
        StepSpec("first", f"r{reads}w1", inputs, {"w0": "between"}),
        StepSpec("second", f"r1w{writes}", {"r0": "between"}, outputs),
    )
    return Command(
        name, inputs=dict.fromkeys(inputs, ""), outputs=dict.fromkeys(outputs, ""), vars={"v": version}, steps=steps
    )


def arrival(key: str, version: str) -> Publication:
    """What is seen under a Key."""
    path = f"{key}file" if key.endswith("/") else key
    return Publication(key, (FileVersion(path, version, 1, b""),))


class Deployment(RuleBasedStateMachine):
    """One deployment and its oracle."""

    def __init__(self) -> None:
        super().__init__()
        self.driver = Driver()
        self.oracle = naive.Oracle()
        self.announcer, self.witness = Announcer(), Announcer()
        self.announced: dict[int, int] = {}
        self.completions: set[tuple[int, str, int]] = set()
        self.ends: list[tuple[str, str, Fence, naive.Attempt]] = []
        self.version = 0
        self.fences: dict[naive.Attempt, Fence] = {}
        self.names: dict[Fence, tuple[str, list[str]]] = {}

    # -- requests

    @initialize(limit=st.sampled_from([None, None, 1, 2]), first=st.lists(drafts, max_size=5, unique_by=NAME))
    def begin(self, limit: int | None, first: list[Draft]) -> None:
        """Two workflows with every Command, some Steps one by one, and a worker."""
        for name in FLOWS:
            self.oracle.flows[name] = naive.Flow(max_parallel=limit if name == "two" else None)
            properties = {"max_parallel": limit} if limit and name == "two" else {}
            self.driver.ask(rq.Upload(name, properties, tuple(map(command, (*COMMANDS, *PAIRS))), ()))
            self.follow()
        self.join("w", "i1")
        for number, draft in enumerate(first):
            self.merge(FLOWS[number % 2], [draft])

    @rule(
        flow=flows,
        wanted=st.lists(drafts, min_size=1, max_size=4, unique_by=NAME),
        only_changed=st.sampled_from([False, False, True]),
        prune=st.sampled_from([False, False, True]),
    )
    def merge(self, flow: str, wanted: list[Draft], only_changed: bool = False, prune: bool = False) -> None:
        """Merge Steps; what the oracle refuses must be refused and change nothing."""
        request = rq.Merge(flow, tuple(draft.spec() for draft in wanted), only_changed=only_changed, prune=prune)
        try:
            expected = self.oracle.merge(flow, {draft.name: draft.steps() for draft in wanted}, only_changed, prune)
        except naive.Refused as refusal:
            return self.refused(request, str(refusal))
        answer = self.driver.ask(request)
        assert set(answer.added) == expected["added"]
        assert set(answer.recomputed) == expected["recomputed"]
        assert set(answer.removed) == expected["removed"]
        self.check_reasons(flow, answer)
        self.check_lookups(flow, {key for draft in wanted for step in draft.steps().values() for key in step.reads})
        return self.follow()

    def check_reasons(self, flow: str, answer: Any) -> None:
        """Make sure that every Step that runs has a reason: it is new, or its own, or that of a Step it reads from."""
        again = {one.step: one for one in answer.reasons}
        recomputed = answer.recomputed if hasattr(answer, "recomputed") else answer.steps
        added = set(getattr(answer, "added", ()))
        assert set(again) == set(recomputed) | added
        assert {name for name, one in again.items() if one.reason == "first"} == added
        for one in again.values():
            if one.reason == "upstream":
                assert one.upstream in again
                steps = self.oracle.flows[flow].steps
                assert one.step in steps
                assert any(naive.overlap(one.key, key) for key in steps[one.step].reads) or one.upstream in again

    @rule(
        flow=flows,
        names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=2),
    )
    def remove(self, flow: str, names: list[str]) -> None:
        """Take Steps and sweeps out."""
        request = rq.Remove(flow, tuple(names))
        try:
            expected = self.oracle.remove(flow, names)
        except naive.Refused as refusal:
            return self.refused(request, str(refusal))
        answer = self.driver.ask(request)
        assert set(answer.removed) == expected["removed"]
        assert set(answer.recomputed) == expected["recomputed"]
        return self.follow()

    @rule(flow=flows, name=st.sampled_from(sorted([*COMMANDS, *PAIRS])))
    def change_command(self, flow: str, name: str) -> None:
        """Replace a Command."""
        self.oracle.change_command(flow, name)
        self.version += 1
        self.driver.ask(rq.SetCommands(flow, (command(name, f"image:{self.version}"),)))
        self.follow()

    @rule(flow=flows, name=st.sampled_from(sorted(COMMANDS)))
    def break_command(self, flow: str, name: str) -> None:
        """Replace a Command by one with another input: refused while a Step or a composite uses it."""
        inside = COMMANDS[name][0] == 1 or COMMANDS[name][1] == 1
        if inside or any(name in step.commands for step in self.oracle.flows[flow].steps.values()):
            self.refused(rq.SetCommands(flow, (command(name, extra=True),)), "InvalidWorkflow")

    @rule(
        flow=flows,
        names=st.lists(st.sampled_from([*NAMES, *KEYS]), min_size=1, max_size=2),
    )
    def expire(self, flow: str, names: list[str]) -> None:
        """Expire Steps, sweeps, Keys and trees."""
        request = rq.Expire(flow, tuple(names))
        plan = self.planned(rq.PlanExpire(flow, tuple(names)))
        try:
            expected = self.oracle.expire(flow, names)
        except naive.Refused as refusal:
            return self.refused(request, str(refusal))
        answer = self.driver.ask(request)
        assert answer == plan
        assert set(answer.steps) == expected
        self.check_reasons(flow, answer)
        return self.follow()

    @rule(flow=flows, key=st.sampled_from(KEYS), version=st.sampled_from(["v1", "v2"]))
    def put(self, flow: str, key: str, version: str) -> None:
        """Let a Key be put from outside."""
        request = rq.Arrive(flow, (arrival(key, version),))
        try:
            self.oracle.arrive(flow, key, version)
        except naive.Refused as refusal:
            return self.refused(request, str(refusal))
        self.driver.ask(request)
        return self.follow()

    @rule(flow=flows, halting=st.sampled_from([False, False, True]))
    def run_or_halt(self, flow: str, halting: bool) -> None:
        """Run or halt."""
        if halting:
            self.oracle.halt(flow)
            self.driver.ask(rq.Halt(flow))
        else:
            self.oracle.run(flow)
            self.driver.ask(rq.Run(flow))
        self.follow()

    @rule(long=st.booleans())
    def wait(self, long: bool) -> None:
        """Look at the clock when no time has passed, or more than any backoff takes."""
        if long:
            self.driver.now_ms += 60_000
            self.oracle.wait()
        self.driver.ask(rq.Tick())
        self.follow()

    @rule(leader=st.booleans())
    def go_on_from_a_snapshot(self, leader: bool) -> None:
        """Let the follower, and perhaps the leader, forget all and read a snapshot of themselves."""
        self.announcer = restored(self.announcer)
        if leader:
            self.driver.restart()

    # -- workers

    @rule(
        name=workers,
        incarnation=incarnations,
        draining=st.sampled_from([False, False, False, True]),
        trouble=st.sampled_from(["", "", "", "ill"]),
        prefetch=st.sampled_from([1, 1, 1, 0, 3]),
    )
    def join(self, name: str, incarnation: str, draining: bool = False, trouble: str = "", prefetch: int = 1) -> None:
        """Let an incarnation say hello: at first, with heartbeats, or when it drains, is ill or well, or has woken up.

        It may want more or less than before.
        """
        pool = "gpu" if name == "g" else "default"
        slots = 2 if incarnation == "i1" else 1
        cpus = 3 if incarnation == "i1" else 2
        self.oracle.join(name, naive.Worker(incarnation, pool, slots, prefetch, draining, trouble, cpus))
        resources = Resources(cpus=cpus)
        hello = rp.Hello(
            pool, slots, prefetch, 0, 0, "noop", "host", draining=draining, resources=resources, trouble=trouble
        )
        self.driver.say(name, hello, rp.Heartbeat(0, ()), incarnation=incarnation)
        self.follow()

    @rule(names=st.lists(workers, min_size=1, max_size=2))
    def dismiss(self, names: list[str]) -> None:
        """Ask workers to leave; unknown ones are refused, and then nobody was asked."""
        request = rq.Drain(tuple(names))
        if not set(names) <= set(self.oracle.workers):
            return self.refused(request, "UnknownName")
        asked = [name for name in dict.fromkeys(names) if not self.driver.state.fleet.workers[name].is_leaving]
        for name in names:
            self.oracle.workers[name].dismissed |= not self.oracle.workers[name].draining
        self.driver.ask(request)
        assert [effect.worker for effect in self.driver.effects if isinstance(effect, SendDrain)] == asked
        return self.follow()

    @precondition(lambda self: self.oracle.workers)
    @rule(data=st.data(), goodbye=st.booleans())
    def lose_worker(self, data: st.DataObject, goodbye: bool) -> None:
        """Give a worker up, or let it say goodbye."""
        name = data.draw(st.sampled_from(sorted(self.oracle.workers)))
        incarnation = self.oracle.workers[name].incarnation
        self.oracle.leave(name)
        if goodbye:
            self.driver.say(name, rp.Goodbye("drained"), incarnation=incarnation)
        else:
            self.driver.ask(rq.LoseWorker(name, incarnation, "silent"))
        self.follow()

    @precondition(lambda self: any(worker.held for worker in self.oracle.workers.values()))
    @rule(data=st.data())
    def lose_attempt(self, data: st.DataObject) -> None:
        """Give an attempt up that its worker does not know."""
        name, attempt = data.draw(st.sampled_from(self.held()))
        worker = self.oracle.workers[name]
        fence = self.fence(attempt)
        self.oracle.end(name, worker.incarnation, attempt, "LOST")
        lost = ((fence.workflow_uid, fence.step, fence.attempt),)
        self.driver.ask(rq.LoseAttempts(name, worker.incarnation, lost))
        self.follow()

    @precondition(lambda self: any(worker.held for worker in self.oracle.workers.values()))
    @rule(
        data=st.data(),
        how=st.sampled_from(["COMPLETED"] * 8 + ["CANCELLED", "UNSTARTED", *FAILURES]),
        twice=st.booleans(),
    )
    def report_end(self, data: st.DataObject, how: str, twice: bool) -> None:
        """Let a worker report the end of what it holds, perhaps twice in one record."""
        name, attempt = data.draw(st.sampled_from(self.held()))
        incarnation = self.oracle.workers[name].incarnation
        fence = self.fence(attempt)
        self.ends.append((name, incarnation, fence, attempt))
        self.report(name, incarnation, fence, attempt, how, 1 + twice)

    @precondition(lambda self: self.ends)
    @rule(data=st.data(), how=st.sampled_from(["COMPLETED", "CANCELLED", "COMMAND"]), name=workers)
    def report_again(self, data: st.DataObject, how: str, name: str) -> None:
        """Repeat an old end, from its worker or from another one: it counts only while that attempt is held."""
        speaker, incarnation, fence, attempt = data.draw(st.sampled_from(self.ends))
        self.report(data.draw(st.sampled_from([speaker, name])), incarnation, fence, attempt, how, 1)

    @precondition(lambda self: any(worker.held for worker in self.oracle.workers.values()))
    @rule(data=st.data(), name=workers, incarnation=incarnations)
    def report_of_another(self, data: st.DataObject, name: str, incarnation: str) -> None:
        """Let any worker, or another incarnation of the right one, report the end of an attempt that one holds."""
        _, attempt = data.draw(st.sampled_from(self.held()))
        self.report(name, incarnation, self.fence(attempt), attempt, "COMPLETED", 1)

    @rule(rounds=st.integers(1, 4))
    def progress(self, rounds: int) -> None:
        """Let every worker report all that it holds in one record, round by round."""
        for name in sorted(self.oracle.workers) * rounds:
            worker = self.oracle.workers[name]
            said = [self.end_report(self.fence(attempt), "COMPLETED") for attempt in worker.held]
            for attempt in list(worker.held):
                self.oracle.end(name, worker.incarnation, attempt, "COMPLETED")
            self.driver.say(name, *said, incarnation=worker.incarnation)
            self.follow()

    @rule(
        name=workers, incarnation=incarnations, uid=st.integers(0, 3), step=st.integers(0, 9), attempt=st.integers(0, 3)
    )
    def forge(self, name: str, incarnation: str, uid: int, step: int, attempt: int) -> None:
        """Report the end of an attempt that the speaker does not hold."""
        worker = self.oracle.workers.get(name)
        fence = Fence(uid, step, attempt)
        held = {self.fence(one) for one in worker.held} if worker is not None else set()
        if fence not in held:
            before = self.driver.state.by_uid[1].revision
            self.driver.say(name, rp.Completed(fence), incarnation=incarnation)
            assert self.driver.refused == 1
            assert self.driver.state.by_uid[1].revision == before
            self.follow()

    # -- both sides

    def held(self) -> list[tuple[str, naive.Attempt]]:
        return [(name, attempt) for name, worker in sorted(self.oracle.workers.items()) for attempt in worker.held]

    def fence(self, attempt: naive.Attempt) -> Fence:
        return self.fences[attempt]

    def report(self, name: str, incarnation: str, fence: Fence, attempt: naive.Attempt, how: str, times: int) -> None:
        counted = [self.oracle.end(name, incarnation, attempt, how) for _ in range(times)]
        self.driver.say(name, *[self.end_report(fence, how)] * times, incarnation=incarnation)
        assert self.driver.refused == counted.count(False)
        self.follow()

    def end_report(self, fence: Fence, how: str) -> rp.Report:
        name, keys = self.names[fence]
        outputs = tuple(arrival(key, f"{name}/{fence.attempt}") for key in keys)
        if how == "COMPLETED":
            return rp.Completed(fence, outputs, 1, IMAGES[fence.attempt % len(IMAGES)])
        if how == "CANCELLED":
            return rp.Cancelled(fence)
        if how == "UNSTARTED":
            return rp.Failed(fence, Failure(FailureClass.LOST, "it drained"), unstarted=True)
        return rp.Failed(fence, Failure(FailureClass[how], "it failed"))

    def refused(self, request: rq.Request, kind: str) -> None:
        """Make sure that the machine refuses, for the same reason, and that nothing changes."""
        before = snapshot(self.driver.state)
        with pytest.raises(RequestError) as refusal:
            self.driver.ask(request)
        assert type(refusal.value).__name__ == kind
        assert snapshot(self.driver.state) == before

    def planned(self, request: rq.PlanExpire) -> Any:
        """Ask for a plan, which must change nothing; None where it is refused."""
        before = snapshot(self.driver.state)
        try:
            return self.driver.ask(request)
        except RequestError:
            return None
        finally:
            assert snapshot(self.driver.state) == before

    def check_lookups(self, flow_name: str, reads: set[str]) -> None:
        """Compare what the store is asked for with the outside Keys that new readers lack."""
        flow = self.oracle.flows[flow_name]
        asked = {key for effect in self.driver.effects if isinstance(effect, LookUp) for key in effect.keys}
        lacking = {key for key in reads if not flow.writers(key) and key not in flow.arrived}
        assert asked == {key for key in lacking if not any(naive.overlap(key, one) for one in flow.left_behind)}

    def follow(self) -> None:
        """Learn what the machine dispatched, and check what it told the world."""
        for event in self.driver.events:
            if isinstance(event, StepsDispatched):
                state = self.driver.state.by_uid[event.uid]
                for index, number in zip(event.steps, event.attempts, strict=True):
                    step = state.steps[index]
                    attempt = self.oracle.adopt(state.name, step.name, number, event.worker)
                    fence = self.fences[attempt] = Fence(state.uid, index, number)
                    self.names[fence] = (step.name, [key.name for key in step.outputs])
        announced = self.announcer.follow(self.driver.now_ms, self.driver.events)
        assert announced == self.witness.follow(self.driver.now_ms, self.driver.events)
        assert self.announcer.updates == self.witness.updates
        for told in announced:
            if isinstance(told.fact, public.WorkerChanged):
                assert told.sequence == 0
                continue
            self.announced[told.uid] = self.announced.get(told.uid, 0) + 1
            assert told.sequence == self.announced[told.uid]
            if isinstance(told.fact, public.StepCompleted):
                completion = (told.uid, told.fact.step, told.fact.attempt)
                assert completion not in self.completions
                self.completions.add(completion)

    @invariant()
    def steps_stand_as_they_should(self) -> None:
        """Every Step's state is what the specs and the history say."""
        for name, flow in self.oracle.flows.items():
            note(f"{name}: {flow}")
            if name in self.driver.state.workflows:
                assert self.driver.states(name) == {step: self.oracle.word(name, step) for step in flow.steps}

    @invariant()
    def slots_are_held_as_they_should(self) -> None:
        """Each worker holds what it was given and has not ended, within its credit."""
        actual = {
            name: {Fence(*attempt): stopping for attempt, stopping in worker.held.items()}
            for name, worker in self.driver.state.fleet.workers.items()
        }
        assert actual == {
            name: {self.fences[attempt]: stopping for attempt, stopping in worker.held.items()}
            for name, worker in self.oracle.workers.items()
        }

    @invariant()
    def nothing_waits_without_a_reason(self) -> None:
        """A Step that may run does, while its pool has credit, and no workflow runs more than it may."""
        reserved = self.driver.state.ready.reserved.values()
        assert not list(self.oracle.idle({kept.worker for kept in reserved}))
        for flow in self.oracle.flows.values():
            assert flow.max_parallel is None or flow.running() <= flow.max_parallel

    @invariant()
    def a_worker_is_kept_free_only_for_what_waits(self) -> None:
        """For a Step that could run, was ready for long, and is no larger than the worker."""
        for kept in self.driver.state.ready.reserved.values():
            assert self.driver.now_ms - kept.step.ready_since_ms >= RESERVE_AFTER_MS
            worker = self.oracle.workers.get(kept.worker)
            assert worker is None or kept.demand.milli_cpus <= worker.cpus * 1000

    @invariant()
    def inputs_are_pinned_to_what_complete_writers_published(self) -> None:
        """A running Step reads the latest attempts of all the writers it depends on, or what arrived from outside."""
        for name, flow in self.oracle.flows.items():
            for step_name, step in flow.steps.items():
                if step.phase == "running":
                    execution = execution_of(self.driver.flow(name), self.driver.step(step_name, name), 0)
                    pinned = {
                        (i.key, "" if "/" in file.version else file.key, file.version)
                        for i in execution.inputs for one in i.sources for file in one.files
                    }  # fmt: skip
                    assert pinned == {each for key in step.reads for each in self._files(flow, key)}

    def _files(self, flow: naive.Flow, key: str) -> set[tuple[str, str, str]]:
        """Return what a Key is made of: versions that Steps wrote, by whoever they are, and files from outside."""
        written = {(key, "", f"{one}/{flow.steps[one].attempt}") for one in flow.writers(key)}
        return written | {(key, path, version) for path, version in flow.from_outside(key).items()}

    @invariant()
    def the_follower_agrees(self) -> None:
        """A state that only replays the journal, or goes on from snapshots, keeps every counter right, too."""
        for workflow in self.announcer.state.workflows.values():
            invariants.check(workflow)


TestDeployment = Deployment.TestCase
