"""What a worker was given is remembered for a while, and no longer."""

from gaia_worker.seen import KEPT_S, Seen


def test_an_item_is_known_for_the_time_and_forgotten_in_the_end() -> None:
    """Two generations: nothing is forgotten early, and what is old makes room without being looked for."""
    now_s = 0.0
    seen: Seen[int] = Seen(lambda: now_s)
    seen.add(1)
    now_s = KEPT_S - 1
    seen.add(2)
    assert 1 in seen
    now_s = 2 * KEPT_S - 2
    seen.add(3)
    assert 2 in seen
    assert 3 in seen
    now_s = 4 * KEPT_S
    seen.add(4)
    seen.add(5)
    assert [item in seen for item in (1, 2, 3, 4, 5)] == [False, False, True, True, True]
    now_s = 5 * KEPT_S
    seen.add(6)
    assert 3 not in seen
