"""What a worker has to say, gathered and sent: whatever came together since the last record travels in one."""

import threading
from collections import deque

from gaia.v1 import worker_pb2
from gaia_core.machine.reports import Cancelled, Completed, Failed, Report
from gaia_core.ports import WorkerBus
from gaia_core.wire.files import fence_from_proto
from gaia_core.wire.reports import ReportPacker
from gaia_core.workflow.model import Fence


class Outbox:
    """Reports on their way to the bus, in order. Safe for several threads.

    Under load many reports are added while one thread sends, so records grow by themselves; an idle worker's report
    leaves at once. It remembers which ends are on their way: said, and not yet acknowledged by the bus.
    """

    def __init__(self, worker: str, incarnation: str, bus: WorkerBus) -> None:
        """Send for one incarnation of one worker over its bus."""
        self._bus = bus
        self._packer = ReportPacker(worker, incarnation)
        self._packing = threading.Lock()
        self._sending = threading.Lock()
        self._sent = 0
        self._said: list[Fence | worker_pb2.Fence] = []
        self._on_their_way: deque[tuple[int, list[Fence | worker_pb2.Fence]]] = deque()

    def add(self, report: Report) -> None:
        """Append a report; it leaves with the next `send`."""
        with self._packing:
            self._packer.add(report)
            if isinstance(report, Completed | Failed | Cancelled):
                self._said.append(report.fence)

    def add_completed(self, fence: worker_pb2.Fence) -> None:
        """Append the completion of an attempt without outputs, the cheap way."""
        with self._packing:
            self._packer.add_completed(fence)
            self._said.append(fence)

    def send(self) -> None:
        """Hand all that was added to the bus."""
        with self._sending:
            with self._packing:
                records = self._packer.take()
                self._sent += len(records)
                if self._said:
                    self._on_their_way.append((self._sent, self._said))
                    self._said = []
            for record in records:
                self._bus.report(record)
            with self._packing:
                self._forget_arrived()

    def unacknowledged(self) -> tuple[Fence, ...]:
        """Return the attempts whose ends were added and are not known to have arrived."""
        with self._packing:
            self._forget_arrived()
            fences = [fence for _, said in self._on_their_way for fence in said] + self._said
        return tuple(fence if isinstance(fence, Fence) else fence_from_proto(fence) for fence in fences)

    def _forget_arrived(self) -> None:
        arrived = self._bus.acknowledged()
        while self._on_their_way and self._on_their_way[0][0] <= arrived:
            self._on_their_way.popleft()
