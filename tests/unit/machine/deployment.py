"""A deployment under test: inputs go in, invariants and replay are checked after each, facts come out."""

from collections.abc import Iterable
from typing import Any

from gaia_core.machine import reports as rp
from gaia_core.machine import requests as rq
from gaia_core.machine.decision import Decision
from gaia_core.machine.effects import Effect, SendCancels, SendDispatches
from gaia_core.machine.events import Event
from gaia_core.machine.handle import dispatch, handle
from gaia_core.machine.outcomes import reports
from gaia_core.machine.public import Announcer
from gaia_core.machine.state import PIECES_PER_ENTRY, Deployment
from gaia_core.scheduling import invariants as scheduling
from gaia_core.wire.dispatches import DispatchEncoder
from gaia_core.wire.journal import Entry, decode_entry, encode_entry
from gaia_core.wire.snapshot import Place, Snapshot, decode_snapshot, digest, encode_snapshot
from gaia_core.workflow import invariants
from gaia_core.workflow.model import (
    Command,
    Failure,
    FailureClass,
    Fence,
    FileVersion,
    Options,
    Publication,
    StepSpec,
)
from gaia_core.workflow.state import Step, WorkflowState
from gaia_core.workflow.validate import ANY

COPY = Command("copy", "image", ("cp", "{{in}}", "{{out}}"), {"in": "/in"}, {"out": "/out"})
MAKE = Command("make", "image", ("make", "{{out}}"), {}, {"out": "/out"})
LIST = Command("list", "image", ("ls", "{{in}}"), {"in": "/in/"}, {"out": "/out"})
TREE = Command("tree", "image", ("mk", "{{out}}"), {}, {"out": "/out/"})
TWO = Command("two", "image", ("mk",), {}, {"one": "/one", "other": "/other"})
COMMANDS = (COPY, MAKE, LIST, TREE, TWO)

STEP_FIELDS = (
    "name", "state", "missing", "attempt", "worker", "faults", "disturbances", "published", "failure", "reason",
    "element", "aliases", "attempts_before", "commands", "options", "retry_at_ms", "times_ready",
)  # fmt: skip


def make(name: str, out: str, **more: Any) -> StepSpec:
    """A Step that only writes."""
    return StepSpec(name, more.pop("command", "make"), {}, {"out": out}, **more)


def copy(name: str, source: str, out: str, **more: Any) -> StepSpec:
    """A Step that reads one Key and writes another."""
    return StepSpec(name, more.pop("command", "copy"), {"in": source}, {"out": out}, **more)


