"""The gRPC service: protobuf to requests, answers to protobuf. Decides nothing."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final

from google.protobuf.message import Message

from gaia.v1 import api_pb2 as pb
from gaia_core.coordinator.desk import Desk
from gaia_core.errors import InvalidWorkflow, Problem
from gaia_core.machine import requests as rq
from gaia_core.ports import Store
from gaia_core.service.grpc_data import DataMethods
from gaia_core.service.launching import Launcher, name_list_problems
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
from gaia_core.wire.model import (
    commands_from_proto,
    commands_to_plain,
    steps_from_proto,
    steps_to_plain,
    struct_to_properties,
)
from gaia_core.workflow import validate
from gaia_core.workflow.interface import all_of
from gaia_core.workflow.parse import parse_properties, parse_workflow, sound_commands, sound_steps
from gaia_core.workflow.states import FlowState, StepState

WATCHED_UID_KEY: Final = "gaia-watched-uid"
"""Initial metadata of a watch, which say that it has begun: the uid of the workflow, 0 for all."""

LATEST_SEQUENCE_KEY: Final = "gaia-latest-sequence"
"""Beside it: the number of the workflow's latest event by then, so that a watch can be begun again without a gap."""


class GaiaService(DataMethods):
    """Every method of service gaia.v1.Gaia."""

    def __init__(self, desk: Desk, store: Store, launcher: Launcher) -> None:
        super().__init__(desk, store)
        self._pace = Pace()
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
        commands, wrong_commands = commands_from_proto(request.commands)
        steps, wrong_steps = steps_from_proto(request.steps)
        if wrong_commands or wrong_steps:
            plain = commands_to_plain(request.commands), steps_to_plain(request.steps)
            problems += parse_workflow(*plain, validate.check).problems
        _refuse(problems)
        upload = rq.Upload(request.workflow, properties, tuple(commands), tuple(steps), _identity(request))
        return pb.UploadResponse(diff=diff_message(await self._ask(upload)))

    async def Command(self, request: pb.CommandRequest, context: Any) -> pb.CommandResponse:
        """Add or list Commands."""
        commands, problems = commands_from_proto(request.commands)
        if problems or request.check_only:
            sound = sound_commands(commands_to_plain(request.commands))
            _refuse([*problems, *sound.moved(await self._ask(rq.CheckCommands(request.workflow, tuple(sound.items))))])
            return pb.CommandResponse()
        change = rq.SetCommands(request.workflow, tuple(commands), _identity(request), _expected(request))
        answer = await self._ask(change)
        return pb.CommandResponse(commands=command_messages(answer.commands), diff=diff_message(answer.diff))

    async def Merge(self, request: pb.MergeRequest, context: Any) -> pb.MergeResponse:
        """Add or update Steps."""
        steps, problems = steps_from_proto(request.steps)
        if problems or request.check_only:
            sound = sound_steps(steps_to_plain(request.steps))
            check = rq.CheckSteps(request.workflow, tuple(sound.items), request.prune)
            _refuse([*problems, *sound.moved(await self._ask(check))])
            return pb.MergeResponse()
        change = rq.Merge(
            request.workflow,
            tuple(steps),
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
        uid = await asyncio.wrap_future(role.submit(_watched(request))) or request.workflow_uid
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
        _refuse(name_list_problems(request.names, taken))
        metadata = struct_to_properties(request.metadata)
        await asyncio.to_thread(self._launcher.launch, list(request.names), metadata)
        return pb.LaunchResponse(names=request.names)


def _identity(request: Any) -> rq.RequestId:
    """Return the id of a mutation and a digest of what it is and of everything else in it."""
    body = type(request)()
    body.CopyFrom(request)
    body.ClearField("request_id")
    return rq.RequestId(request.request_id, _digest(type(request).DESCRIPTOR.full_name, body))


def _watched(request: pb.WatchRequest) -> rq.GetUid:
    """Return what asks for the workflow that is to be watched, and for the Steps of it; of one begun again, for neither.

    Raises:
        InvalidWorkflow: Steps of no workflow are to be watched.
    """
    if request.workflow_uid:
        return rq.GetUid("")
    if request.steps and not request.workflow:
        _refuse([Problem("steps", "name the workflow that they are Steps of")])
    return rq.GetUid(request.workflow, tuple(request.steps))


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
