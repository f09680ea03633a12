"""The workers that the coordinator knows, what each holds, and how much more it may be given."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

PREFETCH_MAX: Final = 4_096

LEFT_MAX: Final = 10_000
"""Incarnations that left and are remembered, in case they wake up."""


class AttemptId(NamedTuple):
    """Which attempt, inside the deployment."""

    uid: int
    step: int
    attempt: int


@dataclass(slots=True)
class Worker:
    """One incarnation of one worker.

    Attributes:
        metadata: what it was launched with, for people.
        held: attempts dispatched to it whose end is not known; True while the attempt is being stopped.
    """

    name: str
    incarnation: str
    pool: str
    slots: int
    prefetch: int
    partition: int
    executor: str = ""
    host: str = ""
    draining: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)
    held: dict[AttemptId, bool] = field(default_factory=dict)

    @property
    def credit(self) -> int:
        """Return how many more attempts it may be given."""
        return 0 if self.draining else self.slots + self.prefetch - len(self.held)


class Fleet:
    """All workers, by name.

    Attributes:
        left: (name, incarnation) of those that left, the oldest first; they may come back while nobody has their name.
    """

    __slots__ = ("left", "workers")

    def __init__(self) -> None:
        self.workers: dict[str, Worker] = {}
        self.left: dict[tuple[str, str], None] = {}

    def join(self, worker: Worker) -> None:
        """Enter an incarnation, or what is new about it; an earlier one of the name must have left."""
        known = self.workers.get(worker.name)
        if known is not None:
            worker.held = known.held
        self.workers[worker.name] = worker

    def leave(self, name: str) -> None:
        """Take a worker out, with all it held."""
        self.left[name, self.workers.pop(name).incarnation] = None
        if len(self.left) > LEFT_MAX:
            del self.left[next(iter(self.left))]

    def assign(self, name: str, attempt: AttemptId) -> None:
        """Note that a worker was given an attempt."""
        self.workers[name].held[attempt] = False

    def stop(self, name: str, attempt: AttemptId) -> None:
        """Note that a held attempt is being stopped; its slot stays taken until its end is known."""
        self.workers[name].held[attempt] = True

    def end(self, name: str, attempt: AttemptId) -> None:
        """Note that an attempt's end is known."""
        del self.workers[name].held[attempt]

    def of_pool(self, pool: str) -> Iterator[Worker]:
        """Yield the workers of a pool."""
        return (worker for worker in self.workers.values() if worker.pool == pool)
