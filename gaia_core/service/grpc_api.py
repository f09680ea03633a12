"""The gRPC service: protobuf to requests, answers to protobuf, errors to status codes. Decides nothing."""

import asyncio
import hashlib
import logging
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import grpc
from google.protobuf.message import Message

from gaia.v1 import api_pb2 as pb
from gaia.v1 import api_pb2_grpc
from gaia_core.coordinator.desk import Desk
from gaia_core.errors import (
    Bug,
    GaiaError,
    InvalidWorkflow,
    NotAuthorized,
    NotLeading,
    Problem,
    RequestError,
    UnknownName,
)
from gaia_core.machine import requests as rq
from gaia_core.ports import Store
from gaia_core.service.data import DataSpace
from gaia_core.service.replies import (
    command_messages,
    diff_message,
    expired_message,
    explanation_message,
    status_message,
    step_messages,
    summary_message,
    worker_messages,
)
from gaia_core.service.watching import Pace, watching
from gaia_core.wire.files import file_to_proto, publication_to_proto
from gaia_core.wire.model import (
    commands_to_plain,
    steps_to_plain,
    struct_to_properties,
)
from gaia_core.workflow.interface import all_of
from gaia_core.workflow.keys import is_tree
from gaia_core.workflow.parse import name_problems, parse_properties, read_commands, read_steps
from gaia_core.workflow.states import FlowState, StepState

log = logging.getLogger(__name__)

MESSAGE_BYTES_MAX: Final = 64 * 1024 * 1024
"""About 200,000 Steps in one upload. Larger workflows are merged in parts."""

CHUNK_BYTES: Final = 1024 * 1024

REFUSAL_KEY: Final = "gaia-refusal-bin"
"""Trailing metadata that holds the Refusal of a call that was refused."""


class Launcher(Protocol):
    """Starts workers where the server runs."""

    def launch(self, names: Sequence[str], metadata: Mapping[str, Any]) -> None:
        """Start one worker for each name.

        Raises:
            GaiaError: they cannot be started here.
        """

    def close(self) -> None:
        """End the workers that were started and wait for them."""


TEXT_MAX: Final = 1_000
"""Characters of one text of a refusal."""

REFUSAL_BYTES_MAX: Final = 4_500
"""gRPC clients take 8 KiB of metadata unless they were told otherwise; on the wire this is a third more."""

DETAILS_MAX: Final = 150
"""Characters of the status message: each may take twelve bytes there, and the whole is in the Refusal."""

LEADER_KEY: Final = "gaia-leader"
"""Trailing metadata by which a standby names the leader's address."""

REFUSAL_LIMIT_KEY: Final = "gaia-refusal-bytes-max"
"""Metadata by which a client says that it takes larger refusals."""


WATCHED_UID_KEY: Final = "gaia-watched-uid"
"""Initial metadata of a watch, which say that it has begun: the uid of the workflow, 0 for all."""

LATEST_SEQUENCE_KEY: Final = "gaia-latest-sequence"
"""Beside it: the number of the workflow's latest event by then, so that a watch can be begun again without a gap."""


