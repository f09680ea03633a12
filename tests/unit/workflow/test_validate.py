"""Whether Commands and Steps may enter a workflow: overlaps, circles, names, and all problems together."""

from collections.abc import Sequence

import pytest

from gaia_core.errors import InvalidWorkflow, Problem
from gaia_core.machine import requests as rq
from gaia_core.workflow.form.items import Reading
from gaia_core.workflow.model import Command, StepSpec
from gaia_core.workflow.validate import PROBLEMS_MAX, STEPS_NAMED_MAX, Rules, check, command_problems
from tests.unit.machine.deployment import COMMANDS, Driver, copy, make

PAIR = Command("pair", "image", ("x",), {"in": "/in/"}, {"one": "/1", "other": "/2/"})


def checked(commands: Sequence[Command], steps: Sequence[StepSpec]) -> list[Problem]:
    """The problems of a new workflow whose form is sound."""
    return check(Reading(commands), Reading(steps))


def problems(*steps: StepSpec) -> list[Problem]:
    return checked([*COMMANDS, PAIR], steps)


def places(found: list[Problem]) -> list[str]:
    return [problem.place for problem in found]


def test_a_sound_workflow_has_no_problems() -> None:
    """Steps may be written in any order."""
    assert problems(copy("c", "b", "c"), copy("b", "a", "b"), make("a", "a")) == []


def test_an_unknown_command_is_told_with_the_nearest_one() -> None:
    """An unknown Command is refused with a suggestion."""
    (found,) = problems(make("a", "a", command="mkae"))
    assert found == ("steps[0].command", "there is no Command 'mkae'; did you mean 'make'?")


def test_all_problems_come_together() -> None:
    """One answer holds the problems of every Step and Command, each with its place."""
    broken = Command("broken", "i", ("{{",), {"x": "/x"}, {"x": "/x"}, {"x": 1})
    found = checked(
        [*COMMANDS, broken],
        [make("a", "../a"), make("b", "b", command="nope"), StepSpec("c", "copy"), make("d", "d"), make("e", "d")],
    )
    assert set(places(found)) == {
        "commands[5].vars.x",
        "commands[5].outputs.x",
        "commands[5].command[0]",
        "steps[0].outputs.out",
        "steps[1].command",
        "steps[2].inputs.in",
        "steps[4].outputs.out",
    }


@pytest.mark.parametrize(
    ("one", "other"),
    [("k", "k"), ("t/", "t/k"), ("t/k", "t/"), ("t/", "t/u/"), ("t/u/v/k", "t/"), ("b.k:t/", "b.k:t/k")],
)
def test_two_writers_of_overlapping_keys_are_refused(one: str, other: str) -> None:
    """Two Steps that write the same or overlapping Keys are refused, naming both."""
    (found,) = problems(make("first", one), make("second", other))
    assert found.place == "steps[1].outputs.out"
    assert "'first'" in found.message
    assert "'second'" in found.message


@pytest.mark.parametrize(
    ("one", "other"), [("t", "t/"), ("t/a", "t/ab"), ("t/a", "t/a/b"), ("bkt:k", "k"), ("t/", "tt/")]
)
def test_keys_that_only_look_alike_may_have_two_writers(one: str, other: str) -> None:
    """A file `a` beside `a/b`, a common beginning, and another bucket are no overlap."""
    assert problems(make("first", one), make("second", other)) == []


def test_the_outputs_of_one_step_may_overlap() -> None:
    """A Step may write a tree and a Key in it."""
    assert problems(StepSpec("s", "pair", {"in": "x/"}, {"one": "t/k", "other": "t/"})) == []


def test_an_element_of_a_sweep_that_overlaps_another_is_refused() -> None:
    """A sweep whose Steps write one Key is refused."""
    (found,) = problems(make("s", "same", vars={"n": (1, 2)}))
    assert found.place == "steps[0].outputs.out"


@pytest.mark.parametrize(
    "steps",
    [
        (copy("a", "k", "k"),),
        (copy("a", "x", "y"), copy("b", "y", "x")),
        (copy("a", "x", "y"), copy("b", "y", "z"), copy("c", "z", "x")),
        (copy("a", "t/", "t/x", command="list"),),
        (copy("a", "t/", "x", command="list"), copy("b", "x", "t/deep/y")),
        (StepSpec("a", "pair", {"in": "q"}, {"other": "t/"}), copy("b", "t/k", "q")),
    ],
)
def test_circles_are_refused(steps: tuple[StepSpec, ...]) -> None:
    """A circle is refused, also through a tree that one of its Steps writes under."""
    found = problems(*steps)
    assert len(found) == 1
    assert "in a circle" in found[0].message
    for step in steps:
        assert step.name in found[0].message


