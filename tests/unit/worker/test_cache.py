"""The cache of inputs: what is here is not fetched, what is wrong is thrown away, what is too much is dropped."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gaia_worker import cache as module
from gaia_worker.cache import InputCache
from gaia_worker.retrying import Interrupted

NEVER = threading.Event()


class Desk:
    """A cache with targets of its own, and a count of what was fetched."""

    def __init__(self, folder: Path, size_bytes_max: int = 1000) -> None:
        self.folder = folder / ".cache"
        self.targets = folder / f"targets-{len(list(folder.iterdir()))}"
        self.targets.mkdir()
        self.cache = InputCache(self.folder, size_bytes_max)
        self.fetched: list[bytes] = []

    def want(self, data: bytes, *, shared: bool = True, mode: int = 0o555) -> Path:
        """Ask for a content and return where it lies."""
        target = self.targets / str(len(list(self.targets.iterdir())))

        def fetch() -> None:
            self.fetched.append(data)
            target.write_bytes(data)
            target.chmod(mode)

        digest = hashlib.sha256(data).digest()
        self.cache.provide(digest, target, fetch, NEVER, size_bytes=len(data), mode=mode, shared=shared)
        return target

    def place(self, data: bytes) -> Path:
        """Return where the cache has a content."""
        name = hashlib.sha256(data).hexdigest()
        return self.folder / name[:2] / name


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """An empty cache of 1,000 bytes."""
    return Desk(tmp_path)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("second", [True, False])
def test_what_was_here_is_not_fetched_again(desk: Desk, first: bool, second: bool) -> None:
    """The second use comes from the cache, be it by a link or by a copy, whatever the first one was."""
    assert desk.want(b"content", shared=first).read_bytes() == b"content"
    assert desk.want(b"content", shared=second).read_bytes() == b"content"
    assert desk.fetched == [b"content"]
    stats = desk.cache.stats()
    assert (stats.files, stats.size_bytes, stats.hits, stats.misses, stats.hit_bytes) == (1, 7, 1, 1, 7)


def test_a_program_that_may_write_gets_a_file_of_its_own(desk: Desk) -> None:
    """What is laid among a program's outputs shares nothing with the cache; a link is read-only."""
    laid_in = [desk.want(b"content", shared=False, mode=0o755), desk.want(b"content", shared=False, mode=0o755)]
    for file in laid_in:
        assert file.stat().st_mode & 0o777 == 0o755
        file.write_bytes(b"changed")
    linked = desk.want(b"content")
    assert linked.read_bytes() == b"content"
    assert linked.stat().st_mode & 0o777 == 0o555
    assert linked.stat().st_ino == desk.place(b"content").stat().st_ino
    assert len(desk.fetched) == 1


def test_a_restarted_worker_finds_what_the_earlier_one_had(tmp_path: Path) -> None:
    """A new cache in the same folder knows the old content, having read it once."""
    Desk(tmp_path).want(b"content")
    later = Desk(tmp_path)
    assert later.cache.stats().files == 1
    assert later.cache.holds(hashlib.sha256(b"content").digest())
    assert later.want(b"content").read_bytes() == b"content"
    assert later.fetched == []


@pytest.mark.parametrize("spoiled", [b"", b"con", b"cOntent", b"content and more"])
@pytest.mark.parametrize("restart", [True, False])
def test_broken_content_is_thrown_away(tmp_path: Path, spoiled: bytes, restart: bool) -> None:
    """A file that is not what its name says, after a power cut or an edit, is fetched anew and right from then on."""
    desk = Desk(tmp_path)
    desk.want(b"content")
    place = desk.place(b"content")
    place.chmod(0o755)
    place.write_bytes(spoiled)
    os.utime(place, ns=(1, 1))
    if restart:
        desk = Desk(tmp_path)
    assert desk.want(b"content").read_bytes() == b"content"
    assert desk.want(b"content").read_bytes() == b"content"
    assert desk.fetched[-1:] == [b"content"]
    assert place.read_bytes() == b"content"


def test_what_was_used_least_lately_goes_first(desk: Desk) -> None:
    """The limit holds, and what was used just now stays."""
    old, used, new = bytes(400), bytes([1]) * 400, bytes([2]) * 400
    desk.want(old)
    desk.want(used)
    desk.want(old)
    desk.want(new)
    assert desk.cache.stats().size_bytes == 800
    assert not desk.place(used).exists()
    desk.want(old)
    desk.want(used)
    assert desk.fetched == [old, used, new, used]


def test_the_order_of_use_survives_a_restart(tmp_path: Path) -> None:
    """A new worker with a smaller limit keeps what was used last."""
    desk = Desk(tmp_path)
    for number in range(4):
        desk.want(bytes([number]) * 200)
    desk.want(bytes([0]) * 200)
    for place, when in zip([1, 2, 3, 0], range(4), strict=True):  # a clock that is too coarse would tell nothing
        os.utime(desk.place(bytes([place]) * 200), ns=(when, desk.place(bytes([place]) * 200).stat().st_mtime_ns))
    smaller = Desk(tmp_path, 400)
    assert smaller.cache.stats().size_bytes == 400
    smaller.want(bytes([0]) * 200)
    smaller.want(bytes([3]) * 200)
    assert smaller.fetched == []


def test_what_other_workers_keep_in_the_folder_counts(tmp_path: Path) -> None:
    """Two workers that share a folder stay together below the limit, and use each other's content."""
    one, other = Desk(tmp_path), Desk(tmp_path)
    for number in range(8):
        one.want(bytes([number]) * 200)
        other.want(bytes([100 + number]) * 200)
    assert sum(file.stat().st_size for file in one.folder.rglob("*") if file.is_file()) <= 1200
    one.want(b"shared")
    other.want(b"shared")
    assert other.fetched[-1] != b"shared"


