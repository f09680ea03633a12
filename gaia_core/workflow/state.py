"""The state of one workflow, and `apply`, the only thing that changes it.

`apply` is deterministic and cannot refuse: everything was checked before the event was made. What it does depends on
what the state holds, not on the order in which that came: Steps are gone through by index. It returns what followed
from the event (Steps that became ready, attempts to stop), so that the scheduler and the announcer need not look for
it. A completion costs O(its consumers).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import attrgetter
from typing import Any, Final

from gaia_core.errors import Problem
from gaia_core.workflow import events as ev
from gaia_core.workflow.composite import COUNT_MAX
from gaia_core.workflow.expand import expand
from gaia_core.workflow.flat import FlatStep
from gaia_core.workflow.graph import Graph, Key
from gaia_core.workflow.model import Command, Failure, FailureClass, Options, Publication, StepSpec
from gaia_core.workflow.states import FlowState, StepState, flow_state

OWN_FAULTS: Final = frozenset({FailureClass.COMMAND, FailureClass.TIMEOUT, FailureClass.OUT_OF_MEMORY})
"""Failures of the Step itself; they use its `retries`. All others count as disturbances."""

_INDEXED: Final = (StepState.RUNNING, StepState.RETRYING, StepState.FAILED)


class Step:
    """One Step as it stands.

    Attributes:
        index: its place in the workflow; never reused, so it identifies the Step in fences and events.
        missing: how many of its inputs are not there; kept while it is WAITING.
        attempt: number of its latest attempt; 0 before the first.
        attempts_before: how many were numbered for Steps of its name that are no more; its own go on from there.
        worker: where the latest attempt was dispatched to.
        faults: failures of its own since it last had to run; they use its retries.
        disturbances: failures of the surroundings since then.
        published: what the accepted attempt wrote; () unless COMPLETE.
        failure: why an attempt failed last, since it last had to run.
        reason: why it last had to run (again); "upstream" where `cause` tells more.
        cause: index of the Step that it depended on and that made it run again, or None; that Step may be no more.
        retry_at_ms: when it is tried again, while it is RETRYING.
        times_ready: how often it became READY.
        ready_since_ms: when it became READY last.
        queued: the ready queue that holds it, for the scheduler's use alone.
    """

    __slots__ = (
        "aliases", "attempt", "attempts_before", "cause", "commands", "disturbances", "element", "failure", "faults",
        "index", "input_names", "inputs", "missing", "name", "options", "output_names", "outputs", "published",
        "queued", "ready_since_ms", "reason", "retry_at_ms", "spec", "state", "times_ready", "values", "worker",
    )  # fmt: skip

    def __init__(self, index: int, flat: FlatStep, attempts_before: int = 0) -> None:
        self.index = index
        self.name = flat.name
        self.inputs: tuple[Key, ...] = ()
        self.outputs: tuple[Key, ...] = ()
        self.state = StepState.WAITING
        self.missing = 0
        self.attempt = 0
        self.attempts_before = attempts_before
        self.worker = ""
        self.faults = 0
        self.disturbances = 0
        self.published: tuple[Publication, ...] = ()
        self.failure: Failure | None = None
        self.reason = "first"
        self.cause: int | None = None
        self.retry_at_ms = 0
        self.times_ready = 0
        self.ready_since_ms = 0
        self.queued: object = None
        self.define(flat)

    def is_ready_since(self, times_ready: int) -> bool:
        """Tell whether it is READY, and has been without a break since it became so for the so-manieth time."""
        return self.state is StepState.READY and self.times_ready == times_ready

    def define(self, flat: FlatStep) -> None:
        """Take over a definition; the graph is linked apart."""
        self.spec: StepSpec = flat.spec
        self.element = flat.element
        self.aliases = flat.aliases
        self.commands = flat.commands
        self.options: Options = flat.options
        self.values: Mapping[str, str] = flat.values
        self.input_names = flat.input_names
        self.output_names = flat.output_names

    def is_defined_as(self, flat: FlatStep) -> bool:
        """Tell whether a definition is what the Step already has."""
        return (
            self.values == flat.values
            and self.commands == flat.commands
            and self.options == flat.options
            and self.input_names == flat.input_names
            and self.output_names == flat.output_names
            and tuple(key.name for key in self.inputs) == flat.inputs
            and tuple(key.name for key in self.outputs) == flat.outputs
        )

    @property
    def attempts_numbered(self) -> int:
        """Return the highest number that an attempt of this Step, or of an earlier one of its name, ever had."""
        return self.attempt or self.attempts_before

    @property
    def command(self) -> str:
        """Return the name of the Command that it runs."""
        return self.commands[-1]

    @property
    def names(self) -> tuple[str, ...]:
        """Return every name that stands for it."""
        return (self.name, *self.aliases)

    def __repr__(self) -> str:
        return f"Step({self.name!r}, {self.state.word})"


def _emptied(steps: dict[Any, Step]) -> Iterator[None]:
    """Empty an index of Steps, one with each step of the iteration; the ready queue is held by none of them then."""
    while steps:
        _, step = steps.popitem()
        step.queued = None
        yield


def by_index(steps: Iterable[Step]) -> list[Step]:
    """Return Steps in the order of their indexes."""
    return sorted(steps, key=attrgetter("index"))


@dataclass(slots=True)
class Consequences:
    """What followed from one event.

    Attributes:
        ready: Steps that may be dispatched from now on.
        stopped: (Step, attempt, worker) of running attempts that are to be stopped.
        expired: Steps that were complete and no longer are.
        removed: Steps that are no more.
    """

    ready: list[Step] = field(default_factory=list)
    stopped: list[tuple[Step, int, str]] = field(default_factory=list)
    expired: list[Step] = field(default_factory=list)
    removed: list[Step] = field(default_factory=list)


class WorkflowState:
    """Everything known of one workflow.

    Attributes:
        steps: by index, in ascending order.
        next_index: of the next new Step.
        by_alias: a name that is no Step's own → the Steps it stands for: those of a sweep, an element, a composite.
        counts: number of Steps by StepState.
        attempts_of_dropped: name → highest number of an attempt, of Steps that ran and are no more.
        members: RUNNING, RETRYING and FAILED Steps by StepState, in the order they became so; None for other states.
        users: name of a Command → the Steps that use it, or lie in a composite of that name.
        released_ms: when it last became free to start Steps after it could not; 0 for never.
        revision: number of changes so far to what it is or whether it runs, its beginning included.
    """

    __slots__ = (
        "attempts_of_dropped", "by_alias", "by_name", "commands", "counts", "created_ms", "graph", "halted", "members",
        "name", "next_index", "owner", "properties", "released_ms", "revision", "steps", "stops_on_error", "uid",
        "updated_ms", "users",
    )  # fmt: skip

    def __init__(self, created: ev.WorkflowCreated, now_ms: int) -> None:
        self.uid = created.uid
        self.name = created.name
        self.owner = created.owner
        self.properties: Mapping[str, Any] = created.properties
        self.stops_on_error = created.properties.get("on_error") == "stop"
        self.created_ms = self.updated_ms = now_ms
        self.commands: dict[str, Command] = {}
        self.steps: dict[int, Step] = {}
        self.next_index = 0
        self.attempts_of_dropped: dict[str, int] = {}
        self.by_name: dict[str, Step] = {}
        self.by_alias: dict[str, dict[Step, None]] = {}
        self.users: dict[str, dict[Step, None]] = {}
        self.graph = Graph()
        self.counts = [0] * len(StepState)
        self.members: tuple[dict[Step, None] | None, ...] = tuple(
            {} if state in _INDEXED else None for state in StepState
        )
        self.halted = False
        self.released_ms = 0
        self.revision = 1

    @property
    def flow_state(self) -> tuple[FlowState, bool]:
        """Return (state, stalled)."""
        return flow_state(self.halted, self.counts, self.stops_on_error)

    @property
    def holds(self) -> bool:
        """Tell whether nothing of it may be started: it was halted, or a Step failed and it is to stop then."""
        return self.halted or (self.stops_on_error and self.counts[StepState.FAILED] > 0)

    def steps_named(self, name: str) -> list[Step]:
        """Return the Steps that a name stands for: its own, and all made from the sweep or composite of that name."""
        own = self.by_name.get(name)
        return [*([own] if own is not None else ()), *by_index(self.by_alias.get(name, ()))]

    def first_named(self, name: str) -> Iterator[Step]:
        """Yield the Step of this name, and one of those that the name stands for as an alias."""
        own = self.by_name.get(name)
        if own is not None:
            yield own
        yield from islice(self.by_alias.get(name, ()), 1)

    def steps_of_element(self, element: str) -> Iterator[Step]:
        """Yield the Steps of one element of a sweep: itself, or the inner Steps of the composite that it is."""
        yield from (step for step in self.steps_named(element) if step.element == element)

    def specs_using(self, commands: Iterable[str]) -> list[tuple[StepSpec, dict[str, Step]]]:
        """Return each spec that uses one of these Commands, with the elements it defines (element → one Step of it)."""
        found: dict[int, tuple[StepSpec, dict[str, Step]]] = {}
        for step in by_index({step for command in commands for step in self.users.get(command, ())}):
            found.setdefault(id(step.spec), (step.spec, {}))[1][step.element] = step
        return list(found.values())

    def take_apart(self) -> Iterator[None]:
        """Let go of everything, a small piece with each step of the iteration; of no use afterwards.

        Steps and Keys hold each other, so only the garbage collector would free a workflow that nobody needs any more,
        and it hardly ever looks; and to free a million Steps at once would hold up everything else.
        """
        yield from _emptied(self.steps)
        yield from _emptied(self.by_name)
        for members in self.members:
            if members is not None:
                members.clear()
        for index in (self.by_alias, self.users):
            while index:
                _, steps = index.popitem()
                while steps:
                    steps.popitem()
                    yield
                yield
        yield from self.graph.take_apart()

    def apply(self, event: ev.WorkflowEvent, now_ms: int) -> Consequences:
        """Enter one event and return what followed from it."""
        self.updated_ms = now_ms
        followed = Consequences()
        held = self.holds
        _APPLY[type(event)](self, event, followed)
        if held and not self.holds:
            self.released_ms = now_ms
        return followed

    def _commands_set(self, event: ev.CommandsSet, followed: Consequences) -> None:
        self.revision += 1
        self.commands.update((command.name, command) for command in event.commands)
        for spec, owned in self.specs_using(command.name for command in event.commands):
            self._define([flat for flat in self.expand(spec) if flat.element in owned], followed)

    def _steps_merged(self, event: ev.StepsMerged, followed: Consequences) -> None:
        self.revision += 1
        flats = event.flat if event.flat is not None else [f for spec in event.specs for f in self.expand(spec)]
        self._drop([self.steps[index] for index in event.pruned], followed)
        self._define(flats, followed)

    def expand(self, spec: StepSpec) -> list[FlatStep]:
        """Expand a spec that was found to be free of problems."""
        problems: list[Problem] = []
        return expand(spec, self.commands, "", problems, COUNT_MAX)

    def _define(self, flats: Sequence[FlatStep], followed: Consequences) -> None:
        """Add new Steps and give existing ones their new definition; what an element no longer holds goes.

        A reset of all whose definition changed follows.
        """
        names = {flat.name for flat in flats}
        elements = {flat.element for flat in flats}
        gone = [step for each in elements for step in self.steps_of_element(each) if step.name not in names]
        self._drop(by_index(gone), followed)
        changed = []
        for flat in flats:
            known = self.by_name.get(flat.name)
            if known is None or not known.is_defined_as(flat):
                changed.append(flat)
            else:
                known.spec, known.aliases, known.element = flat.spec, flat.aliases, flat.element
        self.graph.unlink([self.by_name[flat.name] for flat in changed if flat.name in self.by_name])
        for flat in changed:
            step = self.by_name.get(flat.name)
            if step is None:
                step = self._add(flat)
            else:
                self._leave_indexes(step)
                step.define(flat)
            self.enter_indexes(step)
            self.graph.link(step, flat.inputs, flat.outputs)

    def _add(self, flat: FlatStep) -> Step:
        step = Step(self.next_index, flat, self.attempts_of_dropped.pop(flat.name, 0))
        self.next_index += 1
        self.steps[step.index] = step
        self.by_name[flat.name] = step
        self.counts[StepState.WAITING] += 1
        return step

    def enter_indexes(self, step: Step) -> None:
        """Make a Step found by its aliases and Commands."""
        for alias in step.aliases:
            self.by_alias.setdefault(alias, {})[step] = None
        for command in step.commands:
            self.users.setdefault(command, {})[step] = None

    def _leave_indexes(self, step: Step) -> None:
        for alias in step.aliases:
            self.by_alias[alias].pop(step, None)
            if not self.by_alias[alias]:
                del self.by_alias[alias]
        for command in step.commands:
            self.users[command].pop(step, None)

    def _steps_removed(self, event: ev.StepsRemoved, followed: Consequences) -> None:
        self.revision += 1
        self._drop([self.steps[index] for index in event.steps], followed)

    def _drop(self, steps: Sequence[Step], followed: Consequences) -> None:
        """Take Steps out; what they wrote does not count any more."""
        self.graph.unlink(steps)
        for step in steps:
            if step.state is StepState.RUNNING:
                followed.stopped.append((step, step.attempt, step.worker))
            self._move(step, StepState.WAITING)
            self.counts[StepState.WAITING] -= 1
            self._leave_indexes(step)
            del self.by_name[step.name], self.steps[step.index]
            if step.attempts_numbered:
                self.attempts_of_dropped[step.name] = step.attempts_numbered
        followed.removed += steps

    def _steps_reset(self, event: ev.StepsReset, followed: Consequences) -> None:
        steps = [self.steps[index] for index in event.steps]
        for place, step in enumerate(steps):
            if step.state is StepState.COMPLETE:
                self.graph.revoke(step)
                step.published = ()
                followed.expired.append(step)
            upstream = event.upstream[place] if event.upstream else None
            step.cause = upstream if upstream in self.steps and step.attempt else None
            step.reason = "first" if not step.attempt else event.reason if upstream is None else "upstream"
            self._start_afresh(step, followed)
        for step in steps:
            self._settle(step, followed)

    def _start_afresh(self, step: Step, followed: Consequences) -> None:
        """Stop a running attempt and forget earlier failures."""
        if step.state is StepState.RUNNING:
            followed.stopped.append((step, step.attempt, step.worker))
        step.faults = step.disturbances = 0
        step.failure = None
        self._move(step, StepState.WAITING)

    def _settle(self, step: Step, followed: Consequences) -> None:
        """Count what a WAITING Step lacks and make it READY when that is nothing."""
        step.missing = sum(not key.is_there for key in step.inputs)
        if not step.missing:
            self._make_ready(step, followed)

    def _make_ready(self, step: Step, followed: Consequences) -> None:
        self._move(step, StepState.READY)
        followed.ready.append(step)

    def _move(self, step: Step, state: StepState) -> None:
        """Change a Step's state, and the counts and indexes with it."""
        self.counts[step.state] -= 1
        self.counts[state] += 1
        left, entered = self.members[step.state], self.members[state]
        if left is not None:
            left.pop(step, None)
        if entered is not None:
            entered[step] = None
        step.state = state

    def in_state(self, *states: StepState) -> list[Step]:
        """Return the Steps in these states, each of which must be RUNNING, RETRYING or FAILED, by index."""
        return by_index(step for state in states for step in self.members[state] or ())

    def _halted(self, _: ev.WorkflowHalted, followed: Consequences) -> None:
        self.revision += 1
        self.halted = True
        for step in self.in_state(StepState.RUNNING, StepState.RETRYING):
            self._rerun(step, followed)
            self._make_ready(step, followed)

    def _resumed(self, _: ev.WorkflowResumed, followed: Consequences) -> None:
        self.revision += 1
        self.halted = False
        for step in self.in_state(StepState.FAILED):
            self._rerun(step, followed)
            self._settle(step, followed)

    def _rerun(self, step: Step, followed: Consequences) -> None:
        """Start a Step afresh because the workflow was resumed, or will be."""
        step.reason, step.cause = "run", None
        self._start_afresh(step, followed)

    def _keys_arrived(self, event: ev.KeysArrived, followed: Consequences) -> None:
        for publication in event.keys:
            known = self.graph.keys.get(publication.key)
            was_there = known is not None and known.is_there
            key = self.graph.arrive(publication)
            if key.is_there and not was_there:
                self._supply(key, followed)

    def _supply(self, key: Key, followed: Consequences) -> None:
        """Tell the readers of a Key, all of which are WAITING, that it is there."""
        for reader in key.readers:
            reader.missing -= 1
            if not reader.missing:
                self._make_ready(reader, followed)

    def _keys_forgotten(self, event: ev.KeysForgotten, _: Consequences) -> None:
        for name in event.keys:
            self.graph.forget(self.graph.keys[name])

    def _dispatched(self, event: ev.StepsDispatched, _: Consequences) -> None:
        for index, attempt in zip(event.steps, event.attempts, strict=True):
            step = self.steps[index]
            step.attempt = attempt
            step.worker = event.worker
            self._move(step, StepState.RUNNING)

    def _completed(self, event: ev.StepsCompleted, followed: Consequences) -> None:
        for place, index in enumerate(event.steps):
            step = self.steps[index]
            step.published = event.outputs[place] if event.outputs else ()
            step.failure = None
            self._move(step, StepState.COMPLETE)
            for key in self.graph.complete(step):
                self._supply(key, followed)

    def _attempt_failed(self, event: ev.AttemptFailed, _: Consequences) -> None:
        step = self.steps[event.step]
        step.failure = event.failure
        if event.failure.kind in OWN_FAULTS:
            step.faults += 1
        else:
            step.disturbances += 1
        step.published = event.outputs
        if event.retry_at_ms is None:
            self._move(step, StepState.FAILED)
        else:
            step.retry_at_ms = event.retry_at_ms
            step.reason = "worker lost" if event.failure.kind is FailureClass.LOST else "retried"
            step.cause = None
            self._move(step, StepState.RETRYING)

    def _backoffs_ended(self, event: ev.BackoffsEnded, followed: Consequences) -> None:
        for index in event.steps:
            self._make_ready(self.steps[index], followed)

    def _given_back(self, event: ev.AttemptsGivenBack, followed: Consequences) -> None:
        for index in event.steps:
            self._make_ready(self.steps[index], followed)

    def _queue_timed_out(self, event: ev.QueueTimedOut, _: Consequences) -> None:
        for index in event.steps:
            step = self.steps[index]
            limit = step.options.over(self.commands[step.command].options).queue_timeout_s
            step.failure = Failure(FailureClass.TIMEOUT, f"no worker took it within {limit:g} s")
            self._move(step, StepState.FAILED)

    def _attempts_ended(self, _: ev.AttemptsEnded, __: Consequences) -> None:
        """Change nothing here: the slots that became free are the fleet's."""


