"""Whether Commands and Steps may enter a workflow: every Problem with its place, all at once, nothing changed.

A request is laid beside the workflow as a draft (a second, small graph of the Steps it names), so that overlaps and
cycles are found without touching the state. Cost is O(the request and what lies downstream of it).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gaia_core.errors import Problem
from gaia_core.workflow.composite import TOO_DEEP, composite_problems, is_too_deep
from gaia_core.workflow.expand import SWEEP_STEPS_MAX, expand
from gaia_core.workflow.flat import FlatStep
from gaia_core.workflow.graph import Graph, Key
from gaia_core.workflow.interface import suggestion
from gaia_core.workflow.keys import split_bucket
from gaia_core.workflow.model import STDOUT_ALWAYS, STDOUT_BOTH, Command, StepSpec
from gaia_core.workflow.splice import Unspliceable, names_in, scalar_text
from gaia_core.workflow.state import Step, WorkflowState

PROBLEMS_MAX = 1000
"""A request with more problems than this is answered with the first ones; nobody reads more."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a deployment allows; asked when requests are checked, never when the journal is replayed.

    Attributes:
        sweep_steps_max: how many Steps one spec may make.
        own_bucket: holds all data spaces; Keys reach it only without naming it. "" where nothing is known of buckets.
        buckets: other buckets that Keys may name; None for any.
        retention_s: how long a finished workflow stays in memory that does not say so itself; 0 for ever.
    """

    sweep_steps_max: int = SWEEP_STEPS_MAX
    own_bucket: str = ""
    buckets: frozenset[str] | None = None
    retention_s: float = 0.0

    def bucket_problem(self, key: str) -> str | None:
        """Return why a Key may not name its bucket, or None."""
        bucket = split_bucket(key)[0] if ":" in key else None
        if bucket is None:
            return None
        if bucket == self.own_bucket:
            return f"{key!r} names Gaia's own bucket; Keys reach it without"
        if self.buckets is not None and bucket not in self.buckets:
            allowed = ", ".join(sorted(self.buckets)) or "none"
            return f"{key!r} names the bucket {bucket!r}, which Keys may not; allowed: {allowed}"
        return None


ANY: Final = Rules()


@dataclass(slots=True)
class Draft:
    """What a request would add, replace or take away, expanded, with the problems found so far.

    Attributes:
        flats: the Steps it defines, each with its place in the request.
        vanished: existing Steps that would be no more.
    """

    flats: list[tuple[str, FlatStep]] = field(default_factory=list)
    vanished: dict[Step, None] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def check(commands: Iterable[Command], steps: Sequence[StepSpec]) -> list[Problem]:
    """Return the problems of a new workflow of these Commands and Steps."""
    given = list(commands)
    by_name = {command.name: command for command in given}
    problems = [p for n, command in enumerate(given) for p in command_problems(command, by_name, f"commands[{n}]")]
    return problems + draft_steps(None, by_name, steps, skip_composites=bool(problems)).problems


def command_problems(command: Command, commands: Mapping[str, Command], place: str) -> Iterator[Problem]:
    """Yield what is wrong with one Command, whatever Steps will use it.

    Args:
        command: the Command.
        commands: all Commands there will be; inner Steps of a composite use them.
        place: of the Command in the request.
    """
    for name in command.vars:
        if name in command.inputs or name in command.outputs:
            yield Problem(f"{place}.vars.{name}", f"{name!r} is both a var and an input or output")
    yield from composite_problems(command, commands, place) if command.steps else _leaf_problems(command, place)


def _leaf_problems(command: Command, place: str) -> Iterator[Problem]:
    """Yield what is wrong with a Command that runs a program."""
    for name in command.outputs:
        if name in command.inputs:
            yield Problem(f"{place}.outputs.{name}", f"{name!r} is both an input and an output")
    seen: dict[str, str] = {}
    for kind, paths in (("inputs", command.inputs), ("outputs", command.outputs)):
        for name, path in paths.items():
            if path not in (STDOUT_BOTH, STDOUT_ALWAYS) and path in seen:
                yield Problem(f"{place}.{kind}.{name}", f"the internal path {path!r} is also that of {seen[path]}")
            seen[path] = f"{kind}.{name}"
    for where, text in _spliced_texts(command):
        try:
            list(names_in(text))
        except Unspliceable as refusal:
            yield Problem(f"{place}.{where}", str(refusal))


def _spliced_texts(command: Command) -> Iterator[tuple[str, str]]:
    """Yield every text of a Command that vars are spliced into, with its place."""
    yield from ((f"command[{n}]", token) for n, token in enumerate(command.command))
    yield from ((f"entrypoint[{n}]", token) for n, token in enumerate(command.entrypoint))
    yield from ((f"inputs.{name}", path) for name, path in command.inputs.items())
    yield from ((f"outputs.{name}", path) for name, path in command.outputs.items())
    yield from ((f"vars.{name}", scalar_text(value)) for name, value in command.vars.items())
    yield from ((f"env.{name}", value) for name, value in command.env.items())
    yield from (("stdout", command.stdout or ""), ("workdir", command.workdir or ""))


def draft_steps(
    workflow: WorkflowState | None,
    commands: Mapping[str, Command],
    specs: Sequence[StepSpec],
    *,
    prune: bool = False,
    skip_composites: bool = False,
    rules: Rules = ANY,
) -> Draft:
    """Lay Steps beside a workflow and find every problem.

    Args:
        workflow: what they would enter, or None for a new one.
        commands: all Commands there will be.
        specs: the Steps as written.
        prune: elements of these sweeps that are not made any more go.
        skip_composites: some composite is unsound, so Steps that use one cannot be expanded.
        rules: what the deployment allows.
    """
    draft = Draft()
    for number, spec in enumerate(specs):
        if len(draft.problems) >= PROBLEMS_MAX:
            break
        place = f"steps[{number}]"
        command = commands.get(spec.command)
        if command is None:
            message = f"there is no Command {spec.command!r}{suggestion(spec.command, commands)}"
            draft.problems.append(Problem(f"{place}.command", message))
        elif not (command.steps and skip_composites):
            flats = expand(spec, commands, place, draft.problems, rules.sweep_steps_max)
            draft.flats += [(place, flat) for flat in flats]
    _check_buckets(draft, rules)
    _check_names(workflow, draft)
    if workflow is not None:
        pruned = specs if prune else ()
        draft.vanished = dict.fromkeys(_vanishing(workflow, [flat for _, flat in draft.flats], pruned))
    _check_graph(workflow, draft)
    return draft


def draft_commands(
    workflow: WorkflowState, changed: Sequence[Command], commands: Mapping[str, Command], rules: Rules
) -> Draft:
    """Lay changed Commands beside a workflow: the Steps that use them, expanded anew, and what would break.

    Args:
        workflow: the workflow.
        changed: Commands, each sound by itself; those that are as they were change nothing.
        commands: all Commands there will be.
        rules: what the deployment allows.
    """
    draft = Draft()
    places = {
        command.name: f"commands[{number}]"
        for number, command in enumerate(changed)
        if workflow.commands.get(command.name) != command
    }
    _check_composites(workflow, changed, commands, draft)
    if draft.problems:
        return draft
    for spec, owned in workflow.specs_using(places):
        place = next(places[name] for step in owned.values() for name in step.commands if name in places)
        found: list[Problem] = []
        flats = expand(spec, commands, "", found, rules.sweep_steps_max)
        if not found:
            found = list(_renamed(owned, flats))
        message = f"Step {spec.name!r} would become invalid: "
        draft.problems += [
            Problem(place, f"{message}{problem.place.lstrip('.')}: {problem.message}") for problem in found
        ]
        draft.flats += [(place, flat) for flat in flats if flat.element in owned]
    _check_buckets(draft, rules)
    _check_names(workflow, draft)
    draft.vanished = dict.fromkeys(_vanishing(workflow, [flat for _, flat in draft.flats], ()))
    _check_graph(workflow, draft)
    return draft


def _renamed(owned: Iterable[str], flats: Iterable[FlatStep]) -> Iterator[Problem]:
    """Yield the elements of a sweep that would get another name: a value splices what the Command gives a var."""
    made = {flat.element for flat in flats}
    gone = next((element for element in owned if element not in made), None)
    if gone is not None:
        message = f"{gone!r} would get another name, as values of its vars splice a default; remove it, then merge anew"
        yield Problem(".vars", message)


def _check_composites(
    workflow: WorkflowState, changed: Sequence[Command], commands: Mapping[str, Command], draft: Draft
) -> None:
    """Find composites of the workflow that would not fit the changed Commands any more."""
    news = {command.name: number for number, command in enumerate(changed)}
    for command in workflow.commands.values():
        if command.name in news:
            continue
        would = f"Command {command.name!r} would become invalid: "
        inner = next((step.command for step in command.steps if step.command in news), None)
        if inner is not None:
            draft.problems += [
                Problem(f"commands[{news[inner]}]", f"{would}{problem.place.lstrip('.')}: {problem.message}")
                for problem in composite_problems(command, commands, "")
            ]
        elif is_too_deep(command, commands):
            draft.problems.append(Problem("commands", f"{would}{TOO_DEEP}"))


def _vanishing(workflow: WorkflowState, flats: Iterable[FlatStep], pruned: Iterable[StepSpec]) -> Iterator[Step]:
    """Yield existing Steps that go when these are defined: what an element no longer holds, and elements pruned."""
    names = {flat.name for flat in flats}
    elements = {flat.element for flat in flats}
    for element in elements:
        yield from (step for step in workflow.steps_of_element(element) if step.name not in names)
    for spec in pruned:
        for step in workflow.steps_named(spec.name):
            if step.spec.name == spec.name and step.element not in elements:
                yield step


def _check_buckets(draft: Draft, rules: Rules) -> None:
    """Refuse Keys in buckets that the deployment does not let Keys name."""
    for place, flat in draft.flats:
        for kind, names, keys in (
            ("inputs", flat.input_names, flat.inputs),
            ("outputs", flat.output_names, flat.outputs),
        ):
            for name, key in zip(names, keys, strict=True):
                problem = rules.bucket_problem(key) if ":" in key else None
                if problem and len(draft.problems) < PROBLEMS_MAX:
                    draft.problems.append(Problem(f"{place}.{kind}.{name}", problem))


def _check_names(workflow: WorkflowState | None, draft: Draft) -> None:
    """Refuse two Steps of one name, and a name that stands for Steps of another spec already."""
    meanings: dict[str, str] = {}
    for _, flat in draft.flats:
        for name in (flat.name, *flat.aliases):
            meanings.setdefault(name, flat.spec.name)
    seen: set[str] = set()
    for place, flat in draft.flats:
        if flat.name in seen:
            draft.problems.append(Problem(place, f"makes the Step name {flat.name!r} twice"))
        elif (clash := _clash(workflow, flat, meanings)) is not None:
            name, other = clash
            draft.problems.append(Problem(place, f"makes the Step name {name!r}, which {other!r} already made"))
        seen.add(flat.name)


def _clash(workflow: WorkflowState | None, flat: FlatStep, meanings: Mapping[str, str]) -> tuple[str, str] | None:
    """Return a name of a Step that stands for Steps of another spec too, and the name of that spec."""
    for name in (flat.name, *flat.aliases):
        owners = [meanings[name]]
        owners += (step.spec.name for step in workflow.first_named(name)) if workflow is not None else ()
        other = next((one for one in owners if one != flat.spec.name), None)
        if other is not None:
            return name, other
    return None


def _check_graph(workflow: WorkflowState | None, draft: Draft) -> None:
    """Refuse overlapping writers and cycles among the Steps that could be expanded."""
    overlay = _Overlay(workflow.graph if workflow is not None else None)
    overlay.replaced = set(draft.vanished)
    if workflow is not None:
        overlay.replaced.update(workflow.by_name[flat.name] for _, flat in draft.flats if flat.name in workflow.by_name)
    steps = []
    for place, flat in draft.flats:
        step = Step(-1, flat)
        for name, key in zip(flat.output_names, flat.outputs, strict=True):
            rival = overlay.other_writer(key, step)
            if rival is not None and len(draft.problems) < PROBLEMS_MAX:
                message = f"{key!r} is written by Step {flat.name!r} and, as {rival.name!r}, by Step {_owner(rival)!r}"
                draft.problems.append(Problem(f"{place}.outputs.{name}", message))
        overlay.graph.link(step, flat.inputs, flat.outputs)
        steps.append((place, step))
    draft.problems += overlay.cycles(steps)


def _owner(key: Key) -> str:
    """Return the name of the Step that writes a Key."""
    return key.writer.name if key.writer is not None else ""


class _Overlay:
    """The workflow as it would be: its graph without the replaced Steps, and a small graph of the drafted ones."""

    def __init__(self, base: Graph | None) -> None:
        self.base = base
        self.graph = Graph()
        self.replaced: set[Step] = set()

    def keys_over(self, name: str) -> Iterator[Key]:
        """Yield every Key of either graph that overlaps a name."""
        yield from self.graph.all_over(name)
        if self.base is not None:
            yield from self.base.all_over(name)

    def other_writer(self, name: str, step: Step) -> Key | None:
        """Return a Key overlapping name that another Step writes, or None."""
        for key in self.keys_over(name):
            if key.writer is not None and key.writer is not step and key.writer not in self.replaced:
                return key
        return None

    def read_from(self, step: Step) -> Iterator[Key]:
        """Yield every Key by which others would read what a Step writes."""
        return (key for output in step.outputs for key in self.keys_over(output.name))

    def consumers(self, step: Step, done: Collection[Key]) -> Iterator[Step]:
        """Yield the Steps that would read what a Step writes, but for those of Keys that are done."""
        keys = (key for key in self.read_from(step) if key not in done)
        return (reader for key in keys for reader in key.readers if reader not in self.replaced)

    def cycles(self, steps: list[tuple[str, Step]]) -> Iterator[Problem]:
        """Yield a Problem for each cycle found by walking down from the drafted Steps, without recursion."""
        done: set[Step] = set()
        done_keys: set[Key] = set()
        for place, root in steps:
            if root in done or not root.outputs:
                continue
            path = {root: None}
            stack = [self.consumers(root, done_keys)]
            while stack:
                reader = next(stack[-1], None)
                if reader is None:
                    stack.pop()
                    step = path.popitem()[0]
                    done.add(step)
                    done_keys.update(self.read_from(step))
                elif reader in path:
                    names = [step.name for step in path]
                    circle = " → ".join([*names[names.index(reader.name) :], reader.name])
                    yield Problem(place, f"the Steps depend on each other in a circle: {circle}")
                    done.update(path)
                    break
                elif reader not in done:
                    path[reader] = None
                    stack.append(self.consumers(reader, done_keys))
