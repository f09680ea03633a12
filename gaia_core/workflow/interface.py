"""Whether a Step fits the Command it uses: its inputs, outputs and vars. Without expanding anything.

Called by expansion for Steps of workflows, and by `composite` for inner Steps.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from difflib import get_close_matches
from typing import Final

from gaia_core.errors import Problem
from gaia_core.workflow.model import Command, Scalar, StepSpec
from gaia_core.workflow.splice import Unspliceable, names_in, scalar_text
from gaia_core.workflow.unknown import UNKNOWN, UNKNOWN_VALUE

SUGGESTED_AMONG_MAX: Final = 1_000
"""Looking for the nearest of more names than this would hold up everything else."""

SUGGESTED_FOR_MAX: Final = 255
"""No name is longer, and comparing takes the longer the longer it is."""


def suggestion(name: str, known: Mapping[str, object]) -> str:
    """Return "; did you mean 'x'?" for the nearest known name, or nothing."""
    if len(known) > SUGGESTED_AMONG_MAX or len(name) > SUGGESTED_FOR_MAX:
        return ""
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def all_of(name: str, known: Mapping[str, object]) -> str:
    """Return what `suggestion` does, followed by all known names, for those that are few."""
    near = suggestion(name, known)
    return f"{near} There are: {', '.join(known)}" if near else f"; there are: {', '.join(known)}"


def interface_problems(spec: StepSpec, command: Command, place: str) -> Iterator[Problem]:
    """Compare the Step's inputs and outputs with the Command's, as far as they are understood."""
    for kind, given, known in (("input", spec.inputs, command.inputs), ("output", spec.outputs, command.outputs)):
        for name in given:
            if name not in known and name != UNKNOWN and UNKNOWN not in known:
                message = f"Command {command.name!r} has no {kind} {name!r}{suggestion(name, known)}"
                yield Problem(f"{place}.{kind}s.{name}", message)
    for name in command.inputs:
        if name not in spec.inputs and name != UNKNOWN and UNKNOWN not in spec.inputs:
            yield Problem(f"{place}.inputs.{name}", f"input {name!r} of Command {command.name!r} is not given")


def var_problems(spec: StepSpec, command: Command, place: str, outer: Collection[str] = ()) -> Iterator[Problem]:
    """Check names of vars, empty arrays, and that everything the Command and the Keys splice is defined.

    Args:
        spec: the Step.
        command: the Command it uses.
        place: of the Step.
        outer: vars of the composite that the Step lies in; its values and Keys may splice them, its Command may not.
    """
    own = {*command.vars, *spec.vars}
    defined = {*own, *outer}
    for name, value in spec.vars.items():
        if name != UNKNOWN and (name in command.inputs or name in command.outputs):
            yield Problem(f"{place}.vars.{name}", f"{name!r} is both a var and an input or output of {command.name!r}")
        if value == ():
            yield Problem(f"{place}.vars.{name}", "an empty array makes no Step at all")
    for name in command.var_names:
        if name not in spec.vars and name != UNKNOWN and UNKNOWN not in spec.vars:
            yield Problem(f"{place}.vars.{name}", f"var {name!r} of Command {command.name!r} is not given")
    texts = [("vars", text) for value in spec.vars.values() for text in texts_of(value)]
    texts += [
        ("vars", text) for name, value in command.vars.items() if name not in spec.vars for text in texts_of(value)
    ]
    texts += [(f"inputs.{name}", key) for name, key in spec.inputs.items()]
    texts += [(f"outputs.{name}", key) for name, key in spec.outputs.items()]
    for where, text in texts:
        if "{{" in text:
            yield from _undefined(text, defined, f"{place}.{where}")
    if not command.steps and not (command.texts.in_paths <= own and command.texts.in_tokens <= own):
        yield from _undefined_in_command(command, own, place)


def texts_of(value: Scalar | tuple[Scalar, ...]) -> list[str]:
    """Return the texts of a var's value or of all its elements, as far as they are understood."""
    values = value if isinstance(value, tuple) else (value,)
    return [scalar_text(one) for one in values if one is not UNKNOWN_VALUE]


def _undefined_in_command(command: Command, defined: set[str], place: str) -> Iterator[Problem]:
    """Yield a Problem for each name that a Command splices and nothing defines; what is no name is its own problem."""
    inside = f" (spliced by Command {command.name!r})"
    paths = (*command.inputs.values(), *command.outputs.values(), command.stdout or "", command.workdir or "")
    tokens = (*command.command, *command.entrypoint, *command.env.values())
    for texts, known in ((paths, defined), (tokens, {*defined, *command.inputs, *command.outputs})):
        for text in texts:
            with suppress(Unspliceable):
                yield from _unknown_names(text, known, f"{place}.vars", inside)


def _undefined(text: str, defined: set[str], place: str) -> Iterator[Problem]:
    """Yield a Problem for each name that a text of a Step splices and nothing defines."""
    try:
        yield from _unknown_names(text, defined, place, "")
    except Unspliceable as refusal:
        yield Problem(place, str(refusal))


def _unknown_names(text: str, defined: set[str], place: str, inside: str) -> Iterator[Problem]:
    for name in names_in(text):
        if name not in defined and UNKNOWN not in defined:
            yield Problem(place, f"nothing defines {{{{{name}}}}}{inside}")
