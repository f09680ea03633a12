"""dask.distributed: a scheduler and two workers of one thread each on this machine."""

import os

import dask
from distributed import Client, LocalCluster, wait
from harness import FOLDER, WARM_TASKS, arguments, expect, tell, timed

WORKERS = int(os.environ.get("PEER_WORKERS", "2"))
THREADS = int(os.environ.get("PEER_THREADS", "1"))
PROCESSES = os.environ.get("PEER_PROCESSES", "1") == "1"


def noop(number: int) -> int:
    """Return what was given, which proves that it ran."""
    return number


def following(number: int) -> int:
    """Count one more than the task before."""
    return number + 1


def main() -> None:
    """Measure."""
    given = arguments()
    dask.config.set({"temporary-directory": str(FOLDER), "distributed.scheduler.work-stealing": False})
    cluster = LocalCluster(
        n_workers=WORKERS, threads_per_worker=THREADS, processes=PROCESSES, dashboard_address=None, memory_limit=0
    )
    with cluster, Client(cluster) as client:
        wait(client.map(noop, range(WARM_TASKS), pure=False))
        seconds = _wide(client, given.wide)
        found = []
        chain_s = timed(lambda: found.append(_chain(client, given.chain)))
        expect("length of the chain", found[0], given.chain)
    wide = {"tasks": given.wide, "seconds": seconds}
    tell("distributed", wide, {"tasks": given.chain, "seconds": chain_s})


def _wide(client: Client, tasks: int) -> float:
    """Return the seconds; results are fetched afterwards."""
    futures = []
    seconds = timed(lambda: (futures.extend(client.map(noop, range(tasks), pure=False)), wait(futures)))
    expect("sum of results", sum(client.gather(futures)), sum(range(tasks)))
    return seconds


def _chain(client: Client, tasks: int) -> int:
    future = client.submit(following, 0, pure=False)
    for _ in range(tasks - 1):
        future = client.submit(following, future, pure=False)
    return future.result()


if __name__ == "__main__":
    main()
