from gaia.v1 import model_pb2 as _model_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class JournalEntry(_message.Message):
    __slots__ = ("opening_offset", "previous_offset", "now_ms", "opening", "events", "reports_offset")
    OPENING_OFFSET_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_OFFSET_FIELD_NUMBER: _ClassVar[int]
    NOW_MS_FIELD_NUMBER: _ClassVar[int]
    OPENING_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    REPORTS_OFFSET_FIELD_NUMBER: _ClassVar[int]
    opening_offset: int
    previous_offset: int
    now_ms: int
    opening: Opening
    events: _containers.RepeatedCompositeFieldContainer[JournalEvent]
    reports_offset: int
    def __init__(self, opening_offset: _Optional[int] = ..., previous_offset: _Optional[int] = ..., now_ms: _Optional[int] = ..., opening: _Optional[_Union[Opening, _Mapping]] = ..., events: _Optional[_Iterable[_Union[JournalEvent, _Mapping]]] = ..., reports_offset: _Optional[int] = ...) -> None: ...

class Opening(_message.Message):
    __slots__ = ("term_id", "leader_address", "version")
    TERM_ID_FIELD_NUMBER: _ClassVar[int]
    LEADER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    term_id: bytes
    leader_address: str
    version: str
    def __init__(self, term_id: _Optional[bytes] = ..., leader_address: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class JournalEvent(_message.Message):
    __slots__ = ("workflow_created", "commands_set", "steps_merged", "steps_reset", "workflow_halted", "workflow_resumed", "keys_arrived", "keys_forgotten", "steps_dispatched", "steps_completed", "attempt_failed", "backoffs_ended", "attempts_ended", "worker_joined", "worker_left", "request_answered", "steps_removed", "workflow_deleted", "data_deleted", "queue_timed_out", "attempts_given_back", "workflow_archived", "workflow_revived", "entries_lost", "worker_dismissed")
    WORKFLOW_CREATED_FIELD_NUMBER: _ClassVar[int]
    COMMANDS_SET_FIELD_NUMBER: _ClassVar[int]
    STEPS_MERGED_FIELD_NUMBER: _ClassVar[int]
    STEPS_RESET_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_HALTED_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_RESUMED_FIELD_NUMBER: _ClassVar[int]
    KEYS_ARRIVED_FIELD_NUMBER: _ClassVar[int]
    KEYS_FORGOTTEN_FIELD_NUMBER: _ClassVar[int]
    STEPS_DISPATCHED_FIELD_NUMBER: _ClassVar[int]
    STEPS_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FAILED_FIELD_NUMBER: _ClassVar[int]
    BACKOFFS_ENDED_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_ENDED_FIELD_NUMBER: _ClassVar[int]
    WORKER_JOINED_FIELD_NUMBER: _ClassVar[int]
    WORKER_LEFT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ANSWERED_FIELD_NUMBER: _ClassVar[int]
    STEPS_REMOVED_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_DELETED_FIELD_NUMBER: _ClassVar[int]
    DATA_DELETED_FIELD_NUMBER: _ClassVar[int]
    QUEUE_TIMED_OUT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_GIVEN_BACK_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_ARCHIVED_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_REVIVED_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_LOST_FIELD_NUMBER: _ClassVar[int]
    WORKER_DISMISSED_FIELD_NUMBER: _ClassVar[int]
    workflow_created: WorkflowCreated
    commands_set: CommandsSet
    steps_merged: StepsMerged
    steps_reset: StepsReset
    workflow_halted: WorkflowHalted
    workflow_resumed: WorkflowResumed
    keys_arrived: KeysArrived
    keys_forgotten: KeysForgotten
    steps_dispatched: StepsDispatched
    steps_completed: StepsCompleted
    attempt_failed: AttemptFailed
    backoffs_ended: BackoffsEnded
    attempts_ended: AttemptsEnded
    worker_joined: WorkerJoined
    worker_left: WorkerLeft
    request_answered: RequestAnswered
    steps_removed: StepsRemoved
    workflow_deleted: WorkflowDeleted
    data_deleted: DataDeleted
    queue_timed_out: QueueTimedOut
    attempts_given_back: AttemptsGivenBack
    workflow_archived: WorkflowArchived
    workflow_revived: WorkflowRevived
    entries_lost: EntriesLost
    worker_dismissed: WorkerDismissed
    def __init__(self, workflow_created: _Optional[_Union[WorkflowCreated, _Mapping]] = ..., commands_set: _Optional[_Union[CommandsSet, _Mapping]] = ..., steps_merged: _Optional[_Union[StepsMerged, _Mapping]] = ..., steps_reset: _Optional[_Union[StepsReset, _Mapping]] = ..., workflow_halted: _Optional[_Union[WorkflowHalted, _Mapping]] = ..., workflow_resumed: _Optional[_Union[WorkflowResumed, _Mapping]] = ..., keys_arrived: _Optional[_Union[KeysArrived, _Mapping]] = ..., keys_forgotten: _Optional[_Union[KeysForgotten, _Mapping]] = ..., steps_dispatched: _Optional[_Union[StepsDispatched, _Mapping]] = ..., steps_completed: _Optional[_Union[StepsCompleted, _Mapping]] = ..., attempt_failed: _Optional[_Union[AttemptFailed, _Mapping]] = ..., backoffs_ended: _Optional[_Union[BackoffsEnded, _Mapping]] = ..., attempts_ended: _Optional[_Union[AttemptsEnded, _Mapping]] = ..., worker_joined: _Optional[_Union[WorkerJoined, _Mapping]] = ..., worker_left: _Optional[_Union[WorkerLeft, _Mapping]] = ..., request_answered: _Optional[_Union[RequestAnswered, _Mapping]] = ..., steps_removed: _Optional[_Union[StepsRemoved, _Mapping]] = ..., workflow_deleted: _Optional[_Union[WorkflowDeleted, _Mapping]] = ..., data_deleted: _Optional[_Union[DataDeleted, _Mapping]] = ..., queue_timed_out: _Optional[_Union[QueueTimedOut, _Mapping]] = ..., attempts_given_back: _Optional[_Union[AttemptsGivenBack, _Mapping]] = ..., workflow_archived: _Optional[_Union[WorkflowArchived, _Mapping]] = ..., workflow_revived: _Optional[_Union[WorkflowRevived, _Mapping]] = ..., entries_lost: _Optional[_Union[EntriesLost, _Mapping]] = ..., worker_dismissed: _Optional[_Union[WorkerDismissed, _Mapping]] = ...) -> None: ...

class WorkflowCreated(_message.Message):
    __slots__ = ("workflow_uid", "name", "owner", "properties_json")
    WORKFLOW_UID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_JSON_FIELD_NUMBER: _ClassVar[int]
    workflow_uid: int
    name: str
    owner: str
    properties_json: str
    def __init__(self, workflow_uid: _Optional[int] = ..., name: _Optional[str] = ..., owner: _Optional[str] = ..., properties_json: _Optional[str] = ...) -> None: ...

class CommandsSet(_message.Message):
    __slots__ = ("workflow_uid", "commands")
    WORKFLOW_UID_FIELD_NUMBER: _ClassVar[int]
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    workflow_uid: int
    commands: _containers.RepeatedCompositeFieldContainer[_model_pb2.Command]
    def __init__(self, workflow_uid: _Optional[int] = ..., commands: _Optional[_Iterable[_Union[_model_pb2.Command, _Mapping]]] = ...) -> None: ...

class StepsMerged(_message.Message):
    __slots__ = ("workflow_uid", "steps", "pruned")
    WORKFLOW_UID_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    PRUNED_FIELD_NUMBER: _ClassVar[int]
    workflow_uid: int
    steps: _containers.RepeatedCompositeFieldContainer[_model_pb2.Step]
    pruned: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, workflow_uid: _Optional[int] = ..., steps: _Optional[_Iterable[_Union[_model_pb2.Step, _Mapping]]] = ..., pruned: _Optional[_Iterable[int]] = ...) -> None: ...

