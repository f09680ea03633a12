"""A simulated worker: the real agent, turned by simulated time, with a model of the programs that it runs.

The model goes through the stages of `gaia_worker.attempt` (fetch inputs, say that it started, run, store outputs, end),
each an event of its own, so that anything can happen in between.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from gaia_core.errors import InboxLost, ObjectMissing, Unavailable
from gaia_core.machine.reports import Cancelled, Completed, Failed, Goodbye, Started
from gaia_core.workflow.keys import is_tree, location
from gaia_core.workflow.marks import attempt_mark
from gaia_core.workflow.model import Execution, Failure, FailureClass, FileVersion, Output, Publication, Resources
from gaia_worker.agent import Agent, Say
from gaia_worker.control import Control
from gaia_worker.settings import WorkerSettings
from tests.chaos.surroundings import DEPLOYMENT, SimStore, SimWorkerBus, Wire, stored
from tests.chaos.world import Broken, Process, World

HEARTBEAT_S: Final = 5.0
ENDLESS_S: Final = 1e6
HAS: Final = Resources(cpus=2.0)
"""What every worker has: room for the largest Step alone."""

ILL: Final = "its disk is full"
ENDLESS: Final = "endless"
"""A Command whose program runs until it is stopped, or until peace comes."""

Report = Completed | Failed | Cancelled


@dataclass
class Job:
    """One attempt in a slot."""

    execution: Execution
    control: Control
    finish: Callable[[], None]
    future: "Future[None]"
    outputs: list[Publication] = field(default_factory=list)
    end: Report | None = None
    runs: bool = False


class SimSlots(Executor):
    """What the agent hands attempts to: so many at a time, each an event after another."""

    def __init__(self, worker: "SimWorker", slots: int) -> None:
        self._worker, self._free = worker, slots
        self._waiting: deque[Job] = deque()
        self.running: list[Job] = []

    def submit(self, attempt: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Queue one attempt; `attempt` is called at its end, and reports it."""
        _, execution, control = args
        future: Future[Any] = Future()
        self._waiting.append(Job(execution, control, partial(attempt, *args), future))
        self._worker.later(0.0, self._start_some)
        return future

    def ended(self, job: Job) -> None:
        """Free the slot of an attempt that was reported."""
        self.running.remove(job)
        self._free += 1
        job.future.set_result(None)
        self._start_some()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Nothing to end: the agent waits for nobody here."""

    def _start_some(self) -> None:
        while self._free and self._waiting:
            job = self._waiting.popleft()
            if job.future.set_running_or_notify_cancel():
                self._free -= 1
                self.running.append(job)
                self._worker.begin(job)


class SimWorker(Process):
    """One `gaia worker`; a new life has another incarnation and the old name.

    Args:
        slots: attempts at a time.
    """

    def __init__(self, world: World, name: str, slots: int, wire: Wire, store: SimStore) -> None:
        super().__init__(world, name)
        self.wire, self.store = wire, store
        self._settings = WorkerSettings(
            name, slots, Path("/nowhere"), "simulated", prefetch=1, heartbeat_s=HEARTBEAT_S, resources=HAS
        )
        self.agent: Agent | None = None
        self.bus: SimWorkerBus | None = None
        self.slots: SimSlots | None = None
        self.is_leaving = False
        self.at_peace = False
        self._ill_until_s = 0.0
        self._job: Job | None = None
        self._turn_at_s: float | None = None
        self._begun: set[tuple[int, int, int]] = set()

    @property
    def incarnation(self) -> str:
        return f"{self.name}.{self.life}"

    def start(self) -> None:
        """Begin a life and say hello."""
        self.born()
        self._turn_at_s = None
        self._begun.clear()
        self.tell(f"starts as {self.incarnation}")
        self.slots = SimSlots(self, self._settings.slots)
        self.bus = SimWorkerBus(self, self.wire, self._wake)
        self.agent = Agent(
            self._settings, self.incarnation, self.bus, "model", self._end_of, self._now_s, slots=self.slots
        )
        self.agent.health = lambda: ILL if self.world.now_s < self._ill_until_s else ""
        self.later(0.0, self.agent.begin)
        self._turn_by(self.world.now_s + 1.0)

    def _now_s(self) -> float:
        return self.world.now_s

    def died(self) -> None:
        """Lose everything; what was under way may still arrive."""
        if self.bus is not None:
            self.bus.close()
        self.agent = None
        self.world.later(self.world.soon(45.0), self._start_again)

    def leave(self) -> None:
        """Drain, as SIGTERM asks."""
        if self.agent is not None:
            self.tell("drains")
            self.agent.drain()
            self._wake()

    def fall_ill(self, seconds: float) -> None:
        """Be in trouble for a while."""
        self.tell("is in trouble")
        self._ill_until_s = self.world.now_s + seconds
        if self.agent is not None:
            self._wake()

    def peace(self) -> None:
        """End every program that nobody stopped; those that were stopped go on until this worker hears of it."""
        self.at_peace = True

    # ---- the agent's thread

    def _start_again(self) -> None:
        if not self.is_alive:
            self.start()

    def _wake(self) -> None:
        self._turn_by(self.world.now_s + self.world.soon())

    def _turn_by(self, time_s: float) -> None:
        if self._turn_at_s is None or time_s < self._turn_at_s:
            self._turn_at_s = time_s
            self.world.at(time_s, partial(self._turn, time_s), self)

    def _turn(self, time_s: float) -> None:
        if self._turn_at_s != time_s or self.agent is None:
            return
        self._turn_at_s = None
        try:
            reason = self.agent.turn()
        except InboxLost:
            self._begin_anew()
            return
        self._stop_stopped()
        if reason:
            self.tell(f"leaves: {reason}")
            self.agent._say(Goodbye(reason))
            self.later(1.0, self.kill)
        else:
            self._turn_by(self.world.now_s + HEARTBEAT_S)

    def _begin_anew(self) -> None:
        """Give up what runs, and go on as another incarnation, as `gaia_worker.cluster` does."""
        assert self.agent is not None and self.bus is not None  # noqa: PT018
        self.tell("has lost its inbox")
        self.agent._close_slots()
        self._stop_stopped()
        self.bus.close()
        self.start()

    def _stop_stopped(self) -> None:
        """End the programs of attempts that were stopped, as executors do at once."""
        assert self.slots is not None
        for job in list(self.slots.running):
            if job.runs and job.control.stopped.is_set():
                self._ended(job, job.control.end(job.execution.fence))

    # ---- the slots

    def begin(self, job: Job) -> None:
        """Begin an attempt."""
        fence = job.execution.fence
        key = (fence.workflow_uid, fence.step, fence.attempt)
        if key in self._begun:
            raise Broken(f"{self.incarnation} begins attempt {key} twice")
        self._begun.add(key)
        self.later(self.world.soon(0.1), partial(self._stage, self._fetch, job))

    def _stage(self, stage: Callable[[Job], None], job: Job) -> None:
        """Go through one stage; whatever goes wrong is the attempt's end."""
        if job.end is not None:
            return
        try:
            if job.control.stopped.is_set():
                self._ended(job, job.control.end(job.execution.fence))
            else:
                stage(job)
        except ObjectMissing as problem:
            self._fail(job, FailureClass.INPUT_CHANGED, problem.message)
        except Unavailable as problem:
            self._fail(job, FailureClass.STORE, problem.message)

    def _fetch(self, job: Job) -> None:
        self.meet("before fetching")
        execution = job.execution
        for item in execution.inputs:
            for source in item.sources:
                for file in source.files:
                    place = location(execution.workflow, file.key)
                    next(iter(self.store.open(place.bucket, place.path, file.version)), b"")
        self.later(self.world.soon(0.2), partial(self._stage, self._run, job))

    def _run(self, job: Job) -> None:
        assert self.agent is not None
        self.meet("before starting")
        self.agent._say(Started(job.execution.fence))
        self.tell(f"runs {job.execution.workflow}/{job.execution.step} #{job.execution.fence.attempt}")
        job.runs = True
        self.later(self._seconds(job), partial(self._stage, self._judge, job))

    def _seconds(self, job: Job) -> float:
        if job.execution.command == ENDLESS and not self.at_peace:
            self.later(5.0, partial(self._at_peace, job))
            return ENDLESS_S
        return self.world.soon(self.world.random.choice((0.5, 3.0, 3.0, 12.0)))

    def _at_peace(self, job: Job) -> None:
        """End an endless program at peace, unless somebody wants it stopped: then only the order to stop ends it."""
        if job.end is None:
            if self.at_peace and self.is_current(job):
                self._stage(self._judge, job)
            else:
                self.later(5.0, partial(self._at_peace, job))

    def is_current(self, job: Job) -> bool:
        """Tell whether the coordinator wants an attempt; set by the simulation."""
        return True

    def _judge(self, job: Job) -> None:
        self.meet("before storing")
        if self.world.happens(0.0 if self.at_peace else 0.08):
            self._fail(job, FailureClass.COMMAND, "exit code 1")
        else:
            self._store_next(job)

    def _store_next(self, job: Job) -> None:
        """Store one output after another, and report then."""
        execution = job.execution
        if len(job.outputs) == len(execution.outputs):
            self._ended(job, Completed(execution.fence, tuple(job.outputs), 1))
            return
        output = execution.outputs[len(job.outputs)]
        job.outputs.append(Publication(output.key, tuple(self._put(job, output))))
        self.later(self.world.soon(0.1), partial(self._stage, self._store_next, job))

    def _put(self, job: Job, output: Output) -> list[FileVersion]:
        execution = job.execution
        keys = [f"{output.key}one", f"{output.key}two"] if is_tree(output.key) else [output.key]
        files = []
        mark = attempt_mark(DEPLOYMENT, execution.fence)
        for key in keys:
            data = f"{execution.step} #{execution.fence.attempt}".encode()
            put = stored(self, self.store, location(execution.workflow, key).path, data, mark)
            files.append(FileVersion(key, put.version, put.size_bytes, b"\0" * 32))
        return files

    def _fail(self, job: Job, kind: FailureClass, message: str) -> None:
        fence = job.execution.fence
        stopped = job.control.stopped.is_set()
        self._ended(job, job.control.end(fence) if stopped else Failed(fence, Failure(kind, message)))

    def _ended(self, job: Job, end: Report) -> None:
        """Let the agent report the end of an attempt."""
        assert self.slots is not None
        self.tell(f"ends {job.execution.workflow}/{job.execution.step} #{job.execution.fence.attempt}: {_word(end)}")
        job.end, job.runs = end, False
        self._job = job
        job.finish()
        self.slots.ended(job)

    def _end_of(self, execution: Execution, control: Control, say: Say) -> Report:
        """Return the end of the attempt that the agent reports now."""
        assert self._job is not None
        assert self._job.end is not None
        return self._job.end


def _word(end: Report) -> str:
    return f"failed, {end.failure.kind.name}" if isinstance(end, Failed) else type(end).__name__.lower()
