"""What launched workers are given, how many may live, and what becomes of those that end."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gaia_core.backends import docker_launcher
from gaia_core.backends.process_launcher import ProcessLauncher
from gaia_core.config import Config, load
from gaia_core.errors import ConfigError
from gaia_core.launchers import launcher_of, worker_environ
from gaia_core.service.launching import NoLauncher
from gaia_worker.settings import metadata_of
from tests.support.waiting import wait_until

SHOW = "import os, json; print(json.dumps({k: v for k, v in os.environ.items() if k.startswith('GAIA_')}))"


def launcher(folder: Path, program: str, most: int = 2, **environ: str) -> ProcessLauncher:
    """Return one whose workers are small programs."""
    return ProcessLauncher(environ, 300.0, folder, most, (sys.executable, "-c", program))


def test_a_process_gets_its_metadata_from_its_environment(tmp_path: Path) -> None:
    """Those of the launch, never those of the server itself; the worker reads them as any setting."""
    made = launcher(tmp_path / "logs", SHOW, GAIA_WORKER_METADATA='{"of": "the server"}')
    for name, metadata in (("a", {"zone": "eu-1"}), ("b", {})):
        worker = made.launch(name, metadata)
        wait_until(worker.ended, "it ended")
        environ: dict[str, Any] = json.loads((tmp_path / "logs" / f"{name}.log").read_text())
        config = load({}, environ, {})
        assert (config.worker_name, config.idle_exit_s) == (name, 300.0)
        assert metadata_of(config.worker_metadata) == metadata


def test_the_end_of_a_process_is_told_with_its_last_words(tmp_path: Path) -> None:
    """Those of this start, not of one before it in the same file; while it lives there are none."""
    made = launcher(tmp_path, "import sys; print('from before'); sys.exit(3)")
    wait_until(made.launch("a", {}).ended, "it ended")
    made = launcher(tmp_path, "import sys; print('first'); print('error: no engine', file=sys.stderr); sys.exit(5)")
    worker = made.launch("a", {})
    assert wait_until(worker.ended, "it ended") == (
        f"exit code 5: error: no engine · first (log file {tmp_path / 'a.log'})"
    )


def test_only_so_many_processes_live_at_a_time(tmp_path: Path) -> None:
    """One that has ended leaves its room to the next; closing ends those that are left."""
    made = launcher(tmp_path, "import sys; sys.stdin.close(); __import__('threading').Event().wait()", most=2)
    workers = [made.launch(name, {}) for name in ("a", "b")]
    assert made.objection(1) == "This server may run 2 launched workers; 2 live, and 1 more were asked for."
    workers[0].process.kill()
    wait_until(lambda: made.objection(1) == "", "there is room again")
    made.close()
    assert [worker.ended() != "" for worker in workers] == [True, True]


def test_a_worker_is_given_what_counts_for_workers(tmp_path: Path) -> None:
    """In a container: the settings of a worker and no others, from the server's environment."""
    environ = {
        "GAIA_KAFKA_BOOTSTRAP": "kafka:9092",
        "GAIA_S3_SECRET_KEY": "secret",
        "GAIA_CONFIG": "/etc/gaia.toml",
        "GAIA_HTTP_LISTEN": "0.0.0.0:24480",
        "GAIA_LAUNCHER": "docker",
        "HOME": "/root",
    }
    assert set(worker_environ(environ)) == {"GAIA_KAFKA_BOOTSTRAP", "GAIA_S3_SECRET_KEY", "GAIA_CONFIG"}


def test_a_launched_workers_share_is_what_the_server_was_given(tmp_path: Path) -> None:
    """Launched workers know nothing of each other: what each may announce is said to the server, and handed on."""
    share = {"GAIA_CPUS": "4", "GAIA_MEMORY": "16G", "GAIA_GPUS": "0", "GAIA_SLOTS": "4"}
    assert worker_environ(share) == share
    made = launcher_of(Config(launch_logs=tmp_path), share)
    assert isinstance(made, ProcessLauncher)
    made._command = (sys.executable, "-c", SHOW)
    wait_until(made.launch("a", {}).ended, "it ended")
    told = load({}, json.loads((tmp_path / "a.log").read_text()), {})
    assert (told.cpus, told.memory, told.gpus, told.slots) == (4.0, 16 * 1024**3, 0, 4)


def test_the_launcher_is_the_one_that_is_set(tmp_path: Path) -> None:
    """Processes unless said otherwise; containers need an image."""
    assert isinstance(launcher_of(Config(launch_logs=tmp_path), {}), ProcessLauncher)
    assert isinstance(launcher_of(Config(launcher="none"), {}), NoLauncher)
    with pytest.raises(ConfigError, match="No image is named"):
        launcher_of(Config(launcher="docker"), {})


def test_no_launched_worker_takes_the_port_that_the_file_names(tmp_path: Path) -> None:
    """Several workers of one file cannot share it, and it may be another worker's."""
    config = Config(launch_logs=tmp_path, metrics_listen="127.0.0.1:24490")
    made = launcher_of(config, {})
    assert isinstance(made, ProcessLauncher)
    made._command = (sys.executable, "-c", SHOW)
    wait_until(made.launch("a", {}).ended, "it ended")
    environ = json.loads((tmp_path / "a.log").read_text())
    assert load({}, environ, {"metrics_listen": "127.0.0.1:24490"}).metrics_listen == "127.0.0.1:0"


def test_a_container_is_given_no_secret_of_the_servers(tmp_path: Path) -> None:
    """Whoever may ask the engine sees a container's variables; secrets for programs are for workers to have."""
    assert worker_environ({"GAIA_SECRET_TOKEN": "x", "AWS_SECRET_ACCESS_KEY": "x"}) == {}


def test_closing_waits_for_all_containers_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many still run Steps, a server that stops waits for them no longer than for one."""
    asked: list[float] = []

    class Busy:
        container = "c"

        class gone:  # noqa: N801 - an event that is never set
            @staticmethod
            def wait(timeout_s: float) -> bool:
                asked.append(timeout_s)
                return False

    class Engine:
        def containers(self, **_: object) -> list[object]:
            return []

        def kill(self, *_: object) -> None:
            pass

    now = iter([0.0, 0.0, 4.0, 9.0])
    monkeypatch.setattr(docker_launcher, "time", SimpleNamespace(monotonic=lambda: next(now)))
    made = docker_launcher.DockerLauncher(docker_launcher.Containers("d", "i", {}, "", (), 300.0, tmp_path, 9), Engine)
    made._living = {name: Busy() for name in ("a", "b", "c")}  # type: ignore[misc]
    made.close()
    assert asked == [5.0, 1.0, 0.0]
