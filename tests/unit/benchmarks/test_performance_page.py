"""The page of results: which lines stand, what is read from them, and what people wrote around it."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmarks import charts, page, results
from benchmarks.bars import GOALS, Goal
from benchmarks.catalogue import ENTRIES
from benchmarks.charts import CHARTS, Bars, Curves

RUN = {"arguments": [], "quick": False, "commit": "abc", "began": "2026-01-02T03:04:05", "took_s": 90.0}
MACHINE = {"processor": "some", "processors": 2, "load": 1.87451, "memory": ""}
LINES = [
    {"of": "throughput", "conditions": {**RUN, "environment": MACHINE}},
    {"of": "throughput", "environment": {"kafka": "image", "processors": 1}},
    {"of": "throughput", "benchmark": "wide", "on": "bare", "repetition": 1, "steps_per_s": 60_000.0},
    {"of": "throughput", "benchmark": "wide", "on": "kafka", "repetition": 1, "steps_per_s": 12_000.0},
    {"of": "throughput", "benchmark": "wide", "on": "kafka", "repetition": 2, "steps_per_s": 14_000.0},
    {"of": "throughput", "summary": {"benchmark": "wide", "on": "kafka", "steps": 20_000, "figure": "steps_per_s",
                                     "median": 13_000.0, "min": 12_000.0, "max": 14_000.0, "repetitions": 2}},
    {"of": "throughput", "ratios": {"kafka wide / bare wide": 0.217, "kafka chain / bare chain": 3.0}},
    {"of": "throughput", "bar": "a | b", "value": 1.0, "limit": 2.0, "met": False},
    {"of": "peers", "conditions": {**RUN, "quick": True, "environment": MACHINE}},
    {"of": "peers", "bar": "wide, Gaia / the best peer", "value": 6.0, "limit": 5.0, "met": True},
    {"of": "peers", "ratios": {"wide": {"celery": 20.5}}},
    {"of": "peers", "left_out": {"ray": "not for\nthis Python"}},
    {"of": "watchers", "conditions": {**RUN, "environment": MACHINE}},
    {"of": "watchers", "summary": "watchers", "of_nobody": {"updates": 0.94, "events": 0.86}},
]  # fmt: skip
NAMES = [entry.name for entry in ENTRIES]


def test_the_latest_run_of_each_benchmark_stands() -> None:
    """Its lines take the place of the earlier ones; all are in the order of the catalogue."""
    fresh = [{"conditions": RUN}, {"bar": "x"}]
    lines = results.replaced(LINES, "peers", fresh, NAMES)
    assert results.of(lines, "peers") == [{"of": "peers", "conditions": RUN}, {"of": "peers", "bar": "x"}]
    assert results.of(lines, "throughput") == results.of(LINES, "throughput")
    assert [line["of"] for line in lines] == sorted((line["of"] for line in lines), key=NAMES.index)


def test_results_of_what_is_no_benchmark_any_more_go() -> None:
    """A benchmark that left the catalogue leaves the page."""
    lines = results.replaced([{"of": "gone"}, *LINES], "peers", [], NAMES)
    assert results.of(lines, "gone") == []


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    """One JSON object a line; no file is no results."""
    path = tmp_path / "folder" / "results.jsonl"
    assert results.read(path) == []
    results.write(path, LINES)
    assert results.read(path) == LINES
    assert [json.loads(line) for line in path.read_text().splitlines()] == LINES


def test_numbers_are_found_at_every_depth() -> None:
    """Words and truth values are no numbers."""
    assert results.leaves({"a": {"b": 1, "c": "two"}, "d": 0.5, "e": True}) == {"a b": 1, "d": 0.5}


def _goal(of: str, words: str) -> Goal:
    (found,) = (goal for goal in GOALS if goal.of == of and words in goal.what)
    return found


@pytest.mark.parametrize(
    ("of", "words", "figure", "is_reached"),
    [
        ("throughput", "Kafka, wide", 0.217, True),
        ("throughput", "Kafka, chain", 3.0, False),
        ("throughput", "embedded, chain", None, None),
        ("watchers", "thousand", 0.86, False),
        ("containers", "reuse", None, None),
    ],
)
def test_a_goal_finds_its_worst_figure(of: str, words: str, figure: float | None, is_reached: bool | None) -> None:
    """What was not measured is not reached, and not missed either."""
    goal = _goal(of, words)
    assert goal.figure(LINES) == figure
    if figure is not None:
        assert goal.is_reached(figure) is is_reached


def test_a_page_keeps_what_people_wrote() -> None:
    """Only what is between the marks is written anew, however often."""
    before, after = "# Performance\n\nWords.\n\n", "\n## What helped\n\nMore words.\n"
    drawn = [("throughput", "a title", "performance/wide.svg")]
    text = page.rewritten(f"{before}{page.BEGIN}\nold\n{page.END}{after}", LINES, drawn)
    assert text.startswith(f"{before}{page.BEGIN}\n")
    assert text.endswith(f"\n{page.END}{after}")
    assert "old" not in text
    assert page.rewritten(text, LINES, drawn) == text


@pytest.mark.parametrize(
    "line",
    [
        "| [Kafka, wide: Steps/s over those of the bare loop](#throughput) | ≥ 0.15 | 0.217 | reached |",
        "| the same, with `reuse` | ≥ 4 | not measured |  |",
        "| [embedded, wide: Steps/s over those of the best peer](#peers) | ≥ 5 | 6 | a quick look |",
        "| wide | kafka | 20,000 | steps_per_s | 13,000 | 12,000 to 14,000 | 2 |",
        "| kafka wide / bare wide | 0.217 |",
        "| wide celery | 20.5 |",
        "| a \\| b | 1 | 2 | **missed** |",
        "| ray | not for this Python |",
        "| of_nobody events | 0.86 |",
        "![a title](performance/wide.svg)",
        "| processor | some |",
        "| processors | 2 |",
        "| load | 1.87 |",
        "| kafka | image |",
        "`python -m benchmarks.peers`, 2026-01-02, commit abc, 90 s. A quick look: these figures say little.",
    ],
)
def test_a_page_tells_what_was_found(line: str) -> None:
    """Bars, machine, medians with their spread, ratios, and what was left out, in tables."""
    text = page.rewritten(f"{page.BEGIN}\n{page.END}\n", LINES, [("throughput", "a title", "performance/wide.svg")])
    assert line in text.splitlines()


def test_a_page_without_marks_is_not_written() -> None:
    """Nobody's words are overwritten because a mark was lost."""
    with pytest.raises(ValueError, match="no place for results"):
        page.rewritten("# Performance\n", LINES, [])


