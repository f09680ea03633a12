"""Files between the store and the scratch folder: several at a time, counted and hashed on the way, tried again.

Knows files, versions and places; what they are for is the business of `gaia_worker.attempt`. Memory is bounded: a small
file is held as a whole, of large ones some pieces (`gaia_worker.fetching`, and the store's own parts).
"""

import hashlib
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from gaia_core.ports import Store
from gaia_core.wire.manifests import decode_manifest, encode_manifest
from gaia_core.workflow.keys import Location, location
from gaia_core.workflow.model import FailureClass, FileVersion, Publication
from gaia_worker.cache import InputCache
from gaia_worker.failing import AttemptFailed
from gaia_worker.fetching import ContentDiffers, Download, Fetcher, verify
from gaia_worker.opening import open_file
from gaia_worker.retrying import Interrupted, persist

__all__ = ["STREAMS", "ContentDiffers", "Download", "Interrupted", "Transfers", "Upload", "upload_of"]

STREAMS: Final = 8
"""Files of one attempt that move at the same time: enough to hide a store's latency, few enough for two cores."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Upload:
    """One file to store under a Key.

    Attributes:
        source: where it lies.
        inside: folder above it; below this no link is followed.
        mark: tells which attempt stored it.
    """

    key: str
    source: Path
    inside: Path
    target: Location
    mark: str


class Transfers:
    """Moves files for all attempts of a worker; to be closed."""

    def __init__(self, store: Store, cache: InputCache | None = None) -> None:
        """Move between this store and local files; what the cache holds is not fetched."""
        self._store = store
        self._cache = cache
        self._fetcher = Fetcher(store)
        # Whoever asks takes part, so an attempt moves on however many files of others wait.
        self._pool = ThreadPoolExecutor(STREAMS - 1, thread_name_prefix="transfer")

    def download(self, jobs: Sequence[Download], stopped: threading.Event) -> None:
        """Fetch every file; the folders they go to exist.

        Raises:
            AttemptFailed: ENGINE, the disk has no room for them.
            ObjectMissing: the store no longer has a version.
            ContentDiffers: what it gives is not what was stored, however often it is asked.
            StoreError: the store stayed away.
            Interrupted: `stopped` was set.
        """
        if jobs:
            self._make_room(jobs)
        self._each(lambda job: self._bring(job, stopped), jobs)

    def upload(self, jobs: Sequence[Upload], stopped: threading.Event) -> list[FileVersion]:
        """Store every file as a new version; return the versions in the order of the jobs.

        Raises:
            StoreError: the store refused or stayed away.
            Interrupted: `stopped` was set.
            OSError: something that is no file lies in a file's place.
        """
        return self._each(lambda job: persist(lambda: self._put(job, stopped), stopped), jobs)

    def write_manifest(
        self, place: Location, files: Iterable[FileVersion], mark: str, stopped: threading.Event
    ) -> FileVersion:
        """Store the list of a tree's files; raises as `upload`."""
        data = encode_manifest(files)
        stored = persist(lambda: self._store.put_bytes(place.bucket, place.path, data, mark), stopped)
        return FileVersion(place.path, stored.version, len(data), hashlib.sha256(data).digest())

    def files_of(self, publication: Publication, stopped: threading.Event) -> tuple[FileVersion, ...]:
        """Return the files of a publication, from its manifest where it has one; raises as `download`."""
        manifest = publication.manifest
        if manifest is None:
            return publication.files

        def read() -> bytes:
            data = b"".join(self._store.open(None, manifest.key, manifest.version))
            verify(manifest, len(data), hashlib.sha256(data).digest())
            return data

        return decode_manifest(persist(read, stopped))

    def close(self) -> None:
        """End the threads; safe to call twice."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._fetcher.close()

    def _each(self, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Do the work for every item, several at a time; the first failure ends it."""
        results: dict[int, Result] = {}
        todo: Iterator[tuple[int, Item]] = iter(enumerate(items))
        lock = threading.Lock()

        def take() -> tuple[int, Item] | None:
            with lock:
                return next(todo, None)

        def go_on() -> None:
            nonlocal todo
            try:
                while (taken := take()) is not None:
                    results[taken[0]] = work(taken[1])
            except BaseException:
                with lock:
                    todo = iter(())
                raise

        helpers = [self._pool.submit(go_on) for _ in range(min(STREAMS, len(items)) - 1)]
        try:
            go_on()
        finally:
            for helper in helpers:
                helper.cancel()
            wait(helpers)  # nobody may write any more when the caller clears the folder away
        for helper in helpers:
            if not helper.cancelled():
                helper.result()
        return [results[number] for number in range(len(items))]

    def _make_room(self, jobs: Sequence[Download]) -> None:
        """See that the disk has room for the files that will come."""
        size_bytes = sum(job.file.size_bytes for job in jobs)
        folder = jobs[0].target.parent
        if size_bytes <= shutil.disk_usage(folder).free:
            return
        if self._cache is not None:
            shared = (job.file for job in jobs if job.shared and job.file.sha256)
            size_bytes -= sum(file.size_bytes for file in shared if self._cache.holds(file.sha256))
            self._cache.give_back(max(size_bytes - shutil.disk_usage(folder).free, 0))
        free_bytes = shutil.disk_usage(folder).free
        if size_bytes > free_bytes:
            message = f"the inputs have {size_bytes} bytes, and the worker's disk at {folder} has room for {free_bytes}"
            raise AttemptFailed(FailureClass.ENGINE, message)

    def _bring(self, job: Download, stopped: threading.Event) -> None:
        """Put one file in its place."""
        if stopped.is_set():
            raise Interrupted

        def fetch() -> None:
            self._fetcher.fetch(job, stopped)

        if self._cache is None or not job.file.sha256:
            fetch()
        else:
            self._cache.provide(
                job.file.sha256,
                job.target,
                fetch,
                stopped,
                size_bytes=job.file.size_bytes,
                mode=job.mode,
                shared=job.shared,
            )

    def _put(self, job: Upload, stopped: threading.Event) -> FileVersion:
        def sure() -> None:
            if stopped.is_set():
                raise Interrupted

        with open_file(job.inside, job.source.relative_to(job.inside).as_posix()) as source:
            stored = self._store.put_open(job.target.bucket, job.target.path, source, job.mark, sure)
            if self._cache is not None:
                self._cache.adopt(source.fileno(), stored.sha256)
        return FileVersion(job.key, stored.version, stored.size_bytes, stored.sha256)


def upload_of(key: str, source: Path, workflow: str, mark: str, inside: Path) -> Upload:
    """Return the job that stores a local file, inside an attempt's folder, under a Key of a workflow."""
    return Upload(key, source, inside, location(workflow, key), mark)
