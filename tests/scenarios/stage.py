"""What a transcript plays on: a client, the service, the real machine and a store, all in this process.

What the client sends goes through protobuf to the service and into the machine, as in a server; each batch is journaled
and replayed by the Driver, which checks every invariant. A refusal must leave everything as it was. Workers are the
transcript's own: they report what it says. What the machine wants of the store is done as the server does it.
"""

import hashlib
from concurrent.futures import Future
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any, NamedTuple

from gaia import Gaia
from gaia_core.backends.inprocess_logs import InProcessLogs
from gaia_core.backends.memory_store import OWN_BUCKET, MemoryStore
from gaia_core.coordinator.desk import Desk
from gaia_core.coordinator.errands import Errand, Errands
from gaia_core.coordinator.polling import Poller
from gaia_core.coordinator.watching import WatchHub
from gaia_core.errors import RequestError
from gaia_core.machine import reports as rp
from gaia_core.machine import requests as rq
from gaia_core.machine.decision import Decision
from gaia_core.machine.effects import DeleteData, LookUp, SendCancels, SendDispatches
from gaia_core.machine.public import Announcement, Announcer
from gaia_core.service.grpc_api import GaiaService
from gaia_core.service.reception import Reception
from gaia_core.workflow.events import KeysArrived
from gaia_core.workflow.keys import is_tree, location
from gaia_core.workflow.model import Execution, Failure, Fence, FileVersion, Publication
from gaia_core.workflow.state import Step
from gaia_core.workflow.validate import Rules
from tests.scenarios.in_process import Connection
from tests.support.launcher import FakeLauncher
from tests.support.orders import execution_of
from tests.unit.machine.deployment import Driver, snapshot

FLOW = "flow"
"""The workflow that is meant where none is named."""


class Attempt(NamedTuple):
    """One attempt of a Step, as transcripts name it."""

    flow: str
    step: str
    number: int


@dataclass
class Followed:
    """What followed from one input besides its answer."""

    dispatched: list[tuple[Attempt, str]] = field(default_factory=list)
    cancelled: list[Attempt] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    ignored: int = 0


