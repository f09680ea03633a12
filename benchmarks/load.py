"""Many clients at once, in a process of their own: each with its own connection, over gRPC, nothing tried again.

Closed load: so many clients, each asking anew as soon as it is answered. Open load: requests sent by the clock, whether
or not the earlier ones were answered, so that a slow server is asked no less. Run as a process of its own by `small.py`
and others: it builds its requests, prints "ready", waits for a line, prints when it begins, and at the end what it saw.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import grpc
from google.protobuf.message import Message

from benchmarks.audit import BenchmarkFailed
from gaia.v1 import api_pb2, api_pb2_grpc
from gaia_core.wire.model import command_to_proto, step_to_proto
from gaia_core.workflow import parse

COMMAND: Final = {"name": "noop", "image": "busybox", "command": ["true"], "outputs": {"after": "/job/after"}}
READING: Final = {**COMMAND, "name": "next", "inputs": {"before": "/job/before"}}
SINGLE_FLOWS: Final = 16
"""Single Steps are merged into so many workflows, in turns."""

AHEAD_S: Final = 0.2
"""From the word to begin until the first request."""

CLIENT_S: Final = 120.0
END_S: Final = 600.0


class Load(NamedTuple):
    """What is asked.

    Attributes:
        kind: "flows" uploads workflows of `steps` Steps in a chain; "singles" merges Steps that wait for nothing.
        prefix: the names of the workflows begin so.
        requests: how many in all.
        clients: connections.
        rate: requests a second, by the clock; 0: each client asks as fast as it is answered.
    """

    kind: str
    prefix: str
    requests: int
    clients: int
    rate: float = 0.0
    steps: int = 3

    def flow_names(self) -> list[str]:
        """Return the names of the workflows."""
        count = self.requests if self.kind == "flows" else min(SINGLE_FLOWS, self.requests)
        return [f"{self.prefix}-{number}" for number in range(count)]

    def step_names(self) -> dict[str, list[str]]:
        """Return the Steps of each workflow."""
        if self.kind == "flows":
            return {name: [f"s{number}" for number in range(self.steps)] for name in self.flow_names()}
        names: dict[str, list[str]] = {name: [] for name in self.flow_names()}
        for number in range(self.requests):
            names[self.single_flow(number)].append(f"s{number}")
        return names

    def single_flow(self, number: int) -> str:
        """Return the workflow that a single Step is merged into."""
        return f"{self.prefix}-{number % min(SINGLE_FLOWS, self.requests)}"


@contextmanager
def loading(load: Load, address: str) -> "Iterator[Loading]":
    """Prepare the clients in a process of their own."""
    command = [sys.executable, "-m", "benchmarks.load", address]
    command += [f"--{name}={value}" for name, value in load._asdict().items()]
    folder = Path(__file__).resolve().parents[1]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            if process.stdout is None or process.stdout.readline() != "ready\n":
                raise BenchmarkFailed("the clients could not prepare")
            yield Loading(process)
        finally:
            process.kill()


class Loading:
    """Clients that are prepared."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def begin(self) -> float:
        """Let them begin; return the instant (of perf_counter) from which requests are due."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("begin\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def end(self) -> dict[str, Any]:
        """Wait until all was answered; return what the clients saw.

        Raises:
            BenchmarkFailed: a request was refused or not answered.
        """
        told, _ = self._process.communicate(timeout=END_S)
        if self._process.returncode:
            raise BenchmarkFailed("the clients failed")
        seen: dict[str, Any] = json.loads(told)
        if seen["errors"]:
            raise BenchmarkFailed(f"requests failed: {seen['errors']}")
        return seen


def quantiles_ms(seconds: list[float], name: str) -> dict[str, float]:
    """Return median, 99th percentile and the longest in milliseconds."""
    ordered = sorted(seconds)
    places = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {f"{name}_{what}_ms": round(1000 * ordered[int(at * (len(ordered) - 1))], 2) for what, at in places.items()}


class _Clients:
    """The connections, and what was seen over them."""

    def __init__(self, address: str, load: Load) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        self._load = load
        self._channels = [grpc.aio.insecure_channel(address, options) for _ in range(load.clients)]
        self._stubs = [api_pb2_grpc.GaiaStub(channel) for channel in self._channels]  # type: ignore[no-untyped-call]
        self._requests = list(_requests(load))
        self._waits_s: list[float] = []
        self._errors: Counter[str] = Counter()

    async def connect(self) -> None:
        """Open every connection, and make the workflows that single Steps are merged into."""
        await asyncio.gather(*(channel.channel_ready() for channel in self._channels))
        if self._load.kind == "singles":
            for name in self._load.flow_names():
                await self._stubs[0].Upload(_upload(name, []))

    async def ask(self, began: float) -> dict[str, Any]:
        """Ask everything, and tell what was seen."""
        await asyncio.sleep(max(0.0, began - time.perf_counter()))
        await (self._by_clock(began) if self._load.rate else self._in_turns())
        took_s = time.perf_counter() - began
        for channel in self._channels:
            await channel.close(None)
        waits = quantiles_ms(self._waits_s, "request") if self._waits_s else {}
        return {"requests_s": round(took_s, 3), "errors": dict(self._errors), **waits}

    async def _in_turns(self) -> None:
        left = iter(self._requests)

        async def client(stub: Any) -> None:
            for request in left:
                await self._one(stub, request, time.perf_counter())

        await asyncio.gather(*map(client, self._stubs))

    async def _by_clock(self, began: float) -> None:
        asked = []
        for number, request in enumerate(self._requests):
            due = began + number / self._load.rate
            if (early_s := due - time.perf_counter()) > 0:
                await asyncio.sleep(early_s)
            asked.append(asyncio.create_task(self._one(self._stubs[number % len(self._stubs)], request, due)))
        await asyncio.gather(*asked)

    async def _one(self, stub: Any, request: Message, due: float) -> None:
        call = stub.Upload if isinstance(request, api_pb2.UploadRequest) else stub.Merge
        try:
            await call(request, timeout=CLIENT_S)
        except grpc.aio.AioRpcError as error:
            self._errors[error.code().name] += 1
        self._waits_s.append(time.perf_counter() - due)


def _requests(load: Load) -> Iterator[Message]:
    if load.kind == "flows":
        steps = [_step(number, number - 1 if number else None) for number in range(load.steps)]
        yield from (_upload(name, steps) for name in load.flow_names())
    else:
        for number in range(load.requests):
            content = [step_to_proto(step) for step in parse.read_steps([_step(number, None)]).items]
            yield api_pb2.MergeRequest(request_id=uuid.uuid4().hex, workflow=load.single_flow(number), steps=content)


def _upload(name: str, steps: list[dict[str, Any]]) -> api_pb2.UploadRequest:
    commands = [command_to_proto(command) for command in parse.read_commands([COMMAND, READING]).items]
    content = [step_to_proto(step) for step in parse.read_steps(steps).items]
    return api_pb2.UploadRequest(request_id=uuid.uuid4().hex, workflow=name, commands=commands, steps=content)


def _step(number: int, before: int | None) -> dict[str, Any]:
    outputs = {"after": f"out/{number}"}
    if before is None:
        return {"name": f"s{number}", "command": "noop", "outputs": outputs}
    return {"name": f"s{number}", "command": "next", "inputs": {"before": f"out/{before}"}, "outputs": outputs}


async def _run(address: str, load: Load) -> None:
    clients = _Clients(address, load)
    await clients.connect()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    began = time.perf_counter() + AHEAD_S
    print(began, flush=True)
    print(json.dumps(await clients.ask(began)), flush=True)


def main() -> None:
    """Be the clients."""
    parser = argparse.ArgumentParser(description="Be many clients of one server.")
    parser.add_argument("address")
    for name, default in (("requests", 100), ("clients", 1), ("steps", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--kind", choices=["flows", "singles"], default="flows")
    parser.add_argument("--prefix", default="load")
    parser.add_argument("--rate", type=float, default=0.0)
    given = vars(parser.parse_args())
    address = given.pop("address")
    asyncio.run(_run(address, Load(**given)))


if __name__ == "__main__":
    main()
