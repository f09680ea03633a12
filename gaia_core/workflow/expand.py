"""From a Step as written to the Steps it stands for: vars resolved, arrays multiplied out, composites taken apart.

Pure and deterministic, because the journal keeps specs only and every replay expands them again. Called by validation
(which wants every Problem) and by `WorkflowState.apply` (where there are none left).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from gaia_core.errors import Problem
from gaia_core.workflow.bindings import Bindings
from gaia_core.workflow.composite import count_steps, writes_tree
from gaia_core.workflow.elements import count_elements, elements_of
from gaia_core.workflow.flat import FlatStep
from gaia_core.workflow.interface import interface_problems, var_problems
from gaia_core.workflow.keys import key_problem
from gaia_core.workflow.model import Command, StepSpec
from gaia_core.workflow.size import EXECUTION_BYTES_MAX, execution_bytes, value_length_most
from gaia_core.workflow.splice import splice
from gaia_core.workflow.unknown import UNKNOWN
from gaia_core.workflow.uses import Element, Scope, Shape, Use

NAME_LENGTH_MAX: Final = 255

PROBLEMS_OF_A_SPEC_MAX: Final = 100
"""What is wrong with more of its elements is told when these are mended; nobody reads more."""

SWEEP_STEPS_MAX: Final = 1_000_000
"""One sweep may make as many Steps as a whole workflow is built for; a server may be told another limit."""


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
        One Step per element of the product of its array vars, times the inner Steps of a composite; [] where it does
        not fit its Command. Where a Key is wrong it is UNKNOWN.
    """
    command = commands[spec.command]
    found = [*interface_problems(spec, command, place), *var_problems(spec, command, place)]
    if not found and (count := count_elements(spec) * count_steps(spec.command, commands)) > steps_max:
        found = [Problem(f"{place}.vars", f"makes {count} Steps; a sweep may make {steps_max}")]
    if found:
        problems.extend(found)
        return []
    return expand_fitting(spec, command, commands, place, problems)


def expand_fitting(
    spec: StepSpec, command: Command, commands: Mapping[str, Command], place: str, problems: list[Problem]
) -> list[FlatStep]:
    """Return the Steps that a spec stands for that fits its Command, as `expand` does."""
    work = _Expansion(commands)
    use = Use(spec, command, Scope(spec), place)
    if work.is_bounded(use):
        work.bind(use, work.elements(use))
    problems.extend(work.problems)
    return work.flat


