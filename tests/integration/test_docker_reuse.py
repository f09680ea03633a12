"""`reuse`: Steps in one container, one after the other, end as in containers of their own, and see no other's files."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gaia_core.workflow.model import Resources
from gaia_worker.executors import docker, docker_area, docker_changes, docker_warm
from gaia_worker.executors.base import Exit, Exited, OutOfMemory, Stopped, TimedOut
from gaia_worker.scratch import remove_folder
from tests.support.docker_tasks import Tasks
from tests.support.waiting import wait_until


@pytest.fixture
def tasks(docker_engine: object, busybox_image: str, tmp_path: Path) -> Iterator[Tasks]:
    """Tasks on the engine that answers; in the end nothing of them is left, neither in it nor on the disk."""
    executor = docker.connect()
    made = Tasks(executor, busybox_image, tmp_path)
    yield made
    executor.close()
    with_engine = docker.connect()
    try:
        assert Tasks(with_engine, busybox_image, tmp_path, made.deployment).containers() == []
    finally:
        with_engine.close()
    assert not (tmp_path / "area").exists()


def warm(tasks: Tasks, script: str, **fields: object) -> tuple[Exit, str]:
    return tasks.shell(script, reuse=True, **fields)


def test_one_container_serves_one_task_after_the_other(tasks: Tasks) -> None:
    """Tasks of one kind share a container, and each has its own variables, words and code."""
    for number in range(3):
        assert warm(tasks, "echo $N", env={"N": str(number)}) == (Exited(0), f"{number}\n")
    assert len(tasks.warm()) == 1


def test_tasks_at_one_time_have_containers_of_their_own(tasks: Tasks) -> None:
    """There is one program at a time in a container."""
    looks = "sleep 9 & sleep 1; cat /proc/[0-9]*/comm | grep -cx sleep; kill $!; wait; exit 0"
    with ThreadPoolExecutor(2) as pool:
        ends = list(pool.map(lambda _: warm(tasks, looks), range(2)))
    assert ends == [(Exited(0), "1\n")] * 2, "neither sees what the other runs"
    assert len(tasks.warm()) == 2


def test_each_task_sees_its_own_files_in_the_same_places(tasks: Tasks) -> None:
    """Folders and files, read-only or not, also inside each other, are those of the task; what it wrote is its own."""
    for number in range(3):
        work = tasks.given("/work", old=f"old {number}")
        (work.source / "in").touch()
        (work.source / "sub").mkdir()
        (work.source / "sub" / "deep").touch()
        mounts = (
            work,
            tasks.given_file("/work/in", f"in {number}"),
            tasks.given("/tree", read_only=True, leaf=f"leaf {number}"),
            tasks.given_file("/work/sub/deep", f"deep {number}"),
            tasks.given_file("/etc/single", "", read_only=False),
        )
        script = (
            "cat /work/in /work/old /tree/leaf /work/sub/deep; ls -A /work /tree | wc -w; mkdir /work/made; "
            "echo new > /work/made/new; echo single > /etc/single; touch /tree/x 2>&1; echo x 2>/dev/null > /work/in; "
            "chmod 500 /work/made; rm /work/old"
        )
        end, words = warm(tasks, script, mounts=mounts)
        assert end == Exited(0)
        assert words.startswith(f"in {number}old {number}leaf {number}deep {number}6\n")
        assert "Read-only" in words
        assert (work.source / "made" / "new").read_text() == "new\n"
        assert sorted(path.name for path in work.source.iterdir()) == ["in", "made", "sub"]
        assert mounts[4].source.read_text() == "single\n"
        assert [mount.source.read_text() for mount in (mounts[1], mounts[3])] == [f"in {number}", f"deep {number}"]
    assert len(tasks.warm()) == 1


def test_other_places_or_limits_are_another_kind(tasks: Tasks) -> None:
    """A container serves only tasks that would get an equal one."""
    warm(tasks, "true", mounts=(tasks.given("/a"),))
    warm(tasks, "true", mounts=(tasks.given("/b"),))
    warm(tasks, "true", mounts=(tasks.given("/b", read_only=True),))
    warm(tasks, "true", resources=Resources(memory_bytes=64 << 20))
    warm(tasks, "true", workdir="/some/where")
    warm(tasks, "true", network=True)
    assert len(tasks.warm()) == 6


@pytest.mark.parametrize("left", ["sleep 1000 >/dev/null 2>&1 &", "echo x > /left", "rm /bin/wget", "chmod 700 /home"])
@pytest.mark.parametrize("is_asked", [False, True])
def test_container_with_anything_left_in_it_is_not_used_again(
    tasks: Tasks, monkeypatch: pytest.MonkeyPatch, left: str, is_asked: bool
) -> None:
    """A process, a new file, a changed or removed one outside of the task's own places: the next gets a fresh one."""
    if is_asked:  # as one whose files are not here
        monkeypatch.setattr(docker_changes, "_upper_folder", lambda facts: None)
    assert warm(tasks, "true")[0] == Exited(0)
    (first,) = tasks.warm()
    assert warm(tasks, left)[0] == Exited(0)
    wait_until(lambda: not tasks.warm(), "the container to go")
    assert warm(tasks, "ls / | grep -c left; ps | grep -c '[s]leep'; ls /bin/wget")[1] == "0\n0\n/bin/wget\n"
    assert tasks.warm() != {first}


