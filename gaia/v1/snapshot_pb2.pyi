from gaia.v1 import events_pb2 as _events_pb2
from gaia.v1 import journal_pb2 as _journal_pb2
from gaia.v1 import model_pb2 as _model_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SnapshotPart(_message.Message):
    __slots__ = ("head", "deployment", "workers", "held", "left", "answers", "workflow", "commands", "specs", "runs", "steps", "keys", "dropped", "workflow_end", "tail", "events", "archives")
    HEAD_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    SPECS_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_END_FIELD_NUMBER: _ClassVar[int]
    TAIL_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    ARCHIVES_FIELD_NUMBER: _ClassVar[int]
    head: SnapshotHead
    deployment: SnapshotDeployment
    workers: SnapshotWorkers
    held: SnapshotHeld
    left: SnapshotLeft
    answers: SnapshotAnswers
    workflow: SnapshotWorkflow
    commands: SnapshotCommands
    specs: SnapshotSpecs
    runs: SnapshotRuns
    steps: SnapshotSteps
    keys: SnapshotKeys
    dropped: SnapshotDropped
    workflow_end: SnapshotWorkflowEnd
    tail: SnapshotTail
    events: SnapshotEvents
    archives: SnapshotArchives
    def __init__(self, head: _Optional[_Union[SnapshotHead, _Mapping]] = ..., deployment: _Optional[_Union[SnapshotDeployment, _Mapping]] = ..., workers: _Optional[_Union[SnapshotWorkers, _Mapping]] = ..., held: _Optional[_Union[SnapshotHeld, _Mapping]] = ..., left: _Optional[_Union[SnapshotLeft, _Mapping]] = ..., answers: _Optional[_Union[SnapshotAnswers, _Mapping]] = ..., workflow: _Optional[_Union[SnapshotWorkflow, _Mapping]] = ..., commands: _Optional[_Union[SnapshotCommands, _Mapping]] = ..., specs: _Optional[_Union[SnapshotSpecs, _Mapping]] = ..., runs: _Optional[_Union[SnapshotRuns, _Mapping]] = ..., steps: _Optional[_Union[SnapshotSteps, _Mapping]] = ..., keys: _Optional[_Union[SnapshotKeys, _Mapping]] = ..., dropped: _Optional[_Union[SnapshotDropped, _Mapping]] = ..., workflow_end: _Optional[_Union[SnapshotWorkflowEnd, _Mapping]] = ..., tail: _Optional[_Union[SnapshotTail, _Mapping]] = ..., events: _Optional[_Union[SnapshotEvents, _Mapping]] = ..., archives: _Optional[_Union[SnapshotArchives, _Mapping]] = ...) -> None: ...

class SnapshotHead(_message.Message):
    __slots__ = ("offset", "opening_offset", "reports_offset", "leader_address", "now_ms", "version", "entry_id")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    OPENING_OFFSET_FIELD_NUMBER: _ClassVar[int]
    REPORTS_OFFSET_FIELD_NUMBER: _ClassVar[int]
    LEADER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    NOW_MS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ENTRY_ID_FIELD_NUMBER: _ClassVar[int]
    offset: int
    opening_offset: int
    reports_offset: int
    leader_address: str
    now_ms: int
    version: str
    entry_id: bytes
    def __init__(self, offset: _Optional[int] = ..., opening_offset: _Optional[int] = ..., reports_offset: _Optional[int] = ..., leader_address: _Optional[str] = ..., now_ms: _Optional[int] = ..., version: _Optional[str] = ..., entry_id: _Optional[bytes] = ...) -> None: ...

class SnapshotDeployment(_message.Message):
    __slots__ = ("last_uid", "doomed_uids", "doomed_names", "wiped_uids", "wiped_names")
    LAST_UID_FIELD_NUMBER: _ClassVar[int]
    DOOMED_UIDS_FIELD_NUMBER: _ClassVar[int]
    DOOMED_NAMES_FIELD_NUMBER: _ClassVar[int]
    WIPED_UIDS_FIELD_NUMBER: _ClassVar[int]
    WIPED_NAMES_FIELD_NUMBER: _ClassVar[int]
    last_uid: int
    doomed_uids: _containers.RepeatedScalarFieldContainer[int]
    doomed_names: _containers.RepeatedScalarFieldContainer[str]
    wiped_uids: _containers.RepeatedScalarFieldContainer[int]
    wiped_names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, last_uid: _Optional[int] = ..., doomed_uids: _Optional[_Iterable[int]] = ..., doomed_names: _Optional[_Iterable[str]] = ..., wiped_uids: _Optional[_Iterable[int]] = ..., wiped_names: _Optional[_Iterable[str]] = ...) -> None: ...

