from gaia.v1 import model_pb2 as _model_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Fence(_message.Message):
    __slots__ = ("workflow_uid", "step", "attempt", "term")
    WORKFLOW_UID_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    TERM_FIELD_NUMBER: _ClassVar[int]
    workflow_uid: int
    step: int
    attempt: int
    term: int
    def __init__(self, workflow_uid: _Optional[int] = ..., step: _Optional[int] = ..., attempt: _Optional[int] = ..., term: _Optional[int] = ...) -> None: ...

class InboxRecord(_message.Message):
    __slots__ = ("worker", "incarnation", "term", "entries")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    TERM_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    worker: str
    incarnation: str
    term: int
    entries: _containers.RepeatedCompositeFieldContainer[InboxEntry]
    def __init__(self, worker: _Optional[str] = ..., incarnation: _Optional[str] = ..., term: _Optional[int] = ..., entries: _Optional[_Iterable[_Union[InboxEntry, _Mapping]]] = ...) -> None: ...

class InboxEntry(_message.Message):
    __slots__ = ("dispatch", "cancel", "drain")
    DISPATCH_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    dispatch: Dispatch
    cancel: Cancel
    drain: Drain
    def __init__(self, dispatch: _Optional[_Union[Dispatch, _Mapping]] = ..., cancel: _Optional[_Union[Cancel, _Mapping]] = ..., drain: _Optional[_Union[Drain, _Mapping]] = ...) -> None: ...

class Dispatch(_message.Message):
    __slots__ = ("fence", "workflow", "step_name", "command_name", "image", "argv", "inputs", "outputs", "stdout", "timeout_s", "network", "env", "workdir", "entrypoint", "resources", "keep", "inputs_by_rpc", "secrets", "reuse", "keep_entrypoint")
    class EnvEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class SecretsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    FENCE_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    STEP_NAME_FIELD_NUMBER: _ClassVar[int]
    COMMAND_NAME_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    ARGV_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    STDOUT_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_S_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    ENV_FIELD_NUMBER: _ClassVar[int]
    WORKDIR_FIELD_NUMBER: _ClassVar[int]
    ENTRYPOINT_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    KEEP_FIELD_NUMBER: _ClassVar[int]
    INPUTS_BY_RPC_FIELD_NUMBER: _ClassVar[int]
    SECRETS_FIELD_NUMBER: _ClassVar[int]
    REUSE_FIELD_NUMBER: _ClassVar[int]
    KEEP_ENTRYPOINT_FIELD_NUMBER: _ClassVar[int]
    fence: Fence
    workflow: str
    step_name: str
    command_name: str
    image: str
    argv: _containers.RepeatedScalarFieldContainer[str]
    inputs: _containers.RepeatedCompositeFieldContainer[Input]
    outputs: _containers.RepeatedCompositeFieldContainer[Output]
    stdout: str
    timeout_s: float
    network: bool
    env: _containers.ScalarMap[str, str]
    workdir: str
    entrypoint: _containers.RepeatedScalarFieldContainer[str]
    resources: _model_pb2.Resources
    keep: str
    inputs_by_rpc: bool
    secrets: _containers.ScalarMap[str, str]
    reuse: bool
    keep_entrypoint: bool
    def __init__(self, fence: _Optional[_Union[Fence, _Mapping]] = ..., workflow: _Optional[str] = ..., step_name: _Optional[str] = ..., command_name: _Optional[str] = ..., image: _Optional[str] = ..., argv: _Optional[_Iterable[str]] = ..., inputs: _Optional[_Iterable[_Union[Input, _Mapping]]] = ..., outputs: _Optional[_Iterable[_Union[Output, _Mapping]]] = ..., stdout: _Optional[str] = ..., timeout_s: _Optional[float] = ..., network: _Optional[bool] = ..., env: _Optional[_Mapping[str, str]] = ..., workdir: _Optional[str] = ..., entrypoint: _Optional[_Iterable[str]] = ..., resources: _Optional[_Union[_model_pb2.Resources, _Mapping]] = ..., keep: _Optional[str] = ..., inputs_by_rpc: _Optional[bool] = ..., secrets: _Optional[_Mapping[str, str]] = ..., reuse: _Optional[bool] = ..., keep_entrypoint: _Optional[bool] = ...) -> None: ...

class Input(_message.Message):
    __slots__ = ("name", "key", "path", "sources")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    SOURCES_FIELD_NUMBER: _ClassVar[int]
    name: str
    key: str
    path: str
    sources: _containers.RepeatedCompositeFieldContainer[_model_pb2.Publication]
    def __init__(self, name: _Optional[str] = ..., key: _Optional[str] = ..., path: _Optional[str] = ..., sources: _Optional[_Iterable[_Union[_model_pb2.Publication, _Mapping]]] = ...) -> None: ...

class Output(_message.Message):
    __slots__ = ("name", "key", "path")
    NAME_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    name: str
    key: str
    path: str
    def __init__(self, name: _Optional[str] = ..., key: _Optional[str] = ..., path: _Optional[str] = ...) -> None: ...

