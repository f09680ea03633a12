"""Who must run again when some Steps do: the one walk over the graph that merge, command and expire share."""

from collections.abc import Iterable, Iterator

from gaia_core.workflow.state import Step


def consumers(step: Step) -> Iterator[Step]:
    """Yield the Steps that read what a Step writes, trees on either side included; some more than once."""
    for key in step.outputs:
        yield from key.readers
        for fed in key.feeds:
            yield from fed.readers


def dependents(roots: Iterable[Step]) -> dict[Step, None]:
    """Return roots and every Step downstream of them.

    Args:
        roots: Steps to begin with. Cost is O(Steps reached and their Keys), not O(workflow).
    """
    reached = dict.fromkeys(roots)
    stack = list(reached)
    while stack:
        for reader in consumers(stack.pop()):
            if reader not in reached:
                reached[reader] = None
                stack.append(reader)
    return reached
