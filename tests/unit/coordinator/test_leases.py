"""When a worker counts as silent."""

from gaia_core.coordinator.leases import Leases


def test_a_worker_is_silent_after_a_whole_lease() -> None:
    """Not at the end of the lease, but after it."""
    leases = Leases(30)
    leases.heard("w", 0)
    assert [leases.silent(["w"], now) for now in range(0, 31, 10)] == [[], [], [], []]
    assert leases.silent(["w"], 30.5) == ["w"]


def test_a_sign_of_life_renews_the_lease() -> None:
    """Only the latest one counts, and only for its worker."""
    leases = Leases(30)
    for now in range(0, 60, 5):
        leases.heard("w", now)
        silent = leases.silent(["w", "other"], now)
        assert silent == (["other"] if now > 30 else [])


def test_a_worker_seen_for_the_first_time_gets_a_fresh_lease() -> None:
    """A new leader begins by believing in all of them."""
    leases = Leases(30)
    assert leases.silent(["w"], 1_000) == []
    assert [leases.silent(["w"], 1_000 + now) for now in (10, 20, 30)] == [[], [], []]
    assert leases.silent(["w"], 1_031) == ["w"]


def test_a_gap_renews_all() -> None:
    """A coordinator that was away itself could not have heard anybody."""
    leases = Leases(30)
    assert leases.look(0)
    leases.heard("w", 0)
    assert not leases.look(10)
    assert leases.look(100)
    assert leases.silent(["w"], 100) == []
    assert [leases.silent(["w"], 100 + now) for now in (10, 20, 30)] == [[], [], []]
    assert leases.silent(["w"], 131) == ["w"]


def test_a_worker_that_left_is_forgotten() -> None:
    """A name that comes back gets a fresh lease."""
    leases = Leases(30)
    leases.heard("w", 0)
    for now in range(0, 41, 10):
        leases.silent([], now)
    assert leases.silent(["w"], 45) == []
