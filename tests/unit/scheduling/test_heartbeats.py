"""What a heartbeat proves about the attempts a worker was given."""

import pytest

from gaia_core.scheduling.fleet import AttemptId
from gaia_core.scheduling.heartbeats import Verdict, compare

ONE = AttemptId(1, 2, 3)
RUNNING, STOPPING = False, True


@pytest.mark.parametrize(
    ("expected", "held", "sent", "verdict"),
    [
        (RUNNING, True, {ONE: 5}, ""),
        (RUNNING, True, {}, ""),
        (RUNNING, False, {ONE: 5}, "lost"),
        (RUNNING, False, {ONE: 9}, "lost"),
        (RUNNING, False, {ONE: 10}, ""),
        (RUNNING, False, {ONE: None}, ""),
        (RUNNING, False, {}, "resend"),
        (STOPPING, True, {ONE: 5}, "cancel"),
        (STOPPING, True, {ONE: 10}, ""),
        (STOPPING, True, {ONE: None}, ""),
        (STOPPING, True, {}, "cancel"),
        (STOPPING, False, {ONE: 5}, "lost"),
        (STOPPING, False, {ONE: 10}, ""),
        (STOPPING, False, {ONE: None}, ""),
        (STOPPING, False, {}, "lost"),
        (None, True, {}, "cancel"),
        (None, True, {ONE: 5}, "cancel"),
    ],
)
def test_what_follows_from_one_attempt(
    expected: bool | None, held: bool, sent: dict[AttemptId, int | None], verdict: str
) -> None:
    """Lost when its order was read and it is not held; sent again when the order may never have come; else nothing."""
    given = {} if expected is None else {ONE: expected}
    found = compare(given, {ONE} if held else set(), sent, 10)
    told = {"lost": found.lost, "resend": found.resend, "cancel": found.cancel}
    assert told == {word: [ONE] if word == verdict else [] for word in told}


@pytest.mark.parametrize("sent", [{}, {ONE: 5}, {ONE: None}, {ONE: 10}])
@pytest.mark.parametrize("expected", [None, RUNNING, STOPPING])
def test_nothing_follows_from_an_attempt_whose_end_is_on_its_way(
    expected: bool | None, sent: dict[AttemptId, int | None]
) -> None:
    """It has ended well or badly, and the report of that will come; it need not be stopped either."""
    given = {} if expected is None else {ONE: expected}
    assert compare(given, set(), sent, 10, {ONE}) == Verdict()


def test_each_attempt_is_judged_for_itself() -> None:
    """One heartbeat may prove several things at once."""
    ids = [AttemptId(1, n, 1) for n in range(5)]
    given = {ids[0]: RUNNING, ids[1]: RUNNING, ids[2]: RUNNING, ids[3]: STOPPING}
    found = compare(given, {ids[0], ids[3], ids[4]}, {ids[0]: 1, ids[1]: 1, ids[4]: 1}, 2)
    assert (found.lost, found.resend, found.cancel) == ([ids[1]], [ids[2]], [ids[3], ids[4]])
