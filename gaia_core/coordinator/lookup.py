"""Looks for outside Keys in the store, so that the machine never waits for it."""

import logging
import queue
import time
from collections.abc import Callable
from concurrent.futures import Future
from heapq import heappop, heappush
from itertools import count
from typing import Any, Final, NamedTuple

from gaia_core.errors import GaiaError, StoreError
from gaia_core.machine.effects import LookUp
from gaia_core.machine.requests import Arrive, Request
from gaia_core.ports import Store
from gaia_core.workflow.keys import INTERNAL_PREFIX, is_tree, location
from gaia_core.workflow.model import FileVersion, Publication

log = logging.getLogger(__name__)

TREE_FILES_MAX: Final = 100_000

AGAIN_FIRST_S: Final = 1.0
"""Pause before a Key is looked up again; it doubles."""

TRIES_MAX: Final = 12
"""About half an hour; a Key that the store refuses for good is not asked for for ever."""


class Asked(NamedTuple):
    """Keys to look for, and when; those of equal time in the order they were asked for."""

    due_s: float
    number: int
    tries: int
    wanted: LookUp


class Lookups:
    """One thread that asks the store and submits what it finds; what could not be asked or submitted is tried again."""

    def __init__(self, store: Store, submit: Callable[[Request], "Future[Any]"]) -> None:
        self._store = store
        self._submit = submit
        self._waiting: queue.SimpleQueue[LookUp | None] = queue.SimpleQueue()
        self._again: list[Asked] = []
        self._numbers = count()

    def ask(self, wanted: LookUp) -> None:
        """Queue Keys to look for."""
        self._waiting.put(wanted)

    def run(self) -> None:
        """Look up what is asked for, until `stop`."""
        while (asked := self._next()) is not None:
            failed = self._look(asked.wanted)
            if failed and asked.tries + 1 < TRIES_MAX:
                due_s = time.monotonic() + AGAIN_FIRST_S * 2**asked.tries
                again = Asked(due_s, next(self._numbers), asked.tries + 1, LookUp(asked.wanted.workflow, failed))
                heappush(self._again, again)

    def stop(self) -> None:
        """Make `run` return."""
        self._waiting.put(None)

    def _next(self) -> Asked | None:
        """Wait for what is to be looked up next; None at the end."""
        try:
            wait_s = max(0.0, self._again[0].due_s - time.monotonic()) if self._again else None
            wanted = self._waiting.get(timeout=wait_s)
        except queue.Empty:
            return heappop(self._again)
        return Asked(0.0, 0, 0, wanted) if wanted is not None else None

    def _look(self, wanted: LookUp) -> tuple[str, ...]:
        """Look for Keys and submit those that are there; return those that have to be looked for again."""
        found: list[Publication] = []
        failed: list[str] = []
        for key in wanted.keys:
            try:
                one = self._find(wanted.workflow, key)
            except GaiaError as error:
                log.warning("could not look a Key up", extra={"workflow": wanted.workflow, "cause": error.message})
                failed.append(key)
            else:
                found += [one] if one is not None else []
        try:
            if found:
                self._submit(Arrive(wanted.workflow, tuple(found), looked_up=True))
        except GaiaError as error:
            log.warning("could not submit what was found", extra={"workflow": wanted.workflow, "cause": error.message})
            failed += [one.key for one in found]
        return tuple(failed)

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
