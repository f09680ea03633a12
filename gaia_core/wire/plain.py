"""Answers of the service as plain dicts and lists that `json.dumps` takes; field names are the documented ones.

Read by users of the Python client and of HTTP.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from gaia.v1 import api_pb2, events_pb2, logs_pb2, model_pb2
from gaia_core.wire.model import command_from_proto, resources_from_proto, struct_to_properties
from gaia_core.workflow.model import FailureClass
from gaia_core.workflow.parse import command_to_plain

CHAIN_MAX: Final = 100
"""Links of a chain of reasons that are shown."""

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
        "revision": message.revision,
        **({"archived": True} if message.archived else {}),
    }


def counts(message: api_pb2.StepCounts) -> dict[str, int]:
    """Return the number of Steps by state, zeros included."""
    return {state: getattr(message, state) for state in STEP_STATES}


def command(message: model_pb2.Command) -> dict[str, Any]:
    """Return a Command as users write it."""
    return command_to_plain(command_from_proto(message))


def diff(message: api_pb2.Diff) -> dict[str, Any]:
    """Return what a mutation changed, by Step name, and why Steps run again."""
    return {
        "added": list(message.added),
        "updated": list(message.updated),
        "unchanged": list(message.unchanged),
        "recomputed": list(message.recomputed),
        "removed": list(message.removed),
        "reasons": reasons(message.reasons),
        "revision": message.revision,
    }


def reasons(messages: Iterable[api_pb2.Affected]) -> dict[str, list[dict[str, str]]]:
    """Return, for each Step that runs again, the chain of reasons that leads to the first cause."""
    links = {message.step: affected(message) for message in messages}
    return {step: list(_chain(step, links)) for step in links}


def affected(message: api_pb2.Affected) -> dict[str, str]:
    """Return one link of a chain of reasons; what does not apply is left out."""
    plain = {"step": message.step, "reason": message.reason, "upstream": message.upstream, "key": message.key}
    return {name: value for name, value in plain.items() if value}


def _chain(step: str, links: Mapping[str, dict[str, str]]) -> Iterator[dict[str, str]]:
    for _ in range(CHAIN_MAX):
        link = links.get(step)
        if link is None:
            return
        yield link
        step = link.get("upstream", "")


def expired(message: api_pb2.ExpireResponse, with_reasons: bool) -> dict[str, Any]:
    """Return what runs again."""
    plain: dict[str, Any] = {"steps": list(message.steps), "keys": list(message.keys)}
    return {**plain, "reasons": reasons(message.reasons)} if with_reasons else plain


def explanation(message: api_pb2.Explanation) -> dict[str, Any]:
    """Return why a Step waits, ran or will run."""
    return {
        "step": message.step,
        "state": message.state,
        "summary": message.summary,
        "attempt": message.attempt,
        "worker": message.worker,
        "reason": message.reason,
        "chain": [affected(each) for each in message.chain],
        "waits-for": [
            {
                "key": key.key,
                "writers": [{"step": writer.step, "state": writer.state} for writer in key.writers],
                "writers-count": key.writers_count,
            }
            for key in message.waits_for
        ],
        "waits-for-count": message.waits_for_count,
        "failure": failure(message.failure) if message.HasField("failure") else None,
        "retry-at": _time(message.retry_at) if message.HasField("retry_at") else None,
        "image-digest": message.image_digest or None,
    }


def event(message: events_pb2.Event) -> dict[str, Any]:
    """Return an event: what it is about, its kind, and the fields of that kind."""
    kind = message.WhichOneof("event") or "unknown"
    head = {
        "workflow": message.workflow,
        "uid": message.workflow_uid,
        "sequence": message.sequence,
        "time": _time(message.time),
        "kind": kind,
    }
    return {**head, **(_EVENT[kind](getattr(message, kind)) if kind in _EVENT else {})}


def update(message: api_pb2.Update) -> dict[str, Any]:
    """Return how a workflow stands."""
    return {
        "workflow": message.workflow,
        "uid": message.workflow_uid,
        "sequence": message.sequence,
        "state": message.state,
        "stalled": message.stalled,
        "steps": counts(message.steps),
        "deleted": message.deleted,
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
        "revision": message.revision,
    }
    if message.remarks:
        plain["remarks"] = list(message.remarks)
    return {**plain, "debug": debug(message.debug)} if message.HasField("debug") else plain


def file(message: model_pb2.FileVersion) -> dict[str, Any]:
    """Return one file; its digest in hex, or None where nobody computed one."""
    return {
        "key": message.key,
        "size": message.size_bytes,
        "version": message.version,
        "sha256": message.sha256.hex() or None,
    }


def failure(message: model_pb2.Failure) -> dict[str, Any]:
    """Return how an attempt failed."""
    return {
        "class": _failure_class(getattr(message, "class")),
        "message": message.message,
        "exit-code": message.exit_code if message.HasField("exit_code") else None,
        "log-tail": message.log_tail,
    }


def _failed(message: api_pb2.FailedStep) -> dict[str, Any]:
    plain = {"step": message.step, "attempt": message.attempt, "worker": message.worker}
    return {**plain, **failure(message.failure)}


def _failure_class(number: int) -> str:
    known = {kind.value: kind.name for kind in FailureClass}
    return known.get(number, "UNKNOWN")


def debug(message: api_pb2.Debug) -> dict[str, Any]:
    """Return a page of Steps, and the workers."""
    return {
        "steps": [step(each) for each in message.steps],
        "next-page-start": message.next_page_start or None,
        "workers": [worker(each) for each in message.workers],
    }


def step(message: api_pb2.StepDebug) -> dict[str, Any]:
    """Return one Step in full."""
    return {
        "name": message.name,
        "command": message.command,
        "state": message.state,
        "attempt": message.attempt,
        "worker": message.worker,
        "image-digest": message.image_digest or None,
        "inputs": dict(message.inputs),
        "outputs": dict(message.outputs),
        "missing-inputs": message.missing_inputs,
        **({"progress": progress(message.progress)} if message.HasField("progress") else {}),
    }


def progress(message: events_pb2.StepProgress) -> dict[str, Any]:
    """Return how far an attempt is; total is 0 where its program does not say."""
    return {"done": message.done, "total": message.total, "message": message.message}


def log(message: api_pb2.LogsResponse) -> dict[str, Any]:
    """Return what is told of an attempt's log: its kind ("piece", "gap", "notice" or "end"), and what belongs to it."""
    kind = message.WhichOneof("told") or "unknown"
    head = {"attempt": message.attempt, "kind": kind}
    return {**head, **(_LOG[kind](getattr(message, kind)) if kind in _LOG else {})}


