"""Restate: durable steps, or calls, of a few invocations at once, in a server with its own log on disk.

Handing a task in by an HTTP request of its own was slower than handlers that run many, so these do.
"""

import asyncio
import json
import socket
import sys
import time
import urllib.request

import httpx
from fleet import Fleet, end_when_told
from harness import DEADLINE_S, MODE, SERVER, WARM_TASKS, arguments, await_that, expect, tell

INVOCATIONS = 10


async def main() -> None:
    """Measure."""
    given = arguments()
    ingress, admin = SERVER.split()
    end_when_told()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "granian", "--interface=asgi", f"--port={port}"]
    # Restate keeps its connections open, and granian would wait for their end.
    command += ["--workers-kill-timeout=1", "restate_service:app"]
    with Fleet([command]):
        await_that(lambda: _listens(port), "the service")
        versions = _register(admin, port)
        async with httpx.AsyncClient(base_url=ingress, timeout=DEADLINE_S) as client:
            await _call(client, "wide", WARM_TASKS)
            await _call(client, "chain", WARM_TASKS)
            began = time.perf_counter()
            each = max(1, given.wide // INVOCATIONS)
            ran = await asyncio.gather(*(_call(client, "wide", each) for _ in range(INVOCATIONS)))
            seconds = time.perf_counter() - began
            began = time.perf_counter()
            expect("length of the chain", await _call(client, "chain", given.chain), given.chain)
            chain_s = time.perf_counter() - began
    wide = {"tasks": sum(ran), "seconds": seconds}
    tell("restate-sdk", wide, {"tasks": given.chain, "seconds": chain_s}, versions)


async def _call(client: httpx.AsyncClient, shape: str, tasks: int) -> int:
    """Run tasks in one invocation; return how many it says it ran."""
    reply = await client.post(f"/peer/{shape}_{MODE}", json=tasks)
    reply.raise_for_status()
    return int(reply.json())


def _register(admin: str, port: int) -> dict[str, str]:
    """Make the service known and return the server's version."""
    body = json.dumps({"uri": f"http://127.0.0.1:{port}"}).encode()
    headers = {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"{admin}/deployments", body, headers), timeout=30):
        pass
    with urllib.request.urlopen(f"{admin}/version", timeout=30) as reply:
        return {"restate-server": json.load(reply)["version"]}


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    asyncio.run(main())
