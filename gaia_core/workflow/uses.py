"""A Step as written, where it is expanded: in a workflow or in a composite Step, and what all its elements share.

Called by expansion.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

from gaia_core.workflow.bindings import Bindings
from gaia_core.workflow.form.paths import file_path_problem, input_path_problem, output_path_problem, workdir_problem
from gaia_core.workflow.form.texts import TextCheck
from gaia_core.workflow.model import EMPTY, NO_OPTIONS, Command, Options, StepSpec
from gaia_core.workflow.size import EXECUTION_BYTES_MAX, execution_bytes_most
from gaia_core.workflow.splice import splice

SHARED_MOST: Final = 10_000


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
    """One element of a sweep (or the only one): its name within the scope, its values, what its outputs are called.

    Attributes:
        outputs: as they are written: Keys, or names within the composite.
    """

    name: str
    values: Mapping[str, str]
    outputs: tuple[str, ...]


class Use(NamedTuple):
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


class Shape(NamedTuple):
    """What all elements of a spec share."""

    commands: tuple[str, ...]
    options: Options
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    paths: list[tuple[str, TextCheck]]
    is_large: bool

    @classmethod
    def of(cls, use: Use) -> "Shape":
        """Return what all elements of one use share."""
        spec, command, scope, _ = use
        return cls(
            _shared((*scope.commands, command.name)),
            scope.options.over(spec.options).over(scope.defaults),
            _shared(tuple(sorted(spec.inputs))),
            _shared(tuple(sorted(spec.outputs))),
            _spliced_paths(command),
            execution_bytes_most(spec, command, scope.values) > EXECUTION_BYTES_MAX,
        )

    def path_problems(self, values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Yield internal paths and what splicing makes wrong with them."""
        for path, check in self.paths:
            problem = check(splice(path, values))
            if problem:
                yield path, problem


def _spliced_paths(command: Command) -> list[tuple[str, TextCheck]]:
    """Return the internal paths of a Command that splice vars, with the check that each has to pass then."""
    if not command.texts.path_marks:
        return []
    paths: list[tuple[str | None, TextCheck]] = [
        *((path, input_path_problem) for path in command.inputs.values()),
        *((path, output_path_problem) for path in command.outputs.values()),
        (command.stdout, file_path_problem),
        (command.workdir, workdir_problem),
    ]
    return [(path, check) for path, check in paths if path is not None and "{{" in path]


@lru_cache(SHARED_MOST)
def _shared(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the same tuple for the same names: a workflow has a few Commands and may have a million specs."""
    return names