class SnapshotWorkers(_message.Message):
    __slots__ = ("workers", "dismissed")
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    DISMISSED_FIELD_NUMBER: _ClassVar[int]
    workers: _containers.RepeatedCompositeFieldContainer[_journal_pb2.WorkerJoined]
    dismissed: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, workers: _Optional[_Iterable[_Union[_journal_pb2.WorkerJoined, _Mapping]]] = ..., dismissed: _Optional[_Iterable[str]] = ...) -> None: ...

class SnapshotHeld(_message.Message):
    __slots__ = ("worker", "workflow_uids", "steps", "attempts", "stopping", "since_ms", "demanding", "demands")
    WORKER_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_UIDS_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    STOPPING_FIELD_NUMBER: _ClassVar[int]
    SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    DEMANDING_FIELD_NUMBER: _ClassVar[int]
    DEMANDS_FIELD_NUMBER: _ClassVar[int]
    worker: str
    workflow_uids: _containers.RepeatedScalarFieldContainer[int]
    steps: _containers.RepeatedScalarFieldContainer[int]
    attempts: _containers.RepeatedScalarFieldContainer[int]
    stopping: int
    since_ms: _containers.RepeatedScalarFieldContainer[int]
    demanding: _containers.RepeatedScalarFieldContainer[int]
    demands: _containers.RepeatedCompositeFieldContainer[SnapshotDemand]
    def __init__(self, worker: _Optional[str] = ..., workflow_uids: _Optional[_Iterable[int]] = ..., steps: _Optional[_Iterable[int]] = ..., attempts: _Optional[_Iterable[int]] = ..., stopping: _Optional[int] = ..., since_ms: _Optional[_Iterable[int]] = ..., demanding: _Optional[_Iterable[int]] = ..., demands: _Optional[_Iterable[_Union[SnapshotDemand, _Mapping]]] = ...) -> None: ...

class SnapshotDemand(_message.Message):
    __slots__ = ("milli_cpus", "memory_bytes", "gpus")
    MILLI_CPUS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    GPUS_FIELD_NUMBER: _ClassVar[int]
    milli_cpus: int
    memory_bytes: int
    gpus: int
    def __init__(self, milli_cpus: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., gpus: _Optional[int] = ...) -> None: ...

class SnapshotLeft(_message.Message):
    __slots__ = ("workers", "incarnations")
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    INCARNATIONS_FIELD_NUMBER: _ClassVar[int]
    workers: _containers.RepeatedScalarFieldContainer[str]
    incarnations: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, workers: _Optional[_Iterable[str]] = ..., incarnations: _Optional[_Iterable[str]] = ...) -> None: ...

class SnapshotAnswers(_message.Message):
    __slots__ = ("requests", "at_ms")
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    AT_MS_FIELD_NUMBER: _ClassVar[int]
    requests: _containers.RepeatedCompositeFieldContainer[_journal_pb2.RequestAnswered]
    at_ms: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, requests: _Optional[_Iterable[_Union[_journal_pb2.RequestAnswered, _Mapping]]] = ..., at_ms: _Optional[_Iterable[int]] = ...) -> None: ...

class SnapshotWorkflow(_message.Message):
    __slots__ = ("uid", "name", "owner", "properties_json", "created_ms", "updated_ms", "released_ms", "halted", "revision", "next_index", "sequence", "rest", "arrivals")
    UID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_JSON_FIELD_NUMBER: _ClassVar[int]
    CREATED_MS_FIELD_NUMBER: _ClassVar[int]
    UPDATED_MS_FIELD_NUMBER: _ClassVar[int]
    RELEASED_MS_FIELD_NUMBER: _ClassVar[int]
    HALTED_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    NEXT_INDEX_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REST_FIELD_NUMBER: _ClassVar[int]
    ARRIVALS_FIELD_NUMBER: _ClassVar[int]
    uid: int
    name: str
    owner: str
    properties_json: str
    created_ms: int
    updated_ms: int
    released_ms: int
    halted: bool
    revision: int
    next_index: int
    sequence: int
    rest: str
    arrivals: int
    def __init__(self, uid: _Optional[int] = ..., name: _Optional[str] = ..., owner: _Optional[str] = ..., properties_json: _Optional[str] = ..., created_ms: _Optional[int] = ..., updated_ms: _Optional[int] = ..., released_ms: _Optional[int] = ..., halted: _Optional[bool] = ..., revision: _Optional[int] = ..., next_index: _Optional[int] = ..., sequence: _Optional[int] = ..., rest: _Optional[str] = ..., arrivals: _Optional[int] = ...) -> None: ...

