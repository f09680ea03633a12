"""The Store port, over every backend."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gaia_core.backends.folder import FolderStore
from gaia_core.backends.memory_store import MemoryStore
from gaia_core.backends.s3 import S3Settings, S3Store
from gaia_core.coordinator import sightings
from gaia_core.errors import NotAllowedNow, ObjectMissing, StoreError
from gaia_core.ports import Store, Stored

MIB = 1024 * 1024
Get = Callable[[str], Any]


def _folder(get: Get) -> Iterator[Store]:
    yield FolderStore(get("tmp_path") / "store")


def _s3(get: Get) -> Iterator[Store]:
    minio, bucket = get("minio"), get("bucket")
    settings = S3Settings(minio.endpoint, minio.access_key, minio.secret_key, secure=False, bucket=bucket)
    with closing(S3Store(settings)) as store:
        yield store


BACKENDS: dict[str, Callable[[Get], Iterator[Store]]] = {
    "memory": lambda _get: iter([MemoryStore()]),
    "folder": _folder,
    "s3": _s3,
}

UNUSUAL = [
    "with space",
    " leading and trailing ",
    "100%25%2F",
    "a+b&c=d?e#f",
    "quote'\"`$(x);*",
    "back\\slash",
    "colon:colon",
    "...",
    ".hidden/-dash/~tilde",
    "Grüße/日本語/🧬",
    "e\u0301 is not \u00e9",
    "\u00e9 is not e\u0301",
    "UPPER/lower",
    "upper/LOWER",
    "s" * 255,
    "/".join(["ü" * 127] * 4),
]
HOSTILE = ["", "/", "/etc/passwd", "..", "../x", "a/../b", "a/./b", "a//b", "a/", "a\x00b", "a\nb", "\ud800"]
TOO_LONG = ["s" * 256, "ü" * 128, "/".join(["s" * 100] * 11)]


@pytest.fixture(params=BACKENDS)
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """A checked store without objects."""
    for one in BACKENDS[request.param](request.getfixturevalue):
        one.check()
        yield one


@pytest.fixture
def file(tmp_path: Path) -> Callable[[bytes], Path]:
    """Make a local file."""

    def make(data: bytes) -> Path:
        path = tmp_path / f"source-{hashlib.sha256(data).hexdigest()[:12]}"
        path.write_bytes(data)
        return path

    return make


def content(store: Store, stored: Stored, bucket: str | None = None) -> bytes:
    return b"".join(store.open(bucket, stored.path, stored.version))


def test_check_may_be_repeated(store: Store) -> None:
    """A store that is in order passes every check, and the check changes nothing in it."""
    stored = store.put_bytes(None, "wf/a", b"x")
    store.check()
    assert store.stat(None, "wf/a") == stored


def test_a_put_is_the_current_version(store: Store) -> None:
    """What a put returns is what stat tells of the object."""
    stored = store.put_bytes(None, "wf/a.txt", b"hello")
    assert (stored.path, stored.size_bytes) == ("wf/a.txt", 5)
    assert store.stat(None, "wf/a.txt") == stored
    assert content(store, stored) == b"hello"


def test_a_file_comes_back_as_it_was(store: Store, file: Callable[[bytes], Path], tmp_path: Path) -> None:
    """get_file writes what put_file read, and leaves the source alone."""
    source = file(b"\x00\xff\r\n" * 1000)
    stored = store.put_file(None, "wf/a.bin", source)
    store.get_file(None, "wf/a.bin", stored.version, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == source.read_bytes() == b"\x00\xff\r\n" * 1000
    assert stored.size_bytes == 4000


def test_an_empty_object_is_an_object(store: Store, file: Callable[[bytes], Path], tmp_path: Path) -> None:
    """An object without bytes is there, of size 0, and comes back as an empty file."""
    for stored in (store.put_bytes(None, "wf/e", b""), store.put_file(None, "wf/f", file(b""))):
        assert store.stat(None, stored.path) == stored
        assert list(store.open(None, stored.path, stored.version)) == []
        store.get_file(None, stored.path, stored.version, tmp_path / stored.path[-1])
        assert (tmp_path / stored.path[-1]).read_bytes() == b""


def test_a_large_file_comes_back_in_chunks(store: Store, file: Callable[[bytes], Path], tmp_path: Path) -> None:
    """30 MiB, more than one part of an upload, come back whole, in chunks of at most 1 MiB."""
    data = b"".join(bytes([number]) * MIB for number in range(30)) + b"tail"
    stored = store.put_file(None, "wf/large", file(data))
    assert stored.size_bytes == len(data)
    chunks = list(store.open(None, "wf/large", stored.version))
    assert max(map(len, chunks)) <= MIB
    assert b"".join(chunks) == data
    store.get_file(None, "wf/large", stored.version, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == data


@pytest.mark.parametrize(
    ("start", "size", "expected"),
    [(0, None, slice(0, None)), (1, None, slice(1, None)), (3, 4, slice(3, 7)), (0, 1, slice(0, 1)),
     (MIB - 1, 2, slice(MIB - 1, MIB + 1)), (2 * MIB, 5 * MIB, slice(2 * MIB, None)), (3 * MIB, None, slice(0, 0)),
     (3 * MIB, 1, slice(0, 0))],
)  # fmt: skip
def test_a_part_of_an_object_is_read_by_its_place(store: Store, start: int, size: int | None, expected: slice) -> None:
    """A reading may begin anywhere and end anywhere; behind the end there is nothing."""
    data = os.urandom(3 * MIB)
    stored = store.put_bytes(None, "wf/a", data)
    chunks = list(store.open(None, "wf/a", stored.version, start, size))
    assert b"".join(chunks) == data[expected]
    assert all(0 < len(chunk) <= MIB for chunk in chunks)


def test_an_empty_object_has_no_part(store: Store) -> None:
    """Nothing comes of an empty object, wherever a reading begins, and a missing one is missing there too."""
    stored = store.put_bytes(None, "wf/e", b"")
    assert list(store.open(None, "wf/e", stored.version, 5)) == []
    with pytest.raises(ObjectMissing):
        list(store.open(None, "wf/nothing", stored.version, 5))


@pytest.mark.parametrize("size", [0, 5, 17 * MIB])
def test_a_put_tells_the_hash_of_what_it_stored(store: Store, file: Callable[[bytes], Path], size: int) -> None:
    """Whoever puts a file need not read it a second time for its sha256; where the open file stands does not matter."""
    data = os.urandom(size)
    digest = hashlib.sha256(data).digest()
    with file(data).open("rb") as source:
        source.seek(0, os.SEEK_END)
        stored = store.put_open(None, "wf/a", source, "mark")
    assert (stored.size_bytes, stored.sha256) == (size, digest)
    assert store.put_file(None, "wf/a", file(data)).sha256 == digest
    assert content(store, stored) == data
    assert store.mark_of(None, "wf/a", stored.version) == "mark"


def test_a_put_may_be_given_up(store: Store, file: Callable[[bytes], Path]) -> None:
    """Nothing is stored of a large file whose put is stopped half-way, and the reason passes through."""
    asked: list[int] = []

    def sure() -> None:
        asked.append(1)
        if len(asked) == 2:
            raise NotAllowedNow("no longer wanted")

    with file(os.urandom(40 * MIB)).open("rb") as source, pytest.raises(NotAllowedNow):
        store.put_open(None, "wf/a", source, sure=sure if not isinstance(store, MemoryStore) else _refuse)
    assert store.stat(None, "wf/a") is None
    assert list(store.list_versions(None, "wf/")) == []


def _refuse() -> None:
    raise NotAllowedNow("no longer wanted")


@pytest.mark.parametrize("size", [MIB - 1, MIB, MIB + 1, 16 * MIB, 16 * MIB + 1])
def test_sizes_around_the_limits_come_back(store: Store, file: Callable[[bytes], Path], size: int) -> None:
    """No byte is lost or added where a chunk or a part ends."""
    data = os.urandom(MIB) * (size // MIB) + b"x" * (size % MIB)
    stored = store.put_file(None, "wf/a", file(data))
    assert stored.size_bytes == size
    assert hashlib.sha256(content(store, stored)).digest() == hashlib.sha256(data).digest()


def test_versions_are_immutable(store: Store) -> None:
    """A further put is the current version and leaves every earlier one as it was, same content or not."""
    versions = [store.put_bytes(None, "wf/a", data) for data in (b"one", b"two", b"two", b"one")]
    assert len({stored.version for stored in versions}) == 4
    assert store.stat(None, "wf/a") == versions[-1]
    assert [content(store, stored) for stored in versions] == [b"one", b"two", b"two", b"one"]


def test_the_receiver_may_change_its_copy(store: Store, tmp_path: Path) -> None:
    """A file handed out is the receiver's own: writing to it changes no version."""
    stored = store.put_bytes(None, "wf/a", b"original")
    target = tmp_path / "target"
    store.get_file(None, "wf/a", stored.version, target)
    with target.open("r+b") as copy:
        copy.write(b"CHANGED!")
    assert content(store, stored) == b"original"


