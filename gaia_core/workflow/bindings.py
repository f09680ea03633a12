"""What names within one composite Step stand for. Called by expansion.

The composite's inputs and outputs stand for the Keys that a Step maps them to; any other name is made by one inner
Step. Names are like Keys: one that ends in "/" is a tree, and gathers all that inner Steps write under it.
"""

from collections.abc import Collection, Mapping
from typing import Final

from gaia_core.workflow.keys import RESERVED_PREFIX, folders_over, is_tree, shape_problem
from gaia_core.workflow.unknown import UNKNOWN

GATHERED_FOLDER: Final = "_"
"""Holds what trees gather. No inner Step has this name."""


class Bindings:
    """What the names within one composite Step stand for.

    First `foresee` all names, then `write` each output, then ask.

    Args:
        step: name of the composite Step.
        outer: its inputs and mapped outputs → Keys.
        outputs: the mapped outputs among them.
    """

    __slots__ = ("_filled", "_made", "_outer", "_outputs", "_step", "_trees")

    def __init__(self, step: str, outer: Mapping[str, str], outputs: Collection[str]) -> None:
        self._step = step
        self._outer = outer
        self._outputs = outputs
        self._made: dict[str, str] = {}
        self._trees: Collection[str] = ()
        self._filled: set[str] = set()

    def foresee(self, written: Collection[str], trees: Collection[str]) -> None:
        """Learn all names that inner Steps write, and all trees that they read.

        A tree or output that one of them writes under that very name is that one; others gather what lies under them.
        """
        self._outputs = {name for name in self._outputs if name not in written}
        self._trees = {name for name in trees if name not in written}

    def write(self, local: str, inner: str, output: str, writes_tree: bool) -> str | None:
        """Give a Key to an inner Step's output; return what is wrong with its name."""
        if local in self._made:
            self._made[local] = UNKNOWN
            return f"{local!r} is written by two inner Steps"
        key, problem = self._place(local, f"{inner}/{output}")
        may_grow = key != UNKNOWN and local not in self._outer and not is_tree(key)
        self._made[local] = f"{key}/" if may_grow and (writes_tree or is_tree(local)) else key
        self._filled.update(folders_over(local))
        return problem

    def written(self, local: str) -> str:
        """Return the Key that a written name stands for."""
        return self._made[local]

    def is_written(self, output: str) -> bool:
        """Tell whether an inner Step writes an output of the composite, or under it."""
        return output in self._made or f"{output}/" in self._filled

    def read(self, local: str) -> tuple[str, str | None]:
        """Return the Key that an inner Step's input is read from, and what is wrong with its name."""
        exact = self._exact(local)
        if exact is not None:
            return exact, None
        if local in self._trees and local in self._filled:
            whole = local.removesuffix("/")
            if whole not in self._outputs and self._exact(whole) is not None:
                return UNKNOWN, f"{local!r} is a tree of its own, but inner Steps write under it, too"
            return self._gathered(local)
        for folder in folders_over(local):
            for name in (folder, folder.removesuffix("/")):
                base = self._exact(name)
                if base is not None:
                    return _under(base, local, folder)
        return UNKNOWN, f"{local!r} is neither an input of the composite nor written by one of its Steps"

    def _exact(self, local: str) -> str | None:
        """Return the Key of this very name, or None."""
        return self._made.get(local, self._outer.get(local))

    def _place(self, local: str, own: str) -> tuple[str, str | None]:
        """Return the Key of a name that is written, and what is wrong with it."""
        if self._outer.get(local):
            return self._outer[local], None
        folders = folders_over(local)
        if any(folder in self._trees or folder.removesuffix("/") in self._outputs for folder in folders):
            return self._gathered(local)
        return f"{RESERVED_PREFIX}{self._step}/{own}", None

    def _gathered(self, local: str) -> tuple[str, str | None]:
        """Return the Key of a name that lies in a tree, or of the tree: under an output's Key, or in our own folder."""
        head, slash, _ = local.partition("/")
        if head in self._outputs:
            return _under(self._outer[head], local, head + slash)
        return _under(f"{RESERVED_PREFIX}{self._step}/{GATHERED_FOLDER}/", local, "")


def _under(base: str, local: str, folder: str) -> tuple[str, str | None]:
    """Return the Key in the tree `base` of a name that lies under `folder`, which stands for it."""
    if not is_tree(base):
        no_tree = f"{local!r} lies under {folder!r}, which stands for {base!r}, no tree"
        return UNKNOWN, no_tree if base != UNKNOWN else None
    key = f"{base}{local.removeprefix(folder)}"
    problem = shape_problem(key)
    return UNKNOWN if problem else key, problem
