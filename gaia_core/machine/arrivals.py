"""Keys that come from outside: what was put, announced or seen in the store, and what the store is asked for.

Every handler checks first and emits then.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from gaia_core.machine import events as own
from gaia_core.machine import requests as rq
from gaia_core.machine.checks import find, refuse_written
from gaia_core.machine.decision import Decision
from gaia_core.machine.effects import LookUp
from gaia_core.workflow import events as ev
from gaia_core.workflow.cascade import Cause, dependents
from gaia_core.workflow.graph import Key
from gaia_core.workflow.model import FileVersion, Publication
from gaia_core.workflow.state import Step, WorkflowState

TREE_GROWN_MAX: Final = 1_000
"""An outside tree of more files is not written anew for each file put into it; it is looked at in its turn."""


def arrive(decision: Decision, request: rq.Arrive) -> None:
    """Enter Keys that were seen in the store; readers of a changed one run again.

    Raises:
        NotAllowedNow: a Step writes a Key that was put or announced.
    """
    workflow = find(decision.state, request.workflow)
    if not request.instead_of:
        for publication in request.keys:
            refuse_written(workflow, publication.key)
    if request.instead_of:
        pairs = zip(request.keys, request.instead_of, strict=True)
        fresh = tuple(one for one, expected in pairs if _is_seen(workflow, one, expected))
    else:
        told = (*request.keys, *_grown_trees(workflow, request.keys))
        fresh = tuple(one for one in told if _is_news(one, _arrived(workflow.graph.keys.get(one.key))))
    if fresh:
        changed = {key: None for one in fresh for key in _changed(workflow, one)}
        decision.emit(ev.KeysArrived(workflow.uid, fresh))
        readers = {reader: Cause(None, key) for key in changed for reader in key.readers}
        decision.reset(workflow, dependents(readers), "input changed")


def _grown_trees(workflow: WorkflowState, told: Sequence[Publication]) -> Iterator[Publication]:
    """Yield the outside trees that are there, as they are with what was put or announced into them."""
    grown: dict[Key, dict[str, FileVersion]] = {}
    names = {one.key for one in told}
    for one in told:
        for tree in workflow.graph.trees_over(one.key):
            known = tree.arrived
            if known is not None and tree.name not in names and len(known.files) <= TREE_GROWN_MAX:
                files = grown.setdefault(tree, {file.key: file for file in known.files})
                files.update((file.key, file) for file in one.files)
    for tree, files in grown.items():
        yield Publication(tree.name, tuple(files[key] for key in sorted(files)))


def _arrived(key: Key | None) -> Publication | None:
    return key.arrived if key is not None else None


def _is_news(publication: Publication, known: Publication | None) -> bool:
    """Tell whether a Key that was put or announced has other versions than those known, or digests where it had none.

    It may be known already: a look into the store can come between the upload of what is put and its arrival.
    """
    if known is None or publication.versions != known.versions:
        return True
    return publication != known and all(file.sha256 for file in publication.files)


def _changed(workflow: WorkflowState, publication: Publication) -> Iterator[Key]:
    """Yield the Keys whose readers read something else once this has arrived.

    They are the Key itself, if it was there before, and the trees over it that Steps write under: those are not put as
    a whole, so what is put into them is read with what Steps write.
    """
    known = _arrived(workflow.graph.keys.get(publication.key))
    if known is None or known.versions != publication.versions:
        if known is not None:
            yield workflow.graph.keys[publication.key]
        yield from (tree for tree in workflow.graph.trees_over(publication.key) if tree.writers)


def _is_seen(workflow: WorkflowState, publication: Publication, expected: Publication | None) -> bool:
    """Tell whether what a look into the store found counts: nothing else is known of the Key since it was looked for.

    Nor does it count what lies where a Step once wrote: an attempt may have uploaded it late.
    """
    key = workflow.graph.keys.get(publication.key)
    if _arrived(key) != expected or not workflow.graph.counts_when_found(publication.key):
        return False
    if expected is None:
        return True
    was_written = any(other.was_written for other in workflow.graph.all_over(publication.key))
    return publication.versions != expected.versions and not was_written


def look_up_missing(decision: Decision, workflow: WorkflowState, steps: Iterable[Step]) -> None:
    """Ask the store for Keys that no Step writes and that new readers lack."""
    look_up(decision, workflow, {key.name: None for step in steps for key in step.inputs if not key.is_there})


def look_up(decision: Decision, workflow: WorkflowState, names: Iterable[str]) -> None:
    """Ask the store for those Keys that count when they are found there."""
    wanted = tuple(name for name in names if workflow.graph.counts_when_found(name))
    if wanted:
        decision.effects.append(LookUp(workflow.name, wanted))


def data_gone(decision: Decision, request: rq.DataGone) -> None:
    """Free the name of a deleted workflow whose files are gone."""
    if request.uid in decision.state.doomed:
        decision.emit(own.DataDeleted(request.uid))
