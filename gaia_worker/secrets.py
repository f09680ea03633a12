"""Secrets that Commands name and only workers hold: where they come from, and how a program is given them.

Values are in the memory of the attempt that needs them, in the environment of its program, and in files that are gone
once the program is; nothing here shows, logs or reports one. Called by `gaia_worker.attempt`.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from gaia_core.config import SECRET_PREFIX, variable
from gaia_core.workflow.form.paths import SECRETS_FOLDER
from gaia_core.workflow.form.texts import secret_name_problem
from gaia_core.workflow.model import EMPTY, FailureClass
from gaia_worker.executors.base import Mount, Task
from gaia_worker.failing import AttemptFailed
from gaia_worker.secret_files import SecretFiles

VALUE_BYTES_MAX: Final = 64 * 1024
"""Linux passes a program at most 128 KiB in one variable; no key or token is as long as half of that."""

_LINE_END: Final = re.compile(rb"\r?\n\Z")


class Given:
    """The secrets of one attempt.

    Attributes:
        variables: for the program's environment.
        files: name in the folder of secrets → content.
    """

    def __init__(self, variables: Mapping[str, str] = EMPTY, files: Mapping[str, bytes] = EMPTY) -> None:
        """Hold values that were looked up."""
        self.variables = variables
        self.files = files

    def __repr__(self) -> str:
        return f"Given({', '.join([*self.variables, *self.files])})"

    @property
    def values(self) -> tuple[bytes, ...]:
        """Return all that must not be seen in what the program writes."""
        return tuple(dict.fromkeys([*(value.encode() for value in self.variables.values()), *self.files.values()]))

    @contextmanager
    def given_to(self, task: Task, places: SecretFiles, attempt: str) -> Iterator[Task]:
        """Yield a task whose program has the secrets; files of them are there until this ends.

        Args:
            task: of the program.
            places: where files of secrets lie.
            attempt: names the folder there, which is made and removed here.
        """
        task = replace(task, env={**task.env, **self.variables})
        if not self.files:
            yield task
            return
        folder = places.place(attempt)
        folder.mkdir(mode=0o700)
        try:
            for name, content in self.files.items():
                file = folder / name
                file.touch(mode=0o600)
                file.write_bytes(content)
                file.chmod(0o400)
            # A warm container would move the files to its own places, where nobody looks for them after a kill.
            yield replace(task, mounts=(*task.mounts, Mount(folder, SECRETS_FOLDER, read_only=True)), reuse=False)
        finally:
            for name in self.files:
                (folder / name).unlink(missing_ok=True)
            with suppress(OSError):
                folder.rmdir()


class Secrets:
    """What one worker holds: variables GAIA_SECRET_NAME of its environment, and files NAME of one folder."""

    def __init__(self, environ: Mapping[str, str] = EMPTY, folder: Path | None = None) -> None:
        """Hold secrets.

        Args:
            environ: the worker's environment; what is empty counts as not set.
            folder: looked into anew each time, so what changes there is what later attempts get.
        """
        self._values = {
            name.removeprefix(SECRET_PREFIX): value
            for name, value in environ.items()
            if name.startswith(SECRET_PREFIX) and value
        }
        self._folder = folder

    def __repr__(self) -> str:
        return "Secrets(…)"

    def take(self, wanted: Mapping[str, str], worker: str) -> Given:
        """Look up the secrets of one attempt.

        Args:
            wanted: a variable's name, or a path in the folder of secrets → name of a secret.
            worker: its name, for people.

        Raises:
            AttemptFailed: one is not here, or cannot be given that way; another worker may have it.
        """
        variables: dict[str, str] = {}
        files: dict[str, bytes] = {}
        problems: list[str] = []
        for place, name in wanted.items():
            try:
                if place.startswith("/"):
                    files[place.rpartition("/")[2]] = self._value(name)
                else:
                    variables[place] = _text(name, self._value(name))
            except _Unusable as problem:
                problems.append(str(problem))
        if problems:
            why = "; ".join(dict.fromkeys(problems))
            raise AttemptFailed(FailureClass.ENGINE, f"worker {worker!r} {why}")
        return Given(variables, files)

    def _value(self, name: str) -> bytes:
        if secret_name_problem(name):
            raise _Unusable(f"knows no secret that is called {name!r}")
        held = self._values.get(name)
        value = self._content(name) if held is None else held.encode("utf-8", "surrogateescape")
        if len(value) > VALUE_BYTES_MAX:
            raise _Unusable(f"has a secret {name!r} of more than {VALUE_BYTES_MAX} bytes")
        return value

    def _content(self, name: str) -> bytes:
        lacking = f"has no secret {name!r}: set {SECRET_PREFIX}{name} there, or put a file {name!r} into its"
        if self._folder is None:
            raise _Unusable(f"{lacking} {variable('secrets_dir')}")
        try:
            with (self._folder / name).open("rb") as file:
                value = file.read(VALUE_BYTES_MAX + 1)
        except FileNotFoundError:
            raise _Unusable(f"{lacking} {variable('secrets_dir')}, {self._folder}") from None
        except OSError as problem:
            raise _Unusable(f"cannot read the secret {name!r}: {problem.strerror}") from None
        if not value:
            raise _Unusable(f"has an empty secret {name!r}")
        return value


class _Unusable(Exception):
    """A secret cannot be given; the message says why, and follows the worker's name."""


def _text(name: str, value: bytes) -> str:
    """Return a value as a variable holds it: without the end of the line that editors leave behind."""
    try:
        text = _LINE_END.sub(b"", value).decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise _Unusable(f"has a secret {name!r} that is no text; a Command may have it as a file in {SECRETS_FOLDER}")
    return text
