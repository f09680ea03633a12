import datetime

from gaia.v1 import events_pb2 as _events_pb2
from gaia.v1 import logs_pb2 as _logs_pb2
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
    __slots__ = ("added", "updated", "unchanged", "recomputed", "removed", "reasons", "revision")
    ADDED_FIELD_NUMBER: _ClassVar[int]
    UPDATED_FIELD_NUMBER: _ClassVar[int]
    UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    RECOMPUTED_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    added: _containers.RepeatedScalarFieldContainer[str]
    updated: _containers.RepeatedScalarFieldContainer[str]
    unchanged: _containers.RepeatedScalarFieldContainer[str]
    recomputed: _containers.RepeatedScalarFieldContainer[str]
    removed: _containers.RepeatedScalarFieldContainer[str]
    reasons: _containers.RepeatedCompositeFieldContainer[Affected]
    revision: int
    def __init__(self, added: _Optional[_Iterable[str]] = ..., updated: _Optional[_Iterable[str]] = ..., unchanged: _Optional[_Iterable[str]] = ..., recomputed: _Optional[_Iterable[str]] = ..., removed: _Optional[_Iterable[str]] = ..., reasons: _Optional[_Iterable[_Union[Affected, _Mapping]]] = ..., revision: _Optional[int] = ...) -> None: ...

class Affected(_message.Message):
    __slots__ = ("step", "reason", "upstream", "key")
    STEP_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    step: str
    reason: str
    upstream: str
    key: str
    def __init__(self, step: _Optional[str] = ..., reason: _Optional[str] = ..., upstream: _Optional[str] = ..., key: _Optional[str] = ...) -> None: ...

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
    __slots__ = ("name", "owner", "state", "properties", "steps", "created", "updated", "revision", "archived")
    NAME_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    UPDATED_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    ARCHIVED_FIELD_NUMBER: _ClassVar[int]
    name: str
    owner: str
    state: str
    properties: _struct_pb2.Struct
    steps: StepCounts
    created: _timestamp_pb2.Timestamp
    updated: _timestamp_pb2.Timestamp
    revision: int
    archived: bool
    def __init__(self, name: _Optional[str] = ..., owner: _Optional[str] = ..., state: _Optional[str] = ..., properties: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., steps: _Optional[_Union[StepCounts, _Mapping]] = ..., created: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., revision: _Optional[int] = ..., archived: _Optional[bool] = ...) -> None: ...

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
    __slots__ = ("request_id", "workflow", "properties", "commands", "steps", "check_only")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    CHECK_ONLY_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    workflow: str
    properties: _struct_pb2.Struct
    commands: _containers.RepeatedCompositeFieldContainer[_model_pb2.Command]
    steps: _containers.RepeatedCompositeFieldContainer[_model_pb2.Step]
    check_only: bool
    def __init__(self, request_id: _Optional[str] = ..., workflow: _Optional[str] = ..., properties: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., commands: _Optional[_Iterable[_Union[_model_pb2.Command, _Mapping]]] = ..., steps: _Optional[_Iterable[_Union[_model_pb2.Step, _Mapping]]] = ..., check_only: _Optional[bool] = ...) -> None: ...

class UploadResponse(_message.Message):
    __slots__ = ("diff",)
    DIFF_FIELD_NUMBER: _ClassVar[int]
    diff: Diff
    def __init__(self, diff: _Optional[_Union[Diff, _Mapping]] = ...) -> None: ...

class CommandRequest(_message.Message):
    __slots__ = ("request_id", "workflow", "commands", "expected_revision", "check_only")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_REVISION_FIELD_NUMBER: _ClassVar[int]
    CHECK_ONLY_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    workflow: str
    commands: _containers.RepeatedCompositeFieldContainer[_model_pb2.Command]
    expected_revision: int
    check_only: bool
    def __init__(self, request_id: _Optional[str] = ..., workflow: _Optional[str] = ..., commands: _Optional[_Iterable[_Union[_model_pb2.Command, _Mapping]]] = ..., expected_revision: _Optional[int] = ..., check_only: _Optional[bool] = ...) -> None: ...

class CommandResponse(_message.Message):
    __slots__ = ("commands", "diff")
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    DIFF_FIELD_NUMBER: _ClassVar[int]
    commands: _containers.RepeatedCompositeFieldContainer[_model_pb2.Command]
    diff: Diff
    def __init__(self, commands: _Optional[_Iterable[_Union[_model_pb2.Command, _Mapping]]] = ..., diff: _Optional[_Union[Diff, _Mapping]] = ...) -> None: ...

