"""What users write is read whole, or refused with every problem and its place."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gaia_core.errors import Problem
from gaia_core.workflow import parse, validate
from gaia_core.workflow.model import Command, Options, Resources, StepSpec

EXAMPLES = Path(__file__).parents[3] / "examples"
COMMAND = {"name": "ls", "image": "busybox", "command": ["ls"]}
STEP = {"name": "ls-home", "command": "ls"}

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.binary(max_size=2),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([*parse.COMMAND_FIELDS, *parse.RESOURCE_FIELDS, "steps", "owner"])
            | st.text(max_size=3)
            | st.integers()
            | st.none(),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


def command_problems(**fields: Any) -> list[Problem]:
    """Return the problems of one Command with these fields changed."""
    return parse.parse_commands([{**COMMAND, **fields}])[1]


def step_problems(**fields: Any) -> list[Problem]:
    """Return the problems of one Step with these fields changed."""
    return parse.parse_steps([{**STEP, **fields}])[1]


def test_full_command() -> None:
    """Every field of a Command ends up in its place."""
    (command,), problems = parse.parse_commands(
        [
            {
                **COMMAND,
                "inputs": {"a": "/in/a", "tree": "/in/tree/"},
                "outputs": {"b": "/out/b", "both": "STDOUT", "log": ">>"},
                "vars": {"N": 1, "X": 1.5, "F": True, "S": "text"},
                "stdout": "/out/b",
                "timeout": 60,
                "retries": 2,
                "resources": {"cpus": 0.5, "memory": "2GiB", "gpus": 1},
                "pool": "big",
                "priority": -3,
                "keep": "on_failure",
                "network": True,
                "env": {"HOME": ""},
                "secrets": {"TOKEN": "hub-token", "/run/secrets/key.pem": "key"},
                "workdir": "/",
                "entrypoint": ["/bin/sh", "-c"],
                "reuse": True,
            }
        ]
    )
    assert problems == []
    assert command == Command(
        name="ls",
        image="busybox",
        command=("ls",),
        inputs={"a": "/in/a", "tree": "/in/tree/"},
        outputs={"b": "/out/b", "both": ">", "log": ">>"},
        vars={"N": 1, "X": 1.5, "F": True, "S": "text"},
        stdout="/out/b",
        options=Options(60.0, 2, Resources(0.5, 2 * 1024**3, 1), "big", -3, "on_failure"),
        network=True,
        env={"HOME": ""},
        workdir="/",
        entrypoint=("/bin/sh", "-c"),
        secrets={"TOKEN": "hub-token", "/run/secrets/key.pem": "key"},
        reuse=True,
    )


def test_the_images_own_entrypoint_may_be_kept() -> None:
    """`entrypoint: keep` keeps it, with the command as its arguments, or those of the image where there is none."""
    (with_words, without), problems = parse.parse_commands(
        [{**COMMAND, "entrypoint": "keep"}, {"name": "own", "image": "busybox", "entrypoint": "keep"}]
    )
    assert problems == []
    assert (with_words.command, with_words.entrypoint, with_words.keeps_entrypoint) == (("ls",), (), True)
    assert (without.command, without.entrypoint, without.keeps_entrypoint) == ((), (), True)
    assert parse.command_to_plain(without) == {"name": "own", "image": "busybox", "entrypoint": "keep"}


SHELL = "$(touch x); `touch x` | touch x & touch x > x < x 'x \" \\ * ? ~ ! # {x} [x] \n\t%"


def test_text_for_a_program_may_be_any() -> None:
    """Tokens and values of variables go to the program as they are; no shell reads them, so nothing is refused."""
    (command,), problems = parse.parse_commands([{**COMMAND, "command": ["x", SHELL], "env": {"A": SHELL}}])
    assert problems == []
    assert (command.command[1], command.env) == (SHELL, {"A": SHELL})


@pytest.mark.parametrize("name", ["_", "PATH", "a.b-c", "-x", "x1"])
def test_variables_may_be_called_so(name: str) -> None:
    """Letters, digits and `_ . -`, but no digit at first."""
    assert command_problems(env={name: "x"}) == command_problems(secrets={name: "x"}) == []


@pytest.mark.parametrize("name", ["", "1A", "A B", "A\n", "A$B", "BASH_FUNC_x%%", "x()", "Ä", "A" * 256, "A\0", "A;B"])
def test_variables_may_not_be_called_so(name: str) -> None:
    """What a shell could run, or an engine could not pass on, is no name of a variable."""
    for field in ("env", "secrets"):
        (problem,) = command_problems(**{field: {name: "x"}})
        assert "is no name of a variable" in problem.message


def test_full_step() -> None:
    """Every field of a Step ends up in its place; a list among the vars becomes a tuple."""
    (step,), problems = parse.parse_steps(
        [{**STEP, "inputs": {"a": "k"}, "outputs": {"b": "out/"}, "vars": {"N": [1, 2.0, "x"]}, "timeout": 0.5}]
    )
    assert problems == []
    assert step == StepSpec("ls-home", "ls", {"a": "k"}, {"b": "out/"}, {"N": (1, 2, "x")}, Options(timeout_s=0.5))
    assert [type(value) for value in step.vars["N"]] == [int, int, str]


@pytest.mark.parametrize("folder", ["hello", "weather", "demo"])
def test_examples_are_sound(folder: str) -> None:
    """The examples have no problem."""
    commands, steps = sorted((EXAMPLES / folder).glob("*.yaml")) or sorted((EXAMPLES / folder).glob("*.json"))
    assert parse.parse_commands(yaml.safe_load(commands.read_text()))[1] == []
    assert parse.parse_steps(yaml.safe_load(steps.read_text()))[1] == []


@pytest.mark.parametrize(
    ("fields", "place", "words"),
    [
        ({"name": 5}, "name", 'must be a string, not the number 5; write "5"'),
        ({"name": "a:b"}, "name", "is no name"),
        ({"name": "a\n"}, "name", "is no name"),
        ({"name": "a" * 256}, "name", "is no name"),
        ({"image": ""}, "image", "must not be empty"),
        ({"image": "a b"}, "image", "has a space"),
        ({"image": None}, "image", "null is not allowed"),
        ({"command": "ls"}, "command", "must be a list of strings, not the text 'ls'"),
        ({"command": []}, "command", "at least one token"),
        ({"command": ["sleep", 1]}, "command[1]", 'write "1"'),
        ({"command": ["a\0"]}, "command[0]", "NUL"),
        ({"command": ["\ud800"]}, "command[0]", "no text"),
        ({"command": [None]}, "command[0]", "null is not allowed"),
        ({"inputs": ["a"]}, "inputs", "must be a map, not a list"),
        ({"inputs": {"a": "in/a"}}, "inputs.a", "absolute"),
        ({"inputs": {"a": "/in/../a"}}, "inputs.a", "'..' segment"),
        ({"inputs": {"a": "/in//a"}}, "inputs.a", "empty"),
        ({"inputs": {"a": "/"}}, "inputs.a", "empty"),
        ({"inputs": {"a": ">"}}, "inputs.a", "absolute"),
        ({"inputs": {"a": "/in/\x07"}}, "inputs.a", "control characters"),
        ({"inputs": {"a": "/proc/cpuinfo"}}, "inputs.a", "lies in /proc, which belongs to the kernel"),
        ({"inputs": {"a": "/sys"}}, "inputs.a", "lies in /sys"),
        ({"outputs": {"a": "/dev/shm/x"}}, "outputs.a", "lies in /dev, which belongs to the kernel"),
        ({"outputs": {"a": "/dev/stdout"}}, "outputs.a", "for what the program prints give '>'"),
        ({"outputs": {"a": "/proc/self/fd/2"}}, "outputs.a", "for what the program prints give '>'"),
        ({"stdout": "/dev/stderr"}, "stdout", "for what the program prints give '>'"),
        ({"inputs": {"a b": "/in"}}, 'inputs["a b"]', "is no name"),
        ({"inputs": {1: "/in"}}, 'inputs["the number 1"]', "names are strings"),
        ({"outputs": {"a": None}}, "outputs.a", "null is not allowed"),
        ({"outputs": {"a": ">>>"}}, "outputs.a", "absolute"),
        ({"vars": {"X": None}}, "vars.X", "null is not allowed"),
        ({"vars": {"X": [1]}}, "vars.X", "not a list"),
        ({"vars": {"X": float("nan")}}, "vars.X", "finite"),
        ({"vars": {"X": float("inf")}}, "vars.X", "finite"),
        ({"vars": {"X": 2**53 + 1}}, "vars.X", "9007199254740992"),
        ({"vars": {"X": b"x"}}, "vars.X", "not a bytes"),
        ({"stdout": "out"}, "stdout", "absolute"),
        ({"stdout": "/out/"}, "stdout", "is a directory"),
        ({"network": "yes"}, "network", "must be true or false"),
        ({"env": {"A": 1}}, "env.A", 'write "1"'),
        ({"env": {"A=B": "1"}}, 'env["A=B"]', "is no name of a variable"),
        ({"env": {"A": "a\0b"}}, "env.A", "NUL"),
        ({"env": {"GAIA_TOKEN": "1"}}, "env.GAIA_TOKEN", "Gaia's own"),
        ({"secrets": {"GAIA_X": "s"}}, "secrets.GAIA_X", "Gaia's own"),
        ({"secrets": ["TOKEN"]}, "secrets", "must be a map"),
        ({"secrets": {"TOKEN": ""}}, "secrets.TOKEN", "is no name of a secret"),
        ({"secrets": {"TOKEN": "../key"}}, "secrets.TOKEN", "is no name of a secret"),
        ({"secrets": {"TOKEN": ".."}}, "secrets.TOKEN", "is no name of a secret"),
        ({"secrets": {"TOKEN": "{{var}}"}}, "secrets.TOKEN", "is no name of a secret"),
        ({"secrets": {"TOKEN": {"secret": "x"}}}, "secrets.TOKEN", "must be a string, not a map"),
        ({"secrets": {"/etc/passwd": "s"}}, 'secrets["/etc/passwd"]', "is no place for a secret"),
        ({"secrets": {"/run/secrets/a/b": "s"}}, 'secrets["/run/secrets/a/b"]', "or /run/secrets/NAME"),
        ({"secrets": {"/run/secrets/..": "s"}}, 'secrets["/run/secrets/.."]', "or /run/secrets/NAME"),
        ({"inputs": {"a": "/run/secrets/a"}}, "inputs.a", "in the way of /run/secrets"),
        ({"outputs": {"a": "/run/gaia/"}}, "outputs.a", "in the way of /run/gaia"),
        ({"inputs": {"a": "/run/gaia/a"}}, "inputs.a", "in the way of /run/gaia"),
        ({"outputs": {"a": "/run/"}}, "outputs.a", "in the way of /run/secrets"),
        ({"stdout": "/run/secrets"}, "stdout", "in the way of /run/secrets"),
        ({"workdir": "work"}, "workdir", "absolute"),
        ({"entrypoint": []}, "entrypoint", "at least one token"),
        ({"entrypoint": "sh"}, "entrypoint", "must be a list of strings, or 'keep' for the image's own"),
        ({"timeout": 0}, "timeout", "above 0"),
        ({"timeout": True}, "timeout", "must be a number, not true"),
        ({"timeout": "60"}, "timeout", "must be a number"),
        ({"timeout": float("nan")}, "timeout", "above 0"),
        ({"retries": -1}, "retries", "at least 0"),
        ({"retries": 1.5}, "retries", "whole number"),
        ({"retries": 2**31}, "retries", "at most"),
        ({"priority": 2**31}, "priority", "at most"),
        ({"pool": "a b"}, "pool", "is no name"),
        ({"keep": "always"}, "keep", "must be one of: on_failure"),
        ({"resources": 4}, "resources", "cpus, memory, gpus"),
        ({"resources": {"cpus": 0}}, "resources.cpus", "above 0"),
        ({"resources": {"memory": "lots"}}, "resources.memory", "2GiB"),
        ({"resources": {"memory": 0}}, "resources.memory", "above 0"),
        ({"resources": {"gpu": 1}}, "resources.gpu", "did you mean 'gpus'?"),
        ({"imagee": "x"}, "imagee", "did you mean 'image'?"),
        ({"zzz": 1}, "zzz", "there are: name, image"),
        ({"reuse": "yes"}, "reuse", "must be true or false"),
    ],
)  # fmt: skip
def test_command_rules(fields: dict[str, Any], place: str, words: str) -> None:
    """Each rule of a Command's form has one problem, at the field that breaks it."""
    (problem,) = command_problems(**fields)
    assert problem.place == f"commands[0].{place}"
    assert words in problem.message


