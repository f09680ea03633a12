"""Objects as plain files that a person finds: `root/BUCKET/PATH` is the current version, all versions are kept aside.

- `root/data/wf/a.txt`: the current version, a hard link to one of the next
- `root/.versions/data/3f/SHA256-VERSION`: every version; SHA256 is that of the path
- `root/.versions/data/3f/SHA256-VERSION.MARK`: an empty file beside a version that was stored with a mark
- `root/.versions/data/3f/SHA256.path`: the path itself, so that versions of what a person removed still have a name
- `root/.versions/data/beside/wf%2Fa`: the current version of `wf/a` where its plain place is a folder
- `root/.versions/data/temp/RANDOM`: puts under way; a killed one leaves its file here and nowhere else

A version names its file's time and size, so a look at a plain file tells which version it is. What a person dropped or
edited there is none that was kept: an outside arrival, whose version names its inode too. Below the root no symbolic
link is followed.

A put that has returned survives a kill of the process; with fsync (the default) also a power cut: the file and every
folder that has a new name in it are flushed. Processes may share a root. Where the file system folds upper and lower
case, paths that differ only so share one plain file: their versions stay apart, but `stat` and `list` mix them up.
"""

import builtins
import fcntl
import hashlib
import heapq
import os
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import quote, unquote

from gaia_core.backends.folder_tree import Found, Place, is_absent, opened_folder, walk
from gaia_core.backends.store_paths import check_mark, check_path, check_prefix, choose_bucket
from gaia_core.errors import ConfigError, ObjectMissing, StoreError
from gaia_core.ports import Store, Stored, StoredVersion

CHUNK_BYTES: Final = 1024 * 1024
VERSIONS: Final = ".versions"
"""No bucket's name begins with a dot."""

PATH: Final = ".path"
BESIDE: Final = "beside"
TEMP: Final = "temp"
PIECE_CHARS: Final = 200
"""Quoted paths are cut into folders of this length, since a file's name has at most 255 bytes."""

STAMP_TRIES: Final = 40
"""The step between two times doubles with each try: forty reach the coarsest clock a file system has."""

PLACE_TRIES: Final = 100
"""A put places its file again when somebody removes the folder, or makes one, between two of its steps."""

LEFTOVER_S: Final = 24 * 3600
"""No put takes a day: what is older in the temp folder was left by a killed process."""

SHARDS: Final = 256
"""Folders of versions: one for each two digits that the digest of a path may begin with."""

_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_REWRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
_VERSION = re.compile(r"[vx][0-9a-f-]{1,60}")