@dataclass(slots=True)
class _Expansion:
    """One spec being expanded.

    Attributes:
        told: (place, what is wrong) of the problems so far: what is wrong with several elements is told once.
    """

    commands: Mapping[str, Command]
    flat: list[FlatStep] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    told: set[tuple[str, str]] = field(default_factory=set)

    def is_bounded(self, use: Use) -> bool:
        """Tell whether the values of a spec stay small when they splice each other; note where they do not."""
        is_bounded = value_length_most(use.spec, use.command, use.scope.values) <= EXECUTION_BYTES_MAX
        if not is_bounded:
            message = f"the values splice each other to more than {EXECUTION_BYTES_MAX} bytes"
            self._refuse(f"{use.place}.vars", message)
        return is_bounded

    def elements(self, use: Use) -> Iterator[Element]:
        """Yield the elements of a spec with what they write."""
        texts = [use.spec.outputs[name] for name in sorted(use.spec.outputs)]
        for name, values in elements_of(use.spec, use.command, use.scope.values):
            words = use.words(values)
            yield Element(name, values, tuple(splice(text, words) for text in texts))

    def bind(self, use: Use, elements: Iterable[Element]) -> None:
        """Add the Steps that elements make; in a composite, once every output of the scope is known."""
        shape = Shape.of(use)
        make = self._open if use.command.steps else self._add
        for element in elements:
            inputs = tuple(self._input(use, name, use.words(element.values)) for name in shape.input_names)
            outputs = tuple(map(partial(self._output, use), shape.output_names, element.outputs))
            make(use, element, inputs, outputs, shape)

    def _refuse(self, place: str, message: str, wrong: str = "") -> None:
        """Note a problem unless the same is `wrong` with another element."""
        key = (place, wrong or message)
        if key not in self.told and len(self.problems) < PROBLEMS_OF_A_SPEC_MAX:
            self.told.add(key)
            self.problems.append(Problem(place, message))

    def _output(self, use: Use, name: str, text: str) -> str:
        """Return the Key that an output is stored under."""
        if use.scope.bindings is None:
            return self._checked(text, f"{use.place}.outputs.{name}")
        return use.scope.bindings.written(text)

    def _input(self, use: Use, name: str, words: Mapping[str, str]) -> str:
        """Return the Key that an input is read from."""
        place = f"{use.place}.inputs.{name}"
        text = splice(use.spec.inputs[name], words)
        if use.scope.bindings is None:
            return self._checked(text, place)
        key, problem = use.scope.bindings.read(text)
        if problem:
            self._refuse(place, problem)
        return key

    def _checked(self, key: str, place: str) -> str:
        """Return a Key, having noted what is wrong with it."""
        problem = key_problem(key)
        if problem:
            self._refuse(place, problem, problem.replace(repr(key), ""))
        return UNKNOWN if problem else key

    def _add(self, use: Use, element: Element, inputs: tuple[str, ...], outputs: tuple[str, ...], shape: Shape) -> None:
        """Add one Step that runs a program."""
        command, scope, place = use.command, use.scope, use.place
        name = f"{scope.prefix}{element.name}"
        for path, problem in shape.path_problems(element.values):
            self._refuse(f"{place}.vars", f"the internal path {path!r}: {problem}", path)
        keys = (*inputs, *outputs)
        if shape.is_large and execution_bytes(command, element.values, keys) > EXECUTION_BYTES_MAX:
            message = f"Step and Command together take more than {EXECUTION_BYTES_MAX} bytes once vars are spliced"
            self._refuse(place, f"{message}; put large texts into a file")
        if len(name) > NAME_LENGTH_MAX:
            message = f"the name {name[:40]}… is longer than {NAME_LENGTH_MAX} characters"
            self._refuse(f"{place}.vars", message, "name")
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
                outputs=outputs,
            )
        )

    def _open(
        self, use: Use, element: Element, inputs: tuple[str, ...], outputs: tuple[str, ...], shape: Shape
    ) -> None:
        """Add the inner Steps of one composite Step: all outputs first, since any of them may be read by any Step."""
        command, scope = use.command, use.scope
        name = f"{scope.prefix}{element.name}"
        outer = dict(zip((*shape.input_names, *shape.output_names), (*inputs, *outputs), strict=True))
        bindings = Bindings(name, outer, shape.output_names)
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
            Use(inner, self.commands[inner.command], inner_scope, f"{use.place}.{command.name}.steps[{number}]")
            for number, inner in enumerate(command.steps)
        ]
        unbounded = [each for each in uses if not self.is_bounded(each)]
        if unbounded:
            return
        inner_elements = [(each, list(self.elements(each))) for each in uses]
        self._write(bindings, inner_elements)
        for output in shape.output_names:
            if not bindings.is_written(output):
                self._refuse(f"{use.place}.outputs.{output}", f"no inner Step of {command.name!r} writes {output!r}")
        for inner_use, elements in inner_elements:
            self.bind(inner_use, elements)

    def _write(self, bindings: Bindings, inner: Sequence[tuple[Use, list[Element]]]) -> None:
        """Tell the bindings of a composite Step all that its inner Steps read and write."""
        bindings.foresee(
            {text for _, elements in inner for element in elements for text in element.outputs},
            {tree for use, elements in inner for tree in _trees_read(use, elements)},
        )
        for use, elements in inner:
            names = sorted(use.spec.outputs)
            are_trees = [writes_tree(use.command, name, self.commands) for name in names]
            for element in elements:
                for name, is_tree, text in zip(names, are_trees, element.outputs, strict=True):
                    problem = bindings.write(text, element.name, name, is_tree)
                    if problem:
                        self._refuse(f"{use.place}.outputs.{name}", problem)


def _trees_read(use: Use, elements: Iterable[Element]) -> Iterator[str]:
    """Yield the trees that elements read by that name."""
    texts = [text for text in use.spec.inputs.values() if text.endswith(("/", "}}"))]
    for element in elements if texts else ():
        words = use.words(element.values)
        yield from (name for text in texts if (name := splice(text, words)).endswith("/"))
