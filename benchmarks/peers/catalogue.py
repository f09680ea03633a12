"""The peers: what each stands on, how much it is given to do, and what its figures mean. Nothing is done here."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Peer:
    """One peer.

    Attributes:
        name: as it is shown.
        library: of its requirements, and of its program `programs/with_LIBRARY.py`.
        server: what it stands on: redis, postgresql, restate, or nothing.
        wide: independent tasks; as many as take it a few seconds on two processors.
        chain: tasks of which each waits for the one before; none where a peer has no such thing, as `task` says.
        durability: what a task survives once it is acknowledged.
        credit: processes and threads, and how much they take in advance.
        task: what counts as a task, and as a chain, where that is not plain.
        counts: whether Gaia is to be five times as fast as the best of these.
        mode: a variant of its program: celery and dramatiq may be durable, Restate may run steps or calls.
    """

    name: str
    library: str
    server: str
    wide: int
    chain: int
    durability: str
    credit: str
    task: str = ""
    counts: bool = True
    mode: str = ""


_CELERY_CHAIN: Final = "chain: celery.chain; its messages carry what is left of it, so a long one is slow"
_DRAMATIQ_CHAIN: Final = "chain: dramatiq.pipeline; its messages carry what is left of it"
_REDIS_IN_MEMORY: Final = "nothing that ends Redis, which writes nothing to disk here"
_REDIS_ON_DISK: Final = "everything: Redis, appendonly with appendfsync=always"
_RESTATE: Final = "everything: its log is on disk, fsync included, before a step is acknowledged"

PEERS: Final = (
    Peer(
        "dask",
        "dask",
        "",
        4_000,
        300,
        "nothing: tasks and results are in the memory of scheduler and workers",
        "2 worker processes with 1 thread each",
    ),
    Peer(
        "celery",
        "celery",
        "redis",
        3_000,
        100,
        f"{_REDIS_IN_MEMORY}; nor the end of a worker, since a task is acknowledged before it runs",
        "2 workers, pool solo, prefetch 128 each",
        _CELERY_CHAIN,
    ),
    Peer(
        "celery-durable",
        "celery",
        "redis",
        3_000,
        100,
        f"{_REDIS_ON_DISK}, acks_late",
        "2 workers, pool solo, prefetch 128 each",
        _CELERY_CHAIN,
        mode="durable",
    ),
    Peer(
        "dramatiq",
        "dramatiq",
        "redis",
        20_000,
        100,
        f"{_REDIS_IN_MEMORY}; but the end of a worker",
        "2 processes with 8 threads each, prefetch 128 each",
        _DRAMATIQ_CHAIN,
    ),
    Peer(
        "dramatiq-durable",
        "dramatiq",
        "redis",
        3_000,
        100,
        _REDIS_ON_DISK,
        "2 processes with 8 threads each, prefetch 128 each",
        _DRAMATIQ_CHAIN,
        mode="durable",
    ),
    Peer(
        "ray",
        "ray",
        "",
        5_000,
        1_000,
        "nothing: tasks and results are in memory; a lost worker's tasks are tried again",
        "2 workers",
    ),
    Peer(
        "restate",
        "restate",
        "restate",
        10_000,
        300,
        _RESTATE,
        "10 invocations at once, all their steps at once",
        "a task is a durable step, `ctx.run`, which the handler that asks for it runs itself",
        mode="steps",
    ),
    Peer(
        "restate-calls",
        "restate",
        "restate",
        3_000,
        300,
        _RESTATE,
        "10 invocations at once, all their calls at once",
        "a task is a call of another handler, dispatched and acknowledged by itself",
        mode="calls",
    ),
    Peer(
        "luigi",
        "luigi",
        "",
        1_000,
        300,
        "everything that is complete: its file is there",
        "1 worker in the scheduler's process",
        "a task writes an empty file",
        counts=False,
    ),
    Peer(
        "snakemake",
        "snakemake",
        "",
        400,
        100,
        "everything that is complete: its file is there",
        "2 cores",
        "a job touches a file, with no process; making the graph of jobs is on the clock",
        counts=False,
    ),
    Peer(
        "procrastinate",
        "procrastinate",
        "postgresql",
        1_000,
        0,
        "everything: PostgreSQL, synchronous_commit=on",
        "2 processes with 20 jobs at a time each",
        "no chain: a job cannot wait for another; of jobs with one lock the next is found by polling only",
        counts=False,
    ),
)
