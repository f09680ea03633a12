"""Answers as what a person reads: pure functions from a reply to blocks, and from blocks to lines or to rich.

A block is a line of text or a grid. Lines are for pipes: aligned, without colour, stable.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from gaia_client.waiting import progress_words

if TYPE_CHECKING:
    from rich.console import RenderableType

STYLES: Final = {
    "complete": "green",
    "running": "cyan",
    "ready": "cyan",
    "retrying": "yellow",
    "waiting": "dim",
    "initialized": "dim",
    "halted": "yellow",
    "stalled": "magenta",
    "error": "bold red",
    "failed": "bold red",
}

INPUTS_SHOWN: Final = 20
FAILED_SHOWN: Final = 10
LOG_LINES_SHOWN: Final = 10
NAMES_SHOWN: Final = 12

_BINARY_UNITS: Final = ("KiB", "MiB", "GiB", "TiB", "PiB")


@dataclass(frozen=True, slots=True)
class Text:
    """One line, with a style for terminals."""

    words: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: names of the columns, rows of words; numbers stand to the right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: frozenset[str] = frozenset()


Block: TypeAlias = Text | Grid


def workflows(reply: Sequence[dict[str, Any]]) -> list[Block]:
    """Show the list of workflows."""
    if not reply:
        return [Text("No workflows.", "dim")]
    rows = tuple(
        (each["name"], each["owner"], each["state"], _share(each["steps"]), str(each["steps"]["failed"] or ""),
         _moment(each["updated"]))
        for each in reply
    )  # fmt: skip
    columns = ("NAME", "OWNER", "STATE", "COMPLETE", "FAILED", "UPDATED")
    return [Grid(columns, rows, frozenset({"COMPLETE", "FAILED"}))]


def diff(reply: dict[str, list[str]]) -> list[Block]:
    """Show what a mutation changed."""
    blocks: list[Block] = []
    for kind, style in (("added", "green"), ("updated", "yellow"), ("recomputed", "yellow"), ("unchanged", "dim")):
        if reply[kind]:
            blocks.append(Text(f"{kind} {_names(reply[kind])}", style))
    return blocks or [Text("no Step changed", "dim")]


def commands(reply: Sequence[dict[str, Any]]) -> list[Block]:
    """Show Commands."""
    if not reply:
        return [Text("No Commands.", "dim")]
    rows = tuple(
        (each["name"], each.get("image", ""), " ".join(each.get("inputs", ())), " ".join(each.get("outputs", ())),
         " ".join(each.get("vars", ())))
        for each in reply
    )  # fmt: skip
    return [Grid(("NAME", "IMAGE", "INPUTS", "OUTPUTS", "VARS"), rows)]


def status(reply: dict[str, Any]) -> list[Block]:
    """Show how a workflow stands."""
    state = "stalled" if reply["stalled"] else reply["state"]
    words = f"{reply['state']}, stalled" if reply["stalled"] else reply["state"]
    blocks: list[Block] = [Text(words, STYLES.get(state, "")), Text(progress_words(reply))]
    blocks += _inputs(reply)
    blocks += failures(reply)
    return blocks + (_debug(reply["debug"]) if "debug" in reply else [])


def failures(reply: dict[str, Any]) -> list[Block]:
    """Show the failed Steps of a status: where, why, and the last lines of their logs."""
    blocks: list[Block] = []
    for failed in reply["failed"][:FAILED_SHOWN]:
        where = f"attempt {failed['attempt']}" + (f" on {failed['worker']}" if failed["worker"] else "")
        blocks.append(Text(f"failed {failed['step']} ({failed['class']}, {where}): {failed['message']}", "red"))
        lines = failed["log-tail"].splitlines()[-LOG_LINES_SHOWN:]
        blocks += [Text(f"  | {line}", "dim") for line in lines]
    more = reply["steps"]["failed"] - len(reply["failed"][:FAILED_SHOWN])
    return [*blocks, Text(f"… and {more} more failed", "red")] if more > 0 and blocks else blocks


def expired(reply: dict[str, list[str]]) -> list[Block]:
    """Show what runs again."""
    blocks: list[Block] = [Text(f"run again {_names(reply['steps'])}", "yellow")]
    return blocks + ([Text(f"keys {_names(reply['keys'])}", "dim")] if reply["keys"] else [])


def state(reply: dict[str, str]) -> list[Block]:
    """Show the state that `run` and `halt` answer."""
    return [Text(f"{reply['workflow']} {reply['state']}", STYLES.get(reply["state"], ""))]


def names(reply: Iterable[str]) -> list[Block]:
    """Show names, one a line."""
    return [Text(name) for name in reply]


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


def lines(blocks: Iterable[Block]) -> list[str]:
    """Return blocks as plain lines; the columns of a grid are aligned by spaces."""
    return [line for block in blocks for line in ([block.words] if isinstance(block, Text) else _grid_lines(block))]


def rich_of(block: Block) -> "RenderableType":
    """Return a block as rich shows it; no text is ever taken for markup."""
    from rich.table import Table  # noqa: PLC0415 - only a terminal needs it
    from rich.text import Text as RichText  # noqa: PLC0415

    if isinstance(block, Text):
        return RichText(printable(block.words), style=block.style)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in block.columns:
        table.add_column(column, justify="right" if column in block.right else "left", overflow="fold")
    for row in block.rows:
        table.add_row(*(RichText(printable(cell), style=_cell_style(cell)) for cell in row))
    return table


def printable(words: str) -> str:
    """Return words without what would move a terminal's cursor or change its colours."""
    return "".join(mark if mark.isprintable() or mark == "\t" else "\N{REPLACEMENT CHARACTER}" for mark in words)