class FolderStore(Store):
    """The port on a folder.

    Args:
        root: folder of all buckets, on one file system; made where missing.
        bucket: the deployment's own bucket; other buckets are made beside it by the first put.
        fsync: whether a put that returned also survives a power cut.
    """

    def __init__(self, root: Path, bucket: str = "data", *, fsync: bool = True) -> None:
        self._root = root.absolute()
        self._bucket = bucket
        self._fsync = fsync
        self._clock = threading.Lock()
        self._last_stamp = 0

    def check(self) -> None:
        """Make the folders, see that files can be linked, and remove what killed puts left behind.

        Raises:
            ConfigError: the file system has no hard links, so it keeps no versions.
            StoreError: the folder cannot be written.
        """
        with _in_words(self._root):
            self._make_folder(self._root / self._bucket)
            with opened_folder(self._root / self._bucket), self._temporary(self._bucket) as (temp, _):
                self._try_link(temp)
            sum(self._remove_leftovers(time.time() - LEFTOVER_S))

    def put_file(self, bucket: str | None, path: str, source: Path, mark: str = "") -> Stored:
        """Copy a local file in."""
        with _in_words(source), source.open("rb") as file:
            return self._put(bucket, path, mark, _chunks(file, bool))

    def put_open(
        self, bucket: str | None, path: str, source: BinaryIO, mark: str = "", sure: Callable[[], object] = bool
    ) -> Stored:
        """Copy what an open file holds."""
        with _in_words(self._root, path):
            source.seek(0)
        return self._put(bucket, path, mark, _chunks(source, sure))

    def put_bytes(self, bucket: str | None, path: str, data: bytes, mark: str = "") -> Stored:
        """Write a new file."""
        return self._put(bucket, path, mark, [data])

    def get_file(self, bucket: str | None, path: str, version: str, target: Path) -> None:
        """Copy one version to a new file, the receiver's to change; it is removed again when that fails."""
        chunks = self.open(bucket, path, version)
        first = next(chunks, b"")  # before the file is made: a missing object leaves none behind
        with _in_words(target), target.open("xb") as file:
            try:
                file.write(first)
                file.writelines(chunks)
            except BaseException:
                target.unlink(missing_ok=True)
                raise

    def open(
        self, bucket: str | None, path: str, version: str, start: int = 0, size_bytes: int | None = None
    ) -> Iterator[bytes]:
        """Yield one version in chunks; an outside arrival that changes meanwhile ends in ObjectMissing."""
        name = self._checked(bucket, path)
        with _in_words(self._root, name, path):
            descriptor = self._open_version(name, path, version)
            if descriptor is None:
                raise ObjectMissing(f"There is no {path!r} of version {version!r} in the bucket {name!r}.")
            with os.fdopen(descriptor, "rb", buffering=0) as file:
                file.seek(start)
                left = CHUNK_BYTES if size_bytes is None else size_bytes
                while left and (chunk := file.read(min(left, CHUNK_BYTES))):
                    left -= 0 if size_bytes is None else len(chunk)
                    yield chunk
                if version not in _versions_of(os.fstat(descriptor)):
                    raise ObjectMissing(f"{path!r} in the bucket {name!r} was changed while it was read.")

    def stat(self, bucket: str | None, path: str) -> Stored | None:
        """Return what lies at the plain path, or beside it where that is a folder."""
        name = self._checked(bucket, path)
        with _in_words(self._root, name, path):
            # Twice: between two looks a put may have brought the file from one place to the other.
            for _ in range(2):
                for place in self._places(name, path):
                    status = place.file_status()
                    if status is not None:
                        return self._stored(name, Found(path, status))
        return None

    def list(self, bucket: str | None, prefix: str, most: int) -> builtins.list[Stored]:
        """Return current versions in path order; only folders that can hold such paths are read."""
        name = choose_bucket(self._bucket, bucket)
        check_prefix(prefix)
        with _in_words(self._root, name, prefix):
            return [self._stored(name, found) for found in islice(self._current(name, prefix), max(most, 0))]

    def list_versions(self, bucket: str | None, prefix: str) -> Iterator[StoredVersion]:
        """Yield what is kept aside, folder by folder, the paths of each in order.

        A version's age is that of its file's last change of any kind, so what was current until just now is young.
        """
        name = choose_bucket(self._bucket, bucket)
        check_prefix(prefix)
        with _in_words(self._root, name, prefix):
            for number in range(SHARDS):
                yield from self._versions_in(name, f"{number:02x}", prefix)

    def mark_of(self, bucket: str | None, path: str, version: str) -> str:
        """Look for the file beside the version that tells its mark."""
        name = self._checked(bucket, path)
        beginning = _kept_name(path, version) + "."
        with _in_words(self._root, name, path):
            if _VERSION.fullmatch(version):
                for beside in _names(self._shard_path(name, path)):
                    if beside.startswith(beginning):
                        return beside.removeprefix(beginning)
        return ""

    def delete_version(self, bucket: str | None, path: str, version: str) -> None:
        """Delete one version; if it was the current one, the latest of the rest is, by their files' times."""
        name = self._checked(bucket, path)
        if not _VERSION.fullmatch(version):
            return
        with _in_words(self._root, name, path):
            with self._locked(name, path) as shard:
                self._remove_kept(shard, path, version)
                for place in self._places(name, path):
                    status = place.file_status()
                    if status is not None and version in _versions_of(status):
                        self._fall_back(name, path, place, shard)
                self._flush(shard)
            self._prune(name, path)

    def clear_unfinished(self, before_ms: int) -> int:
        """Remove the files of puts that were killed."""
        with _in_words(self._root):
            return sum(self._remove_leftovers(before_ms / 1000))

    def delete_all(self, bucket: str | None, prefix: str, most: int, sure: Callable[[], object] = bool) -> int:
        """Delete objects with all their versions; objects are counted. Nobody else's Gaia stores anything meanwhile.

        Versions of an object whose plain file somebody has removed stay: nothing tells whose they are.
        """
        name = choose_bucket(self._bucket, bucket)
        check_prefix(prefix)
        with _in_words(self._root, name, prefix):
            found = [one.path for one in islice(self._current(name, prefix), max(most, 0))]
        sure()
        with _in_words(self._root, name, prefix):
            for path in found:
                self._delete_object(name, path)
        return len(found)

    def _versions_in(self, bucket: str, number: str, prefix: str) -> Iterator[StoredVersion]:
        """Yield the versions that one folder keeps aside."""
        folder = self._root.joinpath(VERSIONS, bucket, number)
        kept: dict[str, builtins.list[str]] = {}
        paths = []
        for name in _names(folder):
            digest, dash, version = name.partition("-")
            if dash and _VERSION.fullmatch(version):
                kept.setdefault(digest, []).append(version)
            elif name.endswith(PATH):
                paths.append(folder / name)
        for path in sorted(filter(None, map(_path_told, paths))):
            if path.startswith(prefix):
                yield from self._versions_kept(bucket, path, kept.get(_digest(path), []))

    def _versions_kept(self, bucket: str, path: str, versions: Iterable[str]) -> Iterator[StoredVersion]:
        current = self.stat(None if bucket == self._bucket else bucket, path)
        found = []
        for version in versions:
            with suppress(FileNotFoundError):
                status = (self._shard_path(bucket, path) / _kept_name(path, version)).lstat()
                found.append((status.st_mtime_ns, version, status))
        for _, version, status in sorted(found, reverse=True):
            modified_ms = max(status.st_mtime_ns, status.st_ctime_ns) // 1_000_000
            is_current = current is not None and current.version == version
            yield StoredVersion(path, version, status.st_size, modified_ms, is_current)

    def _remove_kept(self, shard: int, path: str, version: str) -> None:
        """Remove a version, its mark, and with the last one the path's name."""
        name = _kept_name(path, version)
        beginning = _kept_name(path, "")
        left = []
        for kept in os.listdir(shard):
            if kept == name or kept.startswith(f"{name}."):
                Place(shard, kept).remove()
            elif kept.startswith(beginning):
                left.append(kept)
        if not left:
            Place(shard, _digest(path) + PATH).remove()

    def _delete_object(self, bucket: str, path: str) -> None:
        with self._locked(bucket, path) as shard:
            for kept in os.listdir(shard):  # noqa: PTH208 - of an open folder
                if kept.startswith(_digest(path)):
                    Place(shard, kept).remove()
            self._flush(shard)
            for place in self._places(bucket, path):
                if place.file_status() is not None:
                    place.remove()
                    self._flush(place.folder)
        self._prune(bucket, path)

    def _checked(self, bucket: str | None, path: str) -> str:
        name = choose_bucket(self._bucket, bucket)
        check_path(path)
        return name

    def _put(self, bucket: str | None, path: str, mark: str, chunks: Iterable[bytes]) -> Stored:
        name = self._checked(bucket, path)
        check_mark(mark)
        digest = hashlib.sha256()
        with _in_words(self._root, name, path), self._temporary(name) as (temp, file):
            for chunk in chunks:
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            stored = self._keep(name, path, mark, temp, file.fileno())
            for _ in range(PLACE_TRIES):
                if self._placed(name, path, temp):
                    return replace(stored, sha256=digest.digest())
        raise StoreError(f"The folder store cannot use {self._root / name / path}: its folders change all the time.")

    @contextmanager
    def _temporary(self, bucket: str) -> Iterator[tuple[Path, BinaryIO]]:
        """Yield a new file that is removed again unless it was moved to a place."""
        folder = self._root.joinpath(VERSIONS, bucket, TEMP)
        self._make_folder(folder)
        temp = folder / uuid.uuid4().hex
        # Read-only: the plain path shares this file, and an editor there must not write into a version.
        with os.fdopen(os.open(temp, _CREATE, 0o444), "wb") as file:
            try:
                yield temp, file
            finally:
                temp.unlink(missing_ok=True)

    def _keep(self, bucket: str, path: str, mark: str, temp: Path, descriptor: int) -> Stored:
        """Give the finished file a time that no version of the path has, and keep it as that version.

        Path and mark are noted first, so no version is ever kept without them.
        """
        for attempt in range(STAMP_TRIES):
            stamp = self._stamp(1 << attempt)
            os.utime(descriptor, ns=(stamp, stamp))
            self._flush(descriptor)
            status = os.fstat(descriptor)
            version = _own_version(status)
            kept = _kept_name(path, version)
            with suppress(FileExistsError), self._locked(bucket, path) as shard:
                if not Place(shard, kept).is_taken():
                    _note(shard, _digest(path) + PATH, path.encode())
                    if mark:
                        _note(shard, f"{kept}.{mark}", b"")
                os.link(temp, kept, dst_dir_fd=shard)
                self._flush(shard)
                return Stored(path, version, status.st_size)
        raise StoreError(f"The folder store cannot use {self._root / bucket / path}: its versions' times run out.")

    def _stamp(self, step_ns: int) -> int:
        """Return a time in ns, later than all before even when the clock is set back."""
        with self._clock:
            self._last_stamp = max(time.time_ns(), self._last_stamp + step_ns)
            return self._last_stamp

    def _placed(self, bucket: str, path: str, temp: Path) -> bool:
        """Make the file the current version; return False when the folders changed under our hands."""
        try:
            with self._plain(bucket, path, make=True) as place, self._locked(bucket, path) as shard:
                for old in self._places(bucket, path):
                    self._keep_outside(path, old, shard)
                try:
                    os.replace(temp, place.name, dst_dir_fd=place.folder)
                except IsADirectoryError:
                    self._move_beside(bucket, path, str(temp), None)
                else:
                    self._beside_path(bucket, path).unlink(missing_ok=True)
                self._flush(place.folder)
        except OSError as error:
            if is_absent(error):
                return False
            raise
        return True

    def _keep_outside(self, path: str, place: Place, shard: int) -> None:
        """Keep an outside arrival that is about to be replaced: it may be somebody's only copy, and pinned already."""
        status = place.file_status()
        if status is None or Place(shard, _kept_name(path, _own_version(status))).is_taken():
            return
        kept = _kept_name(path, _outside_version(status))
        try:
            os.link(place.name, kept, src_dir_fd=place.folder, dst_dir_fd=shard, follow_symlinks=False)
        except FileExistsError:
            return
        except PermissionError:  # Linux lets nobody link a stranger's file; moving it is allowed
            os.rename(place.name, kept, src_dir_fd=place.folder, dst_dir_fd=shard)
        self._flush(shard)

    def _make_room(self, bucket: str, path: str, place: Place) -> None:
        """Move away the file whose name a folder needs, if there is one.

        Raises:
            StoreError: it is no file but, say, a symbolic link.
        """
        with self._locked(bucket, path):
            if path and place.file_status() is not None:
                self._move_beside(bucket, path, place.name, place.folder)
                self._flush(place.folder)
            elif place.is_taken() and not place.is_folder():
                raise StoreError(f"{self._root / bucket / path} is no folder, and links are not followed.")

    def _move_beside(self, bucket: str, path: str, name: str, folder: int | None) -> None:
        beside = self._beside_path(bucket, path)
        self._make_folder(beside.parent)
        os.replace(name, beside, src_dir_fd=folder)
        self._flush_folder(beside.parent)

    def _fall_back(self, bucket: str, path: str, place: Place, shard: int) -> None:
        """Make the latest version left the current one in the place of the deleted one."""
        latest = _latest_kept(shard, path)
        if latest is None:
            place.remove()
        else:
            temp = self._root.joinpath(VERSIONS, bucket, TEMP, uuid.uuid4().hex)
            os.link(latest, temp, src_dir_fd=shard)
            os.replace(temp, place.name, dst_dir_fd=place.folder)
        self._flush(place.folder)

    def _prune(self, bucket: str, path: str) -> None:
        """Remove the folders that a deletion left empty; a put that needs one makes it again."""
        folder = path.rpartition("/")[0]
        with suppress(OSError):  # the usual end: a folder that is not empty
            while folder:
                with self._plain(bucket, folder) as place:
                    os.rmdir(place.name, dir_fd=place.folder)
                folder = folder.rpartition("/")[0]

    def _try_link(self, temp: Path) -> None:
        second = temp.with_suffix(".link")
        try:
            os.link(temp, second)
        except OSError as error:
            raise ConfigError(
                f"The store at {self._root} can keep no versions: hard links fail ({error.strerror}).",
                hint="choose a folder on another file system",
            ) from error
        second.unlink()

    def _remove_leftovers(self, before_s: float) -> Iterator[int]:
        for temp in (self._root / VERSIONS).glob(f"*/{TEMP}/*"):
            with suppress(FileNotFoundError):
                if temp.lstat().st_mtime < before_s:
                    temp.unlink()
                    yield 1

    def _current(self, bucket: str, prefix: str) -> Iterator[Found]:
        """Yield what lies at plain paths and beside them, in path order; a plain file hides one beside it."""
        beside = sorted(self._all_beside(bucket, prefix), key=_path_of)
        before = None
        for found in heapq.merge(self._all_plain(bucket, prefix), beside, key=_path_of):
            if found.path != before:
                yield found
            before = found.path

    def _all_plain(self, bucket: str, prefix: str) -> Iterator[Found]:
        folder, slash, _ = prefix.rpartition("/")
        try:
            with self._plain(bucket, f"{folder}{slash}any") as place:
                yield from walk(place.folder, folder + slash, prefix)
        except OSError as error:
            if not is_absent(error):
                raise

    def _all_beside(self, bucket: str, prefix: str) -> Iterator[Found]:
        """Yield the (few) current versions whose plain place is a folder, in any order."""
        top = self._root.joinpath(VERSIONS, bucket, BESIDE)
        for folder, _, names in os.walk(top):
            for name in names:
                file = Path(folder, name)
                path = _unquoted(str(file.relative_to(top)))
                with suppress(FileNotFoundError):
                    if path.startswith(prefix):
                        yield Found(path, file.lstat())

    def _stored(self, bucket: str, found: Found) -> Stored:
        """Tell which version the file at a plain place is, by its time and size."""
        own = _own_version(found.status)
        kept = os.path.lexists(self._shard_path(bucket, found.path) / _kept_name(found.path, own))
        return Stored(found.path, own if kept else _outside_version(found.status), found.status.st_size)

    def _open_version(self, bucket: str, path: str, version: str) -> int | None:
        """Open the file that a version names, wherever it lies.

        A file counts only if its time and size say so: a version that somebody edited is not that version any more.
        """
        if not _VERSION.fullmatch(version):
            return None
        for place in self._places(bucket, path, version):
            descriptor = place.open_file()
            if descriptor is not None:
                if version in _versions_of(os.fstat(descriptor)):
                    return descriptor
                os.close(descriptor)
        return None

    def _places(self, bucket: str, path: str, version: str | None = None) -> Iterator[Place]:
        """Yield where the path's file may lie: kept aside (if a version is given), at its plain place, beside it."""
        kept = self._shard_path(bucket, path) / _kept_name(path, version) if version else None
        for aside in (kept, None, self._beside_path(bucket, path)):
            try:
                with self._plain(bucket, path) if aside is None else _in_folder(aside) as place:
                    yield place
            except OSError as error:
                if not is_absent(error):
                    raise

    @contextmanager
    def _plain(self, bucket: str, path: str, *, make: bool = False) -> Iterator[Place]:
        """Yield a path's plain place, having opened (or made) folder after folder, no link among them."""
        segments = [bucket, *path.split("/")]
        descriptor = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for depth, segment in enumerate(segments[:-1]):
                place = Place(descriptor, segment)
                above = "/".join(segments[1 : depth + 1])
                descriptor = self._made_folder(bucket, above, place) if make else place.open_folder()
                os.close(place.folder)
            yield Place(descriptor, segments[-1])
        finally:
            os.close(descriptor)

    def _made_folder(self, bucket: str, path: str, place: Place) -> int:
        """Open the folder at a place, made there if missing; path "" stands for the bucket."""
        try:
            return place.open_folder()
        except OSError as error:
            if not is_absent(error):
                raise
        self._make_room(bucket, path, place)
        with suppress(FileExistsError):
            os.mkdir(place.name, dir_fd=place.folder)
            self._flush(place.folder)
        return place.open_folder()

    @contextmanager
    def _locked(self, bucket: str, path: str) -> Iterator[int]:
        """Hold the lock of a path against threads and processes; yield the folder of its versions.

        Many paths share a lock, so whoever holds one takes no other.
        """
        with self._shard(bucket, path) as shard:
            fcntl.flock(shard, fcntl.LOCK_EX)  # ends when the descriptor is closed, also by a kill
            yield shard

    @contextmanager
    def _shard(self, bucket: str, path: str) -> Iterator[int]:
        folder = self._shard_path(bucket, path)
        self._make_folder(folder)
        with opened_folder(folder) as descriptor:
            yield descriptor

    def _shard_path(self, bucket: str, path: str) -> Path:
        return self._root.joinpath(VERSIONS, bucket, _digest(path)[:2])

    def _beside_path(self, bucket: str, path: str) -> Path:
        return self._root.joinpath(VERSIONS, bucket, BESIDE, _quoted(path))

    def _make_folder(self, folder: Path) -> None:
        """Make one of Gaia's own folders, and those above it, where missing."""
        try:
            folder.mkdir()
        except FileExistsError:
            return
        except FileNotFoundError:
            self._make_folder(folder.parent)
            folder.mkdir(exist_ok=True)
        self._flush_folder(folder.parent)

    def _flush_folder(self, folder: Path) -> None:
        if self._fsync:
            with opened_folder(folder) as descriptor:
                os.fsync(descriptor)

    def _flush(self, descriptor: int) -> None:
        if self._fsync:
            os.fsync(descriptor)


