"""Answers of the service as plain dicts and lists that `json.dumps` takes; field names are the documented ones."""

from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from gaia.v1 import api_pb2, model_pb2
from gaia_core.wire.model import command_from_proto, struct_to_properties
from gaia_core.workflow.model import FailureClass
from gaia_core.workflow.parse import command_to_plain

STEP_STATES = ("waiting", "ready", "running", "retrying", "complete", "failed")


def workflow(message: api_pb2.Workflow) -> dict[str, Any]:
    """Return one line of the list of workflows; times are ISO 8601 in UTC."""
    return {
        "name": message.name,
        "owner": message.owner,
        "state": message.state,
        "properties": struct_to_properties(message.properties),
        "steps": counts(message.steps),
        "created": _time(message.created) if message.HasField("created") else None,
        "updated": _time(message.updated) if message.HasField("updated") else None,
    }


def counts(message: api_pb2.StepCounts) -> dict[str, int]:
    """Return the number of Steps by state, zeros included."""
    return {state: getattr(message, state) for state in STEP_STATES}


def command(message: model_pb2.Command) -> dict[str, Any]:
    """Return a Command as users write it."""
    return command_to_plain(command_from_proto(message))


def diff(message: api_pb2.Diff) -> dict[str, list[str]]:
    """Return what a mutation changed, by Step name."""
    return {
        "added": list(message.added),
        "updated": list(message.updated),
        "unchanged": list(message.unchanged),
        "recomputed": list(message.recomputed),
    }


def status(message: api_pb2.StatusResponse) -> dict[str, Any]:
    """Return how a workflow stands; `debug` is there only if it was asked for."""
    plain: dict[str, Any] = {
        "state": message.state,
        "stalled": message.stalled,
        "commands": [command(each) for each in message.commands],
        "steps": counts(message.steps),
        "waiting-inputs": list(message.waiting_inputs),
        "waiting-inputs-count": message.waiting_inputs_count,
        "missing-inputs": list(message.missing_inputs),
        "failed": [_failed(each) for each in message.failed],
    }
    return {**plain, "debug": _debug(message.debug)} if message.HasField("debug") else plain


def file(message: model_pb2.FileVersion) -> dict[str, Any]:
    """Return one file; its digest in hex, or None where nobody computed one."""
    return {
        "key": message.key,
        "size": message.size_bytes,
        "version": message.version,
        "sha256": message.sha256.hex() or None,
    }


def _failed(message: api_pb2.FailedStep) -> dict[str, Any]:
    failure = message.failure
    return {
        "step": message.step,
        "attempt": message.attempt,
        "worker": message.worker,
        "class": _failure_class(getattr(failure, "class")),
        "message": failure.message,
        "exit-code": failure.exit_code if failure.HasField("exit_code") else None,
        "log-tail": failure.log_tail,
    }


def _failure_class(number: int) -> str:
    known = {kind.value: kind.name for kind in FailureClass}
    return known.get(number, "UNKNOWN")


def _debug(message: api_pb2.Debug) -> dict[str, Any]:
    return {
        "steps": [_step(each) for each in message.steps],
        "next-page-start": message.next_page_start or None,
        "workers": [_worker(each) for each in message.workers],
    }


def _step(message: api_pb2.StepDebug) -> dict[str, Any]:
    return {
        "name": message.name,
        "command": message.command,
        "state": message.state,
        "attempt": message.attempt,
        "worker": message.worker,
        "inputs": dict(message.inputs),
        "outputs": dict(message.outputs),
        "missing-inputs": message.missing_inputs,
    }


def _worker(message: api_pb2.WorkerDebug) -> dict[str, Any]:
    return {
        "name": message.name,
        "pool": message.pool,
        "slots": message.slots,
        "prefetch": message.prefetch,
        "attempts": message.attempts,
        "executor": message.executor,
        "host": message.host,
    }


def _time(message: Timestamp) -> str:
    return message.ToJsonString()
