"""Large files go up in parts, several at a time, each tried again by itself; called by the S3 store alone.

A file is read once, from its beginning to its end: the parts are hashed together on the way. All uploads of a store
share threads and room, so memory is bounded by PARTS_AT_ONCE, whatever is stored.
"""

import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial
from typing import BinaryIO, Final, NamedTuple, TypeVar

from minio import Minio
from minio.datatypes import Part
from minio.error import MinioException, S3Error
from urllib3.exceptions import HTTPError

from gaia_core.errors import StoreError

PART_BYTES: Final = 16 * 1024 * 1024

PARTS_MAX: Final = 10_000
"""Of one object. Source: Amazon S3, multipart upload limits."""

PARTS_AT_ONCE: Final = 8
"""Parts of all uploads that are on their way; one more of each upload waits, read and hashed."""

PART_TRIES: Final = 6
PART_PAUSE_S: Final = 0.3
"""Doubles with each try, up to half of it random: a part is given up after some ten seconds of a store that fails."""

_FINAL: Final = frozenset(
    {"EntityTooLarge", "InvalidAccessKeyId", "NoSuchBucket", "NoSuchUpload", "SignatureDoesNotMatch"}
)
"""Answers that another try cannot change. AccessDenied may pass: see `gaia_core.backends.s3`, UPLOAD_TRIES."""

Result = TypeVar("Result")


class Uploaded(NamedTuple):
    """What became of an upload: the version as the server names it, and the content's sha256."""

    version: str | None
    sha256: bytes


class PartUploads:
    """The uploads in parts of one store. No thread is started before the first; to be closed."""

    def __init__(self, client: Minio) -> None:
        self._client = client
        self._room = threading.BoundedSemaphore(PARTS_AT_ONCE)
        self._threads = ThreadPoolExecutor(PARTS_AT_ONCE, thread_name_prefix="parts")

    def upload(
        self,
        bucket: str,
        path: str,
        source: BinaryIO,
        size_bytes: int,
        headers: dict[str, str],
        sure: Callable[[], object],
    ) -> Uploaded:
        """Store a file; the server shows nothing of it before all of it is there.

        Args:
            bucket: it is there.
            path: where.
            source: read from its beginning; has size_bytes.
            size_bytes: more than one part.
            headers: metadata of the object.
            sure: called before each part, and between tries, from several threads; may raise.

        Raises:
            StoreError: the file became shorter.
            Exception: as the client library's calls; the parts that had arrived are dropped then.
        """
        # The client has no public name for the requests of an upload in parts.
        identity = self._client._create_multipart_upload(bucket, path, {**headers})  # noqa: SLF001
        place = _Place(bucket, path, identity)
        try:
            parts, sha256 = self._send(place, _pieces(source, size_bytes), sure)
            sure()
            complete = partial(self._client._complete_multipart_upload, bucket, path, identity, parts)  # noqa: SLF001
            done = _persist(complete, sure)
        except BaseException:
            with suppress(MinioException, HTTPError, ValueError):  # what stays is cleared as unfinished later
                self._client._abort_multipart_upload(bucket, path, identity)  # noqa: SLF001
            raise
        return Uploaded(done.version_id, sha256)

    def close(self) -> None:
        """End the threads; safe to call twice."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _send(self, place: "_Place", pieces: Iterator[bytes], sure: Callable[[], object]) -> tuple[list[Part], bytes]:
        """Send all parts; return them with the sha256 of what they hold together."""
        digest = hashlib.sha256()
        sent: list[Future[str]] = []
        try:
            for piece in pieces:
                sure()
                sent.append(self._begin(place, len(sent) + 1, piece, sure))
                digest.update(piece)  # while it is on its way
                for future in sent:
                    if future.done():
                        future.result()  # a part that failed for good ends it now
            return [Part(number, future.result()) for number, future in enumerate(sent, 1)], digest.digest()
        finally:
            for future in sent:
                future.cancel()
            wait(sent)

    def _begin(self, place: "_Place", number: int, piece: bytes, sure: Callable[[], object]) -> Future[str]:
        """Have a part sent as soon as there is room for it."""
        self._room.acquire()
        try:
            future = self._threads.submit(self._part, place, number, piece, sure)
        except BaseException:
            self._room.release()
            raise
        future.add_done_callback(lambda _: self._room.release())
        return future

    def _part(self, place: "_Place", number: int, piece: bytes, sure: Callable[[], object]) -> str:
        """Send one part; return its ETag."""
        send = partial(self._client._upload_part, *place[:2], piece, None, place.identity, number)  # noqa: SLF001
        return _persist(send, sure)


class _Place(NamedTuple):
    """Where the parts of an upload go."""

    bucket: str
    path: str
    identity: str


def _persist(request: Callable[[], Result], sure: Callable[[], object]) -> Result:
    """Make a request, again and again if it fails for a reason that may pass; the last failure is raised."""
    for attempt in range(PART_TRIES):
        try:
            return request()
        except (MinioException, HTTPError) as error:
            if attempt == PART_TRIES - 1 or (isinstance(error, S3Error) and error.code in _FINAL):
                raise
        sure()
        time.sleep(PART_PAUSE_S * 2**attempt * random.uniform(0.5, 1))  # noqa: S311 - no secret
        sure()
    raise AssertionError("the last try returns or raises")


def _part_bytes(size_bytes: int) -> int:
    """Return the size of parts: ours, or a larger one for what so many parts of ours cannot hold."""
    return max(PART_BYTES, -(-size_bytes // PARTS_MAX))


def _pieces(source: BinaryIO, size_bytes: int) -> Iterator[bytes]:
    source.seek(0)
    left = size_bytes
    while left:
        piece = source.read(min(_part_bytes(size_bytes), left))
        if not piece:
            raise StoreError("The file became shorter while it was stored.")
        left -= len(piece)
        yield piece
