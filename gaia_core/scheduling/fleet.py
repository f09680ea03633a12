"""The workers that the coordinator knows, what each holds, and how much more it may be given."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from gaia_core.scheduling.amounts import NOTHING, Amounts, capacity_of
from gaia_core.workflow.model import Resources

PREFETCH_MAX: Final = 4_096

LEFT_MAX: Final = 10_000
"""Incarnations that left and are remembered, in case they wake up."""

UNTOLD: Final = Resources()
"""Of a worker that does not tell what it has."""


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
        resources: what attempts on it may demand together.
        trouble: why it takes nothing new for now; "" when it is well.
        version: of its Gaia, for people.
        dismissed: somebody asked it to leave.
        held: attempts dispatched to it whose end is not known; True while the attempt is being stopped.
        since_ms: when each of these was dispatched.
        demands: of those that demand something.
        used: the sum of these. Whatever waits there for a slot counts too, so what runs never demands too much.
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
    resources: Resources = UNTOLD
    trouble: str = ""
    version: str = ""
    dismissed: bool = False
    held: dict[AttemptId, bool] = field(default_factory=dict)
    since_ms: dict[AttemptId, int] = field(default_factory=dict)
    demands: dict[AttemptId, Amounts] = field(default_factory=dict)
    used: Amounts = NOTHING

    @property
    def is_leaving(self) -> bool:
        """Tell whether it will never be given anything any more."""
        return self.draining or self.dismissed

    @property
    def is_open(self) -> bool:
        """Tell whether it takes anything at all."""
        return not (self.draining or self.dismissed or self.trouble)

    @property
    def credit(self) -> int:
        """Return how many more attempts it may be given."""
        return self.slots + self.prefetch - len(self.held) if self.is_open else 0

    @property
    def capacity(self) -> Amounts:
        """Return what attempts on it may demand together."""
        return capacity_of(self.resources)

    def hold(self, attempt: AttemptId, since_ms: int, demand: Amounts, *, stopping: bool = False) -> None:
        """Note that it was given an attempt."""
        self.held[attempt] = stopping
        self.since_ms[attempt] = since_ms
        if demand != NOTHING:
            self.demands[attempt] = demand
            self.used = self.used.plus(demand)

    def release(self, attempt: AttemptId) -> None:
        """Note that an attempt's end is known."""
        del self.held[attempt], self.since_ms[attempt]
        demand = self.demands.pop(attempt, None)
        if demand is not None:
            self.used = self.used.minus(demand)


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
            worker.held, worker.since_ms = known.held, known.since_ms
            worker.demands, worker.used = known.demands, known.used
            worker.dismissed = known.dismissed
        self.workers[worker.name] = worker

    def leave(self, name: str) -> None:
        """Take a worker out, with all it held."""
        self.left[name, self.workers.pop(name).incarnation] = None
        if len(self.left) > LEFT_MAX:
            del self.left[next(iter(self.left))]

    def dismiss(self, name: str) -> None:
        """Note that somebody asked a worker to leave."""
        self.workers[name].dismissed = True

    def assign(self, name: str, attempt: AttemptId, since_ms: int, demand: Amounts = NOTHING) -> None:
        """Note that a worker was given an attempt."""
        self.workers[name].hold(attempt, since_ms, demand)

    def stop(self, name: str, attempt: AttemptId) -> None:
        """Note that a held attempt is being stopped; its slot stays taken until its end is known."""
        self.workers[name].held[attempt] = True

    def end(self, name: str, attempt: AttemptId) -> None:
        """Note that an attempt's end is known."""
        self.workers[name].release(attempt)

    def of_pool(self, pool: str) -> Iterator[Worker]:
        """Yield the workers of a pool."""
        return (worker for worker in self.workers.values() if worker.pool == pool)
