"""The gRPC service: protobuf to requests, answers to protobuf. Decides nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, Final

from gaia.v1 import api_pb2 as pb
from gaia_core.coordinator.desk import Desk
from gaia_core.machine import requests as rq
from gaia_core.ports import Launcher, LogTap, Store
from gaia_core.service.grpc_data import DataMethods
from gaia_core.service.grpc_requests import (
    id_problems,
    identity,
    read_commands,
    read_delete,
    read_drain,
    read_expire,
    read_halt,
    read_merge,
    read_remove,
    read_run,
    read_upload,
    read_watched,
    refuse,
    state_problems,
)
from gaia_core.service.launching import Launching
from gaia_core.service.log_streams import LogStreams
from gaia_core.service.reception import Held, Reception
from gaia_core.service.replies import (
    command_messages,
    debug_message,
    diff_message,
    expired_message,
    explanation_message,
    status_message,
    step_messages,
    summary_message,
    worker_messages,
)
from gaia_core.service.watching import Pace, watching
from gaia_core.wire.model import struct_to_properties
from gaia_core.wire.public import progress_message
from gaia_core.wire.reports import cache_to_proto
from gaia_core.workflow.metadata import parse_metadata
from gaia_core.workflow.states import FlowState, StepState

WATCHED_UID_KEY: Final = "gaia-watched-uid"
"""Initial metadata of a watch, which say that it has begun: the uid of the workflow, 0 for all."""

LATEST_SEQUENCE_KEY: Final = "gaia-latest-sequence"
"""Beside it: the number of the workflow's latest event by then, so that a watch can be begun again without a gap."""

LOGS_BEGUN_KEY: Final = "gaia-logs"
"""Initial metadata of a stream of logs, which say that it has begun: it may have nothing to tell for long."""


