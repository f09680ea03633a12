"""What is to be done once the events it follows from are journaled."""

from dataclasses import dataclass
from typing import TypeAlias

from gaia_core.workflow.model import FileVersion, Publication
from gaia_core.workflow.state import Step, WorkflowState


@dataclass(frozen=True, slots=True)
class SendDispatches:
    """Tell a worker to run the latest attempt of each of these Steps."""

    worker: str
    workflow: WorkflowState
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class SendCancels:
    """Tell a worker to stop attempts of a workflow."""

    worker: str
    uid: int
    attempts: tuple[tuple[int, int], ...]
    reason: str


@dataclass(frozen=True, slots=True)
class SendDrain:
    """Tell a worker to finish what it runs, and to leave."""

    worker: str


@dataclass(frozen=True, slots=True)
class LookUp:
    """See what lies in the store under these Keys, which no Step writes; answer by an Arrive request.

    Attributes:
        known: what is known of each; () if nothing is of any.
    """

    workflow: str
    keys: tuple[str, ...]
    known: tuple[Publication, ...] = ()


@dataclass(frozen=True, slots=True)
class DeleteData:
    """Delete every file of a workflow that is no more; answer by a DataGone request."""

    uid: int
    workflow: str


@dataclass(frozen=True, slots=True)
class Archive:
    """Put a finished workflow into the store; answer by an Archived request.

    Attributes:
        updated_ms: when it last changed; if it changes again it is to stay.
    """

    uid: int
    updated_ms: int


@dataclass(frozen=True, slots=True)
class DropArchive:
    """Delete the object of an archived workflow that is back, or no more."""

    file: FileVersion


StoreEffect: TypeAlias = LookUp | DeleteData | Archive | DropArchive
Effect: TypeAlias = SendDispatches | SendCancels | SendDrain | StoreEffect
