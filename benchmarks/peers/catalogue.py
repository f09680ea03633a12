"""The peers: what each stands on, how much it is given to do, and what its figures mean. Nothing is done here."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Peer:
    """One peer, or one of two ways in which it can be used.

    Attributes:
        name: as it is shown.
        wide: independent tasks; as many as take it a few seconds on two processors.
        durability: what a task survives once it is acknowledged.
        credit: processes and threads, and how much they take in advance.
        chain: tasks of which each waits for the one before; none where a peer has no such thing, as `task` says.
        durable: whether a task survives as much as with Gaia: the end of every process, and of the machine.
        library: of its requirements, and of its program `programs/with_LIBRARY.py`; its name if nothing else is said.
        mode: which variant of that program.
        server: what it stands on: redis, postgresql, restate, or nothing.
        task: what counts as a task, and as a chain, where that is not plain.
        counts: whether Gaia is to be five times as fast as the best of these.
    """

    name: str
    wide: int
    durability: str
    credit: str
    chain: int = 0
    durable: bool = False
    library: str = ""
    mode: str = ""
    server: str = ""
    task: str = ""
    counts: bool = True

    @property
    def installed_as(self) -> str:
        """Return the library's name."""
        return self.library or self.name


_CELERY_CHAIN: Final = "chain: celery.chain; its messages carry what is left of it, so a long one is slow"
_DRAMATIQ_CHAIN: Final = "chain: dramatiq.pipeline; its messages carry what is left of it"
_REDIS_IN_MEMORY: Final = "nothing that ends Redis, which writes nothing to disk here"
_REDIS_ON_DISK: Final = "everything: Redis, appendonly with appendfsync=always"
_RESTATE: Final = "everything: its log is on disk, fsync included, before a step is acknowledged"

PEERS: Final = (
    Peer(
        "dask",
        wide=4_000,
        chain=300,
        durability="nothing: tasks and results are in the memory of scheduler and workers",
        credit="2 worker processes with 1 thread each",
    ),
    Peer(
        "celery",
        server="redis",
        wide=3_000,
        chain=100,
        durability=f"{_REDIS_IN_MEMORY}; nor the end of a worker, since a task is acknowledged before it runs",
        credit="2 workers, pool solo, prefetch 128 each",
        task=_CELERY_CHAIN,
    ),
    Peer(
        "celery-durable",
        library="celery",
        mode="durable",
        server="redis",
        wide=3_000,
        chain=100,
        durability=f"{_REDIS_ON_DISK}, acks_late",
        durable=True,
        credit="2 workers, pool solo, prefetch 128 each",
        task=_CELERY_CHAIN,
    ),
    Peer(
        "dramatiq",
        server="redis",
        wide=20_000,
        chain=100,
        durability=f"{_REDIS_IN_MEMORY}; but the end of a worker",
        credit="2 processes with 8 threads each, prefetch 128 each",
        task=_DRAMATIQ_CHAIN,
    ),
    Peer(
        "dramatiq-durable",
        library="dramatiq",
        mode="durable",
        server="redis",
        wide=3_000,
        chain=100,
        durability=_REDIS_ON_DISK,
        durable=True,
        credit="2 processes with 8 threads each, prefetch 128 each",
        task=_DRAMATIQ_CHAIN,
    ),
    Peer(
        "ray",
        wide=5_000,
        chain=1_000,
        durability="nothing: tasks and results are in memory; a lost worker's tasks are tried again",
        credit="2 workers",
    ),
    Peer(
        "restate",
        mode="steps",
        server="restate",
        wide=10_000,
        chain=300,
        durability=_RESTATE,
        durable=True,
        credit="10 invocations at once, all their steps at once",
        task="a task is a durable step, `ctx.run`, which the handler that asks for it runs itself",
    ),
    Peer(
        "restate-calls",
        library="restate",
        mode="calls",
        server="restate",
        wide=3_000,
        chain=300,
        durability=_RESTATE,
        durable=True,
        credit="10 invocations at once, all their calls at once",
        task="a task is a call of another handler, dispatched and acknowledged by itself",
    ),
    Peer(
        "luigi",
        wide=1_000,
        chain=300,
        durability="everything that is complete: its file is there",
        credit="1 worker in the scheduler's process",
        task="a task writes an empty file",
        counts=False,
    ),
    Peer(
        "snakemake",
        wide=400,
        chain=100,
        durability="everything that is complete: its file is there",
        credit="2 cores",
        task="a job touches a file, with no process; making the graph of jobs is on the clock",
        counts=False,
    ),
    Peer(
        "procrastinate",
        server="postgresql",
        wide=1_000,
        durability="everything: PostgreSQL, synchronous_commit=on",
        durable=True,
        credit="2 processes with 20 jobs at a time each",
        task="no chain: a job cannot wait for another; of jobs with one lock the next is found by polling only",
        counts=False,
    ),
)
