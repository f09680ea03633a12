"""Composite Commands: inner Steps, what their names stand for, and what is refused."""

from dataclasses import replace
from typing import Any

import pytest

from gaia_core.errors import InvalidWorkflow
from gaia_core.machine import requests as rq
from gaia_core.machine.diff import Affected
from gaia_core.workflow.model import Command, Options, StepSpec
from gaia_core.workflow.parse import command_to_plain, parse_commands, parse_workflow
from gaia_core.workflow.validate import Rules, check
from tests.unit.machine.deployment import COMMANDS, Driver, copy, make


def inner(name: str, command: str, inputs: dict[str, str], outputs: dict[str, str], **more: Any) -> StepSpec:
    """An inner Step, whose Keys are names within the composite."""
    return StepSpec(name, command, inputs, outputs, **more)


def composite(name: str, *steps: StepSpec, inputs: str = "", outputs: str = "", **more: Any) -> Command:
    """A Command made of inner Steps."""
    return Command(
        name, inputs=dict.fromkeys(inputs.split(), ""), outputs=dict.fromkeys(outputs.split(), ""), steps=steps, **more
    )


PAIR = composite(
    "pair",
    inner("first", "copy", {"in": "source"}, {"out": "between"}),
    inner("second", "copy", {"in": "between"}, {"out": "result"}),
    inputs="source",
    outputs="result",
)


def use(name: str, source: str, result: str, **more: Any) -> StepSpec:
    """A Step that uses the composite PAIR, or another of its inputs and outputs."""
    return StepSpec(name, more.pop("command", "pair"), {"source": source}, {"result": result}, **more)


@pytest.fixture
def driver() -> Driver:
    """A deployment with a worker."""
    driver = Driver()
    driver.join()
    return driver


def keys(driver: Driver) -> dict[str, tuple[list[str], list[str]]]:
    """What each Step reads and writes."""
    return {
        step.name: ([key.name for key in step.inputs], [key.name for key in step.outputs])
        for step in driver.flow().steps.values()
    }


def problems(driver: Driver, *commands: Command, steps: tuple[StepSpec, ...] = ()) -> list[tuple[str, str]]:
    """Place and message of everything wrong with an upload."""
    with pytest.raises(InvalidWorkflow) as refusal:
        driver.upload(*steps, commands=(*COMMANDS, *commands))
    return [(problem.place, problem.message) for problem in refusal.value.problems]


def test_a_composite_makes_its_inner_steps(driver: Driver) -> None:
    """Exported names are the Step's Keys; what is between lies under composite/STEP/INNER/OUTPUT."""
    driver.upload(make("a", "raw"), use("s", "raw", "done"), commands=(*COMMANDS, PAIR))
    assert keys(driver) == {
        "a": ([], ["raw"]),
        "s:first": (["raw"], ["composite/s/first/out"]),
        "s:second": (["composite/s/first/out"], ["done"]),
    }
    assert driver.run_all() == ["a", "s:first", "s:second"]


def test_inner_steps_may_stand_in_any_order(driver: Driver) -> None:
    """A name may be read by an inner Step that is written before the one that makes it."""
    turned = composite("pair", *reversed(PAIR.steps), inputs="source", outputs="result")
    driver.upload(use("s", "raw", "done"), commands=(*COMMANDS, turned))
    assert keys(driver)["s:second"] == (["composite/s/first/out"], ["done"])


def test_an_output_that_is_not_mapped_is_kept_inside(driver: Driver) -> None:
    """What the Step does not map lies under composite/ as anything between does."""
    driver.upload(StepSpec("s", "pair", {"source": "raw"}), commands=(*COMMANDS, PAIR))
    assert keys(driver)["s:second"][1] == ["composite/s/second/out"]


def test_a_tree_between_inner_steps_is_a_tree(driver: Driver) -> None:
    """An inner output that is a directory has a tree's Key, also through a nested composite."""
    nest = composite("nest", inner("t", "tree", {}, {"out": "all"}), outputs="all")
    outer = composite(
        "outer",
        inner("n", "nest", {}, {"all": "files"}),
        inner("l", "list", {"in": "files"}, {"out": "list"}),
        outputs="list",
    )
    driver.upload(StepSpec("s", "outer", {}, {"list": "list"}), commands=(*COMMANDS, nest, outer))
    assert keys(driver) == {
        "s:n:t": ([], ["composite/s/n/all/"]),
        "s:l": (["composite/s/n/all/"], ["list"]),
    }