def _cell_style(cell: str) -> str:
    return STYLES.get(cell, "")


def _grid_lines(grid: Grid) -> list[str]:
    rows = [grid.columns, *grid.rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(grid.columns))]
    return ["  ".join(_padded(row, widths, grid)).rstrip() for row in rows]


def _padded(row: Sequence[str], widths: Sequence[int], grid: Grid) -> list[str]:
    return [
        cell.rjust(width) if column in grid.right else cell.ljust(width)
        for cell, width, column in zip(row, widths, grid.columns, strict=True)
    ]


def _inputs(reply: dict[str, Any]) -> list[Block]:
    """Show which Keys are waited for; those that nobody will write are what a person must act on."""
    missing = reply["missing-inputs"]
    if missing:
        shown = " ".join(missing[:INPUTS_SHOWN]) + (" …" if len(missing) > INPUTS_SHOWN else "")
        return [Text(f"waits for keys that no Step writes: {shown}", "magenta")]
    count = reply["waiting-inputs-count"]
    return [Text(f"waits for {count} {'key' if count == 1 else 'keys'}", "dim")] if count else []


def _debug(reply: dict[str, Any]) -> list[Block]:
    steps = tuple(
        (each["name"], each["state"], each["command"], str(each["attempt"]), each["worker"],
         str(each["missing-inputs"] or ""))
        for each in reply["steps"]
    )  # fmt: skip
    workers = tuple(
        (each["name"], each["pool"], f"{each['attempts']}/{each['slots']}", each["executor"], each["host"])
        for each in reply["workers"]
    )
    step_columns = ("STEP", "STATE", "COMMAND", "ATTEMPT", "WORKER", "MISSING")
    blocks: list[Block] = [Grid(step_columns, steps, frozenset({"ATTEMPT", "MISSING"}))]
    if reply["next-page-start"]:
        blocks.append(Text(f"… more with --page-start {reply['next-page-start']}", "dim"))
    return [*blocks, Grid(("WORKER", "POOL", "ATTEMPTS/SLOTS", "EXECUTOR", "HOST"), workers)]


def _share(steps: dict[str, int]) -> str:
    return f"{steps['complete']}/{sum(steps.values())}"


def _moment(text: str | None) -> str:
    """Return "2024-05-01 12:30:00Z" of an ISO time."""
    return f"{text[:19].replace('T', ' ')}Z" if text else ""


def _names(found: Sequence[str]) -> str:
    """Return how many there are and the first of them."""
    more = f" … and {len(found) - NAMES_SHOWN} more" if len(found) > NAMES_SHOWN else ""
    return f"{len(found)}: {' '.join(found[:NAMES_SHOWN])}{more}" if found else "0"
