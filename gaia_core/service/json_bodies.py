"""The body of an HTTP request, from the wire to plain JSON values: bounded, and refused in words when it is no JSON.

What the values mean is the caller's. Called by the verbs.
"""

import asyncio
import json
from typing import Any, Final

from starlette.requests import ClientDisconnect, Request

from gaia_core.errors import InvalidWorkflow, Problem, RequestError, TooLarge
from gaia_core.service.limits import MESSAGE_BYTES_MAX
from gaia_core.service.reception import Held

SILENCE_S: Final = 3.0
"""A sender that says nothing for so long gets an answer; the original client gives up after five seconds."""


async def receive(request: Request, held: Held, silence_s: float = SILENCE_S) -> bytes:
    """Return the bytes of a body, counting them as they come.

    Raises:
        Overloaded: there is no room for so large a one.
        TooLarge: it has more than 64 MiB.
        RequestError: it stopped coming.
    """
    _check_size(int(request.headers.get("content-length", 0)))
    parts: list[bytes] = []
    size = 0
    stream = aiter(request.stream())
    try:
        while True:
            async with asyncio.timeout(silence_s):
                part = await anext(stream, None)
            if part is None:
                return b"".join(parts)
            size += len(part)
            _check_size(size)
            held.grow(len(part))
            parts.append(part)
    except TimeoutError:
        raise RequestError("The body broke off; nothing was changed.", hint="send all of it") from None
    except ClientDisconnect:
        raise RequestError("The client went away before all of the body was here.") from None


def decode(body: bytes) -> Any:
    """Return what a body says.

    Raises:
        InvalidWorkflow: it is no JSON, or JSON that readers would understand differently.
    """
    try:
        return json.loads(body.decode(), object_pairs_hook=_unique, parse_constant=_no_number)
    except UnicodeDecodeError as problem:
        raise _refused(f"is not UTF-8 (byte {problem.start})") from None
    except json.JSONDecodeError as problem:
        where = f"line {problem.lineno}, column {problem.colno}"
        raise _refused(f"is no JSON: {problem.msg} ({where})" if body.strip() else "is empty; send {}") from None
    except _AmbiguousError as problem:
        raise _refused(str(problem)) from None
    except RecursionError:
        raise _refused("is nested too deeply") from None
    except ValueError:
        # The one other thing that json refuses: Source: https://docs.python.org/3/library/stdtypes.html#int-max-str-digits
        raise _refused("has a number of too many digits") from None


class _AmbiguousError(ValueError):
    """JSON that Python reads and others may not, or not in the same way."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a map, refusing one that gives a name twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise _AmbiguousError(f"gives {twice[:60]!r} twice in one map")
    return found


def _no_number(name: str) -> None:
    raise _AmbiguousError(f"is no JSON: {name} is no number there")


def _check_size(size_bytes: int) -> None:
    if size_bytes > MESSAGE_BYTES_MAX:
        message = f"The body has more than {MESSAGE_BYTES_MAX} bytes; nothing was changed."
        raise TooLarge(message, hint="upload a part, then merge the rest")


def _refused(words: str) -> InvalidWorkflow:
    return InvalidWorkflow.of([Problem("", f"the body {words}")])