class StepsReset(_message.Message):
    __slots__ = ("workflow_uid", "ranges", "reason", "upstream")
    WORKFLOW_UID_FIELD_NUMBER: _ClassVar[int]
    RANGES_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_FIELD_NUMBER: _ClassVar[int]
    workflow_uid: int
    ranges: _containers.RepeatedScalarFieldContainer[int]
    reason: str
    upstream: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, workflow_uid: _Optional[int] = ..., ranges: _Optional[_Iterable[int]] = ..., reason: _Optional[str] = ..., upstream: _Optional[_Iterable[int]] = ...) -> None: ...

class WorkflowHalted(_message.Message):
    __slots__ = ("workflow_uid",)
    WORKFLOW_UID_FIELD_NUMBER: _ClassVar[int]
    workflow_uid: int
    def __init__(self, workflow_uid: _Optional[int] = ...) -> None: ...

class WorkflowResumed(_message.Message):
    __slots__ = ("workflow_uid",)
    WORKFLOW_UID_FIELD_NUMBER: _ClassVar[int]
    workflow_uid: int
    def __init__(self, workflow_uid: _Optional[int] = ...) -> None: ...

class KeysArrived(_message.Message):
    __slots__ = ("workflow_uid", "keys")
    WORKFLOW_UID_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    workflow_uid: int
    keys: _containers.RepeatedCompositeFieldContainer[_model_pb2.Publication]
    def __init__(self, workflow_uid: _Optional[int] = ..., keys: _Optional[_Iterable[_Union[_model_pb2.Publication, _Mapping]]] = ...) -> None: ...

