"""dask.distributed: a scheduler and two workers of one thread each on this machine."""

import dask
from distributed import Client, LocalCluster, wait
from harness import FOLDER, WARM_TASKS, arguments, expect, tell, timed

SETTINGS = {
    "temporary-directory": str(FOLDER),
    # Tasks go to workers as they come and stay there: for tasks this short the other ways cost more than they win.
    "distributed.scheduler.worker-saturation": float("inf"),
    "distributed.scheduler.work-stealing": False,
}


def noop(number: int) -> int:
    """Return what was given, which proves that it ran."""
    return number


def following(number: int) -> int:
    """Count one more than the task before."""
    return number + 1


def main() -> None:
    """Measure."""
    given = arguments()
    dask.config.set(SETTINGS)
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=0)
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
