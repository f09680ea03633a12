"""The index between Steps and Keys: who writes what, who reads what, and what a tree over a Key makes of both.

A Key under a tree, or a tree over Keys, depends on whoever writes the other. So every Key that is read counts the
written Keys that overlap it (`writers`) and how many of those are not available (`pending`); a completion then only
touches the Keys it feeds. Owns structure and these counters, and no Step's status.
"""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Final

from gaia_core.workflow.keys import folder_of, is_tree
from gaia_core.workflow.model import Publication

if TYPE_CHECKING:
    from gaia_core.workflow.state import Step

_NONE: Final[dict["Key", None]] = {}
"""What a Key feeds that overlaps no other, as nearly all do: one for them all, to which nothing is ever added."""


class Key:
    """One path of the data space that a Step names, or that arrived from outside.

    Attributes:
        writer: the Step that writes exactly this Key, or None.
        readers: Steps that read exactly this Key.
        feeds: read Keys, other than itself, that overlap it; kept only while it is written.
        writers: written Keys that overlap it, itself included; kept only while it is read.
        pending: how many of those are not available now.
        available: for a written Key: its writer is complete. For an outside one: it was seen in the store.
        arrived: what was seen, for an outside Key.
        arrived_as: the how-manieth arrival of the workflow that was.
        left_behind: Steps wrote it and none does any more; what lies in the store is theirs and does not count.
        was_written: a Step wrote it once, and a late upload of its attempts may still lie in the store.
    """

    __slots__ = (
        "arrived", "arrived_as", "available", "feeds", "folder", "left_behind", "name", "pending", "readers",
        "was_written", "writer", "writers",
    )  # fmt: skip

    def __init__(self, name: str, folder: "Folder") -> None:
        self.name = name
        self.folder = folder
        self.writer: Step | None = None
        self.readers: list[Step] = []
        self.feeds = _NONE
        self.writers = 0
        self.pending = 0
        self.available = False
        self.arrived: Publication | None = None
        self.arrived_as = 0
        self.left_behind = False
        self.was_written = False

    @property
    def is_there(self) -> bool:
        """Tell whether a reader of this Key may run."""
        return self.pending == 0 if self.writers else self.arrived is not None

    def __repr__(self) -> str:
        return f"Key({self.name!r})"


class Folder:
    """A directory above some Key; `tree` is the Key that stands for the whole directory, if any Step names it."""

    __slots__ = ("folders", "keys", "parent", "path", "tree")

    def __init__(self, path: str, parent: "Folder | None") -> None:
        self.path = path
        self.parent = parent
        self.folders: list[Folder] = []
        self.keys: dict[str, Key] = {}
        self.tree: Key | None = None


