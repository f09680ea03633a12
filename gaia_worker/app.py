"""The worker's composition root: builds an agent and its parts, and runs it in this thread or in one of its own.

`gaia up` starts workers as threads (`start_worker_thread`); `gaia worker` runs one in its main thread (`run_worker`).
Bus, store and executor are made, and closed, by the caller: it knows which backing is meant.
"""

import logging
import threading
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass

from gaia_core.machine.reports import CacheFigures
from gaia_core.ports import LogFeed, SetAside, Store, WorkerBus, nowhere
from gaia_worker.agent import Agent
from gaia_worker.attempt import Attempts, FetchInputs
from gaia_worker.executors.base import Executor
from gaia_worker.health import Check, Health, disk_check
from gaia_worker.metrics import WorkerMeter
from gaia_worker.settings import WorkerSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a worker works with.

    Attributes:
        store: where inputs lie and outputs go.
        executor: what runs the programs.
        fetch_inputs: asks the coordinator for the sources of inputs that were too many for a dispatch.
        log_feed: where it is told what attempts write, as they go.
        set_aside: keeps records that are no orders.
        meter: counts what is done; None counts nothing.
    """

    store: Store
    executor: Executor
    fetch_inputs: FetchInputs | None = None
    log_feed: LogFeed | None = None
    set_aside: SetAside = nowhere
    meter: WorkerMeter | None = None


class Worker:
    """An agent together with what runs its attempts."""

    def __init__(self, settings: WorkerSettings, incarnation: str, bus: WorkerBus, around: Surroundings) -> None:
        """Build a worker that has said nothing yet.

        Args:
            settings: name, slots and the like.
            incarnation: random id of this life of the worker; the bus was opened for it.
            bus: its inbox and its way to the coordinator.
            around: what it works with.
        """
        store, executor, meter = around.store, around.executor, around.meter
        if meter is not None:
            store, executor = meter.store(store), meter.executor(executor)
        self._slots, self._meter = settings.slots, meter
        self._attempts = Attempts(settings, store, executor, around.fetch_inputs, log_feed=around.log_feed)
        run = meter.attempts(self._attempts.run) if meter is not None else self._attempts.run
        run_attempt = None if executor.instant else run
        self.agent = Agent(settings, incarnation, bus, executor.name, run_attempt, set_aside=around.set_aside)
        engine = Check(f"The executor {executor.name}", executor.trouble)
        self._health = Health([disk_check(settings.scratch, settings.disk_free_min), engine])
        self.agent.health = self._health.trouble
        if settings.cache_bytes and run_attempt is not None:
            self.agent.cache = self.cache_stats

    def cache_stats(self) -> CacheFigures:
        """Return how full its cache of inputs is, and what it was good for."""
        return self._attempts.cache.stats()

    def run(self) -> str:
        """Remove what an earlier incarnation left, then work until told to leave; return why it left.

        Raises:
            Unavailable: the executor's engine does not answer at the start.
        """
        with ExitStack() as stack:
            stack.callback(self._attempts.close)
            stack.callback(self._health.close)
            if self._meter is not None:
                self._meter.slots.inc(self._slots)
                stack.callback(self._meter.slots.dec, self._slots)
                stack.enter_context(self._meter.caches.showing(self.cache_stats))
            self._attempts.cleanup()
            self._health.start()
            return self.agent.run()


@dataclass(frozen=True, slots=True)
class WorkerHandle:
    """A worker that runs in a thread of its own."""

    agent: Agent
    thread: threading.Thread
    outcome: Future[str]

    def drain(self) -> None:
        """Ask it to take nothing new, finish what runs, and leave."""
        self.agent.drain()

    def stop_now(self) -> None:
        """Ask it to kill what runs and leave."""
        self.agent.stop_now()

    def join(self, timeout_s: float | None = None) -> str:
        """Wait until it left; return why.

        Raises:
            TimeoutError: it is still there after timeout_s.
            GaiaError: what broke it.
        """
        reason = self.outcome.result(timeout_s)
        self.thread.join()
        return reason


def start_worker_thread(
    settings: WorkerSettings, incarnation: str, bus: WorkerBus, around: Surroundings
) -> WorkerHandle:
    """Start a worker in a thread of its own; the arguments are those of `Worker`."""
    worker = Worker(settings, incarnation, bus, around)
    outcome: Future[str] = Future()
    thread = threading.Thread(target=_run_into, args=(worker, outcome), name=f"worker-{settings.name}")
    thread.start()
    return WorkerHandle(worker.agent, thread, outcome)


def _run_into(worker: Worker, outcome: "Future[str]") -> None:
    """Run the worker and put its end, good or bad, where the one who waits finds it."""
    try:
        outcome.set_result(worker.run())
    except BaseException as problem:
        log.exception("worker broke")
        outcome.set_exception(problem)
