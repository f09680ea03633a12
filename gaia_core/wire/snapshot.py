"""Snapshots: a deployment at rest, with what an announcer knows beside it, as a stream of chunks and back.

The encoding is canonical: equal states give equal bytes, whatever led to them, so a digest of it tells whether two
replicas agree. What follows from the rest (counters, indexes, queues, timers) is not in it. One workflow can be put
aside by itself. Schema changes are met here: what old versions wrote must stay readable.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from google.protobuf.message import DecodeError, Message

from gaia.v1 import journal_pb2
from gaia.v1 import snapshot_pb2 as pb
from gaia_core.errors import SnapshotDamaged
from gaia_core.machine.archived import Archived
from gaia_core.machine.public import Announcement, Announcer
from gaia_core.machine.remembered import Answered
from gaia_core.machine.state import Deployment
from gaia_core.scheduling.amounts import NOTHING, Amounts
from gaia_core.scheduling.fleet import AttemptId, Worker
from gaia_core.version import VERSION
from gaia_core.wire.chunks import framed, unframed
from gaia_core.wire.files import file_from_proto, file_to_proto
from gaia_core.wire.model import resources_from_proto, resources_to_proto
from gaia_core.wire.public import announcement_of, event_message
from gaia_core.wire.snapshot_workflow import Kept, WorkflowReader, by_count, by_size, by_weight, workflow_parts
from gaia_core.workflow.states import StepState
from gaia_core.workflow.views import Summary

_NOTHING: Final[Mapping[int, Any]] = {}


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the journal a state stands.

    Attributes:
        offset: of the accepted entry that it is behind.
        entry_id: what that entry is called in the journal.
        opening_offset: of the latest opening.
        reports_offset: of the reports to read next.
        leader_address: by which clients reach the leader of that term.
    """

    offset: int
    opening_offset: int
    reports_offset: int = 0
    leader_address: str = ""
    entry_id: bytes = b""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state, where it stands, and what was announced of it.

    Attributes:
        recent: the latest announcements, the oldest first.
    """

    place: Place
    announcer: Announcer
    recent: tuple[Announcement, ...] = ()


def encode_snapshot(snapshot: Snapshot) -> Iterator[bytes]:
    """Yield a snapshot in chunks of at most half a mebibyte; the state must not change meanwhile."""
    return framed(_sealed(_snapshot_parts(snapshot)))


def decode_snapshot(chunks: Iterable[bytes]) -> Snapshot:
    """Return what the chunks, of any size, of a snapshot hold.

    Raises:
        SnapshotDamaged: they cannot be read, or not all of them are there.
    """
    parts = _opened(unframed(chunks))
    first = next(parts, pb.SnapshotPart())
    if first.WhichOneof("part") != "head":
        raise SnapshotDamaged("The snapshot has no head.")
    announcer = Announcer()
    announcer.state.now_ms = first.head.now_ms
    reader: WorkflowReader | None = None
    recent: list[Announcement] = []
    for part in parts:
        if reader is not None:
            if reader.feed(part):
                _adopt(announcer, reader.kept)
                reader = None
        elif part.HasField("workflow"):
            reader = WorkflowReader.begin(part.workflow)
        elif part.HasField("events"):
            named = zip(part.events.events, part.events.names, strict=True)
            recent += (announcement_of(event, tuple(names.names)) for event, names in named)
        else:
            _feed(announcer.state, part)
    if reader is not None:
        raise SnapshotDamaged("The snapshot ends within a workflow.")
    head = first.head
    place = Place(head.offset, head.opening_offset, head.reports_offset, head.leader_address, head.entry_id)
    return Snapshot(place, announcer, tuple(recent))


def encode_workflow(kept: Kept) -> Iterator[bytes]:
    """Yield one workflow in chunks of at most half a mebibyte."""
    return framed(_sealed(_bytes_of(workflow_parts(kept))))


def decode_workflow(chunks: Iterable[bytes]) -> Kept:
    """Return the workflow that chunks of any size hold.

    Raises:
        SnapshotDamaged: they cannot be read, or not all of them are there.
    """
    parts = _opened(unframed(chunks))
    first = next(parts, pb.SnapshotPart())
    if not first.HasField("workflow"):
        raise SnapshotDamaged("This holds no workflow.")
    reader = WorkflowReader.begin(first.workflow)
    is_whole = [reader.feed(part) for part in parts]
    if not is_whole or not is_whole[-1]:
        raise SnapshotDamaged("The workflow has no end.")
    return reader.kept


def decode_archived(data: bytes) -> Kept:
    """Return the workflow that the bytes of an archive hold; raises as `decode_workflow`."""
    return decode_workflow([data])


def digest(state: Deployment, sequences: Mapping[int, int] = _NOTHING, rests: Mapping[int, str] = _NOTHING) -> bytes:
    """Return the SHA-256 of a state, the same for all that agree; the time, which passes by itself, is left out."""
    seal = sha256()
    for message in _bytes_of(_state_parts(state, sequences, rests)):
        seal.update(message)
    return seal.digest()


def _snapshot_parts(snapshot: Snapshot) -> Iterator[bytes]:
    place, announcer = snapshot.place, snapshot.announcer
    head = pb.SnapshotHead(
        offset=place.offset,
        opening_offset=place.opening_offset,
        reports_offset=place.reports_offset,
        leader_address=place.leader_address,
        entry_id=place.entry_id,
        now_ms=announcer.state.now_ms,
        version=VERSION,
    )
    yield from _bytes_of([pb.SnapshotPart(head=head)])
    yield from _bytes_of(_state_parts(announcer.state, announcer.sequences, announcer.rests))
    for told in by_weight(snapshot.recent, _weight):
        names = [pb.SnapshotNames(names=one.names) for one in told]
        events = pb.SnapshotEvents(events=map(event_message, told), names=names)
        yield from _bytes_of([pb.SnapshotPart(events=events)])


def _weight(told: Announcement) -> int:
    """Return about how many bytes an announcement takes."""
    return 200 + 150 * len(getattr(told.fact, "outputs", ())) + 30 * len(getattr(told.fact, "names", ()))


def _state_parts(
    state: Deployment, sequences: Mapping[int, int], rests: Mapping[int, str]
) -> Iterator[pb.SnapshotPart]:
    doomed = sorted(state.doomed.items())
    deployment = pb.SnapshotDeployment(
        last_uid=state.last_uid,
        doomed_uids=[uid for uid, _ in doomed],
        doomed_names=[name for _, name in doomed],
        wiped_uids=state.wiped.keys(),
        wiped_names=state.wiped.values(),
    )
    yield pb.SnapshotPart(deployment=deployment)
    workers = [state.fleet.workers[name] for name in sorted(state.fleet.workers)]
    for joined in by_size(map(_worker, workers)):
        leaving = [one.worker for one in joined if state.fleet.workers[one.worker].dismissed]
        yield pb.SnapshotPart(workers=pb.SnapshotWorkers(workers=joined, dismissed=leaving))
    for worker in workers:
        yield from _held(worker)
    for left in by_count(state.fleet.left):
        names, incarnations = zip(*left, strict=True)
        yield pb.SnapshotPart(left=pb.SnapshotLeft(workers=names, incarnations=incarnations))
    yield from _answers(state)
    for archived in by_size(
        _archived(state.archived[state.archived_names[uid]]) for uid in sorted(state.archived_names)
    ):
        yield pb.SnapshotPart(archives=pb.SnapshotArchives(workflows=archived))
    for uid in sorted(state.by_uid):
        yield from workflow_parts(Kept(state.by_uid[uid], sequences.get(uid, 0), rests.get(uid, "")))


def _worker(worker: Worker) -> journal_pb2.WorkerJoined:
    return journal_pb2.WorkerJoined(
        worker=worker.name,
        incarnation=worker.incarnation,
        pool=worker.pool,
        slots=worker.slots,
        prefetch=worker.prefetch,
        partition=worker.partition,
        executor=worker.executor,
        host=worker.host,
        draining=worker.draining,
        metadata_json=json.dumps(dict(worker.metadata), sort_keys=True) if worker.metadata else "",
        resources=resources_to_proto(worker.resources),
        trouble=worker.trouble,
        version=worker.version,
    )


def _place(held: tuple[AttemptId, bool]) -> tuple[bool, AttemptId | tuple[()]]:
    """Return what to sort by: current attempts stay as they were dispatched, since the first of them have the slots."""
    attempt, is_stopping = held
    return is_stopping, attempt if is_stopping else ()


def _held(worker: Worker) -> Iterator[pb.SnapshotPart]:
    """Yield what a worker holds, those attempts last that are being stopped."""
    for held in by_count(sorted(worker.held.items(), key=_place)):
        message = pb.SnapshotHeld(
            worker=worker.name,
            workflow_uids=[attempt.uid for attempt, _ in held],
            steps=[attempt.step for attempt, _ in held],
            attempts=[attempt.attempt for attempt, _ in held],
            stopping=sum(stopping for _, stopping in held),
            since_ms=[worker.since_ms[attempt] for attempt, _ in held],
        )
        for place, (attempt, _) in enumerate(held):
            if attempt in worker.demands:
                message.demanding.append(place)
                message.demands.append(pb.SnapshotDemand(**worker.demands[attempt]._asdict()))
        yield pb.SnapshotPart(held=message)


def _answers(state: Deployment) -> Iterator[pb.SnapshotPart]:
    encoded = (
        pb.SnapshotAnswers(
            requests=[
                journal_pb2.RequestAnswered(request_id=request_id, digest=known.digest, answer_json=known.answer)
            ],
            at_ms=[known.at_ms],
        )
        for request_id, known in state.answered.items()
    )
    for answers in by_size(encoded):
        together = pb.SnapshotAnswers()
        for one in answers:
            together.MergeFrom(one)
        yield pb.SnapshotPart(answers=together)


def _archived(archived: Archived) -> pb.SnapshotArchived:
    line = archived.summary
    return pb.SnapshotArchived(
        uid=archived.uid,
        name=line.name,
        owner=line.owner,
        state=line.state,
        properties_json=json.dumps(dict(line.properties)),
        steps=line.steps.values(),
        created_ms=line.created_ms,
        updated_ms=line.updated_ms,
        revision=line.revision,
        sequence=archived.sequence,
        rest=archived.rest,
        file=file_to_proto(archived.file),
    )


def _archived_from(one: pb.SnapshotArchived) -> Archived:
    steps = {state.word: count for state, count in zip(StepState, one.steps, strict=True)}
    line = Summary(
        one.name, one.owner, one.state, json.loads(one.properties_json), steps, one.created_ms, one.updated_ms,
        one.revision, archived=True,
    )  # fmt: skip
    return Archived(one.uid, line, one.sequence, one.rest, file_from_proto(one.file))


def _adopt(announcer: Announcer, kept: Kept) -> None:
    uid = kept.workflow.uid
    announcer.state.adopt(kept.workflow)
    if kept.sequence:
        announcer.sequences[uid] = kept.sequence
    if kept.rest:
        announcer.rests[uid] = kept.rest


def _feed(state: Deployment, part: pb.SnapshotPart) -> None:
    """Take in a part that belongs to no workflow."""
    match part.WhichOneof("part"):
        case "deployment":
            state.last_uid = part.deployment.last_uid
            state.doomed.update(zip(part.deployment.doomed_uids, part.deployment.doomed_names, strict=True))
            state.wiped.update(zip(part.deployment.wiped_uids, part.deployment.wiped_names, strict=True))
        case "workers":
            _feed_workers(state, part.workers)
        case "held":
            _feed_held(state.fleet.workers[part.held.worker], part.held)
        case "left":
            state.fleet.left.update(dict.fromkeys(zip(part.left.workers, part.left.incarnations, strict=True)))
        case "answers":
            for known, at_ms in zip(part.answers.requests, part.answers.at_ms, strict=True):
                answered = Answered(known.digest, known.answer_json, at_ms)
                state.answered.remember(known.request_id, answered)
        case "archives":
            for archived in part.archives.workflows:
                state.put_aside(_archived_from(archived))
        case other:
            raise SnapshotDamaged(f"A part of the kind {other!r} lies where it does not belong.")


def _feed_workers(state: Deployment, workers: pb.SnapshotWorkers) -> None:
    """Let workers be there."""
    for one in workers.workers:
        state.fleet.join(
            Worker(
                one.worker, one.incarnation, one.pool, one.slots, one.prefetch, one.partition, one.executor, one.host,
                one.draining, json.loads(one.metadata_json or "{}"), resources_from_proto(one.resources), one.trouble,
                one.version,
            )
        )  # fmt: skip
    for name in workers.dismissed:
        state.fleet.dismiss(name)


def _feed_held(worker: Worker, held: pb.SnapshotHeld) -> None:
    """Give a worker what it held."""
    attempts = map(AttemptId, held.workflow_uids, held.steps, held.attempts)
    current = len(held.steps) - held.stopping
    demands = {
        place: Amounts(one.milli_cpus, one.memory_bytes, one.gpus)
        for place, one in zip(held.demanding, held.demands, strict=True)
    }
    for place, (attempt, since_ms) in enumerate(zip(attempts, held.since_ms, strict=True)):
        worker.hold(attempt, since_ms, demands.get(place, NOTHING), stopping=place >= current)


def _bytes_of(parts: Iterable[Message]) -> Iterator[bytes]:
    return (part.SerializeToString(deterministic=True) for part in parts)


def _sealed(messages: Iterable[bytes]) -> Iterator[bytes]:
    """Yield messages, and at the end one that tells that they are all there and as they were."""
    seal = sha256()
    for message in messages:
        seal.update(message)
        yield message
    yield from _bytes_of([pb.SnapshotPart(tail=pb.SnapshotTail(sha256=seal.digest()))])


def _opened(messages: Iterable[bytes]) -> Iterator[pb.SnapshotPart]:
    """Yield sealed messages, decoded; the tail is left out.

    Raises:
        SnapshotDamaged: one cannot be decoded, the tail is missing, or it tells of others.
    """
    seal = sha256()
    is_sealed = False
    for message in messages:
        try:
            part = pb.SnapshotPart.FromString(message)
        except DecodeError as error:
            raise SnapshotDamaged(f"A part of the snapshot cannot be decoded: {error}.") from error
        if is_sealed or (part.HasField("tail") and part.tail.sha256 != seal.digest()):
            raise SnapshotDamaged("The snapshot is not what was written.")
        is_sealed = part.HasField("tail")
        seal.update(message)
        if not is_sealed:
            yield part
    if not is_sealed:
        raise SnapshotDamaged("The snapshot has no end.")
