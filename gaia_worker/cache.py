"""Content that this worker has had before, by its sha256: an input that was here once is not fetched again.

- `.cache/3f/3f7a…`: a file, named by the sha256 of what it holds; nobody may write it

A program gets a hard link where a read-only mount protects it, a copy where it could write. What was hashed by this
process is known by its inode, size and time; anything else (an earlier worker's, another worker's that shares the
folder, a file that somebody touched) is hashed before it is used, and thrown away if it is not what its name says.
Nothing is flushed: after a power cut that hash decides too.

The one used last stays longest: a file's access time tells, also to the next worker. Called by `gaia_worker.transfer`.
"""

import hashlib
import logging
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from gaia_core.machine.reports import CacheFigures
from gaia_worker.copying import copy_file
from gaia_worker.retrying import Interrupted

log = logging.getLogger(__name__)

FOLDER: Final = ".cache"
"""Beside the scratch folders of workers, whose names do not begin so."""

READ_ONLY: Final = 0o555
SCAN_SHARE: Final = 8
"""The folder is looked through again when so much of the limit came in: other workers may keep files there too."""

LEFTOVER_S: Final = 24 * 3600
"""No copy takes a day: what is older and no content's file was left by a killed worker."""

WAIT_S: Final = 0.2
_NAME = re.compile(r"[0-9a-f]{64}")
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Look(NamedTuple):
    """What a file was like when its content was hashed; a change of content changes it."""

    inode: int
    size_bytes: int
    modified_ns: int


@dataclass(slots=True)
class Entry:
    """One file of the cache; `proven` is what it was like when its hash was last right, None before that."""

    size_bytes: int
    proven: Look | None = None


