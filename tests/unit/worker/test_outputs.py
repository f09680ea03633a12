"""What a program may leave in an output's place, and what is refused, each kind by its name."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gaia_core.workflow.keys import KEY_BYTES_MAX
from gaia_core.workflow.model import FailureClass, Output
from gaia_worker import outputs as module
from gaia_worker.failing import AttemptFailed
from gaia_worker.outputs import collect
from gaia_worker.scratch import remove_folder
from gaia_worker.staging import StagedOutput
from tests.unit.worker.test_scratch import deep
from tests.unit.worker.users import ordinary_user


def tree(folder: Path) -> StagedOutput:
    """Return an output tree that lies in a folder, which is all that its program could write."""
    return StagedOutput(0, Output("out", "out/", "/work/"), folder, folder, True, False, False)


def file(folder: Path) -> StagedOutput:
    """Return an output file `result` in a folder, which its program could write too."""
    return StagedOutput(0, Output("out", "a/result", "/work/result"), folder / "result", folder, False, False, False)


def keys(folder: Path) -> list[str]:
    return [key for key, _ in collect(tree(folder), frozenset())]


def refusal(staged: StagedOutput, size_bytes_max: int | None = None) -> tuple[FailureClass, str]:
    with pytest.raises(AttemptFailed) as failed:
        collect(staged, frozenset(), size_bytes_max)
    failed.value.message.encode()  # it travels as text
    return failed.value.kind, failed.value.message


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder that a program could write; a secret of the host lies beside it."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/one").write_text("secret")
    made = tmp_path / "work"
    made.mkdir()
    return made


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end, _in(path.parent):
        end.bind(path.name)


@contextmanager
def _in(folder: Path) -> Iterator[None]:
    """Be in a folder: the path of a socket may have 107 bytes."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _hard_link(path: Path) -> None:
    path.hardlink_to(path.parent.parent / "secret")


def _chain(path: Path) -> None:
    (path.parent / "sub").mkdir()
    (path.parent / "sub/up").symlink_to("..")
    path.symlink_to("sub/up/../secret")


KINDS: dict[str, tuple[Callable[[Path], object], str]] = {
    "host file": (lambda path: path.symlink_to("/etc/hostname"), "a symbolic link that leads out of it"),
    "file beside": (lambda path: path.symlink_to("../secret"), "a symbolic link that leads out of it"),
    "long way out": (lambda path: path.symlink_to("./.././../etc/hostname"), "a symbolic link that leads out of it"),
    "chain out": (_chain, "a symbolic link that leads out of it"),
    "host folder": (lambda path: path.symlink_to("/etc"), "a symbolic link that leads out of it"),
    "own folder": (lambda path: path.symlink_to("."), "a symbolic link to a folder"),
    "dangling": (lambda path: path.symlink_to("nowhere"), "a symbolic link that leads to nothing"),
    "circle": (lambda path: path.symlink_to(path.name), "a symbolic link that leads in a circle"),
    "pipe": (os.mkfifo, "a named pipe"),
    "socket": (_socket, "a socket"),
    "device": (lambda path: os.mknod(path, 0o600 | 0o020000, os.makedev(1, 3)), "a character device"),
    "disk": (lambda path: os.mknod(path, 0o600 | 0o060000, os.makedev(7, 0)), "a block device"),
    "hard link": (_hard_link, "a file that has another name outside of it"),
    "no permission": (lambda path: (path.write_text("x"), path.chmod(0)), "a file that may not be read (mode 0000)"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("staged", [tree, file])
def test_each_kind_of_hostile_output_is_refused_by_name(
    folder: Path, kind: str, staged: Callable[[Path], StagedOutput]
) -> None:
    """OUTPUT_MISSING names the path and what lies there; nothing outside of the program's folder is read."""
    make, words = KINDS[kind]
    try:
        make(folder / "result")
    except PermissionError:
        pytest.skip("only root makes devices")
    found, message = refusal(staged(folder))
    assert found is FailureClass.OUTPUT_MISSING
    assert words in message
    assert "'result'" in message
    assert "/work/" in message


def test_a_link_to_a_file_of_the_program_is_that_file(folder: Path) -> None:
    """Links that stay inside count as the files they lead to, through folders and other links too."""
    (folder / "sub/deep").mkdir(parents=True)
    (folder / "sub/deep/data").write_text("x")
    (folder / "sub/latest").symlink_to("deep")
    (folder / "sub/link").symlink_to("latest/../deep/./data")
    (folder / "result").symlink_to("sub/link")
    assert collect(file(folder), frozenset()) == [("a/result", folder / "sub/deep/data")]


def test_a_tree_of_nothing_is_a_tree(folder: Path) -> None:
    """An empty output tree has no files; one that is not there, or is a file or a link, is refused."""
    assert keys(folder) == []
    (folder / "file").touch()
    (folder / "link").symlink_to(".")
    for name, words in (("nothing", "is not there"), ("file", "is a file"), ("link", "is a symbolic link")):
        staged = StagedOutput(0, Output("o", "o/", "/o/"), folder / name, folder, True, False, False)
        assert words in refusal(staged)[1]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (b"\xff\xfe", "is not UTF-8"),
        (b"new\nline", "control characters"),
        (b"bell\x07", "control characters"),
        ("odd \u2028".encode(), "control characters"),
        ("\ufffe".encode(), "control characters"),
    ],
)
def test_names_that_no_key_can_have_are_refused(folder: Path, name: bytes, words: str) -> None:
    """The message shows such a name escaped."""
    (folder / os.fsdecode(name)).write_text("x")
    (folder / "good").write_text("x")
    assert words in refusal(tree(folder))[1]


