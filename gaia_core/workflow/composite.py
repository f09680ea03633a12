"""Composite Commands: whether their inner Steps fit together, and what names within them stand for.

Inner Steps read and write names that mean something only within the composite: its inputs and outputs stand for the
Keys that a Step maps them to; any other name is made by one inner Step, and its Key lies under `composite/`.
"""

from collections.abc import Iterator, Mapping
from math import prod
from typing import Final

from gaia_core.errors import Problem
from gaia_core.workflow.interface import interface_problems, suggestion, var_problems
from gaia_core.workflow.keys import RESERVED_PREFIX
from gaia_core.workflow.model import Command

DEPTH_MAX: Final = 20
"""Composites within composites; deeper ones are a mistake more often than not."""

TOO_DEEP: Final = f"composites are nested deeper than {DEPTH_MAX}"

COUNT_MAX: Final = 10**12
"""Counting Steps stops here: composites of composites multiply."""


class Bindings:
    """What the names within one composite Step stand for.

    Args:
        step: name of the composite Step.
        outer: its inputs and mapped outputs → Keys.
    """

    __slots__ = ("_made", "_outer", "_step")

    def __init__(self, step: str, outer: Mapping[str, str]) -> None:
        self._step = step
        self._outer = outer
        self._made: dict[str, str] = {}

    def write(self, local: str, inner: str, output: str, is_tree: bool) -> tuple[str, str | None]:
        """Return the Key that an inner Step's output is stored under, and what is wrong with it."""
        if local in self._made:
            return "", f"{local!r} is written by two inner Steps"
        key = self._outer.get(local) or f"{RESERVED_PREFIX}{self._step}/{inner}/{output}{'/' * is_tree}"
        self._made[local] = key
        return key, None

    def is_written(self, local: str) -> bool:
        """Tell whether an inner Step writes a name."""
        return local in self._made

    def read(self, local: str) -> str | None:
        """Return the Key that an inner Step's input is read from, or None where nothing makes it."""
        return self._made.get(local) or self._outer.get(local)


def composite_problems(command: Command, commands: Mapping[str, Command], place: str) -> Iterator[Problem]:
    """Yield what is wrong with a composite Command.

    Args:
        command: a Command with inner Steps.
        commands: all Commands there will be.
        place: of the Command in the request.
    """
    circle = _circle(command, commands)
    if circle:
        yield Problem(f"{place}.steps", f"composite Commands contain each other in a circle: {' → '.join(circle)}")
        return
    if is_too_deep(command, commands):
        yield Problem(f"{place}.steps", TOO_DEEP)
        return
    for name in command.inputs:
        if name in command.outputs:
            yield Problem(f"{place}.outputs.{name}", f"{name!r} is both an input and an output")
    defined = {*command.vars, *command.var_names}
    for number, inner in enumerate(command.steps):
        where = f"{place}.steps[{number}]"
        used = commands.get(inner.command)
        if used is None:
            message = f"there is no Command {inner.command!r}{suggestion(inner.command, commands)}"
            yield Problem(f"{where}.command", message)
        else:
            yield from interface_problems(inner, used, where)
            yield from var_problems(inner, used, where, defined)
    yield from _name_problems(command, place)


def count_steps(name: str, commands: Mapping[str, Command]) -> int:
    """Return how many Steps one use of a Command makes: 1, or those of a composite, at most `COUNT_MAX`."""
    counted: dict[str, int] = {}

    def count(command: Command) -> int:
        if not command.steps:
            return 1
        if command.name not in counted:
            total = sum(
                prod(len(value) for value in inner.vars.values() if isinstance(value, tuple))
                * count(commands[inner.command])
                for inner in command.steps
            )
            counted[command.name] = min(total, COUNT_MAX)
        return counted[command.name]

    return count(commands[name])


def _name_problems(command: Command, place: str) -> Iterator[Problem]:
    """Yield names that two Steps make or that nothing makes; where outputs splice vars, expansion finds the latter."""
    made: dict[str, str] = {}
    for number, inner in enumerate(command.steps):
        for output, local in inner.outputs.items():
            where = f"{place}.steps[{number}].outputs.{output}"
            if local in command.inputs:
                yield Problem(where, f"{local!r} is an input of the composite")
            elif local in made:
                yield Problem(where, f"{local!r} is also written by {made[local]!r}")
            made[local] = inner.name
    if not any("{{" in local for local in made):
        yield from _unmade(command, made, place)


def _unmade(command: Command, made: Mapping[str, str], place: str) -> Iterator[Problem]:
    """Yield names that are read, and outputs of the composite, that nothing makes."""
    for number, inner in enumerate(command.steps):
        for name, local in inner.inputs.items():
            if "{{" not in local and local not in made and local not in command.inputs:
                where = f"{place}.steps[{number}].inputs.{name}"
                message = f"{local!r} is neither an input of the composite nor written by one of its Steps"
                yield Problem(where, f"{message}{suggestion(local, {**made, **command.inputs})}")
    for name in command.outputs:
        if name not in made:
            yield Problem(f"{place}.outputs.{name}", f"no inner Step writes {name!r}{suggestion(name, made)}")


def _circle(command: Command, commands: Mapping[str, Command]) -> list[str]:
    """Return the names of Commands that contain each other, beginning and ending with this one, or []."""
    seen: set[str] = set()
    path = [command.name]
    stack = [iter(command.steps)]
    while stack:
        inner = next(stack[-1], None)
        if inner is None:
            stack.pop()
            path.pop()
        elif inner.command == command.name:
            return [*path, command.name]
        elif inner.command not in seen and inner.command in commands:
            seen.add(inner.command)
            path.append(inner.command)
            stack.append(iter(commands[inner.command].steps))
    return []


def is_too_deep(command: Command, commands: Mapping[str, Command]) -> bool:
    """Tell whether more composites than allowed lie within each other, this one included."""
    depth = 0
    level = {command.name: command}
    while level and depth <= DEPTH_MAX:
        depth += 1
        inner = [commands.get(step.command) for one in level.values() for step in one.steps]
        level = {one.name: one for one in inner if one is not None and one.steps}
    return depth > DEPTH_MAX
