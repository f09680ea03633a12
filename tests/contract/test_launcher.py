"""What every launcher promises, tried on processes and on containers of a real engine: small programs play workers."""

import io
import json
import sys
import tarfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from docker.errors import ImageNotFound

from gaia_core.backends.docker_launcher import Containers, DockerLauncher
from gaia_core.backends.process_launcher import STOPPING, ProcessLauncher
from gaia_core.errors import NotAllowedNow, Unavailable
from gaia_core.ports import Launcher
from tests.support.engine import Engine, connect
from tests.support.waiting import wait_until

PROGRAM = """
trap 'echo "The worker left: drained."; exit 0' TERM
echo "$GAIA_WORKER_NAME $GAIA_WORKER_METADATA $GAIA_IDLE_EXIT_S $GAIA_SLOTS"
if [ "$GAIA_WORKER_NAME" = bad ]; then echo "error: no engine answers" >&2; exit 5; fi
while true; do sleep 0.1; done
"""
SETTINGS = {"GAIA_SLOTS": "3", "GAIA_WORKER_METADATA": '{"of": "the server"}', "PATH": "/usr/bin:/bin"}
MOST = 2

DEADLINE_S = 60.0
"""An engine that has much to do takes seconds for a container."""


@dataclass
class Rig:
    """One kind of launcher: how to make one, where it keeps what workers say, who speaks, and what is left of them."""

    make: Callable[[], Launcher]
    folder: Path
    speaks: Callable[[str], bool]
    left: Callable[[], int]


def processes(folder: Path) -> Rig:
    """Workers as processes."""
    made: list[ProcessLauncher] = []

    def make() -> Launcher:
        made.append(ProcessLauncher(SETTINGS, 300.0, folder, MOST, ("/bin/sh", "-c", PROGRAM)))
        return made[-1]

    def speaks(name: str) -> bool:
        return bool((folder / f"{name}.log").read_text())

    return Rig(make, folder, speaks, lambda: sum(one.process.poll() is None for it in made for one in it._living))


@pytest.fixture
def image(docker_engine: Engine, busybox_image: str) -> Iterator[str]:
    """An image whose entrypoint is the program."""
    name = f"gaia-test-worker:{uuid.uuid4().hex[:8]}"
    dockerfile = f'FROM {busybox_image}\nENTRYPOINT ["sh", "-c", {json.dumps(PROGRAM)}]\n'.encode()
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        member = tarfile.TarInfo("Dockerfile")
        member.size = len(dockerfile)
        tar.addfile(member, io.BytesIO(dockerfile))
    context.seek(0)
    with connect(docker_engine) as engine:
        engine.images.build(fileobj=context, custom_context=True, tag=name, rm=True)
        yield name
        engine.images.remove(name, force=True)