class GaiaService(api_pb2_grpc.GaiaServicer):
    """Every method of service gaia.v1.Gaia."""

    def __init__(self, desk: Desk, store: Store, launcher: Launcher) -> None:
        self._desk = desk
        self._pace = Pace()
        self._data = DataSpace(store)
        self._launcher = launcher

    async def Workflows(self, request: pb.WorkflowsRequest, context: Any) -> pb.WorkflowsResponse:
        """List workflows."""
        known = [state.value for state in FlowState]
        _refuse(_state_problems({"state": request.state} if request.state else {}, known))
        lines = await self._ask(rq.ListWorkflows(request.prefix, request.owner, request.state))
        return pb.WorkflowsResponse(workflows=[summary_message(line) for line in lines])

    async def Upload(self, request: pb.UploadRequest, context: Any) -> pb.UploadResponse:
        """Create a workflow."""
        properties, problems = parse_properties(struct_to_properties(request.properties))
        commands = read_commands(commands_to_plain(request.commands))
        steps = read_steps(steps_to_plain(request.steps))
        if problems or commands.problems or steps.problems or request.check_only:
            await self._ask(rq.CheckUpload(request.workflow, commands, steps, tuple(problems)))
            return pb.UploadResponse()
        upload = rq.Upload(request.workflow, properties, tuple(commands.items), tuple(steps.items), _identity(request))
        return pb.UploadResponse(diff=diff_message(await self._ask(upload)))

    async def Command(self, request: pb.CommandRequest, context: Any) -> pb.CommandResponse:
        """Add or list Commands."""
        commands = read_commands(commands_to_plain(request.commands))
        if commands.problems or request.check_only:
            await self._ask(rq.CheckCommands(request.workflow, commands, _expected(request)))
            return pb.CommandResponse()
        change = rq.SetCommands(request.workflow, tuple(commands.items), _identity(request), _expected(request))
        answer = await self._ask(change)
        return pb.CommandResponse(commands=command_messages(answer.commands), diff=diff_message(answer.diff))

    async def Merge(self, request: pb.MergeRequest, context: Any) -> pb.MergeResponse:
        """Add or update Steps."""
        steps = read_steps(steps_to_plain(request.steps))
        if steps.problems or request.check_only:
            await self._ask(rq.CheckSteps(request.workflow, steps, request.prune, _expected(request)))
            return pb.MergeResponse()
        change = rq.Merge(
            request.workflow,
            tuple(steps.items),
            _identity(request),
            _expected(request),
            only_changed=request.only_changed,
            prune=request.prune,
        )
        return pb.MergeResponse(diff=diff_message(await self._ask(change)))

    async def Remove(self, request: pb.RemoveRequest, context: Any) -> pb.RemoveResponse:
        """Take Steps out."""
        change = rq.Remove(request.workflow, tuple(request.names), _identity(request), _expected(request))
        return pb.RemoveResponse(diff=diff_message(await self._ask(change)))

    async def Delete(self, request: pb.DeleteRequest, context: Any) -> pb.DeleteResponse:
        """Forget a workflow."""
        change = rq.Delete(request.workflow, request.data, _identity(request), _expected(request))
        return pb.DeleteResponse(workflow=(await self._ask(change)).workflow)

    async def Run(self, request: pb.RunRequest, context: Any) -> pb.RunResponse:
        """Resume a workflow."""
        answer = await self._ask(rq.Run(request.workflow, _identity(request), _expected(request)))
        return pb.RunResponse(workflow=answer.workflow, state=answer.state)

    async def Halt(self, request: pb.HaltRequest, context: Any) -> pb.HaltResponse:
        """Halt a workflow."""
        answer = await self._ask(rq.Halt(request.workflow, _identity(request), _expected(request)))
        return pb.HaltResponse(workflow=answer.workflow, state=answer.state)

    async def Status(self, request: pb.StatusRequest, context: Any) -> pb.StatusResponse:
        """Tell how a workflow stands."""
        message = status_message(await self._ask(rq.GetStatus(request.workflow)))
        if request.debug:
            page = rq.ListSteps(request.workflow, page_start=request.page_start, page_size=request.page_size)
            steps, following = await self._ask(page)
            workers = worker_messages(await self._ask(rq.ListWorkers()))
            message.debug.CopyFrom(pb.Debug(steps=step_messages(steps), next_page_start=following, workers=workers))
        return message

    async def Steps(self, request: pb.StepsRequest, context: Any) -> pb.StepsResponse:
        """List Steps, in pages."""
        states = {f"states[{number}]": state for number, state in enumerate(request.states)}
        _refuse(_state_problems(states, [state.word for state in StepState]))
        page = rq.ListSteps(
            request.workflow,
            request.prefix,
            tuple(request.states),
            request.command,
            request.page_start,
            request.page_size,
        )
        steps, following = await self._ask(page)
        return pb.StepsResponse(steps=step_messages(steps), next_page_start=following)

    async def Explain(self, request: pb.ExplainRequest, context: Any) -> pb.ExplainResponse:
        """Tell why Steps wait, ran or will run."""
        told, truncated = await self._ask(rq.Explain(request.workflow, request.step))
        return pb.ExplainResponse(steps=[explanation_message(one) for one in told], truncated=truncated)

    async def Workers(self, request: pb.WorkersRequest, context: Any) -> pb.WorkersResponse:
        """List the workers."""
        return pb.WorkersResponse(workers=worker_messages(await self._ask(rq.ListWorkers())))

    async def Watch(self, request: pb.WatchRequest, context: Any) -> AsyncIterator[pb.WatchResponse]:
        """Follow workflows."""
        role = self._desk.present
        uid = await asyncio.wrap_future(role.submit(rq.GetUid("" if request.workflow_uid else request.workflow)))
        uid = uid or request.workflow_uid
        await asyncio.wrap_future(role.settled())
        with watching(role.watchers, self._pace, uid, request) as watch:
            begun = ((WATCHED_UID_KEY, str(uid)), (LATEST_SEQUENCE_KEY, str(watch.latest)))
            await context.send_initial_metadata(begun)
            async for response in watch.responses:
                yield response

    async def Expire(self, request: pb.ExpireRequest, context: Any) -> pb.ExpireResponse:
        """Make Steps and Keys be made again."""
        names = tuple(request.names)
        if request.plan:
            return expired_message(await self._ask(rq.PlanExpire(request.workflow, names, _expected(request))))
        change = rq.Expire(request.workflow, names, _identity(request), _expected(request))
        return expired_message(await self._ask(change))

    async def Launch(self, request: pb.LaunchRequest, context: Any) -> pb.LaunchResponse:
        """Start workers."""
        taken = {worker.name for worker in await self._ask(rq.ListWorkers())}
        _refuse(_launch_problems(request.names, taken))
        metadata = struct_to_properties(request.metadata)
        await asyncio.to_thread(self._launcher.launch, list(request.names), metadata)
        return pb.LaunchResponse(names=request.names)

    async def Put(self, request_iterator: AsyncIterator[pb.PutRequest], context: Any) -> pb.PutResponse:
        """Store one file."""
        first = await anext(aiter(request_iterator), None)
        if first is None or first.WhichOneof("part") != "header":
            raise InvalidWorkflow.of([Problem("header", "the first message must be the header")])
        workflow, key = first.header.workflow, first.header.key
        await self._ask(rq.CheckPut(workflow, (key,), ("header.key",)))
        if is_tree(key):
            raise InvalidWorkflow.of([Problem("header.key", f"{key!r} is a tree; put its files, then announce it")])
        with tempfile.TemporaryDirectory(prefix="gaia-put-") as folder:
            path = Path(folder) / "file"
            end = await _receive(request_iterator, path)
            stored = await asyncio.to_thread(self._data.put, workflow, key, path, end.sha256)
        try:
            await self._ask(rq.Arrive(workflow, (stored,)))
        except RequestError:  # the workflow was deleted meanwhile, or a Step writes the Key now
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
        return pb.ListResponse(files=[file_to_proto(file) for file in files], truncated=truncated)

    async def Inputs(self, request: pb.InputsRequest, context: Any) -> AsyncIterator[pb.InputsResponse]:
        """Tell a worker the sources of an attempt's inputs, in pages."""
        inputs = await self._ask(rq.GetInputs(request.workflow_uid, request.step, request.attempt))
        for one in inputs:
            for page in _pages(one.sources, 1000):
                yield pb.InputsResponse(name=one.name, sources=[publication_to_proto(source) for source in page])

    async def _ask(self, request: rq.Request) -> Any:
        """Submit a request and wait for its answer."""
        return await asyncio.wrap_future(self._desk.submit(request))


