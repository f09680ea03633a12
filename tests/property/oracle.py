"""What the machine ought to do, said naively: every answer is recomputed from all Steps by comparing Keys as text.

Knows nothing of graphs, counters, queues or events. Workers are known only by what they hold. Which ready Step runs
where is the machine's choice; the oracle learns it (`Oracle.adopt`) and says whether it was allowed.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product

OWN_FAULTS = ("COMMAND", "TIMEOUT", "OUT_OF_MEMORY")
DISTURBANCES = {"STORE": 5, "LOST": 5, "ENGINE": 5, "INPUT_CHANGED": 1}

Attempt = tuple[str, str, int]
"""Workflow, label of the Step, number."""


class Refused(Exception):
    """The request has to be refused; the argument is the name of the error's class."""


def overlap(one: str, other: str) -> bool:
    """Tell whether two Keys have something in common."""
    return (
        one == other or (one.endswith("/") and other.startswith(one)) or (other.endswith("/") and one.startswith(other))
    )


@dataclass
class Step:
    """One Step as it should stand; `phase` is open (it has to run), running, retrying, complete or failed."""

    spec: str
    element: str
    commands: tuple[str, ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    pool: str = "default"
    retries: int = 0
    cpus: int = 0
    phase: str = "open"
    attempt: int = 0
    worker: str = ""
    faults: int = 0
    disturbances: int = 0
    label: str = ""

    def take_over(self, old: "Step") -> None:
        """Keep the history of the Step that this one redefines."""
        self.phase, self.attempt, self.worker, self.label = old.phase, old.attempt, old.worker, old.label
        self.faults, self.disturbances = old.faults, old.disturbances

    def is_like(self, other: "Step") -> bool:
        """Tell whether another definition says the same."""
        return (self.commands, self.reads, self.writes, self.pool, self.retries, self.cpus) == (
            other.commands, other.reads, other.writes, other.pool, other.retries, other.cpus,
        )  # fmt: skip

    @property
    def names(self) -> tuple[str, str]:
        """Return the names beside its own that stand for it."""
        return self.spec, self.element


@dataclass
class Flow:
    """One workflow."""

    steps: dict[str, Step] = field(default_factory=dict)
    arrived: dict[str, dict[str, str]] = field(default_factory=dict)
    left_behind: set[str] = field(default_factory=set)
    known_keys: set[str] = field(default_factory=set)
    entered: int = 0
    numbered: dict[str, int] = field(default_factory=dict)
    halted: bool = False
    max_parallel: int | None = None

    def writers(self, key: str) -> set[str]:
        """Return the Steps that write a Key, a part of it, or a tree over it."""
        return {name for name, step in self.steps.items() if any(overlap(key, one) for one in step.writes)}

    def is_there(self, key: str) -> bool:
        """Tell whether a reader of a Key may run."""
        writers = self.writers(key)
        return all(self.steps[name].phase == "complete" for name in writers) if writers else key in self.arrived

    def from_outside(self, key: str) -> dict[str, str]:
        """Return the files, with their versions, that a read Key has from outside: what came last counts.

        A tree stands for all that lies in it; where a Step writes, nothing from outside counts.
        """
        if not self.writers(key):
            return self.arrived.get(key, {})
        files: dict[str, str] = {}
        for one, held in self.arrived.items():
            if key.endswith("/") and one.startswith(key):
                files = {path: version for path, version in files.items() if not overlap(one, path)} | held
        return {path: version for path, version in files.items() if not self.writers(path)}

    def contents(self, keys: Iterable[str]) -> dict[str, dict[str, str]]:
        """Return what Keys have from outside."""
        return {key: self.from_outside(key) for key in keys}

    def is_runnable(self, name: str) -> bool:
        """Tell whether all that a Step reads is there."""
        return all(self.is_there(key) for key in self.steps[name].reads)

    def downstream(self, roots: Iterable[str]) -> set[str]:
        """Return Steps and all that depends on them."""
        found = set(roots)
        while True:
            keys = [key for name in found for key in self.steps[name].writes]
            more = {name for name, step in self.steps.items() for key in step.reads if _any_over(key, keys)} - found
            if not more:
                return found
            found |= more

    def running(self) -> int:
        """Return the number of running Steps."""
        return sum(step.phase == "running" for step in self.steps.values())

    def has_circle(self) -> bool:
        """Tell whether some Step depends on itself."""
        return any(
            name in self.downstream(reader for reader, step in self.steps.items() if _reads(step, self.steps[name]))
            for name in self.steps
        )

    def has_rivals(self) -> bool:
        """Tell whether two Steps write overlapping Keys."""
        return any(
            one != other and _any_over(key, self.steps[other].writes)
            for one, other in product(self.steps, self.steps)
            for key in self.steps[one].writes
        )


def _any_over(key: str, keys: Iterable[str]) -> bool:
    return any(overlap(key, other) for other in keys)


def _reads(reader: Step, writer: Step) -> bool:
    return any(_any_over(key, writer.writes) for key in reader.reads)


@dataclass
class Worker:
    """One incarnation, with the attempts it was given, in order; True for those being stopped.

    `demands` are the processors that each of these was given with.
    """

    incarnation: str
    pool: str
    slots: int
    prefetch: int
    draining: bool = False
    trouble: str = ""
    cpus: int = 2
    dismissed: bool = False
    held: dict[Attempt, bool] = field(default_factory=dict)
    demands: dict[Attempt, int] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Tell whether it may be given anything."""
        return not (self.draining or self.dismissed or self.trouble)

    @property
    def used(self) -> int:
        """Return the processors that all it holds demands."""
        return sum(self.demands[attempt] for attempt in self.held)

    def takes(self, cpus: int, *, kept_free: bool = False) -> bool:
        """Tell whether it may be given a Step; one that is kept free takes none with demands, one less of others."""
        if kept_free and cpus:
            return False
        places = self.slots + self.prefetch - kept_free
        return self.is_open and len(self.held) < places and self.used + cpus <= (self.cpus if cpus else self.used)


class Oracle:
    """The deployment as it should be after each input."""

    def __init__(self) -> None:
        self.flows: dict[str, Flow] = {}
        self.workers: dict[str, Worker] = {}
        self.left: set[tuple[str, str]] = set()

    # -- requests -----------------------------------------------------------------------------------------------

    def merge(
        self, flow_name: str, specs: dict[str, dict[str, Step]], only_changed: bool, prune: bool
    ) -> dict[str, set[str]]:
        """Enter Steps, by name of their spec; return what is new, what goes, and what has to run again."""
        flow = self.flows[flow_name]
        drafted = [(name, step) for steps in specs.values() for name, step in steps.items()]
        names = [name for name, _ in drafted]
        elements = {step.element for _, step in drafted}
        gone = {
            name
            for name, step in flow.steps.items()
            if name not in names and (step.element in elements or (prune and step.spec in specs))
        }
        wanted = Flow({name: step for name, step in {**flow.steps, **dict(drafted)}.items() if name not in gone})
        clashes = len(set(names)) < len(names) or self._name_clash(flow, drafted)
        if clashes or wanted.has_rivals() or wanted.has_circle():
            raise Refused("InvalidWorkflow")
        same = {name for name, step in drafted if name in flow.steps and flow.steps[name].is_like(step)}
        touched = [name for name in names if not (only_changed and name in same)]
        before = flow.downstream([*(name for name in touched if name in flow.steps), *gone])
        known = set(flow.steps)
        written = {key for name in [*names, *gone] if name in flow.steps for key in flow.steps[name].writes}
        self._take_out(flow_name, gone)
        for name, step in drafted:
            if name in flow.steps:
                step.take_over(flow.steps[name])
            else:
                flow.entered += 1
                step.label = f"{name}#{flow.entered}"
            flow.steps[name] = step
            flow.known_keys.update(step.reads, step.writes)
        now_written = {key for name in names for key in flow.steps[name].writes}
        flow.left_behind = (flow.left_behind | written) - now_written
        for key in list(flow.arrived):
            if any(key == one or (one.endswith("/") and key.startswith(one)) for one in now_written):
                del flow.arrived[key]
        again = flow.downstream((before - gone) | set(touched))
        self._reset(flow_name, again)
        return {"added": set(names) - known, "recomputed": again & known, "removed": gone}

    def remove(self, flow_name: str, names: Iterable[str]) -> dict[str, set[str]]:
        """Take Steps out; whoever read what they wrote runs again once it is there."""
        flow = self.flows[flow_name]
        found = [{n for n, step in flow.steps.items() if name in (n, *step.names)} for name in names]
        if not all(found):
            raise Refused("UnknownName")
        gone = set().union(*found)
        torn = {flow.steps[name].element for name in gone}
        if any(step.element in torn and name not in gone for name, step in flow.steps.items()):
            raise Refused("InvalidWorkflow")
        again = flow.downstream(gone) - gone
        flow.left_behind |= {key for name in gone for key in flow.steps[name].writes}
        self._take_out(flow_name, gone)
        self._reset(flow_name, again)
        return {"removed": gone, "recomputed": again}

    def _take_out(self, flow_name: str, names: Iterable[str]) -> None:
        flow = self.flows[flow_name]
        self._reset(flow_name, names)
        for name in names:
            del flow.steps[name]

    def _name_clash(self, flow: Flow, drafted: list[tuple[str, Step]]) -> bool:
        """Tell whether a name would stand for Steps of two specs."""
        meanings: dict[str, set[str]] = {}
        for name, step in [*flow.steps.items(), *drafted]:
            for each in (name, *step.names):
                meanings.setdefault(each, set()).add(step.spec)
        return any(len(specs) > 1 for specs in meanings.values())

    def change_command(self, flow_name: str, command: str) -> None:
        """Recompute whoever uses a Command."""
        flow = self.flows[flow_name]
        users = {name for name, step in flow.steps.items() if command in step.commands}
        self._reset(flow_name, flow.downstream(users))

    def expire(self, flow_name: str, names: Iterable[str]) -> set[str]:
        """Return the Steps that run again, having reset them."""
        flow = self.flows[flow_name]
        steps: set[str] = set()
        outside: set[str] = set()
        verdicts = [self._meaning(flow, name) for name in names]
        if any(by_name and keys for by_name, keys in verdicts):
            raise Refused("InvalidWorkflow")
        if not all(by_name or keys for by_name, keys in verdicts):
            raise Refused("UnknownName")
        for by_name, keys in verdicts:
            steps |= by_name
            for key in keys:
                exact = {name for name, step in flow.steps.items() if key in step.writes}
                steps |= exact
                if not flow.writers(key):
                    outside.add(key)
        for key in outside:
            flow.arrived.pop(key, None)
            steps |= {name for name, step in flow.steps.items() if _any_over(key, step.reads)}
        again = flow.downstream(steps)
        self._reset(flow_name, again)
        return again

    def _meaning(self, flow: Flow, name: str) -> tuple[set[str], set[str]]:
        """Return the Steps and the Keys that a name may stand for."""
        steps = {one for one, step in flow.steps.items() if name in (one, *step.names)}
        over = {key for key in flow.known_keys if overlap(key, name)}
        return steps, over

    def arrive(self, flow_name: str, key: str, version: str) -> None:
        """See a Key in the store, having been put or announced."""
        flow = self.flows[flow_name]
        if flow.writers(key):
            raise Refused("NotAllowedNow")
        flow.known_keys.add(key)
        flow.left_behind.discard(key)
        files = {f"{key}file" if key.endswith("/") else key: version}
        told = {key: files}
        for tree, known in flow.arrived.items():
            if tree != key and tree.endswith("/") and key.startswith(tree):
                told[tree] = known | files
        before = {name: flow.contents(step.reads) for name, step in flow.steps.items()}
        lacked = {name for name, step in flow.steps.items() if any(not flow.is_there(one) for one in step.reads)}
        for one, now in told.items():
            if flow.arrived.get(one) != now:
                flow.arrived.pop(one, None)
                flow.arrived[one] = now
        again = {
            name
            for name, step in flow.steps.items()
            if flow.contents(step.reads) != before[name] and name not in lacked
        }
        self._reset(flow_name, flow.downstream(again))

    def halt(self, flow_name: str) -> None:
        """Stop everything that runs."""
        flow = self.flows[flow_name]
        if not flow.halted:
            flow.halted = True
            self._reset(flow_name, {n for n, step in flow.steps.items() if step.phase in ("running", "retrying")})

    def run(self, flow_name: str) -> None:
        """Go on, and try failed Steps again."""
        flow = self.flows[flow_name]
        flow.halted = False
        self._reset(flow_name, {name for name, step in flow.steps.items() if step.phase == "failed"})

    def wait(self) -> None:
        """Let every backoff end."""
        for flow in self.flows.values():
            for step in flow.steps.values():
                if step.phase == "retrying":
                    step.phase = "open"

    def _reset(self, flow_name: str, names: Iterable[str]) -> None:
        """Make Steps run again; what runs of them is being stopped."""
        flow = self.flows[flow_name]
        for name in names:
            step = flow.steps[name]
            if step.phase == "running":
                self.workers[step.worker].held[flow_name, step.label, step.attempt] = True
            step.phase = "open"
            step.faults = step.disturbances = 0

    # -- workers ------------------------------------------------------------------------------------------------

    def join(self, name: str, worker: Worker) -> None:
        """Let an incarnation say hello; one that left before may not take its name from another one."""
        known = self.workers.get(name)
        if known is not None and known.incarnation == worker.incarnation:
            known.draining, known.trouble, known.prefetch = worker.draining, worker.trouble, worker.prefetch
            return
        if known is not None and (name, worker.incarnation) in self.left:
            return
        if known is not None:
            self.leave(name)
        self.workers[name] = worker

    def leave(self, name: str) -> None:
        """Lose a worker with all it holds."""
        worker = self.workers.pop(name)
        for place, attempt in enumerate(attempt for attempt, stopping in worker.held.items() if not stopping):
            if place < worker.slots:
                self._fail(attempt, "LOST")
            else:
                self._step_of(attempt).phase = "open"
        self.left.add((name, worker.incarnation))

    def end(self, name: str, incarnation: str, attempt: Attempt, how: str) -> bool:
        """Enter the reported end of an attempt; tell whether it counted."""
        worker = self.workers.get(name)
        if worker is None or worker.incarnation != incarnation or attempt not in worker.held:
            return False
        if worker.held.pop(attempt):
            return how == "CANCELLED"
        if how == "COMPLETED":
            self._step_of(attempt).phase = "complete"
        elif how == "UNSTARTED" and not worker.is_open:
            self._step_of(attempt).phase = "open"
        else:
            self._fail(attempt, "LOST" if how in ("CANCELLED", "UNSTARTED") else how)
        return True

    def _step_of(self, attempt: Attempt) -> Step:
        return next(step for step in self.flows[attempt[0]].steps.values() if step.label == attempt[1])

    def _fail(self, attempt: Attempt, kind: str) -> None:
        step = self._step_of(attempt)
        own = kind in OWN_FAULTS
        tried, most = (step.faults, step.retries) if own else (step.disturbances, DISTURBANCES.get(kind, 0))
        step.phase = "failed" if tried >= most else "open" if kind == "LOST" and not tried else "retrying"
        step.faults += own
        step.disturbances += not own

    # -- what the machine chose -----------------------------------------------------------------------------------

    def adopt(self, flow_name: str, name: str, attempt: int, worker: str) -> Attempt:
        """Take note that an open Step was dispatched; it must have been allowed. Return the attempt."""
        flow = self.flows[flow_name]
        step = flow.steps[name]
        assert step.phase == "open", f"{name} was dispatched while {step.phase}"
        assert not flow.halted, f"{name} was dispatched although {flow_name} is halted"
        assert flow.is_runnable(name), f"{name} was dispatched although its inputs are not there"
        assert attempt == flow.numbered.get(name, 0) + 1, f"attempt {attempt} of {name} follows {step.attempt}"
        assert self.workers[worker].pool == step.pool, f"{name} went to the wrong pool"
        assert self.workers[worker].takes(step.cpus), f"{name} went to a worker without room"
        step.phase, step.attempt, step.worker = "running", attempt, worker
        flow.numbered[name] = attempt
        self.workers[worker].held[flow_name, step.label, attempt] = False
        self.workers[worker].demands[flow_name, step.label, attempt] = step.cpus
        return flow_name, step.label, attempt

    def idle(self, kept_free: Collection[str]) -> Iterator[str]:
        """Yield every Step that could run now and does not, for no reason.

        Args:
            kept_free: workers that wait for a Step that finds no room.
        """
        for flow in self.flows.values():
            full = flow.max_parallel is not None and flow.running() >= flow.max_parallel
            for name, step in flow.steps.items():
                credit = any(
                    worker.pool == step.pool and worker.takes(step.cpus, kept_free=who in kept_free)
                    for who, worker in self.workers.items()
                )
                if step.phase == "open" and credit and not (flow.halted or full) and flow.is_runnable(name):
                    yield name

    def word(self, flow_name: str, name: str) -> str:
        """Return the state that a Step should be shown in."""
        flow = self.flows[flow_name]
        phase = flow.steps[name].phase
        return phase if phase != "open" else "ready" if flow.is_runnable(name) else "waiting"