@pytest.fixture(params=["processes", "containers"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    if request.param == "processes":
        yield processes(tmp_path)
        return
    deployment = f"test-{uuid.uuid4().hex[:8]}"
    environ = {name: value for name, value in SETTINGS.items() if name != "PATH"}
    named = request.getfixturevalue("image")
    made_of = Containers(deployment, named, environ, "none", (f"{tmp_path}:/given:ro",), 300.0, tmp_path, MOST)
    with connect(request.getfixturevalue("docker_engine")) as engine:

        def left() -> int:
            return len(engine.api.containers(all=True, filters={"label": f"gaia.deployment={deployment}"}))

        def speaks(name: str) -> bool:
            labels = [f"gaia.deployment={deployment}", f"gaia.launched={name}"]
            return all(one.logs() for one in engine.containers.list(filters={"label": labels}))

        try:
            yield Rig(lambda: DockerLauncher(made_of, lambda: engine.api), tmp_path, speaks, left)
        finally:
            for one in engine.containers.list(all=True, filters={"label": f"gaia.deployment={deployment}"}):
                one.remove(force=True)


def said(rig: Rig, name: str) -> str:
    """Return what a worker has said."""
    path = rig.folder / f"{name}.log"
    return path.read_text() if path.exists() else ""


def test_a_worker_gets_its_name_and_metadata_and_leaves_when_asked(rig: Rig) -> None:
    """The settings of the server and its own, of which its own count; what it said is in a file when it has left."""
    launcher = rig.make()
    workers = [launcher.launch(name, {"zone": name}) for name in ("a", "b")]
    assert [worker.ended() for worker in workers] == ["", ""]
    assert rig.left() == 2
    wait_until(lambda: rig.speaks("a") and rig.speaks("b"), "they have begun", deadline_s=DEADLINE_S)
    launcher.close()
    wait_until(lambda: rig.left() == 0, "they left", deadline_s=DEADLINE_S)
    for name in ("a", "b"):
        wait_until(lambda name=name: "drained" in said(rig, name), "it is kept", deadline_s=DEADLINE_S)  # type: ignore[misc]
        assert said(rig, name).splitlines() == [
            f'{name} {{"zone": "{name}"}} 300.0 3', "The worker left: drained."
        ]  # fmt: skip


def test_a_worker_that_ends_says_why_and_leaves_its_room(rig: Rig) -> None:
    """By its exit code and its last words, and names the file with all of them; its name can be used again."""
    launcher = rig.make()
    for _ in range(2):
        bad = launcher.launch("bad", {})
        end = wait_until(bad.ended, "it ended", deadline_s=DEADLINE_S)
        assert end.startswith("exit code 5: ")
        assert "error: no engine answers" in end
        assert str(rig.folder / "bad.log") in end
        wait_until(lambda: rig.left() == 0 and not launcher.objection(MOST), "nothing is left", deadline_s=DEADLINE_S)
    assert said(rig, "bad").count("no engine") == 2
    launcher.close()


def test_only_so_many_workers_live_at_a_time(rig: Rig) -> None:
    """How many more were too many is told in words; a server that stops starts none."""
    launcher = rig.make()
    assert launcher.objection(MOST) == ""
    launcher.launch("a", {})
    assert launcher.objection(1) == ""
    assert launcher.objection(2) == "This server may run 2 launched workers; 1 live, and 2 more were asked for."
    launcher.close()
    assert launcher.objection(1) == STOPPING


def test_what_cannot_be_started_is_an_error(tmp_path: Path) -> None:
    """A program that is not there, a folder that cannot be written."""
    with pytest.raises(Unavailable, match="No such file"):
        ProcessLauncher({}, 1.0, tmp_path, 1, (str(tmp_path / "nothing"),)).launch("a", {})
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable):
        ProcessLauncher({}, 1.0, tmp_path / "file", 1, (sys.executable,)).launch("a", {})


def test_an_engine_that_is_away_is_asked_again(tmp_path: Path) -> None:
    """A server starts without it; a launch meanwhile is refused in words, and one later is not."""
    asked: list[str] = []

    class Engine:
        def containers(self, **_: object) -> list[object]:
            return []

        def create_host_config(self, **_: object) -> object:
            return None

        def create_container(self, *_: object, **__: object) -> object:
            raise ImageNotFound("no such image")

    def connect_late() -> Engine:
        asked.append("")
        if len(asked) < 3:
            raise Unavailable("No Docker engine answers")
        return Engine()

    launcher = DockerLauncher(Containers("d", "image:1", {}, "", (), 1.0, tmp_path, MOST), connect_late)
    with pytest.raises(Unavailable, match="No Docker engine answers"):
        launcher.launch("a", {})
    with pytest.raises(NotAllowedNow, match="The engine has no image 'image:1'"):
        launcher.launch("a", {})
    launcher.close()


def test_the_next_launcher_looks_after_the_containers_of_the_last(
    docker_engine: Engine, image: str, tmp_path: Path
) -> None:
    """Those that live count, and are asked to leave; a name that a container has is refused in words."""
    made_of = Containers(f"test-{uuid.uuid4().hex[:8]}", image, SETTINGS, "none", (), 300.0, tmp_path, MOST)
    with connect(docker_engine) as engine:
        DockerLauncher(made_of, lambda: engine.api).launch("a", {})
        after = DockerLauncher(made_of, lambda: engine.api)
        assert after.objection(2) != ""
        with pytest.raises(NotAllowedNow, match=r"There is a container 'gaia-worker-a-.*' already"):
            after.launch("a", {})
        after.close()
        label = f"gaia.deployment={made_of.deployment}"
        wait_until(
            lambda: not engine.api.containers(all=True, filters={"label": label}), "it left", deadline_s=DEADLINE_S
        )
