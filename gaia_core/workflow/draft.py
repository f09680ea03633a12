"""What a request would make of a workflow, and what is wrong with that: buckets, names, overlaps, circles.

Cost is O(the request and what lies downstream of it). Called by validation, which expands the Steps.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gaia_core.errors import Problem
from gaia_core.workflow.flat import FlatStep
from gaia_core.workflow.model import StepSpec
from gaia_core.workflow.overlay import Overlay
from gaia_core.workflow.rules import Rules
from gaia_core.workflow.state import Step, WorkflowState
from gaia_core.workflow.unknown import UNKNOWN

PROBLEMS_MAX: Final = 1000
"""A request with more problems than this is answered with the first ones; nobody reads more."""


@dataclass(slots=True)
class Draft:
    """What a request would add, replace or take away, expanded, with the problems found so far.

    Attributes:
        flats: the Steps it defines, each with its place in the request.
        vanished: existing Steps that would be no more.
        outlined: names of the specs that could not be expanded whole.
    """

    flats: list[tuple[str, FlatStep]] = field(default_factory=list)
    vanished: dict[Step, None] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    outlined: list[str] = field(default_factory=list)

    def judge(self, workflow: WorkflowState | None, rules: Rules, pruned: Sequence[StepSpec] = ()) -> None:
        """Find what is wrong with the Steps together, and beside those of the workflow.

        Args:
            workflow: what they would enter, or None for a new one.
            rules: what the deployment allows.
            pruned: elements of these sweeps that are not made any more go.
        """
        _check_buckets(self, rules)
        _check_names(workflow, self)
        if workflow is not None:
            self.vanished = dict.fromkeys(_vanishing(workflow, [flat for _, flat in self.flats], pruned))
        _check_graph(workflow, self)


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
    """Refuse Keys in buckets that the deployment does not let Keys name, once for all elements of a sweep."""
    told: set[tuple[str, str]] = set()
    for place, flat in draft.flats:
        for kind, names, keys in (
            ("inputs", flat.input_names, flat.inputs),
            ("outputs", flat.output_names, flat.outputs),
        ):
            for name, key in zip(names, keys, strict=True):
                problem = rules.bucket_problem(key) if ":" in key else None
                if problem and len(draft.problems) < PROBLEMS_MAX:
                    where = f"{place}.{kind}.{name}"
                    like = (where, problem.replace(repr(key), ""))
                    if like not in told:
                        draft.problems.append(Problem(where, problem))
                    told.add(like)


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
    """Refuse overlapping writers and cycles among the Steps, as far as they could be expanded."""
    overlay = Overlay(workflow.graph if workflow is not None else None)
    overlay.replaced = set(draft.vanished)
    if workflow is not None:
        overlay.replaced.update(workflow.by_name[flat.name] for _, flat in draft.flats if flat.name in workflow.by_name)
        for name in draft.outlined:
            overlay.replaced.update(step for step in workflow.steps_named(name) if step.spec.name == name)
    steps = []
    told: set[str] = set()
    for place, flat in draft.flats:
        step = Step(-1, flat)
        for name, key in zip(flat.output_names, flat.outputs, strict=True):
            rival = overlay.other_writer(key, step) if key != UNKNOWN else None
            if rival is not None and rival.writer is not None and len(draft.problems) < PROBLEMS_MAX:
                where = f"{place}.outputs.{name}"
                if rival.writer.spec is not flat.spec or where not in told:
                    draft.problems.append(Problem(where, _rivalry(key, flat, rival.name, rival.writer)))
                told.add(where)
        inputs = flat.inputs if flat.commands else ()
        overlay.graph.link(step, _known(inputs), _known(flat.outputs))
        steps.append((place, step))
    draft.problems += overlay.cycles(steps)
    overlay.close()


def _rivalry(key: str, flat: FlatStep, other: str, rival: Step) -> str:
    return f"{key!r} is written by Step {flat.name!r} and, as {other!r}, by Step {rival.name!r}"


def _known(keys: tuple[str, ...]) -> tuple[str, ...]:
    return keys if UNKNOWN not in keys else tuple(key for key in keys if key != UNKNOWN)
