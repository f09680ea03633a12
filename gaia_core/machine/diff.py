"""What a mutation changed, and why each Step runs again: the answers of upload, command, merge, expire and remove."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from sys import maxsize
from typing import Final

from gaia_core.workflow.cascade import Cascade
from gaia_core.workflow.state import Step

REASONS_MAX: Final = 1_000
"""Nobody reads more, and a diff of a million Steps has to fit into a message."""

UPSTREAM: Final = "upstream"


@dataclass(frozen=True, slots=True)
class Affected:
    """Why one Step runs again.

    Attributes:
        reason: its own, or "upstream".
        upstream: the Step that makes it run again, with "upstream".
        key: the Key by which it depends on that Step, or the one that was named or changed; "" where none was.
    """

    step: str
    reason: str
    upstream: str = ""
    key: str = ""


@dataclass(slots=True)
class Diff:
    """Names of Steps: those that are new, defined anew, given again as they were, to run again, and gone.

    Attributes:
        given: every Step that was given, expanded, in the order in which they were given.
    """

    added: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    recomputed: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    reasons: list[Affected] = field(default_factory=list)
    revision: int = 0
    given: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Expired:
    """What runs again and which Keys are made or looked up anew."""

    steps: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    reasons: list[Affected] = field(default_factory=list)


def reasons(steps: Iterable[Step], cascade: Cascade, reason: str, first_new: int = maxsize) -> list[Affected]:
    """Return why Steps run, for the first of them; those from index `first_new` on run for the first time."""
    return [
        Affected(step.name, "first") if step.index >= first_new else _affected(step, cascade, reason)
        for step in islice(steps, REASONS_MAX)
    ]


def _affected(step: Step, cascade: Cascade, reason: str) -> Affected:
    """Return why one Step of a cascade runs again."""
    cause = cascade[step]
    key = cause.key.name if cause.key is not None else ""
    if cause.upstream is None:
        return Affected(step.name, reason, "", key)
    return Affected(step.name, UPSTREAM, cause.upstream.name, key)


def keys_of(steps: Iterable[Step], also: Iterable[str]) -> list[str]:
    """Return the Keys that Steps write, and others, each once."""
    return list(dict.fromkeys([*(key.name for step in steps for key in step.outputs), *also]))
