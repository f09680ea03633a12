"""What nobody refers to is collected: the sweeper over a store in memory and the real loop, turned by hand."""

import threading
import time
from concurrent.futures import Future
from typing import Any

import pytest

from gaia_core.backends.memory_store import MemoryStore
from gaia_core.coordinator import sweeping as module
from gaia_core.coordinator.sweeping import LOGS_KEPT, Sweeper
from gaia_core.errors import StoreError
from gaia_core.machine import reports as rp
from gaia_core.machine import requests as rq
from gaia_core.ports import Store, Stored
from gaia_core.wire.manifests import encode_manifest
from gaia_core.workflow.keys import LOGS_PREFIX, log_location, manifest_location
from gaia_core.workflow.marks import attempt_mark
from gaia_core.workflow.model import Failure, FailureClass, Fence, FileVersion, Publication, StepSpec
from tests.support.waiting import wait_until
from tests.unit.coordinator.shard import Hand, Shard
from tests.unit.machine.deployment import copy, make

KEPT_S = 100.0
OURS = "gaia"


class Scene:
    """A shard, a worker that the test plays, a store, and the sweeper between them."""

    def __init__(self, store: Store | None = None) -> None:
        self.now_ms = 10_000_000 if store is None else time.time_ns() // 1_000_000
        self.store = store or MemoryStore(wall_ms=lambda: self.now_ms)
        self.shard = Shard().open()
        self.hand = Hand(self.shard)
        self.hand.hello()
        self.shard.settle()
        self.asked: list[rq.Request] = []
        self.sweeper = Sweeper(self.store, self.submit, OURS, 1.0, KEPT_S, lambda: self.now_ms, lambda: 0.0)

    def submit(self, request: rq.Request) -> "Future[Any]":
        self.asked.append(request)
        answer = self.shard.loop.submit(request)
        self.shard.turn()
        return answer

    def age(self, seconds: float = KEPT_S + 1) -> None:
        """Let time pass in the store."""
        self.now_ms += int(seconds * 1000)

    def fence(self, step: str) -> Fence:
        """Return the fence of the attempt of a Step that was dispatched last."""
        self.hand.read()
        return self.hand.fences()[step]

    def store_as(self, fence: Fence, key: str, data: bytes = b"x", flow: str = "flow") -> Stored:
        """Store a file as an attempt does."""
        return self.store.put_bytes(None, f"{flow}/{key}", data, attempt_mark(OURS, fence))

    def complete(self, step: str, *keys: str) -> list[Stored]:
        """Let the running attempt of a Step store files under Keys and complete."""
        fence = self.fence(step)
        stored = [self.store_as(fence, key) for key in keys]
        files = [
            Publication(key, (FileVersion(key, one.version, one.size_bytes, b""),))
            for key, one in zip(keys, stored, strict=True)
        ]
        self.hand.say(rp.Completed(fence, tuple(files), 1))
        self.shard.settle()
        return stored

    def fail(self, step: str) -> None:
        """Let the running attempt of a Step fail."""
        self.hand.say(rp.Failed(self.fence(step), Failure(FailureClass.COMMAND, "no", 1)))
        self.shard.settle()

    def ask(self, request: rq.Request) -> Any:
        return self.shard.ask(request)

    def expire(self, *names: str) -> None:
        self.ask(rq.Expire("flow", names))

    def left(self, prefix: str = "flow/") -> list[str]:
        """Return the versions that lie in the store, in the order they were stored."""
        return sorted(one.version for one in self.store.list_versions(None, prefix))

    def sweep(self) -> int:
        """Let time pass, sweep, and make sure that a second sweep finds nothing more."""
        self.age()
        collected = self.sweeper.sweep()
        assert self.sweeper.sweep() == 0
        return collected


def versions(*stored: Stored) -> list[str]:
    return [one.version for one in stored]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def upload(scene: Scene, *steps: StepSpec) -> None:
    scene.shard.upload(*steps)


def test_what_is_published_stays(scene: Scene) -> None:
    """The output of a complete Step is never collected, however old."""
    upload(scene, make("a", "out"))
    stored = scene.complete("a", "out")
    assert scene.sweep() == 0
    assert scene.left() == versions(*stored)


def test_versions_of_earlier_attempts_go(scene: Scene) -> None:
    """When a Step has run again only what the accepted attempt wrote is left."""
    upload(scene, make("a", "out"))
    scene.complete("a", "out")
    scene.expire("a")
    stored = scene.complete("a", "out")
    assert scene.sweep() == 1
    assert scene.left() == versions(*stored)


