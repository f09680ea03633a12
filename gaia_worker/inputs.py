"""Which pinned files an input is made of, and what they are called in it. Pure; nothing is fetched here."""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from gaia_core.workflow.keys import is_tree
from gaia_core.workflow.model import FailureClass, FileVersion, Input, Publication
from gaia_worker.failing import AttemptFailed

Source: TypeAlias = tuple[Publication, Sequence[FileVersion]]
"""A publication with its files, those of its manifest included."""


def pick(item: Input, sources: Sequence[Source]) -> list[tuple[str, FileVersion]]:
    """Return the files of an input with their paths in it; a file input is one file with the path "".

    Args:
        item: the input; its Key is a file or a tree.
        sources: what its Key was pinned to: the Key itself, a tree that holds it, or several Keys under it. Cost is
            O(their files).

    Raises:
        AttemptFailed: INPUT_MISSING, a Key that another Step's tree should hold is not in it.
    """
    if is_tree(item.key):
        return _pick_tree(item, sources)
    for _, files in sources:
        for file in files:
            if file.key == item.key:
                return [("", file)]
    raise _missing(item, sources)


def _pick_tree(item: Input, sources: Sequence[Source]) -> list[tuple[str, FileVersion]]:
    found = dict(_under(item.key, sources))
    for relative, file in found.items():
        if any(segment in ("", ".", "..") for segment in relative.split("/")) or "\0" in relative:
            message = f"{file.key!r} in input {item.name!r} cannot be a file's path"
            raise AttemptFailed(FailureClass.INPUT_MISSING, message)
    if not found and not any(source.key.startswith(item.key) for source, _ in sources):
        raise _missing(item, sources)
    return sorted(found.items())


def _under(tree: str, sources: Sequence[Source]) -> Iterator[tuple[str, FileVersion]]:
    """Yield the files below a tree with their paths in it; objects that stand for folders are none."""
    for _, files in sources:
        for file in files:
            if file.key.startswith(tree) and not is_tree(file.key):
                yield file.key[len(tree) :], file


def _missing(item: Input, sources: Sequence[Source]) -> AttemptFailed:
    trees = ", ".join(sorted({repr(source.key) for source, _ in sources}))
    where = f"is not in {trees}, which another Step wrote" if trees else "is pinned to no version"
    return AttemptFailed(FailureClass.INPUT_MISSING, f"input {item.name!r}: {item.key!r} {where}")