def test_vars_are_handed_down(driver: Driver) -> None:
    """Inner Steps splice the composite's vars, defaults and those of the Step, also under their own name."""
    echo = Command("echo", "i", ("echo", "{{A}}", "{{B}}"), {}, {"out": "/out"})
    speak = composite(
        "speak",
        inner("say", "echo", {}, {"out": "said"}, vars={"A": "{{A}}", "B": "{{A}}-{{C}}"}),
        outputs="said",
        vars={"A": "a", "C": 1},
    )
    driver.upload(
        StepSpec("s", "speak", {}, {"said": "{{A}}.txt"}, {"A": ("x", "y")}), commands=(*COMMANDS, echo, speak)
    )
    assert {name: dict(step.values) for name, step in driver.flow().by_name.items()} == {
        "s-x:say": {"A": "x", "B": "x-1"},
        "s-y:say": {"A": "y", "B": "y-1"},
    }
    assert keys(driver)["s-x:say"] == ([], ["x.txt"])


def test_an_inner_sweep_makes_inner_steps(driver: Driver) -> None:
    """An array inside makes one inner Step per element; each names what it makes."""
    each = composite(
        "each",
        inner("part", "make", {}, {"out": "part{{N}}"}, vars={"N": (1, 2)}),
        inner("one", "copy", {"in": "part1"}, {"out": "out"}),
        outputs="out",
    )
    driver.upload(StepSpec("s", "each", {}, {"out": "out"}), commands=(*COMMANDS, each))
    assert keys(driver) == {
        "s:part-1": ([], ["composite/s/part-1/out"]),
        "s:part-2": ([], ["composite/s/part-2/out"]),
        "s:one": (["composite/s/part-1/out"], ["out"]),
    }


def test_a_composites_name_stands_for_all_its_steps(driver: Driver) -> None:
    """Wherever a Step name is taken: the sweep's, an element's, a nested composite's."""
    nest = composite("nest", inner("p", "pair", {"source": "x"}, {"result": "y"}), inputs="x", outputs="y")
    step = StepSpec("s", "nest", {"x": "in"}, {"y": "out/{{n}}"}, {"n": (1, 2)})
    driver.upload(step, commands=(*COMMANDS, PAIR, nest))

    def named(name: str) -> set[str]:
        return set(driver.ask(rq.Expire("flow", (name,))).steps)

    everything = {f"s-{n}:p:{inner}" for n in (1, 2) for inner in ("first", "second")}
    assert named("s") == everything
    assert named("s-1") == named("s-1:p") == {"s-1:p:first", "s-1:p:second"}
    assert named("s-2:p:second") == {"s-2:p:second"}


def test_options_of_the_step_win_over_those_inside(driver: Driver) -> None:
    """The Step's, then the inner Step's, then the composite's, then those of the Command that runs."""
    step = inner("first", "copy", {"in": "source"}, {"out": "result"}, options=Options(retries=2, pool="inner"))
    one = composite("pair", step, inputs="source", outputs="result", options=Options(retries=3, priority=3, pool="c"))
    driver.upload(use("s", "raw", "done", options=Options(retries=1)), commands=(*COMMANDS, one))
    assert driver.step("s:first").options == Options(retries=1, priority=3, pool="inner")


def test_a_changed_inner_command_reruns_its_steps_and_what_depends_on_them(driver: Driver) -> None:
    """Not the inner Steps before it."""
    last = Command("last", "i", ("x",), {"in": "/in"}, {"out": "/out"})
    pair = composite("pair", PAIR.steps[0], inner("second", "last", {"in": "between"}, {"out": "result"}),
                     inputs="source", outputs="result")  # fmt: skip
    driver.upload(make("a", "raw"), use("s", "raw", "done"), copy("z", "done", "end"), commands=(*COMMANDS, last, pair))
    driver.run_all()
    answer = driver.ask(rq.SetCommands("flow", (Command("last", "i2", ("x",), {"in": "/in"}, {"out": "/out"}),)))
    assert answer.diff.recomputed == ["s:second", "z"]


