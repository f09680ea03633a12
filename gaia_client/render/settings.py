"""Settings and where they come from, as a person reads them."""

from collections.abc import Sequence
from typing import Any

from gaia_client.render.blocks import Block, Grid

HIDDEN = "(hidden)"


def settings(reply: Sequence[dict[str, Any]]) -> list[Block]:
    """Show each setting with its value and who gave it."""
    rows = tuple((each["name"], _value(each), _source(each)) for each in reply)
    return [Grid(("SETTING", "VALUE", "FROM"), rows)]


def _value(setting: dict[str, Any]) -> str:
    value = setting["value"]
    if setting["hidden"]:
        return HIDDEN
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(value)
    return "" if value is None else str(value)


def _source(setting: dict[str, Any]) -> str:
    """Return "default", or "environment GAIA_SLOTS", "file gaia.toml", "flag"."""
    return f"{setting['source']} {setting['place']}".strip()
