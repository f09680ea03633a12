"""Plain values, as read from JSON or YAML, to Commands, Steps and properties, and back.

Finds every problem of form at once, each with its place: wrong types, missing and unknown fields, bad names, control
characters, numbers out of range. Never raises, whatever it is given. What Commands and Steps mean together is
`validate`'s; `parse_workflow` joins the two. Called by the client before it sends, and by the service on all it gets.
The parts are in `form`.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from gaia_core.errors import Problem
from gaia_core.workflow.form.commands import COMMAND_FIELDS, read_command
from gaia_core.workflow.form.items import Reading, read_list
from gaia_core.workflow.form.options import RESOURCE_FIELDS
from gaia_core.workflow.form.plain import command_to_plain, step_to_plain
from gaia_core.workflow.form.properties import PROPERTY_DEPTH_MAX, parse_properties
from gaia_core.workflow.form.steps import read_step
from gaia_core.workflow.form.texts import name_problem, text_problem
from gaia_core.workflow.form.values import INTEGER_MAX
from gaia_core.workflow.form.wording import at
from gaia_core.workflow.model import Command, StepSpec
from gaia_core.workflow.unknown import UNKNOWN_COMMAND, UNKNOWN_STEP

__all__ = [
    "COMMAND_FIELDS", "INTEGER_MAX", "PROPERTY_DEPTH_MAX", "RESOURCE_FIELDS", "Parsed", "Reading", "at",
    "command_to_plain", "name_problems", "parse_commands", "parse_properties", "parse_steps",
    "parse_workflow", "read_commands", "read_steps", "step_to_plain",
]  # fmt: skip

Check: TypeAlias = Callable[[Reading[Command], Reading[StepSpec]], list[Problem]]
"""Tells what is wrong with Commands and Steps together, as far as they were understood."""


class Parsed(NamedTuple):
    """The sound Commands and Steps of a workflow, and everything wrong with the rest or with them together."""

    commands: list[Command]
    steps: list[StepSpec]
    problems: list[Problem]


def read_commands(value: object) -> Reading[Command]:
    """Read a list of Commands, maps as users write them, as far as they can be understood."""
    return read_list(value, "commands", read_command, UNKNOWN_COMMAND)


def read_steps(value: object) -> Reading[StepSpec]:
    """Read a list of Steps, maps as users write them, as far as they can be understood."""
    return read_list(value, "steps", read_step, UNKNOWN_STEP)


def parse_commands(value: object) -> tuple[list[Command], list[Problem]]:
    """Return the sound Commands of a list, and every problem of form of all."""
    reading = read_commands(value)
    return reading.sound, list(reading.problems)


def parse_steps(value: object) -> tuple[list[StepSpec], list[Problem]]:
    """Return the sound Steps of a list, and every problem of form of all."""
    reading = read_steps(value)
    return reading.sound, list(reading.problems)


def name_problems(name: object, place: str = "workflow") -> list[Problem]:
    """Return what is wrong with the name of a workflow, of which there is at most one."""
    problem = text_problem(name, name_problem)
    return [Problem(place, problem)] if problem else []


def parse_workflow(commands: object, steps: object, check: Check | None = None) -> Parsed:
    """Return Commands and Steps with every problem of form, and of meaning as far as they are understood.

    Args:
        commands: a list of maps.
        steps: a list of maps.
        check: finds the problems of Commands and Steps together (`validate.check`).
    """
    all_commands, all_steps = read_commands(commands), read_steps(steps)
    found = check(all_commands, all_steps) if check else []
    problems = list(dict.fromkeys([*all_commands.problems, *all_steps.problems, *found]))
    return Parsed(all_commands.sound, all_steps.sound, problems)
