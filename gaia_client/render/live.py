"""The live view of a terminal: a line, a bar of Steps by state with its legend, how far Steps are, latest events."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from gaia_client.overview import STATES, Overview
from gaia_client.render import events
from gaia_client.render.blocks import STYLES, counted, printable

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

MARKS: Final = {"complete": "█", "running": "▓", "ready": "▒", "retrying": "▒", "failed": "▚", "waiting": "░"}
"""They differ without colours too."""

BAR_CELLS_MAX: Final = 100
PROGRESS_SHOWN: Final = 5
"""Steps that say how far they are, of which so many are shown."""

LINES_AROUND: Final = 5
"""Lines of the view that are no events, and the one that the cursor stands in."""


def frame(overview: Overview, now_s: float, width: int, height: int) -> "RenderableType":
    """Return the view as it is now, for a terminal of so many columns and lines."""
    from rich.console import Group  # noqa: PLC0415 - only a terminal needs it
    from rich.text import Text  # noqa: PLC0415

    steps = overview.steps
    far = list(overview.progress.values())[-PROGRESS_SHOWN:]
    room = max(height - LINES_AROUND - len(far), 0)
    latest = list(overview.events)[-room:] if room else []
    lines = [
        _line(_headline(overview, steps, now_s)),
        _line((MARKS[state] * cells, STYLES[state]) for state, cells in bar(steps, min(width, BAR_CELLS_MAX))),
        _line(_legend(steps)),
        *(_line([(events.words(each), events.style(each))]) for each in far),
        Text(),
    ]
    for event in latest:
        shown = events.short_line(event, overview.workflow is None)
        lines.append(_line([(shown.words, shown.style)]))
    return Group(*lines)


def bar(steps: Mapping[str, int], cells: int) -> list[tuple[str, int]]:
    """Share the cells of a bar between the states of Steps; a state with any Step has one at least.

    Returns:
        (state, cells) of those states, in the order of the bar; together exactly the cells.
    """
    found = [state for state in STATES if steps[state]]
    total = sum(steps.values())
    shares = {state: max(1, steps[state] * cells // total) for state in found}
    while found and (missing := cells - sum(shares.values())):
        largest = max(
            found, key=lambda state: steps[state] * cells / total - shares[state] if missing > 0 else shares[state]
        )
        shares[largest] += 1 if missing > 0 else -1
    return list(shares.items())


def _headline(overview: Overview, steps: Mapping[str, int], now_s: float) -> Iterable[tuple[str, str]]:
    """Yield whose view this is, the state, how many Steps are complete, and how fast they become so."""
    states = overview.states
    if overview.workflow is None:
        yield counted(sum(states.values()), "workflow"), "bold"
        for state, count in states.items():
            yield "  ", ""
            yield f"{count:,} {state}", STYLES.get(state, "")
    else:
        yield overview.workflow, "bold"
        for state in states:
            yield f"  {state}", STYLES.get(state, "")
    speed = overview.speed_words(now_s)
    yield f"  {steps['complete']:,} of {counted(sum(steps.values()), 'Step')} complete", ""
    yield f", {speed}" if speed else "", ""


def _legend(steps: Mapping[str, int]) -> Iterable[tuple[str, str]]:
    for state in STATES:
        if steps[state]:
            yield MARKS[state], STYLES[state]
            yield f" {state} {steps[state]:,}  ", ""


def _line(parts: Iterable[tuple[str, str]]) -> "Text":
    """Return one line of styled parts that is cut, never wrapped."""
    from rich.text import Text  # noqa: PLC0415 - only a terminal needs it

    line = Text(no_wrap=True, overflow="ellipsis")
    for words, style in parts:
        line.append(printable(words), style=style)
    return line