@pytest.mark.parametrize(
    ("fields", "place", "words"),
    [
        ({"name": "-a"}, "name", "is no name"),
        ({"command": "a:b"}, "command", "is no name"),
        ({"inputs": {"a": ""}}, "inputs.a", "must not be empty"),
        ({"inputs": {"a": "x\ty"}}, "inputs.a", "control characters"),
        ({"outputs": {"a": 3}}, "outputs.a", 'write "3"'),
        ({"vars": {"X": []}}, "vars.X", "an empty list makes no Step"),
        ({"vars": {"X": [1, [2]]}}, "vars.X[1]", "not a list"),
        ({"vars": {"X": [None]}}, "vars.X[0]", "null is not allowed"),
        ({"vars": {"X": {}}}, "vars.X", "not a map"),
        ({"vars": {"X": None}}, "vars.X", "null is not allowed"),
        ({"image": "busybox"}, "image", "a field of Commands"),
        ({"timout": 3}, "timout", "did you mean 'timeout'?"),
    ],
)
def test_step_rules(fields: dict[str, Any], place: str, words: str) -> None:
    """Each rule of a Step's form has one problem, at the field that breaks it."""
    (problem,) = step_problems(**fields)
    assert problem.place == f"steps[0].{place}"
    assert words in problem.message


