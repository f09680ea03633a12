"""Small stand-ins for the bus and the store, and short ways to write executions and orders."""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from gaia_core.errors import ObjectMissing, StoreError
from gaia_core.machine.orders import Cancel, Dispatch, Inbox, Order
from gaia_core.machine.reports import Report, WorkerReports
from gaia_core.ports import Record, Stored
from gaia_core.wire.inbox import encode_inbox
from gaia_core.wire.reports import decode_reports
from gaia_core.workflow.model import Execution, Fence

WORKER = "w1"
INCARNATION = "life-1"


class ScriptedBus:
    """A worker's bus that plays a script: each receive gets the next turn's records, after the turn's action."""

    partition = 7
    start_offset = 100

    def __init__(self, *turns: list[bytes] | Callable[[], list[bytes] | None]) -> None:
        """Play these turns; each is records, or is called and may return records."""
        self._turns = deque(turns)
        self._offset = self.start_offset
        self._lock = threading.Lock()
        self.records: list[WorkerReports] = []
        self.lost_acknowledgements = 0
        self.at_end: Callable[[], None] = lambda: None

    def receive(self, timeout_s: float) -> list[Record]:
        """Play one turn."""
        if not self._turns:
            self.at_end()
            threading.Event().wait(0.001)  # lets the slots' threads go on, as a real receive would
            return []
        turn = self._turns.popleft()
        values = turn() if callable(turn) else turn
        records = [Record(self._offset + number, value) for number, value in enumerate(values or [])]
        self._offset += len(records)
        return records

    def inbox_offset(self) -> int:
        """Return the offset after the last record played."""
        return self._offset

    def report(self, record: bytes) -> None:
        """Remember what was reported, through the real decoder."""
        with self._lock:
            self.records.append(decode_reports(record))

    def acknowledged(self) -> int:
        """Say that all arrived but for the last ones, as many as the test says."""
        return len(self.records) - self.lost_acknowledgements

    def flush(self, timeout_s: float) -> bool:
        """Say that everything is acknowledged."""
        return True

    def close(self) -> None:
        """Hold nothing."""

    def reports(self, *kinds: type) -> list[Report]:
        """Return what was reported so far, of these kinds."""
        with self._lock:
            said = [report for record in self.records for report in record.reports]
        return [report for report in said if not kinds or isinstance(report, kinds)]


class DictStore:
    """A store in memory that can be told to fail or to garble."""

    def __init__(self) -> None:
        """Begin empty."""
        self._lock = threading.Lock()
        self.objects: dict[tuple[str | None, str], list[bytes]] = {}
        self.marks: dict[str, str] = {}
        self.failures: deque[Exception] = deque()
        self.garble: Callable[[bytes], bytes] = lambda data: data

    def put_bytes(self, bucket: str | None, path: str, data: bytes, mark: str = "") -> Stored:
        """Keep a new version."""
        self._fail()
        with self._lock:
            self.marks[path] = mark
            versions = self.objects.setdefault((bucket, path), [])
            versions.append(data)
            return Stored(path, str(len(versions)), len(data), hashlib.sha256(data).digest())

    def put_open(
        self, bucket: str | None, path: str, source: BinaryIO, mark: str = "", sure: Callable[[], object] = bool
    ) -> Stored:
        """Keep an open file's content as a new version."""
        sure()
        return self.put_bytes(bucket, path, source.read(), mark)

    def put_file(self, bucket: str | None, path: str, source: Path, mark: str = "") -> Stored:
        """Keep a file's content as a new version."""
        return self.put_bytes(bucket, path, source.read_bytes(), mark)

    def open(
        self, bucket: str | None, path: str, version: str, start: int = 0, size_bytes: int | None = None
    ) -> Iterator[bytes]:
        """Yield one version's content, or a part of it."""
        self._fail()
        versions = self.objects.get((bucket, path), [])
        if not version.isdigit() or not 0 < int(version) <= len(versions):
            raise ObjectMissing(f"no version {version!r} of {path!r}")
        wanted = self.garble(versions[int(version) - 1])[start:]
        yield wanted if size_bytes is None else wanted[:size_bytes]

    def content(self, path: str, bucket: str | None = None) -> bytes:
        """Return the newest version's content."""
        return self.objects[bucket, path][-1]

    def paths(self) -> list[str]:
        """Return the paths of all objects."""
        return sorted(path for _, path in self.objects)

    def _fail(self) -> None:
        with self._lock:
            if self.failures:
                raise self.failures.popleft()

    def __getattr__(self, name: str) -> Any:
        raise StoreError(f"the test's store cannot {name}")


def execution(step: int = 0, attempt: int = 1, **fields: Any) -> Execution:
    """Return an execution with sensible defaults."""
    fence = Fence(workflow_uid=5, step=step, attempt=attempt, term=1)
    values: dict[str, Any] = {
        "workflow": "flow",
        "step": f"step-{step}",
        "command": "cmd",
        "image": "img",
        "argv": ("true",),
    }
    return Execution(fence=fence, **{**values, **fields})


def inbox(*orders: Order, term: int = 1, incarnation: str = INCARNATION, worker: str = WORKER) -> bytes:
    """Return an inbox record."""
    return encode_inbox(Inbox(worker, incarnation, term, orders))


def dispatch(step: int = 0, attempt: int = 1, **fields: Any) -> Dispatch:
    """Return the order to run an attempt."""
    return Dispatch(execution(step, attempt, **fields))


def cancel(step: int = 0, attempt: int = 1) -> Cancel:
    """Return the order to stop an attempt."""
    return Cancel(execution(step, attempt).fence)
