"""What workers say, as plain values. The wire layer decodes them; the machine and the leases read them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from gaia_core.scheduling.fleet import UNTOLD
from gaia_core.workflow.model import Failure, Fence, Publication, Resources


@dataclass(frozen=True, slots=True)
class CacheFigures:
    """How full a worker's cache of inputs is, and what it was good for since the worker began."""

    files: int
    size_bytes: int
    size_bytes_max: int
    hits: int
    misses: int
    hit_bytes: int


@dataclass(frozen=True, slots=True)
class Hello:
    """What an incarnation is and where its inbox starts: its first word, and part of every heartbeat.

    Attributes:
        resources: what attempts on it may demand together; what it does not tell is no limit.
        trouble: why it takes nothing new for now; "" when it is well.
        cache: of inputs, for people; None where it keeps none.
    """

    pool: str
    slots: int
    prefetch: int
    partition: int
    start_offset: int
    executor: str
    host: str
    version: str = ""
    draining: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)
    resources: Resources = UNTOLD
    trouble: str = ""
    cache: CacheFigures | None = None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Every attempt held, every one finished without an acknowledgement, and how far the inbox was read."""

    inbox_offset: int
    held: tuple[Fence, ...]
    finished: tuple[Fence, ...] = ()


@dataclass(frozen=True, slots=True)
class Started:
    """The attempt's program was started."""

    fence: Fence


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a running attempt is, as its program says: so many of so many, 0 where it does not say, and words."""

    fence: Fence
    done: int
    total: int
    message: str = ""


class Completed(NamedTuple):
    """The attempt succeeded and its outputs are stored.

    Attributes:
        image_digest: what was run, `name@sha256:…` or the engine's own `sha256:…`; "" where there are no images.
    """

    fence: Fence
    outputs: tuple[Publication, ...] = ()
    run_ms: int = 0
    image_digest: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt failed.

    Attributes:
        outputs: those kept in spite of it.
        unstarted: a worker that drains, or is in trouble, gives it back; the program was not started there, and never
            will be in this attempt.
    """

    fence: Fence
    failure: Failure
    outputs: tuple[Publication, ...] = ()
    unstarted: bool = False


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The attempt ended because it was cancelled."""

    fence: Fence


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The worker leaves on purpose."""

    reason: str = ""


Report: TypeAlias = Hello | Heartbeat | Started | Progress | Completed | Failed | Cancelled | Goodbye


@dataclass(frozen=True, slots=True)
class WorkerReports:
    """One report record: what one incarnation of one worker says, in order."""

    worker: str
    incarnation: str
    reports: tuple[Report, ...]
