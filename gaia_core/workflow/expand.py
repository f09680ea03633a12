"""From a Step as written to the Steps it stands for: vars resolved, arrays multiplied out, Keys spliced.

Pure and deterministic, because the journal keeps specs only and every replay expands them again. Called by validation
(which wants every Problem) and by `WorkflowState.apply` (where there are none left).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import product
from math import prod
from typing import Final

from gaia_core.errors import Problem
from gaia_core.workflow.keys import key_problem
from gaia_core.workflow.model import Command, Scalar, StepSpec
from gaia_core.workflow.parse import file_path_problem, output_path_problem, path_problem, workdir_problem
from gaia_core.workflow.size import EXECUTION_BYTES_MAX, execution_bytes, execution_bytes_most, value_length_most
from gaia_core.workflow.splice import Unspliceable, names_in, scalar_text, splice

NAME_LENGTH_MAX: Final = 255

SWEEP_STEPS_MAX: Final = 1_000_000
"""One sweep may make as many Steps as a whole workflow is built for."""

SUGGESTED_AMONG_MAX: Final = 1_000
"""Looking for the nearest of more names than this would hold up everything else."""

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9-]")


@dataclass(frozen=True, slots=True)
class FlatStep:
    """One Step, expanded.

    Attributes:
        spec: what its user wrote; a sweep's Steps share it.
        values: every var's text, the Command's defaults included.
        input_names: names of the Command's inputs; `inputs` holds their Keys in the same order.
        output_names: names of the mapped outputs; `outputs` holds their Keys in the same order.
    """

    name: str
    spec: StepSpec
    values: Mapping[str, str]
    input_names: tuple[str, ...]
    inputs: tuple[str, ...]
    output_names: tuple[str, ...]
    outputs: tuple[str, ...]


def expand(spec: StepSpec, command: Command, place: str, problems: list[Problem]) -> list[FlatStep]:
    """Return the Steps that spec stands for, adding what is wrong with it to problems.

    Args:
        place: path of the spec in the request, for the problems.

    Returns:
        One Step per element of the product of its array vars; [] where there were problems.
    """
    found = [*_interface_problems(spec, command, place), *_var_problems(spec, command, place)]
    if not found and value_length_most(spec, command) > EXECUTION_BYTES_MAX:
        found = [Problem(f"{place}.vars", f"the values splice each other to more than {EXECUTION_BYTES_MAX} bytes")]
    if found:
        problems.extend(found)
        return []
    input_names, output_names = tuple(sorted(spec.inputs)), tuple(sorted(spec.outputs))
    paths = _spliced_paths(command)
    is_large = execution_bytes_most(spec, command) > EXECUTION_BYTES_MAX
    flat = []
    for name, values in _elements(spec, command):
        try:
            resolved = _resolve(values)
            inputs = tuple(_key(spec.inputs[n], resolved, f"{place}.inputs.{n}", found) for n in input_names)
            outputs = tuple(_key(spec.outputs[n], resolved, f"{place}.outputs.{n}", found) for n in output_names)
        except Unspliceable as refusal:
            found.append(Problem(f"{place}.vars", str(refusal)))
            break
        found += _path_problems(paths, resolved, f"{place}.vars")
        if is_large and execution_bytes(command, resolved, (*inputs, *outputs)) > EXECUTION_BYTES_MAX:
            message = f"Step and Command together take more than {EXECUTION_BYTES_MAX} bytes once vars are spliced"
            found.append(Problem(place, f"{message}; put large texts into a file"))
        if len(name) > NAME_LENGTH_MAX:
            found.append(Problem(f"{place}.vars", f"the name {name[:40]}… is longer than {NAME_LENGTH_MAX} characters"))
        if found:
            break
        flat.append(FlatStep(name, spec, resolved, input_names, inputs, output_names, outputs))
    problems.extend(found)
    return [] if found else flat


def suggestion(name: str, known: Mapping[str, object]) -> str:
    """Return "; did you mean 'x'?" for the nearest known name, or nothing."""
    if len(known) > SUGGESTED_AMONG_MAX:
        return ""
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _interface_problems(spec: StepSpec, command: Command, place: str) -> Iterator[Problem]:
    """Compare the Step's inputs and outputs with the Command's."""
    for kind, given, known in (("input", spec.inputs, command.inputs), ("output", spec.outputs, command.outputs)):
        for name in given:
            if name not in known:
                message = f"Command {command.name!r} has no {kind} {name!r}{suggestion(name, known)}"
                yield Problem(f"{place}.{kind}s.{name}", message)
    for name in command.inputs:
        if name not in spec.inputs:
            yield Problem(f"{place}.inputs.{name}", f"input {name!r} of Command {command.name!r} is not given")


def _var_problems(spec: StepSpec, command: Command, place: str) -> Iterator[Problem]:
    """Check names of vars, empty arrays, and that everything the Command and the Keys splice is defined."""
    defined = {*command.vars, *spec.vars}
    for name, value in spec.vars.items():
        if name in command.inputs or name in command.outputs:
            yield Problem(f"{place}.vars.{name}", f"{name!r} is both a var and an input or output of {command.name!r}")
        if value == ():
            yield Problem(f"{place}.vars.{name}", "an empty array makes no Step at all")
    count = prod(len(value) for value in spec.vars.values() if isinstance(value, tuple))
    if count > SWEEP_STEPS_MAX:
        yield Problem(f"{place}.vars", f"the arrays make {count} Steps; a sweep may make {SWEEP_STEPS_MAX}")
    texts = [("vars", text) for value in spec.vars.values() for text in _texts(value)]
    texts += [("vars", scalar_text(value)) for name, value in command.vars.items() if name not in spec.vars]
    texts += [(f"inputs.{name}", key) for name, key in spec.inputs.items()]
    texts += [(f"outputs.{name}", key) for name, key in spec.outputs.items()]
    for where, text in texts:
        yield from _undefined(text, defined, f"{place}.{where}", "")
    inside = f" (spliced by Command {command.name!r})"
    for path in (*command.inputs.values(), *command.outputs.values(), command.stdout or "", command.workdir or ""):
        yield from _undefined(path, defined, f"{place}.vars", inside)
    for token in (*command.command, *command.entrypoint, *command.env.values()):
        yield from _undefined(token, {*defined, *command.inputs, *command.outputs}, f"{place}.vars", inside)


def _texts(value: Scalar | tuple[Scalar, ...]) -> list[str]:
    """Return the texts of a var's value or of all its elements."""
    return [scalar_text(one) for one in value] if isinstance(value, tuple) else [scalar_text(value)]