def test_step_names_may_have_colons() -> None:
    """Step names are Command names with colons."""
    assert step_problems(name="outer:inner") == []


def test_what_only_looks_like_the_kernels_is_a_path() -> None:
    """Other folders may begin as those of the kernel do; a program may also work there."""
    assert (
        command_problems(inputs={"a": "/device/x", "b": "/a/proc/x"}, outputs={"c": "/system/"}, workdir="/dev") == []
    )


def test_path_that_starts_with_a_var_waits_for_its_value() -> None:
    """Only splicing can tell whether `{{dir}}/a` is absolute; an escaped brace is no var."""
    assert command_problems(inputs={"a": "{{dir}}/a"}) == []
    assert len(command_problems(inputs={"a": "{{{{dir/a"})) == 1


def test_all_problems_come_together() -> None:
    """Problems of several Commands and fields are told at once, and the sound Commands are returned."""
    found, problems = parse.parse_commands(
        [{"image": "", "command": ["x", 2]}, COMMAND, "ls", {**COMMAND, "vars": {"A": None, "B": None}}]
    )
    assert [command.name for command in found] == ["ls"]
    assert [problem.place for problem in problems] == [
        "commands[0]",
        "commands[0].image",
        "commands[0].command[1]",
        "commands[2]",
        "commands[3].vars.A",
        "commands[3].vars.B",
        "commands[3].name",
    ]


