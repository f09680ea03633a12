"""What attempts write, on its way to readers of the same process: a ring in memory that forgets the oldest."""

import threading
from collections import deque
from typing import Final, NamedTuple

KEPT_BYTES_MAX: Final = 32 * 2**20
"""Of all attempts together: some minutes of a talkative program; all of it is in the store once it has ended."""

READ_MOST: Final = 200


class _Kept(NamedTuple):
    number: int
    key: str
    record: bytes


class InProcessLogs:
    """A LogFeed and a LogTap. Thread-safe.

    Args:
        kept_bytes_max: of all records together.
    """

    def __init__(self, kept_bytes_max: int = KEPT_BYTES_MAX) -> None:
        self._kept_bytes_max = kept_bytes_max
        self._lock = threading.Lock()
        self._all: deque[_Kept] = deque()
        self._by_key: dict[str, deque[_Kept]] = {}
        self._bytes = 0
        self._next = 0

    def publish(self, key: str, record: bytes) -> None:
        """Keep one record, and drop the oldest where there are too many; see `ports.LogFeed.publish`."""
        with self._lock:
            kept = _Kept(self._next, key, record)
            self._next += 1
            self._all.append(kept)
            self._by_key.setdefault(key, deque()).append(kept)
            self._bytes += len(record)
            while self._bytes > self._kept_bytes_max:
                self._drop_oldest()

    def _drop_oldest(self) -> None:
        oldest = self._all.popleft()
        self._bytes -= len(oldest.record)
        of_key = self._by_key[oldest.key]
        of_key.popleft()
        if not of_key:
            del self._by_key[oldest.key]

    def open(self, key: str, since_ms: int) -> "InProcessLogReading":  # noqa: ARG002 - earlier ones may come too
        """Begin to read the records of a key that are kept; see `ports.LogTap.open`."""
        with self._lock:
            return InProcessLogReading(self, key, self._next)

    def after(self, key: str, number: int) -> list[tuple[int, bytes]]:
        """Return the next (number, record) of a key behind a number."""
        with self._lock:
            found: list[tuple[int, bytes]] = []
            for kept in reversed(self._by_key.get(key, ())):
                if kept.number <= number:
                    break
                found.append((kept.number, kept.record))
            return found[::-1][:READ_MOST]

    def close(self) -> None:
        """Hold nothing but memory."""


class InProcessLogReading:
    """One reader; made by `InProcessLogs.open`."""

    def __init__(self, logs: InProcessLogs, key: str, end: int) -> None:
        self._logs = logs
        self._key = key
        self._end = end
        self._read = -1
        self.caught_up = False

    def read(self) -> list[bytes]:
        """Return the next records; see `ports.LogReading.read`."""
        found = self._logs.after(self._key, self._read)
        if found:
            self._read = found[-1][0]
        self.caught_up = self.caught_up or len(found) < READ_MOST or self._read + 1 >= self._end
        return [record for _, record in found]

    def close(self) -> None:
        """Hold nothing."""
