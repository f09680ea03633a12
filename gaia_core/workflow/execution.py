"""From a Step to the Execution that a worker carries out: tokens spliced, inputs pinned to published versions."""

from collections.abc import Iterable
from typing import Final

from gaia_core.workflow.model import (
    STDOUT_BOTH,
    TIMEOUT_S_DEFAULT,
    Execution,
    Fence,
    FileVersion,
    Input,
    Output,
    Resources,
)
from gaia_core.workflow.sources import sources
from gaia_core.workflow.splice import splice
from gaia_core.workflow.state import Step, WorkflowState

INLINE_BYTES_MAX: Final = 128 * 1024
"""Lists of input files that take more do not travel with the dispatch; a record holds 512 KiB."""

_FILE_BYTES: Final = 64
"""What a file takes beside its Key and version: digest, size, tags."""


def execution_of(workflow: WorkflowState, step: Step, term: int) -> Execution:
    """Return everything a worker needs for the Step's latest attempt.

    Args:
        term: the leader's time in office, for the fence.
    """
    command = workflow.commands[step.command]
    options = step.options.over(command.options)
    values = step.values
    inputs = {name: splice(path, values) for name, path in command.inputs.items()}
    outputs = {name: splice(path, values) for name, path in command.outputs.items()}
    words = {**values, **inputs, **outputs}
    staged = pinned_inputs(workflow, step)
    by_rpc = _listed_bytes(staged) > INLINE_BYTES_MAX
    return Execution(
        fence=Fence(workflow.uid, step.index, step.attempt, term),
        workflow=workflow.name,
        step=step.name,
        command=command.name,
        image=command.image,
        argv=tuple(splice(token, words) for token in command.command),
        inputs=tuple(Input(one.name, one.key, one.path) for one in staged) if by_rpc else staged,
        outputs=tuple(
            Output(name, key.name, _capture(outputs[name]))
            for name, key in zip(step.output_names, step.outputs, strict=True)
        ),
        stdout=splice(command.stdout or "", values),
        timeout_s=options.timeout_s or TIMEOUT_S_DEFAULT,
        network=command.network,
        env={name: splice(value, words) for name, value in command.env.items()},
        workdir=splice(command.workdir or "", values),
        entrypoint=tuple(splice(token, words) for token in command.entrypoint),
        resources=options.resources or Resources(),
        keep=options.keep or "",
        inputs_by_rpc=by_rpc,
        secrets=command.secrets,
        keeps_entrypoint=command.keeps_entrypoint,
        reuse=command.reuse,
    )


def pinned_inputs(workflow: WorkflowState, step: Step) -> tuple[Input, ...]:
    """Return a Step's inputs with the published versions that they are made of."""
    paths = workflow.commands[step.command].inputs
    return tuple(
        Input(name, key.name, splice(paths[name], step.values), tuple(sources(workflow.graph, key)))
        for name, key in zip(step.input_names, step.inputs, strict=True)
    )


def _listed_bytes(inputs: tuple[Input, ...]) -> int:
    """Return about how many bytes the lists of input files take in a message."""
    return listed_bytes(file for one in inputs for source in one.sources for file in source.files)


def listed_bytes(files: Iterable[FileVersion]) -> int:
    """Return about how many bytes a list of files takes in a message."""
    return sum(len(file.key.encode()) + len(file.version) + _FILE_BYTES for file in files)


def _capture(path: str) -> str:
    """Return an output's internal path, `STDOUT` written as ">"."""
    return STDOUT_BOTH if path == "STDOUT" else path
