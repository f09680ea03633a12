"""One Step as users write it, of a workflow or of a composite. Called for each item of a list."""

from collections.abc import Sequence
from sys import intern
from typing import Any, Final

from gaia_core.errors import Problem
from gaia_core.workflow.form.fields import Form
from gaia_core.workflow.form.options import OPTION_FIELDS, read_options
from gaia_core.workflow.form.texts import (
    TextCheck,
    line_problem,
    local_name_problem,
    name_problem,
    part_name_problem,
    step_name_problem,
    written_key_problem,
)
from gaia_core.workflow.form.values import number_kept, scalar_problem
from gaia_core.workflow.form.wording import at
from gaia_core.workflow.model import EMPTY, StepSpec, VarValue
from gaia_core.workflow.unknown import UNKNOWN, UNKNOWN_VALUE

STEP_FIELDS: Final = ("name", "command", "inputs", "outputs", "vars", *OPTION_FIELDS)
COMMAND_ONLY_FIELDS: Final = ("image", "stdout", "network", "env", "secrets", "workdir", "entrypoint", "reuse")

_STEP_FIELD_SET: Final = frozenset(STEP_FIELDS)
_OF_COMMANDS: Final = dict.fromkeys(COMMAND_ONLY_FIELDS, "is a field of Commands, not of Steps")


def read_step(form: Form) -> StepSpec:
    """Read one Step of a workflow; what is wrong with its Keys does not keep the rest of it from being understood."""
    step = _read(form, line_problem)
    for field_name, keys in (("inputs", step.inputs), ("outputs", step.outputs)):
        for name, key in keys.items():
            if problem := written_key_problem(key):
                form.remarks.append(Problem(at(at(form.place, field_name), name), problem))
    return step


def read_inner_step(form: Form) -> StepSpec:
    """Read one Step of a composite; its Keys are names within the composite."""
    return _read(form, local_name_problem)


def _read(form: Form, key_check: TextCheck) -> StepSpec:
    """Read one Step."""
    if form.values.keys() - _STEP_FIELD_SET:
        form.only(STEP_FIELDS, _OF_COMMANDS)
    form.need("name", "command")
    return StepSpec(
        name=form.text("name", step_name_problem) or "",
        command=intern(form.text("command", name_problem) or ""),
        inputs=form.texts("inputs", part_name_problem, key_check) or EMPTY,
        outputs=form.texts("outputs", part_name_problem, key_check) or EMPTY,
        vars=_vars(form) or EMPTY,
        options=read_options(form),
    )


def _vars(form: Form) -> dict[str, VarValue]:
    """Read a Step's vars: scalars, and lists of scalars that make one Step per element."""
    place = at(form.place, "vars")
    found = form.entries("vars", part_name_problem, lambda _: None, UNKNOWN_VALUE)
    for name, value in found.items():
        if isinstance(value, list | tuple):
            found[name] = _sweep(form, at(place, name), value)
        elif name != UNKNOWN:
            found[name] = _scalar(form, at(place, name), value)
    return found


def _scalar(form: Form, place: str, value: object) -> Any:
    problem = scalar_problem(value)
    if problem:
        form.problems.append(Problem(place, problem))
    return UNKNOWN_VALUE if problem else number_kept(value)


def _sweep(form: Form, place: str, values: Sequence[object]) -> Any:
    if not values:
        form.problems.append(Problem(place, "an empty list makes no Step; give it an element or leave the var out"))
        return UNKNOWN_VALUE
    return tuple(_scalar(form, f"{place}[{index}]", value) for index, value in enumerate(values))
