"""Which versions in the store count: what was published, and what has arrived from outside.

A running attempt pins nothing else: whatever takes a publication away makes its readers run again, and what a stopped
attempt still reads is its own loss. Answers hold the publications as they are; to look through their files is left to
whoever asks, outside the loop.
"""

from gaia_core.machine import requests as rq
from gaia_core.machine.archived import IsArchived
from gaia_core.machine.checks import find_live
from gaia_core.machine.state import Deployment
from gaia_core.workflow.keys import may_be_key
from gaia_core.workflow.model import Publication
from gaia_core.workflow.state import Step
from gaia_core.workflow.states import StepState


def get_references(state: Deployment, request: rq.GetReferences) -> rq.References | None:
    """Return what refers to the files under some Keys. Cost O(Keys asked for and their depth)."""
    workflow = find_live(state, request.workflow)
    if workflow is None:
        return None
    found: dict[int, Publication] = {}
    written, busy = set(), set()
    for name in filter(may_be_key, request.keys):
        for key in workflow.graph.all_over(name):
            step = key.writer
            if step is not None:
                written.add(name)
                if step.state is StepState.RUNNING:
                    busy.add(name)
                found.update((id(one), one) for one in step.published)
            if key.arrived is not None:
                found[id(key.arrived)] = key.arrived
    return rq.References(workflow.uid, tuple(found.values()), frozenset(written), frozenset(busy))


def get_step_references(state: Deployment, request: rq.GetStepReferences) -> rq.References | None:
    """Return what some Steps published."""
    archived = state.archived_of(request.uid)
    if archived is not None:
        raise IsArchived(archived)
    workflow = state.by_uid.get(request.uid)
    if workflow is None:
        return None
    steps: list[Step] = [workflow.steps[index] for index in request.steps if index in workflow.steps]
    running = {step.index: step.attempt for step in steps if step.state is StepState.RUNNING}
    attempts = {step.index: step.attempt for step in steps}
    published = tuple(one for step in steps for one in step.published)
    return rq.References(workflow.uid, published, running=running, attempts=attempts)


def get_gone(state: Deployment, _: rq.GetGone) -> rq.Gone:
    """Return the workflows that were deleted with their files."""
    return rq.Gone(dict(state.doomed), dict(state.wiped))
