"""A stream whose sender says nothing does not hold its place for ever."""

import threading
from collections.abc import Iterator

import grpc
import pytest

from gaia.v1 import api_pb2, api_pb2_grpc
from gaia_core.service import grpc_data
from tests.unit.service.served import Served


@pytest.mark.parametrize("said", [0, 1, 2])
def test_a_file_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch, said: int) -> None:
    """Whether its sender falls silent before the header, before the bytes or among them: it is told so."""
    monkeypatch.setattr(grpc_data, "SILENCE_S", 0.2)
    over = threading.Event()

    def parts() -> Iterator[api_pb2.PutRequest]:
        messages = [
            api_pb2.PutRequest(header=api_pb2.PutHeader(workflow="flow", key="a")),
            api_pb2.PutRequest(data=b"x"),
        ]
        yield from messages[:said]
        over.wait(60)

    with Served() as served, grpc.insecure_channel(served.config.listen) as channel:
        with served.client() as flow:
            flow.upload("flow", {}, [], [])
        stub = api_pb2_grpc.GaiaStub(channel)  # type: ignore[no-untyped-call]
        with pytest.raises(grpc.RpcError) as refused:
            stub.Put(parts(), timeout=30)
        over.set()
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE  # type: ignore[attr-defined]
        assert "Nothing came for 0.2 s; nothing was stored." in refused.value.details()  # type: ignore[attr-defined]
        assert served.store.list(None, "", 10) == []
