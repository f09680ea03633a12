"""What has left memory is freed, though Steps and Keys hold each other and the garbage collector hardly ever looks."""

import gc
from collections.abc import Iterator

import pytest

from gaia_core.errors import InvalidWorkflow
from gaia_core.machine import requests as rq
from gaia_core.workflow.graph import Folder, Key
from gaia_core.workflow.state import Step
from tests.unit.machine.archiving import Attic
from tests.unit.machine.deployment import TREE, Driver, copy, make
from tests.unit.machine.test_retention import attic, finished, wait  # noqa: F401 - a fixture


@pytest.fixture(autouse=True)
def without_collector() -> Iterator[None]:
    """Begin without garbage of other tests, and let only counted references free anything."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def held() -> list[object]:
    """Return the Steps, Keys and folders that there are."""
    return [one for one in gc.get_objects() if isinstance(one, Step | Key | Folder)]


def test_a_deleted_workflow_is_freed_whatever_its_steps_were_doing() -> None:
    """Waiting, ready, running and complete Steps, trees and sweeps: nothing of them stays."""
    driver = Driver()
    driver.join(slots=2)
    driver.upload(
        make("a", "results/a"),
        make("many", "results/{{n}}", vars={"n": (1, 2, 3)}),
        make("tree", "tree/", command=TREE.name),
        copy("gathers", "results/", "sum"),
        copy("waits", "outside", "never"),
    )
    driver.complete("a")
    assert {"complete", "running", "ready", "waiting"} <= set(driver.states().values())
    driver.ask(rq.Delete("flow"))
    driver.effects, driver.events = [], []
    assert held() == []


def test_an_archived_workflow_is_freed(attic: Attic) -> None:  # noqa: F811
    """Also by whoever follows the journal."""
    finished(attic)
    assert wait(attic) == ["flow"]
    attic.effects, attic.events, attic.told = [], [], []
    assert held() == []


def test_what_is_only_tried_is_freed() -> None:
    """Neither refused changes nor such that change nothing leave anything of the Steps that they would have made."""
    driver = Driver()
    driver.upload(make("a", "x"))
    before = len(held())
    circle = (copy("b", "z", "y"), copy("c", "y", "z"))
    with pytest.raises(InvalidWorkflow):
        driver.merge(*circle)
    driver.merge(make("a", "x"))
    assert len(held()) == before


def test_taking_apart_goes_in_small_pieces() -> None:
    """A Key of very many readers holds nobody up: no piece frees more than one Step, its Key and its folder."""
    driver = Driver()
    driver.upload(*(copy(f"s{number}", "shared", f"out/{number}") for number in range(10)))
    driver.state.gone.append(driver.state.workflows.pop("flow").take_apart())
    del driver.state.by_uid[1]
    left = len(held())
    while driver.state.gone:
        driver.state.tidy(1)
        freed, left = left - len(held()), len(held())
        assert freed <= 3
