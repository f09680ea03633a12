"""Secrets that a worker holds: where they are looked up, and how long a program's files of them are there."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from gaia_core.workflow.model import FailureClass
from gaia_worker.executors.base import Mount, Task
from gaia_worker.failing import AttemptFailed
from gaia_worker.secret_files import SecretFiles
from gaia_worker.secrets import VALUE_BYTES_MAX, Given, Secrets

TASK = Task("t", "img", ("x",), mounts=(Mount(Path("/host"), "/in", read_only=True),), env={"A": "own"})
KEY = b"-----BEGIN KEY-----\nc2VjcmV0\nb3RoZXI=\n-----\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a few secrets, as an orchestrator mounts them."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "token").write_bytes(b"from a file\r\n")
    (tmp_path / "token").symlink_to("data/token")
    (tmp_path / "key").write_bytes(KEY)
    (tmp_path / "raw").write_bytes(b"\xff\x00")
    (tmp_path / "empty").touch()
    return tmp_path


def refusal(secrets: Secrets, **wanted: str) -> str:
    """Return why an attempt does not get its secrets."""
    with pytest.raises(AttemptFailed) as caught:
        secrets.take(wanted, "w1")
    assert caught.value.kind is FailureClass.ENGINE
    return caught.value.message


def test_a_variable_of_the_worker_wins_over_a_file(folder: Path) -> None:
    """A secret is the worker's GAIA_SECRET_NAME, or else the file NAME of its folder; nothing else of either."""
    environ = {"GAIA_SECRET_token": "from a variable", "GAIA_SECRET_data": "", "token": "x", "GAIA_TOKEN": "y"}
    assert Secrets(environ, folder).take({"A": "token"}, "w1").variables == {"A": "from a variable"}
    assert Secrets({}, folder).take({"A": "token"}, "w1").variables == {"A": "from a file"}
    assert "'data'" in refusal(Secrets(environ), A="data")
    assert "'TOKEN'" in refusal(Secrets({"GAIA_TOKEN": "y"}), A="TOKEN")


def test_a_variable_lacks_the_end_of_the_line_and_a_file_is_as_it_was(folder: Path) -> None:
    """Editors end files with a new line, which is no part of a token, but of a key in a file."""
    given = Secrets({}, folder).take({"A": "key", "/run/secrets/a.pem": "key"}, "w1")
    assert given.variables == {"A": KEY.decode().removesuffix("\n")}
    assert given.files == {"a.pem": KEY}


def test_a_file_is_looked_at_anew_for_each_attempt(folder: Path) -> None:
    """A secret that was replaced while the worker runs is what the next attempt gets."""
    secrets = Secrets({}, folder)
    assert secrets.take({"A": "token"}, "w1").variables == {"A": "from a file"}
    (folder / "data" / "token").write_text("renewed")
    assert secrets.take({"A": "token"}, "w1").variables == {"A": "renewed"}


def test_what_is_missing_is_told_together_with_the_worker_and_what_to_do(folder: Path) -> None:
    """The failure names the worker, each secret, the variable and the folder, so that somebody can mend it."""
    message = refusal(Secrets({}, folder), A="one", B="two", C="one")
    assert message.startswith("worker 'w1' has no secret 'one': set GAIA_SECRET_one there, or put a file 'one' into")
    assert f"GAIA_SECRETS_DIR, {folder}" in message
    assert (message.count("'two'"), message.count("no secret 'one'")) == (2, 1)
    assert refusal(Secrets(), A="one").endswith("into its GAIA_SECRETS_DIR")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("empty", "has an empty secret 'empty'"),
        ("raw", "no text; a Command may have it as a file"),
        ("data", "cannot read the secret 'data': Is a directory"),
        ("../key", "knows no secret that is called '../key'"),
        ("", "knows no secret that is called ''"),
        ("large", f"more than {VALUE_BYTES_MAX} bytes"),
    ],
)
def test_what_cannot_be_given_is_told_without_its_value(folder: Path, name: str, words: str) -> None:
    """A secret that is empty, no text, no file, elsewhere or too large fails the attempt in words."""
    (folder / "large").write_bytes(b"hush" * VALUE_BYTES_MAX)
    message = refusal(Secrets({}, folder), A=name)
    assert words in message
    assert "hush" not in message


def test_any_bytes_may_be_a_file(folder: Path) -> None:
    """What no variable can hold can be a file."""
    assert Secrets({}, folder).take({"/run/secrets/raw": "raw"}, "w1").files == {"raw": b"\xff\x00"}


def test_files_are_there_as_long_as_the_program_runs(tmp_path: Path) -> None:
    """They are readable for the owner alone and mounted read-only; nothing of them is left, whatever happens."""
    given, files = Given(files={"a": b"x", "b": b"y"}), SecretFiles(tmp_path / "secrets")
    place = files.place("attempt")

    def program() -> None:
        with given.given_to(replace(TASK, reuse=True), files, "attempt") as task:
            assert not task.reuse, "a container that stays would keep them where nobody looks"
            assert task.mounts == (*TASK.mounts, Mount(place, "/run/secrets", read_only=True))
            assert task.env == {"A": "own"}
            assert {file.name: file.read_bytes() for file in place.iterdir()} == {"a": b"x", "b": b"y"}
            assert {stat.S_IMODE(file.stat().st_mode) for file in place.iterdir()} == {0o400}
            assert stat.S_IMODE(place.stat().st_mode) == 0o700
            raise KeyError

    with pytest.raises(KeyError):
        program()
    assert not place.exists()
    with Given({"B": "x"}).given_to(TASK, files, "attempt") as task:
        assert (task.mounts, task.env) == (TASK.mounts, {"A": "own", "B": "x"})
        assert not place.exists()
    files.close()


def test_what_must_not_be_seen() -> None:
    """Every value as the program got it, once."""
    assert Given({"A": "hunter2", "B": "hunter2"}, {"key": KEY}).values == (b"hunter2", KEY)


def test_nothing_shows_itself() -> None:
    """What a log or a traceback would print of them has no value in it."""
    secrets = Secrets({"GAIA_SECRET_token": "hunter2"})
    shown = repr(secrets) + repr(secrets.take({"A": "token", "/run/secrets/b": "token"}, "w1"))
    assert "hunter2" not in shown
    assert "A, b" in shown
