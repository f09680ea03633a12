"""Calls of the verbs in time: a reply when the coordinator is slow, dead or broken, and bodies that are too much."""

import asyncio
import json
from collections.abc import AsyncIterator
from concurrent.futures import Future
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request

from gaia_core.errors import RequestError, Unavailable
from gaia_core.machine import requests as rq
from gaia_core.service import json_bodies, verb_calls
from gaia_core.service.limits import MESSAGE_BYTES_MAX
from gaia_core.service.reception import Reception
from tests.unit.coordinator.shard import Shard
from tests.unit.service.calls import Calls, Http

JSON = {"Content-Type": "application/json"}


def answer(submit: Any, verb: str = "halt", body: object = None, reply_s: float = 0.05) -> tuple[int, str]:
    """Call a verb of an impatient server; return status and words."""
    http = Http(Starlette(routes=verb_calls.routes(submit, Reception(), reply_s)))
    reply = http.post(f"/{verb}", json=body or {"workflow": "w"})
    return reply.status_code, reply.json()["error"]


def test_a_request_that_waits_too_long_is_taken_back() -> None:
    """When the coordinator does not get to it, the client is told so, and the coordinator never does it."""
    shard = Shard().open()
    shard.upload(name="w")
    status, words = answer(shard.loop.submit)
    assert (status, words.splitlines()[0]) == (503, "The coordinator is too busy; nothing was changed.")
    shard.turn()
    assert shard.state.workflows["w"].flow_state[0].value == "initialized"


def test_a_request_that_is_being_worked_on_is_not_called_undone() -> None:
    """What the coordinator has begun cannot be taken back; the client is told to look before it sends it again."""

    def submit(_: rq.Request) -> "Future[Any]":
        begun: Future[Any] = Future()
        begun.set_running_or_notify_cancel()
        return begun

    status, words = answer(submit)
    assert status == 503
    assert "it is not known yet whether" in words
    assert "ask for the status before sending it again" in words


def test_a_body_that_takes_too_long_to_read_changes_nothing() -> None:
    """A large body is read beside other calls, and given up in time, before anything is asked of the coordinator."""
    steps = [{"name": f"s{number}", "command": "c"} for number in range(20_000)]
    status, words = answer(pytest.fail, "merge", {"workflow": "w", "steps": steps}, reply_s=0.001)
    assert status == 503
    assert words.startswith("The body could not be read in time; nothing was changed.")


def test_a_coordinator_that_has_ended_is_unavailable() -> None:
    """A server that shuts down says so."""
    shard = Shard().open()
    shard.loop.intake.close()
    assert answer(shard.loop.submit) == (503, "The coordinator is shutting down.")


def test_our_own_mistake_is_500_without_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """A bug is logged with its traceback, and the client gets one line."""

    def submit(_: rq.Request) -> "Future[Any]":
        raise KeyError("oops")

    status, words = answer(submit)
    assert (status, words) == (500, "The server broke while it answered; its log says more.")
    assert any(record.exc_info for record in caplog.records)


def test_a_body_may_have_64_mib() -> None:
    """The limit of gRPC is that of HTTP: one byte more is refused, whether it is announced or just comes."""
    calls = Calls(Shard().loop.submit)
    announced = calls.refused_raw("run", b" " * (MESSAGE_BYTES_MAX + 1))
    assert announced.startswith(f"The body has more than {MESSAGE_BYTES_MAX} bytes; nothing was changed.")
    unannounced = calls.http.post("/run", content=mebibytes(65), headers=JSON)
    assert (unannounced.status_code, unannounced.json()["error"]) == (400, announced)


async def mebibytes(count: int) -> AsyncIterator[bytes]:
    """Yield so many MiB, without saying beforehand how many."""
    for _ in range(count):
        yield b" " * 2**20


def receive(*events: dict[str, Any]) -> bytes:
    """Receive a body whose sender says these things and then nothing more."""

    async def says() -> AsyncIterator[dict[str, Any]]:
        for event in events:
            yield event
        await asyncio.Event().wait()

    async def run() -> bytes:
        said = says()
        request = Request({"type": "http", "method": "POST", "headers": []}, lambda: anext(said))
        with Reception().hold() as held:
            return await json_bodies.receive(request, held, silence_s=0.01)

    return asyncio.run(run())


def test_a_body_is_all_its_parts() -> None:
    """Parts are put together until the last."""
    first = {"type": "http.request", "body": b'{"a"', "more_body": True}
    assert receive(first, {"type": "http.request", "body": b": 1}"}) == b'{"a": 1}'


@pytest.mark.parametrize(
    ("end", "words"), [([], "The body broke off"), ([{"type": "http.disconnect"}], "The client went away")]
)
def test_a_body_that_stops_coming_is_refused(end: list[dict[str, Any]], words: str) -> None:
    """A sender that falls silent or goes away is not waited for."""
    with pytest.raises(RequestError, match=words):
        receive({"type": "http.request", "body": b"{", "more_body": True}, *end)


def test_half_a_character_is_rendered_as_an_escape() -> None:
    """Whatever gets into a reply, the reply is UTF-8 and JSON."""
    rendered = verb_calls.PlainReply({"error": "\ud800 ü"}).body
    assert bytes(rendered) == b'{"error": "\\ud800 \xc3\xbc"}\n'
    assert json.loads(rendered) == {"error": "\ud800 ü"}


def test_unavailable_answers_keep_their_status() -> None:
    """What the surroundings refuse is no 400: the client has nothing to change."""

    def submit(_: rq.Request) -> "Future[Any]":
        broken: Future[Any] = Future()
        broken.set_exception(Unavailable("It is not known whether this was done.", hint="ask again"))
        return broken

    assert answer(submit) == (503, "It is not known whether this was done.\nhint: ask again")
