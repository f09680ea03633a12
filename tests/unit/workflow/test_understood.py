"""What is wrong in one place hides nothing that is wrong elsewhere, and is told once."""

from typing import Any

import pytest

from gaia_core.workflow.model import Command, StepSpec
from gaia_core.workflow.parse import parse_workflow, read_commands, read_steps
from gaia_core.workflow.validate import check

MAKE = {"name": "make", "image": "i", "command": ["x"], "outputs": {"out": "/out"}}
COPY = {"name": "copy", "image": "i", "command": ["x"], "inputs": {"in": "/in"}, "outputs": {"out": "/out"}}
PAIR = {
    "name": "pair",
    "inputs": ["source"],
    "outputs": ["result"],
    "vars": ["V"],
    "steps": [{"name": "a", "command": "copy", "inputs": {"in": "source"}, "outputs": {"out": "result"}}],
}


def places(commands: Any, steps: Any) -> list[str]:
    """The places of all problems, those of form first."""
    return [problem.place for problem in parse_workflow(commands, steps, check).problems]


def step(**fields: Any) -> dict[str, Any]:
    """A Step of COPY with these fields changed."""
    return {"name": "s", "command": "copy", "inputs": {"in": "k"}, "outputs": {"out": "o"}, **fields}


def test_a_step_is_told_all_that_is_wrong_with_it() -> None:
    """A wrong character, an unknown Command, an absolute Key and an unknown field come together."""
    wrong = step(command="nope", inputs={"in": "a\tb"}, outputs={"out": "/c"}, tiemout=3)
    assert places([COPY], [wrong]) == [
        "steps[0].tiemout",
        "steps[0].inputs.in",
        "steps[0].outputs.out",
        "steps[0].command",
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"inputs": 5}, ["inputs"]),
        ({"inputs": None}, ["inputs"]),
        ({"inputs": {"a b": "k"}}, ['inputs["a b"]']),
        ({"inputs": {"a b": 5, "more": "k"}}, ['inputs["a b"]', 'inputs["a b"]', "inputs.more"]),
        ({"inputs": {"in": 5}, "outputs": {"uot": "o"}}, ["inputs.in", "outputs.uot"]),
        ({"command": 5, "outputs": {"out": "/o"}}, ["command", "outputs.out"]),
        ({"outputs": {"out": "{{"}, "inputs": {"in": "{{y}}"}}, ["inputs.in", "outputs.out"]),
        ({"vars": 5, "inputs": {"in": "{{x}}/.."}}, ["vars"]),
        ({"vars": {"x y": 1}, "inputs": {"in": "{{x}}"}}, ['vars["x y"]']),
        ({"vars": {"x": None}, "inputs": {"in": "{{x}}"}, "outputs": {"out": "{{y}}"}}, ["vars.x", "outputs.out"]),
        ({"vars": {"x": [1, {}], "y": "{{x}}/.."}, "inputs": {"in": "{{y}}"}, "outputs": {"out": "../{{z}}"}},
         ["vars.x[1]", "outputs.out"]),
        ({"vars": {"x": [], "y": ".."}, "inputs": {"in": "{{x}}"}, "outputs": {"out": "{{y}}"}},
         ["vars.x", "outputs.out"]),
        ({"vars": {"a": "{{b}}", "b": "{{c}}", "c": "{{d}}", "d": None}, "outputs": {"out": "../{{a}}"}}, ["vars.d"]),
        ({"vars": {"a": "{{b}}", "b": "{{"}, "outputs": {"out": "../{{a}}"}}, ["vars"]),
        ({"vars": {"in": None}}, ["vars.in", "vars.in"]),
        ({"vars": {"n": [1, 2, 3]}}, ["outputs.out"]),
        ({"vars": {"n": ["/x", "..", "a"]}, "inputs": {"in": "{{n}}"}, "outputs": {"out": "{{n}}/{{n}}"}},
         ["outputs.out", "inputs.in", "inputs.in", "outputs.out"]),
    ],
)  # fmt: skip
def test_each_part_of_a_step_that_is_understood_is_checked(fields: dict[str, Any], expected: list[str]) -> None:
    """What was not understood is told for itself, and nothing that only follows from it."""
    assert sorted(places([COPY], [step(**fields)])) == sorted(f"steps[0].{place}" for place in expected)


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"inputs": 5}, []),
        ({"inputs": {"in": 5}}, ["steps[1].inputs.in"]),
        ({"outputs": {"x y": "/o"}}, ["steps[1].inputs.in"]),
        ({"outputs": {"other": "/o", "out": 5}}, ["steps[1].inputs.in"]),
        ({"image": ""}, ["steps[1].inputs.in"]),
        (
            {"command": ["{{v}}", 1, "{{w}}"], "vars": {"v": None}},
            ["steps[1].inputs.in", "steps[0].vars", "steps[1].vars"],
        ),
        ({"command": ["{{v}}"], "vars": {"v w": 1}}, ["steps[1].inputs.in"]),
        ({"inputs": {"in": "/{{"}, "image": 5}, ["commands[0].inputs.in", "steps[1].inputs.in"]),
        ({"vars": {"in": []}}, ["commands[0].vars.in", "steps[1].inputs.in"]),
        ({"name": None}, ["steps[0].command", "steps[1].command"]),
        ({"name": "a b"}, ["steps[0].command", "steps[1].command"]),
    ],
)
def test_steps_are_checked_against_what_is_understood_of_their_command(
    wrong: dict[str, Any], expected: list[str]
) -> None:
    """A Command with problems of form still tells which inputs, outputs and vars it has."""
    steps = [step(), step(name="t", inputs={}, outputs={"out": "p"})]
    parsed = parse_workflow([{**COPY, **wrong}], steps, check)
    form = read_commands([{**COPY, **wrong}]).problems
    assert form
    assert sorted(problem.place for problem in parsed.problems) == sorted([*(each.place for each in form), *expected])


