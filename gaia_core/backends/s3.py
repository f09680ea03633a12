"""Objects in a server that speaks plain S3: MinIO or any other with versions.

Only calls that every such server has are made. Nothing here decides what a path means, and nothing is tried again
beyond a few quick attempts per request: whoever calls knows how long to go on. Built by the composition roots of server
and worker; one S3Store is meant for all threads of a process, and for no forked child.
"""

import builtins
import hashlib
import io
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

import urllib3
from minio import Minio
from minio.commonconfig import ENABLED
from minio.deleteobjects import DeleteObject
from minio.error import S3Error
from minio.versioningconfig import VersioningConfig

from gaia_core.backends.s3_parts import PART_BYTES, PartUploads
from gaia_core.backends.s3_words import in_words
from gaia_core.backends.store_paths import check_mark, check_path, check_prefix, choose_bucket, path_problem
from gaia_core.errors import ConfigError, ObjectMissing, StoreError
from gaia_core.ports import Store, Stored, StoredVersion

CHUNK_BYTES: Final = 1024 * 1024
POOL_SIZE: Final = 64
"""Connections kept open: the workers' transfers run side by side, some of them in parts."""

CONNECT_TIMEOUT_S: Final = 3.0
READ_TIMEOUT_S: Final = 60.0
"""A server may take long to join the parts of a large object, but it answers something within a minute."""

LOOKS: Final = 6
LOOK_PAUSE_S: Final = 0.2
"""Another process may be between creating the bucket and switching versions on: so often we look again."""

UPLOAD_TRIES: Final = 4
UPLOAD_PAUSE_S: Final = 0.05
"""MinIO refuses a put as AccessDenied while it removes the folder that another object's deletion has just left empty.

Source: measured, one put in some thousands beside deletions in its folder; MinIO issues 12914 and 15157.
"""

MARK: Final = "gaia-mark"
"""Name of the metadata that says who stored a version; S3 puts `x-amz-meta-` before it."""

CONDITIONAL: Final = "null-"
"""Begins the version of an object that lies in a bucket without versions; its ETag follows."""

_VERSION = re.compile(r"(?!\.)[A-Za-z0-9_.~+=-]{1,1024}")
"""S3 takes no version for the current one, and MinIO refuses a request with "../" in it."""

_LOST_RACE: Final = frozenset({"AccessDenied", "NoSuchKey"})
_CREATED_MEANWHILE: Final = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})


@dataclass(frozen=True, slots=True)
class S3Settings:
    """Where the server is and who we are.

    Attributes:
        endpoint: host and port, without scheme.
        access_key: name of the account.
        secret_key: its secret; never shown.
        secure: whether to speak TLS.
        region: None asks the server, one request per bucket.
        bucket: the deployment's own bucket.
        buckets: the other buckets that Keys may name.
    """

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    secure: bool = True
    region: str | None = None
    bucket: str = "gaia"
    buckets: frozenset[str] = frozenset()


