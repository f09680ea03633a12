"""A store in memory: the fake that tests of other parts use. It keeps every promise of the port until the process ends.

Versions are numbers in the order of the puts. Nothing here touches a disk except the local files it is handed.
"""

import builtins
import hashlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import BinaryIO, Final

from gaia_core.backends.store_paths import check_mark, check_path, check_prefix, choose_bucket
from gaia_core.errors import ObjectMissing, StoreError
from gaia_core.ports import Store, Stored, StoredVersion

CHUNK_BYTES: Final = 1024 * 1024
OWN_BUCKET: Final = "gaia"


@dataclass(frozen=True, slots=True)
class Kept:
    """One version: its content, who stored it, and when."""

    data: bytes
    mark: str
    modified_ms: int


class MemoryStore(Store):
    """Objects in dicts: bucket → path → version → what is kept, versions in the order they were put.

    Args:
        bucket: name of the deployment's own bucket; any other valid name is a bucket too.
        wall_ms: milliseconds since the epoch.
    """

    def __init__(self, bucket: str = OWN_BUCKET, wall_ms: Callable[[], int] = lambda: time.time_ns() // 10**6) -> None:
        self._bucket = bucket
        self._wall_ms = wall_ms
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._objects: dict[str, dict[str, dict[str, Kept]]] = defaultdict(lambda: defaultdict(dict))

    def check(self) -> None:
        """Find everything in order."""

    def put_file(self, bucket: str | None, path: str, source: Path, mark: str = "") -> Stored:
        """Read a local file and put its content."""
        try:
            return self.put_bytes(bucket, path, source.read_bytes(), mark)
        except OSError as error:
            raise StoreError(f"{source} cannot be read: {error.strerror}.") from error

    def put_open(
        self, bucket: str | None, path: str, source: BinaryIO, mark: str = "", sure: Callable[[], object] = bool
    ) -> Stored:
        """Read an open file and put its content."""
        sure()
        source.seek(0)
        return self.put_bytes(bucket, path, source.read(), mark)

    def put_bytes(self, bucket: str | None, path: str, data: bytes, mark: str = "") -> Stored:
        """Keep a copy of data as the newest version."""
        name = choose_bucket(self._bucket, bucket)
        check_path(path)
        check_mark(mark)
        with self._lock:
            version = f"{next(self._numbers):016x}"
            self._objects[name][path][version] = Kept(bytes(data), mark, self._wall_ms())
        return Stored(path, version, len(data), hashlib.sha256(data).digest())

    def get_file(self, bucket: str | None, path: str, version: str, target: Path) -> None:
        """Write one version to a new local file; an existing one is refused."""
        data = self._content(bucket, path, version)
        try:
            with target.open("xb") as file:
                file.write(data)
        except OSError as error:
            raise StoreError(f"{target} cannot be written: {error.strerror}.") from error

    def open(
        self, bucket: str | None, path: str, version: str, start: int = 0, size_bytes: int | None = None
    ) -> Iterator[bytes]:
        """Yield one version, or a part of it, in chunks."""
        data = self._content(bucket, path, version)
        wanted = data[start:] if size_bytes is None else data[start : start + size_bytes]
        for place in range(0, len(wanted), CHUNK_BYTES):
            yield wanted[place : place + CHUNK_BYTES]

    def stat(self, bucket: str | None, path: str) -> Stored | None:
        """Return the version that was put last and not deleted."""
        name = choose_bucket(self._bucket, bucket)
        check_path(path)
        with self._lock:
            return self._current(name, path)

    def list(self, bucket: str | None, prefix: str, most: int) -> builtins.list[Stored]:
        """Return current versions in path order."""
        name = choose_bucket(self._bucket, bucket)
        check_prefix(prefix)
        with self._lock:
            # Code points sort as their UTF-8 bytes do, which is the order of S3.
            paths = sorted(path for path in self._objects[name] if path.startswith(prefix))
            found = (self._current(name, path) for path in paths)
            return [*islice((stored for stored in found if stored is not None), max(most, 0))]

    def list_versions(self, bucket: str | None, prefix: str) -> Iterator[StoredVersion]:
        """Yield versions in path order, those of one path as they are when its turn comes."""
        name = choose_bucket(self._bucket, bucket)
        check_prefix(prefix)
        with self._lock:
            paths = sorted(path for path in self._objects[name] if path.startswith(prefix))
        for path in paths:
            with self._lock:
                versions = list(self._objects[name][path].items())
            for place, (version, kept) in enumerate(reversed(versions)):
                yield StoredVersion(path, version, len(kept.data), kept.modified_ms, is_current=not place)

    def mark_of(self, bucket: str | None, path: str, version: str) -> str:
        """Return the mark that a version was put with."""
        name = choose_bucket(self._bucket, bucket)
        check_path(path)
        with self._lock:
            kept = self._objects[name][path].get(version)
        return kept.mark if kept is not None else ""

    def delete_version(self, bucket: str | None, path: str, version: str) -> None:
        """Forget one version; if it was the current one, the newest of the rest is."""
        name = choose_bucket(self._bucket, bucket)
        check_path(path)
        with self._lock:
            self._objects[name][path].pop(version, None)

    def delete_all(self, bucket: str | None, prefix: str, most: int, sure: Callable[[], object] = bool) -> int:
        """Forget versions, which are counted."""
        name = choose_bucket(self._bucket, bucket)
        check_prefix(prefix)
        with self._lock:
            of_prefix = (item for item in self._objects[name].items() if item[0].startswith(prefix))
            every = ((path, version) for path, versions in of_prefix for version in versions)
            found = list(islice(every, max(most, 0)))
        sure()
        with self._lock:
            for path, version in found:
                self._objects[name][path].pop(version, None)
        return len(found)

    def clear_unfinished(self, before_ms: int) -> int:  # noqa: ARG002 - no put can be interrupted here
        """Find nothing."""
        return 0

    def _current(self, bucket: str, path: str) -> Stored | None:
        versions = self._objects[bucket][path]
        if not versions:
            return None
        version = next(reversed(versions))
        return Stored(path, version, len(versions[version].data))

    def _content(self, bucket: str | None, path: str, version: str) -> bytes:
        name = choose_bucket(self._bucket, bucket)
        check_path(path)
        with self._lock:
            kept = self._objects[name][path].get(version)
        if kept is None:
            raise ObjectMissing(f"There is no {path!r} of version {version!r} in the bucket {name!r}.")
        return kept.data
