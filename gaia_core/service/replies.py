"""Answers of the machine as messages of the API."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gaia.v1 import api_pb2 as pb
from gaia.v1 import model_pb2
from gaia_core.machine.requests import WorkerView
from gaia_core.wire.files import failure_to_proto
from gaia_core.wire.model import command_to_proto, properties_to_struct
from gaia_core.wire.public import timestamp
from gaia_core.workflow.model import Command
from gaia_core.workflow.views import Status, StepView, Summary


def diff_message(answer: Mapping[str, Any]) -> pb.Diff:
    """Encode what a mutation changed."""
    return pb.Diff(**answer)


def command_messages(commands: Iterable[Command]) -> list[model_pb2.Command]:
    """Encode Commands."""
    return [command_to_proto(command) for command in commands]


def summary_message(line: Summary) -> pb.Workflow:
    """Encode one line of the list of workflows."""
    return pb.Workflow(
        name=line.name,
        owner=line.owner,
        state=line.state,
        properties=properties_to_struct(line.properties),
        steps=pb.StepCounts(**line.steps),
        created=timestamp(line.created_ms),
        updated=timestamp(line.updated_ms),
    )


def status_message(status: Status) -> pb.StatusResponse:
    """Encode how a workflow stands."""
    failed = [
        pb.FailedStep(step=one.step, attempt=one.attempt, worker=one.worker, failure=failure_to_proto(one.failure))
        for one in status.failed
    ]
    return pb.StatusResponse(
        state=status.state,
        stalled=status.stalled,
        commands=command_messages(status.commands),
        steps=pb.StepCounts(**status.steps),
        waiting_inputs=status.waiting_inputs,
        waiting_inputs_count=status.waiting_inputs_count,
        missing_inputs=status.missing_inputs,
        failed=failed,
    )


def debug_message(steps: Sequence[StepView], next_page_start: int, workers: Sequence[WorkerView]) -> pb.Debug:
    """Encode a page of Steps, and the workers."""
    return pb.Debug(
        steps=[
            pb.StepDebug(
                name=step.name,
                command=step.command,
                state=step.state,
                attempt=step.attempt,
                worker=step.worker,
                inputs=step.inputs,
                outputs=step.outputs,
                missing_inputs=step.missing,
            )
            for step in steps
        ],
        next_page_start=next_page_start,
        workers=[
            pb.WorkerDebug(
                name=one.name,
                pool=one.pool,
                slots=one.slots,
                prefetch=one.prefetch,
                attempts=one.attempts,
                executor=one.executor,
                host=one.host,
            )
            for one in workers
        ],
    )
