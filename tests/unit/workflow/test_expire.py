"""What the names in an expire request stand for."""

import pytest

from gaia_core.errors import InvalidWorkflow, UnknownName
from gaia_core.machine import requests as rq
from gaia_core.machine.diff import Expired
from gaia_core.machine.effects import LookUp
from gaia_core.workflow.expire import SUGGESTIONS_MAX, Targets, resolve
from tests.unit.machine.deployment import Driver, copy, make


@pytest.fixture
def driver() -> Driver:
    """Steps with Keys in a tree, a sweep, a name that is also a Key, and readers of outside Keys."""
    driver = Driver()
    driver.join()
    driver.upload(
        make("a", "t/a"),
        make("b", "t/u/b"),
        make("tree", "out/", command="tree"),
        make("s", "sweep/{{n}}", vars={"n": (1, 2)}),
        make("both", "both"),
        copy("reader", "in/x", "r"),
        copy("gather", "in/", "g", command="list"),
    )
    return driver


def meant(driver: Driver, *names: str) -> tuple[list[str], list[str]]:
    targets: Targets = resolve(driver.flow(), names)
    return sorted(step.name for step in targets.steps), sorted(key.name for key in targets.keys)


@pytest.mark.parametrize(
    ("name", "steps", "keys"),
    [
        ("a", ["a"], []),
        ("step:a", ["a"], []),
        ("t/a", ["a"], []),
        ("key:t/a", ["a"], []),
        ("t/", ["a", "b"], []),
        ("t/u/", ["b"], []),
        ("out/", ["tree"], []),
        ("out/deep/file", ["tree"], []),
        ("s", ["s-1", "s-2"], []),
        ("s-1", ["s-1"], []),
        ("sweep/", ["s-1", "s-2"], []),
        ("step:both", ["both"], []),
        ("key:both", ["both"], []),
        ("in/x", [], ["in/", "in/x"]),
        ("in/", [], ["in/", "in/x"]),
    ],
)
def test_a_name_stands_for_steps_or_keys(driver: Driver, name: str, steps: list[str], keys: list[str]) -> None:
    """A Key or tree stands for the Steps that write it or under it; an outside one for itself."""
    assert meant(driver, name) == (steps, keys)


def test_names_may_overlap(driver: Driver) -> None:
    """What several names stand for is taken once."""
    assert meant(driver, "a", "t/", "t/a") == (["a", "b"], [])


@pytest.mark.parametrize("name", ["nothing", "t", "t/aa", "t/none/", "step:t/a", "key:a", "step:", "key:", "", "/"])
def test_an_unknown_name_is_an_error_that_names_it(driver: Driver, name: str) -> None:
    """A name that is neither a Step nor a Key is refused with its place."""
    with pytest.raises(UnknownName) as refusal:
        meant(driver, "a", name)
    assert [problem.place for problem in refusal.value.problems] == ["names[1]"]
    assert repr(name) in refusal.value.problems[0].message


def test_an_unknown_name_comes_with_the_nearest_step(driver: Driver) -> None:
    """A mistyped Step name gets a suggestion, and only so many of them do."""
    with pytest.raises(UnknownName, match="did you mean 'gather'"):
        meant(driver, "gathr")
    with pytest.raises(UnknownName) as refusal:
        meant(driver, *["gathr"] * 100)
    assert sum("did you mean" in problem.message for problem in refusal.value.problems) == SUGGESTIONS_MAX


def test_a_name_that_is_both_is_refused_with_the_way_to_say_it(driver: Driver) -> None:
    """Both a Step and a Key: refused with the hint, whatever else is wrong told too."""
    with pytest.raises(InvalidWorkflow) as refusal:
        meant(driver, "both", "nothing")
    assert [problem.place for problem in refusal.value.problems] == ["names[0]", "names[1]"]
    assert "'step:both' or 'key:both'" in refusal.value.problems[0].message


def test_an_expired_outside_key_is_looked_up_anew(driver: Driver) -> None:
    """A Key that no Step writes is asked of the store again, and its readers and those of trees over it wait."""
    driver.arrive("in/x", "in/")
    driver.run_all()
    answer = driver.ask(rq.Expire("flow", ("in/x",)))
    assert sorted(answer.steps) == ["gather", "reader"]
    assert LookUp("flow", ("in/x", "in/")) in driver.effects
    assert driver.states()["reader"] == "waiting"


def test_what_a_writer_left_is_not_looked_up(driver: Driver) -> None:
    """Expiring a Key that a re-mapped writer left behind does not bring the leftover back."""
    driver.merge(make("a", "new"), copy("c", "t/a", "c"))
    driver.ask(rq.Expire("flow", ("t/a",)))
    assert not [effect for effect in driver.effects if isinstance(effect, LookUp)]


def test_nothing_is_expired_by_no_name(driver: Driver) -> None:
    """No names, no change."""
    assert driver.ask(rq.Expire("flow", ())) == Expired()


def test_a_key_inside_a_written_tree_stands_for_the_trees_writer(driver: Driver) -> None:
    """Nothing is looked up: the Key is a part of what a Step writes."""
    driver.upload(make("w", "w/", command="tree"), copy("r", "w/x", "y"), name="other")
    answer = driver.ask(rq.Expire("other", ("w/x",)))
    assert answer.steps == ["w", "r"]
    assert not [effect for effect in driver.effects if isinstance(effect, LookUp)]


def test_a_name_too_long_for_a_key_is_unknown(driver: Driver) -> None:
    """It is not looked for, which would take long."""
    with pytest.raises(UnknownName):
        driver.ask(rq.Expire("flow", ("a/" * 100_000,)))
    assert driver.ask(rq.GetFiles("flow", "a/" * 100_000)) == ()
