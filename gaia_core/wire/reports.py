"""Report records: what one incarnation of one worker says, as bytes and back.

Called by workers (`ReportPacker`, encode) and by the coordinator (decode). A record carries many reports, so that what
ended together travels together.
"""

from collections.abc import Callable
from typing import Any, Final

from google.protobuf.message import DecodeError

from gaia.v1 import model_pb2, worker_pb2
from gaia_core.errors import RequestError
from gaia_core.machine.reports import (
    CacheFigures,
    Cancelled,
    Completed,
    Failed,
    Goodbye,
    Heartbeat,
    Hello,
    Progress,
    Report,
    Started,
    WorkerReports,
)
from gaia_core.wire.files import (
    failure_from_proto,
    failure_to_proto,
    fence_from_proto,
    fence_to_proto,
    publication_to_proto,
    publications_from_proto,
)
from gaia_core.wire.model import (
    properties_to_struct,
    resources_from_proto,
    resources_to_proto,
    struct_to_properties,
)
from gaia_core.workflow.metadata import parse_metadata

RECORD_BYTES_FULL: Final = 16 * 1024
"""A record that has grown this far is closed: a thousand ends of Steps or so, which the coordinator enters at once. A
bus takes far more, so one more report always fits."""

WORDS_MAX: Final = 200
"""Characters of what a program says of how far it is."""


class ReportPacker:
    """Reports that wait to be sent, packed into as few records as their size allows. Not safe for several threads."""

    def __init__(self, worker: str, incarnation: str) -> None:
        """Name who speaks."""
        self._worker = worker
        self._incarnation = incarnation
        self._full: list[bytes] = []
        self._record = self._empty()
        self._size_bytes = 0

    def add(self, report: Report) -> None:
        """Append one report."""
        message = report_to_proto(report)
        self._record.reports.append(message)
        self._grown(message.ByteSize())

    def add_completed(self, fence: worker_pb2.Fence) -> None:
        """Append the completion of an attempt without outputs; the cheap way for executors that take no time."""
        self._record.reports.add().completed.fence.CopyFrom(fence)
        self._grown(fence.ByteSize() + 8)

    def take(self) -> list[bytes]:
        """Return the records to send, and start anew."""
        self._close()
        records, self._full = self._full, []
        return records

    def _grown(self, size_bytes: int) -> None:
        self._size_bytes += size_bytes
        if self._size_bytes >= RECORD_BYTES_FULL:
            self._close()

    def _close(self) -> None:
        if self._record.reports:
            self._full.append(self._record.SerializeToString())
            self._record = self._empty()
            self._size_bytes = 0

    def _empty(self) -> worker_pb2.ReportRecord:
        return worker_pb2.ReportRecord(worker=self._worker, incarnation=self._incarnation)


def encode_reports(reports: WorkerReports) -> bytes:
    """Encode one report record."""
    record = worker_pb2.ReportRecord(
        worker=reports.worker,
        incarnation=reports.incarnation,
        reports=[report_to_proto(report) for report in reports.reports],
    )
    return record.SerializeToString()


def decode_reports(data: bytes) -> WorkerReports:
    """Decode one report record; reports of a kind that this version does not know are left out.

    Raises:
        RequestError: the bytes are no report record, or it does not say who speaks.
    """
    try:
        record = worker_pb2.ReportRecord.FromString(data)
    except DecodeError as problem:
        raise RequestError(f"undecodable report record of {len(data)} bytes: {problem}") from problem
    if not record.worker or not record.incarnation:
        raise RequestError(f"report record of {len(data)} bytes names no worker or no incarnation")
    reports = (report_from_proto(message) for message in record.reports)
    return WorkerReports(record.worker, record.incarnation, tuple(report for report in reports if report is not None))


def report_to_proto(report: Report) -> worker_pb2.Report:
    """Encode one report."""
    match report:
        case Completed():
            outputs = [publication_to_proto(output) for output in report.outputs]
            completed = worker_pb2.Completed(
                fence=fence_to_proto(report.fence),
                outputs=outputs,
                run_ms=report.run_ms,
                image_digest=report.image_digest,
            )
            return worker_pb2.Report(completed=completed)
        case Started():
            return worker_pb2.Report(started=worker_pb2.Started(fence=fence_to_proto(report.fence)))
        case Progress():
            return worker_pb2.Report(progress=_progress_to_proto(report))
        case Failed():
            return worker_pb2.Report(failed=_failed_to_proto(report))
        case Cancelled():
            return worker_pb2.Report(cancelled=worker_pb2.Cancelled(fence=fence_to_proto(report.fence)))
        case Heartbeat():
            return worker_pb2.Report(heartbeat=_heartbeat_to_proto(report))
        case Hello():
            return worker_pb2.Report(hello=_hello_to_proto(report))
        case Goodbye():
            return worker_pb2.Report(goodbye=worker_pb2.Goodbye(reason=report.reason))


