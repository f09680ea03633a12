"""procrastinate on PostgreSQL with synchronous commits: two worker processes, each with a number of jobs at a time.

A job cannot wait for another one. Jobs that share a lock run one after the other, but when one ends, the next is found
only by polling, every five seconds by default; so there is no chain here.
"""

import asyncio
import sys

from fleet import Fleet, end_when_told
from harness import DEADLINE_S, LOOK_S, WARM_TASKS, arguments, expect, tell
from procrastinate_tasks import app, noop

PROCESSES = 2
CONCURRENCY = 20
PER_BATCH = 1000


async def main() -> None:
    """Measure."""
    given = arguments()
    end_when_told()
    command = [sys.executable, "-m", "procrastinate", "--app=procrastinate_tasks.app", "worker"]
    command += [f"--concurrency={CONCURRENCY}"]
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        with Fleet([command] * PROCESSES) as fleet:
            loop = asyncio.get_running_loop()
            await _defer(WARM_TASKS)
            await _drain()
            fleet.pause()
            began = loop.time()
            await _defer(given.wide)
            submit_s = loop.time() - began
            began = loop.time()
            fleet.resume()
            await _drain()
            seconds = loop.time() - began
        count = "SELECT count(*) AS jobs FROM procrastinate_jobs WHERE status = 'succeeded' AND attempts = 1"
        ran = (await app.connector.execute_query_one_async(count))["jobs"]
        expect("jobs that succeeded", ran, WARM_TASKS + given.wide)
    wide = {"tasks": given.wide, "submit_s": submit_s, "seconds": seconds}
    tell("procrastinate", wide)


async def _defer(jobs: int) -> None:
    for begin in range(0, jobs, PER_BATCH):
        await noop.batch_defer_async(*({} for _ in range(begin, min(jobs, begin + PER_BATCH))))


async def _drain() -> None:
    """Wait until no job is left to do; an index on their status answers that."""
    unfinished = "SELECT EXISTS (SELECT 1 FROM procrastinate_jobs WHERE status IN ('todo', 'doing')) AS some"
    async with asyncio.timeout(DEADLINE_S):
        while (await app.connector.execute_query_one_async(unfinished))["some"]:
            await asyncio.sleep(LOOK_S)


if __name__ == "__main__":
    asyncio.run(main())
