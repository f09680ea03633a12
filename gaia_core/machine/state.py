"""The state of the whole deployment, and `apply`, the only thing that changes it.

Routes an event to its workflow and keeps the fleet, the ready queue, the backoff timers and the answered requests in
step with it. Replay and the live leader run the same code.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Final, TypeAlias

from gaia_core.machine import events as own
from gaia_core.machine.archived import Archived
from gaia_core.machine.remembered import Answered, Answers
from gaia_core.machine.resting import Resting
from gaia_core.machine.timers import Timers
from gaia_core.scheduling.fleet import AttemptId, Fleet, Worker
from gaia_core.scheduling.ready import ReadyQueue
from gaia_core.workflow import events as ev
from gaia_core.workflow.state import Consequences, Step, WorkflowState
from gaia_core.workflow.states import StepState
from gaia_core.workflow.views import summary

REVIVED_MS: Final = 60_000
"""A workflow that came back stays for a minute at least, also where the change that it came back for was refused."""

WIPED_MAX: Final = 10_000
"""What was deleted long before that is not written any more: uploads end within days."""

PIECES_PER_ENTRY: Final = 10_000
"""Of workflows that are gone, to be taken apart with each entry: some milliseconds."""

_NOTHING_LEFT: Final = object()

RetryTimer: TypeAlias = tuple[int, int, int, int]
"""When it is due, uid, Step, attempt."""

QueueTimer: TypeAlias = tuple[int, int, int, int, int]
"""When it is due, uid, Step, which time it became READY, how long it may be so."""


class Deployment:
    """Everything the coordinator knows.

    Attributes:
        now_ms: time of the last entry; never goes back.
        served_since_ms: since when somebody leads without a break; known to the leader alone.
        last_uid: the highest workflow uid ever given.
        ready: READY Steps as they are to be dispatched; an index, made from the Steps.
        timers: of Steps that are RETRYING. An index.
        queue_timers: of READY Steps whose time in the queue is limited. An index.
        doomed: uid → name of deleted workflows whose files are still to be deleted.
        archived: what is kept of workflows that have left memory, by name.
        archived_names: uid → name of those. An index.
        resting: which workflows are finished, and since when. An index.
        wiped: uid → name of the latest of those whose files were deleted; a lost worker may still upload one.
        gone: workflows that have left memory, to be taken apart by `tidy`; nothing else knows them.
    """

    def __init__(self) -> None:
        self.now_ms = 0
        self.served_since_ms = 0
        self.last_uid = 0
        self.workflows: dict[str, WorkflowState] = {}
        self.by_uid: dict[int, WorkflowState] = {}
        self.fleet = Fleet()
        self.ready = ReadyQueue()
        self.timers: Timers[RetryTimer] = Timers(self._is_retrying)
        self.queue_timers: Timers[QueueTimer] = Timers(self._is_queued)
        self.doomed: dict[int, str] = {}
        self.archived: dict[str, Archived] = {}
        self.archived_names: dict[int, str] = {}
        self.resting = Resting()
        self.wiped: dict[int, str] = {}
        self.answered = Answers()
        self.gone: deque[Iterator[None]] = deque()

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
                self.answered.remember(event.request_id, Answered(event.digest, event.answer, self.now_ms))
            case own.EntriesLost():
                self._lost()
            case own.DataDeleted():
                self._wiped(event)
            case own.WorkflowArchived():
                self._archived(event)
            case own.WorkflowRevived():
                self._revived(event)
            case ev.WorkflowCreated():
                self._created(event)
            case ev.WorkflowDeleted():
                return self._deleted(event)
            case _:
                return self._apply_to_workflow(event)
        return Consequences()

    def due(self, now_ms: int) -> list[tuple[int, int]]:
        """Return (uid, step) of every backoff that has ended by now_ms."""
        return [(uid, index) for _, uid, index, _ in self.timers.take(now_ms)]

    def overdue(self, now_ms: int) -> list[tuple[int, int]]:
        """Return (uid, step) of every Step that was READY too long by now_ms.

        While a workflow may start nothing, or nobody leads, its Steps have all the time they are given anew.
        """
        found = []
        for _, uid, index, times_ready, limit_ms in self.queue_timers.take(now_ms):
            workflow = self.by_uid[uid]
            released_ms = max(workflow.steps[index].ready_since_ms, workflow.released_ms, self.served_since_ms)
            counts_from_ms = now_ms if workflow.holds else released_ms
            if counts_from_ms + limit_ms > now_ms:
                self.queue_timers.push((counts_from_ms + limit_ms, uid, index, times_ready, limit_ms))
            else:
                found.append((uid, index))
        return found

    def tidy(self, most: int) -> None:
        """Take apart so many pieces, at most, of workflows that have left memory."""
        while most and self.gone:
            most -= 1
            if next(self.gone[0], _NOTHING_LEFT) is _NOTHING_LEFT:
                self.gone.popleft()

    def _is_retrying(self, timer: RetryTimer) -> bool:
        _, uid, index, attempt = timer
        step = self._step(uid, index)
        return step is not None and step.state is StepState.RETRYING and step.attempt == attempt

    def _is_queued(self, timer: QueueTimer) -> bool:
        _, uid, index, times_ready, _ = timer
        step = self._step(uid, index)
        return step is not None and step.is_ready_since(times_ready)

    def _step(self, uid: int, index: int) -> Step | None:
        workflow = self.by_uid.get(uid)
        return workflow.steps.get(index) if workflow is not None else None

    def _lost(self) -> None:
        """Use no number again that was used in what is lost."""
        self.last_uid += own.UIDS_SKIPPED
        for name, archived in self.archived.items():
            self.archived[name] = archived._replace(sequence=archived.sequence + own.EVENTS_SKIPPED)

    def adopt(self, workflow: WorkflowState) -> None:
        """Take in a workflow at rest, and make its part of the indexes."""
        self.workflows[workflow.name] = self.by_uid[workflow.uid] = workflow
        self.resting.note(workflow.uid)
        for step in workflow.in_state(StepState.RETRYING):
            self.timers.push((step.retry_at_ms, workflow.uid, step.index, step.attempt))
        if workflow.counts[StepState.READY]:
            ready = (step for step in workflow.steps.values() if step.state is StepState.READY)
            for step in sorted(ready, key=lambda step: (step.ready_since_ms, step.index)):
                self._queue(workflow, step)

    def archived_of(self, uid: int) -> Archived | None:
        """Return what is kept of an archived workflow, or None: it is none."""
        name = self.archived_names.get(uid)
        return self.archived[name] if name is not None else None

    def put_aside(self, archived: Archived) -> None:
        """Keep no more of a workflow than this."""
        self.archived[archived.name] = archived
        self.archived_names[archived.uid] = archived.name

    def _archived(self, event: own.WorkflowArchived) -> None:
        workflow = self.by_uid.pop(event.uid)
        del self.workflows[workflow.name]
        self.ready.drop(event.uid)
        self.gone.append(workflow.take_apart())
        line = replace(summary(workflow), archived=True)
        self.put_aside(Archived(event.uid, line, event.sequence, event.rest, event.file))

    def _revived(self, event: own.WorkflowRevived) -> None:
        del self.archived[self.archived_names.pop(event.uid)]
        self.adopt(event.restored.take().workflow)
        self.resting.note(event.uid, self.now_ms + REVIVED_MS)

    def _deleted(self, event: ev.WorkflowDeleted) -> Consequences:
        archived = self.archived_of(event.uid)
        if archived is not None:
            del self.archived[self.archived_names.pop(event.uid)]
            if event.data:
                self.doomed[event.uid] = archived.name
            return Consequences()
        workflow = self.by_uid.pop(event.uid)
        del self.workflows[workflow.name]
        self.ready.drop(event.uid)
        if event.data:
            self.doomed[event.uid] = workflow.name
        running = workflow.in_state(StepState.RUNNING)
        followed = Consequences(stopped=[(step, step.attempt, step.worker) for step in running])
        self._stop(event.uid, followed)
        self.gone.append(workflow.take_apart())
        return followed

    def _wiped(self, event: own.DataDeleted) -> None:
        name = self.doomed.pop(event.workflow_uid, None)
        if name is not None:
            self.wiped[event.workflow_uid] = name
            if len(self.wiped) > WIPED_MAX:
                del self.wiped[next(iter(self.wiped))]

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
                    self.timers.push((event.retry_at_ms, event.uid, event.step, event.attempt))
        self._stop(event.uid, followed)
        if workflow is not None:
            self.resting.note(event.uid)
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
            self.queue_timers.push(timer)
