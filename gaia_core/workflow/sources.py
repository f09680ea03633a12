"""What a read Key is made of: what the Steps that write it or under it published, and what came from outside.

A tree that Steps write under may hold files from outside, too: whatever was put, announced or found in it. Called when
inputs are pinned; changes nothing.
"""

from collections.abc import Iterable, Iterator

from gaia_core.workflow.graph import Graph, Key
from gaia_core.workflow.keys import is_tree
from gaia_core.workflow.model import FileVersion, Publication


def sources(graph: Graph, key: Key) -> Iterator[Publication]:
    """Yield what a read Key that is there is made of. Cost O(Keys over and under it, and their files)."""
    if not key.writers:
        assert key.arrived is not None
        yield key.arrived
        return
    outside = []
    for part in graph.all_over(key.name):
        if part.writer is not None:
            yield from (one for one in part.writer.published if one.key == part.name)
        elif part.arrived is not None and part.name.startswith(key.name):
            outside.append(part)
    files = tuple(_files(graph, outside))
    if files:
        yield Publication(key.name, files)


def outside_parts(graph: Graph, key: Key) -> Iterator[Key]:
    """Yield the Keys from outside that are there and that a read Key is made of."""
    if key.arrived is not None:
        yield key
    if key.writers:
        yield from (part for part in graph.under(key.name) if part.arrived is not None)


def _files(graph: Graph, parts: Iterable[Key]) -> Iterator[FileVersion]:
    """Yield the files that Keys from outside stand for together, but for those that Steps write now.

    What came last counts; a tree stands for all in it, so it takes the place of what had come into it before.
    """
    seen: set[str] = set()
    later_trees: set[Key] = set()
    for part in sorted(parts, key=lambda part: part.arrived_as, reverse=True):
        assert part.arrived is not None
        for file in part.arrived.files:
            over = [*graph.trees_over(file.key)]
            is_written = graph.is_written(file.key) or any(tree.writer for tree in over)
            if file.key not in seen and not is_written and later_trees.isdisjoint(over):
                seen.add(file.key)
                yield file
        if is_tree(part.name):
            later_trees.add(part)
