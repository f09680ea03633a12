"""celery on Redis: two workers that run tasks in their own process, the fastest of its pools for tasks this short.

A message is acknowledged as it is taken, which is celery's default, or durable: once its task has run.
"""

import sys

from celery import chain
from celery_tasks import app, noop
from fleet import Fleet, end_when_told
from harness import SERVER, WARM_TASKS, arguments, await_that, expect, tell, timed
from redis import Redis

WORKERS = 2
REDIS = Redis.from_url(SERVER)
QUIET = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=ERROR"]


def main() -> None:
    """Measure."""
    given = arguments()
    end_when_told()
    command = [sys.executable, "-m", "celery", "-A", "celery_tasks", "worker", "--pool=solo", *QUIET]
    commands = [[*command, f"--hostname=w{number}@%h"] for number in range(WORKERS)]
    with Fleet(commands) as fleet:
        await_that(lambda: len(app.control.ping(timeout=1.0)) == WORKERS, "workers")
        _send(WARM_TASKS)
        _drain()
        fleet.pause()
        submit_s = timed(lambda: _send(given.wide))
        # A worker that was waiting for a message has one by now, in its socket.
        expect("messages held back", _left() + WORKERS >= given.wide, True)
        seconds = timed(lambda: (fleet.resume(), _drain()))
        await_that(lambda: _ran() >= WARM_TASKS + given.wide, "all to have run")
        chain_s = timed(lambda: _chain(given.chain))
        expect("tasks that ran", _ran(), WARM_TASKS + given.wide + given.chain)
    wide = {"tasks": given.wide, "submit_s": submit_s, "seconds": seconds}
    tell("celery", wide, {"tasks": given.chain, "seconds": chain_s})


def _send(tasks: int) -> None:
    with app.producer_pool.acquire(block=True) as producer:
        for _ in range(tasks):
            noop.apply_async(producer=producer)


def _drain() -> None:
    """Wait until no message is left, queued or taken and not yet acknowledged."""
    await_that(lambda: not _left(), "the queue to be empty")


def _left() -> int:
    return REDIS.llen("celery") + REDIS.hlen("unacked")


def _chain(tasks: int) -> None:
    # The last result tells that all is done.
    last = noop.si().set(ignore_result=False)
    chain(*(noop.si() for _ in range(tasks - 1)), last).apply_async().get(timeout=120)


def _ran() -> int:
    """Return how many tasks workers have run, as they say."""
    stats = app.control.inspect(timeout=2.0).stats() or {}
    return sum(sum(worker["total"].values()) for worker in stats.values())


if __name__ == "__main__":
    main()
