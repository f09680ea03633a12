"""Recount everything about a workflow from scratch and compare. For tests and debugging; cost is O(workflow)."""

from collections import Counter

from gaia_core.errors import InvariantBroken
from gaia_core.workflow.graph import Graph, Key
from gaia_core.workflow.keys import is_tree
from gaia_core.workflow.state import WorkflowState
from gaia_core.workflow.states import StepState


def check(workflow: WorkflowState) -> None:
    """Make sure that every counter and index says what the Steps say.

    Raises:
        InvariantBroken: one does not; the message names it.
    """
    for state in StepState:
        members = [step for step in workflow.steps.values() if step.state is state]
        _same(workflow.counts[state], len(members), f"count of {state.word}")
        index = workflow.members[state]
        if index is not None:
            _same(set(index), set(members), f"index of {state.word}")
    _same([step.index for step in workflow.steps.values()], sorted(workflow.steps), "indexes")
    _same({step.name: step for step in workflow.steps.values()}, workflow.by_name, "names")
    _same(
        workflow.by_name.keys() & workflow.attempts_of_dropped.keys(), set(), "attempts of dropped Steps that are there"
    )
    _check_indexes(workflow)
    for step in workflow.steps.values():
        lacking = sum(not key.is_there for key in step.inputs)
        if step.state is StepState.WAITING:
            _same(step.missing, lacking, f"missing inputs of {step.name}")
        _same(step.state is StepState.WAITING, lacking > 0, f"{step.name} ({step.state.word}) waits")
    _check_graph(workflow)


def _check_indexes(workflow: WorkflowState) -> None:
    """Compare the indexes by alias and by Command with what the Steps say."""
    steps = workflow.steps.values()
    aliases = Counter((alias, step.name) for step in steps for alias in step.aliases)
    _same(Counter((alias, s.name) for alias, found in workflow.by_alias.items() for s in found), aliases, "aliases")
    users = Counter((command, step.name) for step in steps for command in step.commands)
    _same(Counter((command, s.name) for command, found in workflow.users.items() for s in found), users, "users")


def _check_graph(workflow: WorkflowState) -> None:
    """Compare the graph's Keys with what the Steps name."""
    graph = workflow.graph
    readers = Counter((key.name, step.name) for step in workflow.steps.values() for key in step.inputs)
    held = Counter((key.name, step.name) for key in graph.keys.values() for step in key.readers)
    _same(held, readers, "readers")
    for key in graph.keys.values():
        writers = {step for step in workflow.steps.values() if key in step.outputs}
        _same({key.writer} - {None}, writers, f"writer of {key.name}")
        complete = key.writer is not None and key.writer.state is StepState.COMPLETE
        _same(key.available, complete, f"availability of {key.name}")
        _check_read_key(graph, key)


def _check_read_key(graph: Graph, key: Key) -> None:
    """Recount the writers that a read Key depends on."""
    written = [other for other in graph.keys.values() if other.writer is not None and _overlap(other.name, key.name)]
    if key.readers:
        _same(key.writers, len(written), f"writers over {key.name}")
        _same(key.pending, sum(not other.available for other in written), f"pending writers over {key.name}")
        for other in written:
            _same(key in [other, *other.feeds], True, f"{other.name} feeds {key.name}")
    is_written = any(other.writer and key.name.startswith(other.name) for other in written if is_tree(other.name))
    _same(
        key.arrived is not None and (key.writer is not None or is_written), False, f"{key.name} has come from outside"
    )
    lacking = bool(key.readers) and not key.is_there
    _same(key in graph.missing, lacking and not written, f"{key.name} among the missing")
    _same(key in graph.awaited, lacking and bool(written), f"{key.name} among the awaited")
    _same(key in graph.outside, bool(key.readers) and not written, f"{key.name} among those from outside")


def _overlap(one: str, other: str) -> bool:
    return one == other or (is_tree(one) and other.startswith(one)) or (is_tree(other) and one.startswith(other))


def _same(actual: object, expected: object, what: str) -> None:
    if actual != expected:
        raise InvariantBroken(f"{what}: kept {actual!r}, recounted {expected!r}")
