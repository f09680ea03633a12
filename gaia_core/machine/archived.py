"""Workflows that have left memory: what is kept of each, and how one comes back.

The rest of it lies in the store as one object. Only values here; the wire layer writes and reads such objects.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from gaia_core.workflow.model import FileVersion
from gaia_core.workflow.state import WorkflowState
from gaia_core.workflow.views import Summary


class Archived(NamedTuple):
    """What is kept in memory of a workflow that lies in the store.

    Attributes:
        summary: its line in the list of workflows.
        sequence: number of its latest public event.
        rest: the state that was told of last.
        file: where the rest of it lies, in the own bucket.
    """

    uid: int
    summary: Summary
    sequence: int
    rest: str
    file: FileVersion

    @property
    def name(self) -> str:
        """Return the workflow's name."""
        return self.summary.name


class Kept(Protocol):
    """A workflow as it comes back, and what an announcer knows of it."""

    @property
    def workflow(self) -> WorkflowState:
        """Return the workflow."""

    @property
    def sequence(self) -> int:
        """Return the number of its latest public event."""

    @property
    def rest(self) -> str:
        """Return the state that was told of last."""


class Restored:
    """A workflow that comes back, for everybody who follows the journal: each takes a copy of its own.

    Args:
        data: the workflow, encoded.
        load: decodes it; takes its time where the workflow is large.
        ready: a copy that is decoded already, for the first who takes one.
    """

    def __init__(self, data: bytes, load: Callable[[bytes], Kept], ready: Kept | None = None) -> None:
        self.data = data
        self._load = load
        self._ready = ready

    def take(self) -> Kept:
        """Return a copy."""
        ready, self._ready = self._ready, None
        return ready if ready is not None else self._load(self.data)

    def __eq__(self, other: object) -> bool:
        """Compare by content."""
        return isinstance(other, Restored) and self.data == other.data

    __hash__ = None  # type: ignore[assignment]


class IsArchived(Exception):
    """A request asks for a workflow that has left memory; raised before anything was changed."""

    def __init__(self, archived: Archived) -> None:
        super().__init__(f"workflow {archived.name!r} is archived")
        self.archived = archived