class MergeRequest(_message.Message):
    __slots__ = ("request_id", "workflow", "steps", "expected_revision", "only_changed", "prune", "check_only")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_REVISION_FIELD_NUMBER: _ClassVar[int]
    ONLY_CHANGED_FIELD_NUMBER: _ClassVar[int]
    PRUNE_FIELD_NUMBER: _ClassVar[int]
    CHECK_ONLY_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    workflow: str
    steps: _containers.RepeatedCompositeFieldContainer[_model_pb2.Step]
    expected_revision: int
    only_changed: bool
    prune: bool
    check_only: bool
    def __init__(self, request_id: _Optional[str] = ..., workflow: _Optional[str] = ..., steps: _Optional[_Iterable[_Union[_model_pb2.Step, _Mapping]]] = ..., expected_revision: _Optional[int] = ..., only_changed: _Optional[bool] = ..., prune: _Optional[bool] = ..., check_only: _Optional[bool] = ...) -> None: ...

class MergeResponse(_message.Message):
    __slots__ = ("diff",)
    DIFF_FIELD_NUMBER: _ClassVar[int]
    diff: Diff
    def __init__(self, diff: _Optional[_Union[Diff, _Mapping]] = ...) -> None: ...

class RunRequest(_message.Message):
    __slots__ = ("request_id", "workflow", "expected_revision")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_REVISION_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    workflow: str
    expected_revision: int
    def __init__(self, request_id: _Optional[str] = ..., workflow: _Optional[str] = ..., expected_revision: _Optional[int] = ...) -> None: ...

class RunResponse(_message.Message):
    __slots__ = ("workflow", "state")
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    workflow: str
    state: str
    def __init__(self, workflow: _Optional[str] = ..., state: _Optional[str] = ...) -> None: ...

class HaltRequest(_message.Message):
    __slots__ = ("request_id", "workflow", "expected_revision")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_REVISION_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    workflow: str
    expected_revision: int
    def __init__(self, request_id: _Optional[str] = ..., workflow: _Optional[str] = ..., expected_revision: _Optional[int] = ...) -> None: ...

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
    __slots__ = ("state", "stalled", "commands", "steps", "waiting_inputs", "waiting_inputs_count", "missing_inputs", "failed", "debug", "revision", "remarks")
    STATE_FIELD_NUMBER: _ClassVar[int]
    STALLED_FIELD_NUMBER: _ClassVar[int]
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    WAITING_INPUTS_FIELD_NUMBER: _ClassVar[int]
    WAITING_INPUTS_COUNT_FIELD_NUMBER: _ClassVar[int]
    MISSING_INPUTS_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    DEBUG_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REMARKS_FIELD_NUMBER: _ClassVar[int]
    state: str
    stalled: bool
    commands: _containers.RepeatedCompositeFieldContainer[_model_pb2.Command]
    steps: StepCounts
    waiting_inputs: _containers.RepeatedScalarFieldContainer[str]
    waiting_inputs_count: int
    missing_inputs: _containers.RepeatedScalarFieldContainer[str]
    failed: _containers.RepeatedCompositeFieldContainer[FailedStep]
    debug: Debug
    revision: int
    remarks: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, state: _Optional[str] = ..., stalled: _Optional[bool] = ..., commands: _Optional[_Iterable[_Union[_model_pb2.Command, _Mapping]]] = ..., steps: _Optional[_Union[StepCounts, _Mapping]] = ..., waiting_inputs: _Optional[_Iterable[str]] = ..., waiting_inputs_count: _Optional[int] = ..., missing_inputs: _Optional[_Iterable[str]] = ..., failed: _Optional[_Iterable[_Union[FailedStep, _Mapping]]] = ..., debug: _Optional[_Union[Debug, _Mapping]] = ..., revision: _Optional[int] = ..., remarks: _Optional[_Iterable[str]] = ...) -> None: ...

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
    __slots__ = ("name", "command", "state", "attempt", "worker", "image_digest", "inputs", "outputs", "missing_inputs", "progress")
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
    IMAGE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    MISSING_INPUTS_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    name: str
    command: str
    state: str
    attempt: int
    worker: str
    image_digest: str
    inputs: _containers.ScalarMap[str, str]
    outputs: _containers.ScalarMap[str, str]
    missing_inputs: int
    progress: _events_pb2.StepProgress
    def __init__(self, name: _Optional[str] = ..., command: _Optional[str] = ..., state: _Optional[str] = ..., attempt: _Optional[int] = ..., worker: _Optional[str] = ..., image_digest: _Optional[str] = ..., inputs: _Optional[_Mapping[str, str]] = ..., outputs: _Optional[_Mapping[str, str]] = ..., missing_inputs: _Optional[int] = ..., progress: _Optional[_Union[_events_pb2.StepProgress, _Mapping]] = ...) -> None: ...

