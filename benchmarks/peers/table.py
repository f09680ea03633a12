"""The tables that a person reads, from summaries, ratios and bars."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.peers.summary import FIGURES, GAIA
from benchmarks.report import Bar

Result = dict[str, Any]


def show(
    console: Console,
    results: Sequence[Result],
    found: Sequence[Result],
    compared: dict[str, dict[str, float]],
    reached: Sequence[tuple[Bar, str]],
) -> None:
    """Print the figures beside each other, what they depend on, and the bar."""
    figures = {(one["on"], one["what"]): one for one in found}
    subjects = {result["on"]: result for result in results}
    runs = Table(title="No-op tasks: median (least to most), and how many times as fast Gaia is")
    for heading in ("on", "wide, tasks/s", "with submission, tasks/s", "chain, ms per task"):
        runs.add_column(heading, justify="left" if heading == "on" else "right")
    for subject in subjects:
        cells = [_cell(figures.get((subject, what)), compared.get(what, {}).get(subject)) for what in FIGURES.values()]
        runs.add_row(subject, *cells)
    console.print(runs)
    terms = Table(title="On what terms")
    for heading in ("on", "versions", "an acknowledged task survives", "credit"):
        terms.add_column(heading, overflow="fold")
    for subject, result in subjects.items():
        versions = " ".join(f"{name} {number}" for name, number in result.get("versions", {}).items())
        terms.add_row(subject, versions, result["durability"], _credit(result["credit"]))
    console.print(terms)
    for bar, best in reached:
        met = "met" if bar.is_met else "[bold]missed[/]"
        console.print(f"{bar.what} ({best}): {bar.value:g}, at least {bar.limit:g}: {met}")


def _cell(one: Result | None, ratio: float | None) -> str:
    if one is None:
        return "-"
    digits = ",.0f" if one["what"] != "chain" else ".2f"
    text = f"{one['median']:{digits}} ({one['min']:{digits}} to {one['max']:{digits}})"
    return text if ratio is None or one["on"] == GAIA else f"{text}  {ratio:g} x"


def _credit(credit: str | dict[str, int]) -> str:
    return credit if isinstance(credit, str) else ", ".join(f"{name} {number}" for name, number in credit.items())
