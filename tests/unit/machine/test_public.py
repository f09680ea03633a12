"""What the world is told, in which order."""

from gaia_core.machine import public
from gaia_core.machine import requests as rq
from tests.unit.machine.deployment import Driver, make


def test_deleted_is_the_last_event_of_a_workflow() -> None:
    """Who forgets a workflow when it is deleted misses nothing: attempts that this stopped are told before."""
    driver, announcer = Driver(), public.Announcer()
    driver.join()
    announcer.follow(driver.now_ms, driver.events)
    driver.upload(make("runs", "runs"))
    before = announcer.follow(driver.now_ms, driver.events)
    driver.ask(rq.Delete("flow"))
    after = announcer.follow(driver.now_ms, driver.events)
    assert [one.fact for one in after] == [
        public.StepCancelled("runs", 1, "deleted"),
        public.WorkflowChanged("deleted"),
    ]
    assert [one.sequence for one in after] == [before[-1].sequence + 1, before[-1].sequence + 2]
