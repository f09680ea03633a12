"""The gRPC methods that carry files: into and out of data spaces, and the inputs of attempts."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from gaia.v1 import api_pb2 as pb
from gaia.v1 import api_pb2_grpc
from gaia_core.coordinator.desk import Desk
from gaia_core.errors import InvalidWorkflow, Overloaded, Problem, RequestError, Unavailable, UnknownName
from gaia_core.machine import requests as rq
from gaia_core.ports import Store
from gaia_core.service.data import DataSpace
from gaia_core.wire.files import file_to_proto, publication_to_proto
from gaia_core.workflow.keys import is_tree

SILENCE_S: Final = 60.0
"""A file's sender that pauses for longer is given up."""


class DataMethods(api_pb2_grpc.GaiaServicer):
    """Those methods of service gaia.v1.Gaia that ask the store, too."""

    def __init__(self, desk: Desk, store: Store) -> None:
        self._desk = desk
        self._data = DataSpace(store)

    async def Put(self, request_iterator: AsyncIterator[pb.PutRequest], context: Any) -> pb.PutResponse:
        """Store one file."""
        parts = _in_time(request_iterator)
        first = await anext(parts, None)
        if first is None or first.WhichOneof("part") != "header":
            raise InvalidWorkflow.of([Problem("header", "the first message must be the header")])
        workflow, key = first.header.workflow, first.header.key
        await self._ask(rq.CheckPut(workflow, (key,), ("header.key",)))
        if is_tree(key):
            raise InvalidWorkflow.of([Problem("header.key", f"{key!r} is a tree; put its files, then announce it")])
        with tempfile.TemporaryDirectory(prefix="gaia-put-") as folder:
            path = Path(folder) / "file"
            end = await _receive(parts, path)
            stored = await asyncio.to_thread(self._data.put, workflow, key, path, end.sha256)
        try:
            await self._ask(rq.Arrive(workflow, (stored,)))
        except (RequestError, Overloaded):  # the workflow was deleted meanwhile, or a Step writes the Key now
            await asyncio.to_thread(self._data.take_back, workflow, stored)
            raise
        return pb.PutResponse(file=file_to_proto(stored.files[0]))

    async def Announce(self, request: pb.AnnounceRequest, context: Any) -> pb.AnnounceResponse:
        """Let Keys arrive that lie in the store."""
        keys = tuple(request.keys)
        await self._ask(rq.CheckPut(request.workflow, keys, tuple(f"keys[{number}]" for number in range(len(keys)))))
        lying = await asyncio.to_thread(self._data.lying, request.workflow, keys)
        await self._ask(rq.Arrive(request.workflow, tuple(lying)))
        return pb.AnnounceResponse(keys=[publication_to_proto(one) for one in lying])

    async def Get(self, request: pb.GetRequest, context: Any) -> AsyncIterator[pb.GetResponse]:
        """Read one file."""
        published = await self._ask(rq.GetFiles(request.workflow, request.key))
        file = await asyncio.to_thread(self._data.find, published, request.key)
        if file is None:
            raise UnknownName(
                f"Key {request.key!r} of {request.workflow!r} is not there.", hint="gaia ls lists what is"
            )
        chunks = self._data.open(request.workflow, file)
        chunk = await asyncio.to_thread(next, chunks, None)
        yield pb.GetResponse(file=file_to_proto(file))
        while chunk is not None:
            yield pb.GetResponse(data=chunk)
            chunk = await asyncio.to_thread(next, chunks, None)

    async def List(self, request: pb.ListRequest, context: Any) -> pb.ListResponse:
        """List files."""
        published = await self._ask(rq.GetFiles(request.workflow, request.prefix, is_prefix=True))
        files, truncated = await asyncio.to_thread(self._data.list, published, request.prefix)
        exists = bool(files) or any(one.key.startswith(request.prefix) for one in published)
        return pb.ListResponse(files=[file_to_proto(file) for file in files], truncated=truncated, exists=exists)

    async def Inputs(self, request: pb.InputsRequest, context: Any) -> AsyncIterator[pb.InputsResponse]:
        """Tell a worker the sources of an attempt's inputs, in pages."""
        inputs = await self._ask(rq.GetInputs(request.workflow_uid, request.step, request.attempt))
        for one in inputs:
            for page in _pages(one.sources, 1000):
                yield pb.InputsResponse(name=one.name, sources=[publication_to_proto(source) for source in page])

    async def _ask(self, request: rq.Request) -> Any:
        """Submit a request and wait for its answer."""
        return await asyncio.wrap_future(self._desk.submit(request))


async def _in_time(parts: AsyncIterator[pb.PutRequest]) -> AsyncIterator[pb.PutRequest]:
    """Yield the messages of a stream, each of which has to come in time: others may want its place."""
    messages = aiter(parts)
    while True:
        try:
            async with asyncio.timeout(SILENCE_S):
                part = await anext(messages, None)
        except TimeoutError:
            raise Unavailable(f"Nothing came for {SILENCE_S:g} s; nothing was stored.", hint="begin again") from None
        if part is None:
            return
        yield part


async def _receive(parts: AsyncIterator[pb.PutRequest], target: Path) -> pb.PutEnd:
    """Write a file's bytes to target and return its end."""
    with target.open("wb") as file:
        async for part in parts:
            if part.WhichOneof("part") == "end":
                return part.end
            await asyncio.to_thread(file.write, part.data)
    raise InvalidWorkflow.of([Problem("end", "the stream broke off; nothing was stored")])


def _pages(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[at : at + size] for at in range(0, len(items), size))
