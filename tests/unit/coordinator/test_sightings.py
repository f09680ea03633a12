"""A look into the store: what lies under Keys, for few requests, and not for ever where the store is away."""

import pytest

from gaia_core.coordinator import sightings as module
from gaia_core.coordinator.sightings import TROUBLE_S, Sightings, differs, find, look
from gaia_core.errors import StoreError, TooLarge
from gaia_core.workflow.model import FileVersion, Publication
from tests.unit.coordinator.stores import NotingStore


@pytest.fixture
def store() -> NotingStore:
    return NotingStore()


def looked(store: NotingStore, *keys: str, stops_after: int = 10**6) -> Sightings:
    """Look for Keys of `flow`."""
    return look(store, "flow", keys, lambda: len(store.asked) >= stops_after, store.clock)


def test_a_file_is_told_with_its_version(store: NotingStore) -> None:
    """Key, version and size are known; nobody computed the digest."""
    stored = store.drop("a/b", b"four")
    assert find(store, "flow", "a/b") == Publication("a/b", (FileVersion("a/b", stored.version, 4, b""),))
    assert find(store, "flow", "a") is None
    assert find(store, "other", "a/b") is None


def test_a_tree_is_told_with_all_its_files(store: NotingStore) -> None:
    """Every file below it is listed by its own Key; a tree without files is not there."""
    store.drop("t/x")
    store.drop("t/y/z")
    store.drop("tt/x")
    found = find(store, "flow", "t/")
    assert found is not None
    assert [file.key for file in found.files] == ["t/x", "t/y/z"]
    assert find(store, "flow", "u/") is None


def test_a_bucket_is_looked_into_under_its_own_name(store: NotingStore) -> None:
    """Keys of another bucket keep it before them, trees too."""
    store.put_bytes("bkt", "p/x", b"1")
    found, tree = find(store, "flow", "bkt:p/x"), find(store, "flow", "bkt:p/")
    assert found is not None
    assert tree is not None
    assert [file.key for file in (*found.files, *tree.files)] == ["bkt:p/x", "bkt:p/x"]


def test_objects_of_gaias_own_are_nobodys_keys(store: NotingStore) -> None:
    """Another deployment's manifests are not read as data, neither one by one nor by a LIST."""
    for number in range(9):
        store.put_bytes("bkt", f".gaia/m{number}", b"1")
    keys = [f"bkt:.gaia/m{number}" for number in range(9)]
    with pytest.raises(StoreError, match="Gaia's own"):
        find(store, "flow", keys[0])
    seen = looked(store, *keys)
    assert (seen.found, seen.failed) == ({}, keys)


def test_too_large_a_tree_is_refused_and_not_cut(store: NotingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of a tree must not be taken for the whole."""
    monkeypatch.setattr(module, "TREE_FILES_MAX", 3)
    for number in range(3):
        store.drop(f"t/{number}")
    found = find(store, "flow", "t/")
    assert found is not None
    assert len(found.files) == 3
    store.drop("t/4")
    with pytest.raises(TooLarge, match="more than 3 files"):
        find(store, "flow", "t/")


def test_many_keys_of_one_folder_cost_one_list(store: NotingStore) -> None:
    """Four and more are looked for together, fewer one by one; what is found is the same."""
    for key in ("few/0", "many/0", "many/3", "many/deep/0", "0"):
        store.drop(key)
    keys = [*(f"few/{number}" for number in range(3)), *(f"many/{number}" for number in range(4)), "0", "t/"]
    seen = looked(store, *keys)
    assert list(seen.found) == ["few/0", "many/0", "many/3", "0"]
    assert (seen.failed, seen.left) == ([], [])
    assert store.asked == [
        ("stat", "flow/few/0"), ("stat", "flow/few/1"), ("stat", "flow/few/2"),
        ("list", "flow/many/"), ("stat", "flow/0"), ("list", "flow/t/"),
    ]  # fmt: skip


@pytest.mark.parametrize(("others", "stats"), [(8, 0), (9, 4), (100, 4)])
def test_a_folder_that_holds_too_much_else(
    store: NotingStore, monkeypatch: pytest.MonkeyPatch, others: int, stats: int
) -> None:
    """Beyond a bound of files that nobody asked for, its Keys are looked for one by one."""
    monkeypatch.setattr(module, "LISTED_EXTRA", 6)
    for number in range(others):
        store.drop(f"d/other{number}")
    store.drop("d/3")
    assert list(looked(store, "d/0", "d/1", "d/2", "d/3").found) == ["d/3"]
    assert (store.count("list"), store.count("stat")) == (1, stats)


def test_what_fails_hides_nothing_else(store: NotingStore) -> None:
    """Keys that the store refuses are named, with the first cause; a LIST that fails is made up for."""
    for key in ("a", "b", "d/0", "d/3"):
        store.drop(key)
    store.moods = {"flow/a": 1, "flow/d/": 1, "flow/d/1": 1}
    seen = looked(store, "a", "b", "d/0", "d/1", "d/2", "d/3")
    assert (seen.failed, seen.cause, seen.left) == (["a", "d/0", "d/1"], "not today: flow/a", [])
    assert list(seen.found) == ["b", "d/3"]


def test_a_store_that_is_away_is_not_asked_to_the_end(store: NotingStore) -> None:
    """When failures have taken long enough, the rest is left for the next time."""
    store.moods, store.slow_s = {"": 10**6}, TROUBLE_S / 4
    keys = [f"{number}/k" for number in range(100)]
    seen = looked(store, *keys)
    assert (seen.failed, seen.left) == (keys[:5], keys[5:])


def test_failures_that_take_no_time_leave_nothing_out(store: NotingStore) -> None:
    """What is refused at once does not keep others from being looked for."""
    store.moods = {"": 100}
    keys = [f"{number}/k" for number in range(101)]
    store.drop(keys[-1])
    seen = looked(store, *keys)
    assert (seen.failed, seen.left, list(seen.found)) == (keys[:-1], [], keys[-1:])


def test_a_look_can_be_broken_off(store: NotingStore) -> None:
    """Whoever stops does not wait for the last of many Keys."""
    assert looked(store, "a/1", "b/2", "c/3", stops_after=2).left == ["c/3"]


def test_versions_tell_whether_something_differs() -> None:
    """Digests do not: they are known of some files only."""
    seen = Publication("t/", (FileVersion("t/a", "1", 5, b""), FileVersion("t/b", "2", 5, b"")))
    put = Publication("t/", (FileVersion("t/b", "2", 5, b"\x01"), FileVersion("t/a", "1", 5, b"\x02")))
    assert not differs(seen, put)
    assert differs(seen, None)
    assert differs(seen, Publication("t/", seen.files[:1]))
    assert differs(seen, Publication("t/", (*seen.files[:1], FileVersion("t/b", "3", 5, b""))))
