"""What workers report, and what time brings: hellos, ends of attempts, losses, backoffs.

A report counts only if it names the current attempt of a Step and comes from the incarnation that holds it. Anything
else is late or forged and changes nothing.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from gaia_core.machine import events as own
from gaia_core.machine import reports as rp
from gaia_core.machine import requests as rq
from gaia_core.machine.decision import Decision
from gaia_core.machine.effects import LookUp
from gaia_core.machine.retention import retire
from gaia_core.scheduling.fleet import PREFETCH_MAX, AttemptId, Worker
from gaia_core.workflow import events as ev
from gaia_core.workflow.model import Failure, FailureClass, Fence, Publication
from gaia_core.workflow.retry import retry_delay_ms
from gaia_core.workflow.sources import outside_parts
from gaia_core.workflow.state import Step, WorkflowState

UNKNOWN_WORKER: Final = "unknown worker"
EARLIER_LIFE: Final = "earlier life of the worker"
NOT_HELD: Final = "attempt that the worker does not hold"
OTHER_TERM: Final = "term in which the attempt was not ordered"
STOPPED: Final = "end of an attempt that was being stopped"
REPEATED: Final = "end that was reported before"

WRITERS_TOLD_MAX: Final = 10

_DIGEST: Final = re.compile(r"([A-Za-z0-9._:/-]{1,255}@)?sha256:[0-9a-f]{64}")

TROUBLE_TOLD_MAX: Final = 300
VERSION_TOLD_MAX: Final = 64
"""Of what a worker says of itself so many characters are kept."""


def any_term(_: Fence) -> bool:
    """Believe every fence's term."""
    return True


def reports(decision: Decision, said: rp.WorkerReports, is_of_term: Callable[[Fence], bool] = any_term) -> Counter[str]:
    """Enter what one incarnation said, in order; return how many reports were refused, by cause.

    Args:
        decision: takes what follows.
        said: by whom, and what.
        is_of_term: tells whether an attempt that is held was ordered in the fence's term.
    """
    completed = _Completions(decision, said.worker)
    refused: Counter[str] = Counter()
    for report in said.reports:
        if type(report) is rp.Completed:
            cause = _objection(decision, said, report.fence, is_of_term) or completed.add(report)
            if cause:
                refused[cause] += 1
            continue
        completed.flush()
        match report:
            case rp.Hello():
                _hello(decision, said, report)
            case rp.Goodbye():
                lose_worker(decision, rq.LoseWorker(said.worker, said.incarnation, f"left: {report.reason}"))
            case rp.Failed():
                cause = _objection(decision, said, report.fence, is_of_term) or _failed(decision, said.worker, report)
                if cause:
                    refused[cause] += 1
            case rp.Cancelled():
                if cause := _objection(decision, said, report.fence, is_of_term):
                    refused[cause] += 1
                else:
                    _cancelled(decision, said, report.fence)
    completed.flush()
    return refused


def lose_worker(decision: Decision, request: rq.LoseWorker) -> None:
    """Take an incarnation out; what it held is lost and goes elsewhere.

    It runs attempts in the order in which it got them, so those beyond its slots count as never started: nobody knows
    better, since what it said last may be lost with it. As long as it held any one of them counts, so losses come to an
    end.
    """
    worker = decision.state.fleet.workers.get(request.worker)
    if worker is None or worker.incarnation != request.incarnation:
        return
    current = [attempt for attempt, stopping in worker.held.items() if not stopping]
    stopping = [attempt for attempt, stopping in worker.held.items() if stopping]
    _lose(decision, worker, stopping + current[: worker.slots], f"worker {worker.name!r} was lost: {request.reason}")
    _give_back(decision, worker, current[worker.slots :])
    decision.emit(own.WorkerLeft(worker.name, worker.incarnation, request.reason))


def lose_attempts(decision: Decision, request: rq.LoseAttempts) -> None:
    """Give up attempts that a worker should hold and does not."""
    worker = decision.state.fleet.workers.get(request.worker)
    if worker is None or worker.incarnation != request.incarnation:
        return
    held = [attempt for attempt in map(AttemptId._make, request.attempts) if attempt in worker.held]
    _lose(decision, worker, held, f"worker {worker.name!r} does not know the attempt")


def tick(decision: Decision, _: rq.Tick) -> None:
    """End the backoffs that are due, and fail what no worker took in time; finished workflows leave memory."""
    for uid, steps in _by_workflow(decision.state.overdue(decision.state.now_ms)):
        decision.emit(ev.QueueTimedOut(uid, steps))
    for uid, steps in _by_workflow(decision.state.due(decision.state.now_ms)):
        decision.emit(ev.BackoffsEnded(uid, steps))
    retire(decision)