@contextmanager
def _in_words(path: Path, *below: str) -> Iterator[None]:
    """Turn what the file system raises into an error of ours."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"The folder store cannot use {path.joinpath(*below)}: {error.strerror or error}.") from error


def _chunks(source: BinaryIO, sure: Callable[[], object]) -> Iterator[bytes]:
    while chunk := source.read(CHUNK_BYTES):
        sure()
        yield chunk


@contextmanager
def _in_folder(file: Path) -> Iterator[Place]:
    with opened_folder(file.parent) as folder:
        yield Place(folder, file.name)


def _names(folder: Path) -> builtins.list[str]:
    """Return the names in a folder, none where there is no folder."""
    try:
        return os.listdir(folder)  # noqa: PTH208 - names are all that is wanted
    except FileNotFoundError:
        return []


def _note(shard: int, name: str, text: bytes) -> None:
    """Write a small file, unless it is there already; one that a power cut left without its content is written anew."""
    status = Place(shard, name).file_status()
    if status is None or status.st_size != len(text):
        with os.fdopen(os.open(name, _REWRITE, 0o644, dir_fd=shard), "wb") as file:
            file.write(text)


def _path_told(file: Path) -> str | None:
    """Return the path that a file tells, or None where it does not hold what its own name says."""
    try:
        path = file.read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    return path if _digest(path) + PATH == file.name else None


def _latest_kept(shard: int, path: str) -> str | None:
    """Return the name of the latest version kept of a path, or None. Costs a look at all names of the shard."""
    beginning = _kept_name(path, "")
    kept = [(name, Place(shard, name).file_status()) for name in os.listdir(shard) if name.startswith(beginning)]
    whole = [
        (status.st_mtime_ns, name)
        for name, status in kept
        if status is not None and name.removeprefix(beginning) in _versions_of(status)
    ]
    return max(whole)[1] if whole else None


def _own_version(status: os.stat_result) -> str:
    """Return the version of a put: its file's time, which no other version of the path has, and size.

    No inode: the root may be copied to another disk, times and links preserved, and every version stays what it is.
    """
    return f"v{status.st_mtime_ns:016x}-{status.st_size:x}"


def _outside_version(status: os.stat_result) -> str:
    """Return the version of an outside arrival."""
    return f"x{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"


def _versions_of(status: os.stat_result) -> tuple[str, str]:
    return _own_version(status), _outside_version(status)


def _digest(path: str) -> str:
    return hashlib.sha256(path.encode()).hexdigest()


def _kept_name(path: str, version: str) -> str:
    return f"{_digest(path)}-{version}"


def _quoted(path: str) -> str:
    """Return a path as one name, or as names in folders where it is long; a folder ends in a bare "%"."""
    quoted = quote(path, safe="").replace(".", "%2E")  # no piece may be "." or ".."
    return "%/".join(quoted[start : start + PIECE_CHARS] for start in range(0, len(quoted), PIECE_CHARS))


def _unquoted(quoted: str) -> str:
    return unquote(quoted.replace("%/", ""))


def _path_of(found: Found) -> str:
    return found.path
