"""What a person reads: lines of text and grids, and how a pipe and a terminal show them.

Lines are for pipes: aligned, without colour, stable. Knows no reply; the other files of this package make blocks of
replies.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

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
"""How a terminal shows the states of Steps and workflows."""

NAMES_SHOWN: Final = 12


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


def moment(text: str | None) -> str:
    """Return "2024-05-01 12:30:00Z" of an ISO time."""
    return f"{text[:19].replace('T', ' ')}Z" if text else ""


def counted(count: int, noun: str) -> str:
    """Return "1 Step" or "2 Steps"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def names_in_short(found: Sequence[str], count: int = 0) -> str:
    """Return how many names there are, count if not all of them are given, and the first of them."""
    total = max(count, len(found))
    more = f" … and {total - NAMES_SHOWN} more" if total > NAMES_SHOWN else ""
    return f"{total}: {' '.join(found[:NAMES_SHOWN])}{more}" if total else "0"


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
