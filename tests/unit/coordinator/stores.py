"""Stores for tests: in memory, they note what they are asked for, and refuse it when told to."""

from collections import Counter
from collections.abc import Callable

from gaia_core.backends.memory_store import MemoryStore
from gaia_core.errors import StoreError
from gaia_core.ports import Stored


class NotingStore(MemoryStore):
    """A store that remembers each call, and fails for some paths so and so often.

    Attributes:
        asked: (method, path or prefix) in order.
        moods: path or prefix → how often it will still be refused; "" stands for all.
        slow_s: what a refusal takes, on the clock of the test.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, str]] = []
        self.moods: dict[str, int] = {}
        self.slow_s = 0.0
        self.now_s = 0.0

    def clock(self) -> float:
        """Return the time of the test."""
        return self.now_s

    def count(self, method: str) -> int:
        """Return how often a method was called."""
        return Counter(name for name, _ in self.asked)[method]

    def stat(self, bucket: str | None, path: str) -> Stored | None:
        self._note("stat", path)
        return super().stat(bucket, path)

    def list(self, bucket: str | None, prefix: str, most: int) -> list[Stored]:
        self._note("list", prefix)
        return super().list(bucket, prefix, most)

    def delete_all(self, bucket: str | None, prefix: str, most: int, sure: Callable[[], object] = bool) -> int:
        self._note("delete_all", prefix)
        return super().delete_all(bucket, prefix, most, sure)

    def drop(self, key: str, data: bytes = b"x", workflow: str = "flow") -> Stored:
        """Store a file as a stranger would, past Gaia."""
        return self.put_bytes(None, f"{workflow}/{key}", data)

    def _note(self, method: str, path: str) -> None:
        self.asked.append((method, path))
        for mood in (path, ""):
            if self.moods.get(mood, 0):
                self.moods[mood] -= 1
                self.now_s += self.slow_s
                raise StoreError(f"not today: {path}")
