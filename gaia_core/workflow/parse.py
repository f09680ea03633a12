"""Plain values, as read from JSON or YAML, to Commands, Steps and properties, and back.

Finds every problem of form at once, each with its place: wrong types, missing and unknown fields, bad names, control
characters, numbers out of range. Never raises, whatever it is given. What Commands and Steps mean together is
`validate`'s; `parse_workflow` joins the two. Called by the client before it sends, and by the service on all it gets.
The parts are in `form`.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Generic, NamedTuple, TypeAlias

from gaia_core.errors import Problem
from gaia_core.workflow.form.commands import COMMAND_FIELDS, read_command
from gaia_core.workflow.form.items import Item, name_of, read_list
from gaia_core.workflow.form.options import RESOURCE_FIELDS
from gaia_core.workflow.form.plain import command_to_plain, step_to_plain
from gaia_core.workflow.form.properties import PROPERTY_DEPTH_MAX, parse_properties
from gaia_core.workflow.form.steps import read_step
from gaia_core.workflow.form.texts import name_problem, text_problem
from gaia_core.workflow.form.values import INTEGER_MAX, memory_bytes
from gaia_core.workflow.form.wording import at
from gaia_core.workflow.model import Command, StepSpec

__all__ = [
    "COMMAND_FIELDS", "INTEGER_MAX", "PROPERTY_DEPTH_MAX", "RESOURCE_FIELDS", "Parsed", "Sound", "at", "command_to_plain",
    "memory_bytes",
    "name_problems", "parse_commands", "parse_properties", "parse_steps", "parse_workflow", "sound_commands",
    "sound_steps", "step_to_plain",
]  # fmt: skip

_INDEXED: Final = re.compile(r"(commands|steps)\[(\d+)\]")

Check: TypeAlias = Callable[[Iterable[Command], Sequence[StepSpec]], list[Problem]]
"""Tells what is wrong with Commands and Steps together; its places count within what it is given."""


class Parsed(NamedTuple):
    """The sound Commands and Steps of a workflow, and everything wrong with the rest or with them together."""

    commands: list[Command]
    steps: list[StepSpec]
    problems: list[Problem]


class Sound(NamedTuple, Generic[Item]):
    """The sound items of a list that holds unsound ones too, for whoever looks for further problems.

    Attributes:
        indexes: where each lies in the list.
    """

    items: list[Item]
    indexes: list[int]

    def moved(self, problems: Iterable[Problem]) -> list[Problem]:
        """Return problems of the items with places that count within the whole list."""
        return [_moved(problem, {"commands": self.indexes, "steps": self.indexes}) for problem in problems]


def parse_commands(value: object) -> tuple[list[Command], list[Problem]]:
    """Return the sound Commands of a list of maps, as users write them, and every problem of the others."""
    found, problems = read_list(value, "commands", read_command)
    return list(found.values()), problems


def parse_steps(value: object) -> tuple[list[StepSpec], list[Problem]]:
    """Return the sound Steps of a list of maps, as users write them, and every problem of the others."""
    found, problems = read_list(value, "steps", read_step)
    return list(found.values()), problems


def sound_commands(value: object) -> Sound[Command]:
    """Return the sound Commands of a list, composites left out that use unsound ones."""
    found, _ = read_list(value, "commands", read_command)
    found = _usable(found, _names_without(value, found))
    return Sound(list(found.values()), list(found))


def sound_steps(value: object) -> Sound[StepSpec]:
    """Return the sound Steps of a list."""
    found, _ = read_list(value, "steps", read_step)
    return Sound(list(found.values()), list(found))


def name_problems(name: object, place: str = "workflow") -> list[Problem]:
    """Return what is wrong with the name of a workflow, of which there is at most one."""
    problem = text_problem(name, name_problem)
    return [Problem(place, problem)] if problem else []


def parse_workflow(commands: object, steps: object, check: Check | None = None) -> Parsed:
    """Return Commands and Steps with every problem of form, and of meaning as far as the sound ones allow.

    A Step that uses a Command which is itself unsound is not checked, so one mistake is told once.

    Args:
        commands: a list of maps.
        steps: a list of maps.
        check: finds the problems of Commands and Steps together (`validate.check`).
    """
    some_commands, problems = read_list(commands, "commands", read_command)
    some_steps, step_problems = read_list(steps, "steps", read_step)
    problems += step_problems
    if check:
        usable = _usable(some_commands, _names_without(commands, some_commands))
        unsound = _names_without(commands, usable)
        checked = {index: step for index, step in some_steps.items() if step.command not in unsound}
        indexes = {"commands": list(usable), "steps": list(checked)}
        found = [_moved(each, indexes) for each in check(list(usable.values()), list(checked.values()))]
        problems = list(dict.fromkeys([*problems, *found]))
    return Parsed(list(some_commands.values()), list(some_steps.values()), problems)


def _names_without(value: object, found: Mapping[int, object]) -> set[str]:
    """Return the names of the items of a list that are not among the sound ones."""
    items = value if isinstance(value, list | tuple) else ()
    return {name_of(each) for index, each in enumerate(items) if index not in found}


def _usable(commands: Mapping[int, Command], unsound: set[str]) -> dict[int, Command]:
    """Return Commands without the composites that use unsound ones, however indirectly: one mistake is told once."""
    usable = dict(commands)
    spoilt = dict(usable)
    while spoilt:
        spoilt = {n: one for n, one in usable.items() if any(step.command in unsound for step in one.steps)}
        unsound = unsound | {one.name for one in spoilt.values()}
        usable = {n: one for n, one in usable.items() if n not in spoilt}
    return usable


def _moved(problem: Problem, indexes: Mapping[str, Sequence[int]]) -> Problem:
    """Return a problem whose place counts within the whole request, not within its sound part."""
    match = _INDEXED.match(problem.place)
    if not match:
        return problem
    original = indexes[match[1]][int(match[2])]
    return Problem(f"{match[1]}[{original}]{problem.place[match.end() :]}", problem.message)
