"""What lies in the store under Keys, as publications that may arrive. Blocking; called from threads."""

from typing import Final

from gaia_core.errors import StoreError
from gaia_core.ports import Store
from gaia_core.workflow.keys import INTERNAL_PREFIX, is_tree, location
from gaia_core.workflow.model import FileVersion, Publication

TREE_FILES_MAX: Final = 100_000


def find(store: Store, workflow: str, key: str) -> Publication | None:
    """Return what lies under a Key now, or None.

    Raises:
        StoreError: the store cannot tell, or the Key lies among Gaia's own objects.
    """
    bucket, path = location(workflow, key)
    if path.startswith(INTERNAL_PREFIX):
        raise StoreError(f"Key {key!r} lies among Gaia's own objects.")
    if is_tree(key):
        return find_tree(store, workflow, key)
    stored = store.stat(bucket, path)
    return file(key, stored.version, stored.size_bytes) if stored is not None else None


def find_tree(store: Store, workflow: str, key: str) -> Publication | None:
    """Return the files that lie under a tree now, or None when there are none."""
    bucket, path = location(workflow, key)
    listed = store.list(bucket, path, TREE_FILES_MAX)
    files = (FileVersion(key + one.path.removeprefix(path), one.version, one.size_bytes, b"") for one in listed)
    return Publication(key, tuple(files)) if listed else None


def file(key: str, version: str, size_bytes: int) -> Publication:
    """Return one file as it is seen: nobody computed its digest."""
    return Publication(key, (FileVersion(key, version, size_bytes, b""),))


def differs(found: Publication, known: Publication | None) -> bool:
    """Tell whether other versions lie there than those known; digests are known of some only."""
    return known is None or _versions(found) != _versions(known)


def _versions(publication: Publication) -> set[tuple[str, str]]:
    return {(file.key, file.version) for file in publication.files}
