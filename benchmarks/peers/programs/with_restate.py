"""Restate: durable steps of invocations, in a server with its own log on disk."""

import asyncio
import json
import os
import socket
import sys
import time
import urllib.request

import httpx
from fleet import Fleet, end_when_told
from harness import DEADLINE_S, SERVER, WARM_TASKS, arguments, await_that, expect, tell

MODE = os.environ.get("PEER_MODE", "one_by_one")
INVOCATIONS = int(os.environ.get("PEER_INVOCATIONS", "100"))
ASGI = os.environ.get("PEER_ASGI", "hypercorn")
WORKERS = int(os.environ.get("PEER_WORKERS", "1"))


async def main() -> None:
    """Measure."""
    given = arguments()
    ingress, admin = SERVER.split()
    end_when_told()
    port = _free_port()
    if ASGI == "hypercorn":
        command = [
            sys.executable,
            "-m",
            "hypercorn",
            "restate_service:app",
            f"--bind=127.0.0.1:{port}",
            f"--workers={WORKERS}",
        ]
    else:
        command = [
            sys.executable,
            "-m",
            "granian",
            "--interface=asgi",
            "--host=127.0.0.1",
            f"--port={port}",
            "--http=auto",
            f"--workers={WORKERS}",
            "restate_service:app",
        ]
    with Fleet([command]):
        await_that(lambda: _listens(port), "the service")
        versions = _register(admin, port)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        async with httpx.AsyncClient(base_url=ingress, timeout=DEADLINE_S, limits=limits) as client:
            await _call(client, "one_by_one", WARM_TASKS)
            began = time.perf_counter()
            if MODE == "alone":
                ran = await _alone(client, given.wide)
            else:
                each = given.wide // INVOCATIONS
                ran = sum(await asyncio.gather(*(_call(client, MODE, each) for _ in range(INVOCATIONS))))
            seconds = time.perf_counter() - began
            expect("steps that ran", ran, given.wide)
            began = time.perf_counter()
            expect("length of the chain", await _call(client, "one_by_one", given.chain), given.chain)
            chain_s = time.perf_counter() - began
    tell(
        "restate-sdk",
        {"tasks": given.wide, "seconds": seconds},
        {"tasks": given.chain, "seconds": chain_s},
        versions,
    )


async def _alone(client: httpx.AsyncClient, tasks: int) -> int:
    remaining = iter(range(tasks))

    async def work() -> int:
        return sum([await _call(client, "alone", None) for _ in remaining])

    return sum(await asyncio.gather(*(work() for _ in range(INVOCATIONS))))


async def _call(client: httpx.AsyncClient, handler: str, steps: int | None) -> int:
    reply = await (client.post(f"/peer/{handler}", json=steps) if steps else client.post(f"/peer/{handler}"))
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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    asyncio.run(main())
