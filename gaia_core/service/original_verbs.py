"""What the original Gaia's verbs mean here: JSON bodies to requests of the machine, its answers to JSON. Pure.

Source: `gaia` 0.0.9 on PyPI, which sends these bodies, and src/gaia/core.clj of its server, which gave these replies.
Called by `verb_calls`, which does all that waits.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from gaia_core.errors import InvalidWorkflow, Problem
from gaia_core.machine import requests as rq
from gaia_core.machine.answers import CommandsAnswer
from gaia_core.machine.diff import Diff
from gaia_core.service.plain_replies import commands_by_name, debug_plain, status_plain, summary_plain
from gaia_core.workflow.interface import all_of
from gaia_core.workflow.parse import (
    at,
    name_problems,
    parse_commands,
    parse_properties,
    parse_steps,
    parse_workflow,
    read_commands,
    read_steps,
)
from gaia_core.workflow.views import PAGE_STEPS_MAX

Body = Mapping[str, Any]
Reply = dict[str, Any]


class Verb(NamedTuple):
    """One verb.

    Attributes:
        fields: what its body may hold.
        read: makes the requests of a body and finds what is wrong with it; called only with allowed fields.
        reply: makes the reply of a body and the answers to its requests.
        names_field: the field that the machine's places call "names".
        check: what to ask about a body that has problems of form, so that all come together in its refusal.
    """

    fields: tuple[str, ...]
    read: Callable[[Body], tuple[list[rq.Request], list[Problem]]]
    reply: Callable[..., Reply]
    names_field: str = "names"
    check: Callable[[Body, list[Problem]], rq.Request] | None = None


def read_body(verb: Verb, body: object) -> tuple[list[rq.Request], list[Problem]]:
    """Return the requests that a body stands for, and every problem of its form.

    Raises:
        InvalidWorkflow: it is no map.
    """
    if not isinstance(body, Mapping):
        raise InvalidWorkflow.of([Problem("", f"the body must be a map of {', '.join(verb.fields) or 'nothing'}")])
    problems = [*_unknown_fields(verb, body), *_workflow_problems(verb, body)]
    requests, wrong = verb.read(body)
    return requests, problems + wrong


def _unknown_fields(verb: Verb, body: Body) -> list[Problem]:
    """Return a problem for each field that the verb does not know, with what there is instead."""
    known = dict.fromkeys(verb.fields)
    return [
        Problem(at("", field), f"is unknown{all_of(field, known) if known else '; the body is {}'}")
        for field in body
        if field not in known
    ]


def _workflow_problems(verb: Verb, body: Body) -> list[Problem]:
    if "workflow" not in verb.fields:
        return []
    return name_problems(body["workflow"]) if "workflow" in body else [Problem("", "'workflow' is missing")]


def _command(body: Body) -> tuple[list[rq.Request], list[Problem]]:
    commands, problems = parse_commands(body.get("commands", ()))
    return [rq.SetCommands(body.get("workflow", ""), tuple(commands))], problems


def _command_reply(_: Body, answer: CommandsAnswer) -> Reply:
    return {"commands": commands_by_name(answer.commands)}


def _check_commands(body: Body, problems: list[Problem]) -> rq.Request:
    return rq.CheckCommands(_name(body), read_commands(body.get("commands", ()))._replace(problems=problems))


def _check_steps(body: Body, problems: list[Problem]) -> rq.Request:
    return rq.CheckSteps(_name(body), read_steps(body.get("steps", ()))._replace(problems=problems))


def _check_upload(body: Body, problems: list[Problem]) -> rq.Request:
    commands, steps = read_commands(body.get("commands", ())), read_steps(body.get("steps", ()))
    return rq.CheckUpload(_name(body), commands._replace(problems=()), steps._replace(problems=problems))


def _name(body: Body) -> str | None:
    """Return the name of the workflow, or None where it cannot be understood."""
    name = body.get("workflow")
    return name if isinstance(name, str) else None


def _merge(body: Body) -> tuple[list[rq.Request], list[Problem]]:
    steps, problems = parse_steps(body.get("steps", ()))
    return [rq.Merge(body.get("workflow", ""), tuple(steps))], problems


def _merge_reply(_: Body, diff: Diff) -> Reply:
    return {"steps": diff.given}


def _upload(body: Body) -> tuple[list[rq.Request], list[Problem]]:
    given = body.get("commands", ()), body.get("steps", ())
    properties, problems = parse_properties(body.get("properties", {}))
    commands, steps, wrong = parse_workflow(*given)
    return [rq.Upload(body.get("workflow", ""), properties, tuple(commands), tuple(steps))], problems + wrong


def _upload_reply(body: Body, diff: Diff) -> Reply:
    return {"workflow": {body["workflow"]: diff.given}}


def _run(body: Body) -> tuple[list[rq.Request], list[Problem]]:
    return [rq.Run(body.get("workflow", ""))], []


def _halt(body: Body) -> tuple[list[rq.Request], list[Problem]]:
    return [rq.Halt(body.get("workflow", ""))], []


def _status(body: Body) -> tuple[list[rq.Request], list[Problem]]:
    workflow, debug = body.get("workflow", ""), body.get("debug")
    problems = [] if debug is None or isinstance(debug, bool) else [Problem("debug", "must be true or false")]
    requests: list[rq.Request] = [rq.GetStatus(workflow)]
    more: list[rq.Request] = [rq.ListSteps(workflow, page_size=PAGE_STEPS_MAX), rq.ListWorkers()]
    return [*requests, *more] if debug else requests, problems


def _status_reply(body: Body, status: Any, page: Any = None, workers: Any = None) -> Reply:
    plain = status_plain(status)
    if page is not None:
        plain["debug"] = debug_plain(page[0], page[1], workers)
    return {"workflow": body["workflow"], "status": plain}


def _expire(body: Body) -> tuple[list[rq.Request], list[Problem]]:
    if "expire" not in body:
        return [], [Problem("", "'expire' is missing")]
    names = body["expire"]
    if not isinstance(names, list):
        return [], [Problem("expire", "must be a list of Step names and Keys")]
    problems = [
        Problem(f"expire[{number}]", "must be a string, the name of a Step or a Key")
        for number, name in enumerate(names)
        if not isinstance(name, str)
    ]
    return [rq.Expire(body.get("workflow", ""), tuple(names))], problems


VERBS: Final[Mapping[str, Verb]] = {
    "command": Verb(("workflow", "commands"), _command, _command_reply, check=_check_commands),
    "merge": Verb(("workflow", "steps"), _merge, _merge_reply, check=_check_steps),
    "upload": Verb(("workflow", "properties", "commands", "steps"), _upload, _upload_reply, check=_check_upload),
    "run": Verb(("workflow",), _run, lambda body, _: {"run": body["workflow"]}),
    "halt": Verb(("workflow",), _halt, lambda body, _: {"halt": body["workflow"]}),
    "status": Verb(("workflow", "debug"), _status, _status_reply),
    "expire": Verb(("workflow", "expire"), _expire, lambda body, _: {"expire": body["expire"]}, names_field="expire"),
    "workflows": Verb(
        (),
        lambda _: ([rq.ListWorkflows()], []),
        lambda _, lines: {"workflows": {line.name: summary_plain(line) for line in lines}},
    ),
}
"""By the last part of their path."""
