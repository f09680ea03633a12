"""From a Step as written to the Steps it stands for: vars resolved, arrays multiplied out, composites taken apart.

Pure and deterministic, because the journal keeps specs only and every replay expands them again. Called by validation
(which wants every Problem) and by `WorkflowState.apply` (where there are none left).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Final, NamedTuple

from gaia_core.errors import Problem
from gaia_core.workflow.composite import Bindings, count_steps
from gaia_core.workflow.flat import FlatStep
from gaia_core.workflow.form.paths import file_path_problem, output_path_problem, path_problem, workdir_problem
from gaia_core.workflow.interface import interface_problems, texts_of, var_problems
from gaia_core.workflow.keys import key_problem
from gaia_core.workflow.model import EMPTY, NO_OPTIONS, Command, Options, StepSpec
from gaia_core.workflow.size import EXECUTION_BYTES_MAX, execution_bytes, execution_bytes_most, value_length_most
from gaia_core.workflow.splice import scalar_text, splice

NAME_LENGTH_MAX: Final = 255

SWEEP_STEPS_MAX: Final = 1_000_000
"""One sweep may make as many Steps as a whole workflow is built for; a server may be told another limit."""

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9-]")


@dataclass(frozen=True, slots=True)
class Scope:
    """What a Step is expanded in: the workflow, or one composite Step.

    Attributes:
        prefix: begins the names of its Steps: "" or "STEP:".
        values: values of the composite's vars.
        bindings: what names within the composite stand for; None in the workflow, where Keys are Keys.
        element: name of the outermost element; "" in the workflow.
        aliases: names that stand for all of its Steps.
        commands: names of the composite Commands around it, the outermost first.
        options: given by the Steps around it; they win over those of its Steps.
        defaults: given by the composite Commands around it; those of its Steps win.
    """

    spec: StepSpec
    prefix: str = ""
    values: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    bindings: Bindings | None = None
    element: str = ""
    aliases: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    options: Options = NO_OPTIONS
    defaults: Options = NO_OPTIONS


class Element(NamedTuple):
    """One element of a sweep (or the only one): its name within the scope, its values, the Keys of its outputs."""

    name: str
    values: Mapping[str, str]
    outputs: tuple[str, ...]


class _Use(NamedTuple):
    """One Step as written, with the Command it uses and the scope it lies in."""

    spec: StepSpec
    command: Command
    scope: Scope
    place: str

    def words(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """Return what the Keys of an element may splice: its own values, then those of the composite around it."""
        return {**self.scope.values, **values} if self.scope.values else values

    def aliases_of(self, name: str) -> tuple[str, ...]:
        """Return the names beside its own that stand for a Step made here."""
        written = f"{self.scope.prefix}{self.spec.name}"
        return self.scope.aliases if written == name else (*self.scope.aliases, written)


def expand(
    spec: StepSpec,
    commands: Mapping[str, Command],
    place: str,
    problems: list[Problem],
    steps_max: int = SWEEP_STEPS_MAX,
) -> list[FlatStep]:
    """Return the Steps that spec stands for, adding what is wrong with it to problems.

    Args:
        spec: a Step whose Command is known.
        commands: all Commands, by name; composites among them were found to be sound.
        place: path of the spec in the request, for the problems.
        problems: grows.
        steps_max: how many Steps a spec may stand for.

    Returns:
        One Step per element of the product of its array vars, times the inner Steps of a composite; [] where there
        were problems.
    """
    command = commands[spec.command]
    found = [*interface_problems(spec, command, place), *var_problems(spec, command, place)]
    if not found and (count := _elements_of(spec) * count_steps(spec.command, commands)) > steps_max:
        found = [Problem(f"{place}.vars", f"makes {count} Steps; a sweep may make {steps_max}")]
    if found:
        problems.extend(found)
        return []
    work = _Expansion(commands)
    use = _Use(spec, command, Scope(spec), place)
    work.bind(use, work.elements(use))
    problems.extend(work.problems)
    return [] if work.problems else work.flat


def _elements_of(spec: StepSpec) -> int:
    """Return how many elements the arrays of a spec make."""
    return prod(len(value) for value in spec.vars.values() if isinstance(value, tuple))


@dataclass(slots=True)
class _Expansion:
    """One spec being expanded; stops at the first element with a problem, since the others have the same."""

    commands: Mapping[str, Command]
    flat: list[FlatStep] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def elements(self, use: _Use) -> list[Element]:
        """Return the elements of a spec with the Keys they write."""
        spec, command, scope, place = use
        if value_length_most(spec, command, scope.values) > EXECUTION_BYTES_MAX:
            self._refuse(f"{place}.vars", f"the values splice each other to more than {EXECUTION_BYTES_MAX} bytes")
            return []
        names = sorted(spec.outputs)
        found: list[Element] = []
        for name, values in _values(spec, command, scope.values):
            words = use.words(values)
            found.append(Element(name, values, tuple(self._output(use, name, one, words) for one in names)))
            if self.problems:
                break
        return found

    def bind(self, use: _Use, elements: list[Element]) -> None:
        """Give elements their inputs, once every output of the scope is known, and add the Steps they make."""
        spec, command, scope, _ = use
        shape = _Shape(
            (*scope.commands, command.name),
            scope.options.over(spec.options).over(scope.defaults),
            tuple(sorted(spec.inputs)),
            tuple(sorted(spec.outputs)),
            _spliced_paths(command),
            execution_bytes_most(spec, command, scope.values) > EXECUTION_BYTES_MAX,
        )
        for element in elements:
            if self.problems:
                return
            inputs = tuple(self._input(use, name, use.words(element.values)) for name in shape.input_names)
            if command.steps:
                self._open(use, element, inputs, shape)
            else:
                self._add(use, element, inputs, shape)

    def _refuse(self, place: str, message: str) -> None:
        self.problems.append(Problem(place, message))

    def _output(self, use: _Use, name: str, output: str, words: Mapping[str, str]) -> str:
        """Return the Key that an output is stored under."""
        place = f"{use.place}.outputs.{output}"
        text = splice(use.spec.outputs[output], words)
        if use.scope.bindings is None:
            return self._checked(text, place)
        is_tree = text.endswith("/") or self._is_tree(use.command, output)
        key, problem = use.scope.bindings.write(text, name, output, is_tree)
        if problem:
            self._refuse(place, problem)
        return key

    def _input(self, use: _Use, name: str, words: Mapping[str, str]) -> str:
        """Return the Key that an input is read from."""
        place = f"{use.place}.inputs.{name}"
        text = splice(use.spec.inputs[name], words)
        if use.scope.bindings is None:
            return self._checked(text, place)
        key = use.scope.bindings.read(text)
        if key is None:
            self._refuse(place, f"{text!r} is neither an input of the composite nor written by one of its Steps")
        return key or ""

    def _checked(self, key: str, place: str) -> str:
        """Return a Key, having noted what is wrong with it."""
        problem = key_problem(key)
        if problem:
            self._refuse(place, problem)
        return key

    def _is_tree(self, command: Command, output: str) -> bool:
        """Tell whether a Command writes a directory as this output."""
        if not command.steps:
            return command.outputs.get(output, "").endswith("/")
        return any(
            local == output and self._is_tree(self.commands[inner.command], name)
            for inner in command.steps
            for name, local in inner.outputs.items()
        )

    def _add(self, use: _Use, element: Element, inputs: tuple[str, ...], shape: "_Shape") -> None:
        """Add one Step that runs a program."""
        command, scope, place = use.command, use.scope, use.place
        name = f"{scope.prefix}{element.name}"
        self.problems += _path_problems(shape.paths, element.values, f"{place}.vars")
        keys = (*inputs, *element.outputs)
        if shape.is_large and execution_bytes(command, element.values, keys) > EXECUTION_BYTES_MAX:
            message = f"Step and Command together take more than {EXECUTION_BYTES_MAX} bytes once vars are spliced"
            self._refuse(place, f"{message}; put large texts into a file")
        if len(name) > NAME_LENGTH_MAX:
            self._refuse(f"{place}.vars", f"the name {name[:40]}… is longer than {NAME_LENGTH_MAX} characters")
        self.flat.append(
            FlatStep(
                name=name,
                spec=scope.spec,
                element=scope.element or name,
                aliases=use.aliases_of(name),
                commands=shape.commands,
                options=shape.options,
                values=element.values,
                input_names=shape.input_names,
                inputs=inputs,
                output_names=shape.output_names,
                outputs=element.outputs,
            )
        )

    def _open(self, use: _Use, element: Element, inputs: tuple[str, ...], shape: "_Shape") -> None:
        """Add the inner Steps of one composite Step: all outputs first, since any of them may be read by any Step."""
        command, scope = use.command, use.scope
        name = f"{scope.prefix}{element.name}"
        outer = dict(zip((*shape.input_names, *shape.output_names), (*inputs, *element.outputs), strict=True))
        bindings = Bindings(name, outer)
        inner_scope = Scope(
            spec=scope.spec,
            prefix=f"{name}:",
            values=element.values,
            bindings=bindings,
            element=scope.element or name,
            aliases=tuple(dict.fromkeys((*use.aliases_of(""), name))),
            commands=shape.commands,
            options=scope.options.over(use.spec.options),
            defaults=command.options.over(scope.defaults),
        )
        uses = [
            _Use(inner, self.commands[inner.command], inner_scope, f"{use.place}.{command.name}.steps[{number}]")
            for number, inner in enumerate(command.steps)
        ]
        inner_elements = [(each, self.elements(each)) for each in uses]
        unmade = [output for output in shape.output_names if not bindings.is_written(output)]
        if unmade and not self.problems:
            self._refuse(f"{use.place}.outputs.{unmade[0]}", f"no inner Step of {command.name!r} writes {unmade[0]!r}")
        for inner_use, elements in inner_elements:
            self.bind(inner_use, elements)


class _Shape(NamedTuple):
    """What all elements of a spec share."""

    commands: tuple[str, ...]
    options: Options
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    paths: "list[tuple[str, Callable[[str], str | None]]]"
    is_large: bool


def _values(spec: StepSpec, command: Command, outer: Mapping[str, str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield (name, texts of all vars) for each element of the product of the array vars, in order of var name."""
    fixed = {name: scalar_text(value) for name, value in command.vars.items()}
    fixed.update((name, scalar_text(value)) for name, value in spec.vars.items() if not isinstance(value, tuple))
    arrays = {name: texts_of(spec.vars[name]) for name in sorted(spec.vars) if isinstance(spec.vars[name], tuple)}
    for choice in product(*arrays.values()):
        values = _resolve({**fixed, **dict(zip(arrays, choice, strict=True))}, outer)
        suffix = [_NOT_IN_NAMES.sub("", values[name]) for name in arrays]
        yield "-".join((spec.name, *suffix)), values


def _resolve(values: dict[str, str], outer: Mapping[str, str]) -> Mapping[str, str]:
    """Splice vars into the values of other vars, one pass; a composite's vars come before those beside a value.

    So an inner Step may hand a var on under its own name: `vars: {N: "{{N}}"}`.
    """
    if not any("{{" in value for value in values.values()):
        return values
    words = {**values, **outer}
    return {name: splice(value, words) for name, value in values.items()}


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
