"""Looks at the store now and then for Keys that come from outside: new ones arrive, changed ones arrive anew.

The machine never waits for it. What it costs is bounded: so many Keys a round, and one LIST for Keys of one folder.
"""

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Any, Final, TypeAlias, TypeVar, cast

from gaia_core.coordinator import sightings
from gaia_core.errors import GaiaError
from gaia_core.machine.requests import Arrive, GetOutside, ListOutside, OutsideKeys, Request
from gaia_core.ports import Store
from gaia_core.workflow.keys import folder_of, is_tree, location
from gaia_core.workflow.model import Publication

log = logging.getLogger(__name__)

PAGE_KEYS: Final = 1_000
KEYS_PER_ROUND_MAX: Final = 10_000
"""Of one workflow; the next round goes on with those after them."""

LISTED_FROM: Final = 4
"""So many Keys of one folder are looked for by one LIST."""

LISTED_EXTRA: Final = 1_000
"""A folder may hold so much else before its Keys are asked for one by one."""

ANSWER_S: Final = 60.0

Tree: TypeAlias = tuple[str, str]
"""Workflow and Key."""

Result = TypeVar("Result")


class Poller:
    """One thread that looks every few seconds.

    Args:
        store: where to look.
        submit: takes requests to the coordinator.
        every_s: seconds between rounds.
        expire_changed: a changed file makes its readers run again; otherwise only new ones are noticed.
    """

    def __init__(
        self, store: Store, submit: Callable[[Request], "Future[Any]"], every_s: float, *, expire_changed: bool
    ) -> None:
        self._store = store
        self._submit = submit
        self._every_s = every_s
        self._expire_changed = expire_changed
        self._stopping = threading.Event()
        self._starts: dict[int, int] = {}
        self._trees: dict[Tree, Publication] = {}

    def run(self) -> None:
        """Look at all workflows, round by round, until `stop`."""
        while not self._stopping.wait(self._every_s):
            try:
                self.look()
            except GaiaError as error:
                log.warning("could not look for files from outside", extra={"cause": error.message})

    def stop(self) -> None:
        """Make `run` return."""
        self._stopping.set()

    def look(self) -> None:
        """Look once at every workflow that reads Keys from outside.

        Raises:
            GaiaError: the coordinator does not answer.
        """
        seen: dict[Tree, Publication] = {}
        starts: dict[int, int] = {}
        for uid in self._ask(ListOutside()):
            for page in self._pages(uid, starts):
                self._look_at(page, seen)
        self._trees, self._starts = seen, starts

    def _ask(self, request: Request) -> Any:
        return self._submit(request).result(ANSWER_S)

    def _pages(self, uid: int, starts: dict[int, int]) -> Iterator[OutsideKeys]:
        """Yield a workflow's Keys, beginning where the round before ended, and note where the next one begins."""
        start = self._starts.get(uid, 0)
        end = start + KEYS_PER_ROUND_MAX
        while start < end and not self._stopping.is_set():
            page = cast(OutsideKeys | None, self._ask(GetOutside(uid, start, PAGE_KEYS)))
            if page is None or not page.keys:
                return
            yield page
            start += PAGE_KEYS
        starts[uid] = start

    def _look_at(self, page: OutsideKeys, seen: dict[Tree, Publication]) -> None:
        """Look for some Keys of one workflow and let what is news arrive."""
        wanted = [(key, known) for key, known in page.keys if known is None or self._expire_changed]
        news: list[tuple[Publication, Publication | None]] = []
        for key, known in (one for one in wanted if is_tree(one[0])):
            found = self._found(page.workflow, key)
            if found is not None:
                seen[page.workflow, key] = found
                if found == self._trees.get((page.workflow, key)) and sightings.differs(found, known):
                    news.append((found, known))
        files = self._files(page.workflow, [key for key, _ in wanted if not is_tree(key)])
        news += [(files[key], known) for key, known in wanted if key in files and sightings.differs(files[key], known)]
        if news:
            self._submit(Arrive(page.workflow, tuple(one for one, _ in news), tuple(known for _, known in news)))

    def _files(self, workflow: str, keys: Iterable[str]) -> dict[str, Publication]:
        """Return what lies under Keys that are files: a LIST for many in one folder, a look at each otherwise."""
        by_folder: dict[str, list[str]] = defaultdict(list)
        for key in keys:
            by_folder[folder_of(key)].append(key)
        found: dict[str, Publication] = {}
        for folder, here in by_folder.items():
            listed = self._listed(workflow, folder, here) if len(here) >= LISTED_FROM else None
            if listed is None:
                listed = {key: one for key in here if (one := self._found(workflow, key)) is not None}
            found |= listed
        return found

    def _found(self, workflow: str, key: str) -> Publication | None:
        return self._in_words(workflow, lambda: sightings.find(self._store, workflow, key))

    def _listed(self, workflow: str, folder: str, keys: list[str]) -> dict[str, Publication] | None:
        """Return those of the Keys that one LIST of their folder shows, or None where it holds too much else."""
        bucket, path = location(workflow, folder)
        most = len(keys) + LISTED_EXTRA
        listed = self._in_words(workflow, lambda: self._store.list(bucket, path, most))
        if listed is None or len(listed) == most:
            return None
        by_path = {one.path: one for one in listed}
        found = {key: by_path.get(location(workflow, key).path) for key in keys}
        return {key: sightings.file(key, one.version, one.size_bytes) for key, one in found.items() if one is not None}

    def _in_words(self, workflow: str, look: Callable[[], Result]) -> Result | None:
        """Return what a look into the store finds, or None where the store fails; the next round looks again."""
        try:
            return look()
        except GaiaError as error:
            log.warning("could not look into the store", extra={"workflow": workflow, "cause": error.message})
            return None
