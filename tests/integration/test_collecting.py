"""The sweeper over the stores that keep files: what it leaves is what people find."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gaia_core.backends.folder import FolderStore
from gaia_core.backends.s3 import S3Settings, S3Store
from tests.unit.coordinator.test_sweeping import Scene, listed_apart
from tests.unit.machine.deployment import make

if TYPE_CHECKING:
    from gaia_core.ports import Store, Stored
    from tests.support.services import MinioService


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A checked store without objects."""
    if request.param == "folder":
        folder = FolderStore(tmp_path)
        folder.check()
        yield folder
        return
    minio: MinioService = request.getfixturevalue("minio")
    bucket: str = request.getfixturevalue("bucket")
    settings = S3Settings(minio.endpoint, minio.access_key, minio.secret_key, secure=False, bucket=bucket)
    with closing(S3Store(settings)) as s3:
        s3.check()
        yield s3


@pytest.fixture
def scene(store: Store) -> Scene:
    """A shard, a worker that the test plays, and the sweeper."""
    return Scene(store)


def left(scene: Scene) -> set[tuple[str, str]]:
    return {(one.path, one.version) for one in scene.store.list_versions(None, "")}


def places(*stored: Stored) -> set[tuple[str, str]]:
    return {(one.path, one.version) for one in stored}


def test_only_what_counts_is_left(scene: Scene) -> None:
    """Of several attempts only what the accepted one wrote is left, its manifest and all its files."""
    scene.shard.upload(make("a", "out/", command="tree"), make("b", "result"))
    listed_apart(scene, "a", "out/1", "out/2")
    zombie = scene.fence("b")
    scene.expire("a", "b")
    files, manifest = listed_apart(scene, "a", "out/1")
    (accepted,) = scene.complete("b", "result")
    scene.store_as(zombie, "result", b"late")
    assert scene.sweep() == 4
    assert left(scene) == places(*files, manifest, accepted)
    assert scene.store.stat(None, "flow/result") == accepted


def test_what_a_person_removed_leaves_no_versions(
    scene: Scene, store: Store, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Versions of a file that somebody removed go once they do not count, and not before."""
    scene.shard.upload(make("a", "out"))
    (accepted,) = scene.complete("a", "out")
    remove: Callable[[], object] = (tmp_path / "data/flow/out").unlink
    if isinstance(store, S3Store):
        remove = lambda: store._client.remove_object(request.getfixturevalue("bucket"), "flow/out")  # noqa: E731
    remove()
    assert scene.sweep() == 0
    assert left(scene) == places(accepted)
    scene.expire("a")
    scene.fail("a")
    assert scene.sweep() == 1
    assert left(scene) == set()
