import datetime

from gaia.v1 import model_pb2 as _model_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Event(_message.Message):
    __slots__ = ("workflow", "workflow_uid", "sequence", "time", "workflow_changed", "step_completed", "step_failed", "step_cancelled", "step_expired", "step_retrying", "key_available", "key_forgotten", "step_started", "worker_changed", "step_progress")
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_UID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_CHANGED_FIELD_NUMBER: _ClassVar[int]
    STEP_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    STEP_FAILED_FIELD_NUMBER: _ClassVar[int]
    STEP_CANCELLED_FIELD_NUMBER: _ClassVar[int]
    STEP_EXPIRED_FIELD_NUMBER: _ClassVar[int]
    STEP_RETRYING_FIELD_NUMBER: _ClassVar[int]
    KEY_AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    KEY_FORGOTTEN_FIELD_NUMBER: _ClassVar[int]
    STEP_STARTED_FIELD_NUMBER: _ClassVar[int]
    WORKER_CHANGED_FIELD_NUMBER: _ClassVar[int]
    STEP_PROGRESS_FIELD_NUMBER: _ClassVar[int]
    workflow: str
    workflow_uid: int
    sequence: int
    time: _timestamp_pb2.Timestamp
    workflow_changed: WorkflowChanged
    step_completed: StepCompleted
    step_failed: StepFailed
    step_cancelled: StepCancelled
    step_expired: StepExpired
    step_retrying: StepRetrying
    key_available: KeyAvailable
    key_forgotten: KeyForgotten
    step_started: StepStarted
    worker_changed: WorkerChanged
    step_progress: StepProgress
    def __init__(self, workflow: _Optional[str] = ..., workflow_uid: _Optional[int] = ..., sequence: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., workflow_changed: _Optional[_Union[WorkflowChanged, _Mapping]] = ..., step_completed: _Optional[_Union[StepCompleted, _Mapping]] = ..., step_failed: _Optional[_Union[StepFailed, _Mapping]] = ..., step_cancelled: _Optional[_Union[StepCancelled, _Mapping]] = ..., step_expired: _Optional[_Union[StepExpired, _Mapping]] = ..., step_retrying: _Optional[_Union[StepRetrying, _Mapping]] = ..., key_available: _Optional[_Union[KeyAvailable, _Mapping]] = ..., key_forgotten: _Optional[_Union[KeyForgotten, _Mapping]] = ..., step_started: _Optional[_Union[StepStarted, _Mapping]] = ..., worker_changed: _Optional[_Union[WorkerChanged, _Mapping]] = ..., step_progress: _Optional[_Union[StepProgress, _Mapping]] = ...) -> None: ...

class WorkflowChanged(_message.Message):
    __slots__ = ("change", "names", "count")
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    change: str
    names: _containers.RepeatedScalarFieldContainer[str]
    count: int
    def __init__(self, change: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ..., count: _Optional[int] = ...) -> None: ...

class StepCompleted(_message.Message):
    __slots__ = ("step", "attempt", "worker", "outputs", "run_ms", "image_digest")
    STEP_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    RUN_MS_FIELD_NUMBER: _ClassVar[int]
    IMAGE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    step: str
    attempt: int
    worker: str
    outputs: _containers.RepeatedCompositeFieldContainer[_model_pb2.Publication]
    run_ms: int
    image_digest: str
    def __init__(self, step: _Optional[str] = ..., attempt: _Optional[int] = ..., worker: _Optional[str] = ..., outputs: _Optional[_Iterable[_Union[_model_pb2.Publication, _Mapping]]] = ..., run_ms: _Optional[int] = ..., image_digest: _Optional[str] = ...) -> None: ...

class StepFailed(_message.Message):
    __slots__ = ("step", "attempt", "worker", "failure")
    STEP_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    step: str
    attempt: int
    worker: str
    failure: _model_pb2.Failure
    def __init__(self, step: _Optional[str] = ..., attempt: _Optional[int] = ..., worker: _Optional[str] = ..., failure: _Optional[_Union[_model_pb2.Failure, _Mapping]] = ...) -> None: ...

class StepCancelled(_message.Message):
    __slots__ = ("step", "attempt", "reason")
    STEP_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    step: str
    attempt: int
    reason: str
    def __init__(self, step: _Optional[str] = ..., attempt: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class StepExpired(_message.Message):
    __slots__ = ("step", "reason")
    STEP_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    step: str
    reason: str
    def __init__(self, step: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class StepRetrying(_message.Message):
    __slots__ = ("step", "attempt", "failure", "not_before")
    STEP_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    NOT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    step: str
    attempt: int
    failure: _model_pb2.Failure
    not_before: _timestamp_pb2.Timestamp
    def __init__(self, step: _Optional[str] = ..., attempt: _Optional[int] = ..., failure: _Optional[_Union[_model_pb2.Failure, _Mapping]] = ..., not_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class KeyAvailable(_message.Message):
    __slots__ = ("key", "files", "count")
    KEY_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    key: str
    files: _containers.RepeatedCompositeFieldContainer[_model_pb2.FileVersion]
    count: int
    def __init__(self, key: _Optional[str] = ..., files: _Optional[_Iterable[_Union[_model_pb2.FileVersion, _Mapping]]] = ..., count: _Optional[int] = ...) -> None: ...

class KeyForgotten(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: str
    def __init__(self, key: _Optional[str] = ...) -> None: ...

class StepStarted(_message.Message):
    __slots__ = ("step", "attempt", "worker")
    STEP_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    step: str
    attempt: int
    worker: str
    def __init__(self, step: _Optional[str] = ..., attempt: _Optional[int] = ..., worker: _Optional[str] = ...) -> None: ...

class StepProgress(_message.Message):
    __slots__ = ("step", "attempt", "worker", "done", "total", "message")
    STEP_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    step: str
    attempt: int
    worker: str
    done: int
    total: int
    message: str
    def __init__(self, step: _Optional[str] = ..., attempt: _Optional[int] = ..., worker: _Optional[str] = ..., done: _Optional[int] = ..., total: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...

class WorkerChanged(_message.Message):
    __slots__ = ("worker", "change", "pool", "reason")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    worker: str
    change: str
    pool: str
    reason: str
    def __init__(self, worker: _Optional[str] = ..., change: _Optional[str] = ..., pool: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...
