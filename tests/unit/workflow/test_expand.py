"""From specs to Steps: vars, sweeps, names, spliced Keys, and every problem with its place."""

import pytest

from gaia_core.errors import Problem
from gaia_core.workflow import expand as module
from gaia_core.workflow.expand import expand
from gaia_core.workflow.flat import FlatStep
from gaia_core.workflow.interface import all_of, suggestion
from gaia_core.workflow.model import Command, StepSpec

PLAIN = Command("cmd", "image", ("run", "{{in}}", "{{out}}", "{{level}}"), {"in": "/in"}, {"out": "/o"}, {"level": 3})


def flats(spec: StepSpec, command: Command = PLAIN) -> list[FlatStep]:
    problems: list[Problem] = []
    found = expand(spec, {command.name: command}, "steps[0]", problems)
    assert not problems
    return found


def problems(spec: StepSpec, command: Command = PLAIN) -> dict[str, str]:
    found: list[Problem] = []
    expand(spec, {command.name: command}, "steps[0]", found)
    return {problem.place.removeprefix("steps[0]."): problem.message for problem in found}


def step(name: str = "s", **vars_: object) -> StepSpec:
    return StepSpec(name, "cmd", {"in": "a"}, {"out": "b"}, vars_)


def test_a_step_without_arrays_is_itself() -> None:
    """No array, one Step of the same name, with the Command's defaults among its values."""
    (flat,) = flats(step(extra="x"))
    assert (flat.name, flat.inputs, flat.outputs) == ("s", ("a",), ("b",))
    assert flat.values == {"level": "3", "extra": "x"}


def test_a_steps_var_wins_over_the_default() -> None:
    """A Command's vars are defaults."""
    assert flats(step(level=4))[0].values["level"] == "4"


def test_an_array_makes_one_step_per_element() -> None:
    """`hello` and BETWEEN=rabbit make `hello-rabbit`, and its Keys are spliced."""
    spec = StepSpec("hello", "cmd", {"in": "a"}, {"out": "o/{{BETWEEN}}"}, {"BETWEEN": ("rabbit", "wolf")})
    assert [(flat.name, flat.outputs) for flat in flats(spec)] == [
        ("hello-rabbit", ("o/rabbit",)),
        ("hello-wolf", ("o/wolf",)),
    ]


def test_several_arrays_make_their_product_in_order_of_their_names() -> None:
    """The values follow the Step's name in order of var name, whatever order they were written in."""
    names = [flat.name for flat in flats(step(z=(1, 2), b=("x", "y")))]
    assert names == ["s-x-1", "s-x-2", "s-y-1", "s-y-2"]


@pytest.mark.parametrize(
    ("value", "suffix"), [("a/b.c", "abc"), (1.5, "15"), (-2, "-2"), (True, "true"), ("ü x", "x"), ("A_z", "Az")]
)
def test_names_keep_letters_digits_and_dashes_of_a_value(value: object, suffix: str) -> None:
    """A value is cleaned to `[A-Za-z0-9-]` in the name, and spliced whole into Keys."""
    assert flats(step(v=(value,)))[0].name == f"s-{suffix}"


def test_an_array_of_one_is_a_sweep_too() -> None:
    """One element makes one Step, named for it."""
    assert [flat.name for flat in flats(step(n=(7,)))] == ["s-7"]


def test_an_empty_array_is_refused() -> None:
    """An empty array makes no Step at all."""
    assert "empty" in problems(step(n=()))["vars.n"]


def test_values_splice_other_vars_once() -> None:
    """A var's value may splice other vars and the Command's defaults, in one pass."""
    spec = StepSpec("s", "cmd", {"in": "{{dir}}/a"}, {"out": "b"}, {"dir": "{{base}}/{{level}}", "base": "x"})
    assert flats(spec)[0].inputs == ("x/3/a",)
    twice = StepSpec("s", "cmd", {"in": "{{one}}"}, {"out": "b"}, {"one": "{{two}}", "two": "{{base}}", "base": "x"})
    assert flats(twice)[0].inputs == ("{{base}}",)


def test_doubled_braces_are_braces_in_keys_and_values() -> None:
    """`{{{{` writes `{{`, in a value too, and only once."""
    spec = StepSpec("s", "cmd", {"in": "{{{{k}}"}, {"out": "{{v}}"}, {"v": "{{{{w}}"})
    (flat,) = flats(spec)
    assert (flat.inputs, flat.outputs) == (("{{k}}",), ("{{w}}",))


def test_everything_wrong_is_told_at_once_with_its_place() -> None:
    """Names that the Command lacks, missing inputs and undefined names come together, each with its place."""
    spec = StepSpec("s", "cmd", {"inn": "a", "x": "{{nope}}"}, {"oot": "b{{"}, {"bad": "{{void}}", "in": "1"})
    found = problems(spec)
    assert found["inputs.inn"] == "Command 'cmd' has no input 'inn'; did you mean 'in'?"
    assert found["outputs.oot"].startswith("'{{' in 'b{{'")
    assert found["inputs.in"] == "input 'in' of Command 'cmd' is not given"
    assert found["inputs.x"] == "nothing defines {{nope}}"
    assert found["vars"] == "nothing defines {{void}}"
    assert "both a var and an input or output" in found["vars.in"]


