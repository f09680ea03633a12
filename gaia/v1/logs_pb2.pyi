import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LogStream(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOG_STREAM_UNSPECIFIED: _ClassVar[LogStream]
    LOG_STREAM_STDOUT: _ClassVar[LogStream]
    LOG_STREAM_STDERR: _ClassVar[LogStream]
LOG_STREAM_UNSPECIFIED: LogStream
LOG_STREAM_STDOUT: LogStream
LOG_STREAM_STDERR: LogStream

class LogPiece(_message.Message):
    __slots__ = ("offset", "stream", "time", "data")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    offset: int
    stream: LogStream
    time: _timestamp_pb2.Timestamp
    data: bytes
    def __init__(self, offset: _Optional[int] = ..., stream: _Optional[_Union[LogStream, str]] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...

class LogRecord(_message.Message):
    __slots__ = ("workflow", "workflow_uid", "step", "step_index", "attempt", "pieces", "size_bytes", "ended")
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_UID_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    STEP_INDEX_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    PIECES_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    workflow: str
    workflow_uid: int
    step: str
    step_index: int
    attempt: int
    pieces: _containers.RepeatedCompositeFieldContainer[LogPiece]
    size_bytes: int
    ended: bool
    def __init__(self, workflow: _Optional[str] = ..., workflow_uid: _Optional[int] = ..., step: _Optional[str] = ..., step_index: _Optional[int] = ..., attempt: _Optional[int] = ..., pieces: _Optional[_Iterable[_Union[LogPiece, _Mapping]]] = ..., size_bytes: _Optional[int] = ..., ended: _Optional[bool] = ...) -> None: ...
