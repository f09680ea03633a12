"""The original Gaia's verbs over HTTP: a POST in, a reply or a refusal out, in time. Decides nothing.

Every refusal is 400 {"error": …}, whatever its kind, as in the original. Where nobody is at fault but us it is 503 or
500, with the same body.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gaia_core.coordinator.desk import Submit
from gaia_core.errors import Bug, GaiaError, InvalidWorkflow, Problem, RequestError, Unavailable
from gaia_core.machine import requests as rq
from gaia_core.service import json_bodies
from gaia_core.service.original_verbs import VERBS, Verb, read_body
from gaia_core.service.reception import Held, Reception
from gaia_core.workflow.validate import PROBLEMS_MAX

log = logging.getLogger(__name__)

Result = TypeVar("Result")

REPLY_S: Final = 4.0
"""A reply leaves so long after its request at the latest: the original client gives up after five seconds."""

PATHS: Final = frozenset(f"/{name}" for name in VERBS)


class PlainReply(JSONResponse):
    """JSON that a terminal shows well; a character that is no text is written as JSON's escape."""

    def render(self, content: Any) -> bytes:
        """Return the bytes of a reply."""
        return f"{json.dumps(content, ensure_ascii=False)}\n".encode("utf-8", "backslashreplace")


def refused(words: str, status: int) -> PlainReply:
    """Return a refusal."""
    return PlainReply({"error": words}, status)


def routes(submit: Submit, reception: Reception, reply_s: float = REPLY_S) -> list[Route]:
    """Return a route for each verb.

    Args:
        submit: hands a request to the coordinator.
        reception: where bodies are read.
        reply_s: after how long a call is answered, whether or not the coordinator did.
    """
    return [
        Route(f"/{name}", _endpoint(f"/{name}", verb, submit, reception, reply_s), methods=["POST"])
        for name, verb in VERBS.items()
    ]


def _endpoint(path: str, verb: Verb, submit: Submit, reception: Reception, reply_s: float) -> Callable[[Request], Any]:
    async def call(request: Request) -> Response:
        try:
            with reception.hold() as held:
                raw = await json_bodies.receive(request, held)
                until = asyncio.get_running_loop().time() + reply_s
                body, requests, problems = await _in_time(held, lambda: _read(verb, raw), until)
                if problems:
                    find = verb.check
                    if find is not None:
                        check = await _in_time(held, lambda: find(body, problems), until)
                        await _ask(submit, [check], until)
                    raise InvalidWorkflow.of(problems)
                return PlainReply(verb.reply(body, *await _ask(submit, requests, until)))
        except Exception as error:  # noqa: BLE001 - every end of a call is a reply
            return _refusal(path, verb, error)

    return call


def _read(verb: Verb, raw: bytes) -> tuple[Any, list[rq.Request], list[Problem]]:
    """Return what a body says, the requests that it stands for, and what is wrong with its form.

    Raises:
        RequestError: it is refused.
    """
    body = json_bodies.decode(raw)
    return body, *read_body(verb, body)


async def _in_time(held: Held, read: Callable[[], Result], until: float) -> Result:
    """Return what a function makes of a body.

    Raises:
        RequestError: it is refused.
        Unavailable: reading it takes too long.
    """
    try:
        async with asyncio.timeout_at(until):
            return await held.read(read)
    except TimeoutError:
        hint = "upload a part, then merge the rest; or use gRPC, which waits"
        raise Unavailable("The body could not be read in time; nothing was changed.", hint=hint) from None


async def _ask(submit: Submit, requests: Sequence[rq.Request], until: float) -> list[Any]:
    """Hand requests to the coordinator and return their answers.

    Raises:
        GaiaError: one was refused, or there is no answer in time; whether it is done then, the message says.
    """
    submitted = [submit(request) for request in requests]
    try:
        async with asyncio.timeout_at(until):
            return await asyncio.gather(*map(asyncio.wrap_future, submitted))
    except TimeoutError:
        withdrawn = all(one.cancel() for one in submitted)
    if withdrawn:
        raise Unavailable("The coordinator is too busy; nothing was changed.", hint="try again in a few seconds")
    raise Unavailable(
        "The coordinator is still at work on this, so it is not known yet whether it will be done.",
        hint="ask for the status before sending it again",
    )


def _refusal(path: str, verb: Verb, error: Exception) -> PlainReply:
    """Return an error as a reply: everything that is wrong, each with its place."""
    if not isinstance(error, GaiaError):
        log.error("a call broke", extra={"method": path}, exc_info=error)
        error = Bug("The server broke while it answered; its log says more.")
    log.info("refused", extra={"method": path, "error": type(error).__name__, "cause": error.message})
    status = RequestError.http_status if isinstance(error, RequestError) else error.http_status
    shown = [_placed(problem, verb) for problem in error.problems[:PROBLEMS_MAX]]
    if len(error.problems) > len(shown):
        shown.append(Problem("", f"… and {len(error.problems) - len(shown)} more"))
    reply = refused(str(GaiaError(error.message, hint=error.hint, problems=shown)), status)
    if isinstance(error, Unavailable):
        reply.headers["Retry-After"] = str(error.retry_s)
    return reply


def _placed(problem: Problem, verb: Verb) -> Problem:
    """Return a problem whose place has the names of the verb's body."""
    if problem.place.startswith("names["):
        return Problem(f"{verb.names_field}{problem.place.removeprefix('names')}", problem.message)
    return problem
