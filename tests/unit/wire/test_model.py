"""Commands, Steps and properties survive protobuf; what an untrusted client sends is checked with its places."""

import math
from collections.abc import Mapping
from dataclasses import replace

from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from gaia.v1 import model_pb2
from gaia_core.wire import model as wire
from gaia_core.workflow import parse
from gaia_core.workflow.model import Command, Options, Resources, StepSpec

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029"), max_size=12)
NAME = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,10}", fullmatch=True)
PATH = NAME.map(lambda name: f"/work/{name.replace('.', '-')}")
NUMBER = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False).filter(
    lambda value: not value.is_integer() or abs(value) > 2**53
)
SCALAR = TEXT | NUMBER | st.booleans()
POSITIVE = st.floats(0.001, 1e6)
RESOURCES = st.builds(
    Resources, st.none() | POSITIVE, st.none() | st.integers(1, 2**53), st.none() | st.integers(0, 16)
)
OPTIONS = st.builds(
    Options,
    timeout_s=st.none() | POSITIVE,
    retries=st.none() | st.integers(0, 2**31 - 1),
    resources=st.none() | RESOURCES.filter(lambda value: value != Resources()),
    pool=st.none() | NAME,
    priority=st.none() | st.integers(-(2**31), 2**31 - 1),
    keep=st.none() | st.just("on_failure"),
)
VARIABLE = st.from_regex(r"[A-Z_.-][A-Za-z0-9_.-]{0,10}", fullmatch=True).filter(lambda one: one[:5] != "GAIA_")
ENTRYPOINT = st.lists(TEXT, max_size=2).map(lambda tokens: (tuple(tokens), False)) | st.just(((), True))
COMMANDS = st.builds(
    Command,
    name=NAME,
    image=NAME,
    command=st.lists(TEXT, min_size=1, max_size=4).map(tuple),
    inputs=st.dictionaries(NAME, PATH, max_size=3),
    outputs=st.dictionaries(NAME, PATH | st.sampled_from([">", ">>"]), max_size=3),
    vars=st.dictionaries(NAME, SCALAR, max_size=3),
    stdout=st.none() | PATH,
    options=OPTIONS,
    network=st.booleans(),
    env=st.dictionaries(VARIABLE, TEXT, max_size=3),
    secrets=st.dictionaries(VARIABLE | NAME.map("/run/secrets/{}".format), NAME, max_size=3),
    workdir=st.none() | PATH,
    reuse=st.booleans(),
)
COMMANDS = st.builds(
    lambda command, kept: replace(command, entrypoint=kept[0], keeps_entrypoint=kept[1]), COMMANDS, ENTRYPOINT
)
STEPS = st.builds(
    StepSpec,
    name=NAME,
    command=NAME,
    inputs=st.dictionaries(NAME, NAME, max_size=3),
    outputs=st.dictionaries(NAME, NAME, max_size=3),
    vars=st.dictionaries(NAME, SCALAR | st.lists(SCALAR, min_size=1, max_size=3).map(tuple), max_size=3),
    options=OPTIONS,
)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=10,
)


