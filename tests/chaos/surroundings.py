"""Simulated journal, bus, event log and store, with the faults of the real ones.

Each keeps what is durable, with the time at which it became so, for the auditor. Faults are met at junctures of the
process that calls: "append", "cut", "send", "report", "publish", "put".
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gaia_core.backends.checks import check_start
from gaia_core.backends.memory import MemoryLog
from gaia_core.backends.memory_store import MemoryStore
from gaia_core.errors import InboxLost, StoreError, Unavailable
from gaia_core.ports import Delivery, EventRecord, Position, Record, ReportBatch, Stored
from gaia_core.workflow.keys import INTERNAL_PREFIX
from tests.chaos.audit import InboxSeen, ReportSeen
from tests.chaos.world import Process, World

DEPLOYMENT: Final = "simulated"

WALL_S: Final = 1_000_000.0
"""What the store's clock, and those of servers that nobody sets, show at the beginning."""

PARTITION: Final = 0
"""All workers share it, and skip each other's records."""


class JournalLog(MemoryLog):
    """The journal as all servers see it, with the time of each append.

    Attributes:
        history: every record, those that were cut away too.
    """

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.times: dict[int, float] = {}
        self.history: list[Record] = []

    def write(self, value: bytes) -> int:
        offset = super().write(value)
        self.times[offset] = self.world.now_s
        self.history.append(Record(offset, value))
        return offset

    @property
    def end(self) -> int:
        return self._end


