"""One Command as users write it: a program in an image, or a composite of Steps. Called for each item of a list."""

from typing import Final

from gaia_core.workflow.form.fields import Form
from gaia_core.workflow.form.items import read_list
from gaia_core.workflow.form.options import OPTION_FIELDS, read_options
from gaia_core.workflow.form.paths import (
    file_path_problem,
    input_path_problem,
    output_path_problem,
    secret_place_problem,
    workdir_problem,
)
from gaia_core.workflow.form.steps import read_inner_step
from gaia_core.workflow.form.texts import (
    image_problem,
    name_problem,
    part_name_problem,
    secret_name_problem,
    token_problem,
    variable_problem,
)
from gaia_core.workflow.form.values import number_kept, scalar_problem
from gaia_core.workflow.form.wording import at
from gaia_core.workflow.model import STDOUT_BOTH, Command, Scalar
from gaia_core.workflow.unknown import UNKNOWN_STEP, UNKNOWN_VALUE

COMMAND_FIELDS: Final = (
    *("name", "image", "command", "inputs", "outputs", "vars", "stdout"),
    *(*OPTION_FIELDS, "network", "env", "secrets", "workdir", "entrypoint", "reuse"),
)
KEEP: Final = "keep"
"""The entrypoint of a Command that wants the image's own."""

COMPOSITE_FIELDS: Final = ("name", "steps", "inputs", "outputs", "vars", *OPTION_FIELDS)

_OF_LEAVES: Final = {
    name: "is a field of Commands that run a program; this one has steps"
    for name in COMMAND_FIELDS
    if name not in COMPOSITE_FIELDS
}


def read_command(form: Form) -> Command:
    """Read one Command; a composite one has `steps` and no image."""
    return _composite(form) if "steps" in form.values else _leaf(form)


def _leaf(form: Form) -> Command:
    """Read a Command that runs a program."""
    form.only(COMMAND_FIELDS, {})
    keeps_entrypoint = form.values.get("entrypoint") == KEEP
    form.need("name", "image", *(() if keeps_entrypoint else ("command",)))
    return Command(
        name=form.text("name", name_problem) or "",
        image=form.text("image", image_problem) or "",
        command=form.tokens("command"),
        inputs=form.texts("inputs", part_name_problem, input_path_problem),
        outputs=_outputs(form),
        vars=_defaults(form),
        stdout=form.text("stdout", file_path_problem),
        options=read_options(form),
        network=form.flag("network") or False,
        env=form.texts("env", variable_problem, token_problem),
        secrets=form.texts("secrets", secret_place_problem, secret_name_problem),
        workdir=form.text("workdir", workdir_problem),
        entrypoint=() if keeps_entrypoint else form.tokens("entrypoint", f", or {KEEP!r} for the image's own"),
        keeps_entrypoint=keeps_entrypoint,
        reuse=form.flag("reuse") or False,
    )


def _composite(form: Form) -> Command:
    """Read a Command made of inner Steps."""
    form.only(COMPOSITE_FIELDS, _OF_LEAVES)
    form.need("name")
    place = at(form.place, "steps")
    inner = read_list(form.values["steps"], place, read_inner_step, UNKNOWN_STEP)
    form.problems += inner.problems
    if form.values["steps"] == []:
        form.refuse("steps", "needs at least one Step")
    has_names = isinstance(form.values.get("vars"), list | tuple)
    return Command(
        name=form.text("name", name_problem) or "",
        inputs=dict.fromkeys(form.names("inputs"), ""),
        outputs=dict.fromkeys(form.names("outputs"), ""),
        vars={} if has_names else _defaults(form),
        options=read_options(form),
        steps=tuple(inner.items),
        var_names=form.names("vars") if has_names else (),
    )


def _outputs(form: Form) -> dict[str, str]:
    """Read a Command's outputs; STDOUT is another word for ">"."""
    outputs = form.texts("outputs", part_name_problem, output_path_problem)
    return {name: STDOUT_BOTH if path == "STDOUT" else path for name, path in outputs.items()}


def _defaults(form: Form) -> dict[str, Scalar]:
    """Read the values that vars have unless a Step gives others."""
    defaults = form.entries("vars", part_name_problem, scalar_problem, UNKNOWN_VALUE)
    return {name: number_kept(value) for name, value in defaults.items()}
