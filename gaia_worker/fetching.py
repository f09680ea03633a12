"""One file from the store into a new local file: hashed on the way, continued where it broke, large ones in ranges.

Ranges of one file are fetched side by side, each written where it belongs, and hashed in order, so that the hash needs
no second reading; what waits for its turn is bounded over all files of a worker. A small file is held as a whole and
written once it is known to be right: of thousands each costs little more than its request. Called by
`gaia_worker.transfer`.
"""

import hashlib
import os
import stat
import threading
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gaia_core.errors import StoreError, Unavailable
from gaia_core.ports import Store
from gaia_core.workflow.keys import Location
from gaia_core.workflow.model import FileVersion
from gaia_worker.retrying import Interrupted, Patience, persist

WHOLE_BYTES: Final = 1024 * 1024
"""Files of up to this size come in one piece, as the store's chunks do."""

RANGE_BYTES: Final = 8 * 1024 * 1024
RANGES_AT_ONCE: Final = 8
"""Ranges of all files that are on their way."""

RANGES_HELD: Final = 16
"""Ranges of all files that are on their way or wait for their turn: the memory that large downloads may take."""

READ_ONLY: Final = 0o555
"""Inputs cannot be changed but may be executed: the store keeps no modes, and an input may well be a program."""

WRITABLE: Final = 0o755

_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class ContentDiffers(StoreError):
    """What the store gives under a version is not what was stored under it."""


@dataclass(frozen=True, slots=True)
class Download:
    """One file to fetch.

    Attributes:
        shared: the program gets it through a read-only mount, so that it may be the very file that others get too.
    """

    file: FileVersion
    source: Location
    target: Path
    read_only: bool
    shared: bool = False

    @property
    def mode(self) -> int:
        """Return the permissions of the file."""
        return READ_ONLY if self.read_only else WRITABLE


