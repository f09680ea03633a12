"""Answers of the machine as plain JSON values, by the names that users know. Read by HTTP clients."""

from collections.abc import Iterable, Sequence
from typing import Any

from gaia_core.machine.requests import WorkerView
from gaia_core.wire.public import timestamp
from gaia_core.workflow.model import Command
from gaia_core.workflow.parse import command_to_plain
from gaia_core.workflow.views import FailedStep, Status, StepView, Summary


def commands_by_name(commands: Iterable[Command]) -> dict[str, Any]:
    """Return Commands as users write them, by name."""
    return {command.name: _command(command) for command in commands}


def summary_plain(line: Summary) -> dict[str, Any]:
    """Return one line of the list of workflows; times are ISO 8601 in UTC."""
    return {
        "name": line.name,
        "owner": line.owner,
        "state": line.state,
        "properties": dict(line.properties),
        "step-count": sum(line.steps.values()),
        "steps": dict(line.steps),
        "created": timestamp(line.created_ms).ToJsonString(),
        "updated": timestamp(line.updated_ms).ToJsonString(),
        "revision": line.revision,
        **({"archived": True} if line.archived else {}),
    }


def status_plain(status: Status) -> dict[str, Any]:
    """Return how a workflow stands, its Commands by name."""
    return {
        "state": status.state,
        "stalled": status.stalled,
        "commands": commands_by_name(status.commands),
        "steps": dict(status.steps),
        "waiting-inputs": list(status.waiting_inputs),
        "waiting-inputs-count": status.waiting_inputs_count,
        "missing-inputs": list(status.missing_inputs),
        "failed": [_failed(one) for one in status.failed],
        "revision": status.revision,
    }


def debug_plain(steps: Sequence[StepView], next_page_start: int, workers: Sequence[WorkerView]) -> dict[str, Any]:
    """Return a page of Steps, and the workers."""
    return {
        "steps": [_step(one) for one in steps],
        "next-page-start": next_page_start or None,
        "workers": [_worker(one) for one in workers],
    }


def _command(command: Command) -> dict[str, Any]:
    """Return a Command in which the maps that the original documents are always there."""
    plain = command_to_plain(command)
    if command.image:
        for field in ("inputs", "outputs", "vars"):
            plain.setdefault(field, {})
    return plain


def _failed(one: FailedStep) -> dict[str, Any]:
    return {
        "step": one.step,
        "attempt": one.attempt,
        "worker": one.worker,
        "class": one.failure.kind.name,
        "message": one.failure.message,
        "exit-code": one.failure.exit_code,
        "log-tail": one.failure.log_tail,
    }


def _step(one: StepView) -> dict[str, Any]:
    return {
        "name": one.name,
        "command": one.command,
        "state": one.state,
        "attempt": one.attempt,
        "worker": one.worker,
        "inputs": dict(one.inputs),
        "outputs": dict(one.outputs),
        "missing-inputs": one.missing,
    }


def _worker(one: WorkerView) -> dict[str, Any]:
    return {
        "name": one.name,
        "pool": one.pool,
        "slots": one.slots,
        "prefetch": one.prefetch,
        "attempts": one.attempts,
        "executor": one.executor,
        "host": one.host,
    }
