"""What clients and the shell ask of the machine, and what it answers: plain values.

Mutations carry a request id (may be "") and a digest of their body, so that a retry happens once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from gaia_core.errors import Problem
from gaia_core.machine.archived import Restored
from gaia_core.workflow.form.items import Reading
from gaia_core.workflow.model import Command, FileVersion, Publication, Resources, StepSpec


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
    expected_revision: int | None = None


@dataclass(frozen=True, slots=True)
class Merge:
    """Add or update Steps. Answer: `diff`.

    Attributes:
        only_changed: Steps whose definition did not change are left alone.
        prune: elements of the given sweeps that they no longer make are removed.
    """

    workflow: str
    steps: tuple[StepSpec, ...]
    request: RequestId = NO_ID
    expected_revision: int | None = None
    only_changed: bool = False
    prune: bool = False


@dataclass(frozen=True, slots=True)
class Remove:
    """Take Steps out. Answer: `diff`."""

    workflow: str
    names: tuple[str, ...]
    request: RequestId = NO_ID
    expected_revision: int | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Forget a workflow. Answer: {workflow}."""

    workflow: str
    data: bool = False
    request: RequestId = NO_ID
    expected_revision: int | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """Resume, or try failed Steps again. Answer: {workflow, state}."""

    workflow: str
    request: RequestId = NO_ID
    expected_revision: int | None = None


@dataclass(frozen=True, slots=True)
class Halt:
    """Stop everything. Answer: {workflow, state}."""

    workflow: str
    request: RequestId = NO_ID
    expected_revision: int | None = None


@dataclass(frozen=True, slots=True)
class Expire:
    """Make Steps and Keys, and all that depends on them, be made again. Answer: {steps, keys, reasons}."""

    workflow: str
    names: tuple[str, ...]
    request: RequestId = NO_ID
    expected_revision: int | None = None


@dataclass(frozen=True, slots=True)
class Launch:
    """Have workers of these names started. Answer: Launched.

    Attributes:
        starting: names of workers that are being started now.
        problems: what else is wrong with the request.
        objection: why the server could not start them now, in words; "" if it could.
    """

    names: tuple[str, ...]
    request: RequestId = NO_ID
    starting: frozenset[str] = frozenset()
    problems: tuple[Problem, ...] = ()
    objection: str = ""


@dataclass(frozen=True, slots=True)
class Launched:
    """That workers may be started now, or, if not `is_new`, that they were when the request came first."""

    names: tuple[str, ...]
    is_new: bool = True


@dataclass(frozen=True, slots=True)
class LaunchFailed:
    """Workers did not start; a retry of the request is told so too. Answer: {}."""

    request: RequestId
    why: str


@dataclass(frozen=True, slots=True)
class Drain:
    """Ask workers to finish what they run, and to leave. Answer: WorkersAnswer."""

    names: tuple[str, ...]
    request: RequestId = NO_ID


@dataclass(frozen=True, slots=True)
class PlanExpire:
    """Tell what Expire would do. Answer: the same."""

    workflow: str
    names: tuple[str, ...]
    expected_revision: int | None = None


