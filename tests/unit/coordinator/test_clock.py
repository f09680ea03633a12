"""Clocks that jump, and time in which nothing ran: leases and timers follow the time that truly passed."""

import pytest

from gaia_core.machine import reports as rp
from gaia_core.workflow.model import Options
from tests.unit.coordinator.shard import LEASE_S, Hand, Shard
from tests.unit.machine.deployment import make

HOUR_MS = 3_600_000


@pytest.fixture
def shard() -> Shard:
    return Shard().open()


@pytest.fixture
def hand(shard: Shard) -> Hand:
    """A worker that runs the Step `a`."""
    hand = Hand(shard)
    hand.hello()
    shard.settle()
    shard.upload(make("a", "a"))
    hand.read()
    return hand


def retrying(shard: Shard, hand: Hand) -> None:
    """Let the Step wait for its next attempt."""
    for _ in range(2):
        hand.read()
        hand.say(rp.Cancelled(hand.fences()["a"]))
        shard.settle()
    assert shard.states() == {"a": "retrying"}


@pytest.mark.parametrize("jump_ms", [-HOUR_MS, HOUR_MS])
def test_a_jump_of_the_wall_clock_loses_nobody(shard: Shard, hand: Hand, jump_ms: int) -> None:
    """A worker is silent after a lease of monotonic time, whatever time it is."""
    shard.time.wall_ms += jump_ms
    shard.pass_time(LEASE_S - 1)
    assert shard.step("a").attempt == 1
    hand.beat(*hand.fences().values())
    shard.pass_time(LEASE_S - 1)
    assert list(shard.state.fleet.workers) == ["w"]
    shard.pass_time(3)
    assert shard.state.fleet.workers == {}


@pytest.mark.parametrize("jump_ms", [-HOUR_MS, HOUR_MS])
def test_a_jump_of_the_wall_clock_moves_no_timer(shard: Shard, hand: Hand, jump_ms: int) -> None:
    """A backoff ends after its time, neither at once nor an hour later."""
    retrying(shard, hand)
    due_ms = shard.step("a").retry_at_ms
    shard.time.wall_ms += jump_ms
    shard.settle()
    assert shard.states() == {"a": "retrying"}
    assert 0 < due_ms - shard.state.now_ms <= 60_000
    shard.pass_time((due_ms - shard.state.now_ms) // 1000 + 1)
    assert shard.states() == {"a": "running"}


@pytest.mark.parametrize("jump_ms", [-HOUR_MS, HOUR_MS])
def test_a_successor_with_another_clock_loses_nobody(shard: Shard, hand: Hand, jump_ms: int) -> None:
    """Time never goes back, every worker has a whole lease, and what runs goes on."""
    before_ms = shard.state.now_ms
    shard.time.wall_ms += jump_ms
    successor = shard.successor().open()
    assert successor.state.now_ms >= before_ms
    successor.pass_time(LEASE_S - 1)
    assert (successor.states(), successor.step("a").attempt) == ({"a": "running"}, 1)


def test_a_suspended_leader_loses_nobody(shard: Shard, hand: Hand) -> None:
    """After any gap in the loop everybody has a whole lease again: nobody could have been heard."""
    for gap_s in (LEASE_S / 3 + 1, LEASE_S + 1, 3600.0):
        shard.pass_time(LEASE_S / 2)
        shard.time.monotonic_s += gap_s
        shard.turn()
        shard.pass_time(LEASE_S - 1)
        assert shard.step("a").attempt == 1
        hand.beat(*hand.fences().values())
        shard.settle()


def test_everything_suspended_for_an_hour_goes_on(shard: Shard, hand: Hand) -> None:
    """Coordinator and worker sleep together, a laptop's lid say: the attempt ends as if nothing had been."""
    shard.time.monotonic_s += 3600
    shard.time.wall_ms += HOUR_MS
    shard.turn()
    hand.complete("a")
    shard.settle()
    assert (shard.states(), shard.step("a").attempt) == ({"a": "complete"}, 1)


def queued(shard: Shard) -> None:
    """Upload a Step that may be ready for a minute, and that no worker takes."""
    options = Options(queue_timeout_s=60.0)
    shard.upload(make("a", "a", options=options))
    shard.pass_time(50)
    assert shard.states() == {"a": "ready"}


@pytest.mark.parametrize("jump_ms", [0, HOUR_MS])
def test_a_successor_fails_no_step_for_time_without_a_leader(shard: Shard, jump_ms: int) -> None:
    """What waits for a worker has its whole time again: the clock jumped, or nobody led and could give it away."""
    queued(shard)
    shard.time.wall_ms += jump_ms
    successor = shard.successor().open()
    successor.pass_time(59)
    assert successor.states() == {"a": "ready"}
    successor.pass_time(2)
    assert successor.states() == {"a": "failed"}


def test_a_suspended_leader_fails_no_step_for_its_own_absence(shard: Shard) -> None:
    """After a gap in the loop, what waits for a worker has its whole time again."""
    queued(shard)
    shard.time.monotonic_s += 3600
    shard.turn()
    shard.pass_time(59)
    assert shard.states() == {"a": "ready"}
    shard.pass_time(2)
    assert shard.states() == {"a": "failed"}
