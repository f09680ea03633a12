"""`handle`: one input in, events and effects out. And `dispatch`, which follows every batch.

`handle` applies its events as it decides, so that the next input of the batch sees what this one did. It reads no
clock: `now_ms` of the state is set by whoever drives it. A refusal (RequestError) changes nothing.
"""

from collections.abc import Callable
from typing import Any, Final, cast

from gaia_core.errors import NotAllowedNow
from gaia_core.machine import (
    answers,
    arrivals,
    control,
    definitions,
    launching,
    outcomes,
    queries,
    references,
    retention,
    workers,
)
from gaia_core.machine import events as own
from gaia_core.machine import requests as rq
from gaia_core.machine.decision import Decision
from gaia_core.machine.effects import SendDispatches
from gaia_core.machine.explain import explain
from gaia_core.machine.figures import get_figures
from gaia_core.machine.logs import find_log
from gaia_core.machine.state import Deployment
from gaia_core.scheduling.placement import place
from gaia_core.workflow import events as ev
from gaia_core.workflow.state import Step, WorkflowState

_MUTATIONS: Final[dict[type, Callable[[Decision, Any], Any]]] = {
    rq.Upload: definitions.upload,
    rq.SetCommands: definitions.set_commands,
    rq.Merge: definitions.merge,
    rq.Remove: definitions.remove,
    rq.Delete: definitions.delete,
    rq.Run: control.run,
    rq.Halt: control.halt,
    rq.Expire: control.expire,
    rq.Launch: launching.launch,
    rq.Drain: workers.drain,
}

_QUERIES: Final[dict[type, Callable[[Deployment, Any], Any]]] = {
    rq.ListWorkflows: queries.list_workflows,
    rq.ListWorkers: workers.list_workers,
    rq.ListSteps: queries.list_steps,
    rq.GetUid: queries.get_uid,
    rq.GetStatus: queries.get_status,
    rq.Explain: explain,
    rq.FindLog: find_log,
    rq.PlanExpire: control.plan_expire,
    rq.GetFigures: get_figures,
    rq.GetFiles: queries.get_files,
    rq.GetInputs: queries.get_inputs,
    rq.ListOutside: queries.list_outside,
    rq.GetOutside: queries.get_outside,
    rq.MayWrite: queries.may_write,
    rq.GetReferences: references.get_references,
    rq.GetStepReferences: references.get_step_references,
    rq.GetArchives: retention.get_archives,
    rq.GetGone: references.get_gone,
}

_CHECKS: Final[dict[type, Callable[[Decision, Any], Any]]] = {
    rq.CheckUpload: definitions.check_upload,
    rq.CheckSteps: definitions.check_steps,
    rq.CheckCommands: definitions.check_commands,
    rq.CheckPut: queries.check_put,
}
"""Questions that ask what the deployment allows, too."""

_INTERNAL: Final[dict[type, Callable[[Decision, Any], Any]]] = {
    rq.Arrive: arrivals.arrive,
    rq.DataGone: arrivals.data_gone,
    rq.Confirm: lambda _, __: None,
    rq.Archived: retention.archived,
    rq.Revive: retention.revive,
    rq.Tick: outcomes.tick,
    rq.LoseWorker: outcomes.lose_worker,
    rq.LoseAttempts: outcomes.lose_attempts,
    rq.LaunchFailed: launching.launch_failed,
}


def handle(decision: Decision, request: rq.Request) -> Any:
    """Carry out one request and return its answer.

    Raises:
        RequestError: refused; nothing was changed.
        IsArchived: the workflow has left memory; nothing was changed.
    """
    if type(request) in _QUERIES:
        return answer_query(decision.state, request)
    carry_out = _CHECKS.get(type(request)) or _INTERNAL.get(type(request))
    if carry_out is not None:
        return carry_out(decision, request)
    return _mutate(decision, cast(rq.Mutation, request))


def answer_query(state: Deployment, request: rq.Request) -> Any:
    """Answer a request that changes nothing.

    Raises:
        RequestError: it asks for what there is not.
    """
    return _QUERIES[type(request)](state, request)


def dispatch(decision: Decision) -> None:
    """Give ready Steps to workers with credit."""
    grouped: dict[tuple[str, int], tuple[WorkflowState, list[Step]]] = {}
    for worker, workflow, step in place(decision.state.fleet, decision.state.ready, decision.state.now_ms):
        grouped.setdefault((worker, workflow.uid), (workflow, []))[1].append(step)
    for (worker, uid), (workflow, steps) in grouped.items():
        indexes = tuple(step.index for step in steps)
        attempts = tuple(step.attempts_numbered + 1 for step in steps)
        decision.emit(ev.StepsDispatched(uid, worker, indexes, attempts))
        decision.effects.append(SendDispatches(worker, workflow, tuple(steps)))


def _mutate(decision: Decision, request: rq.Mutation) -> Any:
    """Carry out a mutation once, however often its request id comes."""
    known = decision.state.answered.get(request.request.id)
    if known is not None:
        if known.digest != request.request.digest:
            raise NotAllowedNow(f"The request id {request.request.id!r} was used before with another body.")
        return answers.again(decision.state, request, known.answer)
    answer = _MUTATIONS[type(request)](decision, request)
    if request.request.id and not (isinstance(request, rq.SetCommands) and not request.commands):
        decision.emit(own.RequestAnswered(request.request.id, request.request.digest, answers.remembered(answer)))
    return answer