class Cancel(_message.Message):
    __slots__ = ("fence", "reason")
    FENCE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    fence: Fence
    reason: str
    def __init__(self, fence: _Optional[_Union[Fence, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class Drain(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...

class ReportRecord(_message.Message):
    __slots__ = ("worker", "incarnation", "reports")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    REPORTS_FIELD_NUMBER: _ClassVar[int]
    worker: str
    incarnation: str
    reports: _containers.RepeatedCompositeFieldContainer[Report]
    def __init__(self, worker: _Optional[str] = ..., incarnation: _Optional[str] = ..., reports: _Optional[_Iterable[_Union[Report, _Mapping]]] = ...) -> None: ...

class Report(_message.Message):
    __slots__ = ("hello", "heartbeat", "started", "completed", "failed", "cancelled", "goodbye", "progress")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    GOODBYE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    heartbeat: Heartbeat
    started: Started
    completed: Completed
    failed: Failed
    cancelled: Cancelled
    goodbye: Goodbye
    progress: Progress
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ..., started: _Optional[_Union[Started, _Mapping]] = ..., completed: _Optional[_Union[Completed, _Mapping]] = ..., failed: _Optional[_Union[Failed, _Mapping]] = ..., cancelled: _Optional[_Union[Cancelled, _Mapping]] = ..., goodbye: _Optional[_Union[Goodbye, _Mapping]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("pool", "slots", "prefetch", "partition", "start_offset", "executor", "host", "version", "draining", "metadata", "resources", "trouble", "cache")
    POOL_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    PREFETCH_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    START_OFFSET_FIELD_NUMBER: _ClassVar[int]
    EXECUTOR_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    TROUBLE_FIELD_NUMBER: _ClassVar[int]
    CACHE_FIELD_NUMBER: _ClassVar[int]
    pool: str
    slots: int
    prefetch: int
    partition: int
    start_offset: int
    executor: str
    host: str
    version: str
    draining: bool
    metadata: _struct_pb2.Struct
    resources: _model_pb2.Resources
    trouble: str
    cache: _model_pb2.InputCache
    def __init__(self, pool: _Optional[str] = ..., slots: _Optional[int] = ..., prefetch: _Optional[int] = ..., partition: _Optional[int] = ..., start_offset: _Optional[int] = ..., executor: _Optional[str] = ..., host: _Optional[str] = ..., version: _Optional[str] = ..., draining: _Optional[bool] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., resources: _Optional[_Union[_model_pb2.Resources, _Mapping]] = ..., trouble: _Optional[str] = ..., cache: _Optional[_Union[_model_pb2.InputCache, _Mapping]] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("inbox_offset", "held", "finished")
    INBOX_OFFSET_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    inbox_offset: int
    held: _containers.RepeatedCompositeFieldContainer[Fence]
    finished: _containers.RepeatedCompositeFieldContainer[Fence]
    def __init__(self, inbox_offset: _Optional[int] = ..., held: _Optional[_Iterable[_Union[Fence, _Mapping]]] = ..., finished: _Optional[_Iterable[_Union[Fence, _Mapping]]] = ...) -> None: ...

class Started(_message.Message):
    __slots__ = ("fence",)
    FENCE_FIELD_NUMBER: _ClassVar[int]
    fence: Fence
    def __init__(self, fence: _Optional[_Union[Fence, _Mapping]] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("fence", "done", "total", "message")
    FENCE_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    fence: Fence
    done: int
    total: int
    message: str
    def __init__(self, fence: _Optional[_Union[Fence, _Mapping]] = ..., done: _Optional[int] = ..., total: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...

class Completed(_message.Message):
    __slots__ = ("fence", "outputs", "run_ms", "image_digest")
    FENCE_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    RUN_MS_FIELD_NUMBER: _ClassVar[int]
    IMAGE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    fence: Fence
    outputs: _containers.RepeatedCompositeFieldContainer[_model_pb2.Publication]
    run_ms: int
    image_digest: str
    def __init__(self, fence: _Optional[_Union[Fence, _Mapping]] = ..., outputs: _Optional[_Iterable[_Union[_model_pb2.Publication, _Mapping]]] = ..., run_ms: _Optional[int] = ..., image_digest: _Optional[str] = ...) -> None: ...

class Failed(_message.Message):
    __slots__ = ("fence", "failure", "outputs", "unstarted")
    FENCE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    UNSTARTED_FIELD_NUMBER: _ClassVar[int]
    fence: Fence
    failure: _model_pb2.Failure
    outputs: _containers.RepeatedCompositeFieldContainer[_model_pb2.Publication]
    unstarted: bool
    def __init__(self, fence: _Optional[_Union[Fence, _Mapping]] = ..., failure: _Optional[_Union[_model_pb2.Failure, _Mapping]] = ..., outputs: _Optional[_Iterable[_Union[_model_pb2.Publication, _Mapping]]] = ..., unstarted: _Optional[bool] = ...) -> None: ...

class Cancelled(_message.Message):
    __slots__ = ("fence",)
    FENCE_FIELD_NUMBER: _ClassVar[int]
    fence: Fence
    def __init__(self, fence: _Optional[_Union[Fence, _Mapping]] = ...) -> None: ...

class Goodbye(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...
