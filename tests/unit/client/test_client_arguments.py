"""What a caller gives wrongly is refused in words, with the name of the argument, and nothing is sent."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gaia
from gaia.v1 import api_pb2, model_pb2

NO_TEXT = "\ud800"
Call = Callable[[Any], object]

WRONG: list[tuple[str, Call]] = [
    ("prefix", lambda flow: flow.workflows(5)),
    ("owner", lambda flow: flow.workflows(owner=NO_TEXT)),
    ("expected_revision", lambda flow: flow.merge("w", [], expected_revision=-1)),
    ("expected_revision", lambda flow: flow.merge("w", [], expected_revision=2**70)),
    ("expected_revision", lambda flow: flow.command("w", expected_revision="a")),
    ("expected_revision", lambda flow: flow.delete("w", expected_revision=True)),
    ("only_changed", lambda flow: flow.merge("w", [], only_changed="yes")),
    ("workflow", lambda flow: flow.merge(NO_TEXT, [])),
    ("workflow", lambda flow: flow.command(NO_TEXT)),
    ("workflow", lambda flow: flow.run(NO_TEXT)),
    ("workflow", lambda flow: flow.halt(None)),
    ("workflow", lambda flow: flow.wait(NO_TEXT)),
    ("timeout_s", lambda flow: flow.wait("w", "soon")),
    ("data", lambda flow: flow.delete("w", "yes")),
    ("names", lambda flow: flow.remove("w", [NO_TEXT])),
    ("names", lambda flow: flow.expire("w", [NO_TEXT])),
    ("names", lambda flow: flow.launch([b"a"])),
    ("plan", lambda flow: flow.expire("w", [], plan="yes")),
    ("workflow", lambda flow: flow.status(NO_TEXT)),
    ("page_size", lambda flow: flow.status("w", True, page_size=-1)),
    ("page_size", lambda flow: flow.status("w", True, page_size=2**32)),
    ("page_start", lambda flow: flow.status("w", True, page_start=None)),
    ("states", lambda flow: list(flow.steps("w", states="complete"))),
    ("command", lambda flow: list(flow.steps("w", command=NO_TEXT))),
    ("step", lambda flow: flow.explain("w", NO_TEXT)),
    ("workflow", lambda flow: flow.watch(5)),
    ("from_sequence", lambda flow: flow.watch("w", -1)),
    ("kinds", lambda flow: flow.watch("w", kinds="step_completed")),
    ("steps", lambda flow: flow.watch("w", steps=5)),
    ("keys", lambda flow: flow.announce("w", [NO_TEXT])),
    ("prefix", lambda flow: flow.ls("w", 5)),
    ("workflow", lambda flow: flow.put(NO_TEXT, "k", b"")),
    ("key", lambda flow: flow.put("w", 5, b"")),
    ("source", lambda flow: flow.put("w", "k", 5)),
    ("source", lambda flow: flow.put("w", "k", io.StringIO("text"))),
    ("source", lambda flow: flow.put("w", "k", "a\0b")),
    ("source", lambda flow: flow.put("w", "k", NO_TEXT)),
    ("workflow", lambda flow: flow.get(NO_TEXT, "k")),
    ("target", lambda flow: flow.get("w", "k", 5)),
    ("target", lambda flow: flow.get("w", "k", io.StringIO())),
    ("target", lambda flow: flow.get("w", "k", "a\0b")),
]


@pytest.mark.parametrize(("place", "call"), WRONG)
def test_wrong_arguments_are_named(flow: gaia.Gaia, fake: Any, place: str, call: Call) -> None:
    """Whatever its type, an argument that the contract has no room for is a problem at its name."""
    with pytest.raises(gaia.InvalidWorkflow) as refusal:
        call(flow)
    assert [problem.place for problem in refusal.value.problems] == [place]
    assert all(getattr(request, "check_only", False) for _, request in fake.asked)


def test_several_wrong_arguments_are_told_together(flow: gaia.Gaia) -> None:
    """Who repairs a call need not try again for each."""
    with pytest.raises(gaia.InvalidWorkflow) as refusal:
        list(flow.steps("w", prefix=1, states="complete"))  # type: ignore[arg-type]
    assert [str(problem) for problem in refusal.value.problems] == [
        "prefix: must be a string, not of type int",
        "states: must be a list of strings",
    ]


def test_names_may_come_from_any_iterable(flow: gaia.Gaia, fake: Any) -> None:
    """A generator, which can be read once only, is as good as a list."""
    flow.expire("w", (name for name in ("a", "b")))
    assert fake.requests("Expire")[0].names == ["a", "b"]


@pytest.mark.parametrize("inner", ["", "inner"])
def test_a_tree_needs_a_folder(flow: gaia.Gaia, fake: Any, tmp_path: Path, inner: str) -> None:
    """A file where the folder, or one on the way to it, should be is told as such and stays as it is."""
    fake.script["List"] = [api_pb2.ListResponse(files=[model_pb2.FileVersion(key="out/a")])]
    file = tmp_path / "file"
    file.write_bytes(b"mine")
    with pytest.raises(gaia.InvalidWorkflow) as refusal:
        flow.get("w", "out/", file / inner)
    assert [problem.place for problem in refusal.value.problems] == ["target"]
    assert file.read_bytes() == b"mine"
