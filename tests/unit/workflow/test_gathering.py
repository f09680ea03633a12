"""Names within a composite that lie under each other: a tree over names, a name under a tree."""

import pytest

from gaia_core.errors import InvalidWorkflow
from gaia_core.workflow.model import StepSpec
from tests.unit.machine.deployment import COMMANDS, Driver
from tests.unit.workflow.test_composite import composite, inner, keys

SWEEP = inner("part", "make", {}, {"out": "sw/{{n}}"}, vars={"n": ("x", "y/z")})


@pytest.fixture
def driver() -> Driver:
    """A deployment with a worker."""
    driver = Driver()
    driver.join()
    return driver


def messages(driver: Driver, *steps: StepSpec, inputs: str = "", outputs: str = "", use: StepSpec) -> list[str]:
    """What is wrong with a use of a composite of these inner Steps."""
    with pytest.raises(InvalidWorkflow) as refusal:
        driver.upload(use, commands=(*COMMANDS, composite("c", *steps, inputs=inputs, outputs=outputs)))
    return [problem.message for problem in refusal.value.problems]


def test_a_tree_gathers_what_inner_steps_write_under_it(driver: Driver) -> None:
    """Sweeps and single Steps alike, trees and files; its Keys lie in a folder that no inner Step's are in."""
    steps = (
        inner("all", "list", {"in": "sw/"}, {"out": "result"}),
        SWEEP,
        inner("more", "tree", {}, {"out": "sw/more"}),
        inner("one", "copy", {"in": "sw/y/z"}, {"out": "apart"}),
        inner("some", "list", {"in": "sw/y/"}, {"out": "few"}),
    )
    use = StepSpec("s", "c", {}, {"result": "done"})
    driver.upload(use, commands=(*COMMANDS, composite("c", *steps, outputs="result")))
    assert keys(driver) == {
        "s:all": (["composite/s/_/sw/"], ["done"]),
        "s:part-x": ([], ["composite/s/_/sw/x"]),
        "s:part-yz": ([], ["composite/s/_/sw/y/z"]),
        "s:more": ([], ["composite/s/_/sw/more/"]),
        "s:one": (["composite/s/_/sw/y/z"], ["composite/s/one/out"]),
        "s:some": (["composite/s/_/sw/y/"], ["composite/s/some/out"]),
    }
    order = driver.run_all()
    assert order.index("s:all") > max(order.index(name) for name in ("s:part-x", "s:part-yz", "s:more"))


def test_a_tree_may_splice_vars(driver: Driver) -> None:
    """Which tree is read is known once vars are."""
    reader = inner("all", "list", {"in": "{{t}}"}, {"out": "r{{t}}"}, vars={"t": ("sw/", "sw/y/")})
    driver.upload(StepSpec("s", "c"), commands=(*COMMANDS, composite("c", reader, SWEEP)))
    assert keys(driver)["s:all-sw"][0] == ["composite/s/_/sw/"]
    assert keys(driver)["s:all-swy"][0] == ["composite/s/_/sw/y/"]


def test_names_keep_their_keys_where_no_tree_is_read(driver: Driver) -> None:
    """A name may look like a path without lying in anything, and a tree that is written by its name is that one."""
    own = inner("own", "tree", {}, {"out": "sw/"})
    reader = inner("all", "list", {"in": "sw/"}, {"out": "rest"})
    driver.upload(StepSpec("s", "c"), commands=(*COMMANDS, composite("c", SWEEP, own, reader)))
    assert keys(driver) == {
        "s:part-x": ([], ["composite/s/part-x/out"]),
        "s:part-yz": ([], ["composite/s/part-yz/out"]),
        "s:own": ([], ["composite/s/own/out/"]),
        "s:all": (["composite/s/own/out/"], ["composite/s/all/out"]),
    }


def test_names_under_inputs_outputs_and_trees_lie_under_their_keys(driver: Driver) -> None:
    """An output may gather, too; read as a tree it is what was gathered."""
    steps = (
        inner("part", "copy", {"in": "raw/{{n}}"}, {"out": "parts/{{n}}"}, vars={"n": ("x", "y")}),
        inner("cut", "tree", {}, {"out": "cuts"}),
        inner("one", "copy", {"in": "cuts/1"}, {"out": "first"}),
        inner("cuts", "list", {"in": "cuts/"}, {"out": "second"}),
        inner("raw", "list", {"in": "raw/"}, {"out": "third"}),
        inner("all", "list", {"in": "parts/"}, {"out": "fourth"}),
    )
    nest = composite("c", *steps, inputs="raw", outputs="parts")
    around = composite(
        "around", inner("n", "c", {"raw": "in"}, {"parts": "made"}), inner("l", "list", {"in": "made"}, {"out": "all"}),
        inputs="in",
    )  # fmt: skip
    use = StepSpec("s", "c", {"raw": "data/"}, {"parts": "parts-of-s/"})
    other = StepSpec("t", "around", {"in": "data/"})
    driver.upload(use, other, commands=(*COMMANDS, nest, around))
    found = keys(driver)
    assert found["s:part-x"] == (["data/x"], ["parts-of-s/x"])
    assert found["s:one"][0] == ["composite/s/cut/out/1"]
    assert found["s:cuts"][0] == ["composite/s/cut/out/"]
    assert found["s:raw"][0] == ["data/"]
    assert found["s:all"][0] == ["parts-of-s/"]
    assert found["t:n:part-y"] == (["data/y"], ["composite/t/n/parts/y"])
    assert found["t:l"][0] == ["composite/t/n/parts/"]


