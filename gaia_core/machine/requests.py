"""What clients and the shell ask of the machine, and what it answers: plain values.

Mutations carry a request id (may be "") and a digest of their body, so that a retry happens once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from gaia_core.workflow.model import Command, Publication, StepSpec


@dataclass(frozen=True, slots=True)
class RequestId:
    """Identity of a mutation: the client's id and a digest of the body."""

    id: str = ""
    digest: bytes = b""


NO_ID = RequestId()


@dataclass(frozen=True, slots=True)
class Upload:
    """Create a workflow and start it. Answer: `diff`."""

    workflow: str
    properties: Mapping[str, Any]
    commands: tuple[Command, ...]
    steps: tuple[StepSpec, ...]
    request: RequestId = NO_ID


@dataclass(frozen=True, slots=True)
class SetCommands:
    """Add or replace Commands. Answer: the list of all Commands."""

    workflow: str
    commands: tuple[Command, ...]
    request: RequestId = NO_ID


@dataclass(frozen=True, slots=True)
class Merge:
    """Add or update Steps. Answer: `diff`."""

    workflow: str
    steps: tuple[StepSpec, ...]
    request: RequestId = NO_ID


@dataclass(frozen=True, slots=True)
class Run:
    """Resume, or try failed Steps again. Answer: {workflow, state}."""

    workflow: str
    request: RequestId = NO_ID


@dataclass(frozen=True, slots=True)
class Halt:
    """Stop everything. Answer: {workflow, state}."""

    workflow: str
    request: RequestId = NO_ID


@dataclass(frozen=True, slots=True)
class Expire:
    """Make Steps and Keys, and all that depends on them, be made again. Answer: {steps, keys}."""

    workflow: str
    names: tuple[str, ...]
    request: RequestId = NO_ID


@dataclass(frozen=True, slots=True)
class Arrive:
    """Keys were put or announced. Answer: {}.

    Attributes:
        looked_up: they answer a LookUp: those that meanwhile count no more, or are known, are passed over.
    """

    workflow: str
    keys: tuple[Publication, ...]
    looked_up: bool = False


@dataclass(frozen=True, slots=True)
class CheckPut:
    """Ask whether a Key may be put from outside. Answer: {}; refused when a Step writes it."""

    workflow: str
    key: str


@dataclass(frozen=True, slots=True)
class ListWorkflows:
    """Answer: a tuple of Summary, sorted by name."""

    prefix: str = ""
    owner: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class GetStatus:
    """Answer: Status."""

    workflow: str


@dataclass(frozen=True, slots=True)
class GetDebug:
    """Answer: (tuple of StepView, next page start or 0, tuple of WorkerView)."""

    workflow: str
    page_start: int = 0
    page_size: int = 100


@dataclass(frozen=True, slots=True)
class ListWorkers:
    """Answer: a list of WorkerView."""


@dataclass(frozen=True, slots=True)
class GetFiles:
    """What lies under a Key or below a prefix. Answer: a tuple of Publication."""

    workflow: str
    key: str
    is_prefix: bool = False


@dataclass(frozen=True, slots=True)
class GetInputs:
    """The pinned inputs of a running attempt. Answer: a tuple of Input."""

    uid: int
    step: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: end backoffs that are due. Answer: {}."""


@dataclass(frozen=True, slots=True)
class LoseWorker:
    """A worker was silent for its whole lease. Answer: {}."""

    worker: str
    incarnation: str
    reason: str


@dataclass(frozen=True, slots=True)
class LoseAttempts:
    """Attempts that a worker should hold and does not. Answer: {}."""

    worker: str
    incarnation: str
    attempts: tuple[tuple[int, int, int], ...] = field(default=())


@dataclass(frozen=True, slots=True)
class WorkerView:
    """One worker as readers see it."""

    name: str
    incarnation: str
    pool: str
    slots: int
    prefetch: int
    attempts: int
    executor: str
    host: str


Mutation: TypeAlias = Upload | SetCommands | Merge | Run | Halt | Expire
Query: TypeAlias = ListWorkflows | ListWorkers | GetStatus | GetDebug | GetFiles | GetInputs | CheckPut
Internal: TypeAlias = Arrive | Tick | LoseWorker | LoseAttempts
Request: TypeAlias = Mutation | Query | Internal