class SimJournal:
    """One server's way to the journal; what it gave up on may still land later."""

    def __init__(self, process: Process, log: JournalLog) -> None:
        self._process, self._log = process, log
        self._broken = ""

    def append(self, records: Sequence[bytes]) -> list[int]:
        process, log, world = self._process, self._log, self._process.world
        process.meet("before append")
        if self._broken:
            raise Unavailable(self._broken)
        if world.happens(0.1):
            process.wait(world.soon(2.0))
        fault = process.meet("append")
        kind = fault.kind if fault is not None else ""
        if kind in ("refused", "late", "torn"):
            landing = records if kind == "late" else records[: len(records) // 2]
            for number, record in enumerate(landing):
                world.later(fault.seconds + number * 0.01, lambda record=record: self._land(record))
            self._break()
        offsets = [log.write(record) for record in records]
        if kind == "unknown":
            self._break()
        if kind == "twice":
            for record in records:
                world.later(fault.seconds, lambda record=record: self._land(record))
        if world.happens(0.1):
            process.wait(world.soon(2.0))
        process.meet("after append")
        return offsets

    def read(self, start: int, end: int) -> Iterator[Record]:
        first, after_last = self.bounds()
        if start < end:
            check_start("The simulated journal", start, first, after_last)
            yield from self._log.slice(start, end)

    def cut(self, before: int) -> None:
        process = self._process
        process.meet("before cutting")
        fault = process.meet("cut")
        if fault is not None and fault.kind == "refused":
            raise Unavailable("The journal does not answer.")
        if before > self._log.end:
            raise AssertionError(f"cut before {before}, beyond the end")
        process.tell(f"cuts the journal before {before}")
        self._log.cut(before)
        process.meet("after cutting")

    def bounds(self) -> tuple[int, int]:
        fault = self._process.meet("read the journal")
        if fault is not None:
            raise Unavailable("The journal does not answer.")
        return self._log.bounds()

    def close(self) -> None:
        self._broken = "The journal is closed."

    def _break(self) -> None:
        self._broken = "An append failed."
        raise Unavailable(self._broken)

    def _land(self, record: bytes) -> None:
        offset = self._log.write(record)
        self._process.world.tell("journal", f"takes a record that was given up on, or a second time, at {offset}")


class Wire:
    """The records between coordinators and workers: the inboxes in one log, the reports in another."""

    def __init__(self, world: World, journal: JournalLog) -> None:
        self.world, self.journal = world, journal
        self.inbox: list[InboxSeen] = []
        self.reports: list[ReportSeen] = []
        self.readers: dict[str, Callable[[], None]] = {}
        self.listeners: dict[int, Callable[[], None]] = {}

    def put_order(self, order: InboxSeen) -> int:
        """Let an order land; return its offset."""
        self.inbox.append(order)
        reader = self.readers.get(order.worker)
        if reader is not None:
            reader()
        return len(self.inbox) - 1

    def put_report(self, record: bytes) -> None:
        """Let a report land."""
        self.reports.append(ReportSeen(record, self.world.now_s))
        for listener in list(self.listeners.values()):
            listener()


@dataclass(slots=True)
class Sent:
    """One order that was sent, until the leader is told what became of it."""

    worker: str
    ended_s: float
    offset: int | None = None
    is_open: bool = False


class SimCoordinatorBus:
    """One leader's side of the wire.

    Args:
        wake: called when there is something to do for the leader.
    """

    def __init__(self, process: Process, wire: Wire, wake: Callable[[], None]) -> None:
        self._process, self._wire, self._wake = process, wire, wake
        self._sent: list[Sent] = []
        self._held_back: list[tuple[InboxSeen, Sent]] = []
        self._sink: Callable[[ReportBatch], None] | None = None
        self._next = 0
        self._deaf_until_s = 0.0
        self._is_coming = False

    def send(self, worker: str, partition: int, record: bytes) -> None:
        process, wire, world = self._process, self._wire, self._process.world
        fault = process.meet("send")
        kind = fault.kind if fault is not None else ""
        order = InboxSeen(worker, record, wire.journal.end, world.now_s)
        sent = Sent(worker, world.now_s + (world.soon(8.0) if world.happens(0.1) else 0.0))
        self._sent.append(sent)
        if kind == "late":
            world.later(fault.seconds, lambda: wire.put_order(order))
        elif kind == "swapped":
            sent.is_open = True
            self._held_back.append((order, sent))
        elif kind == "vanished":
            sent.offset = wire.put_order(InboxSeen("", b"", 0, world.now_s))
        elif kind != "failed":
            sent.offset = wire.put_order(order)
            if kind == "twice":
                world.later(fault.seconds, lambda: wire.put_order(order))
        if kind != "swapped":
            self._let_go()

    def flush(self) -> None:
        self._process.meet("between effects")
        self._process.later(0.5, self._let_go)

    def _let_go(self) -> None:
        held, self._held_back = self._held_back, []
        for order, sent in held:
            sent.offset, sent.is_open = self._wire.put_order(order), False

    def deliveries(self) -> list[Delivery]:
        """Return what ended, in the order in which it was sent."""
        now_s = self._process.world.now_s
        ended = 0
        while ended < len(self._sent) and self._sent[ended].ended_s <= now_s and not self._sent[ended].is_open:
            ended += 1
        found, self._sent = self._sent[:ended], self._sent[ended:]
        return [Delivery(sent.worker, sent.offset) for sent in found]

    def listen(self, offset: int, sink: Callable[[ReportBatch], None], failed: Callable[[Exception], None]) -> None:
        self._next, self._sink, self._deaf_until_s = offset, sink, 0.0
        self._wire.listeners[id(self)] = self._hear
        self._take()

    def end_offset(self) -> int:
        return len(self._wire.reports)

    def seen_end(self) -> int:
        return self.end_offset()

    def go_deaf(self, seconds: float) -> None:
        """Read no reports for a while."""
        self._deaf_until_s = self._process.world.now_s + seconds

    def close(self) -> None:
        self._wire.listeners.pop(id(self), None)
        self._sink = None

    def _hear(self) -> None:
        """Read what came, a little later."""
        if not self._is_coming:
            self._is_coming = True
            world = self._process.world
            delay_s = max(world.soon(0.1), self._deaf_until_s - world.now_s)
            self._process.later(delay_s, self._take)

    def _take(self) -> None:
        self._is_coming = False
        if self._sink is None:
            return
        if self._deaf_until_s > self._process.world.now_s:
            self._hear()
            return
        records = [one.record for one in self._wire.reports[self._next :]]
        if records:
            self._next += len(records)
            self._sink(ReportBatch(records, self._next))
            self._wake()


class SimWorkerBus:
    """One worker incarnation's side of the wire; reports land in order, however long that takes.

    Args:
        wake: called when an order lands.
    """

    partition = PARTITION

    def __init__(self, process: Process, wire: Wire, wake: Callable[[], None]) -> None:
        self._process, self._wire = process, wire
        self._unsent: list[bytes] = []
        self._reported = 0
        self._cut_until_s = 0.0
        self._is_sending = False
        self._read_to = self.start_offset = len(wire.inbox)
        wire.readers[process.name] = wake

    def receive(self, timeout_s: float) -> list[Record]:
        if self._cut_until_s > self._process.world.now_s:
            return []
        if self._process.meet("receive") is not None:
            raise InboxLost("Orders were deleted before they were read.")
        found = [
            Record(offset, order.record)
            for offset, order in enumerate(self._wire.inbox[self._read_to :], self._read_to)
            if order.worker == self._process.name
        ]
        self._read_to = len(self._wire.inbox)
        return found

    def inbox_offset(self) -> int:
        return self._read_to

    def acknowledged(self) -> int:
        return self._reported - len(self._unsent)

    def report(self, record: bytes) -> None:
        process = self._process
        process.meet("before report")
        fault = process.meet("report")
        self._unsent.append(record)
        self._reported += 1
        if fault is not None and fault.kind == "slow":
            self.cut(fault.seconds)
        if fault is not None and fault.kind == "twice":
            again = list(self._unsent)
            self._process.world.later(fault.seconds, lambda: [self._wire.put_report(one) for one in again])
        self._send()
        process.meet("after report")

    def flush(self, timeout_s: float) -> bool:
        return True

    def cut(self, seconds: float) -> None:
        """Cut the worker off for a while: it hears nothing, and nothing of it is heard."""
        self._cut_until_s = max(self._cut_until_s, self._process.world.now_s + seconds)

    def close(self) -> None:
        """End with the process; what was under way may still arrive."""
        world = self._process.world
        for record in self._unsent[: world.random.randint(0, len(self._unsent))]:
            world.later(world.soon(5.0), lambda record=record: self._wire.put_report(record))
        self._unsent.clear()

    def _send(self) -> None:
        """Let what is unsent land, all at once and in order, as soon as the way is free."""
        if not self._is_sending and self._unsent:
            self._is_sending = True
            world = self._process.world
            world.later(max(world.soon(0.05), self._cut_until_s - world.now_s), self._land)

    def _land(self) -> None:
        self._is_sending = False
        if self._cut_until_s > self._process.world.now_s:
            self._send()
            return
        landing, self._unsent = self._unsent, []
        for record in landing:
            self._wire.put_report(record)


class Announced:
    """The public events, in the order in which their transactions were committed."""

    def __init__(self) -> None:
        self.events: list[EventRecord] = []
        self.position = Position(-1)
        self.epoch = 0
        self.open: Callable[[], None] | None = None


class SimEventLog:
    """One publisher's way to the public events; a transaction whose outcome is unknown is decided by the next one."""

    def __init__(self, process: Process, announced: Announced) -> None:
        self._process, self._announced = process, announced
        self._epoch = 0

    def position(self) -> Position:
        shared = self._announced
        commit, shared.open = shared.open, None
        if commit is not None and self._process.world.happens(0.5):
            commit()
        shared.epoch += 1
        self._epoch = shared.epoch
        return shared.position

    def publish(self, events: Sequence[EventRecord], position: Position) -> None:
        process, shared = self._process, self._announced
        process.meet("before publish")
        if self._epoch != shared.epoch:
            raise Unavailable("Another publisher has taken over.")

        def commit() -> None:
            shared.events += events
            shared.position = position

        fault = process.meet("publish")
        kind = fault.kind if fault is not None else ""
        if kind == "unknown":
            shared.open = commit
        if kind in ("unknown", "refused"):
            shared.epoch += 1
            raise Unavailable("The commit was not acknowledged.")
        commit()
        process.meet("after publish")

    def close(self) -> None:
        self._epoch = -1


class SimStore(MemoryStore):
    """The store as all processes see it.

    Attributes:
        damaged: (path, version) of what is no longer as it was written.
        written: every snapshot and archive that ever was, by path and version.
    """

    def __init__(self, world: World) -> None:
        super().__init__(wall_ms=lambda: int((WALL_S + world.now_s) * 1000))
        self.damaged: set[tuple[str, str]] = set()
        self.written: dict[tuple[str, str], bytes] = {}

    def put_bytes(self, bucket: str | None, path: str, data: bytes, mark: str = "") -> Stored:
        found = super().put_bytes(bucket, path, data, mark)
        if path.startswith(f"{INTERNAL_PREFIX}{DEPLOYMENT}/"):
            self.written[path, found.version] = data
        return found

    def damage(self, path: str, version: str) -> None:
        """Flip a byte."""
        versions = self._objects["gaia"][path]
        place = len(versions[version].data) // 2
        data = bytearray(versions[version].data)
        data[place] ^= 1
        versions[version] = replace(versions[version], data=bytes(data))
        self.damaged.add((path, version))

    def holds(self, path: str, version: str) -> bool:
        return version in self._objects["gaia"].get(path, {})

    def all(self) -> list[tuple[str, str]]:
        return [(path, version) for path, versions in self._objects["gaia"].items() for version in versions]


def stored(process: Process, store: SimStore, path: str, data: bytes, mark: str) -> Stored:
    """Put a file, as a process to which things happen.

    Raises:
        StoreError: the store does not answer; it may have taken the file.
    """
    process.meet("before put")
    fault = process.meet("put")
    if fault is not None and fault.kind == "refused":
        raise StoreError("The store does not answer.")
    found = store.put_bytes(None, path, data, mark)
    if fault is not None:
        raise StoreError("The store did not say that it took the file.")
    process.meet("after put")
    return found
