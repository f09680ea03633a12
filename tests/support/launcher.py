"""A launcher that starts no workers: for tests that play them themselves."""

from collections.abc import Mapping
from typing import Any


class Pretended:
    """A worker that was asked for; it lives until told otherwise."""

    def __init__(self) -> None:
        self.end = ""

    def ended(self) -> str:
        """Return why it is no more."""
        return self.end


class FakeLauncher:
    """Remembers what was asked for.

    Attributes:
        launched: name and metadata of each worker, in order.
        refusal: what it objects to every launch with.
        failures: name → what to raise when it is launched.
        ends: name → why it ends at once.
        takes_s: how long the first word of a worker is waited for; not at all.
    """

    takes_s = 0.0

    def __init__(self) -> None:
        self.launched: list[tuple[str, Mapping[str, Any]]] = []
        self.refusal = ""
        self.failures: dict[str, Exception] = {}
        self.ends: dict[str, str] = {}

    def objection(self, count: int) -> str:
        """Object as told."""
        return self.refusal

    def launch(self, name: str, metadata: Mapping[str, Any]) -> Pretended:
        """Note it."""
        if name in self.failures:
            raise self.failures[name]
        self.launched.append((name, metadata))
        worker = Pretended()
        worker.end = self.ends.get(name, "")
        return worker

    def close(self) -> None:
        """Have nothing to end."""