def test_what_a_failed_attempt_left_goes_and_what_lay_there_before_comes_back(scene: Scene) -> None:
    """A person's file that a failed attempt covered is the current one again, and stays."""
    theirs = scene.store.put_bytes(None, "flow/out", b"theirs")
    upload(scene, make("a", "out"))
    scene.store_as(scene.fence("a"), "out")
    scene.fail("a")
    assert scene.sweep() == 1
    assert scene.store.stat(None, "flow/out") == theirs


def test_a_zombies_late_upload_goes_and_what_counts_comes_back(scene: Scene) -> None:
    """What a superseded attempt uploads late covers the accepted version at its path until it is collected."""
    upload(scene, make("a", "out"))
    zombie = scene.fence("a")
    scene.expire("a")
    (accepted,) = scene.complete("a", "out")
    scene.store_as(zombie, "out")
    assert scene.sweep() == 1
    assert scene.store.stat(None, "flow/out") == accepted


def test_what_is_younger_than_the_grace_stays(scene: Scene) -> None:
    """An attempt's upload is left alone until it is older than the grace."""
    upload(scene, make("a", "out"))
    scene.store_as(scene.fence("a"), "out")
    scene.fail("a")
    scene.age(KEPT_S - 1)
    assert scene.sweeper.sweep() == 0
    scene.age(2)
    assert scene.sweeper.sweep() == 1


def test_what_a_running_attempt_may_publish_yet_stays(scene: Scene) -> None:
    """Files of a running attempt, and all that lies under its Keys, wait for its end."""
    upload(scene, make("a", "out"))
    fence = scene.fence("a")
    stored = scene.store_as(fence, "out")
    assert scene.sweep() == 0
    file = FileVersion("out", stored.version, 1, b"")
    scene.hand.say(rp.Completed(fence, (Publication("out", (file,)),), 1))
    scene.shard.settle()
    assert scene.sweep() == 0


def test_a_file_that_a_tree_no_longer_holds_goes(scene: Scene) -> None:
    """Of a tree that is written again, files that the new attempt did not write are gone."""
    upload(scene, make("a", "out/", command="tree"))
    old = scene.fence("a")
    one, other = scene.store_as(old, "out/1"), scene.store_as(old, "out/2")
    files = tuple(FileVersion(one.path.removeprefix("flow/"), one.version, 1, b"") for one in (one, other))
    scene.hand.say(rp.Completed(old, (Publication("out/", files),), 1))
    scene.shard.settle()
    assert scene.sweep() == 0
    scene.expire("a")
    new = scene.fence("a")
    again = scene.store_as(new, "out/1")
    file = FileVersion("out/1", again.version, 1, b"")
    scene.hand.say(rp.Completed(new, (Publication("out/", (file,)),), 1))
    scene.shard.settle()
    assert scene.sweep() == 2
    assert scene.left() == versions(again)


def listed_apart(scene: Scene, step: str, *keys: str) -> tuple[list[Stored], Stored]:
    """Let the running attempt of a Step publish a tree by a manifest."""
    fence = scene.fence(step)
    stored = [scene.store_as(fence, key) for key in keys]
    files = [FileVersion(key, one.version, 1, b"") for key, one in zip(keys, stored, strict=True)]
    place = manifest_location("flow", fence.workflow_uid, fence.step, fence.attempt, 0)
    data = encode_manifest(files)
    manifest = scene.store.put_bytes(None, place.path, data, attempt_mark(OURS, fence))
    publication = Publication("out/", manifest=FileVersion(place.path, manifest.version, len(data), b""))
    scene.hand.say(rp.Completed(fence, (publication,), 1))
    scene.shard.settle()
    return stored, manifest


def test_files_that_a_manifest_lists_stay(scene: Scene) -> None:
    """A manifest counts as long as its tree does, and so do the files in it; then all of them go."""
    upload(scene, make("a", "out/", command="tree"))
    listed_apart(scene, "a", "out/1", "out/2")
    assert scene.sweep() == 0
    scene.expire("a")
    again, manifest_again = listed_apart(scene, "a", "out/1")
    assert scene.sweep() == 3
    assert scene.left() == versions(*again)
    assert scene.left(".gaia/") == versions(manifest_again)


def test_a_manifest_of_a_running_attempt_stays(scene: Scene) -> None:
    """A manifest that a running attempt has stored may be published yet; that of an ended one may not."""
    upload(scene, make("a", "out/", command="tree"))
    fence = scene.fence("a")
    place = manifest_location("flow", fence.workflow_uid, fence.step, fence.attempt, 0)
    scene.store.put_bytes(None, place.path, b"", attempt_mark(OURS, fence))
    assert scene.sweep() == 0
    scene.fail("a")
    assert scene.sweep() == 1