def _by_workflow(found: Iterable[tuple[int, int]]) -> list[tuple[int, tuple[int, ...]]]:
    """Return Steps by the uid of their workflow."""
    by_uid: dict[int, list[int]] = {}
    for uid, step in found:
        by_uid.setdefault(uid, []).append(step)
    return [(uid, tuple(steps)) for uid, steps in by_uid.items()]


class _Completions:
    """Accepted completions of one worker, gathered into one event per workflow."""

    def __init__(self, decision: Decision, worker: str) -> None:
        self.decision = decision
        self.worker = worker
        self.by_workflow: dict[int, dict[int, rp.Completed]] = {}

    def add(self, report: rp.Completed) -> str:
        """Take a completion of a current attempt, or return why not; the end of a stopping one only frees its slot."""
        if _is_stopping(self.decision, self.worker, report.fence):
            _end_stopping(self.decision, self.worker, report.fence)
            return STOPPED
        steps = self.by_workflow.setdefault(report.fence.workflow_uid, {})
        if report.fence.step in steps:
            return REPEATED
        steps[report.fence.step] = report
        return ""

    def flush(self) -> None:
        """Emit what was gathered."""
        for uid, by_step in self.by_workflow.items():
            ends = list(by_step.values())
            outputs = tuple(_mapped(self.decision, end.fence, end.outputs) for end in ends)
            images = tuple(_digest(end.image_digest) for end in ends)
            self.decision.emit(
                ev.StepsCompleted(
                    uid,
                    self.worker,
                    tuple(by_step),
                    tuple(end.fence.attempt for end in ends),
                    tuple(end.run_ms for end in ends),
                    outputs if any(outputs) else (),
                    images if any(images) else (),
                )
            )
        self.by_workflow.clear()


def _mapped(decision: Decision, fence: Fence, outputs: tuple[Publication, ...]) -> tuple[Publication, ...]:
    """Keep only publications under Keys that the Step writes; a worker has no say about others."""
    if not outputs:
        return outputs
    keys = {key.name for key in decision.state.by_uid[fence.workflow_uid].steps[fence.step].outputs}
    return tuple(one for one in outputs if one.key in keys)


def _digest(text: str) -> str:
    """Return the digest of an image, or "" for anything else that a worker calls so: the journal keeps it."""
    return text if text and _DIGEST.fullmatch(text) else ""


def _objection(decision: Decision, said: rp.WorkerReports, fence: Fence, is_of_term: Callable[[Fence], bool]) -> str:
    """Return why a report of an attempt does not count, or "" when the incarnation holds it."""
    worker = decision.state.fleet.workers.get(said.worker)
    if worker is None:
        return UNKNOWN_WORKER
    if worker.incarnation != said.incarnation:
        return EARLIER_LIFE
    if AttemptId(fence.workflow_uid, fence.step, fence.attempt) not in worker.held:
        return NOT_HELD
    return "" if is_of_term(fence) else OTHER_TERM


def _hello(decision: Decision, said: rp.WorkerReports, hello: rp.Hello) -> None:
    """Enter a new incarnation, or what is new about a known one; the earlier one of a name is lost.

    One that left before and wakes up, as its heartbeats tell, is taken in again only while nobody has its name: two
    processes of one name would otherwise push each other out for ever.
    """
    fleet = decision.state.fleet
    known = fleet.workers.get(said.worker)
    trouble, prefetch = hello.trouble[:TROUBLE_TOLD_MAX], min(hello.prefetch, PREFETCH_MAX)
    if known is not None and known.incarnation == said.incarnation:
        if (known.draining, known.trouble, known.prefetch) == (hello.draining, trouble, prefetch):
            return
        hello = replace(hello, resources=known.resources)  # attempts were given by these
    if known is not None and known.incarnation != said.incarnation:
        if (said.worker, said.incarnation) in fleet.left:
            return
        reason = "a new incarnation took its name"
        lose_worker(decision, rq.LoseWorker(known.name, known.incarnation, reason))
    decision.emit(
        own.WorkerJoined(
            said.worker, said.incarnation, hello.pool, max(1, hello.slots), prefetch,
            hello.partition, hello.executor, hello.host, hello.draining, hello.metadata, hello.resources, trouble,
            hello.version[:VERSION_TOLD_MAX],
        )
    )  # fmt: skip