class Fetcher:
    """Fetches files of one store; to be closed. Safe to call from several threads."""

    def __init__(self, store: Store) -> None:
        """Fetch from this store; no thread is started before the first large file."""
        self._store = store
        self._threads = ThreadPoolExecutor(RANGES_AT_ONCE, thread_name_prefix="range")
        self._room = threading.BoundedSemaphore(RANGES_HELD)

    def fetch(self, job: Download, stopped: threading.Event) -> None:
        """Fetch one file; the folder it goes to exists, what lies in its place is replaced.

        Raises:
            ObjectMissing: the store no longer has the version.
            ContentDiffers: what it gives is not what was stored, however often it is asked.
            StoreError: the store stayed away.
            Interrupted: `stopped` was set.
        """
        fetch = self._fetch_whole if job.file.size_bytes <= WHOLE_BYTES else self._fetch
        persist(lambda: fetch(job, stopped), stopped)

    def close(self) -> None:
        """End the threads; safe to call twice."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _fetch_whole(self, job: Download, stopped: threading.Event) -> None:
        data = b""
        for chunk in self._store.open(job.source.bucket, job.source.path, job.file.version):
            data = data + chunk if data else chunk
            if stopped.is_set():
                raise Interrupted
            if len(data) > job.file.size_bytes:
                break
        verify(job.file, len(data), hashlib.sha256(data).digest())
        descriptor = _new_file(job.target, job.mode)
        try:
            _write_all(descriptor, data, 0)
            _set_mode(descriptor, job.mode)
        finally:
            os.close(descriptor)

    def _fetch(self, job: Download, stopped: threading.Event) -> None:
        large = job.file.size_bytes > 2 * RANGE_BYTES
        descriptor = _new_file(job.target, job.mode)
        try:
            chunks = self._in_ranges(job, stopped, descriptor) if large else self._stream(job, stopped, descriptor)
            with closing(chunks):
                _check(job.file, chunks)
            _set_mode(descriptor, job.mode)
        finally:
            os.close(descriptor)

    def _stream(
        self, job: Download, stopped: threading.Event, descriptor: int, start: int = 0, size_bytes: int | None = None
    ) -> Generator[bytes, None, None]:
        """Yield a part of the content, once it is written; what is more than the part should have is not.

        A connection that breaks is made anew, and goes on where it broke.
        """
        patience = Patience(stopped)
        source, version = job.source, job.file.version
        end = None if size_bytes is None else start + size_bytes
        most = job.file.size_bytes if end is None else end
        place = start
        has_ended = False
        while not has_ended:
            try:
                left = None if end is None else end - place
                for chunk in self._store.open(source.bucket, source.path, version, place, left):
                    patience.check()
                    patience.progress()
                    if place + len(chunk) <= most:
                        _write_all(descriptor, chunk, place)
                    place += len(chunk)
                    yield chunk
                has_ended = True
            except Unavailable as problem:
                patience.bear(problem)
                has_ended = place == end

    def _in_ranges(self, job: Download, stopped: threading.Event, descriptor: int) -> Generator[bytes, None, None]:
        """Yield the whole content in order, several ranges of it on their way."""
        waiting: deque[Future[list[bytes]]] = deque()
        starts = iter(range(0, job.file.size_bytes, RANGE_BYTES))
        ahead = next(starts, None)
        try:
            while waiting or ahead is not None:
                # Whoever holds ranges waits for none: it makes room by hashing those.
                while ahead is not None and self._room.acquire(blocking=not waiting):
                    waiting.append(self._begin(job, stopped, descriptor, ahead))
                    ahead = next(starts, None)
                try:
                    chunks = waiting[0].result()
                    yield from chunks
                finally:
                    del waiting[0]
                    self._room.release()
        finally:
            for future in waiting:
                future.cancel()
            wait(waiting)
            for _ in waiting:
                self._room.release()

    def _begin(self, job: Download, stopped: threading.Event, descriptor: int, start: int) -> Future[list[bytes]]:
        size_bytes = min(RANGE_BYTES, job.file.size_bytes - start)
        try:
            return self._threads.submit(lambda: list(self._stream(job, stopped, descriptor, start, size_bytes)))
        except BaseException:
            self._room.release()
            raise


def verify(file: FileVersion, size_bytes: int, digest: bytes) -> None:
    """Make sure that what came is what was stored; outside files may have no known hash.

    Raises:
        ContentDiffers: it is not.
    """
    if size_bytes != file.size_bytes:
        raise ContentDiffers(f"{file.key!r} came with {size_bytes} bytes instead of {file.size_bytes}")
    if file.sha256 and digest != file.sha256:
        raise ContentDiffers(f"{file.key!r} came with another content than was stored (sha256 differs)")


def _check(file: FileVersion, chunks: Iterable[bytes]) -> None:
    """Make sure that what comes is what was stored; no more is asked for than the file should have."""
    digest = hashlib.sha256()
    size_bytes = 0
    for chunk in chunks:
        size_bytes += len(chunk)
        if size_bytes > file.size_bytes:
            break
        digest.update(chunk)
    verify(file, size_bytes, digest.digest())


def _write_all(descriptor: int, data: bytes, place: int) -> None:
    """Write all of it at a place in a file, in as many calls as that takes."""
    written = os.pwrite(descriptor, data, place) if data else 0
    while written < len(data):
        written += os.pwrite(descriptor, memoryview(data)[written:], place + written)


def _set_mode(descriptor: int, mode: int) -> None:
    """Give a new file the permissions that it was made with, if the umask took some of them away."""
    if mode != stat.S_IMODE(os.fstat(descriptor).st_mode):
        os.fchmod(descriptor, mode)


def _new_file(target: Path, mode: int) -> int:
    """Open a new file for writing, in the place of whatever an earlier try left."""
    try:
        return os.open(target, _CREATE, mode)
    except FileExistsError:
        target.unlink()
        return os.open(target, _CREATE, mode)