def test_where_a_manifest_is_gone_nothing_is_touched(scene: Scene) -> None:
    """Without the list of what counts everything does."""
    upload(scene, make("a", "out/", command="tree"))
    _, manifest = listed_apart(scene, "a", "out/1")
    scene.store_as(scene.fence("a"), "out/1")
    scene.store.delete_version(None, manifest.path, manifest.version)
    assert scene.sweep() == 0
    assert len(scene.left()) == 2


def test_few_manifests_are_kept_in_memory(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists of files are read again where they were forgotten."""
    monkeypatch.setattr(module, "MANIFESTS_KEPT", 0)
    upload(scene, make("a", "out/", command="tree"))
    listed_apart(scene, "a", "out/1", "out/2")
    assert scene.sweep() == 0


def test_what_arrived_from_outside_stays(scene: Scene) -> None:
    """What people put there is never touched while it is current; what they replaced goes once nobody reads it."""
    upload(scene, copy("b", "in", "out"))
    old, new = (scene.store.put_bytes(None, "flow/in", data) for data in (b"old", b"new"))
    for one, expected in ((old, 0), (new, 1)):
        scene.ask(rq.Arrive("flow", (Publication("in", (FileVersion("in", one.version, 3, b""),)),)))
        assert scene.sweep() == expected
    assert scene.left() == versions(new)
    scene.expire("in")
    assert scene.sweep() == 0
    assert scene.left() == versions(new)


def test_what_a_removed_step_left_stays_where_people_find_it(scene: Scene) -> None:
    """A current version that no Step writes any more can be announced, so it stays; its history goes."""
    upload(scene, make("a", "out"), make("b", "other"))
    scene.complete("a", "out")
    scene.expire("a")
    stored = scene.complete("a", "out")
    scene.ask(rq.Remove("flow", ("a",)))
    assert scene.sweep() == 1
    assert scene.left() == versions(*stored)


def test_files_of_a_deleted_workflow_stay_and_their_history_goes(scene: Scene) -> None:
    """Deleted without its files, a workflow leaves what lies at their paths; only attempts' earlier versions go."""
    upload(scene, make("a", "out"))
    scene.store.put_bytes(None, "flow/notes", b"old")
    scene.store.put_bytes(None, "flow/notes", b"new")
    scene.complete("a", "out")
    scene.expire("a")
    (stored,) = scene.complete("a", "out")
    place = manifest_location("flow", 1, 0, 1, 0)
    scene.store.put_bytes(None, place.path, b"", attempt_mark(OURS, Fence(1, 0, 1)))
    scene.ask(rq.Delete("flow"))
    assert scene.sweep() == 2
    assert scene.store.stat(None, "flow/out") == stored
    assert len(scene.left("flow/notes")) == 2
    assert scene.left(".gaia/") == []


def test_a_namesake_does_not_collect_what_an_earlier_workflow_left(scene: Scene) -> None:
    """Kept files of a deleted workflow stay also where a new one of its name writes the same Keys."""
    upload(scene, make("a", "out"))
    (stored,) = scene.complete("a", "out")
    scene.ask(rq.Delete("flow"))
    scene.shard.upload(make("a", "out"))
    scene.fail("a")
    assert scene.sweep() == 0
    assert scene.store.stat(None, "flow/out") == stored


@pytest.mark.parametrize("again", [False, True])
def test_late_uploads_of_a_workflow_deleted_with_its_files_go(scene: Scene, again: bool) -> None:
    """What a lost worker uploads once all is deleted is collected, also below a new workflow of the same name."""
    upload(scene, make("a", "out"))
    zombie = scene.fence("a")
    scene.ask(rq.Delete("flow", data=True))
    scene.store_as(zombie, "out")
    assert scene.sweep() == 0  # the files are still being deleted; that is not the sweeper's
    scene.ask(rq.DataGone(1))
    if again:
        scene.shard.upload(make("b", "other"))
    theirs = scene.store.put_bytes(None, "flow/theirs", b"x")
    assert scene.sweep() == 1
    assert scene.left() == versions(theirs)


def test_what_others_stored_is_none_of_ours(scene: Scene) -> None:
    """Data of another deployment, and of people, are touched nowhere but below a workflow that there is."""
    for data in (b"1", b"2"):
        scene.store.put_bytes(None, "elsewhere/a", data, attempt_mark("another", Fence(1, 0, 1)))
        scene.store.put_bytes(None, "elsewhere/b", data)
        scene.store.put_bytes(None, ".gaia/manifests/x/9/0-1-0", data, attempt_mark("another", Fence(9, 0, 1)))
        scene.store.put_bytes(None, ".gaia/gaia/snapshots/1", data)
        scene.store.put_bytes(None, "top", data)
    assert scene.sweep() == 0


def test_other_buckets_are_not_looked_at(scene: Scene) -> None:
    """What attempts store in a bucket that people named is theirs."""
    upload(scene, make("a", "bucket:out"))
    for _ in range(2):
        scene.store.put_bytes("bucket", "out", b"x", attempt_mark(OURS, scene.fence("a")))
    scene.complete("a")
    assert scene.sweep() == 0
    assert len(list(scene.store.list_versions("bucket", ""))) == 2


def test_nothing_is_deleted_before_the_journal_has_confirmed_it(scene: Scene) -> None:
    """A leader that was deposed without knowing it deletes nothing."""
    upload(scene, make("a", "out"))
    scene.store_as(scene.fence("a"), "out")
    scene.fail("a")
    scene.age()
    scene.shard.successor().open()
    with pytest.raises(Exception, match="Another leader"):
        scene.sweeper.sweep()
    assert len(scene.left()) == 1


def test_many_versions_are_judged_page_by_page(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep covers all pages, and one that was told to stop ends after the page it is at."""
    monkeypatch.setattr(module, "PAGE_VERSIONS", 3)
    upload(scene, make("a", "out/", command="tree"))
    for number in range(10):
        scene.store_as(scene.fence("a"), f"out/{number}")
    scene.fail("a")
    scene.age()
    scene.sweeper.stop()
    assert scene.sweeper.sweep() == 3
    scene = Scene()
    upload(scene, make("a", "out/", command="tree"))
    for number in range(10):
        scene.store_as(scene.fence("a"), f"out/{number}")
    scene.fail("a")
    assert scene.sweep() == 10


def test_a_sweep_that_fails_is_followed_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread goes on sweeping where the store or the coordinator failed, until it is stopped."""
    monkeypatch.setattr(module, "FIRST_S", 0.0)
    store = MemoryStore()
    sweeps: list[int] = []

    def sweep() -> int:
        sweeps.append(1)
        if len(sweeps) == 1:
            raise StoreError("not today")
        return len(sweeps) - 2

    sweeper = Sweeper(store, lambda _: Future(), OURS, 0.001, KEPT_S, lambda: 0)
    monkeypatch.setattr(sweeper, "sweep", sweep)
    thread = threading.Thread(target=sweeper.run)
    thread.start()
    wait_until(lambda: len(sweeps) > 3, "several sweeps")
    sweeper.stop()
    thread.join(10)
    assert not thread.is_alive()


def store_log(scene: Scene, step: str) -> None:
    """Let the running attempt of a Step store its log, and fail."""
    fence = scene.fence(step)
    place = log_location("flow", fence.workflow_uid, fence.step, fence.attempt)
    scene.store.put_bytes(None, place.path, b"log", attempt_mark(OURS, fence))
    scene.fail(step)


def logs_left(scene: Scene) -> list[str]:
    return sorted(one.path for one in scene.store.list_versions(None, LOGS_PREFIX))


def test_the_logs_of_the_latest_attempts_stay(scene: Scene) -> None:
    """Those of failed attempts too; those of attempts long ago go."""
    upload(scene, make("a", "out"))
    for _ in range(LOGS_KEPT + 2):
        store_log(scene, "a")
        scene.ask(rq.Run("flow"))
        scene.shard.settle()
    assert scene.shard.step("a").attempt == LOGS_KEPT + 3
    assert scene.sweep() == 3
    assert logs_left(scene) == sorted(f"{LOGS_PREFIX}flow/1/0-{number}" for number in range(4, LOGS_KEPT + 3))


def test_the_logs_of_what_is_gone_go(scene: Scene) -> None:
    """Those of removed Steps and of deleted workflows, once they are older than the grace."""
    upload(scene, make("a", "out"), make("b", "other"))
    store_log(scene, "a")
    store_log(scene, "b")
    scene.ask(rq.Remove("flow", ("a",)))
    assert scene.sweep() == 1
    assert logs_left(scene) == [f"{LOGS_PREFIX}flow/1/1-1"]
    scene.ask(rq.Delete("flow"))
    assert scene.sweep() == 1
    assert logs_left(scene) == []


def test_logs_that_lie_there_from_somebody_else_stay(scene: Scene) -> None:
    """Another deployment in the same bucket keeps its own."""
    scene.store.put_bytes(None, log_location("flow", 1, 0, 1).path, b"theirs")
    assert scene.sweep() == 0
