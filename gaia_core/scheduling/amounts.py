"""Compute in whole numbers: what an attempt demands, and what a worker has. Sums come out the same in any order."""

from math import ceil
from sys import maxsize
from typing import Final, NamedTuple, Self

from gaia_core.workflow.model import Resources

MILLI: Final = 1_000
"""Of a processor: cgroups know no smaller part that anybody would notice."""


class Amounts(NamedTuple):
    """So much of everything that is shared out."""

    milli_cpus: int
    memory_bytes: int
    gpus: int

    def fits(self, room: Self) -> bool:
        """Tell whether room has as much of everything."""
        return self.milli_cpus <= room.milli_cpus and self.memory_bytes <= room.memory_bytes and self.gpus <= room.gpus

    def plus(self, other: Self) -> "Amounts":
        """Return both together."""
        return Amounts(
            self.milli_cpus + other.milli_cpus, self.memory_bytes + other.memory_bytes, self.gpus + other.gpus
        )

    def minus(self, other: Self) -> "Amounts":
        """Return what is left without the other."""
        return Amounts(
            self.milli_cpus - other.milli_cpus, self.memory_bytes - other.memory_bytes, self.gpus - other.gpus
        )

    def in_resources(self) -> Resources:
        """Return the same as people read it."""
        return Resources(self.milli_cpus / MILLI, self.memory_bytes, self.gpus)


NOTHING: Final = Amounts(0, 0, 0)


def demand_of(resources: Resources | None) -> Amounts:
    """Return what an attempt demands; what is not given is no demand."""
    if resources is None:
        return NOTHING
    return Amounts(ceil((resources.cpus or 0) * MILLI), resources.memory_bytes or 0, resources.gpus or 0)


def capacity_of(resources: Resources) -> Amounts:
    """Return what attempts on a worker may demand together; what it does not tell is no limit."""
    return Amounts(
        maxsize if resources.cpus is None else int(resources.cpus * MILLI),
        maxsize if resources.memory_bytes is None else resources.memory_bytes,
        maxsize if resources.gpus is None else resources.gpus,
    )