class Driver:
    """Drives the machine as the loop does, one input a batch, and replays every entry through the real encoding."""

    def __init__(self) -> None:
        self.state = Deployment()
        self.rules = ANY
        self.replica = Deployment()
        self.events: list[Event] = []
        self.effects: list[Effect] = []
        self.now_ms = 1_000
        self.refused = 0
        self.arrivals = 0
        self.encoder = DispatchEncoder(0)

    def ask(self, request: rq.Request) -> Any:
        """Carry out a request, as one batch."""
        decision = self._begin()
        answer = handle(decision, request)
        self._finish(decision)
        return answer

    def say(self, worker: str, *said: rp.Report, incarnation: str = "i1") -> None:
        """Enter reports of a worker, as one batch."""
        decision = self._begin()
        self.refused = reports(decision, rp.WorkerReports(worker, incarnation, said)).total()
        self._finish(decision)

    def join(self, worker: str = "w", slots: int = 100, prefetch: int = 0, **more: Any) -> None:
        """Let a worker say hello."""
        incarnation = more.pop("incarnation", "i1")
        hello = rp.Hello(more.pop("pool", "default"), slots, prefetch, 0, 0, "noop", "host", **more)
        self.say(worker, hello, incarnation=incarnation)

    def upload(
        self, *steps: StepSpec, name: str = "flow", commands: Iterable[Command] = COMMANDS, **properties: Any
    ) -> Any:
        """Create a workflow with the usual Commands."""
        return self.ask(rq.Upload(name, properties, tuple(commands), steps))

    def merge(self, *steps: StepSpec, name: str = "flow") -> Any:
        """Merge Steps."""
        return self.ask(rq.Merge(name, steps))

    def arrive(self, *keys: str, name: str = "flow") -> None:
        """Let new versions of Keys arrive from outside."""
        self.arrivals += 1
        self.ask(rq.Arrive(name, tuple(published(key, f"outside {self.arrivals}") for key in keys)))

    def flow(self, name: str = "flow") -> WorkflowState:
        """Return a workflow's state."""
        return self.state.workflows[name]

    def step(self, step: str, name: str = "flow") -> Step:
        """Return a Step."""
        return self.flow(name).by_name[step]

    def states(self, name: str = "flow") -> dict[str, str]:
        """Return the state of every Step."""
        return {step.name: step.state.word for step in self.flow(name).steps.values()}

    def fence(self, step: str, name: str = "flow", attempt: int | None = None) -> Fence:
        """Return the fence of a Step's latest attempt."""
        found = self.step(step, name)
        return Fence(self.flow(name).uid, found.index, found.attempt if attempt is None else attempt)

    def complete(self, *steps: str, name: str = "flow") -> None:
        """Let the current attempts of Steps complete, having written all their outputs."""
        for each in steps:
            step = self.step(each, name)
            outputs = tuple(published(key.name, f"v{step.attempt}") for key in step.outputs)
            self.say(step.worker, rp.Completed(self.fence(each, name), outputs, 5), incarnation=self._incarnation(step))

    def fail(self, step: str, kind: FailureClass = FailureClass.COMMAND, name: str = "flow") -> None:
        """Let the current attempt of a Step fail."""
        found = self.step(step, name)
        failed = rp.Failed(self.fence(step, name), Failure(kind, "it failed", 1))
        self.say(found.worker, failed, incarnation=self._incarnation(found))

    def run_all(self, name: str = "flow") -> list[str]:
        """Complete whatever runs until nothing does; return the names in order."""
        done = []
        while running := [s for s in self.flow(name).steps.values() if s.state.word == "running"]:
            self.complete(running[0].name, name=name)
            done.append(running[0].name)
        return done

    def restart(self) -> None:
        """Go on from a snapshot, leader and replica alike."""
        for name in ("state", "replica"):
            announcer = Announcer()
            announcer.state = getattr(self, name)
            setattr(self, name, restored(announcer).state)
        self._check()
        assert snapshot(self.replica) == snapshot(self.state)

    def sent(self) -> tuple[list[str], list[str]]:
        """Return names of Steps dispatched and cancelled by the last input."""
        dispatched = [step.name for one in self.effects if isinstance(one, SendDispatches) for step in one.steps]
        cancelled = [
            self.state.by_uid[one.uid].steps[index].name
            for one in self.effects
            if isinstance(one, SendCancels)
            for index, _ in one.attempts
        ]
        return dispatched, cancelled

    def _check(self) -> None:
        """Recount everything, on both sides."""
        for state in (self.state, self.replica):
            for workflow in state.workflows.values():
                invariants.check(workflow)
            scheduling.check(state.fleet, state.ready, state.workflows.values())

    def _incarnation(self, step: Step) -> str:
        worker = self.state.fleet.workers.get(step.worker)
        return worker.incarnation if worker is not None else "i1"

    def _begin(self) -> Decision:
        self.state.now_ms = self.now_ms
        return Decision(self.state, self.rules)

    def _check_orders(self, effects: Iterable[Effect]) -> None:
        """Compare orders with those of an encoder that remembers nothing."""
        self.encoder.begin()
        for effect in effects:
            if isinstance(effect, SendDispatches):
                for step in effect.steps:
                    fresh = DispatchEncoder(0).entry(effect.workflow, step)
                    assert self.encoder.entry(effect.workflow, step) == fresh

    def _finish(self, decision: Decision) -> None:
        dispatch(decision)
        self._check_orders(decision.effects)
        self.events, self.effects = decision.events, decision.effects
        entry = decode_entry(encode_entry(Entry(0, 0, self.now_ms, tuple(decision.events))))
        self.replica.now_ms = entry.now_ms
        for event in entry.events:
            self.replica.apply(event)
        for state in (self.state, self.replica):
            state.tidy(PIECES_PER_ENTRY)
        self._check()
        assert snapshot(self.replica) == snapshot(self.state)
        assert digest(self.replica) == digest(self.state)


def restored(announcer: Announcer) -> Announcer:
    """Return what a snapshot gives back, which must be the same."""
    again = decode_snapshot(encode_snapshot(Snapshot(Place(7, 0), announcer))).announcer
    before, after = (digest(one.state, one.sequences, one.rests) for one in (announcer, again))
    assert before == after
    return again


def published(key: str, version: str) -> Publication:
    """What lies under a Key after it was written."""
    path = f"{key}file" if key.endswith("/") else key
    return Publication(key, (FileVersion(path, version, 1, b"\0" * 32),))


def snapshot(state: Deployment) -> Any:
    """Everything that must be the same after a replay."""
    flows = {
        name: (
            flow.uid,
            flow.halted,
            flow.revision,
            dict(flow.attempts_of_dropped),
            dict(flow.properties),
            list(flow.commands.values()),
            list(flow.counts),
            [tuple(getattr(s, name) for name in STEP_FIELDS) for s in flow.steps.values()],
            [s.cause for s in flow.steps.values()],
            sorted((alias, sorted(s.name for s in found)) for alias, found in flow.by_alias.items()),
            {
                name: (key.pending, key.writers, key.available, key.arrived, key.arrived_as)
                for name, key in flow.graph.keys.items()
            },
        )
        for name, flow in state.workflows.items()
    }
    workers = {
        name: (
            w.incarnation, w.slots, w.prefetch, list(w.held.items()), dict(w.since_ms), dict(w.demands), w.used,
            w.resources, w.trouble, w.dismissed,
        )
        for name, w in state.fleet.workers.items()
    }  # fmt: skip
    return state.now_ms, state.last_uid, flows, workers, dict(state.answered), dict(state.doomed), dict(state.wiped)


OPTIONS_RETRY = Options(retries=2)
