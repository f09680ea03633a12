"""Collects versions in the store that nobody refers to: what failed, cancelled, lost and superseded attempts left.

A version goes once it is older than a grace and the machine, asked just before, knows nobody who refers to it. What it
said counts only once the journal took another entry of its term: a leader that was deposed without knowing it may know
less than the one that leads now. Beyond that four things stay:

- a current version that no attempt stored, or that lies where no Step writes (any more): people find it at its path;
- the logs of the latest attempts of every Step there is;
- what may be written right now: its Step is running, so the completion that names it may be on its way;
- in data spaces without a workflow all but the history that attempts left: who deletes a workflow and keeps its files
  keeps what lies at their paths, and what people put there is not ours.

A current version that goes makes the one before it current again, if that one stays. Where a workflow was deleted with
its files, what its lost workers upload later goes too. Only the deployment's own bucket is looked at.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from itertools import groupby
from typing import Any, Final, TypeAlias

from gaia_core.errors import GaiaError, ObjectMissing
from gaia_core.machine.requests import (
    Confirm,
    GetArchives,
    GetGone,
    GetReferences,
    GetStepReferences,
    Gone,
    References,
    Request,
)
from gaia_core.ports import Store, StoredVersion
from gaia_core.wire.manifests import decode_manifest
from gaia_core.workflow.keys import (
    INTERNAL_PREFIX,
    LOGS_PREFIX,
    MANIFESTS_PREFIX,
    archive_folder,
    location,
    log_step,
    manifest_step,
)
from gaia_core.workflow.marks import Author, author_of
from gaia_core.workflow.model import FileVersion, Publication

log = logging.getLogger(__name__)

FIRST_S: Final = 60.0
"""Pause before the first sweep of a term, at most: a server that runs for an hour a day sweeps too."""

PAGE_VERSIONS: Final = 500
"""So many are judged by one question to the machine."""

UNFINISHED_MS: Final = 24 * 3600 * 1000
"""No put takes a day, nor does it take one to tell of it."""

MANIFESTS_KEPT: Final = 8
"""Lists of the files of large trees, up to 100,000 each; the versions of one tree mostly come one after the other."""

LOGS_KEPT: Final = 10
"""Of so many attempts of a Step, the latest ones, the logs are kept: nobody looks further back."""

ANSWER_S: Final = 60.0

Object: TypeAlias = list[StoredVersion]
"""All versions of one path, the latest first."""

Place: TypeAlias = tuple[str, str]
"""A path in the own bucket, and a version of it."""


class Sweeper:
    """One thread that looks through the own bucket now and then.

    Args:
        store: what to look through.
        submit: takes requests to the coordinator.
        deployment: by which attempts mark what they store.
        every_s: seconds between sweeps.
        kept_s: how long a version that nobody refers to is kept, at least.
        wall_ms: milliseconds since the epoch, by a clock like the store's.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        store: Store,
        submit: Callable[[Request], "Future[Any]"],
        deployment: str,
        every_s: float,
        kept_s: float,
        wall_ms: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._submit = submit
        self._deployment = deployment
        self._every_s = every_s
        self._kept_ms = int(kept_s * 1000)
        self._wall_ms = wall_ms
        self._clock = clock
        self._stopping = threading.Event()
        self._listed: OrderedDict[Place, frozenset[Place]] = OrderedDict()
        self._gone = Gone({}, {})
        self._wiped_names: frozenset[str] = frozenset()

    def run(self) -> None:
        """Sweep again and again until `stop`."""
        pause_s = min(self._every_s, FIRST_S)
        while not self._stopping.wait(pause_s):
            pause_s = self._every_s
            try:
                collected = self.sweep()
            except (GaiaError, TimeoutError) as error:
                log.warning("could not look for unreferenced versions", extra={"cause": str(error) or "no answer"})
            else:
                if collected:
                    log.info("deleted unreferenced versions", extra={"count": collected})

    def stop(self) -> None:
        """Make `run` return soon."""
        self._stopping.set()

    def sweep(self) -> int:
        """Look through the own bucket once; return how many versions were deleted.

        Half of the time is spent waiting: others need the store, too.

        Raises:
            GaiaError: the store does not answer, or the coordinator takes no requests.
            TimeoutError: the coordinator does not answer.
        """
        now_ms = self._wall_ms()
        self._store.clear_unfinished(now_ms - max(self._kept_ms, UNFINISHED_MS))
        collected = 0
        for page in _pages(self._store.list_versions(None, "")):
            began_s = self._clock()
            self._gone = self._ask(GetGone())
            self._wiped_names = frozenset(self._gone.wiped.values())
            spaces = groupby(page, lambda one: _space(one[0].path))
            going = [
                version
                for space, objects in spaces
                for version in self._unreferenced(space, list(objects), now_ms - self._kept_ms)
            ]
            if going:
                self._ask(Confirm())
            for version in going:
                self._store.delete_version(None, version.path, version.version)
            collected += len(going)
            if self._stopping.wait(self._clock() - began_s):
                break
        self._listed.clear()
        return collected

    def _unreferenced(self, space: str, objects: list[Object], before_ms: int) -> Iterator[StoredVersion]:
        """Yield the versions of some objects of one space that are to go."""
        old = [one for one in objects if any(version.modified_ms < before_ms for version in one)]
        if not old or space in self._gone.doomed.values():
            return
        if space == MANIFESTS_PREFIX:
            yield from self._manifests(old, before_ms)
        elif space == LOGS_PREFIX:
            yield from self._logs(old, before_ms)
        elif space == INTERNAL_PREFIX + self._deployment + "/":
            yield from self._archives(old, min(before_ms, self._wall_ms() - UNFINISHED_MS))
        elif not space.startswith(INTERNAL_PREFIX):
            yield from self._files(space, old, before_ms)

    def _files(self, workflow: str, objects: list[Object], before_ms: int) -> Iterator[StoredVersion]:
        """Yield the versions to go of objects in one data space."""
        keys = {one[0].path: one[0].path.removeprefix(f"{workflow}/") for one in objects}
        known: References | None = self._ask(GetReferences(workflow, tuple(keys.values())))
        try:
            referenced = self._referenced(workflow, known.publications if known is not None else ())
        except ObjectMissing as error:
            log.warning("cannot tell which versions count", extra={"workflow": workflow, "cause": error.message})
            return
        for versions in objects:
            key = keys[versions[0].path]
            if known is not None and key in known.busy:
                continue
            is_written = known is not None and key in known.written
            on_top = False
            for version in versions:
                on_top = on_top or version.is_current
                stays = version.modified_ms >= before_ms or (version.path, version.version) in referenced
                if stays or not self._may_go(workflow, version, known, on_top=on_top, is_written=is_written):
                    on_top = False
                else:
                    yield version

    def _may_go(
        self, workflow: str, version: StoredVersion, known: References | None, *, on_top: bool, is_written: bool
    ) -> bool:
        """Tell whether an old version that nobody refers to may go.

        Args:
            workflow: in whose data space it lies.
            version: the version.
            known: what refers to the data space; None where there is no workflow.
            on_top: it is what a person finds at its path, or will be once later ones are gone.
            is_written: a Step writes its Key.
        """
        if not on_top:
            return known is not None or self._author(version) is not None
        if not is_written and workflow not in self._wiped_names:
            return False
        author = self._author(version)
        if author is None:
            return False
        return author.uid in self._gone.wiped or (is_written and known is not None and author.uid == known.uid)

    def _manifests(self, objects: list[Object], before_ms: int) -> Iterator[StoredVersion]:
        """Yield the versions to go of manifests: those of no workflow, and those of no accepted attempt."""
        steps = {one[0].path: step for one in objects if (step := manifest_step(one[0].path)) is not None}
        known = self._known(steps.values())
        counting = {
            (manifest.key, manifest.version)
            for references in known.values()
            if references is not None
            for publication in references.publications
            if (manifest := publication.manifest) is not None
        }
        for versions in objects:
            uid, index, attempt = steps.get(versions[0].path, (0, 0, 0))
            references = known.get(uid)
            is_running = references is not None and references.running.get(index) == attempt
            if is_running or uid in self._gone.doomed:
                continue
            for version in versions:
                is_old = version.modified_ms < before_ms
                if is_old and (version.path, version.version) not in counting and self._author(version) is not None:
                    yield version

    def _logs(self, objects: list[Object], before_ms: int) -> Iterator[StoredVersion]:
        """Yield the versions to go of logs: all but those of the latest attempts of Steps that there are."""
        steps = {one[0].path: step for one in objects if (step := log_step(one[0].path)) is not None}
        known = self._known(steps.values())
        for versions in objects:
            uid, index, attempt = steps.get(versions[0].path, (0, 0, 0))
            references = known.get(uid)
            latest = references.attempts.get(index) if references is not None else None
            stays = latest is not None and attempt > latest - LOGS_KEPT
            for version in versions if uid not in self._gone.doomed else ():
                is_old = version.modified_ms < before_ms
                if is_old and not (stays and version.is_current) and self._author(version) is not None:
                    yield version

    def _known(self, steps: Iterable[tuple[int, int, int]]) -> dict[int, References | None]:
        """Return, by uid, what is known of some Steps, each given as (uid, Step, attempt)."""
        by_uid: dict[int, set[int]] = {}
        for uid, index, _ in steps:
            by_uid.setdefault(uid, set()).add(index)
        return {uid: self._ask(GetStepReferences(uid, tuple(indexes))) for uid, indexes in by_uid.items()}

    def _archives(self, objects: list[Object], before_ms: int) -> Iterator[StoredVersion]:
        """Yield the versions to go of archived workflows; one that was just written is about to count."""
        folder = archive_folder(self._deployment)
        uids = {one[0].path: int(uid) for one in objects if (uid := one[0].path.removeprefix(folder)).isdigit()}
        known: dict[int, FileVersion] = self._ask(GetArchives(tuple(uids.values())))
        for versions in objects:
            if versions[0].path in uids:
                file = known.get(uids[versions[0].path])
                counting = file.version if file is not None else None
                yield from (one for one in versions if one.version != counting and one.modified_ms < before_ms)

    def _author(self, version: StoredVersion) -> Author | None:
        """Return the attempt that stored a version, or None: a person did, or another deployment."""
        return author_of(self._deployment, self._store.mark_of(None, version.path, version.version))

    def _referenced(self, workflow: str, publications: Iterable[Publication]) -> "_Union":
        """Return all that publications of a workflow name in the own bucket."""
        listed = []
        inline: set[Place] = set()
        for publication in publications:
            inline.update(_places(workflow, publication.files))
            if publication.manifest is not None:
                listed.append(self._listed_by(workflow, publication.manifest))
        return _Union([inline, *listed])

    def _listed_by(self, workflow: str, manifest: FileVersion) -> frozenset[Place]:
        """Return what a manifest names; it is kept for a while."""
        place = (manifest.key, manifest.version)
        found = self._listed.pop(place, None)
        if found is None:
            data = b"".join(self._store.open(None, *place))
            found = frozenset(_places(workflow, decode_manifest(data)))
        self._listed[place] = found
        if len(self._listed) > MANIFESTS_KEPT:
            self._listed.popitem(last=False)
        return found

    def _ask(self, request: Request) -> Any:
        return self._submit(request).result(ANSWER_S)


class _Union:
    """Several sets that are looked into as one, without being copied."""

    def __init__(self, parts: Sequence["set[Place] | frozenset[Place]"]) -> None:
        self._parts = parts

    def __contains__(self, place: Place) -> bool:
        return any(place in part for part in self._parts)


def _places(workflow: str, files: Iterable[FileVersion]) -> Iterator[Place]:
    for file in files:
        bucket, path = location(workflow, file.key)
        if bucket is None:
            yield path, file.version


def _space(path: str) -> str:
    """Return the data space that a path lies in, or the part of Gaia's own objects."""
    first, slash, rest = path.partition("/")
    return f"{first}/{rest.partition('/')[0]}/" if first + slash == INTERNAL_PREFIX else first


def _pages(versions: Iterator[StoredVersion]) -> Iterator[list[Object]]:
    """Yield whole objects, so many at a time that they have about `PAGE_VERSIONS` versions."""
    page: list[Object] = []
    size = 0
    for _, found in groupby(versions, lambda one: one.path):
        page.append(list(found))
        size += len(page[-1])
        if size >= PAGE_VERSIONS:
            yield page
            page, size = [], 0
    if page:
        yield page
