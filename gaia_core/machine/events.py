"""Facts about the deployment that belong to no workflow, and the union of everything the journal keeps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from gaia_core.machine.archived import Restored
from gaia_core.scheduling.fleet import UNTOLD
from gaia_core.workflow import events as ev
from gaia_core.workflow.events import WorkflowEvent
from gaia_core.workflow.model import FileVersion, Resources

UIDS_SKIPPED: Final = 1_000_000
"""More workflows than the entries can have begun that a damaged journal lost: a uid is never used for another one."""

EVENTS_SKIPPED: Final = 1_000_000_000
"""More than these can have announced of one workflow: consumers see a gap, and no number twice."""


@dataclass(frozen=True, slots=True)
class WorkerJoined:
    """An incarnation of a worker said hello, or that it drains now, is in trouble, or is well again."""

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
    resources: Resources = UNTOLD
    trouble: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class WorkerDismissed:
    """Somebody asked an incarnation to finish what it runs, and to leave."""

    worker: str
    incarnation: str


@dataclass(frozen=True, slots=True)
class WorkerLeft:
    """An incarnation is gone; what it held was lost in the same entry."""

    worker: str
    incarnation: str
    reason: str


@dataclass(frozen=True, slots=True)
class RequestAnswered:
    """A mutation was answered; the same request id with the same body is answered the same way for 24 h.

    Attributes:
        answer: JSON.
    """

    request_id: str
    digest: bytes
    answer: str


@dataclass(frozen=True, slots=True)
class DataDeleted:
    """The files of a deleted workflow are gone; its name is free again."""

    workflow_uid: int


@dataclass(frozen=True, slots=True)
class EntriesLost:
    """The journal could not be read at an offset; what was decided from there on, up to now, is lost.

    Some of it was told to the world, so numbers that it may have used are not used again.
    """

    offset: int


@dataclass(frozen=True, slots=True)
class WorkflowArchived:
    """A finished workflow left memory; it lies in the store.

    Attributes:
        file: where, in the own bucket.
        sequence: number of its latest public event.
        rest: the state that was told of last.
    """

    uid: int
    file: FileVersion
    sequence: int
    rest: str


@dataclass(frozen=True, slots=True)
class WorkflowRevived:
    """An archived workflow is back in memory, as it was."""

    uid: int
    restored: Restored


Event: TypeAlias = (
    WorkflowEvent
    | WorkerJoined
    | WorkerLeft
    | WorkerDismissed
    | RequestAnswered
    | DataDeleted
    | WorkflowArchived
    | WorkflowRevived
    | EntriesLost
)


def stop_reason(event: Event) -> str:
    """Return why an event stops attempts, or takes back what they completed, in the words that users read."""
    match event:
        case ev.StepsReset():
            return event.reason
        case ev.CommandsSet():
            return "command changed"
        case ev.StepsMerged():
            return "merged"
        case ev.StepsRemoved():
            return "removed"
        case ev.WorkflowDeleted():
            return "deleted"
        case _:
            return "halted"