def test_a_diamond_is_no_circle() -> None:
    """Two ways to the same Step are fine."""
    two = Command("two", "i", ("x",), {"a": "/a", "b": "/b"}, {"out": "/o"})
    steps = [make("s", "s"), copy("l", "s", "l"), copy("r", "s", "r"), StepSpec("e", "two", {"a": "l", "b": "r"}, {})]
    assert checked([*COMMANDS, two], steps) == []


def test_a_circle_through_existing_steps_is_refused() -> None:
    """A merge that closes a circle with Steps that are there is refused and changes nothing."""
    driver = Driver()
    driver.upload(copy("a", "x", "y"), copy("b", "y", "z"))
    with pytest.raises(InvalidWorkflow, match="circle: c → a → b → c"):
        driver.merge(copy("c", "z", "x"))
    assert list(driver.states()) == ["a", "b"]


def test_a_merge_that_opens_a_circle_again_is_fine() -> None:
    """Replaced Steps count with their new definition only."""
    driver = Driver()
    driver.upload(copy("a", "x", "y"), copy("b", "y", "z"))
    driver.merge(copy("b", "q", "x"), copy("a", "p", "z"))
    driver.merge(copy("a", "x", "z"))
    assert list(driver.states()) == ["a", "b"]


def test_what_a_replaced_step_read_closes_no_circle() -> None:
    """Neither does what a Step read before this merge count."""
    driver = Driver()
    driver.upload(copy("a", "x", "y"))
    driver.merge(make("a", "y"), copy("b", "y", "x"))
    assert list(driver.states()) == ["a", "b"]


def test_two_steps_may_exchange_their_keys_in_one_merge() -> None:
    """Overlap is judged by what will be, not by what was."""
    driver = Driver()
    driver.upload(make("a", "x"), make("b", "y"))
    driver.merge(make("a", "y"), make("b", "x"))
    assert [driver.flow().graph.keys[key].writer.name for key in ("x", "y")] == ["b", "a"]


def test_a_name_that_is_made_twice_is_refused() -> None:
    """Two elements, or two Steps, of one name are refused with its place."""
    found = problems(make("s", "o/{{n}}", vars={"n": ("a.b", "ab")}))
    assert found == [("steps[0]", "makes the Step name 's-ab' twice")]
    found = problems(make("s", "o/{{n}}", vars={"n": ("x",)}), make("s-x", "p"))
    assert found == [("steps[1]", "makes the Step name 's-x' twice")]


def test_a_name_that_another_step_as_written_made_is_refused() -> None:
    """A Step may not take the name of an element of somebody else's sweep."""
    driver = Driver()
    driver.upload(make("s", "o/{{n}}", vars={"n": (1, 2)}))
    with pytest.raises(InvalidWorkflow, match="'s' already made"):
        driver.merge(make("s-1", "p"))


@pytest.mark.parametrize(
    ("command", "place"),
    [
        (Command("c", "i", ("{{ x }}",)), "command[0]"),
        (Command("c", "i", ("x",), {"in": "/{{"}), "inputs.in"),
        (Command("c", "i", ("x",), {}, {"out": "/{{"}), "outputs.out"),
        (Command("c", "i", ("x",), {}, {}, {"v": "{{"}), "vars.v"),
        (Command("c", "i", ("x",), stdout="/{{"), "stdout"),
        (Command("c", "i", ("x",), workdir="/{{"), "workdir"),
        (Command("c", "i", ("x",), env={"A": "{{"}), "env.A"),
        (Command("c", "i", ("x",), env={"A": "x"}, secrets={"A": "s"}), "secrets.A"),
        (Command("c", "i", ("x",), entrypoint=("x", "{{")), "entrypoint[1]"),
        (Command("c", "i", ("x",), {"x": "/x"}, {}, {"x": 1}), "vars.x"),
        (Command("c", "i", ("x",), {"x": "/x"}, {"x": "/y"}), "outputs.x"),
        (Command("c", "i", ("x",), {"x": "/x", "y": "/x"}), "inputs.y"),
        (Command("c", "i", ("x",), {}, {"x": "/x", "y": "/x"}), "outputs.y"),
    ],
)
def test_what_is_wrong_with_a_command_alone_is_told(command: Command, place: str) -> None:
    """Braces that begin nothing, names of two kinds and a path given twice are refused with their place."""
    assert [problem.place for problem in command_problems(command, {}, "c")] == [f"c.{place}"]


