"""The workflows that are measured: their names, their Commands, their Steps. Pure."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

START_KEY: Final = "start"
"""The Steps that are measured wait for it, so that they can be uploaded at leisure and started at a known instant."""

STEPS_PER_CHANGE: Final = 50_000
"""Taking them in costs a server some seconds."""

IMAGE_DEFAULT: Final = "busybox:1.36"
COMMAND_DEFAULT: Final = ("true",)

_FREE: Final = "free"
_AFTER: Final = "after"
_NO_NAME = re.compile(r"[^A-Za-z0-9.-]+")

Plain = Mapping[str, Any]


class Program(NamedTuple):
    """What every Step runs, and which class of workers runs it."""

    image: str = IMAGE_DEFAULT
    command: Sequence[str] = COMMAND_DEFAULT
    pool: str | None = None


def owner_of(user: str) -> str:
    """Return the name of a user as the first part of a workflow's name may have it."""
    return _NO_NAME.sub("-", user).strip("-.")[:64] or "somebody"


def name_of(owner: str, what: str, moment: datetime, token: str) -> str:
    """Return the name of a workflow as custom has it, owner_program_datetime; the token makes it unique."""
    return f"{owner}_bench-{what}_{moment:%Y%m%d.%H%M%S}-{token}"


def properties(owner: str) -> dict[str, Any]:
    """Return the properties of a workflow that is measured: one Step that fails ends it."""
    return {"owner": owner, "on_error": "stop"}


def commands(program: Program) -> list[Plain]:
    """Return two Commands: one whose Steps run at once, and one whose Steps wait for a Key.

    What the program writes to stdout and stderr is their one output, so that any program will do.
    """
    free = {
        "name": _FREE,
        "image": program.image,
        "command": list(program.command),
        "outputs": {"said": ">"},
        **({"pool": program.pool} if program.pool else {}),
    }
    return [free, {**free, "name": _AFTER, "inputs": {"before": "/gaia-bench/before"}}]


def warm(count: int) -> list[Plain]:
    """Return Steps that run at once: the workers have the image, and every connection is made."""
    return [_sweep("warm", count, {"command": _FREE})]


def wide(count: int) -> list[list[Plain]]:
    """Return Steps that all wait for the start Key alone, in parts of a size that a server takes in its stride."""
    sizes = [min(STEPS_PER_CHANGE, count - begun) for begun in range(0, count, STEPS_PER_CHANGE)]
    waiting = {"command": _AFTER, "inputs": {"before": START_KEY}}
    return [[_sweep(f"wide-{part}", size, waiting)] for part, size in enumerate(sizes)]


def chain(count: int) -> list[Plain]:
    """Return Steps of which each waits for the one before it, the first one for the start Key."""
    return [
        {
            "name": f"link-{number}",
            "command": _AFTER,
            "inputs": {"before": f"link/{number - 1}" if number else START_KEY},
            "outputs": {"said": f"link/{number}"},
        }
        for number in range(count)
    ]


def arrival(number: int, count: int) -> list[Plain]:
    """Return the Steps of one merge, which run at once."""
    return [_sweep(f"arrival-{number}", count, {"command": _FREE})]


def number_of(step: str) -> int:
    """Return the number of a link or of the merge that a Step came with."""
    return int(step.split("-")[1])


def _sweep(name: str, count: int, rest: Plain) -> Plain:
    numbers = list(range(count))
    return {"name": name, "vars": {"N": numbers}, "outputs": {"said": f"{name}/{{{{N}}}}"}, **rest}
