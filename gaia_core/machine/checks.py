"""What handlers of requests check first: the workflow is there, has the revision that is meant, and nothing is wrong.

They raise, or return what they found; nothing is changed here.
"""

from collections.abc import Sequence
from typing import Protocol

from gaia_core.errors import InvalidWorkflow, NotAllowedNow, Problem, RequestError, UnknownName
from gaia_core.machine.archived import IsArchived
from gaia_core.machine.state import Deployment
from gaia_core.workflow.interface import suggestion
from gaia_core.workflow.state import WorkflowState


class _Change(Protocol):
    """A request that may say which revision it means to change."""

    @property
    def workflow(self) -> str: ...
    @property
    def expected_revision(self) -> int | None: ...


def find(state: Deployment, name: str) -> WorkflowState:
    """Return a workflow by name.

    Raises:
        UnknownName: there is none.
        IsArchived: it has left memory.
    """
    workflow = find_live(state, name)
    if workflow is None:
        raise UnknownName(f"There is no workflow {name!r}{suggestion(name, state.workflows) or '.'}")
    return workflow


def find_live(state: Deployment, name: str | None) -> WorkflowState | None:
    """Return a workflow by name, or None; None too where no name was understood.

    Raises:
        IsArchived: it has left memory.
    """
    if name is None:
        return None
    archived = state.archived.get(name)
    if archived is not None:
        raise IsArchived(archived)
    return state.workflows.get(name)


def obstacle_to(state: Deployment, name: str | None, expected_revision: int | None) -> RequestError | None:
    """Return what keeps a change from being made now, whatever is in it: another revision, a name not free yet."""
    workflow = state.workflows.get(name) if name is not None else None
    revision = workflow.revision if workflow is not None else 0
    return other_revision(name, revision, expected_revision) or (doomed(state, name) if workflow is None else None)


def other_revision(name: str | None, revision: int, expected: int | None) -> RequestError | None:
    """Return why a change that expects another revision may not be made, or None; a new workflow has revision 0."""
    if expected in (None, revision):
        return None
    new = "" if revision else ", which does not exist yet,"
    message = f"Workflow {name!r}{new} has revision {revision}, not {expected}."
    return NotAllowedNow(message, hint="read it again, and decide anew")


def doomed(state: Deployment, name: str | None) -> RequestError | None:
    """Return why a workflow of this name may not be made yet, or None."""
    if name not in state.doomed.values():
        return None
    message = f"The files of an earlier workflow {name!r} are still being deleted."
    return NotAllowedNow(message, hint="try again in a moment, or choose another name")


def find_existing(state: Deployment, change: _Change) -> WorkflowState:
    """Return the workflow that a change means, which must be there.

    Raises:
        UnknownName: there is none.
        NotAllowedNow: it has another revision than the change expects.
    """
    workflow = find(state, change.workflow)
    refuse((), obstacle_to(state, change.workflow, change.expected_revision))
    return workflow


def refuse_written(workflow: WorkflowState, key: str) -> None:
    """Refuse a Key that a Step writes.

    Raises:
        NotAllowedNow: a Step writes the Key, a part of it, or a tree over it.
    """
    for other in workflow.graph.all_over(key):
        if other.writer is not None:
            message = f"Key {key!r} of {workflow.name!r} is written by Step {other.writer.name!r}."
            raise NotAllowedNow(message, hint="only Keys that no Step writes can be put")


def refuse(problems: Sequence[Problem], obstacle: RequestError | None = None) -> None:
    """Raise the obstacle where there is one, with the problems beside it, or else the problems."""
    if obstacle is not None:
        raise type(obstacle)(obstacle.message, hint=obstacle.hint, problems=tuple(dict.fromkeys(problems)))
    if problems:
        raise InvalidWorkflow.of(problems)
