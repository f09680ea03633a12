"""Marks of versions that attempts store: they tell an attempt's files from those that people put there.

Workers store every file of an attempt with its mark; whoever collects what nobody refers to reads it.
"""

import hashlib
import re
from typing import Final, NamedTuple

from gaia_core.workflow.model import Fence

_MARK: Final = re.compile(r"attempt-([0-9a-f]{8})-(\d+)-(\d+)-(\d+)")


class Author(NamedTuple):
    """The attempt that stored a version."""

    uid: int
    step: int
    attempt: int


def attempt_mark(deployment: str, fence: Fence) -> str:
    """Return the mark of what an attempt of a deployment stores."""
    return f"attempt-{_short(deployment)}-{fence.workflow_uid}-{fence.step}-{fence.attempt}"


def author_of(deployment: str, mark: str) -> Author | None:
    """Return the attempt that a mark tells of, or None: it is no mark of an attempt of this deployment."""
    found = _MARK.fullmatch(mark)
    if found is None or found[1] != _short(deployment):
        return None
    return Author(int(found[2]), int(found[3]), int(found[4]))


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