_APPLY: Final[dict[type, Callable[[WorkflowState, Any, Consequences], None]]] = {
    ev.CommandsSet: WorkflowState._commands_set,  # noqa: SLF001
    ev.StepsMerged: WorkflowState._steps_merged,  # noqa: SLF001
    ev.StepsRemoved: WorkflowState._steps_removed,  # noqa: SLF001
    ev.StepsReset: WorkflowState._steps_reset,  # noqa: SLF001
    ev.WorkflowHalted: WorkflowState._halted,  # noqa: SLF001
    ev.WorkflowResumed: WorkflowState._resumed,  # noqa: SLF001
    ev.KeysArrived: WorkflowState._keys_arrived,  # noqa: SLF001
    ev.KeysForgotten: WorkflowState._keys_forgotten,  # noqa: SLF001
    ev.StepsDispatched: WorkflowState._dispatched,  # noqa: SLF001
    ev.StepsCompleted: WorkflowState._completed,  # noqa: SLF001
    ev.AttemptFailed: WorkflowState._attempt_failed,  # noqa: SLF001
    ev.BackoffsEnded: WorkflowState._backoffs_ended,  # noqa: SLF001
    ev.QueueTimedOut: WorkflowState._queue_timed_out,  # noqa: SLF001
    ev.AttemptsEnded: WorkflowState._attempts_ended,  # noqa: SLF001
    ev.AttemptsGivenBack: WorkflowState._given_back,  # noqa: SLF001
}