def _failed(decision: Decision, worker: str, report: rp.Failed) -> str:
    """Enter the failure of a current attempt, or return why not; the end of a stopping one only frees its slot."""
    if _is_stopping(decision, worker, report.fence):
        _end_stopping(decision, worker, report.fence)
        return STOPPED
    holder = decision.state.fleet.workers[worker]
    if report.unstarted and not holder.is_open:  # it gets nothing more for now, so this comes to an end
        fence = report.fence
        _give_back(decision, holder, [AttemptId(fence.workflow_uid, fence.step, fence.attempt)])
        return ""
    failure = _with_writers(decision, report.fence, report.failure)
    _fail(decision, worker, report.fence, failure, _mapped(decision, report.fence, report.outputs))
    return ""


def _with_writers(decision: Decision, fence: Fence, failure: Failure) -> Failure:
    """Let an INPUT_MISSING name the Steps that write the trees in question, which its worker does not know."""
    if failure.kind is not FailureClass.INPUT_MISSING:
        return failure
    workflow = decision.state.by_uid[fence.workflow_uid]
    inputs = workflow.steps[fence.step].inputs
    trees = {tree.name: tree for key in inputs for tree in workflow.graph.trees_over(key.name) if tree.writer}
    told = [name for name in trees if repr(name) in failure.message] or list(trees)
    writers = [f"{name!r} is written by Step {writer.name!r}" for name in told if (writer := trees[name].writer)]
    if not writers:
        return failure
    return replace(failure, message=f"{failure.message} ({'; '.join(writers[:WRITERS_TOLD_MAX])})")


def _cancelled(decision: Decision, said: rp.WorkerReports, fence: Fence) -> None:
    """Free the slot of a stopped attempt; one that nobody stopped was lost."""
    if _is_stopping(decision, said.worker, fence):
        _end_stopping(decision, said.worker, fence)
    else:
        failure = Failure(FailureClass.LOST, f"worker {said.worker!r} gave the attempt up")
        _fail(decision, said.worker, fence, failure, ())


def _is_stopping(decision: Decision, worker: str, fence: Fence) -> bool:
    held = decision.state.fleet.workers[worker].held
    return held[AttemptId(fence.workflow_uid, fence.step, fence.attempt)]


def _end_stopping(decision: Decision, worker: str, fence: Fence) -> None:
    decision.emit(ev.AttemptsEnded(fence.workflow_uid, worker, (fence.step,), (fence.attempt,)))


def _fail(decision: Decision, worker: str, fence: Fence, failure: Failure, outputs: tuple[Publication, ...]) -> None:
    """Fail a current attempt, and decide whether there is a next one."""
    workflow = decision.state.by_uid[fence.workflow_uid]
    step = workflow.steps[fence.step]
    delay_ms = retry_delay_ms(workflow.uid, step, workflow.commands[step.command], failure)
    retry_at_ms = None if delay_ms is None else decision.state.now_ms + delay_ms
    decision.emit(ev.AttemptFailed(workflow.uid, worker, step.index, fence.attempt, failure, retry_at_ms, outputs))
    if delay_ms == 0:
        decision.emit(ev.BackoffsEnded(workflow.uid, (step.index,)))
    if failure.kind is FailureClass.INPUT_CHANGED:
        _look_again(decision, workflow, step)


def _look_again(decision: Decision, workflow: WorkflowState, step: Step) -> None:
    """Have the store asked what lies under the outside Keys that a Step reads, so that it reads that the next time."""
    parts = (part for key in step.inputs for part in outside_parts(workflow.graph, key))
    known = [key.arrived for key in dict.fromkeys(parts) if key.arrived is not None]
    if known:
        decision.effects.append(LookUp(workflow.name, tuple(one.key for one in known), tuple(known)))


def _lose(decision: Decision, worker: Worker, held: Iterable[AttemptId], message: str) -> None:
    """Fail current attempts as LOST, and end stopping ones."""
    for attempt in held:
        fence = Fence(*attempt)
        if worker.held[attempt]:
            _end_stopping(decision, worker.name, fence)
        else:
            _fail(decision, worker.name, fence, Failure(FailureClass.LOST, message), ())


def _give_back(decision: Decision, worker: Worker, held: Iterable[AttemptId]) -> None:
    """Make the Steps of current attempts that were never started READY again."""
    by_uid: dict[int, list[AttemptId]] = {}
    for attempt in held:
        by_uid.setdefault(attempt.uid, []).append(attempt)
    for uid, found in by_uid.items():
        steps, attempts = tuple(one.step for one in found), tuple(one.attempt for one in found)
        decision.emit(ev.AttemptsGivenBack(uid, worker.name, steps, attempts))