@pytest.mark.parametrize("size", [0, 1001])
def test_what_does_not_fit_is_just_fetched(desk: Desk, size: int) -> None:
    """A file larger than the whole cache drives nothing out, and an empty one is not worth a place."""
    desk.want(b"content")
    for _ in range(2):
        assert len(desk.want(bytes(size)).read_bytes()) == size
    assert desk.fetched == [b"content", bytes(size), bytes(size)]
    assert desk.cache.stats().files == 1


def test_a_limit_of_nothing_keeps_nothing(tmp_path: Path) -> None:
    """Without a cache everything is fetched, and what an earlier worker kept is removed."""
    Desk(tmp_path).want(b"content")
    without = Desk(tmp_path, 0)
    without.want(b"content")
    assert without.fetched == [b"content"]
    assert [path for path in without.folder.rglob("*") if path.is_file()] == []


def test_of_several_who_want_the_same_one_fetches(desk: Desk) -> None:
    """Attempts that start together with the same input move it once."""
    began, go_on = threading.Event(), threading.Event()
    fetched: list[Path] = []
    digest = hashlib.sha256(b"content").digest()

    def want(number: int) -> Path:
        target = desk.targets / str(number)

        def fetch() -> None:
            fetched.append(target)
            began.set()
            assert go_on.wait(30)
            target.write_bytes(b"content")

        desk.cache.provide(digest, target, fetch, NEVER, size_bytes=7, mode=0o555, shared=True)
        return target

    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(want, number) for number in range(8)]
        assert began.wait(30)
        go_on.set()
        assert [one.result(30).read_bytes() for one in asked] == [b"content"] * 8
    assert len(fetched) == 1


def test_a_file_that_another_worker_drops_meanwhile_is_fetched_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two tries to link it a cached file may be driven out; that is no failure of the attempt."""
    desk.want(b"content")
    link = os.link

    def drop(source: str | Path, target: str | Path) -> None:
        Path(target).write_bytes(b"in the way")
        monkeypatch.setattr(os, "link", link)
        desk.place(b"content").unlink()
        raise FileExistsError(target)

    monkeypatch.setattr(os, "link", drop)
    assert desk.want(b"content").read_bytes() == b"content"
    assert desk.fetched == [b"content", b"content"]


def test_where_one_fails_to_fetch_the_next_one_tries(desk: Desk) -> None:
    """A failed fetch is its own attempt's failure and keeps nothing."""

    def fail() -> None:
        raise OSError("gone")

    digest = hashlib.sha256(b"content").digest()
    with pytest.raises(OSError, match="gone"):
        desk.cache.provide(digest, desk.targets / "x", fail, NEVER, size_bytes=7, mode=0o555, shared=True)
    assert desk.want(b"content").read_bytes() == b"content"


def test_a_stopped_attempt_waits_for_nobodys_fetching(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancel ends the wait for another attempt's download."""
    monkeypatch.setattr(module, "WAIT_S", 0.001)
    began, go_on, stopped = threading.Event(), threading.Event(), threading.Event()
    digest = hashlib.sha256(b"content").digest()

    def ask(fetch: Callable[[], None], stop: threading.Event) -> None:
        desk.cache.provide(digest, desk.targets / "x", fetch, stop, size_bytes=7, mode=0o555, shared=True)

    def slow() -> None:
        began.set()
        assert go_on.wait(30)

    stopped.set()
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(ask, slow, NEVER)
        assert began.wait(30)
        with pytest.raises(Interrupted):
            ask(slow, stopped)
        go_on.set()
        first.result(30)


def test_an_output_enters_by_a_link(desk: Desk) -> None:
    """What was just stored is here for its readers, and can no longer be written."""
    output = desk.targets / "output"
    output.write_bytes(b"content")
    with output.open("rb") as file:
        desk.cache.adopt(file.fileno(), hashlib.sha256(b"content").digest())
    assert desk.place(b"content").stat().st_ino == output.stat().st_ino
    assert desk.place(b"content").stat().st_mode & 0o222 == 0
    output.unlink()
    assert desk.want(b"content").read_bytes() == b"content"
    assert desk.fetched == []


def test_an_output_with_another_name_is_not_adopted(desk: Desk) -> None:
    """What somebody else could still change through another name stays out."""
    output = desk.targets / "output"
    output.write_bytes(b"content")
    (desk.targets / "other").hardlink_to(output)
    with output.open("rb") as file:
        desk.cache.adopt(file.fileno(), hashlib.sha256(b"content").digest())
    assert desk.cache.stats().files == 0


def test_a_cleared_folder_is_no_hindrance(desk: Desk) -> None:
    """Somebody may remove the cache while the worker runs; it begins anew."""
    desk.want(b"content")
    desk.place(b"content").unlink()
    desk.place(b"content").parent.rmdir()
    for _ in range(3):
        assert desk.want(b"content").read_bytes() == b"content"
    assert len(desk.fetched) <= 3


def test_room_is_given_back(desk: Desk) -> None:
    """The cache shrinks by what the disk is wanted for."""
    for number in range(5):
        desk.want(bytes([number]) * 200)
    desk.cache.give_back(300)
    assert desk.cache.stats().size_bytes == 600
    assert not desk.place(bytes([0]) * 200).exists()
    desk.cache.give_back(10_000)
    assert desk.cache.stats().files == 0
