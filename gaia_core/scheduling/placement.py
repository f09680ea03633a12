"""Which worker gets which ready Step: those with idle slots first, the least loaded of them before others.

What a Step demands must be free on its worker, by what all attempts there demand together, those that wait included. A
Step that finds no room is passed over by those that do. Once it was ready for `RESERVE_AFTER_MS`, a worker is kept free
for it: that takes no other Step with demands, and leaves one place, until this one fits. One Step of a pool at a time
is waited for so, by the workflows' turns; that is such a workflow's turn, too.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace
from typing import Final, NamedTuple

from gaia_core.scheduling.amounts import NOTHING, Amounts
from gaia_core.scheduling.fleet import Fleet, Worker
from gaia_core.scheduling.ready import ReadyQueue, Reservation, room
from gaia_core.workflow.state import Step, WorkflowState

RESERVE_AFTER_MS: Final = 30_000
"""How long a Step may be passed over; long beside most Steps, so that small ones fill the gaps meanwhile."""

NEAR_INPUTS_MAX: Final = 3
"""Inputs of which it is asked who wrote them: more would cost more than they tell."""


class Placement(NamedTuple):
    """One Step for one worker."""

    worker: str
    workflow: WorkflowState
    step: Step


def place(fleet: Fleet, ready: ReadyQueue, now_ms: int) -> Iterator[Placement]:
    """Yield placements until either the ready Steps or the workers' credit is used up.

    The Steps leave the ready queue; the caller must dispatch every one of them. Cost O(log workers) a Step without
    demands; O(workers) one with, and each demand that finds no room.
    """
    given: dict[int, int] = {}
    for pool, lanes in ready.pools.items():
        if lanes:
            yield from _place_pool(fleet, ready, pool, given, now_ms)


def _place_pool(fleet: Fleet, ready: ReadyQueue, pool: str, given: dict[int, int], now_ms: int) -> Iterator[Placement]:
    openings = PoolOpenings(fleet.of_pool(pool), now_ms - RESERVE_AFTER_MS)
    if not openings.credit:
        return
    yield from _place_reserved(ready, pool, openings, given)
    for workflow, step, worker in ready.take(pool, openings, given):
        yield Placement(worker, workflow, step)
    if pool not in ready.reserved and openings.passed_over is not None:
        ready.reserved[pool] = openings.passed_over


def _place_reserved(
    ready: ReadyQueue, pool: str, openings: "PoolOpenings", given: dict[int, int]
) -> Iterator[Placement]:
    """Place the Step that a worker is kept free for, or go on keeping it free, or forget about it."""
    kept = ready.reserved.pop(pool, None)
    if kept is None or not _counts(kept, given) or not openings.could_ever(kept.worker, kept.demand):
        return
    worker = openings.choose(kept.workflow, kept.step, kept.demand)
    if worker:
        ready.withdraw(pool, kept)
        given[kept.workflow.uid] = given.get(kept.workflow.uid, 0) + 1
        yield Placement(worker, kept.workflow, kept.step)
    else:
        openings.keep_free(kept.worker)
        ready.reserved[pool] = kept


def _counts(kept: Reservation, given: dict[int, int]) -> bool:
    """Tell whether the Step still waits, and may run."""
    workflow, step = kept.workflow, kept.step
    may_run = not workflow.holds and room(workflow) > given.get(workflow.uid, 0)
    return may_run and step.is_ready_since(kept.times_ready)


@dataclass(slots=True)
class Seat:
    """One worker in one round.

    Attributes:
        most: attempts that it may hold.
        free: what may still be demanded of it.
    """

    name: str
    slots: int
    most: int
    held: int
    free: Amounts
    capacity: Amounts

    @property
    def load(self) -> float:
        """Return attempts held per slot, of which every worker has one."""
        return self.held / self.slots

    def shortfall(self, demand: Amounts) -> float:
        """Return how much is lacking for a demand, as the sum of shares of all it has."""
        each = zip(demand, self.free, self.capacity, strict=True)
        return sum(max(0, wanted - free) / whole for wanted, free, whole in each if whole)


class PoolOpenings:
    """The workers of a pool that take something, in one round.

    Attributes:
        credit: how many more Steps without demands they take.
        passed_over: the first Step that found no room although it was ready for long, and some worker is large enough;
            and the worker that lacks least for it.
    """

    __slots__ = ("_by_load", "_kept", "_long_since_ms", "_no_room", "_seats", "credit", "passed_over")

    def __init__(self, workers: Iterable[Worker], long_since_ms: int) -> None:
        self._long_since_ms = long_since_ms
        self._seats = {worker.name: _seat_of(worker) for worker in workers if worker.is_open}
        open_seats = [seat for seat in self._seats.values() if seat.held < seat.most]
        self.credit = sum(seat.most - seat.held for seat in open_seats)
        self._by_load = [(seat.load, seat.name) for seat in open_seats]
        heapify(self._by_load)
        self._no_room: set[Amounts] = set()
        self._kept = ""
        self.passed_over: Reservation | None = None

    def choose(self, workflow: WorkflowState, step: Step, demand: Amounts) -> str:
        """Find a worker for a Step and give it its place there; "" where there is no room.

        One that wrote an input of the Step, and has an idle slot, is preferred.
        """
        is_free = demand == NOTHING
        seat = self._near(step, demand) if step.inputs else None
        if seat is None:
            seat = self._least_loaded() if is_free else self._least_loaded_with(demand)
        if seat is None:
            self._pass_over(workflow, step, demand)
            return ""
        seat.held += 1
        if not is_free:
            seat.free = seat.free.minus(demand)
        self.credit -= 1
        return seat.name

    def could_ever(self, name: str, demand: Amounts) -> bool:
        """Tell whether a worker takes something, and is large enough."""
        seat = self._seats.get(name)
        return seat is not None and demand.fits(seat.capacity)

    def keep_free(self, name: str) -> None:
        """Let a worker take no Steps with demands, and one less of others than it could."""
        seat = self._seats[name]
        self._kept = name
        if seat.held < seat.most:
            self.credit -= 1
        seat.most -= 1

    def _near(self, step: Step, demand: Amounts) -> Seat | None:
        """Return a worker with an idle slot, and room, that wrote one of the first inputs of a Step."""
        for key in step.inputs[:NEAR_INPUTS_MAX]:
            seat = self._seats.get(key.writer.worker) if key.writer is not None else None
            if seat is not None and seat.held < seat.slots and self._has_room(seat, demand):
                return seat
        return None

    def _least_loaded(self) -> Seat:
        """Return the worker that holds least per slot; entries that are out of date are put right as they come up."""
        while True:  # there is one, since nobody asks without credit
            load, name = self._by_load[0]
            seat = self._seats[name]
            now = seat.load
            if now == load and seat.held < seat.most:
                return seat
            if seat.held >= seat.most:
                heappop(self._by_load)
            else:
                heapreplace(self._by_load, (now, name))

    def _least_loaded_with(self, demand: Amounts) -> Seat | None:
        """Return the one of those with room for a demand."""
        if demand in self._no_room:
            return None
        found = [seat for seat in self._seats.values() if self._has_room(seat, demand)]
        if not found:
            self._no_room.add(demand)
            return None
        return min(found, key=lambda seat: (seat.load, seat.name))

    def _has_room(self, seat: Seat, demand: Amounts) -> bool:
        if seat.held >= seat.most:
            return False
        return demand == NOTHING or (seat.name != self._kept and demand.fits(seat.free))

    def _pass_over(self, workflow: WorkflowState, step: Step, demand: Amounts) -> None:
        """Remember the first Step that should have had room by now."""
        if self.passed_over is not None or step.ready_since_ms > self._long_since_ms:
            return
        large = [seat for seat in self._seats.values() if demand.fits(seat.capacity)]
        if large:
            nearest = min(large, key=lambda seat: (seat.shortfall(demand), seat.name))
            self.passed_over = Reservation(workflow, step, step.times_ready, demand, nearest.name)


def _seat_of(worker: Worker) -> Seat:
    capacity = worker.capacity
    return Seat(
        worker.name, worker.slots, worker.slots + worker.prefetch, len(worker.held), capacity.minus(worker.used),
        capacity,
    )  # fmt: skip
