"""What a worker was given is remembered for a while, and no longer."""

from gaia_worker.seen import KEPT_S, Seen


def test_an_item_is_known_for_the_time_and_forgotten_in_the_end() -> None:
    """Two generations: nothing is forgotten early, and what is old makes room without being looked for."""
    now_s = 0.0
    seen: Seen[int] = Seen(lambda: now_s, 100)
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


def test_the_latest_are_known_however_fast_they_come() -> None:
    """At least so many as was said, and never more than twice as many are kept."""
    seen: Seen[int] = Seen(lambda: 0.0, 10)
    for item in range(1_000):
        seen.add(item)
        assert all(latest in seen for latest in range(max(0, item - 9), item + 1))
        assert len(seen._new) + len(seen._old) <= 20
