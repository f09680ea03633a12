"""Downloads go on where they broke, large ones in ranges, and nothing but the stored content arrives."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gaia_core.backends.memory_store import MemoryStore
from gaia_core.errors import ObjectMissing, StoreError
from gaia_core.workflow.keys import Location
from gaia_core.workflow.model import FailureClass, FileVersion
from gaia_worker import fetching, retrying, transfer
from gaia_worker.cache import InputCache
from gaia_worker.failing import AttemptFailed
from gaia_worker.fetching import ContentDiffers, Download, Fetcher
from gaia_worker.retrying import TRIES, Interrupted
from gaia_worker.transfer import Transfers

MIB = 1024 * 1024


class Breaking(MemoryStore):
    """A store that notes what is asked of it, and breaks off after some chunks as often as told."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[int, int | None]] = []
        self.breaks = 0
        self.chunks_before = 1
        self.touch: Callable[[bytes], bytes] = lambda chunk: chunk

    def open(
        self, bucket: str | None, path: str, version: str, start: int = 0, size_bytes: int | None = None
    ) -> Iterator[bytes]:
        self.asked.append((start, size_bytes))
        for number, chunk in enumerate(super().open(bucket, path, version, start, size_bytes)):
            if number >= self.chunks_before and self.breaks:
                self.breaks -= 1
                raise StoreError("the connection broke")
            yield self.touch(chunk)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Breaking:
    """A store; nobody pauses."""
    monkeypatch.setattr(retrying, "PAUSE_S", 0)
    return Breaking()


def job(store: MemoryStore, data: bytes, target: Path, **fields: Any) -> Download:
    """Store a content, and return the order to fetch it."""
    stored = store.put_bytes(None, "flow/in", data)
    file = FileVersion("in", stored.version, len(data), hashlib.sha256(data).digest())
    return Download(file, Location(None, "flow/in"), target, read_only=True, **fields)


def fetch(store: MemoryStore, wanted: Download, stopped: threading.Event | None = None) -> bytes:
    with closing(Fetcher(store)) as fetcher:
        fetcher.fetch(wanted, stopped or threading.Event())
    return wanted.target.read_bytes()


def test_a_broken_download_continues_where_it_was(store: Breaking, tmp_path: Path) -> None:
    """What has come is not asked for again, and every progress is new patience."""
    data = os.urandom(10 * MIB)
    store.breaks = 9
    assert fetch(store, job(store, data, tmp_path / "target")) == data
    assert [start for start, _ in store.asked] == [number * MIB for number in range(10)]


def test_a_download_without_progress_is_given_up(store: Breaking, tmp_path: Path) -> None:
    """A store that gives nothing any more is told after a few tries."""
    store.breaks, store.chunks_before = 100, 0
    with pytest.raises(StoreError, match="broke"):
        fetch(store, job(store, bytes(MIB), tmp_path / "target"))
    assert len(store.asked) <= TRIES * TRIES