class Stage(Driver):
    """A deployment with a client beside it and workers that do as they are told."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.allow_buckets(None)
        self.watchers = WatchHub()
        desk = Desk()
        desk.seat(self)
        self.connection = Connection(GaiaService(desk, self.store, Reception(), FakeLauncher(), InProcessLogs()))
        self.client = Gaia({})
        self.client._connection = self.connection  # type: ignore[assignment]
        self.announcements: list[Announcement] = []
        self.followed = Followed()
        self.orders: dict[Attempt, Execution] = {}
        self.incarnations: dict[str, int] = {}
        self._holders: dict[Attempt, tuple[str, str]] = {}
        self._attempts: dict[tuple[int, int, int], Attempt] = {}
        self._announcer = Announcer()
        self._errands = PatientErrands(self)
        self._pollers = {expire: Poller(self.store, self.submit, 0, expire_changed=expire) for expire in (True, False)}

    # -- requests

    def ask(self, request: rq.Request) -> Any:
        """Carry out a request; what is refused must change nothing."""
        before = snapshot(self.state)
        try:
            return super().ask(request)
        except RequestError:
            assert snapshot(self.state) == before, "the refusal changed something"
            raise

    def allow_buckets(self, names: frozenset[str] | None) -> None:
        """Let Keys name only these buckets; None lets them name any but Gaia's own."""
        self.rules = Rules(own_bucket=OWN_BUCKET, buckets=names)

    def settled(self) -> "Future[None]":
        """Return what is done: watchers are told with every input."""
        settled: Future[None] = Future()
        settled.set_result(None)
        return settled

    def run_errands(self) -> None:
        """Do what the machine wants of the store and what is due, as the server does in a thread of its own."""
        self._errands.run()

    def poll(self, *, expire_changed: bool) -> None:
        """Look for files from outside, as the server does every few seconds."""
        self._pollers[expire_changed].look()

    def write(self, key: str, text: str, flow: str = FLOW) -> FileVersion:
        """Write a file straight into the store."""
        stored = self.store.put_bytes(*location(flow, key), text.encode())
        return FileVersion(key, stored.version, stored.size_bytes, hashlib.sha256(text.encode()).digest())

    def read(self, flow: str, file: FileVersion) -> str:
        """Return the content of a version."""
        return b"".join(self.store.open(*location(flow, file.key), file.version)).decode()

    def submit(self, request: rq.Request) -> "Future[Any]":
        """Carry out what the service, an errand or the poll submits."""
        answer: Future[Any] = Future()
        try:
            answer.set_result(self.ask(request))
        except RequestError as refusal:
            answer.set_exception(refusal)
            return answer
        if isinstance(request, rq.Arrive) and request.instead_of:
            arrived = [event for event in self.events if isinstance(event, KeysArrived)]
            self.followed.found += [one.key for event in arrived for one in event.keys]
        return answer

    # -- workers

    def begin_worker(self, name: str, **more: Any) -> None:
        """Let a new incarnation of a worker say hello."""
        self.incarnations[name] = self.incarnations.get(name, 0) + 1
        self.join(name, incarnation=self.incarnation(name), **more)

    def incarnation(self, name: str) -> str:
        """Return the latest incarnation of a worker."""
        return f"i{self.incarnations[name]}"

    def latest(self, step: str, flow: str) -> Attempt:
        """Return the latest attempt of a Step."""
        return Attempt(flow, step, self.step(step, flow).attempt)

    def report_completed(self, attempts: list[Attempt], files: list[str] | None) -> None:
        """Let a worker upload outputs and report success, in one record.

        Args:
            files: Keys of the files it wrote; None for one under each Key that the Step writes.
        """
        said = [rp.Completed(self._fence(attempt), self._outputs(attempt, files), 5) for attempt in attempts]
        self._report(attempts[0], *said)

    def report_failed(self, attempt: Attempt, failure: Failure, files: list[str], *, unstarted: bool = False) -> None:
        """Let a worker report a failure, with the files that it kept."""
        self._report(attempt, rp.Failed(self._fence(attempt), failure, self._outputs(attempt, files), unstarted))

    def report_cancelled(self, attempt: Attempt) -> None:
        """Let a worker report that it stopped an attempt."""
        self._report(attempt, rp.Cancelled(self._fence(attempt)))

    def _report(self, attempt: Attempt, *said: rp.Report) -> None:
        worker, incarnation = self._holders[attempt]
        self.say(worker, *said, incarnation=incarnation)
        self.followed.ignored += self.refused

    def _fence(self, attempt: Attempt) -> Fence:
        return self.orders[attempt].fence

    def _outputs(self, attempt: Attempt, files: list[str] | None) -> tuple[Publication, ...]:
        """Store an attempt's files, each of which says who wrote it, and return what is to be published."""
        found = []
        for key in dict.fromkeys(output.key for output in self.orders[attempt].outputs):
            tree = [f"{key}file"] if files is None else [file for file in files if file.startswith(key)]
            paths = tree if is_tree(key) else [key] if files is None or key in files else []
            text = f"{attempt.step}({attempt.number})"
            if paths:
                found.append(Publication(key, tuple(self.write(path, text, attempt.flow) for path in paths)))
        return tuple(found)

    # -- what follows

    def _finish(self, decision: Decision) -> None:
        super()._finish(decision)
        for effect in self.effects:
            match effect:
                case SendDispatches():
                    for step in effect.steps:
                        self._dispatched(effect, step)
                case SendCancels():
                    self.followed.cancelled += [self._attempts[effect.uid, *one] for one in effect.attempts]
                case LookUp() | DeleteData():
                    self._errands.ask(effect)
        told = self._announcer.follow(self.now_ms, self.events)
        self.announcements += told
        self.watchers.tell(told, self._announcer.updates)

    def _dispatched(self, effect: SendDispatches, step: Step) -> None:
        attempt = Attempt(effect.workflow.name, step.name, step.attempt)
        self.orders[attempt] = execution_of(effect.workflow, step, 0)
        self._attempts[effect.workflow.uid, step.index, step.attempt] = attempt
        self._holders[attempt] = effect.worker, self.state.fleet.workers[effect.worker].incarnation
        self.followed.dispatched.append((attempt, effect.worker))


class PatientErrands(Errands):
    """Errands by the transcript's clock: they end when nothing is left to be done now."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage.store, stage.submit)
        self._stage = stage

    def _next(self) -> Errand | None:
        if not self._waiting.empty():
            return self._waiting.get()
        is_due = self._again and self._again[0][0] <= self._stage.now_ms / 1000
        return heappop(self._again)[2] if is_due else None

    def _later(self, errand: Errand, pause_s: float) -> None:
        heappush(self._again, (self._stage.now_ms / 1000 + pause_s, next(self._numbers), errand))
