"""One Step as users write it, of a workflow or of a composite. Called for each item of a list."""

from collections.abc import Sequence
from typing import Final

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
from gaia_core.workflow.model import Scalar, StepSpec, VarValue

STEP_FIELDS: Final = ("name", "command", "inputs", "outputs", "vars", *OPTION_FIELDS)
COMMAND_ONLY_FIELDS: Final = ("image", "stdout", "network", "env", "workdir", "entrypoint")

_STEP_FIELD_SET: Final = frozenset(STEP_FIELDS)
_OF_COMMANDS: Final = dict.fromkeys(COMMAND_ONLY_FIELDS, "is a field of Commands, not of Steps")


def read_step(form: Form) -> StepSpec:
    """Read one Step of a workflow; what is wrong with its Keys does not keep the rest of it from being understood."""
    step = _read(form, line_problem)
    for field_name, keys in (("inputs", step.inputs), ("outputs", step.outputs)):
        for name, key in keys.items():
            if isinstance(key, str) and (problem := written_key_problem(key)):
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
        command=form.text("command", name_problem) or "",
        inputs=form.texts("inputs", part_name_problem, key_check),
        outputs=form.texts("outputs", part_name_problem, key_check),
        vars=_vars(form),
        options=read_options(form),
    )


def _vars(form: Form) -> dict[str, VarValue]:
    """Read a Step's vars: scalars, and lists of scalars that make one Step per element."""
    found: dict[str, VarValue] = {}
    for name, value in form.entries("vars", part_name_problem, lambda _: None).items():
        if isinstance(value, list | tuple):
            found[name] = _sweep(form, name, value)
        elif problem := scalar_problem(value):
            form.problems.append(Problem(at(at(form.place, "vars"), name), problem))
        else:
            found[name] = number_kept(value)
    return found


def _sweep(form: Form, name: str, values: Sequence[object]) -> tuple[Scalar, ...]:
    place = at(at(form.place, "vars"), name)
    if not values:
        form.problems.append(Problem(place, "an empty list makes no Step; give it an element or leave the var out"))
    for index, value in enumerate(values):
        if problem := scalar_problem(value):
            form.problems.append(Problem(f"{place}[{index}]", problem))
    return tuple(number_kept(value) for value in values)
