"""The state of the whole deployment, and `apply`, the only thing that changes it.

Routes an event to its workflow and keeps the fleet, the ready queue, the backoff timers and the answered requests in
step with it. Replay and the live leader run the same code.
"""

from collections import OrderedDict
from heapq import heappop, heappush
from typing import Final, NamedTuple

from gaia_core.machine import events as own
from gaia_core.scheduling.fleet import AttemptId, Fleet, Worker
from gaia_core.scheduling.ready import ReadyQueue
from gaia_core.workflow import events as ev
from gaia_core.workflow.state import Consequences, Step, WorkflowState
from gaia_core.workflow.states import StepState

ANSWERS_KEPT_MS: Final = 24 * 3600 * 1000
"""Longer than any client retries."""


UIDS_SKIPPED: Final = 1_000_000
"""More workflows than the entries can have begun that a damaged journal lost: a uid is never used for another one."""


class Answered(NamedTuple):
    """A mutation that was answered, for retries of it."""

    digest: bytes
    answer: object
    at_ms: int


class Deployment:
    """Everything the coordinator knows.

    Attributes:
        now_ms: time of the last entry; never goes back.
        last_uid: the highest workflow uid ever given.
        ready: READY Steps as they are to be dispatched; an index, made from the Steps.
        timers: heap of (due_ms, uid, step, attempt) of Steps that are RETRYING; stale entries are skipped. An index.
        queue_timers: heap of (due_ms, uid, step, which time it became READY, limit_ms) of READY Steps whose time in the
            queue is limited. An index.
        doomed: uid → name of deleted workflows whose files are still to be deleted.
    """

    def __init__(self) -> None:
        self.now_ms = 0
        self.last_uid = 0
        self.workflows: dict[str, WorkflowState] = {}
        self.by_uid: dict[int, WorkflowState] = {}
        self.fleet = Fleet()
        self.ready = ReadyQueue()
        self.timers: list[tuple[int, int, int, int]] = []
        self.queue_timers: list[tuple[int, int, int, int, int]] = []
        self.doomed: dict[int, str] = {}
        self.answered: OrderedDict[str, Answered] = OrderedDict()

    def apply(self, event: own.Event) -> Consequences:
        """Enter one event, as of `now_ms`, and return what followed from it."""
        match event:
            case own.WorkerJoined():
                self.fleet.join(
                    Worker(
                        event.worker, event.incarnation, event.pool, event.slots, event.prefetch, event.partition,
                        event.executor, event.host, event.draining, event.metadata,
                    )
                )  # fmt: skip
            case own.WorkerLeft():
                self.fleet.leave(event.worker)
            case own.RequestAnswered():
                self._answered(event)
            case own.EntriesLost():
                self.last_uid += UIDS_SKIPPED
            case own.DataDeleted():
                self.doomed.pop(event.workflow_uid, None)
            case ev.WorkflowCreated():
                self._created(event)
            case ev.WorkflowDeleted():
                return self._deleted(event)
            case _:
                return self._apply_to_workflow(event)
        return Consequences()

    def due(self, now_ms: int) -> list[tuple[int, int]]:
        """Return (uid, step) of every backoff that has ended by now_ms, dropping stale timers."""
        found = []
        while self.timers and self.timers[0][0] <= now_ms:
            _, uid, index, attempt = heappop(self.timers)
            workflow = self.by_uid.get(uid)
            if workflow is not None:
                step = workflow.steps.get(index)
                if step is not None and step.state is StepState.RETRYING and step.attempt == attempt:
                    found.append((uid, index))
        return found

    def overdue(self, now_ms: int) -> list[tuple[int, int]]:
        """Return (uid, step) of every Step that was READY too long by now_ms, dropping stale timers.

        While a workflow may start nothing, its Steps have all the time they are given anew.
        """
        found = []
        while self.queue_timers and self.queue_timers[0][0] <= now_ms:
            _, uid, index, times_ready, limit_ms = heappop(self.queue_timers)
            workflow = self.by_uid.get(uid)
            step = workflow.steps.get(index) if workflow is not None else None
            if workflow is None or step is None or not step.is_ready_since(times_ready):
                continue
            counts_from_ms = now_ms if workflow.holds else max(step.ready_since_ms, workflow.released_ms)
            if counts_from_ms + limit_ms > now_ms:
                heappush(self.queue_timers, (counts_from_ms + limit_ms, uid, index, times_ready, limit_ms))
            else:
                found.append((uid, index))
        return found

    def adopt(self, workflow: WorkflowState) -> None:
        """Take in a workflow at rest, and make its part of the indexes."""
        self.workflows[workflow.name] = self.by_uid[workflow.uid] = workflow
        for step in workflow.in_state(StepState.RETRYING):
            heappush(self.timers, (step.retry_at_ms, workflow.uid, step.index, step.attempt))
        if workflow.counts[StepState.READY]:
            ready = (step for step in workflow.steps.values() if step.state is StepState.READY)
            for step in sorted(ready, key=lambda step: (step.ready_since_ms, step.index)):
                self._queue(workflow, step)

    def _deleted(self, event: ev.WorkflowDeleted) -> Consequences:
        workflow = self.by_uid.pop(event.uid)
        del self.workflows[workflow.name]
        self.ready.drop(event.uid)
        if event.data:
            self.doomed[event.uid] = workflow.name
        running = workflow.in_state(StepState.RUNNING)
        followed = Consequences(stopped=[(step, step.attempt, step.worker) for step in running])
        self._stop(event.uid, followed)
        return followed

    def _created(self, event: ev.WorkflowCreated) -> None:
        self.last_uid = event.uid
        workflow = WorkflowState(event, self.now_ms)
        self.workflows[event.name] = self.by_uid[event.uid] = workflow

    def _apply_to_workflow(self, event: ev.WorkflowEvent) -> Consequences:
        workflow = self.by_uid.get(event.uid)
        followed = workflow.apply(event, self.now_ms) if workflow is not None else Consequences()
        match event:
            case ev.StepsDispatched():
                for index, attempt in zip(event.steps, event.attempts, strict=True):
                    self.fleet.assign(event.worker, AttemptId(event.uid, index, attempt))
                self.ready.trim(event.uid)
            case ev.StepsCompleted() | ev.AttemptsEnded() | ev.AttemptsGivenBack():
                for index, attempt in zip(event.steps, event.attempts, strict=True):
                    self.fleet.end(event.worker, AttemptId(event.uid, index, attempt))
            case ev.AttemptFailed():
                self.fleet.end(event.worker, AttemptId(event.uid, event.step, event.attempt))
                if event.retry_at_ms is not None:
                    heappush(self.timers, (event.retry_at_ms, event.uid, event.step, event.attempt))
        self._stop(event.uid, followed)
        if workflow is not None:
            for step in followed.ready:
                step.times_ready += 1
                step.ready_since_ms = self.now_ms
                self._queue(workflow, step)
        return followed

    def _stop(self, uid: int, followed: Consequences) -> None:
        """Note that attempts are being stopped; their slots stay taken until their ends are known."""
        for step, attempt, worker in followed.stopped:
            self.fleet.stop(worker, AttemptId(uid, step.index, attempt))

    def _queue(self, workflow: WorkflowState, step: Step) -> None:
        """Put a READY Step where workers are found for it, and limit its time there if that is to be."""
        self.ready.push(workflow, step)
        limit_s = step.options.queue_timeout_s or workflow.commands[step.command].options.queue_timeout_s
        if limit_s is not None:
            limit_ms = max(1, int(limit_s * 1000))
            timer = (step.ready_since_ms + limit_ms, workflow.uid, step.index, step.times_ready, limit_ms)
            heappush(self.queue_timers, timer)

    def _answered(self, event: own.RequestAnswered) -> None:
        self.answered[event.request_id] = Answered(event.digest, event.answer, self.now_ms)
        while self.answered:
            oldest = next(iter(self.answered))
            if self.answered[oldest].at_ms > self.now_ms - ANSWERS_KEPT_MS:
                break
            del self.answered[oldest]