@pytest.mark.parametrize(
    "command",
    [
        Command("cmd", "i", ("run", "{{x}}"), {"in": "/in"}, {"out": "/o"}),
        Command("cmd", "i", ("run",), {"in": "/in/{{x}}"}, {"out": "/o"}),
        Command("cmd", "i", ("run",), {"in": "/in"}, {"out": "/{{x}}"}),
        Command("cmd", "i", ("run",), {"in": "/in"}, {"out": "/o"}, stdout="/{{x}}"),
        Command("cmd", "i", ("run",), {"in": "/in"}, {"out": "/o"}, env={"A": "{{x}}"}),
        Command("cmd", "i", ("run",), {"in": "/in"}, {"out": "/o"}, entrypoint=("{{x}}",)),
        Command("cmd", "i", ("run",), {"in": "/in"}, {"out": "/o"}, workdir="/{{x}}"),
        Command("cmd", "i", ("run",), {"in": "/in"}, {"out": "/o"}, {"v": "{{x}}"}),
    ],
)
def test_whatever_a_command_splices_must_be_defined(command: Command) -> None:
    """A name that nothing defines is refused wherever the Command splices it; a Step may define it."""
    assert "nothing defines {{x}}" in problems(step(), command)["vars"]
    assert len(flats(step(x="y"), command)) == 1


def test_inputs_and_outputs_are_names_in_tokens_but_not_in_paths() -> None:
    """In tokens the name of an input or output stands for its internal path; elsewhere it is undefined."""
    command = Command("cmd", "i", ("{{in}}", "{{out}}"), {"in": "/in"}, {"out": "/o"}, env={"A": "{{in}}"})
    assert len(flats(step(), command)) == 1
    nested = Command("cmd", "i", ("x",), {"in": "/in"}, {"out": "/{{in}}"})
    assert "nothing defines {{in}}" in problems(step(), nested)["vars"]


@pytest.mark.parametrize("path", ["relative", "/a/../b", "", "/a//b", "/a\nb"])
def test_an_internal_path_that_a_var_spoils_is_refused(path: str) -> None:
    """Internal paths are absolute also after their vars are spliced."""
    command = Command("cmd", "i", ("x",), {"in": "{{p}}"}, {"out": "/o"})
    assert "p" in problems(step(p=path), command)["vars"]
    assert len(flats(step(p="/fine"), command)) == 1


def test_the_paths_of_each_element_of_a_sweep_are_checked() -> None:
    """One element that spoils an internal path refuses the sweep."""
    command = Command("cmd", "i", ("x",), {"in": "/in"}, {"out": "/o/{{p}}"}, workdir="/{{p}}", stdout="/s{{p}}")
    assert "segment" in problems(step(p=("a", "..")), command)["vars"]


def test_a_spliced_key_is_checked() -> None:
    """What makes a Key wrong is found after splicing too."""
    spec = StepSpec("s", "cmd", {"in": "{{p}}/a"}, {"out": "b"}, {"p": ".."})
    assert "segment" in problems(spec)["inputs.in"]


def test_names_of_elements_are_bounded() -> None:
    """A name longer than 255 characters is refused."""
    assert "longer than 255" in problems(step(n=("x" * 300,)))["vars"]


def test_a_sweep_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A product of arrays beyond the limit is refused before it is made."""
    found = problems(step(a=tuple(range(2000)), b=tuple(range(2000))))
    assert "4000000 Steps" in found["vars"]
    monkeypatch.setattr(module, "SWEEP_STEPS_MAX", 4)
    assert len(flats(step(a=(1, 2), b=(1, 2)))) == 4


def test_unmapped_outputs_are_left_out() -> None:
    """An output of the Command that the Step does not map is not kept."""
    (flat,) = flats(StepSpec("s", "cmd", {"in": "a"}))
    assert (flat.output_names, flat.outputs) == ((), ())


def test_suggestions_are_given_only_among_few_names() -> None:
    """The nearest name is suggested; among very many, or for a very long one, none is: it would hold up the loop."""
    assert suggestion("mkae", {"make": 1}) == "; did you mean 'make'?"
    assert suggestion("zzz", {"make": 1}) == ""
    assert all_of("mkae", {"make": 1, "copy": 1}) == "; did you mean 'make'? There are: make, copy"
    assert all_of("zzz", {"make": 1, "copy": 1}) == "; there are: make, copy"
    assert suggestion("m" * 300, {"m" * 299: 1}) == ""
    assert suggestion("make1", dict.fromkeys(map(str, range(5000)), 1) | {"make": 1}) == ""


LARGE = "x" * 100_000


@pytest.mark.parametrize(
    ("command", "vars_"),
    [
        (Command("cmd", "i", (LARGE,) * 3, {"in": "/in"}, {"out": "/o"}), {}),
        (Command("cmd", "i", ("{{v}}",) * 3, {"in": "/in"}, {"out": "/o"}), {"v": LARGE}),
        (Command("cmd", "i", ("x",), {"in": "/in"}, {"out": "/o"}, env={"A": "{{v}}" * 3}), {"v": LARGE}),
        (Command("cmd", "i", ("{{in}}",) * 3, {"in": "/{{v}}"}, {"out": "/o"}), {"v": ("a", LARGE)}),
        (Command("cmd", "i", ("{{v}}" * 50_000,), {"in": "/in"}, {"out": "/o"}), {"v": LARGE}),
        (Command("cmd", "i", ("x",), {"in": "/in"}, {"out": "/o"}), {"v": "{{w}}" * 50_000, "w": LARGE}),
    ],
)
def test_what_fits_into_no_record_is_refused(command: Command, vars_: dict[str, object]) -> None:
    """A Step that could never be sent to a worker is refused with the limit, and found without making the text."""
    assert "262144 bytes" in str(problems(step(**vars_), command))


def test_what_only_might_be_too_large_is_measured() -> None:
    """One long value beside many short ones is no reason to refuse."""
    command = Command("cmd", "i", ("{{short}}",) * 1_000 + ("{{long}}",), {"in": "/in"}, {"out": "/o"})
    assert len(flats(step(short="x", long=LARGE), command)) == 1
