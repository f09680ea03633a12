"""What a program may use and how it is ended, stated once for every executor that runs programs.

The sandbox is also tried without control groups, as it runs where nobody lets it make some.
"""

from __future__ import annotations

import os
import time
import tracemalloc
from dataclasses import replace

import pytest

from gaia_core.workflow.model import FailureClass, Resources
from gaia_worker.executors.sandbox_limits import PIDS_MAX
from tests.contract.executor_site import Site, failed, ok, output

SECONDS_FOR_QUICK = 20
FLOOD_BYTES = int(os.environ.get("FLOOD_MB", "100")) << 20
WORKER_BYTES_MAX = 16 << 20

everywhere = pytest.mark.parametrize("site", ["docker", "sandbox", "polled"], indirect=True)


def test_time_is_up(site: Site) -> None:
    """A program that takes too long is asked to end; its framed log is kept."""
    end = failed(
        site.shell(
            "trap 'echo bye; exit 0' TERM; echo hi; sleep 100 & wait", timeout_s=0.5, outputs=(output("log", ">>"),)
        ),
        FailureClass.TIMEOUT,
    )
    assert end.failure.log_tail == "hi\nbye\n"
    assert "TIMEOUT" in site.text("log")


def test_program_that_does_not_listen_is_killed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the grace a program that ignores the request to end is killed with all it started."""
    for module in ("docker", "sandbox_watch"):
        monkeypatch.setattr(f"gaia_worker.executors.{module}.TERMINATE_GRACE_S", 0.3)
    end = site.shell("trap '' TERM; (while :; do sleep 1; done) & while :; do sleep 1; done", timeout_s=0.3)
    failed(end, FailureClass.TIMEOUT)


def test_children_die_with_their_program(site: Site) -> None:
    """What a program leaves in the background does not hold up the attempt, and is gone."""
    began_s = time.monotonic()
    ok(site.shell("(sleep 1000 >/dev/null 2>&1 &); echo done", outputs=(output("o", ">"),)))
    assert time.monotonic() - began_s < SECONDS_FOR_QUICK


def test_daemon_does_not_outlive_its_attempt(site: Site) -> None:
    """A process that leaves its session and ignores signals ends with the program that started it."""
    ok(site.shell("setsid sh -c 'trap \"\" HUP TERM INT; while :; do sleep 1; done' >/dev/null 2>&1 </dev/null &"))


@everywhere
def test_memory_beyond_the_limit(site: Site) -> None:
    """A program that takes more memory than it was given is told apart from one that was killed."""
    limited = Resources(memory_bytes=32 << 20)
    end = failed(site.run("tail", "/dev/zero", resources=limited), FailureClass.OUT_OF_MEMORY)
    assert str(32 << 20) in end.failure.message
    end = failed(site.shell("kill -9 $$", resources=limited), FailureClass.COMMAND)
    assert end.failure.exit_code == 137


@everywhere
def test_memory_of_all_processes_counts(site: Site) -> None:
    """It is the program's child that took too much, or several together: the attempt ran out of memory all the same."""
    limited = Resources(memory_bytes=32 << 20)
    failed(site.shell("tail /dev/zero; exit 3", resources=limited), FailureClass.OUT_OF_MEMORY)
    failed(site.shell("tail /dev/zero & tail /dev/zero & wait; exit 3", resources=limited), FailureClass.OUT_OF_MEMORY)


@everywhere
def test_memory_within_the_limit(site: Site) -> None:
    """A program that stays within what it was given is left alone."""
    script = "head -c 8000000 /dev/zero | tr '\\0' x | tail -c 8000000 | wc -c"
    ok(site.shell(script, resources=Resources(memory_bytes=64 << 20)))


def test_processors_are_limited(site: Site) -> None:
    """A program gets the share of a processor that it asked for, where the executor says that it limits processors."""
    script = """
        now() { read up _ </proc/uptime; hundredths=${up%.*}${up#*.}; }
        now; until=$((hundredths + 100)); while [ $hundredths -lt $until ]; do now; done; cat /proc/$$/stat
    """
    fields = site.said(script, resources=Resources(cpus=0.1)).rpartition(")")[2].split()
    seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    assert seconds < 0.6 or "processors are not" in site.executor.describe()


def test_number_of_processes_is_limited(site: Site) -> None:
    """The system refuses a program more than so many processes; whoever asks for more is told, and goes on or ends."""
    script = f"""
        mkfifo /tmp/never; i=0
        while [ $i -lt {PIDS_MAX + 100} ]; do (read x </tmp/never) & i=$((i + 1)); done; echo unlimited
    """
    end = failed(site.shell(script), FailureClass.COMMAND)
    assert "fork" in end.failure.log_tail
    assert "unlimited" not in end.failure.log_tail


def test_fork_bomb_is_held(site: Site) -> None:
    """A fork bomb ends at the latest when its time is up, and takes nothing else with it."""
    end = site.shell("f() { f | f & }; f; while :; do sleep 1; done", timeout_s=4)
    assert end.failure.kind in (FailureClass.COMMAND, FailureClass.TIMEOUT)  # type: ignore[union-attr]


def test_flood_of_words_takes_no_memory_of_the_worker(site: Site) -> None:
    """However much a program writes, the worker holds little of it at a time."""
    logs = site.attempts.logs  # of which the test's store, being in memory, must not get much either
    logs.settings = replace(logs.settings, log_bytes_max=WORKER_BYTES_MAX // 8)
    tracemalloc.start()
    try:
        ok(site.shell(f"head -c {FLOOD_BYTES} /dev/zero; head -c {FLOOD_BYTES} /dev/zero >&2"))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < WORKER_BYTES_MAX
