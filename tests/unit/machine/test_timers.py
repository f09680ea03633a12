"""Stale timers do not pile up, and those that count come when they are due."""

from gaia_core.machine.timers import SLACK, Timers
from gaia_core.workflow.model import FailureClass, Options
from tests.unit.machine.deployment import Driver, make


def test_timers_come_when_they_are_due() -> None:
    """The earliest first, and stale ones never."""
    timers: Timers[tuple[int, int]] = Timers(lambda timer: timer[1] != 7)
    for timer in ((30, 3), (10, 1), (20, 7), (40, 4)):
        timers.push(timer)
    assert timers.take(9) == []
    assert timers.take(30) == [(10, 1), (30, 3)]
    assert len(timers) == 1


def test_stale_timers_do_not_pile_up() -> None:
    """However many there were, at most as many are stale as count, beyond a few."""
    current: list[int] = []
    timers: Timers[tuple[int, int]] = Timers(lambda timer: timer[1] in current[-10:])
    for number in range(20 * SLACK):
        current.append(number)
        timers.push((number + 10**9, number))
        assert len(timers) <= SLACK
    assert len(timers.take(10**10)) == 10


def test_timers_that_count_are_all_kept() -> None:
    """Nothing is dropped that is not stale."""
    timers: Timers[tuple[int, int]] = Timers(lambda _: True)
    for number in range(3 * SLACK):
        timers.push((number, number))
    assert len(timers.take(3 * SLACK)) == 3 * SLACK


def test_a_busy_workflow_keeps_few_timers() -> None:
    """Attempts that begin in time, and retries that were overtaken, leave no timers behind."""
    driver = Driver()
    driver.join()
    driver.upload(make("a", "x", options=Options(queue_timeout_s=10**6, retries=10**6)))
    for _ in range(2 * SLACK):
        driver.state.now_ms = driver.now_ms
        driver.fail("a", FailureClass.COMMAND)
        driver.merge(make("a", "x", options=Options(queue_timeout_s=10**6, retries=10**6)))
    assert len(driver.state.timers) <= SLACK
    assert len(driver.state.queue_timers) <= SLACK
