"""What the machine wants of the store, done in a thread of its own, so that the machine never waits for it.

Keys are looked for, files of deleted workflows are deleted; what could not be done is tried again.
"""

import logging
import queue
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import Any, Final, TypeAlias

from gaia_core.coordinator import sightings
from gaia_core.errors import GaiaError
from gaia_core.machine.effects import DeleteData, LookUp
from gaia_core.machine.requests import Arrive, DataGone, Request
from gaia_core.ports import Store
from gaia_core.workflow.keys import INTERNAL_PREFIX, is_tree
from gaia_core.workflow.model import Publication

log = logging.getLogger(__name__)

AGAIN_FIRST_S: Final = 1.0
"""Pause before something is tried again; it doubles."""

AGAIN_MAX_S: Final = 300.0

LOOKS_MAX: Final = 12
"""About half an hour; a Key that the store refuses for good is not asked for for ever."""

CONFIRM_S: Final = 1.0
"""A tree counts once it was the same twice, so long apart: somebody may still be writing it."""

DELETED_AT_ONCE_MAX: Final = 1_000

Wanted: TypeAlias = LookUp | DeleteData


@dataclass(slots=True)
class Errand:
    """Something to do, and how often it was tried.

    Attributes:
        seen: trees as the look before found them.
    """

    wanted: Wanted
    tries: int = 0
    seen: Mapping[str, Publication] = field(default_factory=dict)


class Errands:
    """One thread that does what is asked for."""

    def __init__(self, store: Store, submit: Callable[[Request], "Future[Any]"]) -> None:
        self._store = store
        self._submit = submit
        self._waiting: queue.SimpleQueue[Wanted | None] = queue.SimpleQueue()
        self._again: list[tuple[float, int, Errand]] = []
        self._numbers = count()

    def ask(self, wanted: Wanted) -> None:
        """Queue something to do."""
        self._waiting.put(wanted)

    def run(self) -> None:
        """Do what is asked for, until `stop`."""
        while (errand := self._next()) is not None:
            if isinstance(errand.wanted, LookUp):
                self._look(errand.wanted, errand)
            else:
                self._delete(errand.wanted, errand)

    def stop(self) -> None:
        """Make `run` return."""
        self._waiting.put(None)

    def _next(self) -> Errand | None:
        """Wait for what is to be done next; None at the end."""
        try:
            wait_s = max(0.0, self._again[0][0] - time.monotonic()) if self._again else None
            wanted = self._waiting.get(timeout=wait_s)
        except queue.Empty:
            return heappop(self._again)[2]
        return Errand(wanted) if wanted is not None else None

    def _later(self, errand: Errand, pause_s: float) -> None:
        heappush(self._again, (time.monotonic() + pause_s, next(self._numbers), errand))

    def _try_again(self, wanted: Wanted, errand: Errand) -> None:
        """Put off what failed; pauses double."""
        pause_s = min(AGAIN_FIRST_S * 2**errand.tries, AGAIN_MAX_S)
        self._later(Errand(wanted, errand.tries + 1, errand.seen), pause_s)

    def _look(self, wanted: LookUp, errand: Errand) -> None:
        """Look for Keys and submit those that are there; trees only once they were the same twice."""
        found: dict[str, Publication] = {}
        failed: list[str] = []
        for key in wanted.keys:
            try:
                one = sightings.find(self._store, wanted.workflow, key)
            except GaiaError as error:
                log.warning("could not look a Key up", extra={"workflow": wanted.workflow, "cause": error.message})
                failed.append(key)
            else:
                if one is not None:
                    found[key] = one
        known = {one.key: one for one in wanted.known}
        news = {key: one for key, one in found.items() if sightings.differs(one, known.get(key))}
        unsure = {key: one for key, one in news.items() if is_tree(key) and errand.seen.get(key) != one}
        sure = tuple(one for key, one in news.items() if key not in unsure)
        try:
            if sure:
                self._submit(Arrive(wanted.workflow, sure, instead_of=tuple(known.get(one.key) for one in sure)))
        except GaiaError as error:
            log.warning("could not submit what was found", extra={"workflow": wanted.workflow, "cause": error.message})
            failed += [one.key for one in sure]
        if errand.tries + 1 < LOOKS_MAX:
            if unsure:
                self._later(Errand(_part(wanted, unsure), errand.tries + 1, unsure), CONFIRM_S)
            if failed:
                self._try_again(_part(wanted, failed), errand)

    def _delete(self, wanted: DeleteData, errand: Errand) -> None:
        """Delete every version of a workflow's files and manifests, however often that has to be begun."""
        try:
            for prefix in (f"{wanted.workflow}/", f"{INTERNAL_PREFIX}manifests/{wanted.workflow}/{wanted.uid}/"):
                self._delete_under(prefix)
            self._submit(DataGone(wanted.uid))
        except GaiaError as error:
            log.warning("could not delete files", extra={"workflow": wanted.workflow, "cause": error.message})
            self._try_again(wanted, errand)

    def _delete_under(self, prefix: str) -> None:
        """Delete current versions until none is left; each uncovers the one before it."""
        while listed := self._store.list(None, prefix, DELETED_AT_ONCE_MAX):
            for one in listed:
                self._store.delete_version(None, one.path, one.version)


def _part(wanted: LookUp, keys: Collection[str]) -> LookUp:
    """Return what is left to look for."""
    return LookUp(wanted.workflow, tuple(keys), tuple(one for one in wanted.known if one.key in keys))
