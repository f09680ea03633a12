"""Commands and Steps back to plain values, as users write them; what is not given is left out."""

from typing import Any

from gaia_core.workflow.form.commands import KEEP
from gaia_core.workflow.form.values import number_kept
from gaia_core.workflow.model import Command, Options, Resources, Scalar, StepSpec


def command_to_plain(command: Command) -> dict[str, Any]:
    """Return a Command as users write it; what is not given is left out."""
    if command.steps:
        return _composite_to_plain(command)
    return _given(
        name=command.name,
        image=command.image,
        command=list(command.command),
        inputs=dict(command.inputs),
        outputs=dict(command.outputs),
        vars=dict(command.vars),
        stdout=command.stdout,
        **_options_to_plain(command.options),
        network=command.network or None,
        env=dict(command.env),
        secrets=dict(command.secrets),
        workdir=command.workdir,
        entrypoint=KEEP if command.keeps_entrypoint else list(command.entrypoint),
        reuse=command.reuse or None,
    )


def _composite_to_plain(command: Command) -> dict[str, Any]:
    """Return a composite Command as users write it: names of inputs, outputs and vars as lists, defaults as a map."""
    plain = _given(
        name=command.name,
        inputs=list(command.inputs),
        outputs=list(command.outputs),
        vars=dict(command.vars) if not command.var_names else list(command.var_names),
        **_options_to_plain(command.options),
    )
    return {**plain, "steps": [step_to_plain(step) for step in command.steps]}


def step_to_plain(step: StepSpec) -> dict[str, Any]:
    """Return a Step as users write it; what is not given is left out."""
    return _given(
        name=step.name,
        command=step.command,
        inputs=dict(step.inputs),
        outputs=dict(step.outputs),
        vars={name: list(value) if isinstance(value, tuple) else value for name, value in step.vars.items()},
        **_options_to_plain(step.options),
    )


def _options_to_plain(options: Options) -> dict[str, Any]:
    resources = options.resources or Resources()
    demands = _given(cpus=_number(resources.cpus), memory=resources.memory_bytes, gpus=resources.gpus)
    return {
        "timeout": _number(options.timeout_s),
        "queue_timeout": _number(options.queue_timeout_s),
        "retries": options.retries,
        "resources": demands,
        "pool": options.pool,
        "priority": options.priority,
        "keep": options.keep,
    }


def _number(value: float | None) -> Scalar | None:
    return None if value is None else number_kept(value)


def _given(**fields: Any) -> dict[str, Any]:
    """Return the fields that are given: no None, no empty map, list or text."""
    return {name: value for name, value in fields.items() if value is not None and value not in ({}, [], "")}
