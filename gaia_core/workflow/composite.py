"""Composite Commands: whether their inner Steps fit together.

Inner Steps read and write names that mean something only within the composite; what these stand for where a Step uses
it is `bindings`'s.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from gaia_core.errors import Problem
from gaia_core.workflow.elements import count_elements
from gaia_core.workflow.interface import interface_problems, suggestion, var_problems
from gaia_core.workflow.keys import folders_over
from gaia_core.workflow.model import Command
from gaia_core.workflow.unknown import UNKNOWN

DEPTH_MAX: Final = 20
"""Composites within composites; deeper ones are a mistake more often than not."""

TOO_DEEP: Final = f"composites are nested deeper than {DEPTH_MAX}"

COUNT_MAX: Final = 10**12
"""Counting Steps stops here: composites of composites multiply."""


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
    elif is_too_deep(command, commands):
        yield Problem(f"{place}.steps", TOO_DEEP)
    for name in command.inputs:
        if name in command.outputs and name != UNKNOWN:
            yield Problem(f"{place}.outputs.{name}", f"{name!r} is both an input and an output")
    defined = {*command.vars, *command.var_names}
    for number, inner in enumerate(command.steps):
        where = f"{place}.steps[{number}]"
        used = commands.get(inner.command)
        if used is not None:
            yield from interface_problems(inner, used, where)
            yield from var_problems(inner, used, where, defined)
        elif inner.command != UNKNOWN:
            message = f"there is no Command {inner.command!r}{suggestion(inner.command, commands)}"
            yield Problem(f"{where}.command", message)
    yield from _name_problems(command, place)


def spread(spoilt: Iterable[str], commands: Mapping[str, Command]) -> set[str]:
    """Return names of Commands with those of all composites that contain them, however indirectly."""
    found = set(spoilt)
    users: dict[str, set[str]] = {}
    for command in commands.values():
        for inner in command.steps:
            users.setdefault(inner.command, set()).add(command.name)
    new = set(found)
    while new:
        new = {user for name in new for user in users.get(name, ())} - found
        found |= new
    return found


def writes_tree(command: Command, output: str, commands: Mapping[str, Command]) -> bool:
    """Tell whether a Command writes a directory as this output; composites among the Commands are sound."""
    if not command.steps:
        return command.outputs.get(output, "").endswith("/")
    inner = [(step, name, local) for step in command.steps for name, local in step.outputs.items()]
    exact = [(step, name) for step, name, local in inner if local == output]
    if not exact:
        return any(local.startswith(f"{output}/") for _, _, local in inner)
    return any(writes_tree(commands[step.command], name, commands) for step, name in exact)


def count_steps(name: str, commands: Mapping[str, Command]) -> int:
    """Return how many Steps one use of a Command makes: 1, or those of a composite, at most `COUNT_MAX`."""
    counted: dict[str, int] = {}

    def count(command: Command) -> int:
        if not command.steps:
            return 1
        if command.name not in counted:
            total = sum(count_elements(inner) * count(commands[inner.command]) for inner in command.steps)
            counted[command.name] = min(total, COUNT_MAX)
        return counted[command.name]

    return count(commands[name])


def _name_problems(command: Command, place: str) -> Iterator[Problem]:
    """Yield names that two Steps make or that nothing makes; where outputs splice vars, expansion finds the latter."""
    made: dict[str, str] = {}
    for number, inner in enumerate(command.steps):
        for output, local in inner.outputs.items():
            where = f"{place}.steps[{number}].outputs.{output}"
            if local != UNKNOWN and local in command.inputs:
                yield Problem(where, f"{local!r} is an input of the composite")
            elif local != UNKNOWN and local in made:
                yield Problem(where, f"{local!r} is also written by {made[local]!r}")
            made[local] = inner.name
    if not any("{{" in local or local == UNKNOWN for local in made):
        yield from _unmade(command, made, place)


def _unmade(command: Command, made: Mapping[str, str], place: str) -> Iterator[Problem]:
    """Yield names that are read, and outputs of the composite, that nothing makes."""
    filled = {folder for local in made for folder in folders_over(local)}
    there = {*made, *command.inputs}
    for number, inner in enumerate(command.steps):
        for name, local in inner.inputs.items():
            if local != UNKNOWN and "{{" not in local and local not in filled and not _is_there(local, there):
                where = f"{place}.steps[{number}].inputs.{name}"
                message = f"{local!r} is neither an input of the composite nor written by one of its Steps"
                yield Problem(where, f"{message}{suggestion(local, {**made, **command.inputs})}")
    for name in command.outputs:
        if name not in made and f"{name}/" not in filled and name != UNKNOWN:
            yield Problem(f"{place}.outputs.{name}", f"no inner Step writes {name!r}{suggestion(name, made)}")


def _is_there(local: str, there: Collection[str]) -> bool:
    """Tell whether a name is made, or may lie in a tree that is: what is one is known only where it is used."""
    over = folders_over(local)
    return not {UNKNOWN, local, *over, *(folder.removesuffix("/") for folder in over)}.isdisjoint(there)


def _circle(command: Command, commands: Mapping[str, Command]) -> list[str]:
    """Return the names of Commands that contain each other, beginning and ending with this one, or []."""
    seen = {UNKNOWN}
    path = [command.name]
    stack = [iter(command.steps)]
    while stack:
        inner = next(stack[-1], None)
        if inner is None:
            stack.pop()
            path.pop()
        elif inner.command == command.name != UNKNOWN:
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
