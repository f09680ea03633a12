"""ray on this machine: tasks, not actors, on as many workers as there are processors."""

import logging

import ray
from harness import FOLDER, WARM_TASKS, arguments, expect, tell, timed


@ray.remote
def noop(number: int) -> int:
    """Return what was given, which proves that it ran."""
    return number


@ray.remote
def following(number: int) -> int:
    """Count one more than the task before."""
    return number + 1


def main() -> None:
    """Measure."""
    given = arguments()
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        object_store_memory=200 * 1024 * 1024,
        _temp_dir=str(FOLDER / "ray"),
    )
    ray.get([noop.remote(number) for number in range(10 * WARM_TASKS)])
    found = []
    seconds = timed(lambda: found.extend(ray.get([noop.remote(number) for number in range(given.wide)])))
    expect("sum of results", sum(found), sum(range(given.wide)))
    chain_s = timed(lambda: found.append(_chain(given.chain)))
    expect("length of the chain", found[-1], given.chain)
    ray.shutdown()
    tell("ray", {"tasks": given.wide, "seconds": seconds}, {"tasks": given.chain, "seconds": chain_s})


def _chain(tasks: int) -> int:
    last = following.remote(0)
    for _ in range(tasks - 1):
        last = following.remote(last)
    return ray.get(last)


if __name__ == "__main__":
    main()
