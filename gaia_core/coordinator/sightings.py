"""What lies in the store under Keys, as publications that may arrive. Blocking; called from threads."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from gaia_core.errors import GaiaError, StoreError, TooLarge
from gaia_core.ports import Store, Stored
from gaia_core.workflow.keys import INTERNAL_PREFIX, Location, folder_of, is_tree, location
from gaia_core.workflow.model import FileVersion, Publication

TREE_FILES_MAX: Final = 100_000

LISTED_FROM: Final = 4
"""So many Keys of one folder are looked for by one LIST."""

LISTED_EXTRA: Final = 1_000
"""A folder may hold so much else before its Keys are asked for one by one."""

TROUBLE_S: Final = 10.0
"""Looks that fail may take so long, all together, before the other Keys are left for the next time."""


def find(store: Store, workflow: str, key: str) -> Publication | None:
    """Return what lies under a Key now, or None.

    Raises:
        StoreError: the store cannot tell, or the Key lies among Gaia's own objects.
        TooLarge: it is a tree of more files than one publication holds.
    """
    bucket, path = _place(workflow, key)
    if is_tree(key):
        return _find_tree(store, Location(bucket, path), key)
    return _file(key, store.stat(bucket, path))


@dataclass(slots=True)
class Sightings:
    """What one look at many Keys saw.

    Attributes:
        found: what lies there, by Key.
        failed: Keys of which the store could not tell.
        cause: why not, of the first of them.
        left: Keys that were not looked for.
    """

    found: dict[str, Publication] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    cause: str = ""
    left: list[str] = field(default_factory=list)


def look(
    store: Store,
    workflow: str,
    keys: Sequence[str],
    is_stopping: Callable[[], bool],
    clock: Callable[[], float] = time.monotonic,
) -> Sightings:
    """Look for many Keys of a workflow, in order; those that share a folder are looked for by one LIST.

    Args:
        store: where to look.
        workflow: whose Keys they are.
        keys: what to look for.
        is_stopping: tells whether to leave the rest alone.
        clock: seconds that never go back; where failures have taken more than `TROUBLE_S`, the rest is left alone, too.
    """
    seen = Sightings()
    folders = _Folders(store, workflow, keys)
    trouble_s = 0.0
    for place, key in enumerate(keys):
        if is_stopping() or trouble_s > TROUBLE_S:
            seen.left = list(keys[place:])
            break
        began_s = clock()
        try:
            one = folders.find(key)
        except GaiaError as error:
            trouble_s += clock() - began_s
            seen.failed.append(key)
            seen.cause = seen.cause or error.message
        else:
            if one is not None:
                seen.found[key] = one
    return seen


class _Folders:
    """Looks for Keys of a workflow: for those that share a folder by one LIST, if it holds little else."""

    def __init__(self, store: Store, workflow: str, keys: Iterable[str]) -> None:
        self._store = store
        self._workflow = workflow
        self._sharing = Counter(folder_of(key) for key in keys if not is_tree(key))
        self._listed: dict[str, dict[str, Stored] | None] = {}

    def find(self, key: str) -> Publication | None:
        """Return what lies under a Key, or None; raises as the function does."""
        listed = None if is_tree(key) else self._files_beside(folder_of(key))
        if listed is None:
            return find(self._store, self._workflow, key)
        return _file(key, listed.get(_place(self._workflow, key).path))

    def _files_beside(self, folder: str) -> dict[str, Stored] | None:
        """Return what lies in a folder, by path, or None where its Keys are to be asked for one by one."""
        if folder not in self._listed:
            self._listed[folder] = None  # also where the LIST fails
            if self._sharing[folder] >= LISTED_FROM:
                self._listed[folder] = self._list(folder)
        return self._listed[folder]

    def _list(self, folder: str) -> dict[str, Stored] | None:
        """Return what a folder holds, by path, or None where a LIST does not tell all of it.

        Source: MinIO lists nothing below the name of an object (documentation, Thresholds and Limits).
        """
        bucket, path = location(self._workflow, folder)
        most = self._sharing[folder] + LISTED_EXTRA
        listed = self._store.list(bucket, path, most)
        if len(listed) == most or (not listed and path and self._store.stat(bucket, path.removesuffix("/"))):
            return None
        return {one.path: one for one in listed}


def differs(found: Publication, known: Publication | None) -> bool:
    """Tell whether other versions lie there than those known."""
    return known is None or found.versions != known.versions


def _place(workflow: str, key: str) -> Location:
    """Return where a Key lies, unless that is among Gaia's own objects, of this or another deployment."""
    place = location(workflow, key)
    if place.path.startswith(INTERNAL_PREFIX):
        raise StoreError(f"Key {key!r} lies among Gaia's own objects.")
    return place


def _find_tree(store: Store, place: Location, key: str) -> Publication | None:
    """Return the files that lie under a tree now, or None when there are none."""
    listed = store.list(place.bucket, place.path, TREE_FILES_MAX + 1)
    if len(listed) > TREE_FILES_MAX:
        raise TooLarge(f"The tree {key!r} holds more than {TREE_FILES_MAX:,} files.", hint="read parts of it")
    files = (FileVersion(key + one.path.removeprefix(place.path), one.version, one.size_bytes, b"") for one in listed)
    return Publication(key, tuple(files)) if listed else None


def _file(key: str, stored: Stored | None) -> Publication | None:
    """Return one file as it is seen: nobody computed its digest."""
    return Publication(key, (FileVersion(key, stored.version, stored.size_bytes, b""),)) if stored is not None else None