class S3Store(Store):
    """The port on one S3 server. No request is made before the first call.

    MinIO holds `a` beside `a/b` and hands out both, but its listings leave out `a/b` as long as `a` is there; no
    request finds it then. Source: MinIO documentation, Thresholds and Limits, conflicting objects.
    """

    def __init__(self, settings: S3Settings) -> None:
        self._settings = settings
        self._keeps_versions: set[str] = set()
        self._connections = _connections()
        if not settings.endpoint:
            raise ConfigError("No S3 endpoint is given.", hint="host:port")
        try:
            self._client = Minio(
                settings.endpoint,
                settings.access_key,
                settings.secret_key,
                secure=settings.secure,
                region=settings.region,
                http_client=self._connections,
            )
        except ValueError as error:
            raise ConfigError(f"{settings.endpoint!r} is no S3 endpoint: {error}.", hint="host:port") from error
        self._parts = PartUploads(self._client)

    def check(self) -> None:
        """Create the bucket with versions switched on, or see that the existing one keeps versions.

        Raises:
            ConfigError: it exists but keeps no versions; what is in it stays as it is.
            StoreError: the server cannot be reached, or refuses our credentials.
        """
        bucket = self._settings.bucket
        with self._in_words(f"the bucket {bucket!r}"):
            exists = self._client.bucket_exists(bucket)
            versions = self._soon_has_versions(bucket) if exists else self._create(bucket)
        if not versions:
            words = f"The bucket {bucket!r} at {self._settings.endpoint} exists but keeps no versions."
            raise ConfigError(words, hint=_hint(bucket))
        self._keeps_versions.add(bucket)

    def put_file(self, bucket: str | None, path: str, source: Path, mark: str = "") -> Stored:
        """Upload a file, in parts when it is large."""
        with self._in_words(str(source)), source.open("rb") as file:
            return self.put_open(bucket, path, file, mark)

    def put_open(
        self, bucket: str | None, path: str, source: BinaryIO, mark: str = "", sure: Callable[[], object] = bool
    ) -> Stored:
        """Upload what an open file holds, in parts when it is large."""
        name = self._writable(bucket, path)
        check_mark(mark)
        with self._in_words(f"{name}:{path}"):
            size_bytes = os.fstat(source.fileno()).st_size
            if size_bytes <= PART_BYTES:
                source.seek(0)
                return self._upload(name, path, source.read(), mark)
            headers = {f"x-amz-meta-{MARK}": mark} if mark else {}
            done = self._parts.upload(name, path, source, size_bytes, headers, sure)
            return self._stored(Stored(path, done.version or "", size_bytes, done.sha256), name)

    def put_bytes(self, bucket: str | None, path: str, data: bytes, mark: str = "") -> Stored:
        """Upload in one request."""
        name = self._writable(bucket, path)
        check_mark(mark)
        with self._in_words(f"{name}:{path}"):
            return self._upload(name, path, data, mark)

    def get_file(self, bucket: str | None, path: str, version: str, target: Path) -> None:
        """Download one version into a new local file, which is removed again when that fails."""
        chunks = self.open(bucket, path, version)
        first = next(chunks, b"")  # before the file is made: a missing object leaves none behind
        with self._in_words(str(target)), target.open("xb") as file:
            try:
                file.write(first)
                for chunk in chunks:
                    file.write(chunk)
            except BaseException:
                target.unlink(missing_ok=True)
                raise

    def open(
        self, bucket: str | None, path: str, version: str, start: int = 0, size_bytes: int | None = None
    ) -> Iterator[bytes]:
        """Yield one version in chunks; the request is made when the first is asked for.

        The connection goes back when the content ends, fails, or the iterator is closed.
        """
        name = self._allowed(bucket)
        check_path(path)
        with self._in_words(f"{name}:{path} of version {version!r}"):
            response = self._request(name, path, version, _range(start, size_bytes))
            if response is None:
                return
            try:
                # As stored: a Content-Encoding that somebody else's upload set is none of our business.
                if int(response.headers.get("Content-Length", CHUNK_BYTES + 1)) > CHUNK_BYTES:
                    yield from response.stream(CHUNK_BYTES, decode_content=False)
                elif data := response.read(decode_content=False):  # one call, where streaming takes several
                    yield data
            finally:
                response.close()
                response.release_conn()

    def stat(self, bucket: str | None, path: str) -> Stored | None:
        """Ask for the current version with one HEAD."""
        name = self._allowed(bucket)
        check_path(path)
        try:
            with self._in_words(f"{name}:{path}"):
                found = self._client.stat_object(name, path)
        except ObjectMissing:
            return None
        return Stored(path, _version(found.version_id, found.etag), found.size or 0)

    def list(self, bucket: str | None, prefix: str, most: int) -> builtins.list[Stored]:
        """Return current versions in path order.

        Only the listing of all versions names versions, so old ones cost their share of the pages of 1,000 entries.
        """
        name = self._allowed(bucket)
        check_prefix(prefix)
        if most <= 0:
            return []
        try:
            with self._in_words(f"the bucket {name!r}"):
                return [*islice(self._current(name, prefix), most)]
        except ObjectMissing:
            return []

    def list_versions(self, bucket: str | None, prefix: str) -> Iterator[StoredVersion]:
        """Yield versions in path order, page by page of 1,000; delete markers are none."""
        name = self._allowed(bucket)
        check_prefix(prefix)
        with suppress(ObjectMissing), self._in_words(f"the bucket {name!r}"):
            for one in self._client.list_objects(name, prefix, recursive=True, include_version=True):
                is_version = one.version_id not in (None, "null") and not one.is_delete_marker
                if is_version and path_problem(one.object_name) is None:
                    stored_ms = int(one.last_modified.timestamp() * 1000)
                    is_current = one.is_latest == "true"
                    yield StoredVersion(one.object_name, one.version_id, one.size or 0, stored_ms, is_current)

    def mark_of(self, bucket: str | None, path: str, version: str) -> str:
        """Ask for the version's metadata with one HEAD."""
        name = self._allowed(bucket)
        check_path(path)
        if not _VERSION.fullmatch(version) or version.startswith(CONDITIONAL):
            return ""
        try:
            with self._in_words(f"{name}:{path} of version {version!r}"):
                found = self._client.stat_object(name, path, version_id=version)
        except ObjectMissing:
            return ""
        return str((found.metadata or {}).get(f"x-amz-meta-{MARK}", ""))

    def delete_version(self, bucket: str | None, path: str, version: str) -> None:
        """Delete one version; if it was the current one, the newest of the rest is."""
        name = self._allowed(bucket)
        check_path(path)
        if not _VERSION.fullmatch(version):
            return
        if version.startswith(CONDITIONAL) and not self._is_current(bucket, path, version):
            return
        identity = "null" if version.startswith(CONDITIONAL) else version
        try:
            with self._in_words(f"{name}:{path} of version {version!r}"):
                self._client.remove_object(name, path, version_id=identity)
        except ObjectMissing:
            return

    def delete_all(self, bucket: str | None, prefix: str, most: int, sure: Callable[[], object] = bool) -> int:
        """Delete versions, also those that a delete marker hides, and the markers; all of them are counted."""
        name = self._allowed(bucket)
        check_prefix(prefix)
        if most <= 0:
            return 0
        try:
            with self._in_words(f"the bucket {name!r}"):
                listed = self._client.list_objects(name, prefix, recursive=True, include_version=True)
                found = [DeleteObject(one.object_name, one.version_id) for one in islice(listed, most)]
            sure()
            with self._in_words(f"the bucket {name!r}"):
                for error in self._client.remove_objects(name, found):
                    raise StoreError(f"The store refuses to delete {error.name!r} ({error.code}: {error.message}).")
                return len(found)
        except ObjectMissing:
            return 0

    def clear_unfinished(self, before_ms: int) -> int:
        """Abort uploads in parts that began before, at most 1,000; a server that does so by itself may tell of none."""
        bucket = self._settings.bucket
        aborted = 0
        with self._in_words(f"the bucket {bucket!r}"):
            # The client has no public name for either request.
            for upload in self._client._list_multipart_uploads(bucket).uploads:  # noqa: SLF001
                began = upload.initiated_time
                if began is not None and upload.upload_id and began.timestamp() * 1000 < before_ms:
                    self._client._abort_multipart_upload(bucket, upload.object_name, upload.upload_id)  # noqa: SLF001
                    aborted += 1
        return aborted

    def close(self) -> None:
        """End the threads and close the kept connections; safe to call twice."""
        self._parts.close()
        self._connections.clear()

    def _soon_has_versions(self, bucket: str) -> bool:
        """Tell whether the bucket keeps versions, giving another process the time to switch them on."""
        for look in range(LOOKS):
            if look:
                time.sleep(LOOK_PAUSE_S)
            if self._client.get_bucket_versioning(bucket).status == ENABLED:
                return True
        return False

    def _create(self, bucket: str) -> bool:
        try:
            self._client.make_bucket(bucket)
        except S3Error as error:
            if error.code not in _CREATED_MEANWHILE:
                raise
            return self._soon_has_versions(bucket)
        self._client.set_bucket_versioning(bucket, VersioningConfig(ENABLED))
        return True

    def _allowed(self, bucket: str | None) -> str:
        name = choose_bucket(self._settings.bucket, bucket)
        if bucket is not None and name not in self._settings.buckets:
            allowed = ", ".join(sorted(self._settings.buckets)) or "none"
            raise StoreError(f"Keys may not name the bucket {name!r}; allowed: {allowed}.")
        return name

    def _writable(self, bucket: str | None, path: str) -> str:
        """Return the bucket's name, having asked once whether it keeps versions."""
        name = self._allowed(bucket)
        check_path(path)
        if name not in self._keeps_versions:
            with self._in_words(f"the bucket {name!r}"):
                versions = self._client.get_bucket_versioning(name).status == ENABLED
            if not versions:
                raise StoreError(f"Nothing is written to the bucket {name!r}: it keeps no versions.", hint=_hint(name))
            self._keeps_versions.add(name)
        return name

    def _upload(self, bucket: str, path: str, data: bytes, mark: str) -> Stored:
        """Upload in one request."""
        metadata: Any = {MARK: mark} if mark else None
        for attempt in range(1, UPLOAD_TRIES + 1):
            try:
                written = self._client.put_object(bucket, path, io.BytesIO(data), len(data), metadata=metadata)
            except S3Error as error:
                if error.code not in _LOST_RACE or attempt == UPLOAD_TRIES:
                    raise
                time.sleep(UPLOAD_PAUSE_S * attempt)
            else:
                stored = Stored(path, written.version_id or "", len(data), hashlib.sha256(data).digest())
                return self._stored(stored, bucket)
        raise AssertionError("the last attempt returns or raises")

    def _stored(self, stored: Stored, bucket: str) -> Stored:
        if stored.version in ("", "null"):
            self._keeps_versions.discard(bucket)
            raise StoreError(f"The bucket {bucket!r} no longer keeps versions.", hint=_hint(bucket))
        return stored

    def _current(self, bucket: str, prefix: str) -> Iterator[Stored]:
        for found in self._client.list_objects(bucket, prefix, recursive=True, include_version=True):
            # Names that no put of ours makes, such as the "folder/" of a console, cannot be Keys.
            if found.is_latest == "true" and not found.is_delete_marker and path_problem(found.object_name) is None:
                yield Stored(found.object_name, _version(found.version_id, found.etag), found.size or 0)

    def _is_current(self, bucket: str | None, path: str, version: str) -> bool:
        current = self.stat(bucket, path)
        return current is not None and current.version == version

    def _request(self, bucket: str, path: str, version: str, headers: dict[str, Any]) -> Any:
        """Ask for a version, or a range of it; None where the range begins behind its end."""
        if not _VERSION.fullmatch(version):
            raise ObjectMissing(f"There is no {path!r} of version {version!r} in the bucket {bucket!r}.")
        identity = version
        if version.startswith(CONDITIONAL):
            identity = "null"
            headers["If-Match"] = f'"{version.removeprefix(CONDITIONAL)}"'
        try:
            return self._client.get_object(bucket, path, version_id=identity, request_headers=headers)
        except S3Error as error:
            if error.code == "InvalidRange":
                return None
            raise

    def _in_words(self, what: str) -> AbstractContextManager[None]:
        return in_words(what, self._settings.endpoint)


