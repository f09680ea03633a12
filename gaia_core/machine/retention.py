"""Finished workflows leave memory when their time is over, and come back when somebody wants to change them."""

from collections.abc import Mapping

from gaia_core.machine import events as own
from gaia_core.machine import requests as rq
from gaia_core.machine.decision import Decision
from gaia_core.machine.effects import Archive, DropArchive
from gaia_core.machine.resting import is_finished
from gaia_core.machine.state import Deployment
from gaia_core.workflow.model import FileVersion


def retire(decision: Decision) -> None:
    """Have finished workflows put into the store whose time in memory is over."""
    state = decision.state
    for workflow in state.resting.take(state.by_uid, state.now_ms, decision.rules.retention_s):
        decision.effects.append(Archive(workflow.uid, workflow.updated_ms))


def archived(decision: Decision, request: rq.Archived) -> bool:
    """Let a workflow leave memory, unless it has changed since it was put into the store."""
    workflow = decision.state.by_uid.get(request.uid)
    if workflow is None or workflow.updated_ms != request.updated_ms or not is_finished(workflow):
        return False
    decision.emit(own.WorkflowArchived(request.uid, request.file, request.sequence, request.rest))
    return True


def revive(decision: Decision, request: rq.Revive) -> bool:
    """Take a workflow back into memory, unless it is there or deleted."""
    known = decision.state.archived_of(request.uid)
    if known is None or known.file != request.file:
        return False
    decision.emit(own.WorkflowRevived(request.uid, request.restored))
    decision.effects.append(DropArchive(known.file))
    return True


def get_archives(state: Deployment, request: rq.GetArchives) -> Mapping[int, FileVersion]:
    """Return where archived workflows lie."""
    known = (state.archived_of(uid) for uid in request.uids)
    return {one.uid: one.file for one in known if one is not None}