class InputCache:
    """The cache in one folder; safe to use from several threads, and by several workers."""

    def __init__(self, folder: Path, size_bytes_max: int) -> None:
        """Take over what lies in the folder, as far as it fits.

        Args:
            folder: on the file system of the scratch folders, since links cross none; made where missing.
            size_bytes_max: of all files together; 0 keeps nothing.
        """
        self._folder = str(folder)
        self._most = size_bytes_max
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._size_bytes = 0
        self._added_bytes = 0
        self._flights: dict[str, threading.Event | None] = {}
        """What is looked for or brought now; the event is made by the first one who waits for it."""
        self._folders: set[str] = set()
        self._hits = self._misses = self._hit_bytes = 0
        with self._lock:
            self._scan()
            self._shrink(self._most)

    def provide(
        self,
        digest: bytes,
        target: Path,
        fetch: Callable[[], None],
        stopped: threading.Event,
        *,
        size_bytes: int,
        mode: int,
        shared: bool,
    ) -> None:
        """Put a content in its place, from the cache or else by fetching it; of several who want it one fetches.

        Args:
            digest: sha256 of the content.
            target: the place; its folder exists.
            fetch: puts the content at target, verified and with its mode; what it raises passes through.
            stopped: ends the wait for another one's fetching.
            size_bytes: of the content.
            mode: permissions of a copy.
            shared: a link to the cache's own file will do.

        Raises:
            Interrupted: `stopped` was set.
        """
        if not self._takes(size_bytes):
            fetch()
            return
        name = digest.hex()
        self._take_off(name, stopped)
        try:
            source = self._find(name, size_bytes)
            if source is None:
                fetch()
                self._keep(name, target, size_bytes, shared=shared)
                return
            if shared and _linked(source, target):
                return
            try:
                descriptor = os.open(source, _READ)
            except FileNotFoundError:  # driven out just now
                fetch()
                return
        finally:
            self._land(name)
        try:
            copy_file(descriptor, target, mode)
        finally:
            os.close(descriptor)

    def adopt(self, descriptor: int, digest: bytes) -> None:
        """Keep a file that was just stored, by a link: whoever reads it next may run here.

        Args:
            descriptor: the file; nobody else may have it open for writing, or know it by another name.
            digest: sha256 of its content.
        """
        name = digest.hex()
        status = os.fstat(descriptor)
        with self._lock:
            known = name in self._entries
        if known or status.st_nlink != 1 or not self._takes(status.st_size):
            return
        # A descriptor has no name of its own that could be exchanged for another file. Any folder's would do where the
        # new name is absolute, but with none at all the link would be made to the link in /proc.
        with suppress(OSError, NotImplementedError):
            os.fchmod(descriptor, READ_ONLY)
            source, place = f"/proc/self/fd/{descriptor}", self._place(name)
            os.link(source, place, dst_dir_fd=descriptor, follow_symlinks=True)
            self._enter(name, os.fstat(descriptor))

    def holds(self, digest: bytes) -> bool:
        """Tell whether a content is here, as far as is known without reading it."""
        with self._lock:
            return digest.hex() in self._entries

    def give_back(self, size_bytes: int) -> None:
        """Drop the files that were used least lately, so much together; the disk is wanted for something else."""
        with self._lock:
            self._shrink(max(self._size_bytes - size_bytes, 0))

    def stats(self) -> CacheFigures:
        """Return figures for people and metrics."""
        with self._lock:
            return CacheFigures(
                len(self._entries), self._size_bytes, self._most, self._hits, self._misses, self._hit_bytes
            )

    def _takes(self, size_bytes: int) -> bool:
        """Tell whether a file of this size is kept at all; an empty one is made faster than found."""
        return 0 < size_bytes <= self._most

    def _take_off(self, name: str, stopped: threading.Event) -> None:
        """Become the only one who looks for a content, or brings it, until `_land`; raises Interrupted."""
        while True:
            with self._lock:
                if name not in self._flights:
                    self._flights[name] = None
                    return
                other = self._flights[name]
                if other is None:
                    other = self._flights[name] = threading.Event()
            while not other.wait(WAIT_S):
                if stopped.is_set():
                    raise Interrupted

    def _land(self, name: str) -> None:
        with self._lock:
            other = self._flights.pop(name)
        if other is not None:
            other.set()

    def _find(self, name: str, size_bytes: int) -> str | None:
        """Return the file of a content, having made sure that it is what it should be, or None."""
        place = self._place_of(name)
        with self._lock:
            entry = self._entries.get(name)
        try:
            status = os.lstat(place)
        except OSError:
            self._miss(name)
            return None
        if entry is None or entry.proven != _look(status):
            if status.st_size != size_bytes or not _is(place, name):
                Path(place).unlink(missing_ok=True)
                self._miss(name)
                log.warning("a cached input was damaged and is fetched again", extra={"sha256": name})
                return None
            self._enter(name, status)
        with suppress(OSError):
            os.utime(place, ns=(time.time_ns(), status.st_mtime_ns), follow_symlinks=False)
        with self._lock:
            self._hits += 1
            self._hit_bytes += size_bytes
            if name in self._entries:
                self._entries.move_to_end(name)
        return place

    def _miss(self, name: str) -> None:
        with self._lock:
            self._misses += 1
            self._forget(name)

    def _keep(self, name: str, target: Path, size_bytes: int, *, shared: bool) -> None:
        """Keep what was just fetched; where that fails it is only not here the next time."""
        try:
            place = self._place(name)
            if not (shared and _linked(target, place)):
                self._copy(target, Path(place))
            status = os.lstat(place)
            if status.st_size == size_bytes:
                self._enter(name, status)
        except OSError:
            self._folders.discard(name[:2])  # somebody may have cleared it away

    def _copy(self, target: Path, place: Path) -> None:
        temporary = place.with_name(f"{place.name}.{os.getpid()}.{threading.get_ident()}.new")
        try:
            descriptor = os.open(target, _READ)
            try:
                copy_file(descriptor, temporary, READ_ONLY)
            finally:
                os.close(descriptor)
            temporary.replace(place)
        finally:
            temporary.unlink(missing_ok=True)

    def _enter(self, name: str, status: os.stat_result) -> None:
        """Take note of a file whose content is known to be right."""
        with self._lock:
            self._forget(name)
            self._entries[name] = Entry(status.st_size, _look(status))
            self._size_bytes += status.st_size
            self._added_bytes += status.st_size
            if self._added_bytes * SCAN_SHARE > self._most:
                self._scan()
            self._shrink(self._most)

    def _forget(self, name: str) -> None:
        entry = self._entries.pop(name, None)
        if entry is not None:
            self._size_bytes -= entry.size_bytes

    def _shrink(self, size_bytes: int) -> None:
        """Remove files until the rest is so small."""
        while self._entries and self._size_bytes > size_bytes:
            name = next(iter(self._entries))
            self._forget(name)
            with suppress(OSError):
                Path(self._place_of(name)).unlink(missing_ok=True)

    def _scan(self) -> None:
        """Look through the folder: what is there counts, the one used last comes last. Cost is O(files)."""
        found = sorted(self._files())
        proven = {name: entry.proven for name, entry in self._entries.items()}
        self._entries = OrderedDict((name, Entry(size_bytes, proven.get(name))) for _, name, size_bytes in found)
        self._size_bytes = sum(size_bytes for _, _, size_bytes in found)
        self._added_bytes = 0

    def _files(self) -> Iterator[tuple[int, str, int]]:
        """Yield (access time, name, size); what a killed copy left is removed once it is old."""
        for place in Path(self._folder).glob("??/*"):
            with suppress(OSError):
                status = place.lstat()
                if _NAME.fullmatch(place.name):
                    yield status.st_atime_ns, place.name, status.st_size
                elif time.time() - status.st_mtime > LEFTOVER_S:
                    place.unlink()

    def _place_of(self, name: str) -> str:
        return f"{self._folder}/{name[:2]}/{name}"

    def _place(self, name: str) -> str:
        """Return where a content's file lies; the folder is there then."""
        if name[:2] not in self._folders:
            Path(self._folder, name[:2]).mkdir(parents=True, exist_ok=True)
            self._folders.add(name[:2])
        return self._place_of(name)


def _look(status: os.stat_result) -> Look:
    return Look(status.st_ino, status.st_size, status.st_mtime_ns)


def _is(place: str, name: str) -> bool:
    """Tell whether a regular file holds what its name says."""
    try:
        with os.fdopen(os.open(place, _READ), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == name
    except OSError:
        return False


def _linked(source: str | Path, target: str | Path) -> bool:
    """Give a file a second name, instead of whatever has that.

    Returns:
        False where that cannot be: the file is gone, on another disk, or has as many names as it may have.
    """
    for _ in range(2):
        try:
            os.link(source, target)
        except FileExistsError:
            Path(target).unlink(missing_ok=True)
        except OSError:
            return False
        else:
            return True
    return False