def report_from_proto(message: worker_pb2.Report) -> Report | None:
    """Decode one report; None for a kind that this version does not know."""
    kind = message.WhichOneof("report")
    return _READ[kind](getattr(message, kind)) if kind in _READ else None


def _heartbeat_to_proto(report: Heartbeat) -> worker_pb2.Heartbeat:
    return worker_pb2.Heartbeat(
        inbox_offset=report.inbox_offset,
        held=[fence_to_proto(fence) for fence in report.held],
        finished=[fence_to_proto(fence) for fence in report.finished],
    )


def _heartbeat_from_proto(message: worker_pb2.Heartbeat) -> Heartbeat:
    held = tuple(fence_from_proto(fence) for fence in message.held)
    return Heartbeat(message.inbox_offset, held, tuple(fence_from_proto(fence) for fence in message.finished))


def _progress_to_proto(report: Progress) -> worker_pb2.Progress:
    return worker_pb2.Progress(
        fence=fence_to_proto(report.fence), done=report.done, total=report.total, message=report.message
    )


def _progress_from_proto(message: worker_pb2.Progress) -> Progress:
    """Decode how far an attempt is; of what nobody could show only so much is kept."""
    words = " ".join(message.message[: 4 * WORDS_MAX].split())[:WORDS_MAX]
    return Progress(fence_from_proto(message.fence), message.done, message.total, words)


def _failed_to_proto(report: Failed) -> worker_pb2.Failed:
    return worker_pb2.Failed(
        fence=fence_to_proto(report.fence),
        failure=failure_to_proto(report.failure),
        outputs=[publication_to_proto(output) for output in report.outputs],
        unstarted=report.unstarted,
    )


def _failed_from_proto(message: worker_pb2.Failed) -> Failed:
    outputs = publications_from_proto(message.outputs)
    failure = failure_from_proto(message.failure)
    return Failed(fence_from_proto(message.fence), failure, outputs, message.unstarted)


def _hello_to_proto(report: Hello) -> worker_pb2.Hello:
    return worker_pb2.Hello(
        pool=report.pool,
        slots=report.slots,
        prefetch=report.prefetch,
        partition=report.partition,
        start_offset=report.start_offset,
        executor=report.executor,
        host=report.host,
        version=report.version,
        draining=report.draining,
        metadata=properties_to_struct(report.metadata) if report.metadata else None,
        resources=resources_to_proto(report.resources),
        trouble=report.trouble,
        cache=cache_to_proto(report.cache) if report.cache is not None else None,
    )


def cache_to_proto(cache: CacheFigures) -> model_pb2.InputCache:
    """Encode the figures of a cache."""
    return model_pb2.InputCache(
        files=cache.files,
        size_bytes=cache.size_bytes,
        size_bytes_max=cache.size_bytes_max,
        hits=cache.hits,
        misses=cache.misses,
        hit_bytes=cache.hit_bytes,
    )


def _cache_from_proto(message: model_pb2.InputCache) -> CacheFigures:
    return CacheFigures(
        message.files,
        message.size_bytes,
        message.size_bytes_max,
        message.hits,
        message.misses,
        message.hit_bytes,
    )


def _hello_from_proto(message: worker_pb2.Hello) -> Hello:
    return Hello(
        pool=message.pool,
        slots=message.slots,
        prefetch=message.prefetch,
        partition=message.partition,
        start_offset=message.start_offset,
        executor=message.executor,
        host=message.host,
        version=message.version,
        draining=message.draining,
        metadata=_metadata(message),
        resources=resources_from_proto(message.resources),
        trouble=message.trouble,
        cache=_cache_from_proto(message.cache) if message.HasField("cache") else None,
    )


def _metadata(message: worker_pb2.Hello) -> dict[str, Any]:
    """Return what a worker was started with; of what nobody could show nothing is kept."""
    metadata, problems = parse_metadata(struct_to_properties(message.metadata))
    return {} if problems else metadata


def _completed_from_proto(message: worker_pb2.Completed) -> Completed:
    outputs = publications_from_proto(message.outputs) if message.outputs else ()
    return Completed(fence_from_proto(message.fence), outputs, message.run_ms, message.image_digest)


_READ: Final[dict[str | None, Callable[[Any], Report]]] = {
    "completed": _completed_from_proto,
    "started": lambda message: Started(fence_from_proto(message.fence)),
    "progress": _progress_from_proto,
    "failed": _failed_from_proto,
    "cancelled": lambda message: Cancelled(fence_from_proto(message.fence)),
    "heartbeat": _heartbeat_from_proto,
    "hello": _hello_from_proto,
    "goodbye": lambda message: Goodbye(message.reason),
}
