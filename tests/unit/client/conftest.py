"""A Gaia service in this process that answers as it is told and remembers what it was asked."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

import gaia
from gaia.v1 import api_pb2, api_pb2_grpc, events_pb2, model_pb2
from gaia_client.waiting import Clock
from gaia_core.errors import GaiaError, NoLongerKept

METHODS = (
    "Workflows", "Upload", "Command", "Merge", "Remove", "Delete", "Run", "Halt", "Status", "Steps", "Explain",
    "Workers", "Expire", "Launch", "Drain", "List", "Announce",
)  # fmt: skip

KINDS = tuple(field.name for field in events_pb2.Event.DESCRIPTOR.oneofs_by_name["event"].fields)


@dataclass
class Watched:
    """One call of Watch: with what it begins, what it tells, and how it ends.

    Attributes:
        begun: uid and latest sequence number; None where nothing is said.
    """

    begun: tuple[int, int] | None
    responses: Sequence[Any] = ()
    end: GaiaError | grpc.StatusCode | None = None


class FakeGaia(api_pb2_grpc.GaiaServicer):
    """Answers from a script per method, the last entry for ever; files are kept in a dict.

    Attributes:
        asked: (method, request) in order.
        logs: what single calls of Logs tell, one after the other; a gRPC code ends one.
        watches: what single calls of Watch tell, one after the other.
        script: method → answers, errors of ours, gRPC codes, or functions of the request.
        trailers: method → further trailing metadata of its failures.
        updates: what a watcher of updates is sent; then the stream stays open.
        events: what a watcher of events is sent; the stream stays open unless the last one tells of a deletion.
        broken_watches: so many streams of events break off after their first event.
        too_slow_watches: so many streams of events end, after the first event, with the refusal of a slow reader.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.metadata: list[dict[str, str]] = []
        self.script: dict[str, list[Any]] = {}
        self.trailers: dict[str, tuple[str, str]] = {}
        self.files: dict[str, bytes] = {}
        self.broken_gets = 0
        self.watches: list[Watched] = []
        self.updates: list[api_pb2.Update] = []
        self.events: list[events_pb2.Event] = []
        self.logs: list[Sequence[Any]] = []
        self.broken_watches = 0
        self.too_slow_watches = 0
        self.lock = threading.Lock()
        for method in METHODS:
            setattr(self, method, self._method(method))

    def requests(self, method: str) -> list[Any]:
        """Return the requests of one method."""
        return [request for name, request in self.asked if name == method]

    def _method(self, name: str) -> Callable[[Any, grpc.ServicerContext], Any]:
        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            self._note(name, request, context)
            return self._scripted(name, request, context)

        return answer

    def _note(self, name: str, request: Any, context: grpc.ServicerContext) -> None:
        with self.lock:
            self.asked.append((name, request))
            self.metadata.append(dict(context.invocation_metadata()))

    def _scripted(self, name: str, request: Any, context: grpc.ServicerContext) -> Any:
        with self.lock:
            entries = self.script.get(name) or [getattr(api_pb2, f"{name}Response")()]
            entry = entries.pop(0) if len(entries) > 1 else entries[0]
        if callable(entry) and not isinstance(entry, grpc.StatusCode):
            entry = entry(request)
        if isinstance(entry, GaiaError):
            self._refuse(name, entry, context)
        if isinstance(entry, grpc.StatusCode):
            context.set_trailing_metadata([self.trailers[name]] if name in self.trailers else [])
            context.abort(entry, "as told")
        return entry

    def _refuse(self, name: str, error: GaiaError, context: grpc.ServicerContext) -> None:
        problems = [api_pb2.Problem(place=problem.place, message=problem.message) for problem in error.problems]
        refusal = api_pb2.Refusal(error=type(error).__name__, message=error.message, hint=error.hint, problems=problems)
        more = [self.trailers[name]] if name in self.trailers else []
        context.set_trailing_metadata([("gaia-refusal-bin", refusal.SerializeToString()), *more])
        context.abort(grpc.StatusCode[error.grpc_code], error.message)

    def Put(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Any:  # noqa: N802 - gRPC's spelling
        """Keep a file."""
        header = next(requests).header
        self._note("Put", header, context)
        if "Put" in self.script:
            self._scripted("Put", header, context)
        parts = list(requests)
        data = b"".join(request.data for request in parts)
        if not parts or not parts[-1].HasField("end") or parts[-1].end.sha256 != hashlib.sha256(data).digest():
            self._refuse("Put", gaia.InvalidWorkflow("the stream broke off"), context)
        self.files[header.key] = data
        return api_pb2.PutResponse(file=model_pb2.FileVersion(key=header.key, version="1", size_bytes=len(data)))

    def Get(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:  # noqa: N802 - gRPC's spelling
        """Send what the script says, else a file; the first `broken_gets` times it breaks off in the middle."""
        self._note("Get", request, context)
        if "Get" in self.script:
            yield from self.script["Get"]
            return
        if request.key not in self.files:
            self._refuse("Get", gaia.UnknownName(f"Nothing is at {request.key!r}"), context)
        data = self.files[request.key]
        yield api_pb2.GetResponse(file=model_pb2.FileVersion(key=request.key, size_bytes=len(data)))
        for start in range(0, len(data), 3):
            yield api_pb2.GetResponse(data=data[start : start + 3])
            if self.broken_gets:
                self.broken_gets -= 1
                context.abort(grpc.StatusCode.UNAVAILABLE, "going down")

    def Logs(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:  # noqa: N802 - gRPC's spelling
        """Tell what the next of `logs` holds."""
        self._note("Logs", request, context)
        context.send_initial_metadata([("gaia-logs", "1")])
        for told in self.logs.pop(0):
            if isinstance(told, grpc.StatusCode):
                context.abort(told, "as told")
            yield told

    def Watch(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:  # noqa: N802 - gRPC's spelling
        """Send updates or events, and stay; or tell what the next of `watches` holds, and end as it does."""
        self._note("Watch", request, context)
        if self.watches:
            yield from self._told(self.watches.pop(0), context)
            return
        first = self._scripted("Watch", request, context) if "Watch" in self.script else None
        self._begin(context, 1 if request.workflow else 0, 0)
        if first is not None:
            yield first
        if not request.every_event:
            yield from (api_pb2.WatchResponse(update=update) for update in self.updates)
        else:
            yield from self._watched(request, context)
            if self.events and self.events[-1].workflow_changed.change == "deleted":
                return
        over = threading.Event()
        if context.add_callback(over.set):
            over.wait()

    def _watched(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        for event in self.events:
            if event.sequence >= request.from_sequence and event.WhichOneof("event") in (request.kinds or KINDS):
                yield api_pb2.WatchResponse(event=event)
                if self.broken_watches:
                    self.broken_watches -= 1
                    context.abort(grpc.StatusCode.UNAVAILABLE, "going down")
                if self.too_slow_watches:
                    self.too_slow_watches -= 1
                    self._refuse("Watch", NoLongerKept("The watcher was too slow."), context)

    def _told(self, watched: Watched, context: grpc.ServicerContext) -> Iterator[Any]:
        if watched.begun is not None:
            self._begin(context, *watched.begun)
        yield from watched.responses
        if isinstance(watched.end, GaiaError):
            self._refuse("Watch", watched.end, context)
        if watched.end is not None:
            context.abort(watched.end, "as told")

    def _begin(self, context: grpc.ServicerContext, uid: int, latest: int) -> None:
        context.send_initial_metadata([("gaia-watched-uid", str(uid)), ("gaia-latest-sequence", str(latest))])


class Server:
    """A fake behind a real port."""

    def __init__(self, message_bytes_max: int = 64 * 1024**2) -> None:
        self.fake = FakeGaia()
        self.server = grpc.server(
            ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", message_bytes_max)]
        )
        api_pb2_grpc.add_GaiaServicer_to_server(self.fake, self.server)
        self.address = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()

    def stop(self) -> None:
        self.server.stop(None).wait()


@pytest.fixture
def make_server() -> Iterator[Callable[..., Server]]:
    """Start fake servers that end with the test."""
    servers: list[Server] = []

    def make(**options: Any) -> Server:
        servers.append(Server(**options))
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def server(make_server: Callable[..., Server]) -> Server:
    """One fake server."""
    return make_server()


@pytest.fixture
def fake(server: Server) -> FakeGaia:
    """The service behind the one server."""
    return server.fake


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Make the client's pauses take no time but on its own clock, and remember them."""
    taken: list[float] = []
    monkeypatch.setattr("gaia_client.client.CLOCK", Clock(lambda: sum(taken), taken.append))
    return taken


@pytest.fixture
def flow(server: Server, pauses: list[float]) -> Iterator[gaia.Gaia]:
    """A client of the one server."""
    with gaia.Gaia({"gaia_host": server.address}) as client:
        yield client


@pytest.fixture
def dead_address(make_server: Callable[..., Server]) -> str:
    """An address at which nothing listens."""
    server = make_server()
    server.stop()
    return server.address


@pytest.fixture
def status() -> Callable[..., Any]:
    """Make status answers: state, and Steps by state."""

    def make(state: str, **fields: Any) -> Any:
        states = api_pb2.StepCounts.DESCRIPTOR.fields_by_name
        counts = {name: count for name, count in fields.items() if name in states and isinstance(count, int)}
        rest = {name: value for name, value in fields.items() if name not in counts}
        return api_pb2.StatusResponse(state=state, steps=api_pb2.StepCounts(**counts), **rest)

    return make