def test_program_is_over_though_a_child_holds_its_streams(tasks: Tasks) -> None:
    """What a program leaves in the background holds up no task, as in a container of its own, and is gone."""
    assert warm(tasks, "sleep 1000 & echo hi") == (Exited(0), "hi\n")
    wait_until(lambda: not tasks.warm(), "the container to go")


def test_temporary_files_are_gone(tasks: Tasks) -> None:
    """/tmp and /var/tmp are empty for every task, also of what was forbidden to be removed."""
    script = "ls -A /tmp /var/tmp | grep -v : ; mkdir /tmp/a; touch /tmp/a/b /var/tmp/c; chmod 0 /tmp/a"
    for _ in range(2):
        assert warm(tasks, script)[0] == Exited(0)
    assert warm(tasks, "ls -A /tmp /var/tmp")[1].split() == ["/tmp:", "/var/tmp:"]
    assert len(tasks.warm()) == 1


@pytest.mark.parametrize("code", [1, 3, 127, 137, 255])
def test_failure_is_told_as_ever_and_costs_the_container(tasks: Tasks, code: int) -> None:
    """Exit codes are the program's; after any but 0 the container goes."""
    assert warm(tasks, f"echo bye; exit {code}") == (Exited(code), "bye\n")
    wait_until(lambda: not tasks.warm(), "the container to go")


def test_program_that_cannot_be_run_is_told_as_ever(tasks: Tasks) -> None:
    """A missing program is 127, one that is none 126, with the engine's words."""
    for argv, code in (("no-such-program", 127), ("/etc", 126)):
        end, words = tasks.run(tasks.task(argv, reuse=True))
        assert end == Exited(code)
        assert argv in words
        fresh_end, fresh_words = tasks.run(tasks.task(argv))
        assert fresh_end == end
        assert argv in fresh_words


def test_memory_beyond_the_limit(tasks: Tasks) -> None:
    """A program that takes more memory than it was given is told apart from one that was killed."""
    limited = Resources(memory_bytes=32 << 20)
    assert tasks.run(tasks.task("tail", "/dev/zero", reuse=True, resources=limited))[0] == OutOfMemory()
    assert warm(tasks, "kill -9 $$", resources=limited)[0] == Exited(137)


def test_time_is_up(tasks: Tasks) -> None:
    """A program whose time is up is asked to end, and may say good-bye; the container goes."""
    script = "trap 'echo bye; exit 0' TERM; echo hi; sleep 100 & wait"
    assert warm(tasks, script, timeout_s=1) == (TimedOut(), "hi\nbye\n")
    wait_until(lambda: not tasks.warm(), "the container to go")


