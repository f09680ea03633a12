"""Answers that wait until their requests have been received, as long as that has an end."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from starlette.responses import PlainTextResponse

from gaia_core.service.late_bodies import LateBodies

MORE = {"type": "http.request", "body": b"12345", "more_body": True}
LAST = {"type": "http.request", "body": b"12345", "more_body": False}
GONE = {"type": "http.disconnect"}


def answered_after(said: Iterator[dict[str, Any]]) -> int:
    """Let a client say things and then nothing; return after how many of them it was answered."""
    heard = 0

    async def says() -> AsyncIterator[dict[str, Any]]:
        nonlocal heard
        for message in said:
            heard += 1
            yield message
        await asyncio.Event().wait()

    async def run() -> list[str]:
        messages, sent = says(), []

        async def send(message: Any) -> None:
            sent.append(message["type"])

        app = LateBodies(PlainTextResponse("no"), silence_s=0.01, bytes_max=20)
        await app({"type": "http", "method": "POST"}, lambda: anext(messages), send)
        return sent

    assert asyncio.run(run()) == ["http.response.start", "http.response.body"]
    return heard


@pytest.mark.parametrize(
    ("said", "count"),
    [([LAST], 1), ([MORE, MORE, LAST, LAST], 3), ([MORE, GONE], 2), ([MORE, MORE], 2), ([], 0), ([MORE] * 9, 5)],
    ids=["whole", "parts", "gone", "silent", "nothing", "endless"],
)
def test_an_answer_waits_for_the_end_of_the_body(said: list[dict[str, Any]], count: int) -> None:
    """All of a body is received before it is answered, unless its sender falls silent or goes on for too long."""
    assert answered_after(iter(said)) == count
