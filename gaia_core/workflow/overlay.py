"""The workflow as it would be: two writers of one Key, and circles, found without touching the state.

A second, small graph of the Steps that a request names is laid beside that of the workflow. Called by validation.
"""

from collections.abc import Collection, Iterator

from gaia_core.errors import Problem
from gaia_core.workflow.graph import Graph, Key
from gaia_core.workflow.state import Step


class Overlay:
    """The workflow as it would be: its graph without the replaced Steps, and a small graph of the drafted ones."""

    def __init__(self, base: Graph | None) -> None:
        self.base = base
        self.graph = Graph()
        self.replaced: set[Step] = set()

    def close(self) -> None:
        """Let go of the drafted Steps: Steps and Keys are circles, which only the garbage collector would free."""
        for _ in self.graph.take_apart():
            pass

    def keys_over(self, name: str) -> Iterator[Key]:
        """Yield every Key of either graph that overlaps a name."""
        yield from self.graph.all_over(name)
        if self.base is not None:
            yield from self.base.all_over(name)

    def other_writer(self, name: str, step: Step) -> Key | None:
        """Return a Key overlapping name that another Step writes, or None."""
        for key in self.keys_over(name):
            if key.writer is not None and key.writer is not step and key.writer not in self.replaced:
                return key
        return None

    def read_from(self, step: Step) -> Iterator[Key]:
        """Yield every Key by which others would read what a Step writes."""
        return (key for output in step.outputs for key in self.keys_over(output.name))

    def _consumers(self, keys: Collection[Key], done: Collection[Key]) -> Iterator[Step]:
        """Yield the Steps that would read these Keys, but for those that are done."""
        left = (key for key in keys if key not in done)
        return (reader for key in left for reader in key.readers if reader not in self.replaced)

    def cycles(self, steps: list[tuple[str, Step]]) -> Iterator[Problem]:
        """Yield a Problem for each cycle found by walking down from the drafted Steps, without recursion."""
        done: set[Step] = set()
        done_keys: set[Key] = set()
        for place, root in steps:
            if root in done or not root.outputs:
                continue
            path = {root: [*self.read_from(root)]}
            stack = [self._consumers(path[root], done_keys)]
            while stack:
                reader = next(stack[-1], None)
                if reader is None:
                    stack.pop()
                    step, keys = path.popitem()
                    done.add(step)
                    done_keys.update(keys)
                elif reader in path:
                    names = [step.name for step in path]
                    circle = " → ".join([*names[names.index(reader.name) :], reader.name])
                    yield Problem(place, f"the Steps depend on each other in a circle: {circle}")
                    done.update(path)
                    break
                elif reader not in done:
                    path[reader] = [*self.read_from(reader)]
                    stack.append(self._consumers(path[reader], done_keys))
