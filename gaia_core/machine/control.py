"""Whether and what a workflow runs: run, halt, expire.

Every handler checks first and emits then.
"""

from collections.abc import Sequence

from gaia_core.machine import diff as df
from gaia_core.machine import requests as rq
from gaia_core.machine.answers import FlowAnswer
from gaia_core.machine.arrivals import look_up
from gaia_core.machine.checks import find_existing
from gaia_core.machine.decision import Decision
from gaia_core.machine.state import Deployment
from gaia_core.workflow import events as ev
from gaia_core.workflow.cascade import Cascade, Cause, dependents
from gaia_core.workflow.expire import Targets, resolve
from gaia_core.workflow.state import Step, WorkflowState


def run(decision: Decision, request: rq.Run) -> FlowAnswer:
    """Resume a workflow, or try its failed Steps again."""
    workflow = find_existing(decision.state, request)
    decision.emit(ev.WorkflowResumed(workflow.uid))
    return FlowAnswer(workflow.name, workflow.flow_state[0].value)


def halt(decision: Decision, request: rq.Halt) -> FlowAnswer:
    """Cancel every running attempt and start nothing more."""
    workflow = find_existing(decision.state, request)
    if not workflow.halted:
        decision.emit(ev.WorkflowHalted(workflow.uid))
    return FlowAnswer(workflow.name, workflow.flow_state[0].value)


def expire(decision: Decision, request: rq.Expire) -> df.Expired:
    """Make Steps and Keys, and all that depends on them, be made again.

    Raises:
        UnknownName: a name is neither a Step nor a Key.
        InvalidWorkflow: a name is both.
        NotAllowedNow: the workflow has another revision.
    """
    workflow = find_existing(decision.state, request)
    targets = resolve(workflow, request.names)
    cascade = _expiring(workflow, targets)
    if targets.keys:
        names = tuple(key.name for key in targets.keys)
        decision.emit(ev.KeysForgotten(workflow.uid, names))
        look_up(decision, workflow, names)
    return _expired(decision.reset(workflow, cascade, "expired"), cascade, targets)


def plan_expire(state: Deployment, request: rq.PlanExpire) -> df.Expired:
    """Tell what `expire` would answer; raises as it does."""
    workflow = find_existing(state, request)
    targets = resolve(workflow, request.names)
    cascade = _expiring(workflow, targets)
    return _expired(sorted(cascade, key=lambda step: step.index), cascade, targets)


def _expiring(workflow: WorkflowState, targets: Targets) -> Cascade:
    """Return every Step that runs again when targets are expired."""
    readers = {
        reader: Cause(None, key)
        for key in targets.keys
        for other in workflow.graph.all_over(key.name)
        for reader in other.readers
    }
    return dependents({**readers, **targets.steps})


def _expired(steps: Sequence[Step], cascade: Cascade, targets: Targets) -> df.Expired:
    keys = df.keys_of(steps, (key.name for key in targets.keys))
    return df.Expired([step.name for step in steps], keys, df.reasons(steps, cascade, "expired"))
