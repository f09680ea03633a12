"""What a mutation changed, or would change, as a person reads it."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from gaia_client.render.blocks import Block, Grid, Text, counted, names_in_short
from gaia_client.render.reasons import reasons

KINDS: Final = (
    ("added", "green"),
    ("updated", "yellow"),
    ("removed", "red"),
    ("recomputed", "yellow"),
    ("unchanged", "dim"),
)


def diff(reply: dict[str, Any], with_reasons: bool = False) -> list[Block]:
    """Show what a mutation changed; with reasons, why each Step runs again."""
    blocks: list[Block] = [
        Text(f"{kind} {names_in_short(reply[kind])}", style) for kind, style in KINDS if reply[kind]
    ] or [Text("no Step changed", "dim")]
    return blocks + (reasons(list(reply["reasons"]), reply["reasons"]) if with_reasons else [])


def expired(reply: dict[str, Sequence[str]]) -> list[Block]:
    """Show what runs again."""
    blocks: list[Block] = [Text(f"run again {names_in_short(reply['steps'])}", "yellow")]
    return blocks + ([Text(f"keys {names_in_short(reply['keys'])}", "dim")] if reply["keys"] else [])


def plan(reply: dict[str, Any]) -> list[Block]:
    """Show what an expire would do, and why: every Step and every Key."""
    words = f"{counted(len(reply['steps']), 'Step')} would run again; nothing was changed"
    blocks: list[Block] = [Text(words, "yellow"), *reasons(reply["steps"], reply["reasons"])]
    keys = tuple((key,) for key in reply["keys"])
    return [*blocks, Grid(("KEY TO BE MADE OR LOOKED UP ANEW",), keys)] if keys else blocks


def names(reply: Iterable[str]) -> list[Block]:
    """Show names, one a line."""
    return [Text(name) for name in reply]


def deleted(reply: dict[str, str], data: bool) -> list[Block]:
    """Show that a workflow is no more."""
    return [Text(f"deleted {reply['workflow']}{' and its data' if data else ''}", "red")]
