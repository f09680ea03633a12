"""A watch is over when its workflow is at rest and its last event was seen."""

from typing import Any

import pytest

from gaia_client.ending import GONE_S, QUIET_S, Ending
from gaia_client.waiting import STALLED_S


def update(state: str, sequence: int = 5, *, stalled: bool = False) -> dict[str, Any]:
    """Return an update in so far as an ending looks at it."""
    return {"state": state, "stalled": stalled, "sequence": sequence}


def test_it_goes_on_while_something_happens() -> None:
    """Nothing is over before an update came, nor while the workflow runs."""
    ending = Ending(9, is_filtered=False)
    assert not ending.is_due(100)
    ending.saw_update(100, update("running"))
    assert not ending.is_due(10_000)


@pytest.mark.parametrize("state", ["complete", "error", "halted"])
def test_it_ends_with_the_last_event(state: str) -> None:
    """At rest it is over at once when the event with the latest number was seen, and not before."""
    ending = Ending(0, is_filtered=False)
    ending.saw_update(0, update(state))
    ending.saw_event(1, {"sequence": 4})
    ending.saw_event(1, {"sequence": 0})
    assert not ending.is_due(1)
    ending.saw_event(1, {"sequence": 5})
    assert ending.is_due(1)


def test_it_begins_behind_what_nobody_asked_for() -> None:
    """Who asks only for later events has nothing to wait for."""
    ending = Ending(7, is_filtered=False)
    ending.saw_update(0, update("complete", 5))
    assert ending.is_due(0)


@pytest.mark.parametrize(("is_filtered", "patience_s"), [(True, QUIET_S), (False, GONE_S)])
def test_an_event_that_does_not_come_is_given_up(is_filtered: bool, patience_s: float) -> None:
    """Behind filters a short silence is the end; without them the last event must come, unless it is kept no more."""
    ending = Ending(0, is_filtered=is_filtered)
    ending.saw_update(0, update("complete"))
    ending.saw_event(10, {"sequence": 3})
    assert not ending.is_due(10 + patience_s * 0.9)
    assert ending.is_due(10 + patience_s)


def test_stalled_must_last() -> None:
    """A workflow counts as stalled only after a while, counted anew when something happened in between."""
    ending = Ending(5, is_filtered=False)
    ending.saw_update(0, update("running", stalled=True))
    ending.saw_update(1, update("running"))
    ending.saw_update(2, update("running", stalled=True))
    ending.saw_update(3, update("running", stalled=True))
    assert not ending.is_due(2 + STALLED_S * 0.9)
    assert ending.is_due(2 + STALLED_S)
