import datetime

from gaia.v1 import model_pb2 as _model_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Problem(_message.Message):
    __slots__ = ("place", "message")
    PLACE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    place: str
    message: str
    def __init__(self, place: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("error", "message", "hint", "problems")
    ERROR_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    PROBLEMS_FIELD_NUMBER: _ClassVar[int]
    error: str
    message: str
    hint: str
    problems: _containers.RepeatedCompositeFieldContainer[Problem]
    def __init__(self, error: _Optional[str] = ..., message: _Optional[str] = ..., hint: _Optional[str] = ..., problems: _Optional[_Iterable[_Union[Problem, _Mapping]]] = ...) -> None: ...

class Diff(_message.Message):
    __slots__ = ("added", "updated", "unchanged", "recomputed")
    ADDED_FIELD_NUMBER: _ClassVar[int]
    UPDATED_FIELD_NUMBER: _ClassVar[int]
    UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    RECOMPUTED_FIELD_NUMBER: _ClassVar[int]
    added: _containers.RepeatedScalarFieldContainer[str]
    updated: _containers.RepeatedScalarFieldContainer[str]
    unchanged: _containers.RepeatedScalarFieldContainer[str]
    recomputed: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, added: _Optional[_Iterable[str]] = ..., updated: _Optional[_Iterable[str]] = ..., unchanged: _Optional[_Iterable[str]] = ..., recomputed: _Optional[_Iterable[str]] = ...) -> None: ...

class StepCounts(_message.Message):
    __slots__ = ("waiting", "ready", "running", "retrying", "complete", "failed")
    WAITING_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    RETRYING_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    waiting: int
    ready: int
    running: int
    retrying: int
    complete: int
    failed: int
    def __init__(self, waiting: _Optional[int] = ..., ready: _Optional[int] = ..., running: _Optional[int] = ..., retrying: _Optional[int] = ..., complete: _Optional[int] = ..., failed: _Optional[int] = ...) -> None: ...

class Workflow(_message.Message):
    __slots__ = ("name", "owner", "state", "properties", "steps", "created", "updated")
    NAME_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    UPDATED_FIELD_NUMBER: _ClassVar[int]
    name: str
    owner: str
    state: str
    properties: _struct_pb2.Struct
    steps: StepCounts
    created: _timestamp_pb2.Timestamp
    updated: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., owner: _Optional[str] = ..., state: _Optional[str] = ..., properties: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., steps: _Optional[_Union[StepCounts, _Mapping]] = ..., created: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class WorkflowsRequest(_message.Message):
    __slots__ = ("prefix", "owner", "state")
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    prefix: str
    owner: str
    state: str
    def __init__(self, prefix: _Optional[str] = ..., owner: _Optional[str] = ..., state: _Optional[str] = ...) -> None: ...

class WorkflowsResponse(_message.Message):
    __slots__ = ("workflows",)
    WORKFLOWS_FIELD_NUMBER: _ClassVar[int]
    workflows: _containers.RepeatedCompositeFieldContainer[Workflow]
    def __init__(self, workflows: _Optional[_Iterable[_Union[Workflow, _Mapping]]] = ...) -> None: ...

class UploadRequest(_message.Message):
    __slots__ = ("request_id", "workflow", "properties", "commands", "steps")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    workflow: str
    properties: _struct_pb2.Struct
    commands: _containers.RepeatedCompositeFieldContainer[_model_pb2.Command]
    steps: _containers.RepeatedCompositeFieldContainer[_model_pb2.Step]
    def __init__(self, request_id: _Optional[str] = ..., workflow: _Optional[str] = ..., properties: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., commands: _Optional[_Iterable[_Union[_model_pb2.Command, _Mapping]]] = ..., steps: _Optional[_Iterable[_Union[_model_pb2.Step, _Mapping]]] = ...) -> None: ...

class UploadResponse(_message.Message):
    __slots__ = ("diff",)
    DIFF_FIELD_NUMBER: _ClassVar[int]
    diff: Diff
    def __init__(self, diff: _Optional[_Union[Diff, _Mapping]] = ...) -> None: ...

class CommandRequest(_message.Message):
    __slots__ = ("request_id", "workflow", "commands")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    workflow: str
    commands: _containers.RepeatedCompositeFieldContainer[_model_pb2.Command]
    def __init__(self, request_id: _Optional[str] = ..., workflow: _Optional[str] = ..., commands: _Optional[_Iterable[_Union[_model_pb2.Command, _Mapping]]] = ...) -> None: ...

class CommandResponse(_message.Message):
    __slots__ = ("commands",)
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    commands: _containers.RepeatedCompositeFieldContainer[_model_pb2.Command]
    def __init__(self, commands: _Optional[_Iterable[_Union[_model_pb2.Command, _Mapping]]] = ...) -> None: ...