@dataclass(frozen=True, slots=True)
class Arrive:
    """Keys were put or announced, or seen in the store. Answer: {}.

    Attributes:
        instead_of: for Keys seen in the store: what was known of each when it was looked for. What counts no more by
            now, or has changed since, is passed over. () for Keys that were put or announced.
    """

    workflow: str
    keys: tuple[Publication, ...]
    instead_of: tuple[Publication | None, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckUpload:
    """What is wrong with an upload. Answer: None; refused as Upload is, with the problems of form that are known.

    Attributes:
        workflow: its name; None where that is not understood.
        problems: of its name and properties.
    """

    workflow: str | None
    commands: Reading[Command]
    steps: Reading[StepSpec]
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckSteps:
    """What is wrong with merging Steps. Answer: None; refused as Merge is, with the problems of form that are known.

    Attributes:
        workflow: its name; None where that is not understood.
    """

    workflow: str | None
    steps: Reading[StepSpec]
    prune: bool = False
    expected_revision: int | None = None


@dataclass(frozen=True, slots=True)
class CheckCommands:
    """What is wrong with setting Commands. Answer: None; refused as SetCommands is, with what is known of their form.

    Attributes:
        workflow: its name; None where that is not understood.
    """

    workflow: str | None
    commands: Reading[Command]
    expected_revision: int | None = None


@dataclass(frozen=True, slots=True)
class CheckPut:
    """Ask whether Keys may be put from outside. Answer: None; refused when a Step writes one.

    Attributes:
        places: of the Keys in the request.
    """

    workflow: str
    keys: tuple[str, ...]
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListWorkflows:
    """Answer: a tuple of Summary, sorted by name."""

    prefix: str = ""
    owner: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class GetUid:
    """Which workflow has a name now, and these Steps. Answer: its uid; 0 for "", which stands for all.

    Attributes:
        steps: names of Steps, sweeps and composites that it must have.
    """

    workflow: str
    steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GetStatus:
    """Answer: Status."""

    workflow: str


@dataclass(frozen=True, slots=True)
class ListSteps:
    """Answer: (tuple of StepView, next page start or 0); "" and () filter nothing."""

    workflow: str
    prefix: str = ""
    states: tuple[str, ...] = ()
    command: str = ""
    page_start: int = 0
    page_size: int = 100


@dataclass(frozen=True, slots=True)
class Explain:
    """Why Steps wait, ran or will run. Answer: (tuple of Explanation, whether there are more)."""

    workflow: str
    step: str


@dataclass(frozen=True, slots=True)
class FindLog:
    """Where the logs of a Step are. Answer: LogTarget."""

    workflow: str
    step: str


@dataclass(frozen=True, slots=True)
class ListWorkers:
    """Answer: a list of WorkerView."""


@dataclass(frozen=True, slots=True)
class GetFigures:
    """How much there is of everything. Answer: Figures."""


@dataclass(frozen=True, slots=True)
class GetFiles:
    """What lies under a Key or below a prefix. Answer: a tuple of Publication."""

    workflow: str
    key: str
    is_prefix: bool = False


@dataclass(frozen=True, slots=True)
class ListOutside:
    """Answer: uids of the workflows in which Steps read Keys that no Step writes."""


@dataclass(frozen=True, slots=True)
class GetOutside:
    """Keys that Steps of a workflow read and that no Step writes. Answer: OutsideKeys, or None: it is no more.

    Attributes:
        start: place of the first one; `most` of them are answered.
    """

    uid: int
    start: int
    most: int


@dataclass(frozen=True, slots=True)
class OutsideKeys:
    """A few Keys that no Step writes and that Steps read, each with what is known of it, or None."""

    workflow: str
    keys: tuple[tuple[str, Publication | None], ...]


@dataclass(frozen=True, slots=True)
class GetInputs:
    """The pinned inputs of a running attempt. Answer: a tuple of Input."""

    uid: int
    step: int
    attempt: int


@dataclass(frozen=True, slots=True)
class MayWrite:
    """Whether attempts of a workflow may still store something. Answer: True or False.

    Once it is False of a deleted workflow it stays so, except for workers that were given up for lost.
    """

    uid: int


@dataclass(frozen=True, slots=True)
class GetReferences:
    """What refers to the files under some Keys. Answer: References, or None: no workflow has the name."""

    workflow: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GetStepReferences:
    """What some Steps refer to. Answer: References, or None: there is no workflow of this uid."""

    uid: int
    steps: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class References:
    """Which versions count now.

    Attributes:
        uid: of the workflow.
        publications: all that may name a version under the Keys (or of the Steps) that were asked for.
        written: those of the Keys that a Step writes, by themselves or in a tree.
        busy: those of these that an attempt may be writing now, so that what nobody refers to yet may soon count.
        running: the current attempt of each of the Steps that is running.
        attempts: the latest attempt of each of the Steps.
    """

    uid: int
    publications: tuple[Publication, ...]
    written: frozenset[str] = frozenset()
    busy: frozenset[str] = frozenset()
    running: Mapping[int, int] = field(default_factory=dict)
    attempts: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GetArchives:
    """Where some workflows lie in the store. Answer: uid → file, of those that are archived now."""

    uids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GetGone:
    """Which workflows were deleted with their files. Answer: Gone."""


@dataclass(frozen=True, slots=True)
class Gone:
    """Workflows that were deleted with their files, as uid → name.

    Attributes:
        doomed: their files are still being deleted.
        wiped: the latest of those whose files were; late uploads of lost workers may still come.
    """

    doomed: Mapping[int, str]
    wiped: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class DataGone:
    """The files of a deleted workflow are gone. Answer: {}."""

    uid: int


@dataclass(frozen=True, slots=True)
class Confirm:
    """Make sure that this is the leader still, by an entry of the journal, so that what it said before was true.

    For what cannot be undone. That the journal ends where this leader knows it to, which is enough for an answer, a
    broker could say that was itself deposed; an entry is taken by all of them. Answer: None.
    """


@dataclass(frozen=True, slots=True)
class Archived:
    """A finished workflow lies in the store. Answer: whether it left memory, which it does unless it has changed.

    Attributes:
        updated_ms: when it had last changed.
        file: where it lies.
        sequence: number of its latest public event then.
        rest: the state that was told of last.
    """

    uid: int
    updated_ms: int
    file: FileVersion
    sequence: int
    rest: str


@dataclass(frozen=True, slots=True)
class Revive:
    """Take an archived workflow back into memory. Answer: whether it was; it may be back already, or no more."""

    uid: int
    file: FileVersion
    restored: Restored


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: end backoffs that are due, fail what was ready too long. Answer: {}."""


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
class HeldView:
    """One attempt that a worker holds.

    Attributes:
        step: "" of a Step that is no more.
        since_ms: when it was dispatched.
        stopping: it no longer counts, and its end is awaited.
    """

    workflow: str
    step: str
    attempt: int
    since_ms: int
    stopping: bool


@dataclass(frozen=True, slots=True)
class WorkerView:
    """One worker as readers see it.

    Attributes:
        attempts: how many it holds.
        credit: how many more it may be given now.
        resources: what attempts on it may demand together.
        used: what those demand that it holds.
        draining: it takes nothing new, and leaves; or was asked to.
        trouble: why it takes nothing new for now.
        held: some of what it holds, the oldest first.
    """

    name: str
    incarnation: str
    pool: str
    slots: int
    prefetch: int
    attempts: int
    executor: str
    host: str
    metadata: Mapping[str, Any]
    credit: int
    resources: Resources
    used: Resources
    draining: bool
    trouble: str
    version: str
    held: tuple[HeldView, ...]


Mutation: TypeAlias = Upload | SetCommands | Merge | Remove | Delete | Run | Halt | Expire | Launch | Drain
Query: TypeAlias = (
    ListWorkflows
    | ListWorkers
    | ListSteps
    | GetUid
    | GetStatus
    | Explain
    | FindLog
    | PlanExpire
    | GetFigures
    | GetFiles
    | GetInputs
    | CheckUpload
    | CheckSteps
    | CheckCommands
    | CheckPut
    | ListOutside
    | GetOutside
    | MayWrite
    | GetReferences
    | GetStepReferences
    | GetArchives
    | GetGone
)
Internal: TypeAlias = Arrive | DataGone | Confirm | Archived | Revive | Tick | LoseWorker | LoseAttempts | LaunchFailed
Request: TypeAlias = Mutation | Query | Internal