class WorkerDebug(_message.Message):
    __slots__ = ("name", "pool", "slots", "prefetch", "attempts", "executor", "host", "metadata", "credit", "resources", "used", "draining", "trouble", "version", "held", "cache")
    NAME_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    PREFETCH_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    EXECUTOR_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    CREDIT_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    TROUBLE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    CACHE_FIELD_NUMBER: _ClassVar[int]
    name: str
    pool: str
    slots: int
    prefetch: int
    attempts: int
    executor: str
    host: str
    metadata: _struct_pb2.Struct
    credit: int
    resources: _model_pb2.Resources
    used: _model_pb2.Resources
    draining: bool
    trouble: str
    version: str
    held: _containers.RepeatedCompositeFieldContainer[HeldAttempt]
    cache: _model_pb2.InputCache
    def __init__(self, name: _Optional[str] = ..., pool: _Optional[str] = ..., slots: _Optional[int] = ..., prefetch: _Optional[int] = ..., attempts: _Optional[int] = ..., executor: _Optional[str] = ..., host: _Optional[str] = ..., metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., credit: _Optional[int] = ..., resources: _Optional[_Union[_model_pb2.Resources, _Mapping]] = ..., used: _Optional[_Union[_model_pb2.Resources, _Mapping]] = ..., draining: _Optional[bool] = ..., trouble: _Optional[str] = ..., version: _Optional[str] = ..., held: _Optional[_Iterable[_Union[HeldAttempt, _Mapping]]] = ..., cache: _Optional[_Union[_model_pb2.InputCache, _Mapping]] = ...) -> None: ...

class HeldAttempt(_message.Message):
    __slots__ = ("workflow", "step", "attempt", "since", "stopping")
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    STOPPING_FIELD_NUMBER: _ClassVar[int]
    workflow: str
    step: str
    attempt: int
    since: _timestamp_pb2.Timestamp
    stopping: bool
    def __init__(self, workflow: _Optional[str] = ..., step: _Optional[str] = ..., attempt: _Optional[int] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., stopping: _Optional[bool] = ...) -> None: ...

class ExpireRequest(_message.Message):
    __slots__ = ("request_id", "workflow", "names", "expected_revision", "plan")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_REVISION_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    workflow: str
    names: _containers.RepeatedScalarFieldContainer[str]
    expected_revision: int
    plan: bool
    def __init__(self, request_id: _Optional[str] = ..., workflow: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ..., expected_revision: _Optional[int] = ..., plan: _Optional[bool] = ...) -> None: ...

class ExpireResponse(_message.Message):
    __slots__ = ("steps", "keys", "reasons")
    STEPS_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    steps: _containers.RepeatedScalarFieldContainer[str]
    keys: _containers.RepeatedScalarFieldContainer[str]
    reasons: _containers.RepeatedCompositeFieldContainer[Affected]
    def __init__(self, steps: _Optional[_Iterable[str]] = ..., keys: _Optional[_Iterable[str]] = ..., reasons: _Optional[_Iterable[_Union[Affected, _Mapping]]] = ...) -> None: ...

class RemoveRequest(_message.Message):
    __slots__ = ("request_id", "workflow", "names", "expected_revision")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_REVISION_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    workflow: str
    names: _containers.RepeatedScalarFieldContainer[str]
    expected_revision: int
    def __init__(self, request_id: _Optional[str] = ..., workflow: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ..., expected_revision: _Optional[int] = ...) -> None: ...

class RemoveResponse(_message.Message):
    __slots__ = ("diff",)
    DIFF_FIELD_NUMBER: _ClassVar[int]
    diff: Diff
    def __init__(self, diff: _Optional[_Union[Diff, _Mapping]] = ...) -> None: ...

class DeleteRequest(_message.Message):
    __slots__ = ("request_id", "workflow", "data", "expected_revision")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_REVISION_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    workflow: str
    data: bool
    expected_revision: int
    def __init__(self, request_id: _Optional[str] = ..., workflow: _Optional[str] = ..., data: _Optional[bool] = ..., expected_revision: _Optional[int] = ...) -> None: ...

class DeleteResponse(_message.Message):
    __slots__ = ("workflow",)
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    workflow: str
    def __init__(self, workflow: _Optional[str] = ...) -> None: ...

