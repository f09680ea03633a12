"""What a worker is told, as plain values; the wire layer packs them into inbox records."""

from dataclasses import dataclass
from typing import TypeAlias

from gaia_core.workflow.model import Execution, Fence


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Run one attempt."""

    execution: Execution


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop one attempt; its end is reported all the same."""

    fence: Fence
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Drain:
    """Take nothing new, finish what runs, leave.

    Attributes:
        reason: why this worker is not wanted; "" where it is merely to go.
    """

    reason: str = ""


Order: TypeAlias = Dispatch | Cancel | Drain


@dataclass(frozen=True, slots=True)
class Inbox:
    """One inbox record: orders of one term for one incarnation of one worker."""

    worker: str
    incarnation: str
    term: int
    orders: tuple[Order, ...]
