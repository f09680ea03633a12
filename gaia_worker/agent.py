"""The loop of a worker: takes orders from its inbox, hands attempts to slots, reports ends, says that it is alive.

The rules that keep an attempt from running twice or unseen live here: which records count, which dispatches are
duplicates, what a cancel means before, during and after its attempt. How an attempt is run is `gaia_worker.attempt`'s
business. Heartbeats come from this loop and from nowhere else: a worker whose loop is stuck must not look alive.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeAlias

from gaia.v1 import worker_pb2
from gaia_core.errors import InboxLost, RequestError, Unavailable
from gaia_core.machine.reports import CacheFigures, Cancelled, Completed, Failed, Goodbye, Heartbeat, Hello, Report
from gaia_core.ports import Aside, Record, SetAside, WorkerBus, nowhere
from gaia_core.wire.files import fence_from_proto
from gaia_core.wire.inbox import execution_from_proto, parse_inbox
from gaia_core.workflow.model import Execution, Failure, FailureClass, Fence
from gaia_worker.control import Control, lost
from gaia_worker.outbox import Outbox
from gaia_worker.pace import PREFETCH_MAX, Pace
from gaia_worker.seen import Seen
from gaia_worker.settings import WorkerSettings

log = logging.getLogger(__name__)

RECEIVE_S: Final = 0.25
"""Longest wait for orders: what a drain or a signal may have to wait before it is noticed."""

FLUSH_S: Final = 10.0
"""How long a leaving worker waits for its last words to be acknowledged."""

REMEMBERED_MIN: Final = 10_000
"""So many attempts are remembered, and several times what a worker is given at once where that is more. It is given
more only for ends that were accepted, in order: what lies a few times that back has ended for the coordinator, too."""

DRAINED: Final = "the worker drained before the attempt started"
IN_TROUBLE: Final = "the worker takes nothing new: {}"
STOPPED: Final = "the worker was stopped while the attempt ran"

Key: TypeAlias = tuple[int, int, int]
"""Workflow uid, Step and attempt: what makes an attempt the same one, whoever's term dispatched it."""

Say: TypeAlias = Callable[[Report], None]

RunAttempt: TypeAlias = Callable[[Execution, Control, Say], Completed | Failed | Cancelled]
"""Runs an attempt to its end and returns the report of it; the third argument sends what is said on the way."""


@dataclass(frozen=True, slots=True)
class Held:
    """An attempt that is queued or runs."""

    fence: Fence
    control: Control
    future: Future[None]


def no_cache() -> None:
    """Say that no inputs are kept."""


