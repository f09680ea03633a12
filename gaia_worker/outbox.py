"""What a worker has to say, gathered and sent: whatever came together since the last record travels in one."""

import threading

from gaia.v1 import worker_pb2
from gaia_core.machine.reports import Report
from gaia_core.ports import WorkerBus
from gaia_core.wire.reports import ReportPacker


class Outbox:
    """Reports on their way to the bus, in order. Safe for several threads.

    Under load many reports are added while one thread sends, so records grow by themselves; an idle worker's report
    leaves at once.
    """

    def __init__(self, worker: str, incarnation: str, bus: WorkerBus) -> None:
        """Send for one incarnation of one worker over its bus."""
        self._bus = bus
        self._packer = ReportPacker(worker, incarnation)
        self._packing = threading.Lock()
        self._sending = threading.Lock()

    def add(self, report: Report) -> None:
        """Append a report; it leaves with the next `send`."""
        with self._packing:
            self._packer.add(report)

    def add_completed(self, fence: worker_pb2.Fence) -> None:
        """Append the completion of an attempt without outputs, the cheap way."""
        with self._packing:
            self._packer.add_completed(fence)

    def send(self) -> None:
        """Hand all that was added to the bus."""
        with self._sending:
            with self._packing:
                records = self._packer.take()
            for record in records:
                self._bus.report(record)
