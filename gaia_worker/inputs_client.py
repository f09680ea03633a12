"""Asks the servers for input lists that were too long for a dispatch; the one that leads has them."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import grpc

from gaia.v1 import api_pb2
from gaia_core.errors import Unavailable
from gaia_core.wire.files import publications_from_proto
from gaia_core.workflow.model import Fence, Publication

ANSWER_S: Final = 60.0

LEADER_KEY: Final = "gaia-leader"


class InputsClient:
    """Channels to the servers of a deployment.

    Args:
        hosts: their addresses, separated by commas.
        token: what they want to be sent; "" for nothing.
    """

    def __init__(self, hosts: str, token: str) -> None:
        self._hosts = [host.strip() for host in hosts.split(",")]
        self._channels: dict[str, grpc.Channel] = {}
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()

    def __call__(self, fence: Fence) -> dict[str, tuple[Publication, ...]]:
        """Return the sources of an attempt's inputs by input name.

        Raises:
            Unavailable: no server leads or answers, or the attempt is no longer current.
        """
        request = api_pb2.InputsRequest(workflow_uid=fence.workflow_uid, step=fence.step, attempt=fence.attempt)
        leaders: list[str] = []
        said = "no address is known"
        for host in self._in_turn(leaders):
            try:
                return self._ask(host, request)
            except grpc.RpcError as error:
                leaders.append(_leader(error) or "")
                said = f"{host}: {error.details() if isinstance(error, grpc.Call) else error}"
                if not isinstance(error, grpc.Call) or error.code() is not grpc.StatusCode.UNAVAILABLE:
                    break
        raise Unavailable(f"The server did not tell the inputs: {said}")

    def close(self) -> None:
        """Close the channels."""
        while self._channels:
            self._channels.popitem()[1].close()

    def _in_turn(self, leaders: list[str]) -> Iterator[str]:
        """Yield the known servers, and after each the leader that it named, if that is not among them."""
        for host in self._hosts:
            yield host
            if leaders and leaders[-1] and leaders[-1] not in self._hosts:
                yield leaders[-1]

    def _ask(self, host: str, request: api_pb2.InputsRequest) -> dict[str, tuple[Publication, ...]]:
        if host not in self._channels:
            self._channels[host] = grpc.insecure_channel(host, [("grpc.enable_http_proxy", 0)])
        invoke = self._channels[host].unary_stream(
            "/gaia.v1.Gaia/Inputs",
            api_pb2.InputsRequest.SerializeToString,
            api_pb2.InputsResponse.FromString,
        )
        found: dict[str, tuple[Publication, ...]] = {}
        for page in invoke(request, metadata=self._metadata, timeout=ANSWER_S):
            found[page.name] = found.get(page.name, ()) + publications_from_proto(page.sources)
        return found


def _leader(error: grpc.RpcError) -> str | None:
    """Return the address of the leader that a standby names."""
    pairs: Iterable[Any] = (error.trailing_metadata() or ()) if isinstance(error, grpc.Call) else ()
    return next((str(value) for key, value in pairs if key == LEADER_KEY), None)
