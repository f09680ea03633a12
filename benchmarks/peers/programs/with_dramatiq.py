"""dramatiq on Redis: two worker processes; a message is acknowledged once its actor has returned."""

import os
import sys

import dramatiq
from dramatiq_tasks import broker, noop
from fleet import Fleet, end_when_told
from harness import FOLDER, WARM_TASKS, arguments, await_that, expect, tell, timed

PROCESSES = 2
THREADS = 8
PREFETCH = 128
SETTINGS = {
    "dramatiq_queue_prefetch": str(PREFETCH),
    # Milliseconds that an idle worker waits at most before it asks for work again: 1,000 by default, which chains see.
    "dramatiq_worker_timeout": "1",
}


def main() -> None:
    """Measure."""
    given = arguments()
    os.environ.update(SETTINGS)
    end_when_told()
    command = [sys.executable, "-m", "dramatiq", "dramatiq_tasks:broker"]
    command += [f"--processes={PROCESSES}", f"--threads={THREADS}"]
    with Fleet([command]) as fleet:
        _send(WARM_TASKS)
        _drain()
        fleet.pause()
        submit_s = timed(lambda: _send(given.wide))
        expect("messages held back", _left(), given.wide)
        seconds = timed(lambda: (fleet.resume(), _drain()))
        chain_s = timed(lambda: (_chain(given.chain), _drain()))
    ran = sum(int(file.read_text()) for file in FOLDER.glob("*.count"))
    expect("tasks that ran", ran, WARM_TASKS + given.wide + given.chain)
    wide = {"tasks": given.wide, "submit_s": submit_s, "seconds": seconds}
    tell("dramatiq", wide, {"tasks": given.chain, "seconds": chain_s})


def _send(tasks: int) -> None:
    for _ in range(tasks):
        broker.enqueue(noop.message())


def _drain() -> None:
    """Wait until every message is acknowledged; the next of a chain is queued before that."""
    await_that(lambda: not _left(), "the queue to be empty")


def _left() -> int:
    """Return how many messages are not yet acknowledged."""
    return broker.client.hlen("dramatiq:default.msgs")


def _chain(tasks: int) -> None:
    dramatiq.pipeline([noop.message_with_options(pipe_ignore=True) for _ in range(tasks)]).run()


if __name__ == "__main__":
    main()