@pytest.mark.parametrize("value", [None, {}, "x", 3, True])
def test_lists_must_be_lists(value: object) -> None:
    """What is no list is one problem at the list's own place."""
    assert [problem.place for problem in parse.parse_commands(value)[1]] == ["commands"]
    assert [problem.place for problem in parse.parse_steps(value)[1]] == ["steps"]


def test_duplicates_are_told_at_the_second() -> None:
    """A name given twice is a problem of the second place, which names the first."""
    _, problems = parse.parse_steps([STEP, {**STEP, "name": "b"}, STEP])
    assert problems == [Problem("steps[2].name", "'ls-home' is already steps[0]")]


def test_properties_are_free_but_for_four() -> None:
    """Properties are kept as given; the four that act have a type."""
    given_properties = {"owner": "me", "max_parallel": 3, "on_error": "stop", "retention_s": 0.5, "x": {"y": [None, 1]}}
    assert parse.parse_properties(given_properties) == (given_properties, [])
    _, problems = parse.parse_properties({"owner": 1, "max_parallel": 0, "on_error": "x", "retention_s": -1})
    assert [problem.place for problem in problems] == [
        "properties.owner", "properties.max_parallel", "properties.on_error", "properties.retention_s",
    ]  # fmt: skip


def test_properties_must_be_json() -> None:
    """What JSON or protobuf cannot carry is refused, however deep it lies."""
    bad = {"a": float("nan"), "b": [{1: 2}], "c": {"d": b""}, "e": 2**60, 'f"': "\0"}
    _, problems = parse.parse_properties(bad)
    assert [problem.place for problem in problems] == [
        "properties.a", 'properties.b[0]["the number 1"]', "properties.c.d", "properties.e", 'properties["f\\""]',
    ]  # fmt: skip
    assert parse.parse_properties([])[1] == [Problem("properties", "must be a map, not a list")]


def test_endless_properties_are_refused() -> None:
    """A map that holds itself ends at the depth limit."""
    endless: dict[str, Any] = {}
    endless["x"] = endless
    _, problems = parse.parse_properties(endless)
    assert "nested deeper" in problems[0].message


