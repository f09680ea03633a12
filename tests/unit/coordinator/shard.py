"""One shard under test: the real loop on a journal in memory and the in-process bus, turned by hand, time too."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from gaia_core.backends.inprocess import InProcessBus
from gaia_core.backends.memory import MemoryJournal, MemoryLog
from gaia_core.coordinator.entries import EntryReader
from gaia_core.coordinator.loop import Clock, Loop
from gaia_core.coordinator.watching import WatchHub
from gaia_core.errors import Unavailable
from gaia_core.machine import reports as rp
from gaia_core.machine import requests as rq
from gaia_core.machine.effects import DeleteData, LookUp
from gaia_core.machine.orders import Cancel, Dispatch, Order
from gaia_core.machine.state import Deployment
from gaia_core.wire.inbox import decode_inbox
from gaia_core.wire.journal import Entry
from gaia_core.wire.reports import encode_reports
from gaia_core.workflow.model import Fence, StepSpec
from gaia_core.workflow.state import Step
from tests.unit.machine.deployment import COMMANDS, published

LEASE_S = 30.0


class Time:
    """The clock of a test; it moves when told to."""

    def __init__(self) -> None:
        self.wall_ms = 1_000_000
        self.monotonic_s = 50.0

    def clock(self) -> Clock:
        """Return what the loop reads."""
        return Clock(lambda: self.wall_ms, lambda: self.monotonic_s)


class Shard:
    """A leader with all it needs; `successor` makes the next one on the same journal and bus."""

    def __init__(self, log: MemoryLog | None = None, bus: InProcessBus | None = None, time: Time | None = None) -> None:
        self.log = log or MemoryLog()
        self.bus = bus or InProcessBus(first_offset=100)
        self.time = time or Time()
        self.journal = MemoryJournal(self.log)
        self.followed: list[tuple[int, Entry]] = []
        self.looked_up: list[LookUp | DeleteData] = []
        self.watchers = WatchHub()
        self.loop = Loop(
            self.journal,
            self.bus,
            self.time.clock(),
            LEASE_S,
            lambda offset, entry: self.followed.append((offset, entry)),
            self.looked_up.append,
            self.watchers,
        )

    def open(self) -> "Shard":
        """Take office."""
        self.loop.open("here:1", "test")
        return self

    def successor(self) -> "Shard":
        """Return the next leader, not yet in office."""
        self.bus.close()
        return Shard(self.log, self.bus, self.time)

    def turn(self) -> None:
        """Deal with one batch: all that waits now."""
        self.loop.intake.wake()
        self.loop._turn(self.loop.intake.drain(10))

    def settle(self) -> None:
        """Take turns until every report on the bus was dealt with."""
        self.turn()
        while self.loop._crew.offset < self.bus.end_offset():
            self.loop._turn(self.loop.intake.drain(10))

    def pass_time(self, seconds: float) -> None:
        """Let time pass as an awake coordinator sees it: in small steps, looking each time."""
        for _ in range(int(seconds)):
            self.time.monotonic_s += 1
            self.settle()

    def ask(self, request: rq.Request) -> Any:
        """Submit a request, take a turn, and return its answer."""
        answer = self.loop.submit(request)
        self.turn()
        return answer.result(0)

    def upload(self, *steps: StepSpec, name: str = "flow", request: rq.RequestId = rq.NO_ID) -> Any:
        """Create a workflow with the usual Commands."""
        return self.ask(rq.Upload(name, {}, COMMANDS, steps, request))

    @property
    def state(self) -> Deployment:
        """Return the leader's state."""
        return self.loop.term.state

    def step(self, name: str, flow: str = "flow") -> Step:
        """Return a Step."""
        return self.state.workflows[flow].by_name[name]

    def states(self, flow: str = "flow") -> dict[str, str]:
        """Return every Step's state."""
        return {step.name: step.state.word for step in self.state.workflows[flow].steps.values()}


class Hand:
    """A worker that does what the test says, over the in-process bus."""

    def __init__(self, shard: Shard, name: str = "w", incarnation: str = "i1", slots: int = 10) -> None:
        self.name, self.incarnation, self.slots = name, incarnation, slots
        self.bus = shard.bus.connect(name)
        self.orders: list[Order] = []

    def say(self, *said: rp.Report) -> None:
        """Report."""
        self.bus.report(encode_reports(rp.WorkerReports(self.name, self.incarnation, said)))

    def hello(self, trouble: str = "", **more: Any) -> None:
        """Say hello."""
        self.say(rp.Hello("default", self.slots, 0, 0, self.bus.start_offset, "noop", "host", trouble=trouble, **more))

    def beat(self, *held: Fence) -> None:
        """Say what is held, as the inbox was read until now."""
        self.say(rp.Heartbeat(self.bus.inbox_offset(), held))

    def read(self) -> list[Order]:
        """Read the inbox as it is, and return the orders in it."""
        found: list[Order] = []
        for record in self.bus.receive(0):
            inbox = decode_inbox(record.value)
            if inbox.incarnation == self.incarnation:
                found += inbox.orders
        self.orders += found
        return found

    def told(self) -> list[tuple[str, str, int]]:
        """Read the inbox and return (what, Step or reason, attempt) for each order."""
        orders = self.read()
        return [
            ("run", order.execution.step, order.execution.fence.attempt)
            if isinstance(order, Dispatch)
            else ("stop", order.reason, order.fence.attempt)
            for order in orders
            if isinstance(order, Dispatch | Cancel)
        ]

    def fences(self) -> dict[str, Fence]:
        """Return the latest fence of each Step that was ever dispatched."""
        return {one.execution.step: one.execution.fence for one in self.orders if isinstance(one, Dispatch)}

    def complete(self, *steps: str) -> None:
        """Report Steps that were read from the inbox as completed."""
        runs = {one.execution.step: one.execution for one in self.orders if isinstance(one, Dispatch)}
        for name in steps:
            run = runs[name]
            outputs = tuple(published(output.key, f"v{run.fence.attempt}") for output in run.outputs)
            self.say(rp.Completed(run.fence, outputs, 1))


def accepted(log: MemoryLog) -> list[tuple[int, Entry]]:
    """Return every entry that a reader of the log accepts."""
    reader = EntryReader()
    return [(one.offset, entry) for one in log.slice(*log.bounds()) if (entry := reader.feed(one)) is not None]


def failed(answer: "Future[Any]") -> bool:
    """Tell whether a request was answered with Unavailable."""
    return answer.done() and isinstance(answer.exception(0), Unavailable)


class Gate:
    """A journal whose appends call a function first: to let strangers write, or to look around."""

    def __init__(self, journal: MemoryJournal, before: Callable[[], object]) -> None:
        self._journal, self._before = journal, before
        self.read, self.bounds, self.close = journal.read, journal.bounds, journal.close

    def append(self, records: Any) -> list[int]:
        """Append, after the function."""
        self._before()
        return self._journal.append(records)
