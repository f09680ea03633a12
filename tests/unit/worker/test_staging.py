"""The stage plan: which folders of the host the program sees where, writable or not."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaia_core.workflow.model import Input, Output
from gaia_worker.staging import StagePlan, may_cover, plan
from tests.unit.worker.fakes import execution

SCRATCH = Path("/scratch")


def staged(inputs: dict[str, str] | None = None, outputs: dict[str, str] | None = None, stdout: str = "") -> StagePlan:
    """Plan an attempt; a path that ends in "/" is a tree."""
    return plan(
        execution(
            inputs=tuple(Input(name, key_for(name, path), path) for name, path in (inputs or {}).items()),
            outputs=tuple(Output(name, key_for(name, path), path) for name, path in (outputs or {}).items()),
            stdout=stdout,
        ),
        SCRATCH,
    )


def key_for(name: str, path: str) -> str:
    return f"key/{name}/" if path.endswith("/") else f"key/{name}"


def mounts(made: StagePlan) -> dict[str, bool]:
    return {mount.target: mount.read_only for mount in made.mounts}


def test_input_alone_is_mounted_read_only_at_its_path() -> None:
    """An input needs no folder of its own around it."""
    made = staged({"a": "/work/in.csv", "t": "/data/tree/"})
    assert mounts(made) == {"/work/in.csv": True, "/data/tree": True}


def test_output_file_makes_its_folder_writable() -> None:
    """Programs rename files into place, so the folder around an output is what is mounted."""
    made = staged(outputs={"a": "/work/out.csv", "b": "/work/more.csv"})
    assert mounts(made) == {"/work": False}
    assert [output.source for output in made.outputs] == [SCRATCH / "outputs/0/out.csv", SCRATCH / "outputs/0/more.csv"]


def test_input_beside_an_output_is_mounted_over_a_place_made_for_it() -> None:
    """An input in a writable folder is still read-only, after the folder and on an empty file in it."""
    made = staged({"a": "/work/in.csv"}, {"b": "/work/out.csv"})
    assert [(mount.target, mount.read_only) for mount in made.mounts] == [("/work", False), ("/work/in.csv", True)]
    assert made.files == (SCRATCH / "outputs/0/in.csv",)


def test_trees_inside_each_other_share_one_mount() -> None:
    """Output trees and files inside an output tree are plain folders and files of it."""
    made = staged(outputs={"all": "/work/", "part": "/work/part/", "one": "/work/part/one.txt"})
    assert mounts(made) == {"/work": False}
    assert SCRATCH / "outputs/0/part" in made.folders


def test_input_tree_around_an_output_is_laid_in() -> None:
    """An input tree that the program writes into becomes a writable folder with read-only copies in it."""
    made = staged({"tree": "/work/"}, {"out": "/work/sub/out.txt"})
    assert mounts(made) == {"/work": False}
    (laid,) = made.inputs
    assert (laid.source, laid.laid_in, laid.read_only) == (SCRATCH / "outputs/0", True, True)
    assert SCRATCH / "outputs/0/sub" in made.folders


def test_file_that_is_input_and_output_may_be_written() -> None:
    """A program that changes a file in place works on a copy."""
    made = staged({"a": "/work/data"}, {"b": "/work/data"})
    (laid,) = made.inputs
    assert (laid.source, laid.read_only) == (made.outputs[0].source, False)


@pytest.mark.parametrize("path", ["/out.txt", "/etc/out.txt", "/usr/local/share/out.txt", "/opt/out.txt"])
def test_system_folders_are_never_covered(path: str) -> None:
    """An output file in a system folder is a mount of its own; the folder stays what it is."""
    made = staged(outputs={"a": path})
    assert mounts(made) == {path: False}
    assert made.outputs[0].own_mount
    assert made.files == (made.outputs[0].source,)


@pytest.mark.parametrize(
    ("folder", "covered"), [("/work", True), ("/tmp", True), ("/etc/x", False), ("/opt/x", True), ("/etcetera", True)]
)
def test_what_may_be_covered(folder: str, covered: bool) -> None:
    """Only folders that programs do not live from are replaced by empty ones."""
    assert may_cover(folder) is covered


def test_standard_output_goes_to_its_internal_path() -> None:
    """The file of standard output lies where the program would see it, also when no output names it."""
    made = staged(outputs={"a": "/work/out.txt"}, stdout="/work/words.txt")
    assert made.stdout == SCRATCH / "outputs/0/words.txt"


def test_captured_words_are_no_files() -> None:
    """Outputs at ">", ">>" and "STDOUT" need no mounts."""
    made = staged(outputs={"a": ">", "b": ">>", "c": "STDOUT"})
    assert made.mounts == ()
    assert [index for index, _ in made.both] == [0, 2]
    assert [index for index, _ in made.always] == [1]


SEGMENTS = st.sampled_from(["a", "b", "c", "etc", "usr"])
PATHS = st.builds(
    lambda segments, tree: "/" + "/".join(segments) + ("/" if tree else ""),
    st.lists(SEGMENTS, min_size=1, max_size=4),
    st.booleans(),
)


@given(st.lists(PATHS, max_size=3, unique=True), st.lists(PATHS, max_size=3, unique=True))
def test_every_path_is_visible_and_every_mount_has_its_point(inputs: list[str], outputs: list[str]) -> None:
    """Seen through the mounts, an internal path leads to the very place on the host that is staged in or out."""
    made = staged({f"i{n}": path for n, path in enumerate(inputs)}, {f"o{n}": path for n, path in enumerate(outputs)})

    def seen(path: str) -> Path:
        clean = PurePosixPath(path)
        above = [
            mount
            for mount in made.mounts
            if clean == PurePosixPath(mount.target) or PurePosixPath(mount.target) in clean.parents
        ]
        last = above[-1]
        return last.source / clean.relative_to(last.target)

    trees = {path.rstrip("/") for path in (*inputs, *outputs) if path.endswith("/")}
    files = {path for path in (*inputs, *outputs) if not path.endswith("/")}
    if trees & files or any(
        PurePosixPath(file) in PurePosixPath(other).parents for file in files for other in (*inputs, *outputs)
    ):
        return  # the same path cannot be both a file and a folder
    for staged_input in made.inputs:
        assert seen(staged_input.input.path) == staged_input.source
    for staged_output in made.outputs:
        if staged_output.output.path not in inputs:
            assert seen(staged_output.output.path) == staged_output.source
    targets = [mount.target for mount in made.mounts]
    assert len(set(targets)) == len(targets)