def test_commands_that_are_no_list_are_told_once() -> None:
    """That nothing is known of Commands is no reason to say of every Step that there is none."""
    steps = [step(outputs={"out": "/x"}), step(name="t", outputs={"out": "y"}), step(name="u", outputs={"out": "y"})]
    assert places("none", steps) == ["commands", "steps[0].outputs.out", "steps[2].outputs.out"]


def test_what_is_no_map_keeps_its_place() -> None:
    """Places count within what was given."""
    assert places([5, COPY], [5, step(inputs={})]) == ["commands[0]", "steps[0]", "steps[1].inputs.in"]
    assert [command.name for command in read_commands([5, COPY]).items] == ["", "copy"]
    assert [spec.name for spec in read_steps([5, step()]).items] == ["", "s"]


def test_a_name_given_twice_hides_no_overlap() -> None:
    """The second Step of a name is looked at as another one, named by its place."""
    parsed = parse_workflow([COPY], [step(), step(inputs={"in": "q"})], check)
    assert [str(problem) for problem in parsed.problems] == [
        "steps[1].name: 's' is already steps[0]",
        "steps[1].outputs.out: 'o' is written by Step 'steps[1]' and, as 'o', by Step 's'",
    ]


def test_keys_of_steps_that_cannot_be_expanded_overlap_too() -> None:
    """A Step of an unknown or wrong Command, of a composite with a mistake, or one that does not fit, still writes."""
    steps = [
        {"name": "a", "command": "nope", "outputs": {"out": "k/1"}},
        {"name": "b", "command": "make", "outputs": {"out": "k/2"}, "inputs": {"none": "k/3"}},
        {"name": "c", "command": "pair", "outputs": {"result": "k/3"}, "inputs": {"source": "k/3"}},
        {"name": "d", "command": "tree", "outputs": {"out": "k/"}},
    ]
    tree = {**MAKE, "name": "tree", "image": 5, "outputs": {"out": "/out/"}}
    assert places([MAKE, COPY, PAIR, tree], steps) == [
        "commands[3].image",
        "steps[0].command",
        "steps[1].inputs.none",
        "steps[2].vars.V",
        "steps[3].outputs.out",
    ]


def test_a_circle_is_told_only_where_it_is_certain() -> None:
    """What a composite or an unknown Command writes need not depend on all it reads; what a program writes does."""
    steps = [
        {"name": "a", "command": "copy", "inputs": {"in": "x"}, "outputs": {"out": "y"}, "retries": "often"},
        {"name": "b", "command": "nope", "inputs": {"in": "y"}, "outputs": {"out": "x"}},
    ]
    assert places([COPY], steps) == ["steps[0].retries", "steps[1].command"]
    steps[1]["command"] = "copy"
    assert places([COPY], steps) == ["steps[0].retries", "steps[0]"]


def test_what_splices_and_contains_itself_many_times_over_is_looked_at_once() -> None:
    """Mistakes spread through vars and composites in time that does not multiply from level to level."""
    chain = {f"v{n}": f"{{{{v{n + 1}}}}}" * 9 for n in range(20)}
    assert places([COPY], [step(vars={**chain, "v20": None}, outputs={"out": "../{{v0}}"})]) == ["steps[0].vars.v20"]
    layers = [
        {"name": f"c{n}", "steps": [{"name": f"s{m}", "command": f"c{n + 1}"} for m in range(9)]} for n in range(19)
    ]
    assert places([*layers, {**MAKE, "name": "c19", "image": 5}], [{"name": "s", "command": "c0"}]) == [
        "commands[19].image"
    ]


