"""What a worker is told of an attempt: spliced tokens and paths, pinned versions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaia_core.machine import reports as rp
from gaia_core.machine import requests as rq
from gaia_core.machine.effects import LookUp
from gaia_core.wire.dispatches import INLINE_BYTES_MAX
from gaia_core.workflow.execution import pinned_inputs
from gaia_core.workflow.model import (
    TIMEOUT_S_DEFAULT,
    Command,
    Execution,
    FailureClass,
    FileVersion,
    Input,
    Options,
    Output,
    Publication,
    Resources,
    StepSpec,
)
from gaia_core.workflow.sources import sources
from tests.support.orders import execution_of
from tests.unit.machine.deployment import COMMANDS, Driver, copy, make, published

GATHER = Command("gather", "image", ("x",), {"in": "/in/"}, {"out": "/out"})


@pytest.fixture
def driver() -> Driver:
    driver = Driver()
    driver.join()
    return driver


def execution(driver: Driver, step: str = "s") -> Execution:
    return execution_of(driver.flow(), driver.step(step), 7)


def pinned(driver: Driver, key: str) -> list[tuple[str, str]]:
    """Return (key, version) of every file that a read Key is made of."""
    found = sources(driver.flow().graph, driver.flow().graph.keys[key])
    return sorted((file.key, file.version) for one in found for file in one.files)


def test_everything_is_spliced() -> None:
    """Tokens, entrypoint and env take vars and internal paths; paths take vars; nothing is left out."""
    driver = Driver()
    driver.join()
    command = Command(
        "c",
        "image",
        ("run", "{{in}}:{{out}}", "{{n}}", "{{flag}}", "{{{{n}}"),
        {"in": "/in/{{n}}"},
        {"out": "/out/{{n}}", "unmapped": "/u"},
        {"n": 1, "flag": True},
        "/std/{{n}}",
        Options(retries=2, pool="default", keep="on_failure"),
        network=True,
        env={"A": "{{in}}-{{n}}"},
        workdir="/work/{{n}}",
        entrypoint=("sh", "{{out}}"),
        secrets={"TOKEN": "hub", "/run/secrets/key": "key"},
        reuse=True,
    )
    driver.upload(
        StepSpec("s", "c", {"in": "k"}, {"out": "o/{{n}}"}, {"n": 1.5}, Options(timeout_s=9, resources=Resources(2))),
        commands=[command],
    )
    driver.arrive("k")
    made = execution(driver)
    assert (made.fence.workflow_uid, made.fence.step, made.fence.attempt, made.fence.term) == (1, 0, 1, 7)
    assert made.argv == ("run", "/in/1.5:/out/1.5", "1.5", "true", "{{n}}")
    assert made.entrypoint == ("sh", "/out/1.5")
    assert made.env == {"A": "/in/1.5-1.5"}
    assert made.secrets == {"TOKEN": "hub", "/run/secrets/key": "key"}
    assert (made.stdout, made.workdir) == ("/std/1.5", "/work/1.5")
    assert made.inputs == (Input("in", "k", "/in/1.5", (published("k", "outside 1"),)),)
    assert made.outputs == (Output("out", "o/1.5", "/out/1.5"),)
    assert (made.timeout_s, made.resources, made.keep, made.network) == (9, Resources(2), "on_failure", True)
    assert made.reuse


def test_the_steps_options_win_and_defaults_fill_the_gaps(driver: Driver) -> None:
    """Command or Step, the Step wins; without either there is the default."""
    command = Command("c", "image", ("x",), {}, {"out": "/o"}, options=Options(timeout_s=5))
    driver.upload(
        StepSpec("a", "c", options=Options(timeout_s=6)),
        StepSpec("b", "c"),
        make("d", "d"),
        commands=[*COMMANDS, command],
    )
    assert [execution(driver, name).timeout_s for name in "abd"] == [6, 5, TIMEOUT_S_DEFAULT]


@pytest.mark.parametrize(("path", "told"), [(">", ">"), ("STDOUT", ">"), (">>", ">>"), ("/o", "/o")])
def test_captured_outputs_are_told_as_such(driver: Driver, path: str, told: str) -> None:
    """`>` and `STDOUT` are both streams, `>>` the same with header and footer."""
    driver.upload(StepSpec("s", "c", {}, {"out": "k"}), commands=[Command("c", "image", ("x",), {}, {"out": path})])
    assert execution(driver).outputs == (Output("out", "k", told),)


def test_an_exact_key_is_pinned_to_what_its_writer_published(driver: Driver) -> None:
    """A dispatch pins the version of the accepted attempt, and the new one after the writer ran again."""
    driver.upload(make("w", "k"), copy("s", "k", "o"))
    driver.complete("w")
    assert pinned(driver, "k") == [("k", "v1")]
    driver.ask(rq.Expire("flow", ("w",)))
    driver.complete("w")
    assert pinned(driver, "k") == [("k", "v2")]


def test_one_of_several_outputs_is_pinned_alone(driver: Driver) -> None:
    """A reader of one Key of a Step gets nothing of the other."""
    driver.upload(StepSpec("w", "two", {}, {"one": "k", "other": "l"}), copy("s", "k", "o"))
    driver.complete("w")
    assert pinned(driver, "k") == [("k", "v1")]


def test_a_key_under_a_tree_is_pinned_to_the_tree(driver: Driver) -> None:
    """A Key inside somebody's tree is made of that tree's publication, from which the worker takes its part."""
    driver.upload(make("w", "t/", command="tree"), copy("s", "t/deep/k", "o"))
    driver.complete("w")
    assert pinned(driver, "t/deep/k") == [("t/file", "v1")]


def test_a_tree_over_many_writers_is_pinned_to_all_of_them(driver: Driver) -> None:
    """A gathered tree is made of what every writer under or over it published, and of nothing beside it."""
    driver.upload(
        make("s", "t/{{n}}", vars={"n": (1, 2)}),
        make("deep", "t/u/", command="tree"),
        make("beside", "tt/x"),
        copy("gather", "t/", "all", command="list"),
    )
    driver.run_all()
    assert pinned(driver, "t/") == [("t/1", "v1"), ("t/2", "v1"), ("t/u/file", "v1")]


def test_an_outside_key_is_pinned_to_what_arrived(driver: Driver) -> None:
    """A Key that no Step writes is made of the version that arrived last."""
    driver.upload(copy("s", "k", "o"))
    driver.arrive("k")
    driver.arrive("k")
    assert pinned(driver, "k") == [("k", "outside 2")]


def test_what_came_from_outside_under_a_tree_that_steps_write_under_is_read_with_it(driver: Driver) -> None:
    """Such a tree is made of the publications of Steps, and of what was put beside them, by whatever name."""
    driver.upload(make("w", "t/k"), copy("s", "t/", "o", command="list"), copy("other", "t/outside", "p"))
    driver.complete("w")
    driver.arrive("t/outside", "t/u/", "elsewhere")
    assert pinned(driver, "t/") == [("t/k", "v1"), ("t/outside", "outside 1"), ("t/u/file", "outside 1")]


def test_of_what_came_from_outside_the_latest_counts(driver: Driver) -> None:
    """A file that came after its tree takes the place of the one in it, and a tree that of all that came before."""
    driver.upload(make("w", "t/k"), copy("s", "t/", "o", command="list"))
    driver.complete("w")
    tree = (FileVersion("t/u/a", "tree", 1, b""), FileVersion("t/u/b", "tree", 1, b""))
    driver.arrive("t/u/a", "t/u/gone")
    driver.ask(rq.Arrive("flow", (Publication("t/u/", tree),)))
    assert pinned(driver, "t/") == [("t/k", "v1"), ("t/u/a", "tree"), ("t/u/b", "tree")]
    driver.arrive("t/u/b")
    assert pinned(driver, "t/") == [("t/k", "v1"), ("t/u/a", "tree"), ("t/u/b", "outside 2")]


def test_what_came_from_outside_gives_way_to_what_steps_write(driver: Driver) -> None:
    """Of a tree that was put, nothing counts that a Step writes now; under one that a Step writes, nothing does."""
    driver.upload(copy("s", "t/", "o", command="list"), make("other", "k"))
    files = tuple(FileVersion(name, "put", 1, b"") for name in ("t/a", "t/b", "t/u/c"))
    driver.ask(rq.Arrive("flow", (Publication("t/", files),)))
    driver.merge(make("w", "t/a"), make("v", "t/u/", command="tree"))
    driver.complete("w", "v")
    assert pinned(driver, "t/") == [("t/a", "v1"), ("t/b", "put"), ("t/u/file", "v1")]
    driver.ask(rq.Remove("flow", ("w", "v")))
    driver.merge(make("all", "t/", command="tree"))
    driver.complete("all")
    assert pinned(driver, "t/") == [("t/file", "v1")]


@pytest.mark.parametrize(
    ("step", "keys"), [("plain", ("k",)), ("tree", ("u/",)), ("shared", ("t/outside",))], ids=["file", "tree", "shared"]
)
def test_what_came_from_outside_and_is_gone_is_looked_up_again(
    driver: Driver, step: str, keys: tuple[str, ...]
) -> None:
    """A pinned version that is no longer there is asked for by the name under which it came."""
    driver.upload(
        make("w", "t/k"), copy("plain", "k", "p"), copy("tree", "u/", "q", command="list"),
        copy("shared", "t/", "o", command="list"),
    )  # fmt: skip
    driver.complete("w")
    driver.arrive("k", "u/", "u/a", "t/outside")
    driver.fail(step, FailureClass.INPUT_CHANGED)
    assert [effect.keys for effect in driver.effects if isinstance(effect, LookUp)] == [keys]


def test_publications_of_other_keys_are_not_believed(driver: Driver) -> None:
    """A worker has no say about Keys that its Step does not write."""
    driver.upload(make("w", "k"), copy("s", "k", "o"))
    outputs = (published("k", "good"), published("o", "forged"))
    driver.say("w", rp.Completed(driver.fence("w"), outputs))
    assert driver.step("w").published == outputs[:1]


def test_long_lists_of_files_are_left_for_the_inputs_method(driver: Driver) -> None:
    """Input lists too large for a record are left out, told as such, and given on request, by bytes not by number."""
    long = "t/" + "x" * 800
    count = INLINE_BYTES_MAX // 800
    files = tuple(FileVersion(f"{long}{n}", "v", 1, b"") for n in range(count))
    driver.upload(copy("s", "t/", "o", command="list"))
    driver.ask(rq.Arrive("flow", (Publication("t/", files),)))
    made = execution(driver)
    assert made.inputs_by_rpc
    assert made.inputs == (Input("in", "t/", "/in/"),)
    fence = made.fence
    (given,) = driver.ask(rq.GetInputs(fence.workflow_uid, fence.step, fence.attempt))
    assert given.sources == (Publication("t/", files),)
    assert (given,) == pinned_inputs(driver.flow(), driver.step("s"))


def test_short_lists_of_files_travel_with_the_dispatch(driver: Driver) -> None:
    """A thousand short files are no reason for another call."""
    files = tuple(FileVersion(f"t/{n}", "v", 1, b"") for n in range(1_000))
    driver.upload(copy("s", "t/", "o", command="list"))
    driver.ask(rq.Arrive("flow", (Publication("t/", files),)))
    assert not execution(driver).inputs_by_rpc


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")).filter(lambda text: "{{" not in text))
def test_no_value_is_read_by_a_shell(text: str) -> None:
    """Whatever a var holds arrives as one argument and as a variable's value, as it is."""
    driver = Driver()
    driver.join()
    command = Command("c", "image", ("run", "{{v}}", "a{{v}}b"), env={"A": "{{v}}"}, entrypoint=("{{v}}",))
    driver.upload(StepSpec("s", "c", vars={"v": text}), commands=[command])
    made = execution(driver)
    assert (made.entrypoint, made.argv, made.env) == ((text,), ("run", text, f"a{text}b"), {"A": text})