def test_odd_names_are_names(folder: Path) -> None:
    """Whatever a Key may hold is published as it is."""
    odd = ["...", " ", "-rf", "a\\b", "ü", "日本", "'\"", "~", "%2F", "CON", "a:b", "*"]
    for name in odd:
        (folder / name).write_text(name)
    assert keys(folder) == sorted(f"out/{name}" for name in odd)


def test_a_tree_deeper_than_a_key_is_refused(folder: Path) -> None:
    """Folders in folders without end are given up where no Key is long enough, with a message of bounded length."""
    deep(folder)
    kind, message = refusal(tree(folder))
    assert kind is FailureClass.OUTPUT_MISSING
    assert "no Key is long enough" in message or "longer than" in message
    assert len(message) < 1000
    remove_folder(folder)  # nothing else could


def test_the_deepest_key_is_published(folder: Path) -> None:
    """A file whose Key has just the most bytes is an output."""
    depth = (KEY_BYTES_MAX - len("out/")) // 2
    place = folder
    for _ in range(depth - 1):
        place = place / "d"
    place.mkdir(parents=True)
    (place / "ff").write_text("x")
    assert [len(key) for key in keys(folder)] == [KEY_BYTES_MAX]
    (place / "fff").write_text("x")
    assert "longer than" in refusal(tree(folder))[1]


def test_a_wide_tree_is_published_in_order(folder: Path) -> None:
    """Many files beside each other are all found, none twice."""
    for number in range(2000):
        (folder / f"{number:05}").touch()
    assert keys(folder) == [f"out/{number:05}" for number in range(2000)]


def test_more_files_than_one_may_hold_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of files of an output is bounded, and the bound named."""
    monkeypatch.setattr(module, "FILES_MAX", 10)
    for number in range(11):
        (folder / str(number)).touch()
    assert "more than 10 files" in refusal(tree(folder))[1]


def test_a_sparse_file_counts_as_what_would_be_stored(folder: Path) -> None:
    """A hole costs its program nothing and its readers everything: it counts against what an attempt may write."""
    with (folder / "sparse").open("wb") as made:
        made.truncate(1 << 42)
    kind, message = refusal(tree(folder), size_bytes_max=1_000_000)
    assert kind is FailureClass.COMMAND
    assert "'sparse'" in message
    assert "1000000 bytes" in message
    (folder / "sparse").write_bytes(b"x")
    assert len(collect(tree(folder), frozenset(), 1_000_000)) == 1


def test_names_of_one_file_inside_are_files(folder: Path) -> None:
    """Two names of one file that both lie in the program's folder are two outputs."""
    (folder / "one").write_text("x")
    (folder / "sub").mkdir()
    (folder / "sub/two").hardlink_to(folder / "one")
    assert keys(folder) == ["out/one", "out/sub/two"]


@pytest.mark.parametrize("mode", [0o000, 0o300, 0o400])
def test_folders_that_may_not_be_read_are_refused(folder: Path, mode: int) -> None:
    """A folder without the right to list or to enter it is named, also where root could."""
    (folder / "locked").mkdir()
    (folder / "locked/file").touch()
    (folder / "locked").chmod(mode)
    assert f"a folder that may not be read (mode {mode:04o}): 'locked'" in refusal(tree(folder))[1]
    (folder / "locked").chmod(0o700)


def test_an_ordinary_worker_is_told_of_locked_folders_too() -> None:
    """Where the system refuses the worker, the failure is of the same class."""
    with ordinary_user() as home:
        (home / "sub").mkdir()
        (home / "sub/file").touch()
        (home / "sub").chmod(0)
        staged = StagedOutput(0, Output("o", "o", "/sub/file"), home / "sub/file", home, False, False, False)
        assert refusal(staged)[0] is FailureClass.OUTPUT_MISSING
        assert refusal(tree(home))[0] is FailureClass.OUTPUT_MISSING
        (home / "sub").chmod(0o700)
