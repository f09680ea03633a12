"""Changes of a container's root file system: read where the engine keeps them, else asked for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gaia_worker.executors import docker_changes
from gaia_worker.executors.docker_changes import Changes


class Api:
    """An engine that keeps one container's changes in a folder, and counts how often it is asked for them."""

    def __init__(self, upper: Path | None, driver: str = "overlay2") -> None:
        self.upper = upper
        self.driver = driver
        self.told: list[dict[str, Any]] | None = None
        self.asked = 0

    def inspect_container(self, container: str) -> dict[str, Any]:
        assert container == "c"
        return {"GraphDriver": {"Name": self.driver, "Data": {"UpperDir": str(self.upper)} if self.upper else None}}

    def diff(self, container: str) -> list[dict[str, Any]] | None:
        assert container == "c"
        self.asked += 1
        return self.told


@pytest.fixture
def upper(tmp_path: Path) -> Path:
    """A folder with what a start leaves."""
    folder = tmp_path / "diff"
    (folder / "in").mkdir(parents=True)
    (folder / "etc").mkdir()
    (folder / "etc" / "file").write_text("old", encoding="utf-8")
    return folder


def _again(folder: Path) -> None:
    """Write the same content again, with the times of before."""
    file = folder / "etc" / "file"
    times = file.stat().st_mtime_ns
    file.write_text("new", encoding="utf-8")
    os.utime(file, ns=(times, times))


CHANGED: dict[str, Callable[[Path], Any]] = {
    "a new file": lambda folder: (folder / "new").touch(),
    "a new file in a folder": lambda folder: (folder / "etc" / "new").touch(),
    "a new folder": lambda folder: (folder / "etc" / "new").mkdir(),
    "a new link": lambda folder: (folder / "in" / "link").symlink_to("/"),
    "another content": _again,
    "another mode": lambda folder: (folder / "in").chmod(0o700),
    "another mode of the root": lambda folder: folder.chmod(0o711),
    "another file in its place": lambda folder: (folder / "etc" / "file").rename(folder / "etc" / "moved"),
}


@pytest.mark.parametrize("what", CHANGED)
def test_a_change_is_found_in_the_folder(upper: Path, what: str) -> None:
    """Whatever is made, changed or moved after the start differs, and the engine is not asked."""
    api = Api(upper)
    changes = Changes(api, "c")
    before = changes.found()
    assert before is not None
    assert changes.found() == before
    CHANGED[what](upper)
    assert changes.found() != before
    assert api.asked == 0


def test_what_is_gone_again_is_no_change(upper: Path) -> None:
    """A file that a Step made and removed leaves nothing."""
    changes = Changes(Api(upper), "c")
    before = changes.found()
    (upper / "etc" / "new").touch()
    (upper / "etc" / "new").unlink()
    assert changes.found() == before


@pytest.mark.parametrize("driver", ["overlay2", "btrfs"])
def test_the_engine_is_asked_where_the_folder_is_not_here(tmp_path: Path, driver: str) -> None:
    """An engine elsewhere, or one that keeps its containers otherwise, tells the changes itself."""
    api = Api(tmp_path / "elsewhere" if driver == "overlay2" else None, driver)
    changes = Changes(api, "c")
    assert changes.found() == frozenset()
    api.told = [{"Path": "/new", "Kind": 1}]
    assert changes.found() == {("/new", (1,))}
    assert api.asked == 2


def test_too_many_changes_are_not_told(upper: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that was filled with files counts as changed, and is not looked through to its end."""
    monkeypatch.setattr(docker_changes, "CHANGES_MAX", 4)
    changes = Changes(Api(upper), "c")
    assert changes.found() is not None
    (upper / "new").touch()
    assert changes.found() is None