class KeysForgotten(_message.Message):
    __slots__ = ("workflow_uid", "keys")
    WORKFLOW_UID_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    workflow_uid: int
    keys: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, workflow_uid: _Optional[int] = ..., keys: _Optional[_Iterable[str]] = ...) -> None: ...

class StepsDispatched(_message.Message):
    __slots__ = ("workflow_uid", "worker", "steps", "attempts")
    WORKFLOW_UID_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    workflow_uid: int
    worker: str
    steps: _containers.RepeatedScalarFieldContainer[int]
    attempts: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, workflow_uid: _Optional[int] = ..., worker: _Optional[str] = ..., steps: _Optional[_Iterable[int]] = ..., attempts: _Optional[_Iterable[int]] = ...) -> None: ...

class StepsCompleted(_message.Message):
    __slots__ = ("workflow_uid", "worker", "steps", "attempts", "run_ms", "outputs", "image_digests", "images")
    WORKFLOW_UID_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    RUN_MS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    IMAGE_DIGESTS_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    workflow_uid: int
    worker: str
    steps: _containers.RepeatedScalarFieldContainer[int]
    attempts: _containers.RepeatedScalarFieldContainer[int]
    run_ms: _containers.RepeatedScalarFieldContainer[int]
    outputs: _containers.RepeatedCompositeFieldContainer[Outputs]
    image_digests: _containers.RepeatedScalarFieldContainer[str]
    images: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, workflow_uid: _Optional[int] = ..., worker: _Optional[str] = ..., steps: _Optional[_Iterable[int]] = ..., attempts: _Optional[_Iterable[int]] = ..., run_ms: _Optional[_Iterable[int]] = ..., outputs: _Optional[_Iterable[_Union[Outputs, _Mapping]]] = ..., image_digests: _Optional[_Iterable[str]] = ..., images: _Optional[_Iterable[int]] = ...) -> None: ...

class Outputs(_message.Message):
    __slots__ = ("publications",)
    PUBLICATIONS_FIELD_NUMBER: _ClassVar[int]
    publications: _containers.RepeatedCompositeFieldContainer[_model_pb2.Publication]
    def __init__(self, publications: _Optional[_Iterable[_Union[_model_pb2.Publication, _Mapping]]] = ...) -> None: ...

class AttemptFailed(_message.Message):
    __slots__ = ("workflow_uid", "worker", "step", "attempt", "failure", "retry_at_ms", "outputs")
    WORKFLOW_UID_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AT_MS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    workflow_uid: int
    worker: str
    step: int
    attempt: int
    failure: _model_pb2.Failure
    retry_at_ms: int
    outputs: _containers.RepeatedCompositeFieldContainer[_model_pb2.Publication]
    def __init__(self, workflow_uid: _Optional[int] = ..., worker: _Optional[str] = ..., step: _Optional[int] = ..., attempt: _Optional[int] = ..., failure: _Optional[_Union[_model_pb2.Failure, _Mapping]] = ..., retry_at_ms: _Optional[int] = ..., outputs: _Optional[_Iterable[_Union[_model_pb2.Publication, _Mapping]]] = ...) -> None: ...

class BackoffsEnded(_message.Message):
    __slots__ = ("workflow_uid", "steps")
    WORKFLOW_UID_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    workflow_uid: int
    steps: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, workflow_uid: _Optional[int] = ..., steps: _Optional[_Iterable[int]] = ...) -> None: ...

class AttemptsEnded(_message.Message):
    __slots__ = ("workflow_uid", "worker", "steps", "attempts")
    WORKFLOW_UID_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    workflow_uid: int
    worker: str
    steps: _containers.RepeatedScalarFieldContainer[int]
    attempts: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, workflow_uid: _Optional[int] = ..., worker: _Optional[str] = ..., steps: _Optional[_Iterable[int]] = ..., attempts: _Optional[_Iterable[int]] = ...) -> None: ...

