"""What people ask about workers, and of them: a list of all, and that some finish what they run, and leave."""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from gaia_core.errors import InvalidWorkflow, Problem, UnknownName
from gaia_core.machine import events as own
from gaia_core.machine import requests as rq
from gaia_core.machine.answers import WorkersAnswer
from gaia_core.machine.decision import Decision
from gaia_core.machine.effects import SendDrain
from gaia_core.machine.state import Deployment
from gaia_core.scheduling.fleet import Worker
from gaia_core.workflow.interface import suggestion

HELD_SHOWN_MAX: Final = 100


def drain(decision: Decision, request: rq.Drain) -> WorkersAnswer:
    """Ask workers to finish what they run, and to leave; one that is leaving already is asked once.

    Raises:
        UnknownName: one of them is unknown; none was asked.
        InvalidWorkflow: none is named.
    """
    workers = decision.state.fleet.workers
    if not request.names:
        raise InvalidWorkflow.of([Problem("names", "name at least one worker")])
    unknown = [
        Problem(f"names[{number}]", f"there is no worker {name!r}{suggestion(name, workers)}")
        for number, name in enumerate(request.names)
        if name not in workers
    ]
    if unknown:
        raise UnknownName("Some workers are unknown.", problems=unknown)
    for name in dict.fromkeys(request.names):
        worker = workers[name]
        if not worker.is_leaving:
            decision.emit(own.WorkerDismissed(name, worker.incarnation))
            decision.effects.append(SendDrain(name))
    return WorkersAnswer(list(request.names))


def list_workers(state: Deployment, _: rq.ListWorkers) -> list[rq.WorkerView]:
    """Return every worker, by name, with some of what it holds."""
    return [_view(state, worker) for _, worker in sorted(state.fleet.workers.items())]


def _view(state: Deployment, worker: Worker) -> rq.WorkerView:
    return rq.WorkerView(
        worker.name,
        worker.incarnation,
        worker.pool,
        worker.slots,
        worker.prefetch,
        len(worker.held),
        worker.executor,
        worker.host,
        worker.metadata,
        max(0, worker.credit),
        worker.resources,
        worker.used.in_resources(),
        worker.is_leaving,
        worker.trouble,
        worker.version,
        tuple(islice(_held(state, worker), HELD_SHOWN_MAX)),
    )


def _held(state: Deployment, worker: Worker) -> Iterator[rq.HeldView]:
    """Yield what a worker holds, in the order in which it was given."""
    for attempt, stopping in worker.held.items():
        workflow = state.by_uid.get(attempt.uid)
        step = workflow.steps.get(attempt.step) if workflow is not None else None
        yield rq.HeldView(
            workflow.name if workflow is not None else "",
            step.name if step is not None else "",
            attempt.attempt,
            worker.since_ms[attempt],
            stopping,
        )