def test_a_chart_is_the_same_each_time_and_has_its_words() -> None:
    """Its text is text, on a white ground; nothing of the time it was drawn is in it."""
    chart = Bars("wide", "Steps a second", "throughput", ("on",), ("steps_per_s",), "wide")
    assert chart.points(LINES) == {"bare": [60_000.0], "kafka": [12_000.0, 14_000.0]}
    drawn = charts.draw(chart, LINES)
    words = "".join(ET.fromstring(drawn).itertext())
    assert all(word in words for word in ("Steps a second", "bare", "kafka", "13,000"))
    assert charts.draw(chart, LINES) == drawn


def test_bars_are_told_apart_by_all_their_fields() -> None:
    """What ran on something else is another bar, and so is another figure of the same run."""
    lines = [
        {"of": "small", "benchmark": "small", "on": on, "repetition": 1, "a": 1, "b": 2} for on in ("kafka", "embedded")
    ]
    chart = Bars("x", "x", "small", ("on", "benchmark"), ("a", "b"))
    assert chart.points(lines) == {
        "kafka small a": [1], "kafka small b": [2], "embedded small a": [1], "embedded small b": [2],
    }  # fmt: skip


def test_a_curve_has_a_line_for_each_kind() -> None:
    """Sizes in order, with all repetitions of each."""
    lines = [
        {"of": "sizes", "benchmark": kind, "repetition": n, "steps": steps, "us": steps + n}
        for kind in ("parts", "sweep")
        for steps in (10, 1)
        for n in (1, 2)
    ]
    chart = Curves("sizes", "µs", "sizes", "steps", "Steps", "benchmark", "us")
    assert chart.points(lines) == {kind: {1: [2, 3], 10: [11, 12]} for kind in ("parts", "sweep")}
    assert "sweep" in charts.draw(chart, lines)


def test_nothing_is_drawn_of_nothing() -> None:
    """A benchmark that was not run has no chart."""
    assert all(charts.draw(chart, []) == "" for chart in CHARTS)


def test_charts_and_goals_are_of_benchmarks() -> None:
    """Each names one of the catalogue, and files have names of their own."""
    assert {chart.of for chart in CHARTS} | {goal.of for goal in GOALS} <= set(NAMES)
    assert len({chart.file for chart in CHARTS}) == len(CHARTS)