def test_a_changed_composite_adds_and_takes_away_inner_steps(driver: Driver) -> None:
    """The Steps made from it are as they would be had it been so from the start."""
    driver.upload(make("a", "raw"), use("s", "raw", "done"), copy("z", "done", "end"), commands=(*COMMANDS, PAIR))
    driver.run_all()
    third = composite(
        "pair",
        inner("first", "copy", {"in": "source"}, {"out": "between"}),
        inner("third", "copy", {"in": "between"}, {"out": "result"}),
        inputs="source",
        outputs="result",
    )
    diff = driver.ask(rq.SetCommands("flow", (third,))).diff
    assert (diff.added, diff.removed, diff.recomputed) == (["s:third"], ["s:second"], ["s:first", "z"])
    assert driver.run_all() == ["s:first", "s:third", "z"]


def test_a_composite_step_may_become_a_plain_one_and_back(driver: Driver) -> None:
    """Merging a Step anew replaces all that it had made."""
    driver.upload(make("a", "raw"), use("s", "raw", "done"), commands=(*COMMANDS, PAIR))
    diff = driver.merge(copy("s", "raw", "done"))
    assert (diff.added, diff.removed) == (["s"], ["s:first", "s:second"])
    diff = driver.merge(use("s", "raw", "done"))
    assert (diff.added, diff.removed) == (["s:first", "s:second"], ["s"])


def test_a_part_of_a_composite_cannot_be_removed(driver: Driver) -> None:
    """A composite Step goes as a whole."""
    driver.upload(make("a", "raw"), use("s", "raw", "done"), commands=(*COMMANDS, PAIR))
    with pytest.raises(InvalidWorkflow, match="'s:first' is a part of the composite Step 's'"):
        driver.ask(rq.Remove("flow", ("s:first",)))
    assert driver.ask(rq.Remove("flow", ("s",))).removed == ["s:first", "s:second"]


def test_an_explained_cause_leads_through_a_composite(driver: Driver) -> None:
    """Reasons name inner Steps and the Keys between them."""
    driver.upload(make("a", "raw"), use("s", "raw", "done"), commands=(*COMMANDS, PAIR))
    driver.run_all()
    assert driver.ask(rq.Expire("flow", ("a",))).reasons[1:] == [
        Affected("s:first", "upstream", "a", "raw"),
        Affected("s:second", "upstream", "s:first", "composite/s/first/out"),
    ]


def test_recursion_is_refused_with_its_place(driver: Driver) -> None:
    """A composite that contains itself, directly or through others, is told with the circle."""
    one = composite("one", inner("x", "two", {}, {}))
    two = composite("two", inner("y", "one", {}, {}))
    assert problems(driver, one, two) == [
        ("commands[5].steps", "composite Commands contain each other in a circle: one → two → one"),
        ("commands[6].steps", "composite Commands contain each other in a circle: two → one → two"),
    ]


def test_what_inner_steps_lack_is_told_with_its_place(driver: Driver) -> None:
    """Unknown Commands, inputs and outputs, names that nothing makes or two make, and vars that nothing defines."""
    bad = composite(
        "bad",
        inner("a", "cpy", {}, {}),
        inner("b", "copy", {"inn": "source"}, {"out": "x"}),
        inner("c", "copy", {"in": "sauce"}, {"out": "x"}),
        inner("d", "copy", {"in": "source"}, {"out": "source"}),
        inner("e", "make", {}, {"out": "y"}, vars={"V": "{{W}}"}),
        inputs="source",
        outputs="resul",
    )
    assert problems(driver, bad) == [
        ("commands[5].steps[0].command", "there is no Command 'cpy'; did you mean 'copy'?"),
        ("commands[5].steps[1].inputs.inn", "Command 'copy' has no input 'inn'; did you mean 'in'?"),
        ("commands[5].steps[1].inputs.in", "input 'in' of Command 'copy' is not given"),
        ("commands[5].steps[4].vars", "nothing defines {{W}}"),
        ("commands[5].steps[2].outputs.out", "'x' is also written by 'b'"),
        ("commands[5].steps[3].outputs.out", "'source' is an input of the composite"),
        (
            "commands[5].steps[2].inputs.in",
            "'sauce' is neither an input of the composite nor written by one of its Steps; did you mean 'source'?",
        ),
        ("commands[5].outputs.resul", "no inner Step writes 'resul'"),
    ]


