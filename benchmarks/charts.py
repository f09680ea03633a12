"""Charts of results as SVG: medians with their spread. Black on white, so that they are read on a dark page, too.

The same results make the same file, so that a change of it means a change of figures.
"""

import io
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Final, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks import results
from benchmarks.results import Line

STYLE: Final = {
    "svg.fonttype": "none",  # text stays text: small, and searchable
    "svg.hashsalt": "gaia",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
COLOURS: Final = ("#0b6e99", "#c4541a", "#3d7a3d", "#7a3d7a")
WIDTH_IN: Final = 7.5
DECADES_MIN: Final = 20.0
"""From this ratio of the largest to the smallest on, bars are drawn on a logarithmic scale."""

Points = dict[str, list[float]]
"""Label → a value of each repetition."""


class Bars(NamedTuple):
    """Bars side by side, one for each value of some fields (and each figure, where there are several).

    Attributes:
        file: its name.
        title: what is measured.
        of: the benchmark.
        labels: the fields.
        figures: what is drawn of each run.
        runs: which runs of the benchmark; "" for all.
    """

    file: str
    title: str
    of: str
    labels: tuple[str, ...]
    figures: tuple[str, ...]
    runs: str = ""

    def points(self, lines: Iterable[Line]) -> Points:
        """Return what is drawn."""
        found: Points = {}
        for line in _runs(lines, self.of, self.runs):
            for figure in self.figures:
                if figure in line and all(label in line for label in self.labels):
                    words = [str(line[label]) for label in self.labels] + ([figure] if len(self.figures) > 1 else [])
                    found.setdefault(" ".join(words), []).append(float(line[figure]))
        return found

    def draw(self, axes: Axes, lines: Iterable[Line]) -> None:
        """Draw it."""
        points = self.points(lines)
        medians = [median(values) for values in points.values()]
        places = range(len(points))
        axes.barh(
            places, medians, xerr=_spread(points.values()), color=COLOURS[0], height=0.6, ecolor="#444", capsize=3
        )
        axes.set_yticks(places, points)
        axes.invert_yaxis()
        if min(medians) > 0 and max(medians) / min(medians) > DECADES_MIN:
            axes.set_xscale("log")
        for place, (values, middle) in enumerate(zip(points.values(), medians, strict=True)):
            axes.annotate(_words(middle), (max(values), place), (5, 0), textcoords="offset points", va="center")
        axes.margins(x=0.15)
        axes.set_xlabel(self.title)


class Curves(NamedTuple):
    """A figure over a number that grows, one line for each value of a field.

    Attributes:
        file: its name.
        title: what is measured.
        of: the benchmark.
        x: the field whose number grows.
        x_title: what that is.
        label: the field that tells lines apart.
        figure: what is drawn of each run.
    """

    file: str
    title: str
    of: str
    x: str
    x_title: str
    label: str
    figure: str

    def points(self, lines: Iterable[Line]) -> dict[str, dict[float, list[float]]]:
        """Return what is drawn."""
        found: dict[str, dict[float, list[float]]] = {}
        for line in _runs(lines, self.of):
            if self.x in line and self.figure in line:
                series = found.setdefault(str(line[self.label]), {})
                series.setdefault(float(line[self.x]), []).append(float(line[self.figure]))
        return {name: dict(sorted(series.items())) for name, series in found.items()}

    def draw(self, axes: Axes, lines: Iterable[Line]) -> None:
        """Draw it."""
        for (name, series), colour in zip(self.points(lines).items(), COLOURS, strict=False):
            medians = [median(values) for values in series.values()]
            spread = _spread(series.values())
            axes.errorbar(list(series), medians, yerr=spread, label=name, color=colour, marker="o", capsize=3)
        axes.set_xscale("log")
        axes.set_ylim(bottom=0)
        axes.grid(axis="y", color="#ddd")
        axes.set_xlabel(self.x_title)
        axes.set_ylabel(self.title)
        axes.legend(frameon=False)


Chart = Bars | Curves

CHARTS: Final[tuple[Chart, ...]] = (
    Bars("wide", "durable no-op Steps a second, one wide workflow", "throughput", ("on",), ("steps_per_s",), "wide"),
    Bars("chain", "milliseconds per no-op Step of a chain", "throughput", ("on",), ("ms_per_step",), "chain"),
    Curves("workers", "Steps a second", "simulated", "workers", "simulated workers", "on", "steps_per_s"),
    Bars("small", "small workflows a second", "small", ("on", "benchmark"), ("workflows_per_s",)),
    Bars(
        "half-load",
        "ms from when a single Step was due to its public event, at half load",
        "small",
        ("on",),
        ("latency_p50_ms", "latency_p99_ms"),
        "half load",
    ),
    Bars("takeover", "seconds", "takeover", ("on",), ("takeover_s", "first_event_s")),
    Bars(
        "files",
        "seconds",
        "files",
        ("kind",),
        ("bare_up_s", "gaia_up_s", "bare_down_s", "gaia_down_s", "gaia_again_s"),
    ),
    Bars("containers", "containers a second", "containers", ("run",), ("per_s",)),
    Bars("peers-wide", "no-op tasks a second, side by side", "peers", ("on",), ("steps_per_s",), "wide"),
    Bars("peers-chain", "milliseconds per no-op task of a chain", "peers", ("on",), ("ms_per_step",), "chain"),
    Curves("sizes-time", "µs per Step", "sizes", "steps", "Steps of the workflow", "benchmark", "us_per_step"),
    Curves(
        "sizes-memory",
        "bytes of memory per waiting Step",
        "sizes",
        "steps",
        "Steps of the workflow",
        "benchmark",
        "memory_bytes_per_waiting_step",
    ),
    Bars("restart", "seconds to the first dispatch", "restart", ("benchmark",), ("seconds",)),
    Bars("watchers", "Steps a second", "watchers", ("watched",), ("steps_per_s",)),
)


def draw(chart: Chart, lines: Sequence[Line]) -> str:
    """Return a chart as SVG, "" where there is nothing to draw."""
    points = chart.points(lines)
    if not points:
        return ""
    height_in = 0.8 + 0.4 * len(points) if isinstance(chart, Bars) else 3.6
    with mpl.rc_context(STYLE):
        figure = Figure((WIDTH_IN, height_in), layout="constrained", facecolor="white")
        chart.draw(figure.subplots(), lines)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


def _runs(lines: Iterable[Line], name: str, runs: str = "") -> list[Line]:
    """Return the runs of a benchmark, as they were repeated."""
    found = (line for line in results.of(lines, name) if "benchmark" in line and "repetition" in line)
    return [line for line in found if runs in ("", line["benchmark"])]


def _spread(points: Iterable[list[float]]) -> list[list[float]]:
    """Return how far the least and the most are from each median."""
    found = [(median(values) - min(values), max(values) - median(values)) for values in points]
    return [[least for least, _ in found], [most for _, most in found]]


def _words(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.3g}"