def test_an_output_that_gathers_and_is_not_mapped_is_kept_inside(driver: Driver) -> None:
    """What it gathers is still found by inner Steps."""
    reader = inner("all", "list", {"in": "sw/"}, {"out": "rest"})
    driver.upload(StepSpec("s", "c"), commands=(*COMMANDS, composite("c", SWEEP, reader, outputs="sw")))
    assert keys(driver)["s:all"][0] == ["composite/s/_/sw/"]


def test_a_step_that_writes_into_what_it_gathers_closes_a_circle(driver: Driver) -> None:
    """As it does outside."""
    reader = inner("all", "list", {"in": "sw/"}, {"out": "sw/list"})
    (message,) = messages(driver, SWEEP, reader, use=StepSpec("s", "c"))
    assert message == "the Steps depend on each other in a circle: s:all → s:all"


@pytest.mark.parametrize(
    ("local", "words"),
    [
        ("sv/", "'sv/' is neither an input of the composite nor written by one of its Steps"),
        ("sw/w", "'sw/w' is neither an input"),
        ("file/x", "'file/x' lies under 'file/', which stands for 'composite/s/file/out', no tree"),
        ("in/x", "'in/x' lies under 'in/', which stands for 'k', no tree"),
        ("whole/", "'whole/' is a tree of its own, but inner Steps write under it, too"),
        ("tree/", "'tree/' is a tree of its own, but inner Steps write under it, too"),
        ("whole/../x", "'composite/s/whole/out/../x' has an empty, '.' or '..' segment"),
    ],
)
def test_what_lies_in_nothing_is_refused(driver: Driver, local: str, words: str) -> None:
    """A name that nothing makes, or that lies under a file, with what it lies under."""
    steps = (
        SWEEP,
        inner("file", "make", {}, {"out": "file"}),
        inner("whole", "tree", {}, {"out": "whole"}),
        inner("more", "make", {}, {"out": "whole/part"}),
        inner("most", "make", {}, {"out": "tree/part"}),
        inner("all", "list", {"in": local}, {"out": "rest"}),
    )
    (message,) = messages(driver, *steps, inputs="in tree", use=StepSpec("s", "c", {"in": "k", "tree": "t/"}))
    assert message.startswith(words)


@pytest.mark.parametrize(
    ("key", "words"),
    [("k", "'sw/x' lies under 'sw/', which stands for 'k', no tree"), ("../k/", "'../k/' has an empty")],
)
def test_an_output_that_gathers_is_mapped_to_a_tree(driver: Driver, key: str, words: str) -> None:
    """Told once for what is under it; a Key that is none is told for itself."""
    reader = inner("all", "list", {"in": "sw/"}, {"out": "rest"})
    use = StepSpec("s", "c", {}, {"sw": key})
    assert messages(driver, SWEEP, reader, outputs="sw", use=use)[0].startswith(words)


def test_a_gathered_name_is_part_of_a_key(driver: Driver) -> None:
    """So it has the length and segments of one, or is refused at the output that has it."""
    reader = inner("all", "list", {"in": "sw/"}, {"out": "rest"})
    wrong = inner("part", "make", {}, {"out": "sw/{{n}}"}, vars={"n": ("..", "a//b", "ä" * 250, "ß" * 250)})
    found = messages(driver, wrong, reader, use=StepSpec("s" * 250, "c"))
    assert [message.split(" ", 1)[1] for message in found][:2] == ["has an empty, '.' or '..' segment"] * 2


def test_of_very_many_problems_of_a_sweep_the_first_are_told(driver: Driver) -> None:
    """They are found of all elements alike, and nobody reads more."""
    wrong = inner("part", "make", {}, {"out": "x{{m}}"}, vars={"n": (1, 2), "m": tuple(range(300))})
    assert len(messages(driver, wrong, use=StepSpec("s", "c"))) == 100


def test_doubled_values_inside_are_refused_before_they_are_made(driver: Driver) -> None:
    """Nothing that only follows from that is told."""
    vast = {"v": "x" * 1000, "w": "{{v}}" * 1000}
    step = inner("a", "make", {}, {"out": "result"}, vars=vast)
    (message,) = messages(driver, step, outputs="result", use=StepSpec("s", "c", {}, {"result": "r"}))
    assert message.startswith("the values splice each other to more than")