def test_what_is_wrong_with_its_use_is_told(driver: Driver) -> None:
    """An input that is not given, an output it lacks, a var without default, and names that splicing spoils."""
    spoilt = composite(
        "spoilt",
        inner("a", "make", {}, {"out": "x{{V}}"}, vars={"V": "{{V}}"}),
        inner("b", "copy", {"in": "xy"}, {"out": "result"}),
        inputs="source",
        outputs="result",
        var_names=("V",),
    )
    found = problems(
        driver,
        spoilt,
        steps=(
            StepSpec("s", "spoilt", {}, {"r": "k"}),
            StepSpec("t", "spoilt", {"source": "a"}, {"result": "t"}, {"V": "z"}),
            StepSpec("u", "spoilt", {"source": "a"}, {"result": "u"}, {"V": "y"}),
        ),
    )
    assert found == [
        ("steps[0].outputs.r", "Command 'spoilt' has no output 'r'"),
        ("steps[0].inputs.source", "input 'source' of Command 'spoilt' is not given"),
        ("steps[0].vars.V", "var 'V' of Command 'spoilt' is not given"),
        (
            "steps[1].spoilt.steps[1].inputs.in",
            "'xy' is neither an input of the composite nor written by one of its Steps",
        ),
    ]


def test_two_elements_of_an_inner_sweep_may_not_make_one_name(driver: Driver) -> None:
    """Each name within a composite is made once."""
    twice = composite("twice", inner("a", "make", {}, {"out": "x"}, vars={"N": (1, 2)}))
    (problem,) = problems(driver, twice, steps=(StepSpec("s", "twice"),))
    assert problem == ("steps[0].twice.steps[0].outputs.out", "'x' is written by two inner Steps")


def test_a_command_change_that_breaks_a_composite_is_refused(driver: Driver) -> None:
    """Also where no Step uses the composite yet."""
    driver.upload(commands=(*COMMANDS, PAIR))
    with pytest.raises(InvalidWorkflow) as refusal:
        driver.ask(rq.SetCommands("flow", (Command("copy", "i", ("x",), {"other": "/in"}, {"out": "/out"}),)))
    assert {problem.place for problem in refusal.value.problems} == {"commands[0]"}
    assert "Command 'pair' would become invalid: steps[0].inputs.in" in refusal.value.problems[0].message


def test_composites_cannot_be_nested_deeper_from_within(driver: Driver) -> None:
    """A Command far below may not become a composite that makes those above too deep."""
    layers = [composite(f"c{n}", inner("i", f"c{n + 1}", {}, {})) for n in range(19)]
    driver.upload(StepSpec("s", "c0"), commands=(*COMMANDS, *layers, composite("c19", inner("i", "make", {}, {}))))
    with pytest.raises(InvalidWorkflow, match="Command 'c0' would become invalid: composites are nested deeper than"):
        driver.ask(
            rq.SetCommands(
                "flow", (composite("c19", inner("i", "c20", {}, {})), composite("c20", inner("i", "make", {}, {})))
            )
        )


def test_an_output_that_no_inner_step_makes_is_refused_also_where_names_splice_vars(driver: Driver) -> None:
    """Which names there are is known only where the composite is used."""
    spliced = composite("p", inner("i", "make", {}, {"out": "{{N}}"}), outputs="result", vars={"N": "reslt"})
    use_it = StepSpec("s", "p", {}, {"result": "final"})
    assert problems(driver, spliced, steps=(use_it,)) == [
        ("steps[0].outputs.result", "no inner Step of 'p' writes 'result'")
    ]
    driver.upload(replace(use_it, vars={"N": "result"}), commands=(*COMMANDS, spliced))
    assert keys(driver) == {"s:i": ([], ["final"])}


def test_composites_multiply_within_limits(driver: Driver) -> None:
    """How many Steps composites of composites make is known before any is made; nesting is limited."""
    driver.rules = Rules(sweep_steps_max=1000)
    layers = [composite("c0", inner("a", "make", {}, {}), inner("b", "make", {}, {}))]
    layers += [
        composite(f"c{n}", inner("a", f"c{n - 1}", {}, {}), inner("b", f"c{n - 1}", {}, {})) for n in range(1, 12)
    ]
    (problem,) = problems(driver, *layers, steps=(StepSpec("s", "c11"),))
    assert problem == ("steps[0].vars", "makes 4096 Steps; a sweep may make 1000")
    layers += [composite(f"c{n}", inner("a", f"c{n - 1}", {}, {})) for n in range(12, 21)]
    assert problems(driver, *layers) == [("commands[25].steps", "composites are nested deeper than 20")]