class Agent:
    """One incarnation of one worker.

    Attributes:
        sent_away: why the coordinator does not want it; "" where it does.
        health: tells at once why nothing new should be taken, or ""; to be set before it runs.
        cache: tells how full the cache of inputs is; to be set before it runs.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        incarnation: str,
        bus: WorkerBus,
        executor_name: str,
        run_attempt: RunAttempt | None,
        clock: Callable[[], float] = time.monotonic,
        set_aside: SetAside = nowhere,
        slots: Executor | None = None,
    ) -> None:
        """Prepare a worker that has said nothing yet.

        Args:
            settings: name, slots and the like.
            incarnation: random id of this life of the worker.
            bus: its inbox and its way to the coordinator.
            executor_name: what it tells the coordinator it runs Steps with.
            run_attempt: runs one attempt in a slot; None completes every attempt at once, without outputs.
            clock: seconds that never go back.
            set_aside: keeps records that are no orders.
            slots: where attempts run, as many at a time as the settings say; None makes a thread for each.
        """
        self.sent_away = ""
        self.health: Callable[[], str] = str
        self.cache: Callable[[], CacheFigures | None] = no_cache
        self._settings = settings
        self._incarnation = incarnation
        self._bus = bus
        self._executor_name = executor_name
        self._run_attempt = run_attempt
        self._clock = clock
        self._set_aside = set_aside
        self._outbox = Outbox(settings.name, incarnation, bus)
        self._slots = slots or ThreadPoolExecutor(settings.slots, thread_name_prefix=f"{settings.name}-slot")
        self._held: dict[Key, Held] = {}
        self._holding = threading.Lock()
        self._pace = Pace(settings.slots, clock)
        most = max(REMEMBERED_MIN, 4 * (settings.slots + PREFETCH_MAX))
        self._seen: Seen[Key] = Seen(clock, most)
        self._cancelled_ahead: Seen[Key] = Seen(clock, most)
        self._term = 0
        self._draining = threading.Event()
        self._stopping = threading.Event()
        self._drain_announced = False
        self._trouble = ""
        self._busy_at = clock()
        self._heartbeat_at = clock()

    def run(self) -> str:
        """Work until told to leave; return why it left: "drained", "stopped" or "idle".

        Raises:
            InboxLost: orders were deleted before they were read; what ran is killed; another one has to begin.
        """
        self.begin()
        try:
            while not (reason := self.turn()):
                pass
        finally:
            self._close_slots()
        self._say(Goodbye(reason))
        if not self._bus.flush(FLUSH_S):
            log.warning("last reports are not acknowledged", extra=self._fields())
        log.info("worker left", extra=self._fields(reason=reason))
        return reason

    def drain(self) -> None:
        """Take nothing new, give back what waits, finish what runs, leave. From any thread or signal handler."""
        self._draining.set()

    @property
    def draining(self) -> bool:
        """Whether it was asked to leave."""
        return self._draining.is_set()

    def stop_now(self) -> None:
        """Kill what runs, give everything back, leave. From any thread or signal handler."""
        self._stopping.set()
        self._draining.set()

    def begin(self) -> None:
        """Say hello; the turns follow."""
        self._say(self._hello())
        log.info("worker started", extra=self._fields())

    def turn(self) -> str:
        """Follow the orders that arrived, waiting a moment for them, and say what is due; return why it leaves, or "".

        Raises:
            InboxLost: see `run`.
        """
        for record in self._receive():
            self._take(record)
        self._outbox.send()
        self._beat()
        self._heed_health()
        if self._draining.is_set():
            self._announce_drain()
            self._give_back(DRAINED)
            if not self._held:
                return "stopped" if self._stopping.is_set() else "drained"
        elif self._idle():
            return "idle"
        return ""

    def _receive(self) -> list[Record]:
        try:
            return self._bus.receive(min(RECEIVE_S, self._settings.heartbeat_s))
        except InboxLost:
            raise
        except Unavailable as problem:
            log.warning("inbox does not answer", extra=self._fields(problem=str(problem)))
            self._draining.wait(RECEIVE_S)
            return []

    def _take(self, record: Record) -> None:
        """Follow the orders of one record, if it is meant for this incarnation and of no deposed leader."""
        try:
            inbox = parse_inbox(record.value)
        except RequestError as problem:
            log.warning("inbox record skipped", extra=self._fields(offset=record.offset, problem=str(problem)))
            self._set_aside(Aside("inbox", self._bus.partition, record.offset, problem.message, record.value))
            return
        if inbox.incarnation != self._incarnation or inbox.worker != self._settings.name:
            return
        if inbox.term < self._term:
            log.warning("deposed leader's record skipped", extra=self._fields(offset=record.offset, term=inbox.term))
            return
        self._term = inbox.term
        for entry in inbox.entries:
            self._obey(entry)

    def _obey(self, entry: worker_pb2.InboxEntry) -> None:
        if entry.HasField("dispatch"):
            self._dispatch(entry.dispatch)
        elif entry.HasField("cancel"):
            self._cancel(entry.cancel.fence)
        elif entry.HasField("drain"):
            self.sent_away = entry.drain.reason
            self.drain()

    def _dispatch(self, order: worker_pb2.Dispatch) -> None:
        """Begin an attempt unless it was seen before, was cancelled ahead of its dispatch, or comes too late."""
        fence = order.fence
        key = (fence.workflow_uid, fence.step, fence.attempt)
        if key in self._seen or key in self._held:
            return
        self._seen.add(key)
        self._busy_at = self._clock()
        if key in self._cancelled_ahead:
            self._outbox.add(Cancelled(fence_from_proto(fence)))
        elif self._draining.is_set():
            self._announce_drain()
            self._outbox.add(lost(fence_from_proto(fence), DRAINED, unstarted=True))
        elif self._trouble:
            self._outbox.add(lost(fence_from_proto(fence), IN_TROUBLE.format(self._trouble), unstarted=True))
        elif self._run_attempt is None:
            self._outbox.add_completed(fence)
        else:
            self._decode_and_hold(key, order)

    def _decode_and_hold(self, key: Key, order: worker_pb2.Dispatch) -> None:
        """Hold an attempt; an order of which nothing can be made ends it, whatever is wrong with it."""
        try:
            execution = execution_from_proto(order)
        except Exception as problem:
            log.exception("order cannot be followed", extra=self._fields(step=order.step_name))
            failure = Failure(FailureClass.ENGINE, f"the order cannot be followed: {problem!r}")
            self._outbox.add(Failed(fence_from_proto(order.fence), failure))
        else:
            self._hold(key, execution)

    def _hold(self, key: Key, execution: Execution) -> None:
        """Queue an attempt for the next free slot."""
        control = Control()
        with self._holding:
            self._pace.began()
            future = self._slots.submit(self._attempt, key, execution, control)
            self._held[key] = Held(execution.fence, control, future)

    def _attempt(self, key: Key, execution: Execution, control: Control) -> None:
        """Run one attempt; in a slot's thread."""
        assert self._run_attempt is not None
        try:
            end: Report = self._run_attempt(execution, control, self._say)
        except Exception as problem:
            log.exception("attempt broke the worker", extra=self._fields(step=execution.step))
            end = Failed(execution.fence, Failure(FailureClass.ENGINE, f"the worker failed: {problem!r}"))
        self._release(key, end)
        self._outbox.send()

    def _release(self, key: Key, end: Report) -> None:
        """Report an end and let go of the attempt as one act: no heartbeat may miss the one without the other."""
        with self._holding:
            self._pace.ended(len(self._held))
            held = self._held.pop(key)
            try:
                self._outbox.add(end)
            except Exception as problem:
                log.exception("an end cannot be reported", extra=self._fields(fence=held.fence))
                failure = Failure(FailureClass.ENGINE, f"the end cannot be reported: {problem!r}")
                self._outbox.add(Failed(held.fence, failure))
            self._busy_at = self._clock()

    def _cancel(self, fence: worker_pb2.Fence) -> None:
        """Stop an attempt: at once if it waits, by its control if it runs; keep the order if it is yet to come."""
        key = (fence.workflow_uid, fence.step, fence.attempt)
        held = self._held.get(key)
        if held is None:
            if key not in self._seen:
                self._cancelled_ahead.add(key)
            return
        held.control.cancel()
        if held.future.cancel():
            self._release(key, Cancelled(held.fence))

    def _announce_drain(self) -> None:
        """Say once that nothing new is wanted, before anything is given back."""
        if not self._drain_announced:
            self._drain_announced = True
            self._say(self._hello())

    def _heed_health(self) -> None:
        """Say what is wrong, or no longer is, before anything follows from it; in trouble, give back what waits."""
        trouble = self.health()
        if trouble != self._trouble:
            self._trouble = trouble
            self._say(self._hello())
            told = "takes nothing new" if trouble else "is well again"
            log.warning("worker %s", told, extra=self._fields(trouble=trouble))
        if trouble:
            self._give_back(IN_TROUBLE.format(trouble))

    def _give_back(self, reason: str) -> None:
        """Return what waits for a slot; when stopping, also kill what runs."""
        with self._holding:
            waiting_or_running = list(self._held.items())
        for key, held in waiting_or_running:
            if held.future.cancel():
                self._release(key, lost(held.fence, reason, unstarted=True))
            elif self._stopping.is_set():
                held.control.abandon(STOPPED)
        self._outbox.send()

    def _close_slots(self) -> None:
        """End the slots' threads; if the loop broke, what still runs is killed first."""
        for held in list(self._held.values()):
            held.control.abandon(STOPPED)
        self._slots.shutdown(wait=True, cancel_futures=True)

    def _beat(self) -> None:
        """Say what is held and how far the inbox was followed, when it is time to."""
        now = self._clock()
        if now - self._heartbeat_at < self._settings.heartbeat_s:
            return
        self._heartbeat_at = now
        with self._holding:
            self._pace.adapt()
            held = tuple(item.fence for item in self._held.values())
            finished = self._outbox.unacknowledged()
            self._outbox.add(self._hello())
            self._outbox.add(Heartbeat(self._bus.inbox_offset(), held, finished))
        self._outbox.send()

    def _idle(self) -> bool:
        limit_s = self._settings.idle_exit_s
        return limit_s is not None and not self._held and self._clock() - self._busy_at >= limit_s

    def _say(self, report: Report) -> None:
        self._outbox.add(report)
        self._outbox.send()

    def _hello(self) -> Hello:
        settings = self._settings
        return Hello(
            pool=settings.pool,
            slots=settings.slots,
            prefetch=self._prefetch(),
            partition=self._bus.partition,
            start_offset=self._bus.start_offset,
            executor=self._executor_name,
            host=settings.host,
            version=settings.version,
            draining=self._drain_announced,
            metadata=settings.metadata,
            resources=settings.resources,
            trouble=self._trouble,
            cache=self.cache(),
        )

    def _prefetch(self) -> int:
        """Return how many attempts to hold beyond the slots: as told, or as many as its programs need."""
        if self._settings.prefetch is not None:
            return min(self._settings.prefetch, PREFETCH_MAX)
        return PREFETCH_MAX if self._run_attempt is None else self._pace.prefetch

    def _fields(self, **more: object) -> dict[str, object]:
        return {"worker": self._settings.name, "incarnation": self._incarnation, **more}
