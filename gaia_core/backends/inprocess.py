"""The bus of the embedded mode: bounded queues between the coordinator and workers of the same process.

Nothing here is durable, and nothing needs to be: bus and workers end with the process, and what they had in hand is
dispatched anew. Called by the composition root, which hands the bus to the coordinator and one connection to each
worker.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Final

from gaia_core.errors import Unavailable
from gaia_core.ports import Delivery, Record, ReportBatch

BATCH_MOST: Final = 5_000
"""Reports per batch: beyond a few thousand a larger batch gains nothing and only delays the first of it."""

REPORTS_WAITING_MOST: Final = 100_000
"""Reports a slow coordinator may leave waiting before `report` holds its worker up."""

INBOX_MOST: Final = 100_000
"""Records a worker may leave unread before further ones are told as not delivered."""

BYTES_KEPT: Final = 16 * 2**20
"""Delivered reports kept for a coordinator that has to go back to what it had journaled."""

STOP_S: Final = 10.0
"""How long `close` waits for a sink that blocks."""


class InProcessBus:
    """The coordinator's side, and the place where workers connect.

    Report offsets start at the present time in microseconds since the epoch, so those of a later process are higher,
    as they would be on a durable bus. An offset of an earlier process stands for the first report of this one, and so
    does one whose record was dropped; the first batch is then empty and only tells where reading has begun.

    After `close`, reports are kept (dropped once their queue is full), and `listen` may be called again.

    Args:
        first_offset: offset of the first report; None takes the time.
        waiting_most: reports that may wait for the coordinator.
        inbox_most: records that may wait for one worker.
    """

    def __init__(
        self,
        first_offset: int | None = None,
        waiting_most: int = REPORTS_WAITING_MOST,
        inbox_most: int = INBOX_MOST,
    ) -> None:
        self._waiting_most, self._inbox_most = waiting_most, inbox_most
        self._lock = threading.Lock()
        self._arrived, self._room = threading.Condition(self._lock), threading.Condition(self._lock)
        self._kept: deque[bytes] = deque()
        self._kept_bytes = 0
        self._waiting: deque[bytes] = deque()
        self._next = time.time_ns() // 1000 if first_offset is None else first_offset
        self._inbox_ends: dict[str, int] = {}
        self._sides: dict[str, list[InProcessWorkerBus]] = {}
        self._deliveries: list[Delivery] = []
        self._listener: _Listener | None = None

    def connect(self, worker: str) -> "InProcessWorkerBus":
        """Return the side of one worker incarnation; it gets what is sent to the worker from now on."""
        with self._lock:
            side = InProcessWorkerBus(self, worker, self._inbox_ends.get(worker, 0), self._inbox_most)
            self._sides.setdefault(worker, []).append(side)
            return side

    def send(self, worker: str, partition: int, record: bytes) -> None:  # noqa: ARG002 - each inbox is its own here
        """Put one record into a worker's inbox; see `ports.CoordinatorBus.send`.

        A worker that is not connected gets nothing, as on a durable bus; a full inbox is a failed delivery.
        """
        with self._lock:
            offset = self._inbox_ends.get(worker, 0)
            self._inbox_ends[worker] = offset + 1
            # Every side is asked: all() would stop at the first full one.
            taken = [side.put(Record(offset, record)) for side in self._sides.get(worker, ())]
            self._deliveries.append(Delivery(worker, offset if all(taken) else None))

    def flush(self) -> None:
        """Do nothing: `send` has delivered already."""

    def deliveries(self) -> list[Delivery]:
        """Return the deliveries that ended since the last call."""
        with self._lock:
            ended, self._deliveries = self._deliveries, []
            return ended

    def listen(self, offset: int, sink: Callable[[ReportBatch], None], failed: Callable[[Exception], None]) -> None:
        """Deliver all reports from offset on, from a thread of ours; see `ports.CoordinatorBus.listen`."""
        self._stop()
        with self._lock:
            moved = self._rewind(offset)
            self._listener = _Listener(self, sink, failed, [ReportBatch([], self._next)] if moved else [])
            self._listener.start()

    def _rewind(self, offset: int) -> bool:
        """Make offset the next one to deliver; return whether it had to be another one."""
        first, end = self._next - len(self._kept), self._next + len(self._waiting)
        start = offset if first <= offset <= end else first
        while self._next > start:
            self._waiting.appendleft(self._unkeep(self._kept.pop()))
            self._next -= 1
        while self._next < start:
            self._keep([self._waiting.popleft()])
        return start != offset

    def end_offset(self) -> int:
        """Return the offset after the last report now on the bus."""
        with self._lock:
            return self._next + len(self._waiting)

    def seen_end(self) -> int:
        """Return the offset after the last report now on the bus."""
        return self.end_offset()

    def close(self) -> None:
        """Stop listening; safe to call twice."""
        self._stop()

    def _stop(self) -> None:
        with self._lock:
            listener, self._listener = self._listener, None
            if listener is None:
                return
            listener.stopped = True
            self._arrived.notify_all()
            self._room.notify_all()
        if listener is not threading.current_thread():
            listener.join(STOP_S)

    def put_report(self, record: bytes) -> None:
        """Queue one report, waiting for room; while nobody listens a full queue drops it."""
        with self._lock:
            while len(self._waiting) >= self._waiting_most:
                if self._listener is None:
                    return
                self._room.wait()
            self._waiting.append(record)
            self._arrived.notify()

    def take_reports(self, listener: "_Listener") -> ReportBatch | None:
        """Wait for reports and take them; None once the listener was stopped."""
        with self._lock:
            while not self._waiting and not listener.stopped:
                self._arrived.wait()
            if listener.stopped:
                return None
            taken = list(islice(self._waiting, BATCH_MOST))
            for _ in taken:
                self._waiting.popleft()
            self._keep(taken)
            self._room.notify_all()
            return ReportBatch(taken, self._next)

    def _keep(self, records: list[bytes]) -> None:
        self._next += len(records)
        self._kept.extend(records)
        self._kept_bytes += sum(map(len, records))
        while self._kept_bytes > BYTES_KEPT:
            self._unkeep(self._kept.popleft())

    def _unkeep(self, record: bytes) -> bytes:
        self._kept_bytes -= len(record)
        return record

    def disconnect(self, side: "InProcessWorkerBus") -> None:
        """Drop the inbox of one worker incarnation."""
        with self._lock:
            sides = self._sides.get(side.worker, [])
            if side in sides:
                sides.remove(side)


class _Listener(threading.Thread):
    """Hands reports to one coordinator until stopped."""

    def __init__(
        self,
        bus: InProcessBus,
        sink: Callable[[ReportBatch], None],
        failed: Callable[[Exception], None],
        first: list[ReportBatch],
    ) -> None:
        super().__init__(name="gaia-reports", daemon=True)
        self._bus, self._sink, self._failed, self._first = bus, sink, failed, first
        self.stopped = False

    def run(self) -> None:
        """Deliver batches until told to stop; whatever the sink raises ends it."""
        try:
            for batch in self._first:
                self._sink(batch)
            while (taken := self._bus.take_reports(self)) is not None:
                self._sink(taken)
        except Exception as error:  # noqa: BLE001 - the coordinator judges it, in its own thread
            if not self.stopped:
                self._failed(error)


class InProcessWorkerBus:
    """One worker incarnation's side; made by `InProcessBus.connect`."""

    partition = 0

    def __init__(self, bus: InProcessBus, worker: str, start_offset: int, inbox_most: int) -> None:
        self.worker = worker
        self.start_offset = start_offset
        self._bus = bus
        self._inbox_most = inbox_most
        self._inbox: deque[Record] = deque()
        self._read_to = start_offset
        self._reported = 0
        self._arrived = threading.Condition()
        self._closed = False

    def put(self, record: Record) -> bool:
        """Take one inbox record; False when there is no room for it."""
        with self._arrived:
            if len(self._inbox) >= self._inbox_most:
                return False
            self._inbox.append(record)
            self._arrived.notify()
            return True

    def receive(self, timeout_s: float) -> list[Record]:
        """Return the records that arrived; see `ports.WorkerBus.receive`."""
        with self._arrived:
            self._check()
            self._arrived.wait_for(lambda: self._inbox or self._closed, timeout_s)
            received = list(self._inbox)
            self._inbox.clear()
            if received:
                self._read_to = received[-1].offset + 1
            return received

    def inbox_offset(self) -> int:
        """Return the offset the inbox was read to."""
        return self._read_to

    def report(self, record: bytes) -> None:
        """Queue one report record, waiting while the coordinator has too many before it."""
        self._check()
        self._bus.put_report(record)
        self._reported += 1

    def acknowledged(self) -> int:
        """Return how many records have arrived: all of them."""
        return self._reported

    def flush(self, timeout_s: float) -> bool:  # noqa: ARG002 - a queued report has arrived
        """Return True: reports arrive at once."""
        return True

    def close(self) -> None:
        """Drop the inbox; safe to call twice."""
        self._bus.disconnect(self)
        with self._arrived:
            self._closed = True
            self._inbox.clear()
            self._arrived.notify_all()

    def _check(self) -> None:
        if self._closed:
            raise Unavailable(f"The bus of worker {self.worker} is closed.")
