"""Lists of inputs are asked of the server that leads, whichever that is."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from gaia.v1 import api_pb2, api_pb2_grpc, model_pb2
from gaia_core.errors import Unavailable
from gaia_core.workflow.model import Fence, Publication
from gaia_worker.inputs_client import InputsClient

FENCE = Fence(1, 2, 3)


class Server(api_pb2_grpc.GaiaServicer):
    """Answers with pages, or refuses and names a leader."""

    def __init__(self) -> None:
        self.leader = ""
        self.code: grpc.StatusCode | None = None
        self.tokens: list[str] = []
        self._server = grpc.server(ThreadPoolExecutor(2))
        api_pb2_grpc.add_GaiaServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()
        self.stop = lambda: self._server.stop(None).wait()

    def Inputs(self, request: Any, context: Any) -> Iterator[api_pb2.InputsResponse]:  # noqa: N802
        self.tokens.append(dict(context.invocation_metadata()).get("authorization", ""))
        if self.code is not None:
            context.set_trailing_metadata([("gaia-leader", self.leader)] if self.leader else [])
            context.abort(self.code, "not here")
        for key in ("a", "b"):
            yield api_pb2.InputsResponse(name="in", sources=[model_pb2.Publication(key=key)])


@pytest.fixture
def make() -> Iterator[Callable[[], Server]]:
    """Start servers that end with the test."""
    made: list[Server] = []

    def one() -> Server:
        made.append(Server())
        return made[-1]

    yield one
    for server in made:
        server.stop()


def ask(hosts: str, token: str = "") -> dict[str, tuple[Publication, ...]]:
    client = InputsClient(hosts, token)
    try:
        return client(FENCE)
    finally:
        client.close()


def test_pages_are_put_together(make: Callable[[], Server]) -> None:
    """All sources of an input come under its name; the token is sent along."""
    server = make()
    assert ask(server.address, "secret") == {"in": (Publication("a"), Publication("b"))}
    assert server.tokens == ["Bearer secret"]


def test_a_standby_leads_to_the_leader(make: Callable[[], Server]) -> None:
    """By the list of servers, or by the address that it names."""
    standby, leader = make(), make()
    standby.code = grpc.StatusCode.UNAVAILABLE
    assert ask(f"{standby.address}, {leader.address}")
    standby.leader = leader.address
    assert ask(standby.address)


def test_a_refusal_is_final(make: Callable[[], Server]) -> None:
    """An attempt that is no longer current is none anywhere; what was said is passed on."""
    one, other = make(), make()
    one.code = grpc.StatusCode.FAILED_PRECONDITION
    with pytest.raises(Unavailable, match="not here"):
        ask(f"{one.address},{other.address}")
    assert other.tokens == []
