"""Looks at the store now and then for Keys that come from outside: new ones arrive, changed ones arrive anew.

The machine never waits for it. What it costs is bounded: so many Keys of a workflow a round, one LIST for Keys of one
folder, one request at a time, and at most half of the time.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from gaia_core.coordinator.sightings import differs, look
from gaia_core.errors import GaiaError
from gaia_core.machine.requests import Arrive, GetOutside, ListOutside, OutsideKeys, Request
from gaia_core.ports import Store
from gaia_core.workflow.keys import is_tree
from gaia_core.workflow.model import Publication

log = logging.getLogger(__name__)

PAGE_KEYS: Final = 1_000
KEYS_PER_ROUND_MAX: Final = 10_000
"""Of one workflow; the next round goes on with those after them."""

ANSWER_S: Final = 60.0

Seen: TypeAlias = tuple[str, Publication | None]
"""A Key from outside, and what is known of it."""


@dataclass(slots=True)
class Rounds:
    """How far the rounds of one workflow are.

    Attributes:
        start: place of the Key that the next round begins with.
        trees: as they were found the last time, in the passage through all Keys that is under way.
        trees_before: the same in the passage before.
        is_troubled: the store did not answer for some Keys of the last round.
    """

    start: int = 0
    trees: dict[str, Publication] = field(default_factory=dict)
    trees_before: dict[str, Publication] = field(default_factory=dict)
    is_troubled: bool = False

    def begin_anew(self) -> None:
        """Begin with the first Key again."""
        self.start = 0
        self.trees, self.trees_before = {}, self.trees

    def counts(self, found: Publication, known: Publication | None) -> bool:
        """Tell whether what was found is news; a tree has to be as the last time, or it may still be written."""
        if is_tree(found.key):
            before = self.trees.get(found.key, self.trees_before.get(found.key))
            self.trees[found.key] = found
            if found != before:
                return False
        return differs(found, known)


class Poller:
    """One thread that looks every few seconds.

    Args:
        store: where to look.
        submit: takes requests to the coordinator.
        every_s: seconds between rounds.
        expire_changed: a changed file makes its readers run again; otherwise only new ones are noticed.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        store: Store,
        submit: Callable[[Request], "Future[Any]"],
        every_s: float,
        *,
        expire_changed: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._submit = submit
        self._every_s = every_s
        self._expire_changed = expire_changed
        self._clock = clock
        self._stopping = threading.Event()
        self._rounds: dict[int, Rounds] = {}

    def run(self) -> None:
        """Look at all workflows, round by round, until `stop`; between rounds lies as much time as they take."""
        pause_s = self._every_s
        while not self._stopping.wait(pause_s):
            began_s = self._clock()
            try:
                self.look()
            except (GaiaError, TimeoutError) as error:
                log.warning("could not look for files from outside", extra={"cause": str(error) or "no answer"})
            pause_s = max(self._every_s, self._clock() - began_s)

    def stop(self) -> None:
        """Make `run` return."""
        self._stopping.set()

    def look(self) -> None:
        """Look once at every workflow that reads Keys from outside.

        Raises:
            GaiaError: the coordinator takes no requests.
            TimeoutError: it does not answer.
        """
        uids = self._ask(ListOutside())
        self._rounds = {uid: self._rounds.get(uid) or Rounds() for uid in uids}
        for uid, rounds in self._rounds.items():
            if not self._stopping.is_set():
                self._look_at(uid, rounds)

    def _look_at(self, uid: int, rounds: Rounds) -> None:
        """Look for the Keys of one workflow whose turn it is, and let what is news arrive."""
        workflow, keys = self._keys(uid, rounds.start)
        if not keys:
            rounds.begin_anew()
            workflow, keys = self._keys(uid, 0)
        wanted = [key for key, known in keys if known is None or self._expire_changed]
        seen = look(self._store, workflow, wanted, self._stopping.is_set, self._clock)
        news = [(found, known) for key, known in keys if (found := seen.found.get(key)) and rounds.counts(found, known)]
        for first in range(0, len(news), PAGE_KEYS):
            part = news[first : first + PAGE_KEYS]
            self._submit(Arrive(workflow, tuple(one for one, _ in part), tuple(known for _, known in part)))
        rounds.start += [key for key, _ in keys].index(seen.left[0]) if seen.left else len(keys)
        if not seen.left and len(keys) < KEYS_PER_ROUND_MAX:
            rounds.begin_anew()
        if seen.failed and not rounds.is_troubled:
            details = {"workflow": workflow, "keys": len(seen.failed), "cause": seen.cause}
            log.warning("could not look for some files from outside; trying again", extra=details)
        rounds.is_troubled = bool(seen.failed)

    def _keys(self, uid: int, start: int) -> tuple[str, list[Seen]]:
        """Return a workflow's name and the Keys of one round, as the coordinator knows them."""
        workflow = ""
        keys: list[Seen] = []
        while (most := min(PAGE_KEYS, KEYS_PER_ROUND_MAX - len(keys))) > 0:
            page: OutsideKeys | None = self._ask(GetOutside(uid, start + len(keys), most))
            if page is None:
                return "", []
            workflow = page.workflow
            keys += page.keys
            if len(page.keys) < most:
                break
        return workflow, keys

    def _ask(self, request: Request) -> Any:
        return self._submit(request).result(ANSWER_S)