class SnapshotCommands(_message.Message):
    __slots__ = ("commands",)
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    commands: _containers.RepeatedCompositeFieldContainer[_model_pb2.Command]
    def __init__(self, commands: _Optional[_Iterable[_Union[_model_pb2.Command, _Mapping]]] = ...) -> None: ...

class SnapshotSpecs(_message.Message):
    __slots__ = ("specs",)
    SPECS_FIELD_NUMBER: _ClassVar[int]
    specs: _containers.RepeatedCompositeFieldContainer[_model_pb2.Step]
    def __init__(self, specs: _Optional[_Iterable[_Union[_model_pb2.Step, _Mapping]]] = ...) -> None: ...

class SnapshotRuns(_message.Message):
    __slots__ = ("runs",)
    RUNS_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, runs: _Optional[_Iterable[int]] = ...) -> None: ...

class SnapshotSteps(_message.Message):
    __slots__ = ("count", "words", "states", "attempts", "attempts_before", "workers", "faults", "disturbances", "reasons", "causes", "retry_at_ms", "times_ready", "ready_since_ms", "published_at", "published", "failed_at", "failures", "image_digests")
    COUNT_FIELD_NUMBER: _ClassVar[int]
    WORDS_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_BEFORE_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    FAULTS_FIELD_NUMBER: _ClassVar[int]
    DISTURBANCES_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    CAUSES_FIELD_NUMBER: _ClassVar[int]
    RETRY_AT_MS_FIELD_NUMBER: _ClassVar[int]
    TIMES_READY_FIELD_NUMBER: _ClassVar[int]
    READY_SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_AT_FIELD_NUMBER: _ClassVar[int]
    PUBLISHED_FIELD_NUMBER: _ClassVar[int]
    FAILED_AT_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    IMAGE_DIGESTS_FIELD_NUMBER: _ClassVar[int]
    count: int
    words: _containers.RepeatedScalarFieldContainer[str]
    states: _containers.RepeatedScalarFieldContainer[int]
    attempts: _containers.RepeatedScalarFieldContainer[int]
    attempts_before: _containers.RepeatedScalarFieldContainer[int]
    workers: _containers.RepeatedScalarFieldContainer[int]
    faults: _containers.RepeatedScalarFieldContainer[int]
    disturbances: _containers.RepeatedScalarFieldContainer[int]
    reasons: _containers.RepeatedScalarFieldContainer[int]
    causes: _containers.RepeatedScalarFieldContainer[int]
    retry_at_ms: _containers.RepeatedScalarFieldContainer[int]
    times_ready: _containers.RepeatedScalarFieldContainer[int]
    ready_since_ms: _containers.RepeatedScalarFieldContainer[int]
    published_at: _containers.RepeatedScalarFieldContainer[int]
    published: _containers.RepeatedCompositeFieldContainer[_journal_pb2.Outputs]
    failed_at: _containers.RepeatedScalarFieldContainer[int]
    failures: _containers.RepeatedCompositeFieldContainer[_model_pb2.Failure]
    image_digests: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, count: _Optional[int] = ..., words: _Optional[_Iterable[str]] = ..., states: _Optional[_Iterable[int]] = ..., attempts: _Optional[_Iterable[int]] = ..., attempts_before: _Optional[_Iterable[int]] = ..., workers: _Optional[_Iterable[int]] = ..., faults: _Optional[_Iterable[int]] = ..., disturbances: _Optional[_Iterable[int]] = ..., reasons: _Optional[_Iterable[int]] = ..., causes: _Optional[_Iterable[int]] = ..., retry_at_ms: _Optional[_Iterable[int]] = ..., times_ready: _Optional[_Iterable[int]] = ..., ready_since_ms: _Optional[_Iterable[int]] = ..., published_at: _Optional[_Iterable[int]] = ..., published: _Optional[_Iterable[_Union[_journal_pb2.Outputs, _Mapping]]] = ..., failed_at: _Optional[_Iterable[int]] = ..., failures: _Optional[_Iterable[_Union[_model_pb2.Failure, _Mapping]]] = ..., image_digests: _Optional[_Iterable[int]] = ...) -> None: ...

