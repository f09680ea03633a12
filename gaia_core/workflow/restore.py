"""Puts a workflow together from what is kept of it at rest: what users wrote, which Steps came of it, how they stand.

Everything else follows and is made anew by the code that makes it live: definitions by expanding the specs again, Keys
and their counters by linking the Steps. Called by the wire layer, which reads snapshots.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from zlib import crc32

from gaia_core.workflow.flat import FlatStep
from gaia_core.workflow.graph import Key
from gaia_core.workflow.model import Publication, StepSpec
from gaia_core.workflow.state import Step, WorkflowState
from gaia_core.workflow.states import StepState


class Run(NamedTuple):
    """Steps that lie side by side in the workflow and in the expansion of one spec.

    Attributes:
        first: index of the first Step.
        length: how many.
        spec: number of the spec.
        place: of the first Step in the expansion.
    """

    first: int
    length: int
    spec: int
    place: int


class KeyRest(NamedTuple):
    """What is known of a Key beside what Steps tell."""

    name: str
    arrived: Publication | None
    arrived_as: int
    left_behind: bool
    was_written: bool


def runs_of(workflow: WorkflowState, numbers: Sequence[int], specs: Sequence[StepSpec]) -> Iterator[Run]:
    """Yield which Steps came of which spec; each spec is expanded, so the cost is that of making the Steps.

    Args:
        numbers: for each Step, by index, the number of its spec.
        specs: by number.
    """
    places = [{flat.name: place for place, flat in enumerate(workflow.expand(spec))} for spec in specs]
    run = Run(0, 0, 0, 0)
    for step, number in zip(workflow.steps.values(), numbers, strict=True):
        first, length, spec, start = run
        place = places[number][step.name]
        if length and (step.index, number, place) == (first + length, spec, start + length):
            run = Run(first, length + 1, spec, start)
            continue
        if length:
            yield run
        run = Run(step.index, 1, number, place)
    if run.length:
        yield run


def rebuild(workflow: WorkflowState, specs: Sequence[StepSpec], runs: Iterable[Run], next_index: int) -> None:
    """Make the Steps of a workflow that has its Commands and nothing else; each is WAITING and uncounted for now.

    Raises:
        LookupError: a spec does not make the Steps that it made.
    """
    expanded: dict[int, list[FlatStep]] = {}
    for first, length, number, place in runs:
        flats = expanded.get(number)
        if flats is None:
            flats = expanded[number] = workflow.expand(specs[number])
        if place + length > len(flats):
            raise LookupError(f"the Step {specs[number].name!r} stands for {len(flats)} Steps now")
        for index, flat in enumerate(flats[place : place + length], first):
            step = workflow.steps[index] = workflow.by_name[flat.name] = Step(index, flat)
            workflow.enter_indexes(step)
            workflow.graph.link(step, flat.inputs, flat.outputs)
    workflow.next_index = next_index


def settle(workflow: WorkflowState, keys: Iterable[KeyRest], arrivals: int) -> None:
    """Count everything that follows from how the Steps stand, and enter what is known of Keys beside it.

    Args:
        workflow: its Steps are made and know how they stand.
        keys: what is known.
        arrivals: how many Keys have arrived so far.
    """
    graph = workflow.graph
    for rest in keys:
        key = graph.key(rest.name) if rest.arrived is None else graph.arrive(rest.arrived)
        key.arrived_as, key.left_behind, key.was_written = rest.arrived_as, rest.left_behind, rest.was_written
    graph.arrivals = arrivals
    steps = workflow.steps.values()
    for step in steps:
        workflow.counts[step.state] += 1
        members = workflow.members[step.state]
        if members is not None:
            members[step] = None
        if step.state is StepState.COMPLETE:
            for _ in graph.complete(step):
                pass  # readers that need it are RUNNING or beyond by now, or counted below
    for step in steps:
        if step.state is StepState.WAITING:
            step.missing = sum(not key.is_there for key in step.inputs)


def rests_of(workflow: WorkflowState) -> Iterator[KeyRest]:
    """Yield the Keys of which more is known than the Steps tell, by name; those that nobody names now among them."""
    for name, key in sorted(workflow.graph.keys.items()):
        if key.arrived is not None or key.left_behind or key.was_written or not _is_named(key):
            arrived_as = key.arrived_as if key.arrived is not None else 0
            yield KeyRest(name, key.arrived, arrived_as, key.left_behind, key.was_written)


def _is_named(key: Key) -> bool:
    return key.writer is not None or bool(key.readers)


def names_crc(workflow: WorkflowState) -> int:
    """Return a checksum of the names of all Steps, by index."""
    checksum = 0
    for step in workflow.steps.values():
        checksum = crc32(b"%s\0" % step.name.encode(), checksum)
    return checksum
