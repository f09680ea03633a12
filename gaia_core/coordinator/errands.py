"""What the machine wants of the store, done in a thread of its own, so that the machine never waits for it.

Keys are looked for, files of deleted workflows are deleted; what could not be done is tried again.
"""

import logging
import queue
import threading
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
from gaia_core.machine.requests import Arrive, DataGone, MayWrite, Request
from gaia_core.ports import Store
from gaia_core.workflow.keys import LOGS_PREFIX, MANIFESTS_PREFIX, is_tree
from gaia_core.workflow.model import Publication

log = logging.getLogger(__name__)

AGAIN_FIRST_S: Final = 1.0
"""Pause before something is tried again; it doubles."""

AGAIN_MAX_S: Final = 300.0

DOUBLINGS_MAX: Final = 9
"""What is tried for months must not make a number that no float holds."""

LOOKS_MAX: Final = 12
"""About half an hour; a Key that the store refuses for good is not asked for for ever."""

CONFIRM_S: Final = 1.0
"""A tree counts once it was the same twice, so long apart: somebody may still be writing it."""

DELETED_AT_ONCE_MAX: Final = 1_000
"""So many the S3 protocol takes in one request."""

ANSWER_S: Final = 60.0

Wanted: TypeAlias = LookUp | DeleteData


@dataclass(slots=True)
class Errand:
    """Something to do, and how often it was tried.

    Attributes:
        seen: trees as the look before found them.
        is_quiet: nobody can write any more what is to be deleted.
    """

    wanted: Wanted
    tries: int = 0
    seen: Mapping[str, Publication] = field(default_factory=dict)
    is_quiet: bool = False


class Errands:
    """One thread that does what is asked for."""

    def __init__(self, store: Store, submit: Callable[[Request], "Future[Any]"]) -> None:
        self._store = store
        self._submit = submit
        self._waiting: queue.SimpleQueue[Errand | None] = queue.SimpleQueue()
        self._again: list[tuple[float, int, Errand]] = []
        self._numbers = count()
        self._stopping = threading.Event()

    def ask(self, wanted: Wanted) -> None:
        """Queue something to do."""
        self._waiting.put(Errand(wanted))

    def run(self) -> None:
        """Do what is asked for, until `stop`."""
        while not self._stopping.is_set() and (errand := self._next()) is not None:
            if isinstance(errand.wanted, LookUp):
                self._look(errand.wanted, errand)
            else:
                self._delete(errand.wanted, errand)

    def stop(self) -> None:
        """Make `run` return soon; what is not done is asked for again by the next leader."""
        self._stopping.set()
        self._waiting.put(None)

    def _next(self) -> Errand | None:
        """Wait for what is to be done next, None at the end; what is due again comes before what is new."""
        wait_s = self._again[0][0] - time.monotonic() if self._again else None
        if wait_s is None or wait_s > 0:
            try:
                return self._waiting.get(timeout=wait_s)
            except queue.Empty:
                pass
        return heappop(self._again)[2]

    def _later(self, errand: Errand, pause_s: float) -> None:
        heappush(self._again, (time.monotonic() + pause_s, next(self._numbers), errand))

    def _try_again(self, wanted: Wanted, errand: Errand) -> None:
        """Put off what failed; pauses double."""
        pause_s = min(AGAIN_FIRST_S * 2 ** min(errand.tries, DOUBLINGS_MAX), AGAIN_MAX_S)
        self._later(Errand(wanted, errand.tries + 1, errand.seen), pause_s)

    def _look(self, wanted: LookUp, errand: Errand) -> None:
        """Look for Keys and submit those that are there; trees only once they were the same twice."""
        seen = sightings.look(self._store, wanted.workflow, wanted.keys, self._stopping.is_set)
        failed = [*seen.failed, *seen.left]
        if seen.failed:
            details = {"workflow": wanted.workflow, "keys": len(failed), "cause": seen.cause}
            log.warning("could not look Keys up; trying again", extra=details)
        known = {one.key: one for one in wanted.known}
        news = {key: one for key, one in seen.found.items() if sightings.differs(one, known.get(key))}
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
        """Delete a portion of the versions of a workflow's files and manifests; others have their turn in between.

        What attempts of it still write may come behind our back: once they have ended all is looked through again.
        What is deleted was chosen before the question that only a leader answers: behind a deposed one's back the name
        may be free by then, and somebody else's files lie there.
        """

        def may_write() -> bool:
            return bool(self._submit(MayWrite(wanted.uid)).result(ANSWER_S))

        try:
            is_quiet = errand.is_quiet or not may_write()
            own = f"{wanted.workflow}/{wanted.uid}/"
            places = (f"{wanted.workflow}/", f"{MANIFESTS_PREFIX}{own}", f"{LOGS_PREFIX}{own}")
            if any(self._store.delete_all(None, place, DELETED_AT_ONCE_MAX, may_write) for place in places):
                self._waiting.put(Errand(wanted, is_quiet=is_quiet))
            elif is_quiet:
                self._submit(DataGone(wanted.uid))
            else:
                self._try_again(wanted, errand)
        except (GaiaError, TimeoutError) as error:
            log.warning("could not delete files", extra={"workflow": wanted.workflow, "cause": str(error)})
            self._try_again(wanted, errand)


def _part(wanted: LookUp, keys: Collection[str]) -> LookUp:
    """Return what is left to look for."""
    return LookUp(wanted.workflow, tuple(keys), tuple(one for one in wanted.known if one.key in keys))
