"""Why no worker takes a ready Step, in words: read from the fleet as it is, for `explain` and `status`."""

from collections.abc import Sequence
from itertools import islice
from typing import Final, NamedTuple

from gaia_core.machine.state import Deployment
from gaia_core.scheduling.amounts import Amounts
from gaia_core.scheduling.fleet import Worker
from gaia_core.workflow.model import Resources
from gaia_core.workflow.state import Step, WorkflowState

REMARKS_MAX: Final = 10

STEPS_LOOKED_AT_MAX: Final = 200
"""One of each demand: many Steps share one."""

_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


class Unplaced(NamedTuple):
    """Why no worker takes a Step.

    Attributes:
        lasting: it will not pass by itself.
    """

    words: str
    lasting: bool = False


def unplaced(state: Deployment, pool: str, step: Step, demand: Amounts) -> Unplaced:
    """Return why no worker of a pool takes a Step that is ready."""
    workers = list(state.fleet.of_pool(pool))
    staying = [worker for worker in workers if not worker.is_leaving]
    large = [worker for worker in staying if demand.fits(worker.capacity)]
    well = [worker for worker in large if not worker.trouble]
    if not workers:
        return Unplaced(f"there is no worker of pool {pool!r}", True)
    if not staying:
        return Unplaced(f"every worker of pool {pool!r} is leaving", True)
    if not large:
        return Unplaced(_too_large(pool, demand, staying), True)
    if not well:
        first = large[0]
        return Unplaced(f"every worker of pool {pool!r} {_that_could(demand)}is in trouble: {_trouble(first)}", True)
    kept = state.ready.reserved.get(pool)
    if kept is not None and kept.step is step:
        return Unplaced(f"worker {kept.worker!r} is being kept free for it")
    if any(worker.credit > 0 for worker in well):
        if not any(demand):
            return Unplaced("it is about to be given to a worker")
        return Unplaced(f"no worker of pool {pool!r} has {in_words(demand)} free now")
    return Unplaced(f"every worker of pool {pool!r} {_that_could(demand)}is full")


def remarks(state: Deployment, workflow: WorkflowState) -> tuple[str, ...]:
    """Return what keeps ready Steps of a workflow from running and will not pass by itself; at most `REMARKS_MAX`."""
    if workflow.holds:
        return ()
    told: dict[str, str] = {}
    for pool, step, demand in islice(state.ready.heads(workflow.uid), STEPS_LOOKED_AT_MAX):
        why = unplaced(state, pool, step, demand)
        if why.lasting:
            told.setdefault(why.words, step.name)
    return tuple(f"{step} is ready, and {words}" for words, step in islice(told.items(), REMARKS_MAX))


def in_words(amounts: Amounts) -> str:
    """Return "2 cpus, 8 GiB of memory" of what is not zero."""
    return resources_in_words(amounts.in_resources(), zeros=False)


def resources_in_words(resources: Resources, *, zeros: bool = True) -> str:
    """Return "2 cpus, 8 GiB of memory and 0 gpus"; what is not told is left out."""
    cpus, memory, gpus = resources.cpus, resources.memory_bytes, resources.gpus
    words = [
        f"{cpus:g} {'cpu' if cpus == 1 else 'cpus'}" if cpus is not None and (cpus or zeros) else "",
        f"{size_in_words(memory)} of memory" if memory is not None and (memory or zeros) else "",
        f"{gpus} {'gpu' if gpus == 1 else 'gpus'}" if gpus is not None and (gpus or zeros) else "",
    ]
    *others, last = filter(None, words)
    return f"{', '.join(others)} and {last}" if others else last


def size_in_words(size_bytes: int) -> str:
    """Return "1.5 GiB"."""
    size, unit = float(size_bytes), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.4g} {_UNITS[unit]}"


def _that_could(demand: Amounts) -> str:
    return "that is large enough " if any(demand) else ""


def _trouble(worker: Worker) -> str:
    return f"{worker.name!r} says: {worker.trouble}"


def _too_large(pool: str, demand: Amounts, workers: Sequence[Worker]) -> str:
    """Name what is demanded, and the worker that comes nearest to it."""
    largest = max(workers, key=lambda worker: (_satisfied(demand, worker), worker.capacity, worker.name))
    has = f"the largest, {largest.name!r}, has {resources_in_words(largest.resources)}"
    return f"no worker of pool {pool!r} can ever run it: it demands {in_words(demand)}, and {has}"


def _satisfied(demand: Amounts, worker: Worker) -> int:
    return sum(wanted <= there for wanted, there in zip(demand, worker.capacity, strict=True))