def test_program_that_does_not_listen_is_killed(tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the grace a program that ignores the request to end is killed with all it started."""
    monkeypatch.setattr(docker, "TERMINATE_GRACE_S", 0.3)
    script = "trap '' TERM; (while :; do sleep 1; done) & while :; do sleep 1; done"
    assert warm(tasks, script, timeout_s=0.5)[0] == TimedOut()
    wait_until(lambda: not tasks.containers(), "the container to go")


def test_cancel_kills_at_once(tasks: Tasks) -> None:
    """A cancelled program is killed with its container, however it feels about it."""
    cancelled, started = threading.Event(), threading.Event()
    task = tasks.task("sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done", reuse=True)
    with ThreadPoolExecutor(1) as pool:
        end = pool.submit(tasks.executor.run, task, cancelled, lambda stream, data: started.set())
        assert started.wait(30)
        cancelled.set()
        assert end.result(30) == Stopped()
    wait_until(lambda: not tasks.containers(), "the container to go")


def test_container_is_recycled_after_enough_uses(tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    """No container serves for ever."""
    monkeypatch.setattr(docker_warm, "USES_MAX", 2)
    seen = []
    for _ in range(4):
        assert warm(tasks, "hostname")[0] == Exited(0)
        seen.append(frozenset(tasks.warm()))
    assert seen[0] != seen[2]


def test_idle_containers_go(tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody used for a while is thrown away, and of many kinds only the latest are kept."""
    monkeypatch.setattr(docker_warm, "IDLE_MAX", 1)
    warm(tasks, "true", workdir="/a")
    warm(tasks, "true", workdir="/b")
    wait_until(lambda: len(tasks.warm()) == 1, "the older one to go")
    monkeypatch.setattr(docker_warm, "IDLE_S", 0.0)
    tasks.executor._warm.forget_idle()
    wait_until(lambda: not tasks.warm(), "the other one to go")


def test_task_that_cannot_share_gets_a_container_of_its_own(tasks: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large file that is a mount of its own would have to be copied."""
    monkeypatch.setattr(docker_area, "COPIED_BYTES_MAX", 3)
    mounts = (tasks.given_file("/in", "long"),)
    assert warm(tasks, "cat /in; echo x > /left", mounts=mounts) == (Exited(0), "long")
    assert tasks.warm() == set()


def test_image_without_a_shell_is_served_by_fresh_containers(tasks: Tasks) -> None:
    """`reuse` needs sh in the image; without it the Step runs all the same."""
    image = bare_image(tasks)
    try:
        for _ in range(2):
            assert tasks.run(tasks.task("/echo", "hi", reuse=True, image=image)) == (Exited(0), "hi\n")
        assert tasks.warm() == set()
    finally:
        tasks.api.remove_image(image, force=True)


def bare_image(tasks: Tasks) -> str:
    """Make an image that has the program echo and nothing else; return its name."""
    holder = tasks.api.create_container(tasks.image, ["true"], entrypoint=[])["Id"]
    try:
        stream, _ = tasks.api.get_archive(holder, "/bin/busybox")
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as packed:
            program = packed.extractfile("busybox")
            assert program is not None
            data = program.read()
    finally:
        tasks.api.remove_container(holder)
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as made:
        member = tarfile.TarInfo("echo")
        member.size, member.mode = len(data), 0o755
        made.addfile(member, io.BytesIO(data))
    name = f"gaia-test-bare-{tasks.deployment}"
    tasks.api.import_image_from_data(layer.getvalue(), repository=name, tag="1")
    return f"{name}:1"


WORKER = """
import sys, threading
from pathlib import Path
from gaia_worker.executors import docker
from tests.support.docker_tasks import Tasks
tasks = Tasks(docker.connect(), sys.argv[1], Path(sys.argv[2]), sys.argv[3])
print(tasks.shell("true", reuse=True)[0], flush=True)
threading.Event().wait()
"""


def test_nothing_warm_outlives_a_killed_worker(tasks: Tasks) -> None:
    """The container's program ends with the worker's process; what is left of it the next life removes."""
    command = [sys.executable, "-c", WORKER, tasks.image, str(tasks.folder), tasks.deployment]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as worker:
        assert worker.stdout is not None
        assert "Exited(code=0" in worker.stdout.readline()
        worker.kill()
    wait_until(lambda: [one["State"] for one in tasks.containers()] == ["exited"], "the container to end")
    assert tasks.executor.cleanup(tasks.labels) == 1
    subprocess.run(["rm", "-rf", str(tasks.folder / "area")], check=True)


def test_a_running_program_is_told_where_its_files_lie(tasks: Tasks) -> None:
    """While it runs they are the container's; who watches them must find them there, and afterwards no more."""
    seen: list[str] = []
    out, single = tasks.given("/out"), tasks.given_file("/etc/single", "", read_only=False)
    mounts = (out, single, tasks.given("/in", read_only=True, a="a"))
    script = "echo a > /out/a; echo b > /etc/single; echo c > /tmp/c; echo d; sleep 1"
    task = tasks.task("sh", "-c", script, reuse=True, mounts=mounts)

    def sink(_stream: int, _data: bytes) -> None:
        files = [path / "a" if path.is_dir() else path for path in task.elsewhere.values()]
        seen.extend(file.read_text() for file in files if file.exists())
        seen.extend(file.read_text() for path in task.elsewhere.values() for file in path.glob("c"))

    assert tasks.executor.run(task, threading.Event(), sink) == Exited(0)
    assert seen == ["a\n", "b\n", "c\n"]
    assert task.elsewhere == {}


def test_what_is_warm_goes_when_its_worker_begins_anew(tasks: Tasks) -> None:
    """An incarnation that follows another one in the same process clears its files away, and must not meet them."""
    assert warm(tasks, "echo a") == (Exited(0), "a\n")
    assert tasks.executor.cleanup(tasks.labels) <= 1
    remove_folder(tasks.folder / "area")
    assert warm(tasks, "echo b") == (Exited(0), "b\n")
