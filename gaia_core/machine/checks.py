"""What handlers of requests check first: the workflow is there, has the revision that is meant, and nothing is wrong.

They raise, or return what they found; nothing is changed here.
"""

from collections.abc import Sequence
from typing import Protocol

from gaia_core.errors import InvalidWorkflow, NotAllowedNow, Problem, UnknownName
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
    """
    workflow = state.workflows.get(name)
    if workflow is None:
        raise UnknownName(f"There is no workflow {name!r}{suggestion(name, state.workflows) or '.'}")
    return workflow


def find_or_none(state: Deployment, change: _Change) -> WorkflowState | None:
    """Return the workflow that a change means, or None where it is new.

    Raises:
        NotAllowedNow: it has another revision than the change expects; one that is new has revision 0.
    """
    workflow = state.workflows.get(change.workflow)
    revision = workflow.revision if workflow is not None else 0
    if change.expected_revision not in (None, revision):
        new = "" if workflow is not None else ", which does not exist yet,"
        message = f"Workflow {change.workflow!r}{new} has revision {revision}, not {change.expected_revision}."
        raise NotAllowedNow(message, hint="read it again, and decide anew")
    return workflow


def find_existing(state: Deployment, change: _Change) -> WorkflowState:
    """Return the workflow that a change means, which must be there; raises as `find` and `find_or_none` do."""
    find(state, change.workflow)
    workflow = find_or_none(state, change)
    assert workflow is not None
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


def refuse(problems: Sequence[Problem]) -> None:
    """Raise when there are problems."""
    if problems:
        raise InvalidWorkflow.of(problems)