def test_the_source_may_be_changed_after_a_put(store: Store, file: Callable[[bytes], Path]) -> None:
    """Once put_file has returned, the source is no longer needed nor looked at."""
    source = file(b"original")
    stored = store.put_file(None, "wf/a", source)
    source.write_bytes(b"CHANGED!")
    assert content(store, stored) == b"original"
    source.unlink()
    assert content(store, stored) == b"original"


def test_what_is_not_there_is_none(store: Store) -> None:
    """stat of no object, of a folder, and below an object is None."""
    store.put_bytes(None, "wf/folder/a", b"x")
    for path in ("wf/b", "wf/folder", "wf", "other/a", "wf/folder/a/below"):
        assert store.stat(None, path) is None


@pytest.mark.parametrize("path", ["wf/a", "wf/b", "wf/a/below", "wf"])
@pytest.mark.parametrize(
    "version", ["", "null", "nonsense", "../../a", "v" + "0" * 16 + "-1", "00000000-0000-4000-8000-000000000000"]
)
def test_no_such_version_is_missing(store: Store, tmp_path: Path, path: str, version: str) -> None:
    """An object or version that is not there raises ObjectMissing, before anything is handed out or made."""
    store.put_bytes(None, "wf/a", b"x")
    with pytest.raises(ObjectMissing):
        next(store.open(None, path, version))
    with pytest.raises(ObjectMissing):
        store.get_file(None, path, version, tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_a_version_belongs_to_its_path(store: Store) -> None:
    """A version of one object is no version of another, even one of the same content."""
    stored = store.put_bytes(None, "wf/a", b"x")
    store.put_bytes(None, "wf/b", b"x")
    with pytest.raises(ObjectMissing):
        next(store.open(None, "wf/b", stored.version))


def test_an_existing_target_is_left_alone(store: Store, tmp_path: Path) -> None:
    """get_file writes new files only."""
    stored = store.put_bytes(None, "wf/a", b"x")
    (tmp_path / "target").write_bytes(b"precious")
    with pytest.raises(StoreError):
        store.get_file(None, "wf/a", stored.version, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"precious"


def test_a_missing_source_is_an_error_of_ours(store: Store, tmp_path: Path) -> None:
    """A local file that cannot be read raises StoreError, and no object appears."""
    with pytest.raises(StoreError, match="nowhere"):
        store.put_file(None, "wf/a", tmp_path / "nowhere")
    assert store.stat(None, "wf/a") is None


def test_reading_may_be_given_up(store: Store) -> None:
    """A reader that stops early, or never starts, spoils nothing for the next."""
    stored = store.put_bytes(None, "wf/a", b"x" * 3 * MIB)
    store.open(None, "wf/a", stored.version)
    chunks = store.open(None, "wf/a", stored.version)
    assert next(chunks)
    chunks.close()  # type: ignore[attr-defined]
    assert content(store, stored) == b"x" * 3 * MIB


@pytest.mark.parametrize("order", [["a", "a/b", "a/b/c"], ["a/b/c", "a/b", "a"], ["a/b", "a", "a/b/c"]])
def test_an_object_may_lie_beside_a_folder(store: Store, order: list[str]) -> None:
    """`a`, `a/b` and `a/b/c` are three objects, in whatever order they came."""
    first = {path: store.put_bytes(None, f"wf/{path}", path.encode()) for path in order}
    second = {path: store.put_bytes(None, f"wf/{path}", b"again " + path.encode()) for path in order}
    for path in order:
        assert store.stat(None, f"wf/{path}") == second[path]
        assert content(store, first[path]) == path.encode()
        assert content(store, second[path]) == b"again " + path.encode()
        store.delete_version(None, f"wf/{path}", second[path].version)
        assert store.stat(None, f"wf/{path}") == first[path]


def test_listing_names_objects_beside_folders(store: Store) -> None:
    """A listing has `a` and `a/b`, where the server lists both: MinIO leaves out `a/b` as long as `a` is there.

    Source: MinIO documentation, Thresholds and Limits, conflicting objects.
    """
    stored = [store.put_bytes(None, path, b"x") for path in ("wf/a", "wf/a-b", "wf/a/b", "wf/a/b/c", "wf/a0")]
    shown = stored if not isinstance(store, S3Store) else [one for one in stored if not one.path.startswith("wf/a/")]
    assert store.list(None, "wf/", 10) == shown
    assert store.list(None, "wf/a", 10) == shown
    store.delete_version(None, "wf/a", stored[0].version)
    assert store.list(None, "wf/", 10) == [one for one in stored[1:] if one in shown or one.path == "wf/a/b"]


def test_a_listing_is_in_path_order(store: Store) -> None:
    """Objects come in the order of their paths' bytes: "a-b", "a/b", "a0"; Z before a, ASCII before the rest."""
    paths = ["wf/Z", "wf/a-b", "wf/a.b/x", "wf/a/b", "wf/a/c/d", "wf/a0", "wf/b", "wf/é", "wf/日", "wf/🧬"]
    stored = [store.put_bytes(None, path, b"x") for path in reversed(paths)]
    assert store.list(None, "wf/", 100) == stored[::-1]
    assert store.list(None, "", 100) == stored[::-1]


def test_a_prefix_is_text_not_a_folder(store: Store) -> None:
    """A listing has what begins with the prefix, wherever the prefix ends."""
    for path in ("wf/a/1", "wf/a/2", "wf/ab", "wf2/a", "x"):
        store.put_bytes(None, path, b"x")

    def paths(prefix: str) -> list[str]:
        return [stored.path for stored in store.list(None, prefix, 100)]

    assert paths("wf") == ["wf/a/1", "wf/a/2", "wf/ab", "wf2/a"]
    assert paths("wf/") == ["wf/a/1", "wf/a/2", "wf/ab"]
    assert paths("wf/a") == ["wf/a/1", "wf/a/2", "wf/ab"]
    assert paths("wf/a/") == ["wf/a/1", "wf/a/2"]
    assert paths("wf/a/1") == ["wf/a/1"]
    assert paths("wf/a/1/") == paths("wf/b") == paths("nothing/here/") == []


def test_a_listing_is_bounded(store: Store) -> None:
    """A listing has the first `most` objects and no more."""
    stored = [store.put_bytes(None, f"wf/{number}", b"x") for number in range(5)]
    assert [store.list(None, "wf/", most) for most in (0, 1, 4, 5, 6)] == [stored[:most] for most in (0, 1, 4, 5, 6)]


def test_a_listing_shows_current_versions_only(store: Store) -> None:
    """An object of several versions is listed once, as it is now."""
    store.put_bytes(None, "wf/a", b"old")
    stored = [store.put_bytes(None, "wf/a", b"new"), store.put_bytes(None, "wf/b", b"x")]
    assert store.list(None, "wf/", 100) == stored


def test_unusual_names_are_names(store: Store) -> None:
    """Every path that is not refused is kept to the byte: stat, listing and content all find it."""
    stored = {path: store.put_bytes(None, path, path.encode()) for path in UNUSUAL}
    assert store.list(None, "", 100) == [stored[path] for path in sorted(UNUSUAL)]
    for path in UNUSUAL:
        assert store.stat(None, path) == stored[path]
        assert content(store, stored[path]) == path.encode()
        assert store.list(None, path, 100)[0] == stored[path]


@pytest.mark.parametrize("path", HOSTILE + TOO_LONG)
def test_paths_that_no_store_holds_are_refused(store: Store, tmp_path: Path, path: str) -> None:
    """A path that leads elsewhere, or that one of the stores could not hold, is refused by all, by every method."""
    calls: list[Callable[[], object]] = [
        lambda: store.put_bytes(None, path, b"x"),
        lambda: store.put_file(None, path, Path(__file__)),
        lambda: store.stat(None, path),
        lambda: next(store.open(None, path, "v")),
        lambda: store.get_file(None, path, "v", tmp_path / "target"),
        lambda: store.delete_version(None, path, "v"),
    ]
    for call in calls:
        with pytest.raises(StoreError):
            call()


@pytest.mark.parametrize("prefix", ["/", "../", "a/../b", "a//", "./", "a/.", "..", "a\x00"])
def test_prefixes_that_lead_elsewhere_are_refused(store: Store, prefix: str) -> None:
    """A prefix that no object's path begins with for good reasons is refused rather than looked up."""
    with pytest.raises(StoreError):
        store.list(None, prefix, 10)
    with pytest.raises(StoreError):
        store.delete_all(None, prefix, 10)


def test_puts_to_one_path_at_once_are_all_kept(store: Store) -> None:
    """Of puts from several threads every one is a version, and one of them is the current one."""
    with ThreadPoolExecutor(8) as threads:
        stored = list(threads.map(lambda number: store.put_bytes(None, "wf/a", b"%d" % number), range(64)))
    assert [content(store, one) for one in stored] == [b"%d" % number for number in range(64)]
    assert store.stat(None, "wf/a") in stored


def test_puts_and_deletions_of_neighbours_do_not_disturb_each_other(store: Store) -> None:
    """Threads that fill and empty one folder, an object of the folder's own name among them, all get their way."""

    def fill_and_empty(number: int) -> None:
        path = "wf/deep/folder" if number % 8 == 0 else f"wf/deep/folder/{number % 4}/{number}"
        stored = store.put_bytes(None, path, b"%d" % number)
        assert content(store, stored) == b"%d" % number
        store.delete_version(None, path, stored.version)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(fill_and_empty, range(160)))
    assert store.list(None, "", 10) == []


def test_deleting_the_current_version_brings_back_the_one_before(store: Store) -> None:
    """Deletions undo puts: the newest version left is the current one, and after the last there is no object."""
    versions = [store.put_bytes(None, "wf/a", data) for data in (b"one", b"two", b"three")]
    while versions:
        store.delete_version(None, "wf/a", versions.pop().version)
        assert store.stat(None, "wf/a") == (versions[-1] if versions else None)
        assert store.list(None, "wf/", 10) == versions[-1:]


def test_deleting_an_old_version_leaves_the_current_one(store: Store) -> None:
    """Only the version that was named is gone."""
    old, current = store.put_bytes(None, "wf/a", b"old"), store.put_bytes(None, "wf/a", b"new")
    store.delete_version(None, "wf/a", old.version)
    assert store.stat(None, "wf/a") == current
    assert content(store, current) == b"new"
    with pytest.raises(ObjectMissing):
        next(store.open(None, "wf/a", old.version))


@pytest.mark.parametrize("version", ["", "null", "nonsense", "../../a", "00000000-0000-4000-8000-000000000000"])
def test_deleting_what_is_not_there_is_fine(store: Store, version: str) -> None:
    """A deletion may be repeated, and one of nothing changes nothing."""
    stored = store.put_bytes(None, "wf/a", b"x")
    store.delete_version(None, "wf/a", version)
    store.delete_version(None, "wf/b", version)
    store.delete_version(None, "wf/b", stored.version)
    assert store.stat(None, "wf/a") == stored
    for _ in range(2):
        store.delete_version(None, "wf/a", stored.version)
    assert store.stat(None, "wf/a") is None


def test_an_object_can_come_again_after_its_deletion(store: Store) -> None:
    """After its last version is gone a path is free, for an object as for a folder."""
    for path in ("wf/a/b", "wf/a", "wf/a/b/c"):
        stored = store.put_bytes(None, path, path.encode())
        assert store.stat(None, path) == stored
        store.delete_version(None, path, stored.version)
    assert store.list(None, "", 10) == []


def test_all_versions_under_a_prefix_can_be_deleted(store: Store) -> None:
    """Current versions and old ones go, portion by portion, until none is left; what lies beside the prefix stays."""
    gone = [store.put_bytes(None, path, b"%d" % each) for each in range(3) for path in ("wf/a", "wf/a/b", "wf/t/c")]
    kept = [store.put_bytes(None, path, b"x") for path in ("wf2/a", "x/wf/a")]
    counts = [store.delete_all(None, "wf/", 2)]
    while counts[-1]:
        assert counts[-1] <= 2
        counts.append(store.delete_all(None, "wf/", 2))
    assert 3 <= sum(counts) <= 9
    assert store.list(None, "", 100) == kept
    for one in gone:
        assert store.stat(None, one.path) is None
        with pytest.raises(ObjectMissing):
            content(store, one)
    assert [content(store, one) for one in kept] == [b"x"] * 2
    again = store.put_bytes(None, "wf/a", b"new")
    assert store.list(None, "wf/", 100) == [again]


@pytest.mark.parametrize("beside", [(), ("wf/d/in",), ("wf/d",), ("wf/d/in/1",)])
def test_a_look_for_many_keys_finds_what_single_looks_find(store: Store, beside: tuple[str, ...]) -> None:
    """Whether a folder is listed or its files are asked for one by one, also where an object has a folder's name."""
    for path in ("wf/d/in/2", "wf/d/in/3/x", "wf/d/in/4", *beside):
        store.put_bytes(None, path, b"x")
    keys = [*(f"d/in/{number}" for number in range(1, 6)), "d/in/3/x", "d/in", "d"]
    seen = sightings.look(store, "wf", keys, lambda: False)
    one_by_one = {key: found for key in keys if (found := sightings.find(store, "wf", key)) is not None}
    assert seen.found == one_by_one
    assert len(one_by_one) == 3 + len(beside)


def test_who_is_not_sure_deletes_nothing(store: Store) -> None:
    """What is to be deleted is chosen first; then somebody may still say no."""
    kept = store.put_bytes(None, "wf/a", b"x")

    def refuse() -> None:
        raise NotAllowedNow("no")

    with pytest.raises(NotAllowedNow):
        store.delete_all(None, "wf/", 10, refuse)
    assert content(store, kept) == b"x"


def test_deleting_all_of_nothing_is_fine(store: Store) -> None:
    """A prefix under which nothing lies counts nothing, and so does a portion of nothing."""
    store.put_bytes(None, "wf/a", b"x")
    assert store.delete_all(None, "other/", 10) == 0
    assert store.delete_all(None, "wf/", 0) == 0
    assert store.stat(None, "wf/a") is not None


@pytest.mark.parametrize("name", ["UPPER", "a", "../x", ".versions", "with/slash", "", "a..b"])
def test_what_is_no_bucket_is_refused(store: Store, name: str) -> None:
    """A bucket's name that S3 does not know leads nowhere."""
    with pytest.raises(StoreError, match="bucket"):
        store.put_bytes(name, "wf/a", b"x")
    with pytest.raises(StoreError, match="bucket"):
        store.list(name, "", 10)


def test_every_version_is_listed_the_latest_first(store: Store) -> None:
    """All versions of a path come together, the latest first, and only that one is current; other paths stay out."""
    put = {path: [store.put_bytes(None, path, data) for data in (b"1", b"22", b"333")] for path in ("wf/a", "wf/a/b")}
    store.put_bytes(None, "other/a", b"x")
    listed = [one for one in store.list_versions(None, "wf/") if one.path == "wf/a"]
    assert [(one.version, one.size_bytes) for one in listed] == [
        (one.version, one.size_bytes) for one in reversed(put["wf/a"])
    ]
    assert [one.is_current for one in listed] == [True, False, False]
    assert {one.path for one in store.list_versions(None, "wf/")} <= set(put)
    assert len(list(store.list_versions(None, ""))) >= 4
    assert not list(store.list_versions(None, "nothing"))


def test_a_listed_version_has_its_time(store: Store) -> None:
    """A version tells when it was stored."""
    before_ms = time.time() * 1000 - 2000  # S3 tells milliseconds, but not every clock is ours
    store.put_bytes(None, "wf/a", b"x")
    (listed,) = store.list_versions(None, "wf/")
    assert before_ms < listed.modified_ms < time.time() * 1000 + 2000


def test_deleting_the_current_version_makes_the_one_before_current(store: Store) -> None:
    """What is listed follows each deletion, to the last version."""
    versions = [store.put_bytes(None, "wf/a", data).version for data in (b"1", b"2", b"3")]
    for left in (2, 1, 0):
        store.delete_version(None, "wf/a", versions[left])
        listed = list(store.list_versions(None, "wf/"))
        assert [one.version for one in listed] == versions[:left][::-1]
        assert [one.is_current for one in listed] == ([True, False] if left else [])[:left]


def test_a_version_keeps_the_mark_it_was_stored_with(store: Store, file: Callable[[bytes], Path]) -> None:
    """A mark belongs to one version; one without a mark has none, nor has one that is not there."""
    mark = "attempt-0123abcd-7-12-3_" + "x" * 50
    marked = store.put_file(None, "wf/a", file(b"1"), mark=mark)
    plain = store.put_bytes(None, "wf/a", b"1")
    other = store.put_bytes(None, "wf/a", b"1", mark="other")
    assert [store.mark_of(None, "wf/a", one.version) for one in (marked, plain, other)] == [mark, "", "other"]
    store.delete_version(None, "wf/a", marked.version)
    assert store.mark_of(None, "wf/a", marked.version) == ""
    assert store.mark_of(None, "wf/a", "../x") == ""
    assert store.mark_of(None, "wf/nothing", other.version) == ""


@pytest.mark.parametrize("mark", ["a b", "a/b", "ä", "x" * 81, "a.b", "\n"])
def test_a_mark_that_not_every_store_can_keep_is_refused(
    store: Store, mark: str, file: Callable[[bytes], Path]
) -> None:
    """Marks are short words of letters, digits, "-" and "_"; with another one nothing is stored."""
    for put in (
        lambda: store.put_bytes(None, "wf/a", b"x", mark=mark),
        lambda: store.put_file(None, "wf/a", file(b"x"), mark=mark),
    ):
        with pytest.raises(StoreError):
            put()
    assert store.stat(None, "wf/a") is None


def test_nothing_unfinished_is_cleared_where_all_puts_ended(store: Store) -> None:
    """Puts that ended are no leftovers, however old they are."""
    stored = store.put_bytes(None, "wf/a", b"x")
    assert store.clear_unfinished(int(time.time() * 1000) + 60_000) == 0
    assert content(store, stored) == b"x"
