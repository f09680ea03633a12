"""The cache of inputs under real programs, in containers and in the sandbox: none of them can change what is in it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from gaia_core.workflow.model import FileVersion
from tests.contract.executor_site import Site, given, ok, output

HOSTILE = (
    "chmod 777 /in/file; chmod 777 /in; echo spoiled > /in/file; echo spoiled >> /in/file; rm -f /in/file; "
    "mv /in/file /tmp/x; ln /in/file /out/link; dd if=/dev/zero of=/in/file bs=1 count=1 conv=notrunc; "
    "truncate -s 0 /in/file; touch -d 2000-01-01 /in/file; mount -o remount,rw /in; : > /proc/self/fd/0 < /in/file; "
    "cat /in/file > /out/seen"
)


@pytest.fixture
def cached(site: Site) -> Iterator[Site]:
    """Attempts with a cache."""
    changed = site.changed(cache_bytes=1 << 30)
    yield changed
    changed.attempts.close()


def place(site: Site, file: FileVersion) -> Path:
    """Return the cache's own file of a content."""
    name = file.sha256.hex()
    return site.attempts.settings.scratch / ".cache" / name[:2] / name


def test_a_program_cannot_change_cached_content(cached: Site) -> None:
    """Whatever a program tries with its linked input, the next attempt reads what was stored."""
    file = cached.put("in/file", "as stored\n")
    for _ in range(3):
        ok(cached.shell(HOSTILE, inputs=(given("in/", "/in/", file),), outputs=(output("out/", "/out/"),)))
        assert cached.text("out/seen") == "as stored\n"
        assert place(cached, file).read_text() == "as stored\n"
    stats = cached.attempts.cache.stats()
    assert (stats.hits, stats.misses) == (2, 1)


def test_an_input_among_outputs_may_be_changed_and_the_cache_is_not(cached: Site) -> None:
    """A tree that is input and output is the program's to write; the next attempt begins with what was stored."""
    file = cached.put("in/file", "as stored\n")
    for _ in range(2):
        script = "cat /t/file >> /t/copy; chmod u+w /t/file; echo changed > /t/file"
        ok(cached.shell(script, inputs=(given("in/", "/t/", file),), outputs=(output("out/", "/t/"),)))
        assert cached.text("out/copy") == "as stored\n"
        assert cached.text("out/file") == "changed\n"
    assert place(cached, file).read_text() == "as stored\n"


def test_what_a_chain_hands_on_is_not_fetched(cached: Site) -> None:
    """The reader of an output that was made here gets it from the cache, though the store would give it wrong."""
    made = ok(cached.shell("echo made > /out/file", outputs=(output("out/", "/out/"),)))
    cached.store.garble = lambda data: b"wrong"
    (file,) = made.outputs[0].files
    ok(cached.shell("cat /in/file > /seen/file", inputs=(given("out/", "/in/", file),),
                    outputs=(output("seen/", "/seen/"),)))  # fmt: skip
    assert cached.text("seen/file") == "made\n"
    assert file.sha256 == hashlib.sha256(b"made\n").digest()


@pytest.mark.parametrize(
    ("site", "place"),
    [("docker", "/out/flood"), ("sandbox", "/out/flood"), ("sandbox", "/tmp/flood")],
    indirect=["site"],
)
def test_a_program_that_floods_its_disk_is_ended(cached: Site, place: str) -> None:
    """The limit of what an attempt may write ends a real program, and its scratch folder is gone."""
    flooded = cached.changed(disk_bytes=4 << 20)
    flooded.attempts.disk._pause_s = 0.05
    end = flooded.shell(f"yes > {place}", outputs=(output("out/", "/out/"),), timeout_s=60)
    assert "GAIA_DISK_BYTES" in str(end)
    assert list(flooded.attempts.scratch.iterdir()) == []
    flooded.attempts.close()


def test_locked_folders_of_a_program_are_cleared_away(cached: Site) -> None:
    """What a program made unreadable or read-only does not stay behind."""
    script = "mkdir -p /out/a/b /out/c; echo x > /out/a/b/x; chmod 0 /out/a/b /out/a; chmod 555 /out/c; exit 3"
    assert "exit code 3" in str(cached.shell(script, outputs=(output("out/", "/out/"),)))
    assert list(cached.attempts.scratch.iterdir()) == []