def typed(value: object) -> object:
    """Pair every value with its type, since 1 == 1.0 == True."""
    if isinstance(value, Mapping):
        return {name: typed(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [typed(each) for each in value]
    return (type(value), value)


@given(COMMANDS)
def test_command_round_trip(command: Command) -> None:
    """A Command is the same after protobuf, by the trusted and by the checking way, types of vars included."""
    message = wire.command_to_proto(command)
    assert wire.command_from_proto(message) == command
    assert wire.commands_from_proto([message]) == ([command], [])
    assert typed(wire.command_from_proto(message).vars) == typed(command.vars)


@given(STEPS)
def test_step_round_trip(step: StepSpec) -> None:
    """A Step is the same after protobuf, by the trusted and by the checking way, types of vars included."""
    message = wire.step_to_proto(step)
    assert wire.step_from_proto(message) == step
    assert wire.steps_from_proto([message]) == ([step], [])
    assert typed(wire.step_from_proto(message).vars) == typed(step.vars)


@given(COMMANDS, STEPS)
def test_plain_round_trip(command: Command, step: StepSpec) -> None:
    """What `*_to_plain` writes is what `parse_*` reads."""
    assert parse.parse_commands([parse.command_to_plain(command)]) == ([command], [])
    assert parse.parse_steps([parse.step_to_plain(step)]) == ([step], [])


@given(
    st.dictionaries(TEXT.filter(lambda name: name not in ("owner", "max_parallel", "on_error", "retention_s")), JSON)
)
def test_properties_round_trip(properties: dict[str, object]) -> None:
    """Properties are kept as given, whole numbers as ints."""
    parsed, problems = parse.parse_properties(properties)
    assert problems == []
    assert typed(wire.struct_to_properties(wire.properties_to_struct(parsed))) == typed(parsed) == typed(properties)


def test_deepest_properties_pass_the_wire() -> None:
    """Properties nested as deep as allowed can be serialised and read back."""
    value: object = 1
    for _ in range(parse.PROPERTY_DEPTH_MAX - 1):
        value = {"a": value}
    parsed, problems = parse.parse_properties({"a": value})
    assert problems == []
    data = wire.properties_to_struct(parsed).SerializeToString()
    assert wire.struct_to_properties(type(wire.properties_to_struct({})).FromString(data)) == parsed


def foreign_step(var: object) -> model_pb2.Step:
    """Return a Step as a client in another language may send it."""
    return json_format.ParseDict({"name": "s", "command": "c", "vars": {"X": var}}, model_pb2.Step())


def places(problems: list[tuple[str, str]]) -> list[str]:
    return [place for place, _ in problems]


def test_whole_double_is_an_int() -> None:
    """A client whose only number is a double sends 1.0 and means 1."""
    (step,), _ = wire.steps_from_proto([foreign_step(1.0)])
    assert typed(step.vars) == typed({"X": 1})


def test_foreign_values_are_refused_with_their_place() -> None:
    """Null, maps, nested and empty lists in vars are problems, one per Step."""
    _, problems = wire.steps_from_proto(
        [
            model_pb2.Step(name=f"s{index}", command="c", vars=foreign_step(value).vars)
            for index, value in enumerate([None, {"a": 1}, [[1]], [], [None]])
        ]
    )
    assert places(problems) == [
        "steps[0].vars.X",
        "steps[1].vars.X",
        "steps[2].vars.X[0]",
        "steps[3].vars.X",
        "steps[4].vars.X[0]",
    ]


def test_unset_and_unreal_numbers_are_refused() -> None:
    """A Value without a kind, NaN and infinity are problems."""
    step = model_pb2.Step(name="s", command="c")
    step.vars["unset"].SetInParent()
    step.vars["nan"].number_value = math.nan
    step.vars["inf"].number_value = math.inf
    _, problems = wire.steps_from_proto([step])
    assert sorted(places(problems)) == ["steps[0].vars.inf", "steps[0].vars.nan", "steps[0].vars.unset"]


def test_empty_messages_lack_their_fields() -> None:
    """Empty and absent are one in protobuf: a Command without a name, image and tokens lacks all three."""
    _, problems = wire.commands_from_proto([model_pb2.Command()])
    assert [message for _, message in problems] == ["'name' is missing", "'image' is missing", "'command' is missing"]


def test_options_are_checked_by_the_names_users_know() -> None:
    """Options of a foreign client are judged, and their places use the users' field names."""
    options = model_pb2.Options(timeout_s=-1, keep="always", resources=model_pb2.Resources(cpus=0, memory_bytes=0))
    _, problems = wire.steps_from_proto([model_pb2.Step(name="s", command="c", options=options)])
    assert sorted(places(problems)) == [
        "steps[0].keep",
        "steps[0].resources.cpus",
        "steps[0].resources.memory",
        "steps[0].timeout",
    ]