class Graph:
    """All Keys of one workflow, and the folders above them.

    Attributes:
        missing: read Keys that are not there and that no Step will produce, in the order they were found missing.
        awaited: read Keys that are not there and that Steps will produce.
        outside: read Keys that no Step writes, there or not.
        arrivals: how many Keys have arrived so far.
    """

    __slots__ = ("arrivals", "awaited", "folders", "keys", "missing", "outside")

    def __init__(self) -> None:
        self.keys: dict[str, Key] = {}
        self.folders: dict[str, Folder] = {}
        self.missing: dict[Key, None] = {}
        self.awaited: dict[Key, None] = {}
        self.outside: dict[Key, None] = {}
        self.arrivals = 0

    def key(self, name: str) -> Key:
        """Return the Key of this name, made where it is new. Cost O(depth)."""
        known = self.keys.get(name)
        if known is not None:
            return known
        if is_tree(name):
            folder = self._folder(name)
            made = folder.tree = Key(name, folder)
        else:
            folder = self._folder(folder_of(name))
            made = folder.keys[name] = Key(name, folder)
        self.keys[name] = made
        return made

    def trees_over(self, name: str) -> Iterator[Key]:
        """Yield every other tree that this name lies in, the nearest first. Cost O(depth)."""
        own = self.folders.get(name) if is_tree(name) else None
        above = own.parent if own is not None else self._nearest(name)
        while above is not None:
            if above.tree is not None:
                yield above.tree
            above = above.parent

    def under(self, name: str) -> Iterator[Key]:
        """Yield every other Key that lies in this name, if that is a tree. Cost O(Keys under it)."""
        own = self.folders.get(name) if is_tree(name) else None
        if own is not None:
            yield from _under(own)

    def overlapping(self, name: str) -> Iterator[Key]:
        """Yield every other Key over or under this name. Cost O(depth + Keys under it)."""
        yield from self.trees_over(name)
        yield from self.under(name)

    def all_over(self, name: str) -> Iterator[Key]:
        """Yield the Key of this name, where there is one, and every other that overlaps it."""
        known = self.keys.get(name)
        if known is not None:
            yield known
        yield from self.overlapping(name)

    def link(self, step: "Step", inputs: tuple[str, ...], outputs: tuple[str, ...]) -> None:
        """Enter a Step as reader and writer of Keys; its outputs are not available yet.

        Steps may be linked in any order: the counters come out the same.
        """
        step.outputs = tuple(self.key(name) for name in outputs)
        for key in step.outputs:
            if key.writer is None:
                self._begin_write(key, step)
        step.inputs = tuple(self.key(name) for name in inputs)
        for key in step.inputs:
            if not key.readers:
                self._begin_read(key)
            key.readers.append(step)
            self._note(key)
            self._note_origin(key)

    def unlink(self, steps: Collection["Step"]) -> None:
        """Take Steps out again; Keys they wrote are nobody's now and not there until seen in the store.

        Cost: all readers of every Key they read, once.
        """
        leaving = set(steps)
        for key in {key: None for step in steps for key in step.inputs}:
            key.readers = [reader for reader in key.readers if reader not in leaving]
            if not key.readers:
                self._end_read(key)
        for key in {key: None for step in steps for key in step.outputs}:
            self._end_write(key)
        for step in steps:
            step.inputs = step.outputs = ()

    def complete(self, step: "Step") -> Iterator[Key]:
        """Make what a Step wrote available, and yield every read Key that is there only now."""
        for key in step.outputs:
            if not key.available:
                key.available = True
                for fed in self._fed_by(key):
                    fed.pending -= 1
                    if not fed.pending:
                        self._note(fed)
                        yield fed

    def revoke(self, step: "Step") -> None:
        """Take back what a complete Step made available."""
        for key in step.outputs:
            if key.available:
                key.available = False
                for fed in self._fed_by(key):
                    fed.pending += 1
                    self._note(fed)

    def arrive(self, publication: Publication) -> Key:
        """Enter what was seen in the store under a Key that no Step writes."""
        key = self.key(publication.key)
        self.arrivals += 1
        key.arrived, key.arrived_as = publication, self.arrivals
        key.left_behind = False
        self._note(key)
        return key

    def forget(self, key: Key) -> None:
        """Drop what was seen under a Key that no Step writes."""
        key.arrived = None
        self._note(key)

    def counts_when_found(self, name: str) -> bool:
        """Tell whether an object that merely lies in the store under this name counts: no Step writes or wrote it."""
        return not any(key.writer is not None or key.left_behind for key in self.all_over(name))

    def is_written(self, name: str) -> bool:
        """Tell whether a Step writes exactly this name."""
        key = self.keys.get(name)
        return key is not None and key.writer is not None

    def _fed_by(self, key: Key) -> Collection[Key]:
        """Return the read Keys that a written Key is part of."""
        return [key, *key.feeds] if key.readers else key.feeds

    def _note(self, key: Key) -> None:
        """Keep the indexes of Keys that readers lack."""
        self.missing.pop(key, None)
        self.awaited.pop(key, None)
        if key.readers and not key.is_there:
            (self.awaited if key.writers else self.missing)[key] = None

    def _note_origin(self, key: Key) -> None:
        """Keep the index of read Keys that come from outside."""
        if key.readers and not key.writers:
            self.outside[key] = None
        else:
            self.outside.pop(key, None)

    def _begin_write(self, key: Key, step: "Step") -> None:
        key.writer = step
        key.available = False
        for part in (key, *self.under(key.name)):
            part.arrived = None
        key.left_behind = False
        key.feeds = {other: None for other in self.overlapping(key.name) if other.readers} or _NONE
        for fed in self._fed_by(key):
            fed.writers += 1
            fed.pending += 1
            self._note(fed)
            self._note_origin(fed)

    def _end_write(self, key: Key) -> None:
        for fed in self._fed_by(key):
            fed.writers -= 1
            fed.pending -= not key.available
            self._note(fed)
            self._note_origin(fed)
        key.writer = None
        key.available = False
        key.left_behind = key.was_written = True
        key.feeds = _NONE

    def _begin_read(self, key: Key) -> None:
        written = [other for other in self.all_over(key.name) if other.writer is not None]
        key.writers = len(written)
        key.pending = sum(not other.available for other in written)
        for other in written:
            if other is not key:
                other.feeds = other.feeds or {}
                other.feeds[key] = None

    def _end_read(self, key: Key) -> None:
        for other in self.overlapping(key.name):
            if other.writer is not None:
                del other.feeds[key]
                other.feeds = other.feeds or _NONE
        key.writers = key.pending = 0
        self._note(key)
        self._note_origin(key)

    def take_apart(self) -> Iterator[None]:
        """Let go of everything, one Key or folder with each step of the iteration; of no use afterwards."""
        while self.keys:
            _, key = self.keys.popitem()
            key.writer = None
            key.feeds = _NONE
            while key.readers:
                key.readers.pop()
                yield
            yield
        for seen in (self.missing, self.awaited, self.outside):
            seen.clear()
        while self.folders:
            _, folder = self.folders.popitem()
            folder.tree = None
            folder.folders = []
            while folder.keys:
                folder.keys.popitem()
                yield
            yield

    def _folder(self, path: str) -> Folder:
        """Return the folder of this path, made with all above it where new."""
        known = self.folders.get(path)
        if known is None:
            parent = self._folder(folder_of(path)) if path and not path.endswith(":") else None
            known = self.folders[path] = Folder(path, parent)
            if parent is not None:
                parent.folders.append(known)
        return known

    def _nearest(self, name: str) -> Folder | None:
        """Return the lowest existing folder that holds this name."""
        path = folder_of(name)
        while path not in self.folders and path and not path.endswith(":"):
            path = folder_of(path)
        return self.folders.get(path)


def _under(top: Folder) -> Iterator[Key]:
    """Yield every Key below a folder, its own tree Key left out."""
    stack = [top]
    while stack:
        folder = stack.pop()
        if folder is not top and folder.tree is not None:
            yield folder.tree
        yield from folder.keys.values()
        stack.extend(folder.folders)
