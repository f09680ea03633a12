"""What recounts everything finds what is wrong."""

import pytest

from gaia_core.errors import InvariantBroken
from gaia_core.workflow import invariants
from tests.unit.machine.deployment import Driver, copy, make


def test_a_wrong_counter_is_named() -> None:
    """The error says which counter, what was kept and what there is."""
    driver = Driver()
    driver.upload(make("a", "a"), copy("b", "a", "b"))
    driver.step("b").missing = 7
    with pytest.raises(InvariantBroken, match="missing inputs of b: kept 7, recounted 1"):
        invariants.check(driver.flow())