class MergeRequest(_message.Message):
    __slots__ = ("request_id", "workflow", "steps")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    workflow: str
    steps: _containers.RepeatedCompositeFieldContainer[_model_pb2.Step]
    def __init__(self, request_id: _Optional[str] = ..., workflow: _Optional[str] = ..., steps: _Optional[_Iterable[_Union[_model_pb2.Step, _Mapping]]] = ...) -> None: ...

class MergeResponse(_message.Message):
    __slots__ = ("diff",)
    DIFF_FIELD_NUMBER: _ClassVar[int]
    diff: Diff
    def __init__(self, diff: _Optional[_Union[Diff, _Mapping]] = ...) -> None: ...

class RunRequest(_message.Message):
    __slots__ = ("request_id", "workflow")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    workflow: str
    def __init__(self, request_id: _Optional[str] = ..., workflow: _Optional[str] = ...) -> None: ...

class RunResponse(_message.Message):
    __slots__ = ("workflow", "state")
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    workflow: str
    state: str
    def __init__(self, workflow: _Optional[str] = ..., state: _Optional[str] = ...) -> None: ...

class HaltRequest(_message.Message):
    __slots__ = ("request_id", "workflow")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    workflow: str
    def __init__(self, request_id: _Optional[str] = ..., workflow: _Optional[str] = ...) -> None: ...

class HaltResponse(_message.Message):
    __slots__ = ("workflow", "state")
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    workflow: str
    state: str
    def __init__(self, workflow: _Optional[str] = ..., state: _Optional[str] = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ("workflow", "debug", "page_start", "page_size")
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    DEBUG_FIELD_NUMBER: _ClassVar[int]
    PAGE_START_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    workflow: str
    debug: bool
    page_start: int
    page_size: int
    def __init__(self, workflow: _Optional[str] = ..., debug: _Optional[bool] = ..., page_start: _Optional[int] = ..., page_size: _Optional[int] = ...) -> None: ...

class StatusResponse(_message.Message):
    __slots__ = ("state", "stalled", "commands", "steps", "waiting_inputs", "waiting_inputs_count", "missing_inputs", "failed", "debug")
    STATE_FIELD_NUMBER: _ClassVar[int]
    STALLED_FIELD_NUMBER: _ClassVar[int]
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    WAITING_INPUTS_FIELD_NUMBER: _ClassVar[int]
    WAITING_INPUTS_COUNT_FIELD_NUMBER: _ClassVar[int]
    MISSING_INPUTS_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    DEBUG_FIELD_NUMBER: _ClassVar[int]
    state: str
    stalled: bool
    commands: _containers.RepeatedCompositeFieldContainer[_model_pb2.Command]
    steps: StepCounts
    waiting_inputs: _containers.RepeatedScalarFieldContainer[str]
    waiting_inputs_count: int
    missing_inputs: _containers.RepeatedScalarFieldContainer[str]
    failed: _containers.RepeatedCompositeFieldContainer[FailedStep]
    debug: Debug
    def __init__(self, state: _Optional[str] = ..., stalled: _Optional[bool] = ..., commands: _Optional[_Iterable[_Union[_model_pb2.Command, _Mapping]]] = ..., steps: _Optional[_Union[StepCounts, _Mapping]] = ..., waiting_inputs: _Optional[_Iterable[str]] = ..., waiting_inputs_count: _Optional[int] = ..., missing_inputs: _Optional[_Iterable[str]] = ..., failed: _Optional[_Iterable[_Union[FailedStep, _Mapping]]] = ..., debug: _Optional[_Union[Debug, _Mapping]] = ...) -> None: ...

class FailedStep(_message.Message):
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

class Debug(_message.Message):
    __slots__ = ("steps", "next_page_start", "workers")
    STEPS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_START_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    steps: _containers.RepeatedCompositeFieldContainer[StepDebug]
    next_page_start: int
    workers: _containers.RepeatedCompositeFieldContainer[WorkerDebug]
    def __init__(self, steps: _Optional[_Iterable[_Union[StepDebug, _Mapping]]] = ..., next_page_start: _Optional[int] = ..., workers: _Optional[_Iterable[_Union[WorkerDebug, _Mapping]]] = ...) -> None: ...

class StepDebug(_message.Message):
    __slots__ = ("name", "command", "state", "attempt", "worker", "inputs", "outputs", "missing_inputs")
    class InputsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class OutputsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    MISSING_INPUTS_FIELD_NUMBER: _ClassVar[int]
    name: str
    command: str
    state: str
    attempt: int
    worker: str
    inputs: _containers.ScalarMap[str, str]
    outputs: _containers.ScalarMap[str, str]
    missing_inputs: int
    def __init__(self, name: _Optional[str] = ..., command: _Optional[str] = ..., state: _Optional[str] = ..., attempt: _Optional[int] = ..., worker: _Optional[str] = ..., inputs: _Optional[_Mapping[str, str]] = ..., outputs: _Optional[_Mapping[str, str]] = ..., missing_inputs: _Optional[int] = ...) -> None: ...

class WorkerDebug(_message.Message):
    __slots__ = ("name", "pool", "slots", "prefetch", "attempts", "executor", "host")
    NAME_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    PREFETCH_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    EXECUTOR_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    name: str
    pool: str
    slots: int
    prefetch: int
    attempts: int
    executor: str
    host: str
    def __init__(self, name: _Optional[str] = ..., pool: _Optional[str] = ..., slots: _Optional[int] = ..., prefetch: _Optional[int] = ..., attempts: _Optional[int] = ..., executor: _Optional[str] = ..., host: _Optional[str] = ...) -> None: ...

class ExpireRequest(_message.Message):
    __slots__ = ("request_id", "workflow", "names")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    workflow: str
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, request_id: _Optional[str] = ..., workflow: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ...) -> None: ...

