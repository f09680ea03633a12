"""What a program may leave as its output, stated once for every executor: its own files, nothing that leads out."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from gaia_core.machine.reports import Failed
from gaia_core.workflow.model import FailureClass
from tests.contract.executor_site import Site, failed, given, ok, output
from tests.support.disk import small_disk


def test_link_to_the_host_is_not_published(site: Site, tmp_path: Path) -> None:
    """A program cannot have the worker read a file for it."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    failed(site.run("ln", "-s", str(secret), "/work/o", outputs=(output("o", "/work/o"),)), FailureClass.OUTPUT_MISSING)
    assert site.store.paths() == []


LEADS_OUT = {
    "a link to a file of the host": "ln -s /etc/passwd /work/t/{}",
    "a link to what the worker hides": "ln -s {hidden}/secret /work/t/{}",
    "a link up and out": "ln -s ../../../../../../../../../etc/passwd /work/t/{}",
    "a link to a folder": "ln -s /etc /work/t/{}",
    "a link to the folder above": "ln -s .. /work/t/{}",
    "a link to itself": "ln -s {} /work/t/{}",
    "a link to nothing": "ln -s /no/such/file /work/t/{}",
    "a link to a process": "ln -s /proc/self/environ /work/t/{}",
    "a pipe": "mkfifo /work/t/{}",
    "a link to a pipe": "mkfifo /work/t/other; ln -s other /work/t/{}",
    "a file that may not be read": "echo x > /work/t/{}; chmod 0 /work/t/{}",
    "a folder that may not be read": "mkdir /work/t/{}; echo x > /work/t/{}/a; chmod 0 /work/t/{}",
}


@pytest.mark.parametrize("script", LEADS_OUT.values(), ids=LEADS_OUT)
@pytest.mark.parametrize("place", ["culprit", "deep/er/culprit"])
def test_tree_with_something_else_than_files_is_refused(site: Site, script: str, place: str) -> None:
    """In a tree only files count: anything else fails the attempt, is named, and nothing at its other end is read."""
    folder = f"/work/t/{place}".rpartition("/")[0]
    made = script.replace("{hidden}", str(site.scratch.parent)).replace("{}", "culprit").replace("/work/t", folder)
    end = site.shell(f"mkdir -p {folder}; echo x > /work/t/a; {made}", outputs=(output("t/", "/work/t/"),))
    assert "culprit" in _refused(site, end) or "other" in _refused(site, end)


@pytest.mark.parametrize(
    "script",
    ["ln -s /etc/passwd /work/o", "ln -s . /work/o", "mkfifo /work/o", "mkdir /work/o", "ln -s o /work/o"],
)
def test_output_that_is_no_file_is_refused(site: Site, script: str) -> None:
    """What lies in the place of an output file and is none fails the attempt, and is named."""
    assert "/work/o" in _refused(site, site.shell(script, outputs=(output("o", "/work/o"),)))


def test_folder_of_an_output_is_not_led_elsewhere(site: Site) -> None:
    """A link in the place of the folder that an output lies in leads to no file of the host."""
    outputs = (output("t/", "/work/"), output("o", "/work/sub/passwd"))
    _refused(site, site.shell("rm -rf /work/sub; ln -s /etc /work/sub", outputs=outputs))


def test_file_of_the_system_cannot_be_linked(site: Site) -> None:
    """A second name for a file of the system, or for an input, cannot be had: they lie in other file systems."""
    inputs = (given("in", "/data/in", site.put("in", "1")),)
    for source in ("/etc/passwd", "/data/in"):
        end = site.shell(f"ln {source} /work/o", inputs=inputs, outputs=(output("o", "/work/o"),))
        failed(end, FailureClass.COMMAND)


def test_file_that_is_mostly_holes_counts_as_what_would_be_stored(site: Site) -> None:
    """A file that takes no room and would fill the store fails the attempt, and is named."""
    end = site.shell("truncate -s 8192G /work/t/culprit", outputs=(output("t/", "/work/t/"),))
    assert "culprit" in failed(end, FailureClass.COMMAND).failure.message
    assert site.store.paths() == []


@pytest.mark.parametrize("name", ["a\nb", "a\tb", "\x7f", "a\\b/../c"])
def test_name_that_no_key_can_have_is_refused(site: Site, name: str) -> None:
    """A file whose name cannot be a Key's fails the attempt, but for one that only looks odd."""
    end = site.run("sh", "-c", 'echo x > "/work/t/$0"', name, outputs=(output("t/", "/work/t/"),))
    assert isinstance(end, Failed), end
    assert [path for path in site.store.paths() if not path.startswith(".gaia/logs/")] == []


@pytest.mark.parametrize("name", ["...", "..a", "-rf", "a b", "ü", "*", "$(id)", "'", '"'])
def test_odd_names_are_kept(site: Site, name: str) -> None:
    """A file whose name is merely odd is an output like any other."""
    ok(site.run("sh", "-c", 'echo x > "/work/t/$0"', name, outputs=(output("t/", "/work/t/"),)))
    assert site.text(f"t/{name}") == "x\n"


def test_full_disk_is_told(site: Site, tmp_path: Path) -> None:
    """A program that fills the disk of its outputs fails in its own words, and the next one has the room again."""
    with _disk(tmp_path / "disk", 32 << 20) as disk:
        small = Site(site.executor, site.image, disk / "scratch")
        end = small.shell("cat /dev/zero > /work/o", outputs=(output("o", "/work/o"),))
        assert "No space left" in failed(end, FailureClass.COMMAND).failure.log_tail
        ok(small.shell("head -c 8000000 /dev/zero > /work/o", outputs=(output("o", "/work/o"),)))
        small.check_clean()
        small.attempts.close()


def test_full_disk_of_the_log_is_told(site: Site, tmp_path: Path) -> None:
    """Where what a program says does not fit on the disk, the attempt ends and the program with it."""
    with _disk(tmp_path / "disk", 8 << 20) as disk:
        small = Site(site.executor, site.image, disk / "scratch")
        end = small.shell("while :; do cat /dev/zero; done", outputs=(output("o", ">"),))
        assert "No space left" in failed(end, FailureClass.ENGINE).failure.message
        small.check_clean()
        small.attempts.close()


def _refused(site: Site, end: object) -> str:
    """Return why an attempt failed, which stored nothing."""
    assert isinstance(end, Failed), end
    assert end.failure.kind is not FailureClass.COMMAND, end
    assert site.store.paths() == []
    return end.failure.message


def _disk(folder: Path, size_bytes: int) -> AbstractContextManager[Path]:
    if os.geteuid() != 0 and not os.environ.get("CI"):
        pytest.skip("mounting a small disk needs root")
    return small_disk(folder, size_bytes)