class ErrorInterceptor(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]
    """Turns our errors into status codes with a Refusal, checks the token, and logs one line a call."""

    def __init__(self, token: str) -> None:
        self._token = f"Bearer {token}" if token else ""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the method's handler."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith(("/grpc.health", "/grpc.reflection")):
            return handler
        given = dict(handler_call_details.invocation_metadata or ()).get("authorization", "")
        allowed = not self._token or _same(str(given), self._token)
        wrap = _stream_wrapper if handler.response_streaming else _unary_wrapper
        return _rebuild(handler, wrap(_behaviour(handler), method, allowed))


def _behaviour(handler: Any) -> Any:
    return handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream


def _rebuild(handler: Any, behaviour: Any) -> Any:
    """Return a handler of the same kind around another behaviour."""
    kinds = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    make = kinds[handler.request_streaming, handler.response_streaming]
    return make(behaviour, handler.request_deserializer, handler.response_serializer)


def _unary_wrapper(behaviour: Any, method: str, allowed: bool) -> Any:
    async def call(request: Any, context: Any) -> Any:
        try:
            _check(allowed)
            return await behaviour(request, context)
        except Exception as error:  # noqa: BLE001
            await _abort(context, method, error)

    return call


def _stream_wrapper(behaviour: Any, method: str, allowed: bool) -> Any:
    async def call(request: Any, context: Any) -> AsyncIterator[Any]:
        try:
            _check(allowed)
            async for message in behaviour(request, context):
                yield message
        except Exception as error:  # noqa: BLE001
            await _abort(context, method, error)

    return call


