"""From results to summaries, ratios and bars, and the table that a person reads. Pure but for the printing."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.table import Table

Result = dict[str, Any]

SCALING_RATIO_MAX: Final = 1.5

RATIO_BARS: Final = (
    ("kafka wide / bare wide", True, 0.15),
    ("kafka chain / bare chain", False, 2.5),
    ("embedded chain / bare chain", False, 0.5),
)
"""(ratio, whether it is to be at least that, the limit)."""


class Bar(NamedTuple):
    """A figure to reach."""

    what: str
    value: float
    is_least: bool
    limit: float

    @property
    def is_met(self) -> bool:
        """Tell whether it is reached."""
        return self.value >= self.limit if self.is_least else self.value <= self.limit


def summary(results: Sequence[Result], figure: str) -> Result:
    """Return median, least and most of one figure over the repetitions of one run."""
    values = [float(result[figure]) for result in results]
    return {
        "benchmark": results[0]["benchmark"],
        "on": results[0]["on"],
        "steps": results[0]["steps"],
        "figure": figure,
        "median": round(median(values), 4),
        "min": min(values),
        "max": max(values),
        "repetitions": len(values),
    }


def summaries(results: Sequence[Result]) -> list[Result]:
    """Return a summary of each kind of run: Steps/s of wide ones, milliseconds per Step of chains."""
    grouped: dict[tuple[str, str, int], list[Result]] = {}
    for result in results:
        grouped.setdefault((result["benchmark"], result["on"], result["steps"]), []).append(result)
    return [
        summary(group, "ms_per_step" if benchmark == "chain" else "steps_per_s")
        for (benchmark, _, _), group in grouped.items()
    ]


def ratios(found: Sequence[Result]) -> dict[str, float]:
    """Return how Gaia compares with the bare loop of the same run, where both were measured."""
    medians = {(one["benchmark"], one["on"]): one["median"] for one in found if one["benchmark"] != "scaling"}
    pairs = (("wide", "kafka"), ("chain", "kafka"), ("wide", "embedded"), ("chain", "embedded"))
    return {
        f"{on} {benchmark} / bare {benchmark}": round(medians[benchmark, on] / medians[benchmark, "bare"], 3)
        for benchmark, on in pairs
        if (benchmark, on) in medians and (benchmark, "bare") in medians
    }


def scaling(results: Sequence[Result]) -> dict[str, float]:
    """Return how the cost of a Step grows from the smallest to the largest workflow: time, and processor time."""
    by_size: dict[int, list[Result]] = {}
    for result in results:
        if result["benchmark"] == "scaling":
            by_size.setdefault(result["steps"], []).append(result)
    if len(by_size) < 2:
        return {}
    small, large = by_size[min(by_size)], by_size[max(by_size)]

    def growth(cost: Callable[[Result], float]) -> float:
        least = median(map(cost, small))
        return round(median(map(cost, large)) / least, 3) if least else 0.0

    return {
        "time per Step, largest / smallest": growth(lambda result: float(result["ms_per_step"])),
        "processor time per Step, largest / smallest": growth(lambda r: float(sum(r["cpu_us_per_step"].values()))),
    }


def bars(compared: dict[str, float], grown: dict[str, float]) -> list[Bar]:
    """Return the ratios to reach, of those that were measured."""
    measured = [Bar(what, compared[what], least, limit) for what, least, limit in RATIO_BARS if what in compared]
    return [*measured, *(Bar(what, value, False, SCALING_RATIO_MAX) for what, value in grown.items())]


def show(console: Console, found: Sequence[Result], compared: dict[str, float], reached: Sequence[Bar]) -> None:
    """Print the tables."""
    runs = Table(title="Durable no-op Steps")
    for heading in ("run", "on", "Steps", "figure", "median", "least to most"):
        runs.add_column(heading, justify="right" if heading in ("Steps", "median", "least to most") else "left")
    for one in found:
        unit = {"steps_per_s": "Steps/s", "ms_per_step": "ms per Step"}[one["figure"]]
        span = f"{_number(one['min'])} to {_number(one['max'])}"
        runs.add_row(one["benchmark"], one["on"], f"{one['steps']:,}", unit, _number(one["median"]), span)
    console.print(runs)
    _show_checks(console, compared, reached)


def show_figures(
    console: Console, found: Sequence[Result], compared: Mapping[str, float], reached: Sequence[Bar]
) -> None:
    """Print the tables of a command whose figures are named by themselves, as `summary` does."""
    table = Table(show_edge=False)
    for heading in ("run", "on", "Steps", "figure", "median", "least to most"):
        table.add_column(heading, justify="right" if heading in ("Steps", "median", "least to most") else "left")
    for one in found:
        span = f"{_number(one['min'])} to {_number(one['max'])}"
        row = (one["benchmark"], one["on"], f"{one['steps']:,}", one["figure"], _number(one["median"]), span)
        table.add_row(*row)
    console.print(table)
    _show_checks(console, compared, reached)


def _show_checks(console: Console, compared: Mapping[str, float], reached: Sequence[Bar]) -> None:
    checks = Table(title="Ratios and bars")
    for heading in ("what", "value", "bar", ""):
        checks.add_column(heading, justify="right" if heading in ("value", "bar") else "left")
    for what, value in compared.items():
        if what not in {bar.what for bar in reached}:
            checks.add_row(what, f"{value:g}", "", "")
    for bar in reached:
        sign = "≥" if bar.is_least else "≤"
        checks.add_row(
            bar.what, _number(bar.value), f"{sign} {bar.limit:,g}", "met" if bar.is_met else "[bold]missed[/]"
        )
    if checks.rows:
        console.print(checks)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"