def worker(message: api_pb2.WorkerDebug) -> dict[str, Any]:
    """Return one worker."""
    return {
        "name": message.name,
        "pool": message.pool,
        "slots": message.slots,
        "prefetch": message.prefetch,
        "attempts": message.attempts,
        "executor": message.executor,
        "host": message.host,
        "metadata": struct_to_properties(message.metadata),
        "credit": message.credit,
        "resources": _resources(message.resources),
        "used": _resources(message.used),
        "draining": message.draining,
        "trouble": message.trouble,
        "version": message.version,
        "held": [
            {
                "workflow": each.workflow,
                "step": each.step,
                "attempt": each.attempt,
                "since": _time(each.since),
                "stopping": each.stopping,
            }
            for each in message.held
        ],
        "cache": _cache(message.cache) if message.HasField("cache") else None,
    }


def _cache(message: model_pb2.InputCache) -> dict[str, Any]:
    """Return how full a cache is, and what it was good for."""
    return {
        "files": message.files,
        "bytes": message.size_bytes,
        "bytes_max": message.size_bytes_max,
        "hits": message.hits,
        "misses": message.misses,
        "hit_bytes": message.hit_bytes,
    }


def _resources(message: model_pb2.Resources) -> dict[str, Any]:
    """Return compute by the names that users write; None where it is not told."""
    resources = resources_from_proto(message)
    return {"cpus": resources.cpus, "memory": resources.memory_bytes, "gpus": resources.gpus}


def _publication(message: model_pb2.Publication) -> dict[str, Any]:
    plain: dict[str, Any] = {"key": message.key, "files": [file(each) for each in message.files]}
    return {**plain, "manifest": file(message.manifest)} if message.HasField("manifest") else plain


def _attempt(message: Any) -> dict[str, Any]:
    return {"step": message.step, "attempt": message.attempt, "worker": message.worker}


_EVENT: Final[Mapping[str, Callable[[Any], dict[str, Any]]]] = {
    "workflow_changed": lambda m: {"change": m.change, "names": list(m.names), "count": m.count},
    "step_completed": lambda m: {
        **_attempt(m), "outputs": [_publication(each) for each in m.outputs], "run-ms": m.run_ms,
        "image-digest": m.image_digest or None,
    },
    "step_failed": lambda m: {**_attempt(m), **failure(m.failure)},
    "step_cancelled": lambda m: {"step": m.step, "attempt": m.attempt, "reason": m.reason},
    "step_expired": lambda m: {"step": m.step, "reason": m.reason},
    "step_retrying": lambda m: {
        "step": m.step, "attempt": m.attempt, **failure(m.failure), "not-before": _time(m.not_before),
    },
    "key_available": lambda m: {"key": m.key, "files": [file(each) for each in m.files], "count": m.count},
    "key_forgotten": lambda m: {"key": m.key},
    "step_started": _attempt,
    "step_progress": lambda m: {**_attempt(m), **progress(m)},
    "worker_changed": lambda m: {"worker": m.worker, "change": m.change, "pool": m.pool, "reason": m.reason},
}  # fmt: skip

_LOG: Final[Mapping[str, Callable[[Any], dict[str, Any]]]] = {
    "piece": lambda m: {
        "offset": m.offset,
        "stream": "stderr" if m.stream == logs_pb2.LOG_STREAM_STDERR else "stdout",
        "time": _time(m.time),
        "data": m.data,
    },
    "gap": lambda m: {"offset": m.offset, "size": m.size_bytes},
    "notice": lambda m: {"words": m.words},
    "end": lambda m: {"size": m.size_bytes, "running": m.running},
}


def _time(message: Timestamp) -> str:
    return message.ToJsonString()
