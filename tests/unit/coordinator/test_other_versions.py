"""Workers whose version is too far from the server's are sent away, with the reason."""

from gaia_core.machine import reports as rp
from gaia_core.machine.orders import Drain
from gaia_core.machine.reports import Hello
from gaia_core.skew import too_far
from gaia_core.version import VERSION
from tests.unit.coordinator.shard import Hand, Shard
from tests.unit.machine.deployment import make

FAR = "99.0.0"


def hello(hand: Hand, version: str) -> None:
    """Say hello as a worker of some version."""
    hand.say(Hello("default", 10, 0, 0, hand.bus.start_offset, "noop", "host", version))


def test_a_worker_of_another_age_is_not_taken_in() -> None:
    """It gets no Steps, and is told why it has to go each time that it says hello."""
    shard = Shard().open()
    hand = Hand(shard)
    shard.upload(make("a", "x"))
    for _ in range(2):
        hello(hand, FAR)
        hand.say(rp.Heartbeat(hand.bus.inbox_offset(), ()))
        shard.settle()
        assert hand.read() == [Drain(too_far(FAR))]
    assert shard.state.fleet.workers == {}


def test_a_worker_of_this_version_is_taken_in() -> None:
    """What fits gets Steps."""
    shard = Shard().open()
    hand = Hand(shard)
    shard.upload(make("a", "x"))
    hello(hand, VERSION)
    shard.settle()
    assert [what for what, _, _ in hand.told()] == ["run"]


def test_a_worker_that_was_taken_in_before_ends_what_it_runs() -> None:
    """After an upgrade of the server its older worker is told to go, and the ends that it reports count."""
    shard = Shard().open()
    hand = Hand(shard)
    hand.hello()
    shard.upload(make("a", "x"))
    shard.settle()
    hand.read()
    hello(hand, FAR)
    shard.settle()
    assert hand.read() == [Drain(too_far(FAR))]
    hand.complete("a")
    shard.settle()
    assert shard.states() == {"a": "complete"}