def _connections() -> urllib3.PoolManager:
    """Return a pool that gives up on a server that is not there within a few seconds."""
    retries = urllib3.Retry(
        total=3,
        connect=1,
        read=1,
        backoff_factor=0.2,
        status_forcelist=(500, 502, 503, 504),
        raise_on_status=False,
        respect_retry_after_header=False,  # MinIO says "60" while it starts, which takes it less than a second
    )
    timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S)
    return urllib3.PoolManager(maxsize=POOL_SIZE, timeout=timeout, retries=retries)


def _range(start: int, size_bytes: int | None) -> dict[str, Any]:
    """Return the header that asks for a part of an object; none for all of it, which may be empty."""
    if not start and size_bytes is None:
        return {}
    end = "" if size_bytes is None else start + size_bytes - 1
    return {"Range": f"bytes={start}-{end}"}


def _version(version: str | None, etag: str | None) -> str:
    """Return what names this content for good: the version, or the ETag where the bucket keeps no versions."""
    return version if version and version != "null" else f"{CONDITIONAL}{(etag or '').strip(chr(34))}"


def _hint(bucket: str) -> str:
    return (
        f"switch versions on with `mc version enable ALIAS/{bucket}` (or `aws s3api put-bucket-versioning --bucket "
        f"{bucket} --versioning-configuration Status=Enabled`), or name a bucket that does not exist yet"
    )
