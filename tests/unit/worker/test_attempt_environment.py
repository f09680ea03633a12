"""What an attempt gives its program beside its files, and tells of its image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gaia_core.machine.reports import Completed, Failed, Progress
from gaia_core.workflow.model import FailureClass, FileVersion, Input, Output, Publication
from gaia_worker.attempt import Attempts
from gaia_worker.executors.base import EngineFailed, Exit, Exited, Stopped
from gaia_worker.secrets import Secrets
from gaia_worker.settings import WorkerSettings
from tests.support.waiting import wait_until
from tests.unit.worker.fakes import WORKER
from tests.unit.worker.test_attempt import Bench, Inside


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Attempts of a worker that holds one secret."""
    made = Bench(tmp_path)
    held = Secrets({"GAIA_SECRET_token": "hunter2"})
    settings = WorkerSettings(WORKER, slots=1, scratch=tmp_path, deployment="d", secrets=held)
    made.attempts.close()
    made.attempts = Attempts(settings, made.store, made.executor)
    yield made
    made.attempts.close()


def test_a_program_gets_the_secrets_that_its_command_names(bench: Bench) -> None:
    """As a variable beside the others, and as a file in /run/secrets; names of them alone are in the order."""
    seen = []

    def program(inside: Inside) -> None:
        seen.append(inside.path("/run/secrets/key").read_text())

    wanted = {"TOKEN": "token", "/run/secrets/key": "token"}
    assert isinstance(bench.run(program, env={"A": "b"}, secrets=wanted), Completed)
    assert bench.executor.tasks[0].env.items() >= {("A", "b"), ("TOKEN", "hunter2")}
    assert seen == ["hunter2"]


def test_a_secret_that_the_worker_lacks_fails_the_attempt_before_it_moves_anything(bench: Bench) -> None:
    """The surroundings failed, so it is tried again a few times; nothing was fetched and no program started."""
    source = Input("in", "k", "/in", (Publication("k", (FileVersion("k", "9", 1, b""),)),))
    end = bench.run(inputs=(source,), secrets={"TOKEN": "other"})
    assert isinstance(end, Failed)
    assert end.failure.kind is FailureClass.ENGINE
    assert f"worker {WORKER!r} has no secret 'other'" in end.failure.message
    assert (bench.executor.tasks, bench.said) == ([], [])


def test_a_kept_scratch_folder_has_no_secret_in_it(bench: Bench) -> None:
    """`keep: on_failure` puts aside what the program left, and of its secrets nothing."""
    bench.run(lambda inside: Exited(1), keep="on_failure", secrets={"/run/secrets/key": "token"})
    kept = list((bench.scratch / "kept").rglob("*"))
    assert kept
    assert not [path for path in kept if path.name in ("secrets", "key")]


def test_the_images_own_entrypoint_is_the_executors_business(bench: Bench) -> None:
    """An attempt hands on that it is to be kept."""
    bench.run(keeps_entrypoint=True)
    assert bench.executor.tasks[0].keeps_entrypoint


def test_a_completion_tells_the_image_that_was_run(bench: Bench) -> None:
    """What the executor says that it ran is in the report; without images it says nothing."""
    end = bench.run(lambda inside: Exited(0, "sha256:12"))
    assert isinstance(end, Completed)
    assert end.image_digest == "sha256:12"
    end = bench.run(lambda inside: None)
    assert isinstance(end, Completed)
    assert end.image_digest == ""


def test_progress_shows_no_secret(bench: Bench) -> None:
    """What a program says of how far it is can be read by all who read its words, so secrets are masked in it, too."""

    def program(inside: Inside) -> None:
        inside.path("/run/gaia/progress").write_text("1/2 logging in with hunter2\n")
        wait_until(lambda: [said for said in bench.said if isinstance(said, Progress)], "progress was told")

    bench.run(program, secrets={"TOKEN": "token"})
    (said,) = [said for said in bench.said if isinstance(said, Progress)]
    assert said.message == "logging in with ***"


def test_a_failure_shows_no_secret(bench: Bench) -> None:
    """Its message may quote what a program wrote, or named a file, in whoever's words it comes."""
    end = bench.run(lambda inside: EngineFailed("bwrap: cannot log in with hunter2"), secrets={"TOKEN": "token"})
    assert isinstance(end, Failed)
    assert end.failure.message == "bwrap: cannot log in with ***"


def test_a_limit_counts_what_is_written_beside_the_progress(bench: Bench) -> None:
    """The folder of the progress is the program's to fill as those of its outputs are."""

    def program(inside: Inside) -> Exit:
        inside.path("/run/gaia/large").write_bytes(bytes(200_000))
        bench.attempts.disk.look()
        return Stopped() if bench.control.halted.is_set() else Exited(0)

    bench.attempts.settings = replace(bench.attempts.settings, disk_bytes=100_000)
    end = bench.run(program)
    assert isinstance(end, Failed)
    assert end.failure.kind is FailureClass.COMMAND


def test_a_limit_counts_words_once(bench: Bench) -> None:
    """What we keep of the log ourselves is no file of the program's, and has a limit of its own."""

    def program(inside: Inside) -> Exit:
        inside.say("x" * 70_000)
        bench.attempts.disk.look()
        return Stopped() if bench.control.halted.is_set() else Exited(0)

    bench.attempts.settings = replace(bench.attempts.settings, disk_bytes=100_000)
    assert isinstance(bench.run(program, outputs=(Output("out", "k", ">"),)), Completed)


def test_what_an_executor_keeps_elsewhere_counts_and_is_read_there(bench: Bench) -> None:
    """One that lends a program other folders than the attempt's says which, and both watch these while it runs."""
    lent = bench.scratch / "lent"

    def program(inside: Inside) -> Exit:
        task = bench.executor.tasks[-1]
        source = inside.path("/run/gaia")
        source.rename(lent)
        task.elsewhere[source] = lent
        (lent / "progress").write_text("1/2")
        wait_until(lambda: [said for said in bench.said if isinstance(said, Progress)], "progress was told")
        (lent / "large").write_bytes(bytes(200_000))
        bench.attempts.disk.look()
        return Stopped() if bench.control.halted.is_set() else Exited(0)

    bench.attempts.settings = replace(bench.attempts.settings, disk_bytes=100_000)
    end = bench.run(program)
    assert isinstance(end, Failed)
    assert end.failure.kind is FailureClass.COMMAND
