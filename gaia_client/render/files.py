"""Files of the data space as a person reads them."""

from collections.abc import Sequence
from typing import Any, Final

from gaia_client.render.blocks import Block, Grid, Text

_BINARY_UNITS: Final = ("KiB", "MiB", "GiB", "TiB", "PiB")


def files(reply: Sequence[dict[str, Any]], truncated: bool = False) -> list[Block]:
    """Show files of the data space."""
    if not reply:
        return [Text("Nothing there.", "dim")]
    rows = tuple((each["key"], size(each["size"]), (each["sha256"] or "")[:12]) for each in reply)
    grid = Grid(("KEY", "SIZE", "SHA256"), rows, frozenset({"SIZE"}))
    return [grid, Text(f"… and more than these {len(reply):,}; name a prefix", "dim")] if truncated else [grid]


def size(count: int) -> str:
    """Return bytes in words: "17 B", "1.5 MiB"."""
    if count < 1024:
        return f"{count} B"
    amount = float(count)
    for unit in _BINARY_UNITS:
        amount /= 1024
        if amount < 1024 or unit == _BINARY_UNITS[-1]:
            break
    return f"{amount:.1f} {unit}"