def test_several_outputs_may_capture_what_is_written() -> None:
    """`>` and `>>` are no paths: several outputs may be both streams."""
    assert list(command_problems(Command("c", "i", ("x",), {}, {"a": ">", "b": ">", "c": ">>"}), {}, "c")) == []


def test_a_flood_of_problems_is_cut() -> None:
    """A request with very many problems is answered with the first ones."""
    found = problems(*(make(f"s{n}", "x", command="nope") for n in range(3 * PROBLEMS_MAX)))
    assert len(found) == PROBLEMS_MAX


def test_a_commands_name_is_checked_once_for_each_step_it_breaks() -> None:
    """A change of a Command is refused with the Steps that it would break, by name."""
    driver = Driver()
    driver.upload(copy("a", "x", "y"), copy("b", "y", "z"), make("c", "c"))
    with pytest.raises(InvalidWorkflow) as refusal:
        driver.ask(rq.SetCommands("flow", (Command("copy", "i", ("x",), {"other": "/in"}, {"out": "/o"}),)))
    told = "\n".join(problem.message for problem in refusal.value.problems)
    assert "Step 'a'" in told
    assert "Step 'b'" in told
    assert "Step 'c'" not in told
    assert {problem.place for problem in refusal.value.problems} == {"commands[0]"}


def test_of_many_steps_that_a_change_breaks_some_are_named_and_the_rest_counted() -> None:
    """Those that use the Command themselves and those of composites that would break with it."""
    inner = StepSpec("i", "copy", {"in": "source"}, {"out": "result"})
    wrap = Command("wrap", inputs={"source": ""}, outputs={"result": ""}, steps=(inner,))
    around = Command(
        "around",
        inputs={"source": ""},
        outputs={"result": ""},
        steps=(StepSpec("w", "wrap", {"source": "source"}, {"result": "result"}),),
    )
    plain = [copy(f"c{n}", "k", f"c/{n}") for n in range(STEPS_NAMED_MAX)]
    wrapped = [StepSpec(f"w{n}", "around", {"source": "k"}, {"result": f"w/{n}"}) for n in range(STEPS_NAMED_MAX)]
    driver = Driver()
    driver.upload(*wrapped[:3], *plain, *wrapped[3:], commands=(*COMMANDS, wrap, around))
    with pytest.raises(InvalidWorkflow) as refusal:
        driver.ask(rq.SetCommands("flow", (Command("copy", "i", ("x",), {}, {"out": "/o"}),)))
    told = [problem.message for problem in refusal.value.problems]
    assert told[0].startswith("Command 'wrap' would become invalid: steps[0].inputs.in: ")
    assert sum(message.startswith("Step 'c") for message in told) == STEPS_NAMED_MAX - 3
    assert told.count("Step 'w0' would become invalid: its Command 'around' would") == 1
    assert told[-1] == f"{STEPS_NAMED_MAX} more Steps would become invalid"
    assert len(told) == STEPS_NAMED_MAX + 2


def test_a_wrong_composite_hides_no_step_that_its_change_breaks() -> None:
    """Steps are compared with the inputs, outputs and vars that it would have."""
    inner = StepSpec("i", "copy", {"in": "source"}, {"out": "result"})
    wrap = Command("wrap", inputs={"source": ""}, outputs={"result": ""}, steps=(inner,))
    driver = Driver()
    driver.upload(StepSpec("w", "wrap", {"source": "k"}, {"result": "r"}), commands=(*COMMANDS, wrap))
    wrong = Command("wrap", inputs={"from": ""}, outputs={"result": ""}, steps=(inner,))
    with pytest.raises(InvalidWorkflow) as refusal:
        driver.ask(rq.SetCommands("flow", (wrong,)))
    assert [problem.message.partition(":")[0] for problem in refusal.value.problems] == [
        "'source' is neither an input of the composite nor written by one of its Steps",
        "Step 'w' would become invalid",
        "Step 'w' would become invalid",
    ]


def test_a_bucket_is_told_once_for_all_elements() -> None:
    """Though each element of a sweep names another Key in it."""
    driver = Driver()
    driver.rules = Rules(own_bucket="gaia", buckets=frozenset(["allowed"]))
    sweep = StepSpec("s", "copy", {"in": "other:{{n}}"}, {"out": "gaia:{{n}}"}, {"n": (1, 2, 3)})
    with pytest.raises(InvalidWorkflow) as refusal:
        driver.upload(sweep, make("t", "allowed:k"))
    assert places(list(refusal.value.problems)) == ["steps[0].inputs.in", "steps[0].outputs.out"]
