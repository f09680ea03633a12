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
"""Frames that are kept: one for each Command, and for different values of one. Beyond that all are made anew."""

FRAMES_BYTES_MAX: Final = 16 * 2**20
"""What these may take, encoded: mostly a kilobyte each, but a Command may have a quarter of a megabyte."""

_DISPATCH: Final = worker_pb2.InboxEntry.DISPATCH_FIELD_NUMBER
_INPUTS: Final = worker_pb2.Dispatch.INPUTS_FIELD_NUMBER

Shared: TypeAlias = tuple[int, str, Options, tuple[str | None, ...]]
"""What Steps of one frame have in common: workflow, name of the Command, options, values that it splices."""


class _Framed(NamedTuple):
    """A frame, encoded, with the Command that it was made of, and the internal paths of inputs and outputs."""

    command: Command
    data: bytes
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


class DispatchEncoder:
    """Encodes dispatches of one term."""

    def __init__(self, term: int) -> None:
        self._term = term
        self._frames: dict[Shared, _Framed] = {}
        self._frames_bytes = 0
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
        shared = (workflow.uid, command.name, step.options, tuple(map(step.values.get, command.texts.names)))
        framed = self._frames.get(shared)
        if framed is None or framed.command is not command:
            frame = frame_of(workflow.name, command, step.options, step.values)
            data = execution_to_proto(frame.execution).SerializeToString()
            self._frames_bytes += len(data)
            if len(self._frames) >= FRAMES_MAX or self._frames_bytes > FRAMES_BYTES_MAX:
                self._frames.clear()
                self._frames_bytes = len(data)
            framed = self._frames[shared] = _Framed(command, data, frame.inputs, frame.outputs)
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
