"""`gaia up` against its machine: killed at any moment, on a full disk, on a disk that was full at the start."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gaia.v1 import events_pb2
from gaia_client.client import Gaia
from gaia_core.backends.sqlite import SqliteEventLog
from gaia_core.errors import GaiaError
from tests.conftest import _or_skip
from tests.integration.gaia_processes import GaiaProcess, Up
from tests.support.disk import fill, small_disk

KILLS = 20
LONGEST_LIFE_S = 0.8
"""After it answers; some are killed before that."""

MIB = 2**20

COMMANDS = [
    {"name": "make", "image": "any", "command": ["true"], "outputs": {"o": "/o"}},
    {"name": "next", "image": "any", "command": ["true"], "inputs": {"i": "/i"}, "outputs": {"o": "/o"}},
]


def chain(length: int) -> list[dict[str, object]]:
    first: dict[str, object] = {"name": "s0", "command": "make", "outputs": {"o": "k0"}}
    return [first] + [
        {"name": f"s{n}", "command": "next", "inputs": {"i": f"k{n - 1}"}, "outputs": {"o": f"k{n}"}}
        for n in range(1, length)
    ]


class Submitter(threading.Thread):
    """Uploads workflows and merges Steps into them, one after the other, and keeps what was acknowledged."""

    def __init__(self, up: Up) -> None:
        super().__init__()
        self.acknowledged: dict[str, set[str]] = {}
        self._up = up
        self._ended = threading.Event()

    def run(self) -> None:
        number = 0
        while not self._ended.is_set():
            with self._up.client() as flow, suppress(GaiaError):
                while not self._ended.is_set():
                    number += 1
                    self._one(flow, f"w{number}")

    def _one(self, flow: Gaia, name: str) -> None:
        steps = chain(4)
        flow.upload(name, {}, COMMANDS, steps)
        self.acknowledged[name] = {str(step["name"]) for step in steps}
        flow.merge(name, [{"name": "more", "command": "next", "inputs": {"i": "k3"}, "outputs": {"o": "more"}}])
        self.acknowledged[name].add("more")

    def end(self) -> None:
        self._ended.set()
        self.join(60)


def events_of(up: Up) -> dict[int, list[events_pb2.Event]]:
    """Return all public events of a stopped Gaia, by workflow uid."""
    log = SqliteEventLog(up.data / "events.sqlite")
    found: dict[int, list[events_pb2.Event]] = {}
    try:
        for record in log.read(most=10**6):
            found.setdefault(record.workflow_uid, []).append(events_pb2.Event.FromString(record.value))
    finally:
        log.close()
    return found


def test_kill_at_any_moment_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    """Every acknowledged request is there, every workflow completes, every Step completed once, no event is missing."""
    chance = random.Random(5)
    up = Up(tmp_path, "--executor", "noop")
    submitter = Submitter(up)
    up.start()
    submitter.start()
    for number in range(KILLS):
        if number % 5 == 4:  # while it starts
            GaiaProcess.start(up)
            time.sleep(chance.uniform(0.2, 1.2))
        else:
            if number:
                up.start()
            time.sleep(chance.uniform(0, LONGEST_LIFE_S))
        up.kill()
    up.start()
    submitter.end()
    assert not submitter.is_alive()
    assert len(submitter.acknowledged) > KILLS
    with up.client() as flow:
        workflows = {one["name"]: one for one in flow.workflows()}
        assert submitter.acknowledged.keys() <= workflows.keys()
        for name in workflows:
            assert flow.wait(name, timeout_s=60)["state"] == "complete"
        for name, steps in submitter.acknowledged.items():
            debug = flow.status(name, debug=True)["debug"]
            assert steps <= {step["name"] for step in debug["steps"]}
    assert up.stop() == 0
    for events in events_of(up).values():
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))
        completed = Counter(event.step_completed.step for event in events if event.HasField("step_completed"))
        assert set(completed.values()) == {1}, events[0].workflow
        assert completed.keys() >= submitter.acknowledged.get(events[0].workflow, set())


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 32 MiB."""
    mounted = small_disk(tmp_path / "disk", 32 * MIB)
    yield _or_skip(mounted.__enter__)
    mounted.__exit__(None, None, None)


def test_a_full_disk_stops_it_in_words_and_room_lets_it_go_on(disk: Path) -> None:
    """Nothing acknowledged is lost; the process ends by itself with the disk's words, a hint, and an exit code."""
    up = Up(disk, "--executor", "noop", environ={"GAIA_DISK_FREE_MIN": "0"})
    up.log = disk.parent / "up.log"
    up.start()
    with up.client() as flow:
        flow.upload("before", {}, COMMANDS, chain(3))
        assert flow.wait("before", timeout_s=30)["state"] == "complete"
        filler = fill(disk)
        acknowledged: list[str] = []
        with suppress(GaiaError):
            for number in range(1_000):
                flow.upload(f"w{number}", {"text": "x" * 50_000}, COMMANDS, chain(1))
                acknowledged.append(f"w{number}")
        assert len(acknowledged) < 1_000
    assert up.process.wait(timeout=60) == 5
    said = up.said()
    assert "database or disk is full" in said.splitlines()[-2] + said.splitlines()[-1]
    assert "Make room on the disk" in said
    assert "Traceback" not in said

    again = GaiaProcess(up.arguments, disk.parent / "still-full.log").start()
    assert again.process.wait(timeout=60) == 5
    assert "full" in again.said() or "No space left" in again.said()
    assert "Traceback" not in again.said()

    filler.unlink()
    up.start()
    with up.client() as flow:
        names = {one["name"] for one in flow.workflows()}
        assert {"before", *acknowledged} <= names
        flow.upload("after", {}, COMMANDS, chain(3))
        for name in ("before", *acknowledged, "after"):
            assert flow.wait(name, timeout_s=30)["state"] == "complete"
    assert up.stop() == 0
