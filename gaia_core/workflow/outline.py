"""What can be told of a Step that cannot be expanded: the Keys it would read and write, as far as they are understood.

So a Step with a wrong input, or of an unknown Command, is still found to write what another one writes. Called by
validation for requests that are refused anyway.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from gaia_core.errors import Problem
from gaia_core.workflow.elements import count_elements
from gaia_core.workflow.expand import expand_fitting
from gaia_core.workflow.flat import FlatStep
from gaia_core.workflow.interface import texts_of
from gaia_core.workflow.model import Command, StepSpec, VarValue
from gaia_core.workflow.splice import Unspliceable, names_in
from gaia_core.workflow.unknown import UNKNOWN, is_understood


def outline(
    spec: StepSpec, command: Command | None, place: str, problems: list[Problem], steps_max: int
) -> list[FlatStep]:
    """Return Steps with the understood Keys of a spec, adding what is wrong with these to problems.

    Args:
        spec: a Step with unknown parts, or one that does not fit its Command; its name is known.
        command: the Command it uses, or None where there is none.
        place: path of the spec in the request.
        problems: grows.
        steps_max: of larger sweeps nothing is returned.

    Returns:
        Steps that name no Command unless it runs a program: only then do all outputs depend on all inputs.
    """
    defaults = {} if command is None else command.vars
    values = _understood({**defaults, **spec.vars})
    own = {name: value for name, value in spec.vars.items() if name in values}
    inputs, outputs = _spliced(spec.inputs, values), _spliced(spec.outputs, values)
    reduced = replace(spec, inputs=inputs, outputs=outputs, vars=own)
    if count_elements(reduced) > steps_max:
        return []
    blank = Command(spec.command, vars={name: value for name, value in defaults.items() if name in values})
    flats = expand_fitting(reduced, blank, {}, place, problems)
    is_program = command is not None and not command.steps
    return flats if is_program else [replace(flat, commands=()) for flat in flats]


def _understood(values: Mapping[str, VarValue]) -> dict[str, VarValue]:
    """Return the values that are understood and splice none but such, however indirectly."""
    users: dict[str, set[str]] = {}
    for name, value in values.items():
        for spliced in _names_in(texts_of(value)):
            users.setdefault(spliced, set()).add(name)
    wrong = {name for name, value in values.items() if name == UNKNOWN or not is_understood(value)}
    new = wrong | {name for name in users if name not in values}
    while new:
        new = {user for name in new for user in users.get(name, ())} - wrong
        wrong |= new
    return {name: value for name, value in values.items() if name not in wrong}


def _spliced(keys: Mapping[str, str], values: Mapping[str, VarValue]) -> dict[str, str]:
    """Return the Keys that are understood, with all they splice."""
    return {
        name: key
        for name, key in keys.items()
        if UNKNOWN not in (name, key) and all(spliced in values for spliced in _names_in([key]))
    }


def _names_in(texts: Iterable[str]) -> Iterator[str]:
    """Yield every name that texts splice, and UNKNOWN for one that cannot be spliced."""
    for text in texts:
        try:
            yield from list(names_in(text))
        except Unspliceable:
            yield UNKNOWN
