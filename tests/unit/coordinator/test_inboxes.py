"""Orders on their way to workers: records, sizes, and what became of each."""

from collections.abc import Iterator

import pytest

from gaia_core.coordinator import inboxes as module
from gaia_core.coordinator.inboxes import Inboxes
from gaia_core.machine import requests as rq
from gaia_core.machine.effects import SendCancels, SendDispatches
from gaia_core.machine.orders import Cancel, Dispatch, Inbox
from gaia_core.ports import Delivery
from gaia_core.scheduling.fleet import AttemptId
from gaia_core.wire.frame import RECORD_BYTES_MAX
from gaia_core.wire.inbox import decode_inbox
from gaia_core.workflow.model import Command, FileVersion, Publication, StepSpec
from tests.unit.machine.deployment import COMMANDS, Driver, copy, make


class Post:
    """A bus that keeps what is sent and tells deliveries when the test says."""

    def __init__(self) -> None:
        self.sent: list[Inbox] = []
        self.sizes: list[int] = []
        self.ended: list[Delivery] = []
        self.flushed = 0

    def send(self, worker: str, partition: int, record: bytes) -> None:
        self.sent.append(decode_inbox(record))
        self.sizes.append(len(record))

    def flush(self) -> None:
        self.flushed += 1

    def deliveries(self) -> list[Delivery]:
        ended, self.ended = self.ended, []
        return ended

    def orders(self) -> Iterator[tuple[str, int]]:
        """Yield (kind, Step's index) of every order sent."""
        for inbox in self.sent:
            for order in inbox.orders:
                assert isinstance(order, Dispatch | Cancel)
                fence = order.execution.fence if isinstance(order, Dispatch) else order.fence
                yield type(order).__name__, fence.step


@pytest.fixture
def driver() -> Driver:
    driver = Driver()
    driver.join(slots=10_000)
    return driver


@pytest.fixture
def post() -> Post:
    return Post()


def inboxes(driver: Driver, post: Post) -> Inboxes:
    return Inboxes(post, driver.state.fleet, 7)


def attempt(driver: Driver, step: str) -> AttemptId:
    found = driver.step(step)
    return AttemptId(driver.flow().uid, found.index, found.attempt)


def test_one_record_per_worker(driver: Driver, post: Post) -> None:
    """Cancels and dispatches of one batch travel together, cancels first, with term and incarnation."""
    driver.upload(make("a", "a"), make("b", "b"))
    driver.merge(make("a", "a"))
    inboxes(driver, post).perform(driver.effects)
    (record,) = post.sent
    assert (record.worker, record.incarnation, record.term) == ("w", "i1", 7)
    assert list(post.orders()) == [("Cancel", 0), ("Dispatch", 0)]
    assert post.flushed == 1


def test_nothing_to_send_is_nothing_sent(driver: Driver, post: Post) -> None:
    """Without orders the bus is left alone."""
    inboxes(driver, post).perform([])
    assert (post.sent, post.flushed) == ([], 0)


def test_orders_for_a_worker_that_left_are_dropped(driver: Driver, post: Post) -> None:
    """A worker that is gone gets nothing; its attempts went elsewhere."""
    driver.upload(make("a", "a"))
    effects = driver.effects
    driver.ask(rq.LoseWorker("w", "i1", "silent"))
    inboxes(driver, post).perform(effects)
    assert post.sent == []


def test_an_attempt_that_no_longer_counts_is_not_dispatched(driver: Driver, post: Post) -> None:
    """An order that is sent again is left out when its attempt ended or was stopped meanwhile."""
    driver.upload(make("a", "a"), make("b", "b"), make("c", "c"))
    again = SendDispatches("w", driver.flow(), tuple(driver.flow().steps.values()))
    driver.complete("a")
    driver.ask(rq.Halt("flow"))
    inboxes(driver, post).perform([again])
    assert list(post.orders()) == []