def test_a_large_file_is_fetched_in_ranges(store: Breaking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each range is asked for once, of the right length, and continued by itself where it broke."""
    monkeypatch.setattr(fetching, "RANGE_BYTES", 2 * MIB)
    data = os.urandom(11 * MIB + 17)
    store.breaks = 3
    assert fetch(store, job(store, data, tmp_path / "target")) == data
    whole = [(start, size) for start, size in store.asked if start % (2 * MIB) == 0]
    assert sorted(whole) == [(start, min(2 * MIB, len(data) - start)) for start in range(0, len(data), 2 * MIB)]
    assert len(store.asked) == len(whole) + 3


def test_many_large_files_share_a_bounded_room(
    store: Breaking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More files than ranges may be held all come, side by side."""
    monkeypatch.setattr(fetching, "RANGE_BYTES", MIB)
    monkeypatch.setattr(fetching, "RANGES_HELD", 3)
    data = os.urandom(5 * MIB)
    wanted = [job(store, data, tmp_path / str(number)) for number in range(12)]
    with closing(Transfers(store)) as transfers:
        transfers.download(wanted, threading.Event())
    assert all(one.target.read_bytes() == data for one in wanted)


@pytest.mark.parametrize("size", [5, 5 * MIB])
def test_spoiled_content_is_fetched_again_and_never_given_out(
    store: Breaking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """A flipped bit is noticed by the hash; content that stays wrong is ContentDiffers."""
    monkeypatch.setattr(fetching, "RANGE_BYTES", MIB)
    data = os.urandom(size)
    spoil = [True]

    def touch(chunk: bytes) -> bytes:
        return bytes([chunk[0] ^ 1]) + chunk[1:] if spoil and spoil.pop() else chunk

    store.touch = touch
    assert fetch(store, job(store, data, tmp_path / "target")) == data
    store.touch = lambda chunk: bytes([chunk[0] ^ 1]) + chunk[1:]
    with pytest.raises(ContentDiffers, match="sha256"):
        fetch(store, job(store, data, tmp_path / "other"))


@pytest.mark.parametrize("more", [b"", b"more"])
def test_a_small_file_is_written_once_it_is_known_to_be_right(store: Breaking, tmp_path: Path, more: bytes) -> None:
    """Content of another hash or size leaves no file behind, not even for a moment."""
    wanted = job(store, b"content", tmp_path / "target")
    store.touch = lambda chunk: chunk + more if more else chunk.upper()
    with pytest.raises(ContentDiffers):
        fetch(store, wanted)
    assert list(tmp_path.iterdir()) == []


def test_what_is_more_than_was_stored_is_not_written(
    store: Breaking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that sends more than it was asked for, at the end or in the middle, fills no disk."""
    monkeypatch.setattr(fetching, "RANGE_BYTES", MIB)
    wanted = job(store, bytes(5 * MIB), tmp_path / "target")
    store.touch = lambda chunk: chunk + b"more"
    with pytest.raises(ContentDiffers, match="bytes instead of"):
        fetch(store, wanted)
    assert wanted.target.stat().st_size <= 5 * MIB


def test_a_missing_version_is_not_asked_for_twice(store: Breaking, tmp_path: Path) -> None:
    """What the store no longer has will not come back."""
    wanted = job(store, b"x", tmp_path / "target")
    store.delete_version(None, "flow/in", wanted.file.version)
    with pytest.raises(ObjectMissing):
        fetch(store, wanted)
    assert len(store.asked) == 1


@pytest.mark.parametrize("size", [5, 30 * MIB])
def test_a_stopped_attempt_fetches_no_further(store: Breaking, tmp_path: Path, size: int) -> None:
    """A cancel ends a download between two chunks."""
    stopped = threading.Event()
    store.touch = lambda chunk: (stopped.set(), chunk)[1]
    with pytest.raises(Interrupted):
        fetch(store, job(store, bytes(size), tmp_path / "target"), stopped)


def test_the_target_is_made_anew(store: Breaking, tmp_path: Path) -> None:
    """What an earlier try left in the place is replaced, a link not followed."""
    (tmp_path / "outside").write_text("stays")
    (tmp_path / "target").symlink_to(tmp_path / "outside")
    assert fetch(store, job(store, b"content", tmp_path / "target")) == b"content"
    assert (tmp_path / "outside").read_text() == "stays"
    assert (tmp_path / "target").stat().st_mode & 0o777 == 0o555


def test_inputs_larger_than_the_disk_fail_before_they_are_fetched(
    store: Breaking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ENGINE says how much is wanted and how much there is; what the cache could give up is given up first."""
    (tmp_path / "work").mkdir()
    cache = InputCache(tmp_path / ".cache", 1000)
    with closing(Transfers(store, cache)) as transfers:
        transfers.download([job(store, b"first", tmp_path / "work/first", shared=True)], threading.Event())
        usage = transfer.shutil.disk_usage(tmp_path)
        monkeypatch.setattr(transfer.shutil, "disk_usage", lambda _: usage._replace(free=3))
        assert cache.stats().files == 1
        asked = len(store.asked)
        with pytest.raises(AttemptFailed, match=r"have 6 bytes.*has room for 3") as failed:
            transfers.download([job(store, b"second", tmp_path / "work/second", shared=True)], threading.Event())
        assert failed.value.kind is FailureClass.ENGINE
        assert len(store.asked) == asked
        assert cache.stats().files == 0


def test_what_the_cache_has_needs_no_room(store: Breaking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An input that is linked from the cache fits on a full disk."""
    (tmp_path / "work").mkdir()
    with closing(Transfers(store, InputCache(tmp_path / ".cache", 1000))) as transfers:
        transfers.download([job(store, b"first", tmp_path / "work/first", shared=True)], threading.Event())
        usage = transfer.shutil.disk_usage(tmp_path)
        monkeypatch.setattr(transfer.shutil, "disk_usage", lambda _: usage._replace(free=0))
        transfers.download([job(store, b"first", tmp_path / "work/again", shared=True)], threading.Event())
    assert (tmp_path / "work/again").read_bytes() == b"first"
