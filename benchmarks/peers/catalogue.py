"""The peers: what each stands on, how much it is given to do, and what its figures mean. Nothing is done here."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Peer:
    """One peer.

    Attributes:
        name: of its requirements, and of its program `programs/with_NAME.py`.
        server: what it stands on: redis, postgresql, restate, or nothing.
        wide: independent tasks; as many as take it a few seconds on two processors.
        chain: tasks of which each waits for the one before.
        durability: what a task survives once it is acknowledged.
        credit: processes and threads, and how much they take in advance.
        task: what counts as a task, and as a chain, where that is not plain.
        counts: whether Gaia is to be five times as fast as the best of these.
    """

    name: str
    server: str
    wide: int
    chain: int
    durability: str
    credit: str
    task: str = ""
    counts: bool = True


PEERS: Final = (
    Peer(
        "dask",
        "",
        2_000,
        300,
        "nothing: tasks and results are in the memory of scheduler and workers",
        "2 worker processes with 1 thread each",
    ),
    Peer(
        "celery",
        "redis",
        3_000,
        100,
        "nothing: Redis writes nothing to disk, and a task is acknowledged before it runs",
        "1 worker with 2 processes, prefetch 128 each",
        "chain: celery.chain; its messages carry what is left of it, so a long one is slow",
    ),
    Peer(
        "dramatiq",
        "redis",
        5_000,
        100,
        "the end of a worker, not of Redis, which writes nothing to disk",
        "2 processes with 8 threads each, prefetch 128",
        "chain: dramatiq.pipeline; its messages carry what is left of it",
    ),
    Peer(
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
        2_000,
        300,
        "everything: its log is on disk, fsync included, before a step is acknowledged",
        "100 invocations at once",
        "a task is a durable step, `ctx.run`",
    ),
    Peer(
        "luigi",
        "",
        500,
        200,
        "everything that is complete: its file is there",
        "1 worker in the scheduler's process",
        "a task writes an empty file",
        counts=False,
    ),
    Peer(
        "snakemake",
        "",
        100,
        50,
        "everything that is complete: its file is there",
        "2 cores",
        "a job touches a file, with no process; making the graph of jobs is on the clock",
        counts=False,
    ),
    Peer(
        "procrastinate",
        "postgresql",
        1_000,
        200,
        "everything: PostgreSQL, synchronous_commit=on",
        "2 processes with 10 jobs at a time each",
        "chain: jobs with one lock, which run one after the other; none waits for another's result",
        counts=False,
    ),
)
