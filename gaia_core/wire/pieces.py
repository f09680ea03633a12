"""Logs of attempts as bytes and back: pieces, records of the logs topic, and what lies in the store.

Called by workers, which write them, and by the service, which reads them.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError

from gaia.v1 import logs_pb2
from gaia_core.errors import RequestError
from gaia_core.wire.public import timestamp

STDOUT: Final = logs_pb2.LOG_STREAM_STDOUT
STDERR: Final = logs_pb2.LOG_STREAM_STDERR

_LENGTH: Final = struct.Struct(">L")
"""Stands before each piece in the store."""


class Piece(NamedTuple):
    """Some bytes that an attempt wrote to one of its streams.

    Attributes:
        offset: how much it had written before, to both.
        stream: STDOUT or STDERR.
        time_ms: when the first of them was written, milliseconds since the epoch.
    """

    offset: int
    stream: int
    time_ms: int
    data: bytes

    @property
    def end(self) -> int:
        """Return the place after its last byte."""
        return self.offset + len(self.data)

    def beginning_at(self, offset: int) -> "Piece":
        """Return what of it lies at an offset or behind."""
        if offset <= self.offset:
            return self
        return self._replace(offset=offset, data=self.data[offset - self.offset :])


class LogRecord(NamedTuple):
    """Some of what one attempt wrote, as it goes.

    Attributes:
        uid: of the workflow.
        step_index: of the Step in its workflow.
        size_bytes: how much it wrote up to the end of this record.
        ended: nothing more comes.
    """

    workflow: str
    uid: int
    step: str
    step_index: int
    attempt: int
    pieces: tuple[Piece, ...]
    size_bytes: int
    ended: bool = False


def log_key(workflow: str, step: str) -> str:
    """Return the key of a Step's records in the logs topic; neither name has a slash."""
    return f"{workflow}/{step}"


def piece_message(piece: Piece) -> logs_pb2.LogPiece:
    """Encode a piece as a message."""
    stream: logs_pb2.LogStream = piece.stream  # type: ignore[assignment]
    return logs_pb2.LogPiece(offset=piece.offset, stream=stream, time=timestamp(piece.time_ms), data=piece.data)


def encode_record(record: LogRecord) -> bytes:
    """Encode one record of the logs topic."""
    return logs_pb2.LogRecord(
        workflow=record.workflow,
        workflow_uid=record.uid,
        step=record.step,
        step_index=record.step_index,
        attempt=record.attempt,
        pieces=[piece_message(piece) for piece in record.pieces],
        size_bytes=record.size_bytes,
        ended=record.ended,
    ).SerializeToString()


def decode_record(data: bytes) -> LogRecord:
    """Decode one record of the logs topic.

    Raises:
        RequestError: the bytes are none.
    """
    try:
        message = logs_pb2.LogRecord.FromString(data)
    except DecodeError as problem:
        raise RequestError(f"undecodable log record of {len(data)} bytes: {problem}") from problem
    pieces = tuple(_piece(piece) for piece in message.pieces)
    whose = (message.workflow, message.workflow_uid, message.step, message.step_index, message.attempt)
    return LogRecord(*whose, pieces, message.size_bytes, message.ended)


def stored(piece: Piece) -> bytes:
    """Return a piece as it lies in a stored log, behind its length."""
    data = piece_message(piece).SerializeToString()
    return _LENGTH.pack(len(data)) + data


def read_stored(chunks: Iterable[bytes]) -> Iterator[Piece]:
    """Yield the pieces of a stored log; memory holds a piece and a chunk. What is cut off at the end is left out.

    Raises:
        RequestError: something else lies there.
    """
    pending = b""
    for chunk in chunks:
        pending += chunk
        start = 0
        while (begin := start + _LENGTH.size) <= len(pending):
            end = begin + _LENGTH.unpack_from(pending, start)[0]
            if end > len(pending):
                break
            yield _parsed(pending[begin:end])
            start = end
        pending = pending[start:]


def _parsed(data: bytes) -> Piece:
    try:
        return _piece(logs_pb2.LogPiece.FromString(data))
    except DecodeError as problem:
        raise RequestError(f"the stored log is damaged: {problem}") from problem


def _piece(message: logs_pb2.LogPiece) -> Piece:
    time_ms = message.time.seconds * 1000 + message.time.nanos // 1_000_000
    return Piece(message.offset, message.stream, time_ms, message.data)
