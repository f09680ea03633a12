"""Whether a Command that runs a program is sound by itself, whatever Steps will use it. Called by validation."""

from collections.abc import Iterator
from typing import Final

from gaia_core.errors import Problem
from gaia_core.workflow.interface import texts_of
from gaia_core.workflow.model import STDOUT_ALWAYS, STDOUT_BOTH, Command
from gaia_core.workflow.splice import Unspliceable, names_in
from gaia_core.workflow.unknown import UNKNOWN

_NO_PATHS: Final = (STDOUT_BOTH, STDOUT_ALWAYS, UNKNOWN)


def leaf_problems(command: Command, place: str) -> Iterator[Problem]:
    """Yield what is wrong with a Command that runs a program."""
    for name in command.outputs:
        if name in command.inputs and name != UNKNOWN:
            yield Problem(f"{place}.outputs.{name}", f"{name!r} is both an input and an output")
    seen: dict[str, str] = {}
    for kind, paths in (("inputs", command.inputs), ("outputs", command.outputs)):
        for name, path in paths.items():
            if path not in _NO_PATHS and path in seen:
                yield Problem(f"{place}.{kind}.{name}", f"the internal path {path!r} is also that of {seen[path]}")
            seen[path] = f"{kind}.{name}"
    for name in command.secrets:
        if name in command.env and name != UNKNOWN:
            yield Problem(f"{place}.secrets.{name}", f"the variable {name!r} is also in env")
    for where, text in _spliced_texts(command):
        try:
            list(names_in(text))
        except Unspliceable as refusal:
            yield Problem(f"{place}.{where}", str(refusal))


def _spliced_texts(command: Command) -> Iterator[tuple[str, str]]:
    """Yield every text of a Command that vars are spliced into, with its place."""
    yield from ((f"command[{n}]", token) for n, token in enumerate(command.command))
    yield from ((f"entrypoint[{n}]", token) for n, token in enumerate(command.entrypoint))
    yield from ((f"inputs.{name}", path) for name, path in command.inputs.items())
    yield from ((f"outputs.{name}", path) for name, path in command.outputs.items())
    yield from ((f"vars.{name}", text) for name, value in command.vars.items() for text in texts_of(value))
    yield from ((f"env.{name}", value) for name, value in command.env.items())
    yield from (("stdout", command.stdout or ""), ("workdir", command.workdir or ""))