class ExpireResponse(_message.Message):
    __slots__ = ("steps", "keys")
    STEPS_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    steps: _containers.RepeatedScalarFieldContainer[str]
    keys: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, steps: _Optional[_Iterable[str]] = ..., keys: _Optional[_Iterable[str]] = ...) -> None: ...

class LaunchRequest(_message.Message):
    __slots__ = ("request_id", "names", "metadata")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    names: _containers.RepeatedScalarFieldContainer[str]
    metadata: _struct_pb2.Struct
    def __init__(self, request_id: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...

class LaunchResponse(_message.Message):
    __slots__ = ("names",)
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...

class PutRequest(_message.Message):
    __slots__ = ("header", "data", "end")
    HEADER_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    header: PutHeader
    data: bytes
    end: PutEnd
    def __init__(self, header: _Optional[_Union[PutHeader, _Mapping]] = ..., data: _Optional[bytes] = ..., end: _Optional[_Union[PutEnd, _Mapping]] = ...) -> None: ...

class PutEnd(_message.Message):
    __slots__ = ("size_bytes", "sha256")
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    size_bytes: int
    sha256: bytes
    def __init__(self, size_bytes: _Optional[int] = ..., sha256: _Optional[bytes] = ...) -> None: ...

class PutHeader(_message.Message):
    __slots__ = ("workflow", "key")
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    workflow: str
    key: str
    def __init__(self, workflow: _Optional[str] = ..., key: _Optional[str] = ...) -> None: ...

class PutResponse(_message.Message):
    __slots__ = ("file",)
    FILE_FIELD_NUMBER: _ClassVar[int]
    file: _model_pb2.FileVersion
    def __init__(self, file: _Optional[_Union[_model_pb2.FileVersion, _Mapping]] = ...) -> None: ...

class GetRequest(_message.Message):
    __slots__ = ("workflow", "key")
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    workflow: str
    key: str
    def __init__(self, workflow: _Optional[str] = ..., key: _Optional[str] = ...) -> None: ...

class GetResponse(_message.Message):
    __slots__ = ("file", "data")
    FILE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    file: _model_pb2.FileVersion
    data: bytes
    def __init__(self, file: _Optional[_Union[_model_pb2.FileVersion, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...

class ListRequest(_message.Message):
    __slots__ = ("workflow", "prefix")
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    workflow: str
    prefix: str
    def __init__(self, workflow: _Optional[str] = ..., prefix: _Optional[str] = ...) -> None: ...

class ListResponse(_message.Message):
    __slots__ = ("files", "truncated")
    FILES_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[_model_pb2.FileVersion]
    truncated: bool
    def __init__(self, files: _Optional[_Iterable[_Union[_model_pb2.FileVersion, _Mapping]]] = ..., truncated: _Optional[bool] = ...) -> None: ...

class InputsRequest(_message.Message):
    __slots__ = ("workflow_uid", "step", "attempt")
    WORKFLOW_UID_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    workflow_uid: int
    step: int
    attempt: int
    def __init__(self, workflow_uid: _Optional[int] = ..., step: _Optional[int] = ..., attempt: _Optional[int] = ...) -> None: ...

class InputsResponse(_message.Message):
    __slots__ = ("name", "sources")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    name: str
    sources: _containers.RepeatedCompositeFieldContainer[_model_pb2.Publication]
    def __init__(self, name: _Optional[str] = ..., sources: _Optional[_Iterable[_Union[_model_pb2.Publication, _Mapping]]] = ...) -> None: ...
