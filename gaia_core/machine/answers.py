"""Answers of mutations, and how the journal remembers them, so that a retry is answered as the first time."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gaia_core.errors import NotAllowedNow
from gaia_core.machine import requests as rq
from gaia_core.machine.archived import IsArchived
from gaia_core.machine.diff import Affected, Diff, Expired
from gaia_core.machine.state import Deployment
from gaia_core.workflow.model import Command

NAMES_REMEMBERED_MAX: Final = 1_000
"""A remembered answer with more names keeps none of them, and no reasons, so that the journal stays small."""


@dataclass(frozen=True, slots=True)
class CommandsAnswer:
    """All Commands of a workflow, and what a change of some led to."""

    commands: tuple[Command, ...]
    diff: Diff = field(default_factory=Diff)


@dataclass(frozen=True, slots=True)
class FlowAnswer:
    """A workflow and its state."""

    workflow: str
    state: str


@dataclass(frozen=True, slots=True)
class Refused:
    """What was accepted, and failed after that."""

    why: str


@dataclass(frozen=True, slots=True)
class WorkersAnswer:
    """Names of workers."""

    names: list[str]


def remembered(answer: object) -> str:
    """Return what is kept of an answer, as JSON: names and reasons only while they are few."""
    return json.dumps(_kept(answer), separators=(",", ":"))


def _kept(answer: object) -> Mapping[str, Any]:
    match answer:
        case CommandsAnswer():
            return _kept(answer.diff)
        case Diff(added=new) if 0 < len(new) <= NAMES_REMEMBERED_MAX and answer == _all_new(new, answer.revision):
            return {"new": new, "revision": answer.revision}
        case Diff():
            names = {
                "added": answer.added, "updated": answer.updated, "unchanged": answer.unchanged,
                "recomputed": answer.recomputed, "removed": answer.removed, "given": answer.given,
            }  # fmt: skip
            return {**_few(names, answer.reasons), "revision": answer.revision}
        case Expired():
            return _few({"steps": answer.steps, "keys": answer.keys}, answer.reasons)
        case FlowAnswer():
            return {"workflow": answer.workflow, "state": answer.state}
        case rq.Launched():
            return {"launched": answer.names}
        case Refused():
            return {"refused": answer.why}
        case WorkersAnswer():
            return {"names": answer.names}
    raise TypeError(f"no answer of a mutation: {answer!r}")


def again(state: Deployment, request: rq.Mutation, remembered: str) -> object:
    """Return the answer of a mutation that was carried out before.

    Raises:
        NotAllowedNow: it failed then.
    """
    kept: dict[str, Any] = json.loads(remembered)
    if "refused" in kept:
        raise NotAllowedNow(kept["refused"])
    if "new" in kept:
        return _all_new(kept["new"], kept["revision"])
    if "reasons" in kept:
        kept["reasons"] = [Affected(*each) for each in kept["reasons"]]
    match request:
        case rq.SetCommands():
            if request.workflow in state.archived:
                raise IsArchived(state.archived[request.workflow])
            workflow = state.workflows.get(request.workflow)
            return CommandsAnswer(tuple(workflow.commands.values()) if workflow is not None else (), Diff(**kept))
        case rq.Upload() | rq.Merge() | rq.Remove():
            return Diff(**kept)
        case rq.Expire():
            return Expired(**kept)
        case rq.Launch():
            return rq.Launched(tuple(kept["launched"]), is_new=False)
        case rq.Drain():
            return WorkersAnswer(**kept)
        case _:
            return FlowAnswer(**kept)


def _all_new(names: list[str], revision: int) -> Diff:
    """Return what an upload is answered, and a merge of nothing but new Steps."""
    return Diff(added=names, given=names, reasons=[Affected(name, "first") for name in names], revision=revision)


def _few(names: Mapping[str, list[str]], reasons: list[Affected]) -> dict[str, list[Any]]:
    """Return lists of names, and the reasons, while they are short, else empty ones."""
    if sum(map(len, names.values())) > NAMES_REMEMBERED_MAX:
        return {field: [] for field in names}
    plain: list[Any] = [[one.step, one.reason, one.upstream, one.key] for one in reasons]
    return {field: kept for field, kept in {**names, "reasons": plain}.items() if kept}