class SnapshotArchives(_message.Message):
    __slots__ = ("workflows",)
    WORKFLOWS_FIELD_NUMBER: _ClassVar[int]
    workflows: _containers.RepeatedCompositeFieldContainer[SnapshotArchived]
    def __init__(self, workflows: _Optional[_Iterable[_Union[SnapshotArchived, _Mapping]]] = ...) -> None: ...

class SnapshotArchived(_message.Message):
    __slots__ = ("uid", "name", "owner", "state", "properties_json", "steps", "created_ms", "updated_ms", "revision", "sequence", "rest", "file")
    UID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_JSON_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    CREATED_MS_FIELD_NUMBER: _ClassVar[int]
    UPDATED_MS_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REST_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    uid: int
    name: str
    owner: str
    state: str
    properties_json: str
    steps: _containers.RepeatedScalarFieldContainer[int]
    created_ms: int
    updated_ms: int
    revision: int
    sequence: int
    rest: str
    file: _model_pb2.FileVersion
    def __init__(self, uid: _Optional[int] = ..., name: _Optional[str] = ..., owner: _Optional[str] = ..., state: _Optional[str] = ..., properties_json: _Optional[str] = ..., steps: _Optional[_Iterable[int]] = ..., created_ms: _Optional[int] = ..., updated_ms: _Optional[int] = ..., revision: _Optional[int] = ..., sequence: _Optional[int] = ..., rest: _Optional[str] = ..., file: _Optional[_Union[_model_pb2.FileVersion, _Mapping]] = ...) -> None: ...

class SnapshotKeys(_message.Message):
    __slots__ = ("keys",)
    KEYS_FIELD_NUMBER: _ClassVar[int]
    keys: _containers.RepeatedCompositeFieldContainer[SnapshotKey]
    def __init__(self, keys: _Optional[_Iterable[_Union[SnapshotKey, _Mapping]]] = ...) -> None: ...

class SnapshotKey(_message.Message):
    __slots__ = ("name", "arrived", "left_behind", "was_written", "arrived_as")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ARRIVED_FIELD_NUMBER: _ClassVar[int]
    LEFT_BEHIND_FIELD_NUMBER: _ClassVar[int]
    WAS_WRITTEN_FIELD_NUMBER: _ClassVar[int]
    ARRIVED_AS_FIELD_NUMBER: _ClassVar[int]
    name: str
    arrived: _model_pb2.Publication
    left_behind: bool
    was_written: bool
    arrived_as: int
    def __init__(self, name: _Optional[str] = ..., arrived: _Optional[_Union[_model_pb2.Publication, _Mapping]] = ..., left_behind: _Optional[bool] = ..., was_written: _Optional[bool] = ..., arrived_as: _Optional[int] = ...) -> None: ...

class SnapshotDropped(_message.Message):
    __slots__ = ("names", "attempts")
    NAMES_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    attempts: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, names: _Optional[_Iterable[str]] = ..., attempts: _Optional[_Iterable[int]] = ...) -> None: ...

class SnapshotWorkflowEnd(_message.Message):
    __slots__ = ("steps", "names_crc")
    STEPS_FIELD_NUMBER: _ClassVar[int]
    NAMES_CRC_FIELD_NUMBER: _ClassVar[int]
    steps: int
    names_crc: int
    def __init__(self, steps: _Optional[int] = ..., names_crc: _Optional[int] = ...) -> None: ...

class SnapshotEvents(_message.Message):
    __slots__ = ("events", "names")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[_events_pb2.Event]
    names: _containers.RepeatedCompositeFieldContainer[SnapshotNames]
    def __init__(self, events: _Optional[_Iterable[_Union[_events_pb2.Event, _Mapping]]] = ..., names: _Optional[_Iterable[_Union[SnapshotNames, _Mapping]]] = ...) -> None: ...

class SnapshotNames(_message.Message):
    __slots__ = ("names",)
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...

class SnapshotTail(_message.Message):
    __slots__ = ("sha256",)
    SHA256_FIELD_NUMBER: _ClassVar[int]
    sha256: bytes
    def __init__(self, sha256: _Optional[bytes] = ...) -> None: ...
