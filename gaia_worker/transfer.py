"""Files between the store and the scratch folder: several at a time, counted and hashed on the way, tried again.

Knows files, versions and places; what they are for is the business of `gaia_worker.attempt`.
"""

import hashlib
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from gaia_core.errors import ObjectMissing, StoreError, Unavailable
from gaia_core.ports import Store
from gaia_core.wire.manifests import decode_manifest, encode_manifest
from gaia_core.workflow.keys import Location, location
from gaia_core.workflow.model import FileVersion, Publication

STREAMS: Final = 8
"""Files that move at the same time in one worker: enough to hide a store's latency, few enough for two cores."""

TRIES: Final = 3
"""After that the coordinator decides; it backs off longer than a slot should be held for."""

PAUSE_S: Final = 0.5

READ_ONLY: Final = 0o555
"""Inputs cannot be changed but may be executed: the store keeps no modes, and an input may well be a program."""

WRITABLE: Final = 0o755

Item = TypeVar("Item")
Result = TypeVar("Result")


class Interrupted(Exception):
    """The attempt was stopped while files were moving."""


class ContentDiffers(StoreError):
    """What the store gives under a version is not what was stored under it."""


@dataclass(frozen=True, slots=True)
class Download:
    """One file to fetch."""

    file: FileVersion
    source: Location
    target: Path
    read_only: bool


@dataclass(frozen=True, slots=True)
class Upload:
    """One file to store under a Key.

    Attributes:
        mark: tells which attempt stored it.
    """

    key: str
    source: Path
    target: Location
    mark: str


class Transfers:
    """Moves files for all attempts of a worker; to be closed."""

    def __init__(self, store: Store) -> None:
        """Move between this store and local files."""
        self._store = store
        self._pool = ThreadPoolExecutor(STREAMS, thread_name_prefix="transfer")

    def download(self, jobs: Sequence[Download], stopped: threading.Event) -> None:
        """Fetch every file; the folders they go to exist.

        Raises:
            ObjectMissing: the store no longer has a version.
            ContentDiffers: what it gives is not what was stored, however often it is asked.
            StoreError: the store stayed away.
            Interrupted: `stopped` was set.
        """
        self._each(lambda job: self._retried(lambda: self._fetch(job, stopped), stopped), jobs)

    def upload(self, jobs: Sequence[Upload], stopped: threading.Event) -> list[FileVersion]:
        """Store every file as a new version; return the versions in the order of the jobs.

        Raises:
            StoreError: the store refused or stayed away.
            Interrupted: `stopped` was set.
        """
        return self._each(lambda job: self._retried(lambda: self._put(job), stopped), jobs)

    def write_manifest(
        self, place: Location, files: Iterable[FileVersion], mark: str, stopped: threading.Event
    ) -> FileVersion:
        """Store the list of a tree's files; raises as `upload`."""
        data = encode_manifest(files)
        stored = self._retried(lambda: self._store.put_bytes(place.bucket, place.path, data, mark), stopped)
        return FileVersion(place.path, stored.version, len(data), hashlib.sha256(data).digest())

    def files_of(self, publication: Publication, stopped: threading.Event) -> tuple[FileVersion, ...]:
        """Return the files of a publication, from its manifest where it has one; raises as `download`."""
        manifest = publication.manifest
        if manifest is None:
            return publication.files

        def read() -> bytes:
            data = b"".join(self._store.open(None, manifest.key, manifest.version))
            _verify(manifest, len(data), hashlib.sha256(data).digest())
            return data

        return decode_manifest(self._retried(read, stopped))

    def close(self) -> None:
        """End the threads; safe to call twice."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _each(self, work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Do the work for every item, several at a time; the first failure ends it."""
        if len(items) <= 1:
            return [work(item) for item in items]
        futures = [self._pool.submit(work, item) for item in items]
        try:
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()
            wait(futures)  # nobody may write any more when the caller clears the folder away

    def _retried(self, work: Callable[[], Result], stopped: threading.Event) -> Result:
        for tries_left in range(TRIES - 1, -1, -1):
            if stopped.is_set():
                raise Interrupted
            try:
                return work()
            except ObjectMissing:
                raise
            except Unavailable:
                if not tries_left:
                    raise
            stopped.wait(PAUSE_S)
        raise AssertionError("unreachable")

    def _fetch(self, job: Download, stopped: threading.Event) -> None:
        digest = hashlib.sha256()
        size_bytes = 0
        job.target.unlink(missing_ok=True)
        with job.target.open("xb") as out:
            for chunk in self._store.open(job.source.bucket, job.source.path, job.file.version):
                if stopped.is_set():
                    raise Interrupted
                digest.update(chunk)
                size_bytes += len(chunk)
                out.write(chunk)
        _verify(job.file, size_bytes, digest.digest())
        job.target.chmod(READ_ONLY if job.read_only else WRITABLE)

    def _put(self, job: Upload) -> FileVersion:
        with job.source.open("rb") as source:
            digest = hashlib.file_digest(source, "sha256").digest()
        stored = self._store.put_file(job.target.bucket, job.target.path, job.source, job.mark)
        return FileVersion(job.key, stored.version, stored.size_bytes, digest)


def upload_of(workflow: str, key: str, source: Path, mark: str) -> Upload:
    """Return the job that stores a local file under a Key of a workflow."""
    return Upload(key, source, location(workflow, key), mark)


def _verify(file: FileVersion, size_bytes: int, digest: bytes) -> None:
    """Make sure that what came is what was stored; outside files may have no known hash."""
    if size_bytes != file.size_bytes:
        raise ContentDiffers(f"{file.key!r} came with {size_bytes} bytes instead of {file.size_bytes}")
    if file.sha256 and digest != file.sha256:
        raise ContentDiffers(f"{file.key!r} came with another content than was stored (sha256 differs)")
