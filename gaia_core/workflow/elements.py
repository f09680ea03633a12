"""The elements of a sweep: arrays multiplied out, vars spliced into each other, names made of the values.

Called by expansion, for Steps of workflows and of composites.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import product
from math import prod
from typing import Final

from gaia_core.workflow.interface import texts_of
from gaia_core.workflow.model import EMPTY, Command, StepSpec
from gaia_core.workflow.splice import scalar_text, splice

_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9-]")


def count_elements(spec: StepSpec) -> int:
    """Return how many elements the arrays of a spec make."""
    return prod(len(value) for value in spec.vars.values() if isinstance(value, tuple))


def elements_of(spec: StepSpec, command: Command, outer: Mapping[str, str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield (name, texts of all vars) for each element of the product of the array vars, in order of var name.

    Args:
        spec: a Step, whose values are all defined.
        command: the Command it uses; its vars are defaults.
        outer: values of the composite that the Step lies in.
    """
    if not spec.vars and not command.vars:
        yield spec.name, EMPTY
        return
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
        return values or EMPTY
    words = {**values, **outer}
    return {name: splice(value, words) for name, value in values.items()}