class StepsRequest(_message.Message):
    __slots__ = ("workflow", "prefix", "states", "command", "page_start", "page_size")
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    PAGE_START_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    workflow: str
    prefix: str
    states: _containers.RepeatedScalarFieldContainer[str]
    command: str
    page_start: int
    page_size: int
    def __init__(self, workflow: _Optional[str] = ..., prefix: _Optional[str] = ..., states: _Optional[_Iterable[str]] = ..., command: _Optional[str] = ..., page_start: _Optional[int] = ..., page_size: _Optional[int] = ...) -> None: ...

class StepsResponse(_message.Message):
    __slots__ = ("steps", "next_page_start")
    STEPS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_START_FIELD_NUMBER: _ClassVar[int]
    steps: _containers.RepeatedCompositeFieldContainer[StepDebug]
    next_page_start: int
    def __init__(self, steps: _Optional[_Iterable[_Union[StepDebug, _Mapping]]] = ..., next_page_start: _Optional[int] = ...) -> None: ...

class ExplainRequest(_message.Message):
    __slots__ = ("workflow", "step")
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    workflow: str
    step: str
    def __init__(self, workflow: _Optional[str] = ..., step: _Optional[str] = ...) -> None: ...

class ExplainResponse(_message.Message):
    __slots__ = ("steps", "truncated")
    STEPS_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    steps: _containers.RepeatedCompositeFieldContainer[Explanation]
    truncated: bool
    def __init__(self, steps: _Optional[_Iterable[_Union[Explanation, _Mapping]]] = ..., truncated: _Optional[bool] = ...) -> None: ...

class Explanation(_message.Message):
    __slots__ = ("step", "state", "summary", "attempt", "worker", "reason", "chain", "waits_for", "waits_for_count", "failure", "retry_at", "image_digest")
    STEP_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    WAITS_FOR_FIELD_NUMBER: _ClassVar[int]
    WAITS_FOR_COUNT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    step: str
    state: str
    summary: str
    attempt: int
    worker: str
    reason: str
    chain: _containers.RepeatedCompositeFieldContainer[Affected]
    waits_for: _containers.RepeatedCompositeFieldContainer[WantedKey]
    waits_for_count: int
    failure: _model_pb2.Failure
    retry_at: _timestamp_pb2.Timestamp
    image_digest: str
    def __init__(self, step: _Optional[str] = ..., state: _Optional[str] = ..., summary: _Optional[str] = ..., attempt: _Optional[int] = ..., worker: _Optional[str] = ..., reason: _Optional[str] = ..., chain: _Optional[_Iterable[_Union[Affected, _Mapping]]] = ..., waits_for: _Optional[_Iterable[_Union[WantedKey, _Mapping]]] = ..., waits_for_count: _Optional[int] = ..., failure: _Optional[_Union[_model_pb2.Failure, _Mapping]] = ..., retry_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., image_digest: _Optional[str] = ...) -> None: ...

class WantedKey(_message.Message):
    __slots__ = ("key", "writers", "writers_count")
    KEY_FIELD_NUMBER: _ClassVar[int]
    WRITERS_FIELD_NUMBER: _ClassVar[int]
    WRITERS_COUNT_FIELD_NUMBER: _ClassVar[int]
    key: str
    writers: _containers.RepeatedCompositeFieldContainer[KeyWriter]
    writers_count: int
    def __init__(self, key: _Optional[str] = ..., writers: _Optional[_Iterable[_Union[KeyWriter, _Mapping]]] = ..., writers_count: _Optional[int] = ...) -> None: ...

