"""HTTP under test: the real application before the real loop, which a thread turns; only the network is left out."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from starlette.types import ASGIApp

from gaia_core.coordinator.desk import Submit
from gaia_core.service import http_api
from gaia_core.service.reception import Reception
from tests.unit.coordinator.shard import Shard

HOSTS = frozenset({"localhost"})


class Http:
    """An HTTP client without a network: each call has an event loop of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._transport = httpx.ASGITransport(app)

    def get(self, path: str, **more: Any) -> httpx.Response:
        """Get a path."""
        return self.call("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        """Post to a path."""
        return self.call("POST", path, **more)

    def call(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Call a path."""

        async def call() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url="http://localhost") as client:
                return await client.request(method, path, **more)

        return asyncio.run(call())


class Calls:
    """What a client of the HTTP port does."""

    def __init__(self, submit: Submit, known_hosts: frozenset[str] = HOSTS, token: str = "") -> None:
        self.http = Http(http_api.build(lambda: "leader", submit, Reception(), known_hosts, token))

    def post(self, verb: str, body: object) -> Any:
        """Call a verb and return its reply."""
        answer = self.http.post(f"/{verb}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, verb: str, body: object) -> str:
        """Call a verb that is refused, and return the words."""
        return self.refused_raw(verb, json.dumps(body).encode())

    def refused_raw(self, verb: str, body: bytes) -> str:
        """Send a body as it is, have it refused, and return the words."""
        answer = self.http.post(f"/{verb}", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, answer.text
        assert answer.headers["content-type"] == "application/json"
        assert list(answer.json()) == ["error"]
        return str(answer.json()["error"])


@contextmanager
def running(shard: Shard) -> Iterator[Calls]:
    """Let a shard lead while calls come."""
    shard.open()
    thread = threading.Thread(target=shard.loop.run)
    thread.start()
    try:
        yield Calls(shard.loop.submit)
    finally:
        shard.loop.stop()
        thread.join()
