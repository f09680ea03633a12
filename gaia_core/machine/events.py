"""Facts about the deployment that belong to no workflow, and the union of everything the journal keeps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from gaia_core.workflow.events import WorkflowEvent


@dataclass(frozen=True, slots=True)
class WorkerJoined:
    """An incarnation of a worker said hello, or said that it drains now."""

    worker: str
    incarnation: str
    pool: str
    slots: int
    prefetch: int
    partition: int
    executor: str = ""
    host: str = ""
    draining: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WorkerLeft:
    """An incarnation is gone; what it held was lost in the same entry."""

    worker: str
    incarnation: str
    reason: str


@dataclass(frozen=True, slots=True)
class RequestAnswered:
    """A mutation was answered; the same request id with the same body is answered the same way for 24 h."""

    request_id: str
    digest: bytes
    answer: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DataDeleted:
    """The files of a deleted workflow are gone; its name is free again."""

    workflow_uid: int


Event: TypeAlias = WorkflowEvent | WorkerJoined | WorkerLeft | RequestAnswered | DataDeleted