class KeyWriter(_message.Message):
    __slots__ = ("step", "state")
    STEP_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    step: str
    state: str
    def __init__(self, step: _Optional[str] = ..., state: _Optional[str] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("workflow", "from_sequence", "every_event", "kinds", "steps", "workflow_uid")
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    FROM_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    EVERY_EVENT_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_UID_FIELD_NUMBER: _ClassVar[int]
    workflow: str
    from_sequence: int
    every_event: bool
    kinds: _containers.RepeatedScalarFieldContainer[str]
    steps: _containers.RepeatedScalarFieldContainer[str]
    workflow_uid: int
    def __init__(self, workflow: _Optional[str] = ..., from_sequence: _Optional[int] = ..., every_event: _Optional[bool] = ..., kinds: _Optional[_Iterable[str]] = ..., steps: _Optional[_Iterable[str]] = ..., workflow_uid: _Optional[int] = ...) -> None: ...

class WatchResponse(_message.Message):
    __slots__ = ("event", "update")
    EVENT_FIELD_NUMBER: _ClassVar[int]
    UPDATE_FIELD_NUMBER: _ClassVar[int]
    event: _events_pb2.Event
    update: Update
    def __init__(self, event: _Optional[_Union[_events_pb2.Event, _Mapping]] = ..., update: _Optional[_Union[Update, _Mapping]] = ...) -> None: ...

class Update(_message.Message):
    __slots__ = ("workflow", "workflow_uid", "sequence", "state", "stalled", "steps", "deleted")
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_UID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STALLED_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    DELETED_FIELD_NUMBER: _ClassVar[int]
    workflow: str
    workflow_uid: int
    sequence: int
    state: str
    stalled: bool
    steps: StepCounts
    deleted: bool
    def __init__(self, workflow: _Optional[str] = ..., workflow_uid: _Optional[int] = ..., sequence: _Optional[int] = ..., state: _Optional[str] = ..., stalled: _Optional[bool] = ..., steps: _Optional[_Union[StepCounts, _Mapping]] = ..., deleted: _Optional[bool] = ...) -> None: ...

class WorkersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WorkersResponse(_message.Message):
    __slots__ = ("workers",)
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    workers: _containers.RepeatedCompositeFieldContainer[WorkerDebug]
    def __init__(self, workers: _Optional[_Iterable[_Union[WorkerDebug, _Mapping]]] = ...) -> None: ...

class AnnounceRequest(_message.Message):
    __slots__ = ("workflow", "keys")
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    workflow: str
    keys: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, workflow: _Optional[str] = ..., keys: _Optional[_Iterable[str]] = ...) -> None: ...

class AnnounceResponse(_message.Message):
    __slots__ = ("keys",)
    KEYS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedCompositeFieldContainer[_model_pb2.Publication]
    def __init__(self, keys: _Optional[_Iterable[_Union[_model_pb2.Publication, _Mapping]]] = ...) -> None: ...

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

class DrainRequest(_message.Message):
    __slots__ = ("request_id", "names")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, request_id: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ...) -> None: ...

class DrainResponse(_message.Message):
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
    __slots__ = ("files", "truncated", "exists")
    FILES_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    EXISTS_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[_model_pb2.FileVersion]
    truncated: bool
    exists: bool
    def __init__(self, files: _Optional[_Iterable[_Union[_model_pb2.FileVersion, _Mapping]]] = ..., truncated: _Optional[bool] = ..., exists: _Optional[bool] = ...) -> None: ...

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

class LogsRequest(_message.Message):
    __slots__ = ("workflow", "step", "attempt", "onward", "from_offset", "follow", "tail_lines", "streams")
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    ONWARD_FIELD_NUMBER: _ClassVar[int]
    FROM_OFFSET_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    TAIL_LINES_FIELD_NUMBER: _ClassVar[int]
    STREAMS_FIELD_NUMBER: _ClassVar[int]
    workflow: str
    step: str
    attempt: int
    onward: bool
    from_offset: int
    follow: bool
    tail_lines: int
    streams: _containers.RepeatedScalarFieldContainer[_logs_pb2.LogStream]
    def __init__(self, workflow: _Optional[str] = ..., step: _Optional[str] = ..., attempt: _Optional[int] = ..., onward: _Optional[bool] = ..., from_offset: _Optional[int] = ..., follow: _Optional[bool] = ..., tail_lines: _Optional[int] = ..., streams: _Optional[_Iterable[_Union[_logs_pb2.LogStream, str]]] = ...) -> None: ...

class LogsResponse(_message.Message):
    __slots__ = ("attempt", "piece", "gap", "notice", "end")
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    PIECE_FIELD_NUMBER: _ClassVar[int]
    GAP_FIELD_NUMBER: _ClassVar[int]
    NOTICE_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    attempt: int
    piece: _logs_pb2.LogPiece
    gap: LogGap
    notice: LogNotice
    end: LogEnd
    def __init__(self, attempt: _Optional[int] = ..., piece: _Optional[_Union[_logs_pb2.LogPiece, _Mapping]] = ..., gap: _Optional[_Union[LogGap, _Mapping]] = ..., notice: _Optional[_Union[LogNotice, _Mapping]] = ..., end: _Optional[_Union[LogEnd, _Mapping]] = ...) -> None: ...

class LogGap(_message.Message):
    __slots__ = ("offset", "size_bytes")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    offset: int
    size_bytes: int
    def __init__(self, offset: _Optional[int] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class LogNotice(_message.Message):
    __slots__ = ("words",)
    WORDS_FIELD_NUMBER: _ClassVar[int]
    words: str
    def __init__(self, words: _Optional[str] = ...) -> None: ...

class LogEnd(_message.Message):
    __slots__ = ("size_bytes", "running")
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    size_bytes: int
    running: bool
    def __init__(self, size_bytes: _Optional[int] = ..., running: _Optional[bool] = ...) -> None: ...
