"""From a Step to what a worker carries out: tokens spliced, inputs pinned to published versions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gaia_core.workflow.model import (
    STDOUT_BOTH,
    TIMEOUT_S_DEFAULT,
    Command,
    Execution,
    Fence,
    Input,
    Options,
    Resources,
)
from gaia_core.workflow.sources import sources
from gaia_core.workflow.splice import splice
from gaia_core.workflow.state import Step, WorkflowState

_NO_FENCE: Final = Fence(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Frame:
    """What the Executions of all Steps have in common that use a Command with the same options and values.

    Attributes:
        execution: without fence, Step, inputs and outputs.
        inputs: input name → internal path.
        outputs: output name → internal path, or ">" or ">>".
    """

    execution: Execution
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


def frame_of(workflow: str, command: Command, own: Options, values: Mapping[str, str]) -> Frame:
    """Splice what a Command says.

    Args:
        workflow: its name.
        command: the Command.
        own: the options of the Step, which win over the Command's.
        values: the Step's vars; of those only names in the Command's `texts` matter.
    """
    options = own.over(command.options)
    inputs = {name: splice(path, values) for name, path in command.inputs.items()}
    outputs = {name: splice(path, values) for name, path in command.outputs.items()}
    words = {**values, **inputs, **outputs}
    execution = Execution(
        fence=_NO_FENCE,
        workflow=workflow,
        step="",
        command=command.name,
        image=command.image,
        argv=tuple(splice(token, words) for token in command.command),
        stdout=splice(command.stdout or "", values),
        timeout_s=options.timeout_s or TIMEOUT_S_DEFAULT,
        network=command.network,
        env={name: splice(value, words) for name, value in command.env.items()},
        workdir=splice(command.workdir or "", values),
        entrypoint=tuple(splice(token, words) for token in command.entrypoint),
        resources=options.resources or Resources(),
        keep=options.keep or "",
        secrets=command.secrets,
        keeps_entrypoint=command.keeps_entrypoint,
        reuse=command.reuse,
    )
    return Frame(execution, inputs, {name: _capture(path) for name, path in outputs.items()})


def pinned_inputs(workflow: WorkflowState, step: Step) -> tuple[Input, ...]:
    """Return a Step's inputs with the published versions that they are made of."""
    paths = workflow.commands[step.command].inputs
    return tuple(
        Input(name, key.name, splice(paths[name], step.values), tuple(sources(workflow.graph, key)))
        for name, key in zip(step.input_names, step.inputs, strict=True)
    )


def _capture(path: str) -> str:
    """Return an output's internal path, `STDOUT` written as ">"."""
    return STDOUT_BOTH if path == "STDOUT" else path
