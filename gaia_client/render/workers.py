"""Workers as a person reads them: how they are, what they have and use of it, and what each holds since when."""

import json
from collections.abc import Sequence
from typing import Any, Final

from gaia_client.render.blocks import Block, Grid, Text, moment
from gaia_client.render.files import size

HELD_SHOWN: Final = 20


def workers(reply: Sequence[dict[str, Any]]) -> list[Block]:
    """Show a table of workers, what is wrong with some, and a table of what they hold."""
    if not reply:
        return [Text("No workers.", "dim")]
    rows = tuple(
        (
            each["name"], each["pool"], _health(each), f"{each['attempts']}/{each['slots']}", _share(each, "cpus"),
            _share(each, "memory"), _share(each, "gpus"), _cache(each), each["executor"], each["host"], each["version"],
            ", ".join(f"{name}={_shown(value)}" for name, value in sorted(each["metadata"].items())),
        )
        for each in reply
    )  # fmt: skip
    columns = (
        "WORKER", "POOL", "HEALTH", "ATTEMPTS/SLOTS", "CPUS", "MEMORY", "GPUS", "CACHE", "EXECUTOR", "HOST", "VERSION",
        "METADATA",
    )  # fmt: skip
    return [Grid(columns, rows), *_troubles(reply), *_held(reply)]


def _health(worker: dict[str, Any]) -> str:
    return "leaving" if worker["draining"] else "trouble" if worker["trouble"] else "well"


def _troubles(reply: Sequence[dict[str, Any]]) -> list[Block]:
    return [Text(f"{each['name']} takes nothing new: {each['trouble']}", "red") for each in reply if each["trouble"]]


def _held(reply: Sequence[dict[str, Any]]) -> list[Block]:
    """Show what workers hold: what runs first, then what waits there."""
    rows = tuple(
        (each["name"], held["workflow"], held["step"], str(held["attempt"]), moment(held["since"]), _how(each, place))
        for each in reply
        for place, held in enumerate(each["held"][:HELD_SHOWN])
    )
    if not rows:
        return []
    more = sum(each["attempts"] for each in reply) - len(rows)
    grid = Grid(("WORKER", "WORKFLOW", "STEP", "ATTEMPT", "SINCE", ""), rows, frozenset({"ATTEMPT"}))
    return [Text(""), grid, *([Text(f"… and {more:,} more", "dim")] if more > 0 else [])]


def _how(worker: dict[str, Any], place: int) -> str:
    """Return how an attempt stands: a worker begins as many as it has slots, in the order in which it got them."""
    if worker["held"][place]["stopping"]:
        return "is being stopped"
    return "" if place < worker["slots"] else "waits for a slot"


def _share(worker: dict[str, Any], name: str) -> str:
    """Return "1.5/4": what is used of all there is; "1.5/any" of a worker that does not tell."""
    used, there = worker["used"][name] or 0, worker["resources"][name]
    if name == "memory":
        return f"{size(used)}/{'any' if there is None else size(there)}"
    return f"{used:g}/{'any' if there is None else f'{there:g}'}"


def _cache(worker: dict[str, Any]) -> str:
    """Return "1.2 GiB/10.0 GiB, 95%": how full the cache of inputs is, and how often an input was in it."""
    cache = worker["cache"]
    if cache is None:
        return "-"
    asked = cache["hits"] + cache["misses"]
    share = f", {cache['hits'] / asked:.0%}" if asked else ""
    return f"{size(cache['bytes'])}/{size(cache['bytes_max'])}{share}"


def _shown(value: object) -> str:
    """Return a value of metadata as it was given on the command line, or else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
