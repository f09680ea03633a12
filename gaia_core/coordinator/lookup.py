"""Looks for outside Keys in the store, so that the machine never waits for it."""

import logging
import queue
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

from gaia_core.errors import GaiaError, StoreError
from gaia_core.machine.effects import LookUp
from gaia_core.machine.requests import Arrive, Request
from gaia_core.ports import Store
from gaia_core.workflow.keys import INTERNAL_PREFIX, is_tree, location
from gaia_core.workflow.model import FileVersion, Publication

log = logging.getLogger(__name__)

TREE_FILES_MAX: Final = 100_000


class Lookups:
    """One thread that asks the store and submits what it finds."""

    def __init__(self, store: Store, submit: Callable[[Request], "Future[Any]"]) -> None:
        self._store = store
        self._submit = submit
        self._waiting: queue.SimpleQueue[LookUp | None] = queue.SimpleQueue()

    def ask(self, wanted: LookUp) -> None:
        """Queue Keys to look for."""
        self._waiting.put(wanted)

    def run(self) -> None:
        """Look up what is asked for, until `stop`."""
        while (wanted := self._waiting.get()) is not None:
            try:
                found = tuple(one for key in wanted.keys if (one := self._find(wanted.workflow, key)) is not None)
                if found:
                    self._submit(Arrive(wanted.workflow, found, looked_up=True))
            except GaiaError as error:
                log.warning("could not look Keys up", extra={"workflow": wanted.workflow, "cause": error.message})

    def stop(self) -> None:
        """Make `run` return."""
        self._waiting.put(None)

    def _find(self, workflow: str, key: str) -> Publication | None:
        """Return what lies under a Key now, or None."""
        bucket, path = location(workflow, key)
        if path.startswith(INTERNAL_PREFIX):
            raise StoreError(f"Key {key!r} lies among Gaia's own objects.")
        if is_tree(key):
            return find_tree(self._store, workflow, key)
        stored = self._store.stat(bucket, path)
        if stored is None:
            return None
        return Publication(key, (FileVersion(key, stored.version, stored.size_bytes, b""),))


def find_tree(store: Store, workflow: str, key: str) -> Publication | None:
    """Return the files that lie under a tree now, or None when there are none."""
    bucket, path = location(workflow, key)
    listed = store.list(bucket, path, TREE_FILES_MAX)
    files = (FileVersion(key + one.path.removeprefix(path), one.version, one.size_bytes, b"") for one in listed)
    return Publication(key, tuple(files)) if listed else None
