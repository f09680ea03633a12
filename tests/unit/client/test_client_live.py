"""The live view: what it adds up, how its bar is shared, and what fits into a terminal."""

import io
from typing import Any

import pytest
from rich.console import Console
from rich.live import Live

from gaia_client.cli.displays import LiveDisplay
from gaia_client.overview import STATES, Overview
from gaia_client.render import live


def update(uid: int = 1, state: str = "running", *, stalled: bool = False, **steps: int) -> dict[str, Any]:
    """Return an update of a workflow with so many Steps by state."""
    counts = {**dict.fromkeys(STATES, 0), **steps}
    return {"workflow": f"w{uid}", "uid": uid, "sequence": 1, "state": state, "stalled": stalled, "steps": counts,
            "deleted": state == "deleted"}  # fmt: skip


def event(number: int) -> dict[str, Any]:
    """Return an event that names its number."""
    return {"workflow": "w1", "uid": 1, "sequence": number, "time": "2024-05-01T12:30:00Z", "kind": "key_forgotten",
            "key": f"k{number}"}  # fmt: skip


def shown(overview: Overview, now_s: float = 0.0, width: int = 60, height: int = 30) -> list[str]:
    """Return the lines of a frame."""
    console = Console(width=width, height=height, color_system=None)
    with console.capture() as captured:
        console.print(live.frame(overview, now_s, width, height))
    return [line.rstrip() for line in captured.get().splitlines()]


@pytest.mark.parametrize("cells", [0, 1, 3, 10, 100])
@pytest.mark.parametrize(
    "steps",
    [
        {},
        {"complete": 1},
        {"complete": 999_999, "failed": 1},
        {"complete": 1, "running": 1, "waiting": 1_000_000},
        dict.fromkeys(STATES, 7),
    ],
)
def test_a_bar_fills_its_cells(cells: int, steps: dict[str, int]) -> None:
    """The cells of a bar are all shared out, by the numbers of Steps, and no state is left out that has room."""
    counts = {**dict.fromkeys(STATES, 0), **steps}
    shares = live.bar(counts, cells)
    assert sum(share for _, share in shares) == (cells if steps else 0)
    assert [state for state, _ in shares] == [state for state in STATES if counts[state]]
    assert all(share >= 0 for _, share in shares)
    if cells >= len(STATES):
        assert all(share >= 1 for _, share in shares)


def test_one_workflow() -> None:
    """A view of one workflow shows its state, its Steps by state, its pace and the latest ten events."""
    overview = Overview("w1")
    overview.saw_update(update(waiting=8))
    shown(overview, now_s=0.0)
    overview.saw_update(update(complete=4, running=1, waiting=3))
    for number in range(1, 13):
        overview.saw_event(event(number))
    lines = shown(overview, now_s=2.0, width=80)
    assert lines[0] == "w1  running  4 of 8 Steps complete, 2 Steps/s, about 2 s left"
    assert lines[1] == "█" * 40 + "▓" * 10 + "░" * 30
    assert lines[2] == "█ complete 4  ▓ running 1  ░ waiting 3"
    assert lines[3] == ""
    assert lines[4:] == [f"12:30:00Z  key k{number} is looked up anew" for number in range(3, 13)]


def test_all_workflows() -> None:
    """A view of all adds up Steps and states; deleted workflows are no longer in it; events name their workflow."""
    overview = Overview(None)
    for one in (update(1, complete=2), update(2, "complete", complete=1), update(3, stalled=True, waiting=5)):
        overview.saw_update(one)
    overview.saw_event(event(1))
    assert shown(overview)[0] == "3 workflows  1 running  1 complete  1 stalled  3 of 8 Steps complete"[:59] + "…"
    overview.saw_update(update(3, "deleted"))
    assert shown(overview)[0] == "2 workflows  1 running  1 complete  3 of 3 Steps complete"
    assert shown(overview)[-1] == "12:30:00Z  w1  key k1 is looked up anew"


def test_a_deleted_workflow_is_shown_as_such() -> None:
    """The one workflow that is watched stays in view when it is deleted."""
    overview = Overview("w1")
    overview.saw_update(update(state="deleted"))
    assert shown(overview)[0] == "w1  deleted  0 of 0 Steps complete"


def test_a_small_terminal() -> None:
    """Lines are cut to the width, never wrapped, and the oldest events make room."""
    overview = Overview("w1")
    overview.saw_update(update(complete=1, waiting=1))
    for number in range(1, 9):
        overview.saw_event(event(number))
    lines = shown(overview, width=20, height=8)
    assert len(lines) == 7
    assert all(len(line) <= 20 for line in lines)
    assert lines[-1] == "12:30:00Z  key k8 i…"
    assert len(shown(overview, width=20, height=3)) == 4


def test_it_is_drawn_when_something_changed_and_not_too_often() -> None:
    """A change is drawn a quarter of a second after the last frame; without one the pace is, once a second."""
    frames: list[float] = []

    class Counting(LiveDisplay):
        def draw_now(self, now_s: float) -> None:
            frames.append(now_s)
            super().draw_now(now_s)

    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=60, height=20)
    with Live(console=console, auto_refresh=False) as screen:
        display = Counting("w1", screen)
        for now_s in (0.0, 0.1, 0.5, 1.0):
            display.draw(now_s)
        display.event(event(1))
        display.draw(1.1)
        display.update(update(complete=1))
        display.draw(1.3)
    assert frames == [0.0, 1.0, 1.3]
    assert "key k1 is looked up anew" in out.getvalue()


def test_how_far_steps_are_is_shown_in_its_place() -> None:
    """A line per Step, the latest of it, until it is told what became of the Step; it is no event among others."""
    overview = Overview("w1")
    said = {"workflow": "w1", "uid": 1, "sequence": 0, "time": "2024-05-01T12:30:00Z", "attempt": 1, "worker": "w"}
    for number in range(7):
        overview.saw_event(
            {**said, "kind": "step_progress", "step": f"s{number}", "done": 1, "total": 9, "message": ""}
        )
    overview.saw_event({**said, "kind": "step_progress", "step": "s3", "done": 2, "total": 9, "message": "mapping"})
    found = [line for line in shown(overview) if " is at " in line]
    assert found == [f"s{n} (attempt 1 on w) is at 1/9" for n in (2, 4, 5, 6)] + [
        "s3 (attempt 1 on w) is at 2/9 mapping"
    ]
    overview.saw_event({**said, "kind": "step_cancelled", "step": "s3", "reason": "halted"})
    assert not [line for line in shown(overview) if "s3" in line and "is at" in line]
    assert len(overview.events) == 1
