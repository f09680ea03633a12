"""A whole Gaia in one thread: the real loop, worker and publisher, turned by hand, on logs in memory that are counted.

Nothing here waits, and time stands still; so the same work always takes the same batches, records and bytes.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from gaia_core.backends.memory import MemoryEventLog, MemoryEvents, MemoryJournal, MemoryLog
from gaia_core.coordinator.loop import Clock, Loop
from gaia_core.coordinator.publisher import Publisher
from gaia_core.coordinator.watching import WatchHub
from gaia_core.machine import requests as rq
from gaia_core.machine.state import Deployment
from gaia_core.ports import Delivery, EventRecord, Position, Record, ReportBatch
from gaia_core.workflow.model import Command, FileVersion, Publication, StepSpec
from gaia_worker.agent import Agent
from gaia_worker.settings import WorkerSettings

NOW_MS: Final = 1_800_000_000_000
"""As long in a record as a real time is."""

CREDIT: Final = 250
"""What the worker takes at once, so every batch of a wide workflow is as large as this."""

START: Final = "start"
NOOP: Final = Command("noop", "busybox", ("cp", "{{before}}", "{{after}}"), {"before": "/before"}, {"after": "/after"})


class Counted:
    """What was written to one log.

    Attributes:
        writes: calls that wrote, each of which a durable log has to acknowledge.
    """

    def __init__(self) -> None:
        self.writes = self.records = self.bytes = 0

    def add(self, records: Sequence[bytes]) -> None:
        """Count one write."""
        self.writes += 1
        self.records += len(records)
        self.bytes += sum(map(len, records))

    def now(self) -> tuple[int, int, int]:
        """Return writes, records and bytes so far."""
        return self.writes, self.records, self.bytes


class CountedJournal(MemoryJournal):
    """The journal."""

    def __init__(self, counted: Counted) -> None:
        super().__init__(MemoryLog())
        self._counted = counted

    def append(self, records: Sequence[bytes]) -> list[int]:
        self._counted.add(records)
        return super().append(records)


class CountedEvents(MemoryEventLog):
    """The public events; a write is a transaction."""

    def __init__(self, counted: Counted) -> None:
        super().__init__(MemoryEvents())
        self._counted = counted

    def publish(self, events: Sequence[EventRecord], position: Position) -> None:
        self._counted.add([event.value for event in events])
        super().publish(events, position)


class Bus:
    """Both ends of the way between the loop and its one worker; records lie here until somebody takes them."""

    partition = start_offset = 0

    def __init__(self, steps: Counted, reports: Counted) -> None:
        self.flushes = 0
        self._steps, self._reports = steps, reports
        self._inbox: list[Record] = []
        self._sent = self._told = 0
        self._said: list[bytes] = []
        self._heard = 0
        self._sink: Callable[[ReportBatch], None] = lambda _: None

    def send(self, worker: str, partition: int, record: bytes) -> None:
        self._steps.add([record])
        self._inbox.append(Record(self._sent, record))
        self._sent += 1

    def flush(self, timeout_s: float = 0.0) -> bool:
        self.flushes += 1
        return True

    def deliveries(self) -> list[Delivery]:
        ended = [Delivery("w", offset) for offset in range(self._told, self._sent)]
        self._told = self._sent
        return ended

    def listen(self, offset: int, sink: Callable[[ReportBatch], None], failed: Callable[[Exception], None]) -> None:
        self._sink = sink

    def end_offset(self) -> int:
        return self._heard + len(self._said)

    seen_end = end_offset

    def deliver(self) -> bool:
        """Give the loop what was reported; return whether that is anything."""
        said, self._said = self._said, []
        self._heard += len(said)
        if said:
            self._sink(ReportBatch(said, self._heard))
        return bool(said)

    def receive(self, timeout_s: float) -> list[Record]:
        received, self._inbox = self._inbox, []
        return received

    def inbox_offset(self) -> int:
        return self._sent

    def report(self, record: bytes) -> None:
        self._reports.add([record])
        self._said.append(record)

    def acknowledged(self) -> int:
        return self._reports.records

    def close(self) -> None:
        """Nothing to end."""


class Plant:
    """A leader that is in office, and a worker that completes at once whatever it is given.

    Attributes:
        logs: what was written to each, by the names that topics have.
    """

    def __init__(self, credit: int = CREDIT) -> None:
        self.logs = {name: Counted() for name in ("steps", "reports", "journal", "events")}
        self.bus = Bus(self.logs["steps"], self.logs["reports"])
        journal = CountedJournal(self.logs["journal"])
        clock = Clock(lambda: NOW_MS, lambda: 50.0)
        watchers = WatchHub()
        self.publisher = Publisher(journal, lambda: CountedEvents(self.logs["events"]), watchers)
        self.loop = Loop(journal, self.bus, clock, 30.0, self.publisher.feed, lambda _: None, watchers)
        self.loop.open("127.0.0.1:24442", "1.0.0")
        self.publisher.open()
        settings = WorkerSettings("w", credit // 2, Path("/nowhere"), "guard", prefetch=credit - credit // 2)
        self.agent = Agent(settings, "0123456789abcdef", self.bus, "noop", None, lambda: 50.0)
        self.agent.begin()
        self.settle()

    @property
    def state(self) -> Deployment:
        """Return the leader's state."""
        return self.loop.term.state

    def ask(self, request: rq.Request) -> Any:
        """Have a request answered in a turn of its own."""
        answer = self.loop.submit(request)
        self.loop.turn()
        return answer.result(0)

    def upload(self, name: str, specs: Sequence[StepSpec]) -> None:
        """Create a workflow that waits for its start, and let everybody follow."""
        self.ask(rq.Upload(name, {}, (NOOP,), tuple(specs)))
        self.settle()

    def start(self, name: str) -> None:
        """Let the Key arrive that a workflow waits for: its first Steps are dispatched."""
        self.ask(rq.Arrive(name, (Publication(START, (FileVersion(START, "v1", 3, bytes(32)),)),)))

    def round(self, each: Callable[[str, Callable[[], Any]], Any] = lambda _, act: act()) -> bool:
        """Let the worker complete what it has, the leader enter that, the publisher tell it; return whether it did.

        Args:
            each: is given each of the three, with its name, and has it take its turn.
        """
        each("worker", self.agent.turn)
        if not self.bus.deliver():
            return False
        each("leader", self.loop.turn)
        if self.publisher.is_behind:
            each("publisher", self.publisher.turn)
        return True

    def settle(self) -> None:
        """Go on until nobody has anything to do."""
        while self.publisher.is_behind:
            self.publisher.turn()
        while self.round():
            pass


def wide(count: int) -> list[StepSpec]:
    """Return Steps that do not depend on each other."""
    return [_step(number, START) for number in range(count)]


def chain(count: int) -> list[StepSpec]:
    """Return Steps of which each reads what the one before it writes."""
    return [_step(number, f"out/{number - 1}" if number else START) for number in range(count)]


def sweep(count: int) -> list[StepSpec]:
    """Return as many Steps as `wide`, made from one spec."""
    return [StepSpec("s", "noop", {"before": START}, {"after": "out/{{n}}"}, {"n": tuple(range(count))})]


def _step(number: int, before: str) -> StepSpec:
    return StepSpec(f"s{number}", "noop", {"before": before}, {"after": f"out/{number}"})