def _undefined(text: str, defined: set[str], place: str, inside: str) -> Iterator[Problem]:
    """Yield a Problem for each name that text splices and nothing defines."""
    try:
        for name in names_in(text):
            if name not in defined:
                yield Problem(place, f"nothing defines {{{{{name}}}}}{inside}")
    except Unspliceable as refusal:
        yield Problem(place, f"{refusal}{inside}")


def _elements(spec: StepSpec, command: Command) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield (name, raw texts of all vars) for each element of the product of the array vars, in order of var name."""
    fixed = {name: scalar_text(value) for name, value in command.vars.items()}
    fixed.update((name, scalar_text(value)) for name, value in spec.vars.items() if not isinstance(value, tuple))
    arrays = {name: spec.vars[name] for name in sorted(spec.vars) if isinstance(spec.vars[name], tuple)}
    for choice in product(*(_texts(values) for values in arrays.values())):
        suffix = [_NOT_IN_NAMES.sub("", text) for text in choice]
        yield "-".join((spec.name, *suffix)), {**fixed, **dict(zip(arrays, choice, strict=True))}


def _resolve(values: dict[str, str]) -> Mapping[str, str]:
    """Splice vars into the values of other vars, one pass."""
    if not any("{{" in value for value in values.values()):
        return values
    return {name: splice(value, values) for name, value in values.items()}


def _spliced_paths(command: Command) -> list[tuple[str, Callable[[str], str | None]]]:
    """Return the internal paths of a Command that splice vars, with the check that each has to pass then."""
    paths: list[tuple[str | None, Callable[[str], str | None]]] = [
        *((path, path_problem) for path in command.inputs.values()),
        *((path, output_path_problem) for path in command.outputs.values()),
        (command.stdout, file_path_problem),
        (command.workdir, workdir_problem),
    ]
    return [(path, check) for path, check in paths if path is not None and "{{" in path]


def _path_problems(
    paths: list[tuple[str, Callable[[str], str | None]]], values: Mapping[str, str], place: str
) -> Iterator[Problem]:
    """Yield what splicing made wrong with internal paths."""
    for path, check in paths:
        problem = check(splice(path, values))
        if problem:
            yield Problem(place, f"the internal path {path!r}: {problem}")


def _key(text: str, values: Mapping[str, str], place: str, problems: list[Problem]) -> str:
    """Return a spliced Key, adding what is wrong with it."""
    key = splice(text, values)
    problem = key_problem(key)
    if problem:
        problems.append(Problem(place, problem))
    return key
