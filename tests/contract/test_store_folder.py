"""What the folder store promises beyond the port: files that people find, drop and edit; links; kills; buckets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gaia_core.backends.folder import LEFTOVER_S, FolderStore
from gaia_core.errors import ConfigError, ObjectMissing, StoreError
from gaia_core.ports import Stored
from tests.support.waiting import wait_until

PUTTING = """
import sys
from pathlib import Path
from gaia_core.backends.folder import FolderStore
FolderStore(Path(sys.argv[1])).put_file(None, "wf/a", Path(sys.argv[2]))
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The store's folder."""
    return tmp_path / "store"


@pytest.fixture
def plain(root: Path) -> Path:
    """The folder that people look into."""
    return root / "data"


@pytest.fixture
def store(root: Path) -> FolderStore:
    """A checked store without objects."""
    one = FolderStore(root)
    one.check()
    return one


def drop(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def content(store: FolderStore, stored: Stored | None, bucket: str | None = None) -> bytes:
    assert stored is not None
    return b"".join(store.open(bucket, stored.path, stored.version))


def kept_files(root: Path) -> list[Path]:
    return [path for path in (root / ".versions").rglob("*") if path.is_file()]


def test_the_current_version_lies_at_its_plain_path(store: FolderStore, plain: Path) -> None:
    """A person finds each object as a file of its name, and the newest content in it."""
    store.put_bytes(None, "wf/sub folder/Grüße.txt", b"old")
    store.put_bytes(None, "wf/sub folder/Grüße.txt", b"new")
    assert (plain / "wf/sub folder/Grüße.txt").read_bytes() == b"new"


def test_the_plain_file_costs_no_space(store: FolderStore, plain: Path) -> None:
    """The plain file and the version kept aside are one file, and nobody is invited to write to it."""
    store.put_bytes(None, "wf/a", b"x")
    status = (plain / "wf/a").stat()
    assert status.st_nlink == 2
    assert status.st_mode & 0o222 == 0


def test_a_dropped_file_is_an_object(store: FolderStore, plain: Path, tmp_path: Path) -> None:
    """A file that a person put into the folder is seen by stat and list, and can be got."""
    drop(plain / "wf/in/reads.fq", b"ACGT")
    stored = store.stat(None, "wf/in/reads.fq")
    assert stored is not None
    assert stored.size_bytes == 4
    assert store.list(None, "wf/", 10) == [stored]
    assert content(store, stored) == b"ACGT"
    store.get_file(None, stored.path, stored.version, tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == b"ACGT"


def test_a_dropped_file_that_changes_is_another_version(store: FolderStore, plain: Path) -> None:
    """Once it is replaced, even by as many bytes of the same time, its old version is missing."""
    drop(plain / "wf/a", b"one")
    first = store.stat(None, "wf/a")
    assert first is not None
    drop(plain / "wf/new", b"two")
    times = (plain / "wf/a").stat()
    os.utime(plain / "wf/new", ns=(times.st_atime_ns, times.st_mtime_ns))
    (plain / "wf/new").replace(plain / "wf/a")
    second = store.stat(None, "wf/a")
    assert second != first
    assert content(store, second) == b"two"
    with pytest.raises(ObjectMissing):
        content(store, first)


def test_a_dropped_file_that_changes_while_it_is_read_is_missing(
    store: FolderStore, plain: Path, tmp_path: Path
) -> None:
    """No mixture of two contents is handed out as one version, and no part of it stays at the target."""
    drop(plain / "wf/a", b"x" * 3 * 1024 * 1024)
    stored = store.stat(None, "wf/a")
    assert stored is not None
    chunks = store.open(None, "wf/a", stored.version)
    next(chunks)
    with (plain / "wf/a").open("ab") as file:
        file.write(b"more")
    with pytest.raises(ObjectMissing, match="changed"):
        list(chunks)


def test_a_put_keeps_the_dropped_file_it_replaces(store: FolderStore, plain: Path) -> None:
    """What a person dropped stays readable by its version, and is there again when the put is undone."""
    drop(plain / "wf/a", b"dropped")
    dropped = store.stat(None, "wf/a")
    assert dropped is not None
    stored = store.put_bytes(None, "wf/a", b"computed")
    assert store.stat(None, "wf/a") == stored
    assert content(store, dropped) == b"dropped"
    store.delete_version(None, "wf/a", stored.version)
    assert store.stat(None, "wf/a") == dropped
    store.delete_version(None, "wf/a", dropped.version)
    assert store.stat(None, "wf/a") is None


def test_an_edited_plain_file_is_an_outside_arrival(store: FolderStore, plain: Path) -> None:
    """Whoever overcomes the file's mode and edits in place gets a new version; the old is missing, not false."""
    stored = store.put_bytes(None, "wf/a", b"original")
    (plain / "wf/a").chmod(0o644)
    with (plain / "wf/a").open("ab") as file:
        file.write(b" and more")
    edited = store.stat(None, "wf/a")
    assert edited is not None
    assert edited.version != stored.version
    assert content(store, edited) == b"original and more"
    with pytest.raises(ObjectMissing):
        content(store, stored)


def test_a_removed_plain_file_is_no_object_but_its_versions_stay(store: FolderStore, plain: Path) -> None:
    """Removing the plain file takes the object away, as S3's delete marker does; pinned versions are still read."""
    stored = store.put_bytes(None, "wf/a", b"x")
    (plain / "wf/a").unlink()
    assert store.stat(None, "wf/a") is None
    assert store.list(None, "", 10) == []
    assert content(store, stored) == b"x"
    store.delete_version(None, "wf/a", store.put_bytes(None, "wf/a", b"y").version)
    assert store.stat(None, "wf/a") == stored


def test_a_dropped_file_makes_room_for_a_folder(store: FolderStore, plain: Path) -> None:
    """A put below a dropped file moves that aside without changing what it is."""
    drop(plain / "wf/a", b"dropped")
    dropped = store.stat(None, "wf/a")
    assert dropped is not None
    below = store.put_bytes(None, "wf/a/b", b"x")
    assert store.stat(None, "wf/a") == dropped
    assert content(store, dropped) == b"dropped"
    assert store.list(None, "wf/", 10) == [dropped, below]
    store.put_bytes(None, "wf/a", b"computed")
    assert content(store, dropped) == b"dropped"


def test_a_long_path_lies_beside_a_folder_too(store: FolderStore) -> None:
    """A path of the greatest length, no character of which may stand in a quoted name, finds its place beside."""
    path = "wf/" + "/".join(["." + "é%" * 62 + ".."] * 5)
    stored = store.put_bytes(None, path, b"x")
    below = store.put_bytes(None, f"{path}/b", b"y")
    assert store.list(None, path, 10) == [stored, below]
    assert store.stat(None, path) == stored


def test_a_plain_path_is_plain_again(store: FolderStore, plain: Path) -> None:
    """Once the folder of its name is gone, the next put lies at the plain path, and nothing is left beside."""
    stored = store.put_bytes(None, "wf/a/b", b"x")
    store.put_bytes(None, "wf/a", b"beside")
    store.delete_version(None, "wf/a/b", stored.version)
    current = store.put_bytes(None, "wf/a", b"plain")
    assert (plain / "wf/a").read_bytes() == b"plain"
    assert store.list(None, "", 10) == [current]


def test_links_are_not_followed(store: FolderStore, plain: Path, tmp_path: Path) -> None:
    """A symbolic link, to a file or a folder, inside or outside, is no object and leads to none."""
    drop(tmp_path / "outside/secret", b"secret")
    drop(plain / "wf/real", b"real")
    (plain / "wf/folder").symlink_to(tmp_path / "outside")
    (plain / "wf/file").symlink_to(tmp_path / "outside/secret")
    (plain / "wf/inside").symlink_to("real")
    assert [stored.path for stored in store.list(None, "", 10)] == ["wf/real"]
    assert store.list(None, "wf/folder/", 10) == []
    for path in ("wf/folder/secret", "wf/file", "wf/inside"):
        assert store.stat(None, path) is None
        with pytest.raises(ObjectMissing):
            next(store.open(None, path, "x1-1-1"))


def test_a_put_does_not_leave_through_a_link(store: FolderStore, plain: Path, tmp_path: Path) -> None:
    """A put below a linked folder is refused; one to a linked file replaces the link and spares what it points to."""
    drop(tmp_path / "outside/secret", b"secret")
    (plain / "wf").mkdir()
    (plain / "wf/folder").symlink_to(tmp_path / "outside")
    (plain / "wf/file").symlink_to(tmp_path / "outside/secret")
    with pytest.raises(StoreError, match="links are not followed"):
        store.put_bytes(None, "wf/folder/new", b"x")
    stored = store.put_bytes(None, "wf/file", b"x")
    assert store.stat(None, "wf/file") == stored
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["secret"]
    assert (tmp_path / "outside/secret").read_bytes() == b"secret"


def test_only_regular_files_are_objects(store: FolderStore, plain: Path) -> None:
    """A FIFO holds nobody up, and names that are no paths of objects are passed over."""
    drop(plain / "wf/a", b"x")
    drop(plain / "wf/new\nline/b", b"x")
    drop(Path(os.fsdecode(os.fsencode(plain / "wf") + b"/\xff")), b"x")
    os.mkfifo(plain / "wf/fifo")
    assert [stored.path for stored in store.list(None, "", 10)] == ["wf/a"]
    assert store.stat(None, "wf/fifo") is None
    with pytest.raises(ObjectMissing):
        next(store.open(None, "wf/fifo", "x1-1-1"))


def test_a_killed_put_leaves_no_object(store: FolderStore, root: Path, tmp_path: Path) -> None:
    """A process killed half-way through a put leaves nothing that any method shows, and the next put is whole."""
    os.mkfifo(tmp_path / "fifo")
    command = [sys.executable, "-c", PUTTING, str(root), str(tmp_path / "fifo")]
    with subprocess.Popen(command) as process, (tmp_path / "fifo").open("wb") as source:
        source.write(b"x" * 2_500_000)
        source.flush()
        wait_until(lambda: any(path.stat().st_size for path in kept_files(root)), "a file half written")
        process.send_signal(signal.SIGKILL)
    assert store.stat(None, "wf/a") is None
    assert store.list(None, "", 10) == []
    stored = store.put_bytes(None, "wf/a", b"whole")
    assert store.stat(None, "wf/a") == stored


def test_a_check_removes_what_killed_puts_left_long_ago(store: FolderStore, root: Path) -> None:
    """A file that has been under way for longer than any put takes is removed, a younger one is not."""
    store.put_bytes(None, "wf/a", b"x")
    temp = root / ".versions/data/temp"
    for name in ("old", "young"):
        drop(temp / name, b"x")
    old = (temp / "old").stat().st_mtime - LEFTOVER_S - 60
    os.utime(temp / "old", (old, old))
    store.check()
    assert [path.name for path in temp.iterdir()] == ["young"]


def test_a_failed_put_leaves_nothing(store: FolderStore, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk refuses a put, the error is ours, and no file of it stays."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StoreError, match="No space left"):
        store.put_bytes(None, "wf/a", b"x")
    assert kept_files(root) == []
    assert store.stat(None, "wf/a") is None


def test_versions_differ_although_the_clock_stands_still(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the clock stands, or two processes share a nanosecond, each put is a version of its own."""
    monkeypatch.setattr("time.time_ns", lambda: 1_000_000_000_000_000_000)
    other = FolderStore(store._root)
    versions = [one.put_bytes(None, "wf/a", b"x") for one in (store, other, store, other)]
    assert len({stored.version for stored in versions}) == 4
    assert versions[0].version < versions[2].version
    assert store.stat(None, "wf/a") == versions[3]


def test_versions_survive_a_copy_of_the_folder(store: FolderStore, root: Path, tmp_path: Path) -> None:
    """A root that was copied with its times and links, to another disk say, has the same versions."""
    old, current = store.put_bytes(None, "wf/a", b"old"), store.put_bytes(None, "wf/a", b"new")
    subprocess.run(["cp", "-a", root, tmp_path / "copy"], check=True)
    copy = FolderStore(tmp_path / "copy")
    assert copy.stat(None, "wf/a") == current
    assert [content(copy, stored) for stored in (old, current)] == [b"old", b"new"]


def test_empty_folders_go_with_their_last_object(store: FolderStore, plain: Path) -> None:
    """A deletion leaves no folder behind that has nothing in it, and none goes that has."""
    stored = store.put_bytes(None, "wf/a/b/c", b"x")
    drop(plain / "wf/other", b"x")
    store.delete_version(None, "wf/a/b/c", stored.version)
    assert [path.name for path in (plain / "wf").iterdir()] == ["other"]


def test_deleting_all_leaves_no_file(store: FolderStore, root: Path, plain: Path) -> None:
    """Plain files, dropped ones and those beside folders go with everything that was kept of them, folders included."""
    for _ in range(2):
        store.put_bytes(None, "wf/a/b", b"1")
        store.put_bytes(None, "wf/a", b"2")
    (plain / "wf/dropped").write_bytes(b"3")
    store.put_bytes(None, "wf/dropped", b"4")
    assert store.delete_all(None, "wf/", 100) == 3
    assert store.delete_all(None, "wf/", 100) == 0
    assert [path for path in root.rglob("*") if path.is_file()] == []
    assert not (plain / "wf").exists()


def test_another_bucket_is_a_folder_beside(store: FolderStore, root: Path) -> None:
    """A bucket that is named is made by the first put; what it holds is its own."""
    assert store.stat("genomes", "hg38.fa") is None
    assert store.list("genomes", "", 10) == []
    stored = store.put_bytes("genomes", "hg38.fa", b"ACGT")
    assert (root / "genomes/hg38.fa").read_bytes() == b"ACGT"
    assert store.list("genomes", "", 10) == [stored]
    assert store.list(None, "", 10) == []
    assert content(store, stored, "genomes") == b"ACGT"


def test_the_own_bucket_is_not_named(store: FolderStore) -> None:
    """A Key cannot reach another workflow's data space by naming Gaia's own bucket."""
    store.put_bytes(None, "wf/a", b"x")
    with pytest.raises(StoreError, match="own"):
        store.stat("data", "wf/a")


def test_without_hard_links_there_is_no_store(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that cannot link files is refused with words about it."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(ConfigError, match="hard links"):
        FolderStore(root).check()


@pytest.mark.parametrize("place", ["store", "store/data", "store/.versions"])
def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, place: str) -> None:
    """Where a file is in the way of the store's folders, the check says so."""
    drop(tmp_path / place, b"")
    with pytest.raises(StoreError, match="store"):
        FolderStore(tmp_path / "store").check()


def test_fsync_is_an_option(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it nothing is flushed; with it a put flushes the file and every folder with a new name in it."""
    flushed: list[str] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        flushed.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()).removeprefix(str(root)))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    FolderStore(root, fsync=False).put_bytes(None, "first", b"x")
    assert flushed == []
    FolderStore(root).put_bytes(None, "wf/a/b", b"x")
    assert {"/data", "/data/wf", "/data/wf/a", "/.versions/data"} <= set(flushed)
    assert any(path.startswith("/.versions/data/temp/") for path in flushed)


Change = Callable[[Path], object]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda path: path.rename(path.with_name("gone")), id="renamed"),
        pytest.param(lambda path: (path.rename(path.with_name("gone")), drop(path, b"file")), id="a file instead"),
    ],
)
def test_a_put_begins_again_when_its_folder_goes(
    store: FolderStore, plain: Path, monkeypatch: pytest.MonkeyPatch, change: Change
) -> None:
    """A folder that is taken away between two steps of a put is made again."""
    store.put_bytes(None, "wf/a", b"x")
    replace = os.replace
    done: list[object] = []

    def meddle(*args: object, **named: object) -> None:
        if not done:
            done.append(change(plain / "wf"))
            raise FileNotFoundError(2, "No such file or directory")
        replace(*args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "replace", meddle)
    stored = store.put_bytes(None, "wf/b", b"y")
    assert store.stat(None, "wf/b") == stored
    assert (plain / "wf/b").read_bytes() == b"y"


def test_versions_of_a_removed_file_are_listed(store: FolderStore, plain: Path) -> None:
    """What a person removed has its versions still, none of them current; once they are deleted nothing is kept."""
    stored = [store.put_bytes(None, "wf/a", data, mark="me") for data in (b"1", b"2")]
    (plain / "wf/a").unlink()
    listed = list(store.list_versions(None, "wf/"))
    assert [(one.version, one.is_current) for one in listed] == [(one.version, False) for one in reversed(stored)]
    for one in stored:
        store.delete_version(None, "wf/a", one.version)
    assert kept_files(plain.parent) == []


def test_a_replaced_outside_file_is_listed(store: FolderStore, plain: Path) -> None:
    """An outside arrival that a put replaced is a version like others; one that is current has none."""
    drop(plain / "wf/a", b"dropped")
    assert list(store.list_versions(None, "wf/")) == []
    store.put_bytes(None, "wf/a", b"computed")
    assert [(one.size_bytes, one.is_current) for one in store.list_versions(None, "wf/")] == [(8, True), (7, False)]


def test_an_edited_file_hides_its_versions(store: FolderStore, plain: Path) -> None:
    """Where a person's own file lies, no version is current."""
    store.put_bytes(None, "wf/a", b"computed")
    (plain / "wf/a").unlink()
    drop(plain / "wf/a", b"edited")
    assert [one.is_current for one in store.list_versions(None, "wf/")] == [False]


def test_a_deleted_object_leaves_nothing_kept(store: FolderStore, plain: Path) -> None:
    """With an object go its versions, their marks, and the note of its path."""
    for mark in ("one", "two", ""):
        store.put_bytes(None, "wf/a", b"x", mark=mark)
    assert store.delete_all(None, "wf/", 10) == 1
    assert kept_files(plain.parent) == []


@pytest.mark.parametrize("damage", [b"", b"other/path", b"\xff\xfe"])
def test_a_damaged_note_of_a_path_is_passed_over(store: FolderStore, root: Path, damage: bytes) -> None:
    """Versions whose path nobody can tell are not listed; where only the text was lost, the next put mends it."""
    store.put_bytes(None, "wf/a", b"x")
    (note,) = root.rglob("*.path")
    note.write_bytes(damage)
    assert list(store.list_versions(None, "")) == []
    store.put_bytes(None, "wf/a", b"y")
    assert len(list(store.list_versions(None, ""))) == (2 if len(damage) != len("wf/a") else 0)


def test_leftovers_of_killed_puts_are_cleared(store: FolderStore, root: Path) -> None:
    """A temporary file that is older than asked for goes; a younger one may still be written."""
    leftovers = [root / ".versions/data/temp" / name for name in ("old", "young")]
    for leftover, age_s in zip(leftovers, (1000, 2000), strict=True):
        drop(leftover, b"half")
        os.utime(leftover, (age_s, age_s))
    assert store.clear_unfinished(1_500_000) == 1
    assert [leftover.exists() for leftover in leftovers] == [False, True]
