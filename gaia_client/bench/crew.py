"""Which workers a measure runs on, and how much work is sensible for them. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

from gaia_core.errors import NotAllowedNow

POOL_DEFAULT: Final = "default"

NOTHING_RUNS: Final = "noop"
"""The executor that completes Steps without running anything."""

IGNORES_IMAGES: Final = frozenset({NOTHING_RUNS, "sandbox"})

Workers = Sequence[dict[str, Any]]


class Size(NamedTuple):
    """How many Steps are measured side by side, and how many in a chain."""

    wide: int
    chain: int


SIZE_MOST: Final = Size(10_000, 100)
"""Where nothing is run this takes a second or two."""

SIZES_PER_SLOT: Final = {"sandbox": Size(500, 50), "docker": Size(100, 10)}
"""Of workers that run programs: some twenty seconds, side by side as well as in the chain."""


def crew_of(workers: Workers, pool: str) -> Workers:
    """Return the workers of a pool that take Steps.

    Raises:
        NotAllowedNow: there is none; the message tells why.
    """
    of_pool = [each for each in workers if each["pool"] == pool]
    crew = [each for each in of_pool if not each["draining"] and not each["trouble"]]
    if crew:
        return crew
    start = f"start one with: gaia worker --pool {pool}"
    if of_pool:
        words = ", ".join(f"{each['name']} {_why_not(each)}" for each in of_pool)
        raise NotAllowedNow(f"No worker of pool {pool!r} takes Steps now: {words}.", hint="look with: gaia workers")
    if workers:
        others = " or ".join(f"--pool {name}" for name in sorted({each["pool"] for each in workers}))
        raise NotAllowedNow(f"There is no worker of pool {pool!r}.", hint=f"measure others with {others}, or {start}")
    raise NotAllowedNow("There is no worker that could run Steps.", hint=f"{start} · gaia launch NAME")


def executors(crew: Workers) -> dict[str, int]:
    """Return how many of the workers run Steps with which executor."""
    names = sorted(each["executor"] for each in crew)
    return {name: names.count(name) for name in names}


def size_for(crew: Workers) -> Size:
    """Return how many Steps to measure where nobody says: fewer the longer a worker takes to start a program.

    Who runs a chain is not known beforehand, so the slowest executor decides.
    """
    if all(each["executor"] == NOTHING_RUNS for each in crew):
        return SIZE_MOST
    slots = sum(each["slots"] for each in crew)
    wide = min(_per_slot(each["executor"]).wide for each in crew) * slots
    chain = min(_per_slot(each["executor"]).chain for each in crew)
    return Size(min(wide, SIZE_MOST.wide), chain)


def credit_of(crew: Workers) -> dict[str, int]:
    """Return how many Steps may be with these workers at a time: those that run, and those that wait there."""
    return {name: sum(each[name] for each in crew) for name in ("slots", "prefetch")}


def by_name(*lists: Workers) -> dict[str, dict[str, Any]]:
    """Return all workers of several lists, as the last one that has them tells."""
    return {each["name"]: each for workers in lists for each in workers}


def took_part(workers: dict[str, dict[str, Any]], names: Iterable[str]) -> Workers:
    """Return those of the workers that have these names."""
    return [workers[name] for name in sorted(set(names)) if name in workers]


def _per_slot(executor: str) -> Size:
    if executor == NOTHING_RUNS:
        return SIZE_MOST
    return SIZES_PER_SLOT.get(executor, SIZES_PER_SLOT["docker"])


def _why_not(worker: dict[str, Any]) -> str:
    return "is leaving" if worker["draining"] else f"says: {worker['trouble']}"
