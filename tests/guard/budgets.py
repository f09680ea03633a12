"""The table of budgets in README.md: read, compared with what was measured, and written anew. Pure but for the file."""

import re
from pathlib import Path
from typing import Final, NamedTuple

PAGE: Final = Path(__file__).with_name("README.md")

ROW: Final = re.compile(
    r"\| (?P<what>[a-z.]+: .+?) \|(?P<figures>( +[\d,.]+ \|)+) +(?P<margin>\d+) % \| *(?P<bar>[\d,]*) *\|"
)
HEAD: Final = re.compile(r"\| what (\| \w+ )+\| margin \| bar \|")

LESS_MAX: Final = 0.7
"""A figure that fell this far below its budget would hide the next one that grows."""


class Budget(NamedTuple):
    """What one figure may be.

    Attributes:
        figure: what it was when it was written down.
        margin: how much of that it may grow by.
        bar: what it is to be in the end; None where that is open. Once reached, it is not left again.
    """

    figure: float
    margin: float
    bar: float | None = None

    @property
    def limit(self) -> float:
        """Return the most that it may be."""
        grown = self.figure * (1 + self.margin)
        return grown if self.bar is None or self.figure > self.bar else min(grown, self.bar)


Table = dict[tuple[str, str], Budget]
"""(What, shape of the workflow) → budget."""


def read(page: str) -> Table:
    """Return the budgets of a page."""
    head = HEAD.search(page)
    assert head is not None, "the page has no table of budgets"
    shapes = [word.strip() for word in head[0].split("|")[2:-3]]
    found: Table = {}
    for row in ROW.finditer(page):
        bar = _number(row["bar"]) if row["bar"] else None
        for shape, figure in zip(shapes, row["figures"].split("|"), strict=False):
            found[row["what"], shape] = Budget(_number(figure), int(row["margin"]) / 100, bar)
    return found


def bless(page: str, what: str, shape: str, figure: float) -> str:
    """Return the page with another figure in one place."""
    head = HEAD.search(page)
    assert head is not None, "the page has no table of budgets"
    column = [word.strip() for word in head[0].split("|")].index(shape)
    lines = page.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if line.startswith(f"| {what} |"):
            cells = line.split("|")
            cells[column] = f" {figure:,.2f} ".rjust(len(cells[column]))
            lines[number] = "|".join(cells)
    return "".join(lines)


def objection(what: str, shape: str, budget: Budget, figure: float) -> str:
    """Return what is wrong with a figure, in words, or ""."""
    if budget.figure * LESS_MAX <= figure <= budget.limit:
        return ""
    change = f" ({figure / budget.figure - 1:+.0%})" if budget.figure else ""
    went = f"{what}, of a {shape} workflow, went from {budget.figure:,.2f} to {figure:,.2f}{change}"
    if figure > budget.limit:
        return f"{went}; at most {budget.limit:,.2f} are allowed."
    return f"{went}. Well done; have it written down, or what grows next would not be seen."


def _number(text: str) -> float:
    return float(text.strip().replace(",", ""))
