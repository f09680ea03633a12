"""The figures that Gaia is to reach, and what was measured of each; the worst of what belongs to one counts. Pure."""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from benchmarks import results
from benchmarks.results import Line

Find = Callable[[list[Line]], Iterable[float]]


class Goal(NamedTuple):
    """One bar.

    Attributes:
        what: in words.
        sign: "≥" or "≤".
        limit: what is to be reached.
        of: the benchmark that measures it.
        find: finds the figures in its lines.
    """

    what: str
    sign: str
    limit: float
    of: str
    find: Find

    def figure(self, lines: Iterable[Line]) -> float | None:
        """Return what was measured; None where nothing was."""
        found = list(self.find(results.of(lines, self.of)))
        return (min if self.sign == "≥" else max)(found, default=None)

    def is_reached(self, figure: float) -> bool:
        """Tell whether a figure reaches it."""
        return figure >= self.limit if self.sign == "≥" else figure <= self.limit


def _ratio(name: str) -> Find:
    """Find one of the ratios."""
    return lambda lines: [number for what, number in results.numbers(lines, "ratios").items() if what == name]


def _bar(*words: str) -> Find:
    """Find the bars of a benchmark that have all of these words."""
    return lambda lines: [
        line["value"] for line in lines if "bar" in line and all(word in line["bar"] for word in words)
    ]


def _flat(*names: str) -> Find:
    """Find figures in the summary of a benchmark that has no bars of its own."""
    return lambda lines: [
        number for line in lines if "summary" in line for name, number in results.leaves(line).items() if name in names
    ]


def _longest_stalls(lines: list[Line]) -> Iterable[float]:
    medians = (line["summary"] for line in lines if isinstance(line.get("summary"), dict))
    return [one["median"] for one in medians if one["figure"].endswith("stall_ms")]


GOALS: Final = (
    Goal("Kafka, wide: Steps/s over those of the bare loop", "≥", 0.15, "throughput", _ratio("kafka wide / bare wide")),
    Goal("embedded, wide: Steps/s over those of the best peer", "≥", 5, "peers", _bar("wide, Gaia / the best peer")),
    Goal(
        "Kafka, chain: ms per Step over those of the bare loop",
        "≤",
        2.5,
        "throughput",
        _ratio("kafka chain / bare chain"),
    ),
    Goal(
        "embedded, chain: ms per Step over those of the bare loop",
        "≤",
        0.5,
        "throughput",
        _ratio("embedded chain / bare chain"),
    ),
    Goal("time per Step, 10⁶ Steps over 10³", "≤", 1.5, "sizes", _bar(": us_per_step", "1,000,000 / 1,000 ")),
    Goal(
        "bytes of memory per waiting Step",
        "≤",
        1_500,
        "sizes",
        _bar("1,000,000 Steps", "memory_bytes_per_waiting_step"),
    ),
    Goal("status of 10⁶ Steps, ms", "≤", 50, "sizes", _bar("1,000,000 Steps", "status_")),
    Goal("expiring one Step of 10⁶, ms", "≤", 10, "sizes", _bar("1,000,000 Steps", "expire_one_ms")),
    Goal("longest wait while 10⁶ Steps are uploaded or expired, ms", "≤", 50, "sizes", _longest_stalls),
    Goal("longest wait beside 10⁶ Steps, ms", "≤", 50, "stalls", _bar("the longest wait")),
    Goal("start with 10⁶ Steps to the first dispatch, s", "≤", 60, "restart", _bar("to the first dispatch")),
    Goal(
        "a thousand watchers: Steps/s over those with none",
        "≥",
        0.9,
        "watchers",
        _flat("of_nobody updates", "of_nobody events"),
    ),
    Goal("containers a second over four loops of `docker run`", "≥", 1.2, "containers", _flat("of_bare fresh")),
    Goal("the same, with `reuse`", "≥", 4, "containers", _flat("of_bare reuse")),
    Goal("files: seconds of bare minio-py over Gaia's", "≥", 0.9, "files", _flat("ratios up", "ratios down")),
)