def test_too_many_elements_are_not_laid_out() -> None:
    """A sweep that is refused for its size is not made to find more in it."""
    huge = {f"v{n}": list(range(1000)) for n in range(3)}
    assert places([COPY], [step(vars=huge)]) == ["steps[0].vars"]


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"steps": [{"name": "a", "command": "copy", "inputs": {"in": "a\tb"}, "outputs": {"uot": "result"}}]},
         ["commands[1].steps[0].inputs.in", "commands[1].steps[0].outputs.uot"]),
        ({"steps": [5, {"name": "a", "command": "nope", "outputs": {"out": "x"}}]},
         ["commands[1].steps[0]", "commands[1].steps[1].command"]),
        ({"steps": [PAIR["steps"][0], {"name": "a", "command": "copy", "outputs": {"out": "result"}}]},  # type: ignore[index]
         ["commands[1].steps[1].name", "commands[1].steps[1].inputs.in", "commands[1].steps[1].outputs.out"]),
        ({"inputs": 5}, ["commands[1].inputs"]),
        ({"inputs": [5]}, ["commands[1].inputs[0]"]),
        ({"outputs": [5, "result", "other"]}, ["commands[1].outputs[0]", "commands[1].outputs.other"]),
        ({"outputs": None}, ["commands[1].outputs"]),
        ({"vars": ["a b"]}, ["commands[1].vars[0]", "commands[1].steps[1].inputs.in"]),
        ({"vars": None}, ["commands[1].vars", "commands[1].steps[1].inputs.in"]),
        ({"steps": {}}, ["commands[1].steps"]),
        ({"steps": [{**PAIR["steps"][0], "vars": {"in": None}}]},  # type: ignore[index]
         ["commands[1].steps[0].vars.in", "commands[1].steps[0].vars.in"]),
        ({"name": 5, "steps": [{"name": "a", "outputs": {}}]},
         ["commands[1].name", "commands[1].steps[0]", "commands[1].outputs.result"]),
    ],
)  # fmt: skip
def test_each_part_of_a_composite_that_is_understood_is_checked(wrong: dict[str, Any], expected: list[str]) -> None:
    """Inner Steps and names are checked as far as they are understood, beside a Step that splices and reads."""
    reader = {"name": "r", "command": "copy", "inputs": {"in": "{{ x"}, "outputs": {"out": "z"}}
    steps = wrong.get("steps", [*PAIR["steps"], reader] if "vars" in wrong else PAIR["steps"])  # type: ignore[misc]
    found = places([COPY, {**PAIR, **wrong, "steps": steps}], [])
    assert sorted(found) == sorted(expected)


def test_a_step_of_a_composite_that_is_not_understood_is_compared_with_its_names() -> None:
    """Its outputs and inputs that are known to be there, or not to be, are told."""
    wrong = {**PAIR, "steps": [{**PAIR["steps"][0], "retries": "often"}]}  # type: ignore[index]
    use = {"name": "s", "command": "pair", "inputs": {}, "outputs": {"result": "o", "more": "p"}, "vars": {"V": None}}
    assert places([COPY, wrong], [use]) == [
        "commands[1].steps[0].retries",
        "steps[0].vars.V",
        "steps[0].outputs.more",
        "steps[0].inputs.source",
    ]


def test_composites_around_a_mistake_are_not_expanded() -> None:
    """One mistake is told once, however many composites lie around it."""
    around = {"name": "around", "outputs": ["o"], "steps": [
        {"name": "x", "command": "pair", "inputs": {"source": "o2"}, "outputs": {"result": "o"}, "vars": {"V": 1}},
        {"name": "y", "command": "make", "outputs": {"out": "o2"}},
    ]}  # fmt: skip
    use = {"name": "s", "command": "around", "outputs": {"o": "k"}}
    assert places([{**COPY, "image": 5}, MAKE, PAIR, around], [use]) == ["commands[0].image"]


def test_unknown_parts_are_never_in_what_is_sound() -> None:
    """Only items without any problem of form are returned as sound."""
    reading = read_steps([step(), step(name="t", vars={"x": [None]})])
    assert reading.sound == [StepSpec("s", "copy", {"in": "k"}, {"out": "o"})]
    assert read_commands([{**MAKE, "command": [5]}]).sound == []
    assert read_commands([{**MAKE, "command": [5, "x"]}]).items == [
        Command("make", "i", ("", "x"), {}, {"out": "/out"})
    ]