def _check(allowed: bool) -> None:
    if not allowed:
        raise NotAuthorized("The token is missing or wrong.", hint="set GAIA_TOKEN to the server's token")


def _same(one: str, other: str) -> bool:
    """Compare without telling by the time taken where they differ."""
    return hashlib.sha256(one.encode()).digest() == hashlib.sha256(other.encode()).digest()


async def _abort(context: Any, method: str, error: Exception) -> None:
    """End a call with the status of an error."""
    if isinstance(error, grpc.aio.AbortError):
        raise error
    if not isinstance(error, GaiaError):
        log.error("a call broke", extra={"method": method}, exc_info=error)
        error = Bug("The server broke while it answered; its log says more.")
    refusal = pb.Refusal(
        error=type(error).__name__,
        message=_cut(error.message),
        hint=_cut(error.hint),
        problems=[pb.Problem(place=_cut(one.place), message=_cut(one.message)) for one in error.problems],
    )
    log.info("refused", extra={"method": method, "error": refusal.error, "cause": error.message})
    asked = dict(context.invocation_metadata() or ()).get(REFUSAL_LIMIT_KEY, "")
    limit = int(asked) if asked.isdecimal() else REFUSAL_BYTES_MAX
    leader = error.leader if isinstance(error, NotLeading) else ""
    trailer = ((REFUSAL_KEY, _fit(refusal, limit)), *(((LEADER_KEY, leader),) if leader else ()))
    context.set_trailing_metadata(trailer)
    await context.abort(grpc.StatusCode[error.grpc_code], refusal.message[:DETAILS_MAX])


def _cut(text: str) -> str:
    """Return a text that fits into metadata; names of a megabyte are told by how they begin."""
    return text if len(text) <= TEXT_MAX else f"{text[:TEXT_MAX]}…"


def _fit(refusal: pb.Refusal, limit: int) -> bytes:
    """Serialize a refusal into what the client's metadata may hold, dropping the last problems."""
    while len(refusal.problems) > 1 and refusal.ByteSize() > limit:
        del refusal.problems[len(refusal.problems) * 3 // 4 :]
    return refusal.SerializeToString()


async def _receive(parts: AsyncIterator[pb.PutRequest], target: Path) -> pb.PutEnd:
    """Write a file's bytes to target and return its end."""
    with target.open("wb") as file:
        async for part in parts:
            if part.WhichOneof("part") == "end":
                return part.end
            await asyncio.to_thread(file.write, part.data)
    raise InvalidWorkflow.of([Problem("end", "the stream broke off; nothing was stored")])


def _identity(request: Any) -> rq.RequestId:
    """Return the id of a mutation and a digest of what it is and of everything else in it."""
    body = type(request)()
    body.CopyFrom(request)
    body.ClearField("request_id")
    return rq.RequestId(request.request_id, _digest(type(request).DESCRIPTOR.full_name, body))


def _expected(request: Any) -> int | None:
    """Return the revision that a change expects, if it says one."""
    return request.expected_revision if request.HasField("expected_revision") else None


def _state_problems(states: Mapping[str, str], there_are: Sequence[str]) -> list[Problem]:
    """Return a problem for each place with a state that is none."""
    known = dict.fromkeys(there_are)
    return [
        Problem(place, f"there is no state {state!r}{all_of(state, known)}")
        for place, state in states.items()
        if state not in known
    ]


def _digest(method: str, message: Message) -> bytes:
    return hashlib.sha256(method.encode() + message.SerializeToString(deterministic=True)).digest()[:16]


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        raise InvalidWorkflow.of(problems)


def _launch_problems(names: Sequence[str], taken: set[str]) -> list[Problem]:
    problems = [] if names else [Problem("names", "name at least one worker")]
    for number, name in enumerate(names):
        place = f"names[{number}]"
        wrong = name_problems(name, place)
        problems += wrong
        if not wrong and (name in taken or name in names[:number]):
            problems.append(Problem(place, f"a worker is named {name!r} already"))
    return problems


def _pages(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[at : at + size] for at in range(0, len(items), size))
