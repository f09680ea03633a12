"""What the names of a request stand for: Steps, Steps that write, and Keys that are looked up anew."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from gaia_core.errors import InvalidWorkflow, Problem, UnknownName
from gaia_core.workflow.cascade import OWN, Cascade, Cause
from gaia_core.workflow.graph import Key
from gaia_core.workflow.interface import suggestion
from gaia_core.workflow.keys import may_be_key
from gaia_core.workflow.state import Step, WorkflowState

SUGGESTIONS_MAX: Final = 10
"""Looking for the nearest name takes time, and a list with more mistakes than this is not mended name by name."""


@dataclass(slots=True)
class Targets:
    """What is to be expired.

    Attributes:
        steps: Steps that run again, each with the Key by which it was named, if any.
        keys: Keys that no Step writes; looked up anew, and their readers run again.
    """

    steps: Cascade = field(default_factory=dict)
    keys: dict[Key, None] = field(default_factory=dict)


def resolve(workflow: WorkflowState, names: Iterable[str]) -> Targets:
    """Return what names stand for.

    Args:
        names: Step names (a sweep's stands for all its Steps) and Keys; `step:` or `key:` before them tells which.

    Raises:
        UnknownName: some are neither; `problems` names them all.
        InvalidWorkflow: some are both.
    """
    targets = Targets()
    unknown: list[Problem] = []
    ambiguous: list[Problem] = []
    for number, name in enumerate(names):
        place = f"names[{number}]"
        steps, keys = _meanings(workflow, name)
        if steps and keys:
            message = f"{name!r} is both a Step and a Key; write 'step:{name}' or 'key:{name}'"
            ambiguous.append(Problem(place, message))
        elif not steps and not keys:
            near = suggestion(name, workflow.by_name) if len(unknown) < SUGGESTIONS_MAX else ""
            message = f"{name!r} is neither a Step nor a Key of {workflow.name!r}{near}"
            unknown.append(Problem(place, message))
        targets.steps.update(dict.fromkeys(steps, OWN))
        for key in keys:
            _add_key(workflow, key, targets)
    if ambiguous:
        raise InvalidWorkflow.of([*ambiguous, *unknown])
    if unknown:
        raise UnknownName("Nothing was expired: some names are unknown.", problems=unknown)
    return targets


def resolve_steps(workflow: WorkflowState, names: Iterable[str]) -> dict[Step, None]:
    """Return the Steps that names stand for.

    Raises:
        UnknownName: some are no Steps; `problems` names them all.
    """
    found: dict[Step, None] = {}
    unknown: list[Problem] = []
    for number, name in enumerate(names):
        steps = workflow.steps_named(name) or workflow.steps_named(name.removeprefix("step:"))
        found.update(dict.fromkeys(steps))
        if not steps:
            near = suggestion(name, workflow.by_name) if len(unknown) < SUGGESTIONS_MAX else ""
            unknown.append(Problem(f"names[{number}]", f"{name!r} is no Step of {workflow.name!r}{near}"))
    if unknown:
        raise UnknownName("Nothing was changed: some names are unknown.", problems=unknown)
    return found


def _meanings(workflow: WorkflowState, name: str) -> tuple[list[Step], list[Key]]:
    """Return the Steps and the Keys that one name may stand for."""
    if name.startswith("step:") and name not in workflow.graph.keys:
        return workflow.steps_named(name.removeprefix("step:")), []
    if name.startswith("key:") and name not in workflow.graph.keys:
        return [], _keys_named(workflow, name.removeprefix("key:"))
    return workflow.steps_named(name), _keys_named(workflow, name)


def _keys_named(workflow: WorkflowState, name: str) -> list[Key]:
    """Return the Key of this name, and every Key that overlaps it."""
    return list(workflow.graph.all_over(name)) if may_be_key(name) else []


def _add_key(workflow: WorkflowState, key: Key, targets: Targets) -> None:
    """Add the writer of a Key, or else the Key itself when no Step writes it or any part of it."""
    if key.writer is not None:
        targets.steps.setdefault(key.writer, Cause(None, key))
    elif not any(other.writer is not None for other in workflow.graph.all_over(key.name)):
        targets.keys[key] = None