def test_a_workflow_is_checked_as_far_as_it_is_understood() -> None:
    """Meaning is checked among all items, those with problems of form too; the sound ones are returned."""
    seen: list[tuple[list[str], frozenset[int], list[str], frozenset[int]]] = []

    def check(commands: Any, steps: Any) -> list[Problem]:
        names = [[item.name for item in reading.items] for reading in (commands, steps)]
        seen.append((names[0], commands.unsound, names[1], steps.unsound))
        return [Problem("commands[0].x", "m"), Problem("steps[3].inputs", "m")]

    commands = [{**COMMAND, "image": 1}, {**COMMAND, "name": "b"}]
    steps = [{"name": "s0", "command": "b"}, {}, {"name": "s2", "command": "ls"}, 5]
    parsed = parse.parse_workflow(commands, steps, check)
    assert seen == [(["ls", "b"], {0}, ["s0", "", "s2", ""], {1, 3})]
    assert [command.name for command in parsed.commands] == ["b"]
    assert [step.name for step in parsed.steps] == ["s0", "s2"]
    assert [problem.place for problem in parsed.problems] == [
        "commands[0].image", "steps[1]", "steps[1]", "steps[3]", "commands[0].x", "steps[3].inputs",
    ]  # fmt: skip


@given(ANYTHING)
def test_nothing_raises(value: object) -> None:
    """Whatever is given, the answer is problems and never an exception."""
    for wrapped in (value, [value], [{**COMMAND, "vars": value}], [{**STEP, "inputs": value, "resources": value}]):
        parse.parse_workflow(wrapped, wrapped)
        parse.parse_properties(wrapped)


@given(st.lists(st.dictionaries(st.sampled_from(parse.COMMAND_FIELDS), ANYTHING, max_size=4), max_size=3))
def test_problem_or_sound(value: list[Any]) -> None:
    """An item is either returned or has a problem whose place names it."""
    found, problems = parse.parse_commands(value)
    named = {index for index in range(len(value)) if any(p.place.startswith(f"commands[{index}]") for p in problems)}
    assert len(found) + len(named) == len(value)


def test_huge_numbers_are_named_in_words() -> None:
    """A number too long to print is a problem like any other."""
    huge = 10**5000
    assert len(command_problems(name=huge, retries=huge, vars={"X": huge}, command=[huge])) == 4


def test_a_command_is_shown_as_it_was_written() -> None:
    """What was read comes back, without what was not given."""
    plain = {
        "name": "c",
        "image": "i",
        "command": ["x", "{{v}}"],
        "inputs": {"in": "/in"},
        "outputs": {"out": ">"},
        "vars": {"v": 1.5},
        "timeout": 60,
        "queue_timeout": 5,
        "resources": {"cpus": 2},
        "network": True,
        "reuse": True,
    }
    (command,), problems = parse.parse_commands([plain])
    assert problems == []
    assert parse.command_to_plain(command) == plain


@pytest.mark.parametrize("name", ["step:a", "key:a"])
def test_a_step_is_not_named_as_what_tells_steps_and_keys_apart(name: str) -> None:
    """`step:a` means the Step a wherever both Steps and Keys are named."""
    _, (problem,) = parse.parse_steps([{"name": name, "command": "c"}])
    assert "tells Steps and Keys apart" in problem.message


def test_a_bad_key_hides_nothing_else() -> None:
    """What is wrong with a Step's Keys is told beside what is wrong with its meaning, each once."""
    commands = [{"name": "c", "image": "i", "command": ["{{x}}"], "inputs": {"in": "/in"}}]
    steps = [
        {"name": "a", "command": "c", "inputs": {"in": "/etc"}},
        {"name": "b", "command": "d", "inputs": {"in": "../up"}},
        {"name": "e", "command": "c", "inputs": {"in": "fine"}, "vars": {"x": 1}},
    ]
    parsed = parse.parse_workflow(commands, steps, validate.check)
    assert [problem.place for problem in parsed.problems] == [
        "steps[0].inputs.in",
        "steps[1].inputs.in",
        "steps[0].vars",
        "steps[1].command",
    ]


class Text(str):
    """A text as libraries for tables make them."""

    __slots__ = ()


def test_texts_of_other_libraries_are_texts() -> None:
    """Names, Keys and Commands of a Step may be of a class that derives from str."""
    given = [
        {Text("name"): Text("s"), "command": Text("c"), "inputs": {Text("in"): Text("a")}, "outputs": {"out": "b"}}
    ]
    steps, problems = parse.parse_steps(given)
    assert problems == []
    assert steps == [StepSpec("s", "c", {"in": "a"}, {"out": "b"})]
