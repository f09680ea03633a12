"""Facts about one workflow, past tense: what the journal keeps and `WorkflowState.apply` enters. Frozen plain values.

Sets of Steps are ascending indexes. Columns (`steps[i]`, `attempts[i]`) keep a batch of completions small and cheap.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from gaia_core.workflow.flat import FlatStep
from gaia_core.workflow.model import Command, Failure, Publication, StepSpec


@dataclass(frozen=True, slots=True)
class WorkflowCreated:
    """A workflow began, empty."""

    uid: int
    name: str
    owner: str
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CommandsSet:
    """Commands were added or replaced; Steps of replaced ones are linked anew."""

    uid: int
    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class StepsMerged:
    """Steps were added or updated, as written.

    Attributes:
        pruned: Steps that are no more, since the given sweeps no longer make them; running attempts are being stopped.
        flat: their expansion where the writer still has it at hand; a replay makes it again.
    """

    uid: int
    specs: tuple[StepSpec, ...]
    pruned: tuple[int, ...] = ()
    flat: tuple[FlatStep, ...] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class StepsReset:
    """These Steps have to run again; running attempts of theirs are being stopped.

    Attributes:
        reason: of those that have one of their own.
        upstream: for each, the index of the Step that makes it run again, or None; () where each has its own reason.
    """

    uid: int
    steps: tuple[int, ...]
    reason: str
    upstream: tuple[int | None, ...] = ()


@dataclass(frozen=True, slots=True)
class StepsRemoved:
    """These Steps are no more; running attempts of theirs are being stopped."""

    uid: int
    steps: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WorkflowHalted:
    """Everything running is being stopped and nothing starts."""

    uid: int


@dataclass(frozen=True, slots=True)
class WorkflowResumed:
    """No longer halted; failed Steps are tried again."""

    uid: int


@dataclass(frozen=True, slots=True)
class KeysArrived:
    """Keys that no Step writes were seen in the store."""

    uid: int
    keys: tuple[Publication, ...]


@dataclass(frozen=True, slots=True)
class KeysForgotten:
    """Keys that no Step writes are looked up anew."""

    uid: int
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StepsDispatched:
    """attempts[i] of steps[i] went to one worker."""

    uid: int
    worker: str
    steps: tuple[int, ...]
    attempts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StepsCompleted:
    """attempts[i] of steps[i] was accepted.

    Attributes:
        outputs: what each wrote, or () when none of them wrote anything.
        images: digest of the image that each ran, "" for none; or () when none of them ran one.
    """

    uid: int
    worker: str
    steps: tuple[int, ...]
    attempts: tuple[int, ...]
    run_ms: tuple[int, ...]
    outputs: tuple[tuple[Publication, ...], ...] = ()
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """A current attempt failed; with retry_at_ms it is tried again, without it the Step has failed."""

    uid: int
    worker: str
    step: int
    attempt: int
    failure: Failure
    retry_at_ms: int | None = None
    outputs: tuple[Publication, ...] = ()


@dataclass(frozen=True, slots=True)
class BackoffsEnded:
    """These Steps need wait no longer for their next attempt."""

    uid: int
    steps: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class QueueTimedOut:
    """These Steps failed: no worker took them in the time they have."""

    uid: int
    steps: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WorkflowDeleted:
    """The workflow is no more; running attempts of its Steps are being stopped.

    Attributes:
        data: its files are to be deleted too; until they are, its name stays taken.
    """

    uid: int
    data: bool = False


@dataclass(frozen=True, slots=True)
class AttemptsEnded:
    """Attempts that were being stopped have ended."""

    uid: int
    worker: str
    steps: tuple[int, ...]
    attempts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AttemptsGivenBack:
    """attempts[i] of steps[i] was never started by the worker that had it; its Step is READY again."""

    uid: int
    worker: str
    steps: tuple[int, ...]
    attempts: tuple[int, ...]


WorkflowEvent: TypeAlias = (
    WorkflowCreated
    | CommandsSet
    | StepsMerged
    | StepsReset
    | StepsRemoved
    | WorkflowHalted
    | WorkflowResumed
    | KeysArrived
    | KeysForgotten
    | StepsDispatched
    | StepsCompleted
    | AttemptFailed
    | BackoffsEnded
    | QueueTimedOut
    | WorkflowDeleted
    | AttemptsEnded
    | AttemptsGivenBack
)
