"""What is left of a body when its request is answered already: read and thrown away, so that the answer arrives.

A server that answers and closes while the client still sends resets the connection, and the client never sees why.
"""

import asyncio
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gaia_core.service.limits import MESSAGE_BYTES_MAX

THROWN_AWAY_BYTES_MAX: Final = 4 * MESSAGE_BYTES_MAX
"""Whoever sends even more may be cut off."""

SILENCE_S: Final = 1.0
"""Who sends without a pause is not silent for so long; nobody else needs this."""


class LateBodies:
    """Holds the answers of an application back until their requests have been received.

    Args:
        silence_s: a sender that says nothing for so long gets the answer before.
        bytes_max: so does one that sends more than this.
    """

    def __init__(self, app: ASGIApp, silence_s: float = SILENCE_S, bytes_max: int = THROWN_AWAY_BYTES_MAX) -> None:
        self._app = app
        self._silence_s = silence_s
        self._bytes_max = bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        ended = False

        async def watched_receive() -> Message:
            nonlocal ended
            message = await receive()
            ended = not message.get("more_body", False)
            return message

        async def patient_send(message: Message) -> None:
            nonlocal ended
            if not ended:
                await self._throw_away(watched_receive)
                ended = True
            await send(message)

        await self._app(scope, watched_receive, patient_send)

    async def _throw_away(self, receive: Receive) -> None:
        """Receive until the end of a body, or until there is no point in it."""
        received = 0
        message: Message = {"more_body": True}
        try:
            while message.get("more_body", False) and received <= self._bytes_max:
                async with asyncio.timeout(self._silence_s):
                    message = await receive()
                received += len(message.get("body", b""))
        except TimeoutError:
            return
