"""From the runs of Gaia and its peers to medians, ratios and the bar. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from benchmarks.report import Bar, summary

GAIA: Final = "embedded"
GAIA_SWEEP: Final = "embedded sweep"
"""The same Steps, uploaded as one Step over an array; shown, and in no ratio."""

TIMES_THE_BEST: Final = 5.0

FIGURES: Final = {
    ("wide", "steps_per_s"): "wide",
    ("wide", "steps_per_s_with_submission"): "wide with submission",
    ("chain", "ms_per_step"): "chain",
}
"""What is compared, of which runs; tasks per second of the first two, milliseconds of the last."""

Result = dict[str, Any]


def summaries(results: Sequence[Result]) -> list[Result]:
    """Return median, least and most of each figure of each subject, in the order in which subjects first ran."""
    subjects = list(dict.fromkeys(result["on"] for result in results))
    return [
        {"what": what, **summary(group, figure)}
        for subject in subjects
        for (benchmark, figure), what in FIGURES.items()
        if (group := [one for one in results if (one["on"], one["benchmark"]) == (subject, benchmark)])
    ]


def ratios(found: Iterable[Result]) -> dict[str, dict[str, float]]:
    """Return how many times as fast Gaia is as each peer, by what was compared; above 1 Gaia is the faster one."""
    compared: dict[str, dict[str, float]] = {}
    for what, medians in _medians(found).items():
        gaia = medians.pop(GAIA)
        medians.pop(GAIA_SWEEP, None)
        compared[what] = {
            peer: round(median / gaia if what == "chain" else gaia / median, 2) for peer, median in medians.items()
        }
    return compared


def bars(compared: dict[str, dict[str, float]], groups: Mapping[str, Iterable[str]]) -> list[tuple[Bar, str]]:
    """Return Gaia's wide figures over the best of each group of peers, on either clock, with the name of that peer.

    Args:
        compared: as `ratios` gives it.
        groups: names of peers by what the group is called; who was not measured is passed over.
    """
    found = []
    for group, names in groups.items():
        for what in ("wide", "wide with submission"):
            measured = {peer: ratio for peer in names if (ratio := compared[what].get(peer)) is not None}
            if measured:
                best = min(measured, key=measured.__getitem__)
                found.append((Bar(f"{what}, Gaia / {group}", measured[best], True, TIMES_THE_BEST), best))
    return found


def _medians(found: Iterable[Result]) -> dict[str, dict[str, float]]:
    """Return medians by what was measured and on what."""
    medians: dict[str, dict[str, float]] = {}
    for one in found:
        medians.setdefault(one["what"], {})[one["on"]] = one["median"]
    return medians
