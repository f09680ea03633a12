"""Who must run again when some Steps do: the one walk over the graph that merge, command, expire and remove share."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeAlias

from gaia_core.workflow.graph import Key
from gaia_core.workflow.state import Step


class Cause(NamedTuple):
    """Why a Step runs again: because another one does, or for a reason of its own.

    Attributes:
        upstream: the Step that it depends on, or None for a reason of its own.
        key: the Key by which it depends on that Step, or the one that was named or changed; None where none was.
    """

    upstream: Step | None = None
    key: Key | None = None


OWN = Cause()

Cascade: TypeAlias = dict[Step, Cause]
"""Steps that run again, each with its cause; upstream Steps come before those that they make run again."""


def own_causes(steps: Iterable[Step]) -> Cascade:
    """Return Steps that run again for a reason of their own."""
    return dict.fromkeys(steps, OWN)


def dependents(roots: Mapping[Step, Cause]) -> Cascade:
    """Return roots and every Step downstream of them.

    Args:
        roots: Steps to begin with. Cost is O(Steps reached and their Keys), not O(workflow): each Key, which many
            Steps may write into, is left but once.
    """
    reached = dict(roots)
    stack = list(reached)
    left: set[Key] = set()
    while stack:
        step = stack.pop()
        for key in (each for output in step.outputs for each in (output, *output.feeds) if each not in left):
            left.add(key)
            for reader in key.readers:
                if reader not in reached:
                    reached[reader] = Cause(step, key)
                    stack.append(reader)
    return reached
