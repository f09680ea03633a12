"""docs/performance.md out of results: its part between two marks; what people wrote around it stays. Pure."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from benchmarks import results
from benchmarks.bars import GOALS, Goal
from benchmarks.catalogue import ENTRIES, Entry
from benchmarks.results import Line

BEGIN: Final = "<!-- results: written by `python -m benchmarks`, not by hand -->"
END: Final = "<!-- end of results -->"


def rewritten(page: str, lines: Sequence[Line], charts: Sequence[tuple[str, str, str]]) -> str:
    """Return a page with its results exchanged.

    Args:
        charts: (benchmark, title, file beside the page) of each chart that was drawn.
    """
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    if not after:
        raise ValueError(f"the page has no place for results: {BEGIN} … {END}")
    sections = [_section(entry, results.of(lines, entry.name), charts) for entry in ENTRIES]
    parts = [part for part in (_bars(lines), _machine(lines), *sections) if part]
    inner = "\n\n".join(parts)
    return f"{before}{BEGIN}\n\n{inner}\n\n{END}{after}"


def _bars(lines: Sequence[Line]) -> str:
    """Return the table of all bars."""
    rows = [_bar(goal, lines) for goal in GOALS]
    return "## The bars\n\n" + table(("what", "bar", "figure", ""), rows)


def _bar(goal: Goal, lines: Sequence[Line]) -> tuple[str, str, str, str]:
    """Return what is to be reached, what was measured, and what that says."""
    bar = f"{goal.sign} {number(goal.limit)}"
    figure = goal.figure(lines)
    if figure is None:
        return goal.what, bar, "not measured", ""
    is_look = any(line["conditions"]["quick"] for line in results.of(lines, goal.of) if "conditions" in line)
    verdict = "a quick look" if is_look else "reached" if goal.is_reached(figure) else "**missed**"
    return f"[{goal.what}](#{goal.of})", bar, number(figure), verdict


def _machine(lines: Sequence[Line]) -> str:
    """Return what the figures depend on, as the latest run found it, "" where nothing was run."""
    runs = [line["conditions"] for line in lines if "environment" in line.get("conditions", {})]
    if not runs:
        return ""
    latest: dict[str, Any] = max(runs, key=lambda run: run["began"])["environment"]
    told = {name: value for line in lines for name, value in line.get("environment", {}).items()}
    found = {
        name: number(value) if isinstance(value, float) else str(value) for name, value in {**told, **latest}.items()
    }
    rows = [(name, value) for name, value in found.items() if value]
    return "## The machine\n\n" + table(("what", "which"), rows)


def _section(entry: Entry, lines: Sequence[Line], charts: Iterable[tuple[str, str, str]]) -> str:
    """Return what one benchmark found, "" where it was not run."""
    if not lines:
        return ""
    parts = [f'<a id="{entry.name}"></a>\n\n## {entry.claim}', _told(entry, lines)]
    parts += [f"![{title}]({file})" for name, title, file in charts if name == entry.name]
    parts += [
        made for made in (_medians(lines), _plain(lines), _ratios(lines), _own_bars(lines), _left_out(lines)) if made
    ]
    return "\n\n".join(parts)


def _told(entry: Entry, lines: Sequence[Line]) -> str:
    """Return when and how it was run."""
    run = next(line["conditions"] for line in lines if "conditions" in line)
    command = " ".join(["python -m", f"benchmarks.{entry.name}", *run["arguments"]])
    look = " A quick look: these figures say little." if run["quick"] else ""
    return f"`{command}`, {run['began'][:10]}, commit {run['commit']}, {number(run['took_s'])} s.{look}"


def _medians(lines: Sequence[Line]) -> str:
    """Return the table of medians, each with its spread."""
    found = [line["summary"] for line in lines if isinstance(line.get("summary"), dict) and "median" in line["summary"]]
    rows = [
        (
            str(one.get("what", one["benchmark"])), str(one["on"]), f"{one['steps']:,}", str(one["figure"]),
            number(one["median"]), f"{number(one['min'])} to {number(one['max'])}", str(one["repetitions"]),
        )
        for one in found
    ]  # fmt: skip
    return table(("run", "on", "Steps", "figure", "median", "least to most", "of"), rows) if rows else ""


def _plain(lines: Sequence[Line]) -> str:
    """Return the table of a summary that is a set of figures."""
    found = [line for line in lines if isinstance(line.get("summary"), str)]
    rows = [
        (f"{line.get('kind', '')} {name}".strip(), number(value))
        for line in found
        for name, value in results.leaves(line).items()
    ]
    return table(("figure", "median"), rows) if rows else ""


def _ratios(lines: Sequence[Line]) -> str:
    rows = [
        (name, number(value))
        for name, value in results.numbers([one for one in lines if "summary" not in one], "ratios").items()
    ]
    return table(("ratio", ""), rows) if rows else ""


def _own_bars(lines: Sequence[Line]) -> str:
    """Return the table of the bars that the benchmark itself has."""
    rows = [
        (line["bar"], number(line["value"]), number(line["limit"]), "reached" if line["met"] else "**missed**")
        for line in lines
        if "bar" in line and "value" in line
    ]
    return table(("bar of the benchmark", "figure", "limit", ""), rows) if rows else ""


def _left_out(lines: Sequence[Line]) -> str:
    """Return what could not be run here."""
    rows = [(name, why) for line in lines for name, why in line.get("left_out", {}).items()]
    return table(("left out", "why"), rows) if rows else ""


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown; columns of numbers stand to the right."""
    rows = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    signs = ["---:" if rows and all(_is_number(row[at]) for row in rows) else "---" for at in range(len(heads))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, signs, *rows))


def _is_number(cell: str) -> bool:
    return cell.replace(",", "").replace(".", "").isdigit()


def number(value: float) -> str:
    """Return a number as people read it."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
