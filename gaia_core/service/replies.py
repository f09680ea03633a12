"""Answers of the machine as messages of the API."""

from collections.abc import Iterable

from gaia.v1 import api_pb2 as pb
from gaia.v1 import model_pb2
from gaia_core.machine.diff import Affected, Diff, Expired
from gaia_core.machine.explain import Explanation
from gaia_core.machine.public import Update
from gaia_core.machine.requests import WorkerView
from gaia_core.wire.files import failure_to_proto
from gaia_core.wire.model import command_to_proto, properties_to_struct, resources_to_proto
from gaia_core.wire.public import timestamp
from gaia_core.workflow.model import Command
from gaia_core.workflow.states import StepState
from gaia_core.workflow.views import Status, StepView, Summary


def diff_message(diff: Diff) -> pb.Diff:
    """Encode what a mutation changed."""
    return pb.Diff(
        added=diff.added,
        updated=diff.updated,
        unchanged=diff.unchanged,
        recomputed=diff.recomputed,
        removed=diff.removed,
        reasons=affected_messages(diff.reasons),
        revision=diff.revision,
    )


def affected_messages(reasons: Iterable[Affected]) -> list[pb.Affected]:
    """Encode why Steps run again."""
    return [pb.Affected(step=one.step, reason=one.reason, upstream=one.upstream, key=one.key) for one in reasons]


def expired_message(expired: Expired) -> pb.ExpireResponse:
    """Encode what runs again."""
    return pb.ExpireResponse(steps=expired.steps, keys=expired.keys, reasons=affected_messages(expired.reasons))


def explanation_message(told: Explanation) -> pb.Explanation:
    """Encode why a Step waits, ran or will run."""
    return pb.Explanation(
        step=told.step,
        state=told.state,
        summary=told.summary,
        attempt=told.attempt,
        worker=told.worker,
        reason=told.reason,
        chain=affected_messages(told.chain),
        waits_for=[
            pb.WantedKey(
                key=key.key,
                writers=[pb.KeyWriter(step=step, state=state) for step, state in key.writers],
                writers_count=key.writers_count,
            )
            for key in told.waits_for
        ],
        waits_for_count=told.waits_for_count,
        failure=failure_to_proto(told.failure) if told.failure is not None else None,
        retry_at=timestamp(told.retry_at_ms) if told.retry_at_ms is not None else None,
        image_digest=told.image_digest,
    )


def update_message(update: Update) -> pb.Update:
    """Encode how a workflow stands now."""
    return pb.Update(
        workflow=update.workflow,
        workflow_uid=update.uid,
        sequence=update.sequence,
        state=update.state,
        stalled=update.stalled,
        steps=pb.StepCounts(**{state.word: update.steps[state] for state in StepState}),
        deleted=update.deleted,
    )


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
        revision=line.revision,
        archived=line.archived,
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
        revision=status.revision,
        remarks=status.remarks,
    )


def debug_message(steps: Iterable[StepView], next_page_start: int, workers: Iterable[WorkerView]) -> pb.Debug:
    """Encode a page of Steps, and the workers."""
    return pb.Debug(steps=step_messages(steps), next_page_start=next_page_start, workers=worker_messages(workers))


def step_messages(steps: Iterable[StepView]) -> list[pb.StepDebug]:
    """Encode Steps."""
    return [
        pb.StepDebug(
            name=step.name,
            command=step.command,
            state=step.state,
            attempt=step.attempt,
            worker=step.worker,
            inputs=step.inputs,
            outputs=step.outputs,
            missing_inputs=step.missing,
            image_digest=step.image_digest,
        )
        for step in steps
    ]


def worker_messages(workers: Iterable[WorkerView]) -> list[pb.WorkerDebug]:
    """Encode workers."""
    return [
        pb.WorkerDebug(
            name=one.name,
            pool=one.pool,
            slots=one.slots,
            prefetch=one.prefetch,
            attempts=one.attempts,
            executor=one.executor,
            host=one.host,
            metadata=properties_to_struct(one.metadata),
            credit=one.credit,
            resources=resources_to_proto(one.resources),
            used=resources_to_proto(one.used),
            draining=one.draining,
            trouble=one.trouble,
            version=one.version,
            held=[
                pb.HeldAttempt(
                    workflow=held.workflow,
                    step=held.step,
                    attempt=held.attempt,
                    since=timestamp(held.since_ms),
                    stopping=held.stopping,
                )
                for held in one.held
            ],
        )
        for one in workers
    ]