def test_values_cannot_grow_without_bound(driver: Driver) -> None:
    """Vars that double their value from level to level are refused before they are spliced."""
    many = {"V": "{{V}}" * 20}
    layers = [composite("c0", inner("a", "make", {}, {}, vars=many), var_names=("V",))]
    layers += [composite(f"c{n}", inner("a", f"c{n - 1}", {}, {}, vars=many), var_names=("V",)) for n in range(1, 8)]
    ((place, message),) = problems(driver, *layers, steps=(StepSpec("s", "c7", vars={"V": "x" * 100}),))
    assert place.startswith("steps[0].c7.steps[0].c6")
    assert "splice each other to more than" in message


def test_composites_are_read_as_written_and_shown_as_written() -> None:
    """Names are lists, vars a list of names or a map of defaults; every field of a program is refused."""
    plain = {
        "name": "pair",
        "inputs": ["a"],
        "outputs": ["b"],
        "vars": ["V"],
        "retries": 2,
        "steps": [{"name": "x", "command": "copy", "inputs": {"in": "a"}, "outputs": {"out": "b"}}],
    }
    (command,), found = parse_commands([plain])
    assert not found
    assert command_to_plain(command) == plain
    (command,), found = parse_commands([{**plain, "vars": {"V": 1}}])
    assert (command_to_plain(command)["vars"], found) == ({"V": 1}, [])


@pytest.mark.parametrize(
    ("fields", "place", "words"),
    [
        ({"steps": []}, "steps", "needs at least one Step"),
        ({"steps": {}}, "steps", "must be a list"),
        ({"image": "x"}, "image", "this one has steps"),
        ({"inputs": {"a": "/a"}}, "inputs", "must be a list of names"),
        ({"inputs": ["a", "a"]}, "inputs[1]", "is there twice"),
        ({"outputs": [1]}, "outputs[0]", "must be a string"),
        ({"vars": ["a b"]}, "vars[0]", "is no name"),
        ({"steps": [{"name": "x"}]}, "steps[0]", "'command' is missing"),
        ({"steps": [{"name": "x", "command": "c", "inputs": {"i": "k" * 256}}]}, "steps[0].inputs.i", "is longer than"),
    ],
)
def test_the_form_of_composites(fields: dict[str, Any], place: str, words: str) -> None:
    """Each rule of a composite's form has one problem, at its place."""
    _, (problem,) = parse_commands([{"name": "c", "steps": [{"name": "x", "command": "copy"}], **fields}])
    assert problem.place == f"commands[0].{place}"
    assert words in problem.message


def test_a_name_is_input_or_output(driver: Driver) -> None:
    """One name cannot stand for both."""
    both = composite("both", inner("a", "make", {}, {"out": "x"}), inputs="x", outputs="x")
    assert problems(driver, both)[0] == ("commands[5].outputs.x", "'x' is both an input and an output")


def test_steps_of_unsound_composites_are_not_looked_at(driver: Driver) -> None:
    """One mistake is told once; Steps of other Commands are looked at all the same."""
    bad = composite("bad", inner("a", "cpy", {}, {}))
    found = problems(driver, bad, steps=(StepSpec("s", "bad"), copy("t", "/x", "y")))
    assert [place for place, _ in found] == ["commands[5].steps[0].command", "steps[1].inputs.in"]


def test_what_uses_an_unsound_command_is_left_for_later() -> None:
    """A composite that uses a Command with problems of form is not said to lack it, nor is a composite around that."""
    commands = [
        {"name": "leaf", "image": 1, "command": ["x"]},
        {"name": "inside", "steps": [{"name": "a", "command": "leaf"}]},
        {"name": "outside", "steps": [{"name": "b", "command": "inside"}]},
        {"name": "good", "image": "i", "command": ["x"]},
    ]
    parsed = parse_workflow(commands, [{"name": "s", "command": "outside"}, {"name": "t", "command": "good"}], check)
    assert [problem.place for problem in parsed.problems] == ["commands[0].image"]


def test_one_name_stands_for_the_steps_of_one_spec(driver: Driver) -> None:
    """An element's name may not be the name of another sweep, in the same request or in the workflow."""
    one = StepSpec("s", "pair", {"source": "in"}, {"result": "s/{{n}}"}, {"n": (1, 2)})
    other = StepSpec("s-1", "make", {}, {"out": "o/{{n}}"}, {"n": (5, 6)})
    found = problems(driver, PAIR, steps=(one, other))
    assert {message for _, message in found} == {"makes the Step name 's-1', which 's' already made"}
    driver.upload(one, commands=(*COMMANDS, PAIR))
    with pytest.raises(InvalidWorkflow, match="makes the Step name 's-1', which 's' already made"):
        driver.merge(other)