class GaiaService(DataMethods):
    """Every method of service gaia.v1.Gaia."""

    def __init__(self, desk: Desk, store: Store, reception: Reception, launcher: Launcher, tap: LogTap) -> None:
        super().__init__(desk, store)
        self._logs = LogStreams(store, tap, self._ask)
        self._reception = reception
        self._pace = Pace()
        self._launching = Launching(launcher, self._ask)

    async def Workflows(self, request: pb.WorkflowsRequest, context: Any) -> pb.WorkflowsResponse:
        """List workflows."""
        known = [state.value for state in FlowState]
        refuse(state_problems({"state": request.state} if request.state else {}, known))
        lines = await self._ask(rq.ListWorkflows(request.prefix, request.owner, request.state))
        return pb.WorkflowsResponse(workflows=[summary_message(line) for line in lines])

    async def Upload(self, request: pb.UploadRequest, context: Any) -> pb.UploadResponse:
        """Create a workflow."""
        diff = await self._change(request, read_upload)
        return pb.UploadResponse(diff=diff_message(diff)) if diff is not None else pb.UploadResponse()

    async def Command(self, request: pb.CommandRequest, context: Any) -> pb.CommandResponse:
        """Add or list Commands."""
        answer = await self._change(request, read_commands)
        if answer is None:
            return pb.CommandResponse()
        return pb.CommandResponse(commands=command_messages(answer.commands), diff=diff_message(answer.diff))

    async def Merge(self, request: pb.MergeRequest, context: Any) -> pb.MergeResponse:
        """Add or update Steps."""
        diff = await self._change(request, read_merge)
        return pb.MergeResponse(diff=diff_message(diff)) if diff is not None else pb.MergeResponse()

    async def Remove(self, request: pb.RemoveRequest, context: Any) -> pb.RemoveResponse:
        """Take Steps out."""
        return pb.RemoveResponse(diff=diff_message(await self._change(request, read_remove)))

    async def Delete(self, request: pb.DeleteRequest, context: Any) -> pb.DeleteResponse:
        """Forget a workflow."""
        return pb.DeleteResponse(workflow=(await self._change(request, read_delete)).workflow)

    async def Run(self, request: pb.RunRequest, context: Any) -> pb.RunResponse:
        """Resume a workflow."""
        answer = await self._change(request, read_run)
        return pb.RunResponse(workflow=answer.workflow, state=answer.state)

    async def Halt(self, request: pb.HaltRequest, context: Any) -> pb.HaltResponse:
        """Halt a workflow."""
        answer = await self._change(request, read_halt)
        return pb.HaltResponse(workflow=answer.workflow, state=answer.state)

    async def Status(self, request: pb.StatusRequest, context: Any) -> pb.StatusResponse:
        """Tell how a workflow stands."""
        message = status_message(await self._ask(rq.GetStatus(request.workflow)))
        if request.debug:
            page = rq.ListSteps(request.workflow, page_start=request.page_start, page_size=request.page_size)
            steps, following = await self._ask(page)
            message.debug.CopyFrom(debug_message(steps, following, await self._ask(rq.ListWorkers())))
            self._add_progress(request.workflow, message.debug.steps)
            self._add_caches(message.debug.workers)
        return message

    async def Steps(self, request: pb.StepsRequest, context: Any) -> pb.StepsResponse:
        """List Steps, in pages."""
        states = {f"states[{number}]": state for number, state in enumerate(request.states)}
        refuse(state_problems(states, [state.word for state in StepState]))
        page = rq.ListSteps(
            request.workflow,
            request.prefix,
            tuple(request.states),
            request.command,
            request.page_start,
            request.page_size,
        )
        steps, following = await self._ask(page)
        response = pb.StepsResponse(steps=step_messages(steps), next_page_start=following)
        self._add_progress(request.workflow, response.steps)
        return response

    def _add_progress(self, workflow: str, steps: Iterable[pb.StepDebug]) -> None:
        """Add how far running Steps are; only a leader hears that."""
        board = self._desk.present.watchers.progress
        for step in steps:
            said = board.of(workflow, step.name, step.attempt) if step.state == StepState.RUNNING.word else None
            if said is not None:
                step.progress.CopyFrom(progress_message(said))

    async def Explain(self, request: pb.ExplainRequest, context: Any) -> pb.ExplainResponse:
        """Tell why Steps wait, ran or will run."""
        told, truncated = await self._ask(rq.Explain(request.workflow, request.step))
        return pb.ExplainResponse(steps=[explanation_message(one) for one in told], truncated=truncated)

    async def Workers(self, request: pb.WorkersRequest, context: Any) -> pb.WorkersResponse:
        """List the workers."""
        response = pb.WorkersResponse(workers=worker_messages(await self._ask(rq.ListWorkers())))
        self._add_caches(response.workers)
        return response

    def _add_caches(self, workers: Iterable[pb.WorkerDebug]) -> None:
        """Add what workers say of their caches; only a leader hears that."""
        board = self._desk.present.watchers.caches
        for worker in workers:
            said = board.of(worker.name)
            if said is not None:
                worker.cache.CopyFrom(cache_to_proto(said))

    async def Watch(self, request: pb.WatchRequest, context: Any) -> AsyncIterator[pb.WatchResponse]:
        """Follow workflows."""
        role = self._desk.present
        uid = await asyncio.wrap_future(role.submit(read_watched(request))) or request.workflow_uid
        await asyncio.wrap_future(role.settled())
        with watching(role.watchers, self._pace, uid, request) as watch:
            begun = ((WATCHED_UID_KEY, str(uid)), (LATEST_SEQUENCE_KEY, str(watch.latest)))
            await context.send_initial_metadata(begun)
            async for response in watch.responses:
                yield response

    async def Logs(self, request: pb.LogsRequest, context: Any) -> AsyncIterator[pb.LogsResponse]:
        """Read what attempts wrote, and what they write."""
        responses = await self._logs.begin(request)
        await context.send_initial_metadata(((LOGS_BEGUN_KEY, "1"),))
        async for response in responses:
            yield response

    async def Expire(self, request: pb.ExpireRequest, context: Any) -> pb.ExpireResponse:
        """Make Steps and Keys be made again, or tell which would be."""
        return expired_message(await self._change(request, read_expire))

    async def Launch(self, request: pb.LaunchRequest, context: Any) -> pb.LaunchResponse:
        """Start workers."""
        with self._received(request):
            metadata, problems = parse_metadata(struct_to_properties(request.metadata))
            await self._launching.launch(request.names, metadata, identity(request), problems)
        return pb.LaunchResponse(names=request.names)

    async def Drain(self, request: pb.DrainRequest, context: Any) -> pb.DrainResponse:
        """Ask workers to leave."""
        return pb.DrainResponse(names=(await self._change(request, read_drain)).names)

    async def _change(self, request: Any, read: Callable[[Any], rq.Request]) -> Any:
        """Read a request and wait for its answer."""
        with self._received(request) as held:
            return await self._ask(await held.read(lambda: read(request)))

    def _received(self, request: Any) -> AbstractContextManager[Held]:
        """Hold a request that may change something while it is read and answered.

        Raises:
            InvalidWorkflow: its id is none.
            Overloaded: there is no room for it.
        """
        refuse(id_problems(request.request_id))
        return self._reception.hold(request.ByteSize())
