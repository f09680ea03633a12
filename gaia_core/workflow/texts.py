"""What expansion asks of a Command's texts for every Step that uses it: found once, when the Command is made.

A workflow has a few Commands, and up to a million Steps written out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from gaia_core.workflow.splice import Unspliceable, names_in

if TYPE_CHECKING:
    from gaia_core.workflow.model import Command


class Texts(NamedTuple):
    """Facts about the texts of a Command.

    Attributes:
        in_paths: names that its internal paths, `stdout` and `workdir` splice.
        in_tokens: names that its tokens, `entrypoint` and `env` splice, but for those of its inputs and outputs.
        names: all of these.
        characters: of all texts that go to a worker, together.
        marks: how many `{{` are in these.
        path_marks: how many of them in internal paths, `stdout` and `workdir`.
        longest_path: characters of the longest internal path.
    """

    in_paths: frozenset[str]
    in_tokens: frozenset[str]
    names: tuple[str, ...]
    characters: int
    marks: int
    path_marks: int
    longest_path: int

    @classmethod
    def of(cls, command: Command) -> Texts:
        """Look through a Command."""
        paths = (*command.inputs.values(), *command.outputs.values())
        places = (*paths, command.stdout or "", command.workdir or "")
        tokens = (*command.command, *command.entrypoint, *command.env.values())
        named = (*command.env, *command.secrets, *command.secrets.values(), command.image)
        every = "".join((*tokens, *places, *named))
        in_paths = frozenset(_names(places))
        in_tokens = frozenset(_names(tokens)) - command.inputs.keys() - command.outputs.keys()
        return cls(
            in_paths,
            in_tokens,
            tuple(sorted(in_paths | in_tokens)),
            len(every),
            every.count("{{"),
            sum(text.count("{{") for text in places),
            max(map(len, paths), default=0),
        )


def _names(texts: Iterable[str]) -> Iterator[str]:
    """Yield the names that texts splice; what is wrong with a text is found elsewhere."""
    for text in texts:
        try:
            yield from names_in(text)
        except Unspliceable:
            continue
