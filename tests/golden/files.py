"""Golden files as they lie in this folder, and the text that people read of what comes out of them."""

import gzip
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from pathlib import Path
from struct import Struct
from typing import Any

from gaia_core.backends.memory import MemoryJournal, MemoryLog
from gaia_core.coordinator.entries import EntryReader, follow
from gaia_core.machine.public import Announcement, Announcer
from gaia_core.wire.snapshot import Snapshot, decode_snapshot
from gaia_core.workflow.graph import Key
from gaia_core.workflow.model import EMPTY, Publication
from gaia_core.workflow.state import Step, WorkflowState

FOLDER = Path(__file__).parent
_LENGTH = Struct(">I")


def save_journal(path: Path, log: MemoryLog) -> None:
    """Write the records of a journal, gaps as empty ones, which are foreign like any without our mark."""
    records = {record.offset: record.value for record in log.slice(*log.bounds())}
    values = (records.get(offset, b"") for offset in range(log.bounds()[1]))
    path.write_bytes(gzip.compress(b"".join(_LENGTH.pack(len(value)) + value for value in values), mtime=0))


def load_journal(path: Path) -> MemoryLog:
    """Return a journal."""
    data, at, log = gzip.decompress(path.read_bytes()), 0, MemoryLog()
    while at < len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size + length
        log.write(data[at - length : at])
    return log


def load_snapshot(path: Path) -> Snapshot:
    """Return a snapshot."""
    return decode_snapshot([path.read_bytes()])


def go_on(announcer: Announcer, reader: EntryReader, log: MemoryLog, start: int) -> list[Announcement]:
    """Follow a journal from an offset to its end; return what is announced."""
    told: list[Announcement] = []
    for _, entry in follow(MemoryJournal(log), reader, start, log.bounds()[1]):
        if entry is not None:
            told += announcer.follow(entry.now_ms, entry.events)
    return told


def text_of(announcer: Announcer, told: Iterable[Announcement]) -> str:
    """Return what a state and the announcements that led to it look like."""
    return "\n".join([*_state(announcer), "", *(_event(one) for one in told), ""])


def _state(announcer: Announcer) -> Iterator[str]:
    state = announcer.state
    yield f"now {state.now_ms}, last uid {state.last_uid}, doomed {state.doomed}, wiped {state.wiped}"
    for worker in sorted(state.fleet.workers.values(), key=lambda one: one.name):
        held = {tuple(attempt): stopping for attempt, stopping in sorted(worker.held.items())}
        yield (
            f"worker {worker.name} {worker.incarnation} {worker.pool} {worker.slots}+{worker.prefetch} "
            f"partition {worker.partition} {worker.executor} {worker.host} {worker.draining} "
            f"{dict(worker.metadata)} holds {held}, demands {tuple(worker.used)} of {worker.resources}, "
            f"version {worker.version!r}, trouble {worker.trouble!r}, dismissed {worker.dismissed}"
        )
    yield f"left {list(state.fleet.left)}"
    for request_id, known in state.answered.items():
        yield f"answered {request_id!r} {known.digest!r} at {known.at_ms}: {known.answer}"
    for archived in sorted(state.archived.values(), key=lambda one: one.uid):
        yield f"archived {archived.uid} events {archived.sequence}, {archived.rest}: {_plain(archived.summary)}"
        yield f"  lies at {_plain(archived.file)}"
    for workflow in state.workflows.values():
        yield from _workflow(workflow, announcer.sequences.get(workflow.uid, 0))


def _workflow(workflow: WorkflowState, sequence: int) -> Iterator[str]:
    properties = {name: str(value)[:40] for name, value in workflow.properties.items()}
    yield ""
    yield (
        f"workflow {workflow.uid} {workflow.name} of {workflow.owner}: {workflow.flow_state[0].value}, revision "
        f"{workflow.revision}, next Step {workflow.next_index}, events {sequence}, created {workflow.created_ms}, "
        f"updated {workflow.updated_ms}, released {workflow.released_ms}, {properties}"
    )
    yield from (f"  command {_plain(command)}" for command in workflow.commands.values())
    yield from (f"  {line}" for step in workflow.steps.values() for line in _step(step))
    for key in sorted(workflow.graph.keys.values(), key=lambda one: one.name):
        yield f"  key {key.name}: {_key(key)}"
    yield f"  attempts of dropped {dict(sorted(workflow.attempts_of_dropped.items()))}"


def _plain(value: Any) -> Any:
    """Return a value without what a later version may add, and what follows from the rest."""
    if isinstance(value, Enum):
        return value.name
    if is_dataclass(value):
        return _given((one.name, getattr(value, one.name), one.default) for one in fields(value) if one.repr)
    if isinstance(value, tuple) and hasattr(value, "_field_defaults"):  # a named tuple
        return _given((name, each, value._field_defaults.get(name, MISSING)) for name, each in value._asdict().items())
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in sorted(value.items())}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def _given(fields_of: Iterable[tuple[str, Any, Any]]) -> dict[str, Any]:
    """Return those of (name, value, default) that are not as they are by default."""
    return {name: _plain(each) for name, each, default in fields_of if each != default and each not in (EMPTY, ())}


def _step(step: Step) -> Iterator[str]:
    inputs = dict(zip(step.input_names, (key.name for key in step.inputs), strict=True))
    outputs = dict(zip(step.output_names, (key.name for key in step.outputs), strict=True))
    yield (
        f"step {step.index} {step.name} ({', '.join(step.aliases)}) {'/'.join(step.commands)}: {step.state.word}, "
        f"attempt {step.attempt} (before {step.attempts_before}) on {step.worker!r}, {inputs} -> {outputs}, "
        f"{_plain(step.values)}, {_plain(step.options)}"
    )
    yield (
        f"  missing {step.missing}, faults {step.faults}, disturbances {step.disturbances}, {step.reason} "
        f"{step.cause}, retry at {step.retry_at_ms}, ready {step.times_ready} times, last {step.ready_since_ms}"
    )
    yield from (f"  published {_publication(one)}" for one in step.published)
    if step.image_digest:
        yield f"  ran {step.image_digest}"
    if step.failure is not None:
        yield f"  failed: {_plain(step.failure)}"


def _key(key: Key) -> str:
    arrived = _publication(key.arrived) if key.arrived is not None else None
    words = {"there": key.is_there, "written": key.writer is not None, "available": key.available}
    return f"{words}, arrived {arrived}, left behind {key.left_behind}, was written {key.was_written}"


def _publication(publication: Publication) -> str:
    files = [*publication.files, *([publication.manifest] if publication.manifest else ())]
    return f"{publication.key}: {[(file.key, file.version, file.size_bytes, file.sha256.hex()[:4]) for file in files]}"


def _event(told: Announcement) -> str:
    kind = type(told.fact).__name__
    return f"event {told.workflow} {told.uid}-{told.sequence} at {told.time_ms} {told.names} {kind} {_plain(told.fact)}"
