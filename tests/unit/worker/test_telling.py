"""What is told of running attempts: what they write, in order and in place, and how far they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from gaia_core.backends.inprocess_logs import InProcessLogs
from gaia_core.machine.reports import Progress
from gaia_core.wire.pieces import STDERR, STDOUT, LogRecord, decode_record
from gaia_worker.attempt_log import AttemptLog
from gaia_worker.progress import ProgressFile
from gaia_worker.telling import PROGRESS_EVERY, Telling, Told
from tests.support.waiting import wait_until
from tests.unit.worker.fakes import execution


class Scene:
    def __init__(self, folder: Path) -> None:
        self.feed = InProcessLogs()
        self.telling = Telling(self.feed, every_s=0.001)
        self.log = AttemptLog(folder, 1 << 20, lambda: 1000)
        self.progress = ProgressFile(folder)
        self.progress.folder.mkdir()
        self.said: list[Progress] = []
        self.told = Told(execution(), self.log, self.progress, self.said.append)
        self.reading = self.feed.open("flow/step-0", 0)
        self.heard: list[LogRecord] = []

    def hear(self) -> list[LogRecord]:
        self.heard += map(decode_record, self.reading.read())
        return self.heard

    def words(self) -> bytes:
        return b"".join(piece.data for record in self.hear() for piece in record.pieces)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_what_an_attempt_writes_is_told_while_it_runs(scene: Scene) -> None:
    """Under its Step's key, with whose it is; the last record says that nothing more comes."""
    scene.telling.begin(scene.told)
    scene.log.write(STDOUT, b"one\n")
    wait_until(lambda: scene.words() == b"one\n", "the first words are told")
    scene.log.write(STDERR, b"two\n")
    wait_until(lambda: scene.words() == b"one\ntwo\n", "the next words are told")
    scene.log.write(STDOUT, b"three\n")
    scene.log.finish()
    scene.telling.end(scene.told)
    scene.telling.close()
    assert scene.words() == b"one\ntwo\nthree\n"
    last = scene.heard[-1]
    assert (last.workflow, last.uid, last.step, last.step_index, last.attempt) == ("flow", 5, "step-0", 0, 1)
    assert last.size_bytes == 14
    assert [record.ended for record in scene.heard] == [False] * (len(scene.heard) - 1) + [True]


def test_an_attempt_that_writes_nothing_is_told_once(scene: Scene) -> None:
    """That it has ended, and nothing else."""
    scene.telling.turn(1)
    scene.telling.end(scene.told)
    assert [(record.pieces, record.ended) for record in scene.hear()] == [((), True)]


def test_how_far_an_attempt_is_is_reported_now_and_then(scene: Scene) -> None:
    """Once a second, and only what is new."""
    scene.telling.begin(scene.told)
    (scene.progress.folder / "progress").write_text("1/2 half")
    wait_until(lambda: scene.said == [Progress(execution().fence, 1, 2, "half")], "it is reported")
    scene.telling.close()
    (scene.progress.folder / "progress").write_text("2/2")
    scene.telling.turn(PROGRESS_EVERY + 1)
    assert len(scene.said) == 1
    scene.telling.turn(2 * PROGRESS_EVERY)
    assert scene.said[-1] == Progress(execution().fence, 2, 2, "")


def test_without_a_feed_nothing_is_told(scene: Scene) -> None:
    """And nothing piles up."""
    telling = Telling(None)
    scene.log.write(STDOUT, b"one\n")
    telling.end(scene.told)
    assert scene.log.take() == ((), 4)
    scene.log.finish()