class WorkerJoined(_message.Message):
    __slots__ = ("worker", "incarnation", "pool", "slots", "prefetch", "partition", "executor", "host", "draining", "metadata_json", "resources", "trouble", "version")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    POOL_FIELD_NUMBER: _ClassVar[int]
    SLOTS_FIELD_NUMBER: _ClassVar[int]
    PREFETCH_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    EXECUTOR_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    METADATA_JSON_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    TROUBLE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    worker: str
    incarnation: str
    pool: str
    slots: int
    prefetch: int
    partition: int
    executor: str
    host: str
    draining: bool
    metadata_json: str
    resources: _model_pb2.Resources
    trouble: str
    version: str
    def __init__(self, worker: _Optional[str] = ..., incarnation: _Optional[str] = ..., pool: _Optional[str] = ..., slots: _Optional[int] = ..., prefetch: _Optional[int] = ..., partition: _Optional[int] = ..., executor: _Optional[str] = ..., host: _Optional[str] = ..., draining: _Optional[bool] = ..., metadata_json: _Optional[str] = ..., resources: _Optional[_Union[_model_pb2.Resources, _Mapping]] = ..., trouble: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class WorkerDismissed(_message.Message):
    __slots__ = ("worker", "incarnation")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    worker: str
    incarnation: str
    def __init__(self, worker: _Optional[str] = ..., incarnation: _Optional[str] = ...) -> None: ...

class WorkerLeft(_message.Message):
    __slots__ = ("worker", "incarnation", "reason")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    INCARNATION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    worker: str
    incarnation: str
    reason: str
    def __init__(self, worker: _Optional[str] = ..., incarnation: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class RequestAnswered(_message.Message):
    __slots__ = ("request_id", "digest", "answer_json")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    ANSWER_JSON_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    digest: bytes
    answer_json: str
    def __init__(self, request_id: _Optional[str] = ..., digest: _Optional[bytes] = ..., answer_json: _Optional[str] = ...) -> None: ...

class StepsRemoved(_message.Message):
    __slots__ = ("workflow_uid", "ranges")
    WORKFLOW_UID_FIELD_NUMBER: _ClassVar[int]
    RANGES_FIELD_NUMBER: _ClassVar[int]
    workflow_uid: int
    ranges: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, workflow_uid: _Optional[int] = ..., ranges: _Optional[_Iterable[int]] = ...) -> None: ...

class WorkflowDeleted(_message.Message):
    __slots__ = ("workflow_uid", "data")
    WORKFLOW_UID_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    workflow_uid: int
    data: bool
    def __init__(self, workflow_uid: _Optional[int] = ..., data: _Optional[bool] = ...) -> None: ...

class DataDeleted(_message.Message):
    __slots__ = ("workflow_uid",)
    WORKFLOW_UID_FIELD_NUMBER: _ClassVar[int]
    workflow_uid: int
    def __init__(self, workflow_uid: _Optional[int] = ...) -> None: ...

class QueueTimedOut(_message.Message):
    __slots__ = ("workflow_uid", "steps")
    WORKFLOW_UID_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    workflow_uid: int
    steps: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, workflow_uid: _Optional[int] = ..., steps: _Optional[_Iterable[int]] = ...) -> None: ...

class AttemptsGivenBack(_message.Message):
    __slots__ = ("workflow_uid", "worker", "steps", "attempts")
    WORKFLOW_UID_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    workflow_uid: int
    worker: str
    steps: _containers.RepeatedScalarFieldContainer[int]
    attempts: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, workflow_uid: _Optional[int] = ..., worker: _Optional[str] = ..., steps: _Optional[_Iterable[int]] = ..., attempts: _Optional[_Iterable[int]] = ...) -> None: ...

class EntriesLost(_message.Message):
    __slots__ = ("offset",)
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    offset: int
    def __init__(self, offset: _Optional[int] = ...) -> None: ...

class WorkflowArchived(_message.Message):
    __slots__ = ("workflow_uid", "file", "sequence", "rest")
    WORKFLOW_UID_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REST_FIELD_NUMBER: _ClassVar[int]
    workflow_uid: int
    file: _model_pb2.FileVersion
    sequence: int
    rest: str
    def __init__(self, workflow_uid: _Optional[int] = ..., file: _Optional[_Union[_model_pb2.FileVersion, _Mapping]] = ..., sequence: _Optional[int] = ..., rest: _Optional[str] = ...) -> None: ...

class WorkflowRevived(_message.Message):
    __slots__ = ("workflow_uid", "state")
    WORKFLOW_UID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    workflow_uid: int
    state: bytes
    def __init__(self, workflow_uid: _Optional[int] = ..., state: _Optional[bytes] = ...) -> None: ...
