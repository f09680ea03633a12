"""Dispatches as entries of inbox records, straight from the state: what Steps have in common is encoded once.

A dispatch is two messages in one field: what all Steps of a Command share, then what is a Step's own. A reader sees
them merged, as one. Most of what an order costs is in the first part, and of a wide fan-out it is always the same.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple, TypeAlias

from gaia.v1 import worker_pb2
from gaia_core.wire.fields import embedded
from gaia_core.wire.files import publication_to_proto
from gaia_core.wire.inbox import execution_to_proto
from gaia_core.workflow.execution import frame_of
from gaia_core.workflow.graph import Key
from gaia_core.workflow.model import Command, Options
from gaia_core.workflow.sources import sources
from gaia_core.workflow.state import Step, WorkflowState

INLINE_BYTES_MAX: Final = 128 * 1024
"""Inputs whose lists of files take more do not travel with the dispatch; a record holds 512 KiB."""

FRAMES_MAX: Final = 1_000
"""Commands, and different values of one, that are kept encoded; a kilobyte each. Beyond that all are made anew."""

_DISPATCH: Final = worker_pb2.InboxEntry.DISPATCH_FIELD_NUMBER
_INPUTS: Final = worker_pb2.Dispatch.INPUTS_FIELD_NUMBER

Values: TypeAlias = tuple[Options, tuple[str | None, ...]]
"""What tells the Steps of one Command from each other, as far as their frames go."""


class _Framed(NamedTuple):
    """A frame, encoded, and the internal paths of inputs and outputs."""

    data: bytes
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


class _Frames(NamedTuple):
    """The frames of one Command as it is now."""

    command: Command
    names: tuple[str, ...]
    known: dict[Values, _Framed]


class DispatchEncoder:
    """Encodes dispatches of one term."""

    def __init__(self, term: int) -> None:
        self._term = term
        self._commands: dict[tuple[int, str], _Frames] = {}
        self._inputs: dict[tuple[str, str, Key], bytes] = {}

    def begin(self) -> None:
        """Begin a batch: the state has changed since the last one, and so may have what inputs are made of."""
        self._inputs.clear()

    def entry(self, workflow: WorkflowState, step: Step) -> bytes:
        """Return the entry that has a Step's latest attempt run."""
        frame = self._frame(workflow, step)
        own = worker_pb2.Dispatch(
            fence=worker_pb2.Fence(workflow_uid=workflow.uid, step=step.index, attempt=step.attempt, term=self._term),
            step_name=step.name,
            outputs=[
                worker_pb2.Output(name=name, key=key.name, path=frame.outputs[name])
                for name, key in zip(step.output_names, step.outputs, strict=True)
            ],
        )
        inputs = b"".join(
            [
                self._input(workflow, name, frame.inputs[name], key)
                for name, key in zip(step.input_names, step.inputs, strict=True)
            ]
        )
        if len(inputs) > INLINE_BYTES_MAX:
            own.inputs_by_rpc = True
            for name, key in zip(step.input_names, step.inputs, strict=True):
                own.inputs.add(name=name, key=key.name, path=frame.inputs[name])
            inputs = b""
        return embedded(_DISPATCH, frame.data + own.SerializeToString() + inputs)

    def _frame(self, workflow: WorkflowState, step: Step) -> _Framed:
        """Return what a Step shares with others, made at the first of them."""
        command = workflow.commands[step.command]
        frames = self._commands.get((workflow.uid, command.name))
        if frames is None or frames.command is not command:
            if len(self._commands) >= FRAMES_MAX:
                self._commands.clear()
            names = tuple(sorted(command.texts.in_paths | command.texts.in_tokens))
            frames = _Frames(command, names, {})
            self._commands[workflow.uid, command.name] = frames
        values = (step.options, tuple(map(step.values.get, frames.names)))
        framed = frames.known.get(values)
        if framed is None:
            if len(frames.known) >= FRAMES_MAX:
                frames.known.clear()
            frame = frame_of(workflow.name, command, step.options, step.values)
            data = execution_to_proto(frame.execution).SerializeToString()
            framed = frames.known[values] = _Framed(data, frame.inputs, frame.outputs)
        return framed

    def _input(self, workflow: WorkflowState, name: str, path: str, key: Key) -> bytes:
        """Return an input as a field of a dispatch; many Steps may read the same."""
        known = self._inputs.get((name, path, key))
        if known is None:
            made_of = [publication_to_proto(source) for source in sources(workflow.graph, key)]
            message = worker_pb2.Input(name=name, key=key.name, path=path, sources=made_of)
            known = embedded(_INPUTS, message.SerializeToString())
            self._inputs[name, path, key] = known
        return known
