"""Messages of the API to requests of the machine, each with what is wrong with its form. Pure; may take seconds."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from gaia.v1 import api_pb2 as pb
from gaia_core.errors import InvalidWorkflow, Problem
from gaia_core.machine import requests as rq
from gaia_core.wire.model import (
    commands_to_plain,
    steps_to_plain,
    struct_to_properties,
)
from gaia_core.workflow import parse
from gaia_core.workflow.interface import all_of
from gaia_core.workflow.parse import parse_properties

ID_BYTES_MAX: Final = 128
"""Of a request's id: a UUID has 36. It is kept for a day, in memory and in the journal."""


def read_upload(request: pb.UploadRequest) -> rq.Upload | rq.CheckUpload:
    """Return what creates a workflow, or tells why it may not be."""
    properties, problems = parse_properties(struct_to_properties(request.properties))
    commands = parse.read_commands(commands_to_plain(request.commands))
    steps = parse.read_steps(steps_to_plain(request.steps))
    if problems or commands.problems or steps.problems or request.check_only:
        return rq.CheckUpload(request.workflow, commands, steps, tuple(problems))
    return rq.Upload(request.workflow, properties, tuple(commands.items), tuple(steps.items), identity(request))


def read_commands(request: pb.CommandRequest) -> rq.SetCommands | rq.CheckCommands:
    """Return what sets Commands, or tells why they may not be."""
    commands = parse.read_commands(commands_to_plain(request.commands))
    if commands.problems or request.check_only:
        return rq.CheckCommands(request.workflow, commands, _expected(request))
    return rq.SetCommands(request.workflow, tuple(commands.items), identity(request), _expected(request))


def read_merge(request: pb.MergeRequest) -> rq.Merge | rq.CheckSteps:
    """Return what merges Steps, or tells why they may not be."""
    steps = parse.read_steps(steps_to_plain(request.steps))
    if steps.problems or request.check_only:
        return rq.CheckSteps(request.workflow, steps, request.prune, _expected(request))
    return rq.Merge(
        request.workflow,
        tuple(steps.items),
        identity(request),
        _expected(request),
        only_changed=request.only_changed,
        prune=request.prune,
    )


def read_remove(request: pb.RemoveRequest) -> rq.Remove:
    """Return what takes Steps out."""
    return rq.Remove(request.workflow, tuple(request.names), identity(request), _expected(request))


def read_delete(request: pb.DeleteRequest) -> rq.Delete:
    """Return what forgets a workflow."""
    return rq.Delete(request.workflow, request.data, identity(request), _expected(request))


def read_run(request: pb.RunRequest) -> rq.Run:
    """Return what resumes a workflow."""
    return rq.Run(request.workflow, identity(request), _expected(request))


def read_halt(request: pb.HaltRequest) -> rq.Halt:
    """Return what halts a workflow."""
    return rq.Halt(request.workflow, identity(request), _expected(request))


def read_expire(request: pb.ExpireRequest) -> rq.Expire | rq.PlanExpire:
    """Return what makes Steps and Keys be made again, or tells which would be."""
    names = tuple(request.names)
    if request.plan:
        return rq.PlanExpire(request.workflow, names, _expected(request))
    return rq.Expire(request.workflow, names, identity(request), _expected(request))


def read_drain(request: pb.DrainRequest) -> rq.Drain:
    """Return what asks workers to leave."""
    return rq.Drain(tuple(request.names), identity(request))


def read_watched(request: pb.WatchRequest) -> rq.GetUid:
    """Return what asks for the workflow that is to be watched, and for Steps of it; a watch begun again needs neither.

    Raises:
        InvalidWorkflow: Steps of no workflow are to be watched.
    """
    if request.workflow_uid:
        return rq.GetUid("")
    if request.steps and not request.workflow:
        refuse([Problem("steps", "name the workflow that they are Steps of")])
    return rq.GetUid(request.workflow, tuple(request.steps))


def id_problems(request_id: str) -> list[Problem]:
    """Return what is wrong with the id of a request; "" is none."""
    if len(request_id) <= ID_BYTES_MAX and request_id.isascii() and request_id.isprintable():
        return []
    return [Problem("request_id", f"must be at most {ID_BYTES_MAX} printable ASCII characters")]


def state_problems(states: Mapping[str, str], there_are: Sequence[str]) -> list[Problem]:
    """Return a problem for each place with a state that is none."""
    known = dict.fromkeys(there_are)
    return [
        Problem(place, f"there is no state {state!r}{all_of(state, known)}")
        for place, state in states.items()
        if state not in known
    ]


def refuse(problems: Sequence[Problem]) -> None:
    """Refuse a request that has problems.

    Raises:
        InvalidWorkflow: it has.
    """
    if problems:
        raise InvalidWorkflow.of(problems)


def identity(request: Any) -> rq.RequestId:
    """Return the id of a mutation and a digest of what it is and of everything else in it."""
    body = type(request)()
    body.CopyFrom(request)
    body.ClearField("request_id")
    method = type(request).DESCRIPTOR.full_name
    digest = hashlib.sha256(method.encode() + body.SerializeToString(deterministic=True)).digest()[:16]
    return rq.RequestId(request.request_id, digest)


def _expected(request: Any) -> int | None:
    """Return the revision that a change expects, if it says one."""
    return request.expected_revision if request.HasField("expected_revision") else None