def test_deliveries_are_remembered(driver: Driver, post: Post) -> None:
    """An attempt's order is open, then lies at an offset; one that failed is as if never sent."""
    driver.upload(make("a", "a"), make("b", "b"))
    sender = inboxes(driver, post)
    sender.perform([SendDispatches("w", driver.flow(), (driver.step("a"),))])
    sender.perform([SendDispatches("w", driver.flow(), (driver.step("b"),))])
    a, b = attempt(driver, "a"), attempt(driver, "b")
    assert sender.sent["w"] == {a: None, b: None}
    post.ended = [Delivery("w", 5), Delivery("w", None), Delivery("stranger", 9)]
    sender.note_deliveries()
    assert sender.sent["w"] == {a: 5}


def test_a_later_order_is_the_one_that_counts(driver: Driver, post: Post) -> None:
    """A cancel opens the delivery of its attempt anew."""
    driver.upload(make("a", "a"))
    sender = inboxes(driver, post)
    sender.perform(driver.effects)
    post.ended = [Delivery("w", 5)]
    sender.note_deliveries()
    a = attempt(driver, "a")
    sender.perform([SendCancels("w", a.uid, ((a.step, a.attempt),), "why")])
    assert sender.sent["w"] == {a: None}


def test_what_ended_is_forgotten(driver: Driver, post: Post) -> None:
    """Attempts that a worker no longer holds, and workers that left, take no memory."""
    driver.upload(make("a", "a"), make("b", "b"))
    sender = inboxes(driver, post)
    sender.perform(driver.effects)
    driver.complete("a")
    sender.prune(driver.state.fleet.workers["w"])
    assert list(sender.sent["w"]) == [attempt(driver, "b")]
    driver.ask(rq.LoseWorker("w", "i1", "silent"))
    post.ended = [Delivery("w", 3)]
    sender.note_deliveries()
    sender.perform(driver.effects)
    assert sender.sent == {}
    assert not any(sender._open.values())


def test_many_orders_are_split(driver: Driver, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record holds so many orders, and deliveries still find their attempts."""
    monkeypatch.setattr(module, "ORDERS_PER_RECORD_MAX", 2)
    driver.upload(make("s", "o/{{n}}", vars={"n": tuple(range(5))}))
    sender = inboxes(driver, post)
    sender.perform(driver.effects)
    assert [len(inbox.orders) for inbox in post.sent] == [2, 2, 1]
    post.ended = [Delivery("w", 1), Delivery("w", None), Delivery("w", 3)]
    sender.note_deliveries()
    assert sorted(sender.sent["w"].values()) == [1, 1, 3]


def test_large_orders_are_split(driver: Driver, post: Post) -> None:
    """Orders that are too large together travel apart, and each of them fits."""
    big = Command("big", "image", ("x" * 100_000, "{{n}}"), {}, {"out": "/out"})
    driver.upload(StepSpec("s", "big", {}, {"out": "o/{{n}}"}, {"n": tuple(range(12))}), commands=[big])
    inboxes(driver, post).perform(driver.effects)
    assert len(list(post.orders())) == 12
    assert len(post.sent) > 2
    assert max(post.sizes) <= RECORD_BYTES_MAX


def test_the_largest_step_fits_into_a_record(driver: Driver, post: Post) -> None:
    """A Step with everything at its limit, and long lists of long Keys, can be sent."""
    big = Command("big", "image", ("x" * 120_000, "y" * 120_000), {"in": "/in/"}, {"out": "/out"})
    for count, name in ((100, "some"), (800, "many")):
        files = tuple(FileVersion(f"t/{n}/{'k' * 800}", "version" * 5, 1, b"\0" * 32) for n in range(count))
        driver.upload(
            StepSpec("s", "big", {"in": "t/"}, {"out": "o"}), copy("c", "t/", "p"), commands=[*COMMANDS, big], name=name
        )
        driver.ask(rq.Arrive(name, (Publication("t/", files),)))
        inboxes(driver, post).perform(driver.effects)
    assert len(list(post.orders())) == 4
    assert max(post.sizes) <= RECORD_BYTES_MAX
