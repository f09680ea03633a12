"""What a program in a container may do and see: looked at from inside, and as the engine tells it."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gaia_core.workflow.model import Resources
from gaia_worker.executors import docker, docker_container
from gaia_worker.executors.base import EngineFailed, Exited, OutOfMemory, Stopped
from gaia_worker.executors.docker_engine import Offers
from tests.support.docker_tasks import Tasks
from tests.support.waiting import wait_until

MIB = 1 << 20


@pytest.fixture(params=[False, True], ids=["fresh", "reuse"])
def reuse(request: pytest.FixtureRequest) -> bool:
    """Whether the container is the task's own, or a warm one."""
    return bool(request.param)


@pytest.fixture
def tasks(docker_engine: object, busybox_image: str, tmp_path: Path) -> Iterator[Tasks]:
    """Tasks on the engine that answers."""
    executor = docker.connect()
    yield Tasks(executor, busybox_image, tmp_path)
    executor.close()


def test_program_has_no_power(tasks: Tasks, *, reuse: bool) -> None:
    """No capability, none to be gained, system calls filtered, and the worker's own user and group."""
    script = "grep -E '^(CapEff|CapPrm|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\\t '; id -u; id -g"
    none = "0000000000000000"
    expected = [f"CapPrm:{none}", f"CapEff:{none}", f"CapBnd:{none}", "NoNewPrivs:1", "Seccomp:2"]
    assert tasks.said(script, reuse=reuse).split() == [*expected, str(os.getuid()), str(os.getgid())]


def test_program_cannot_leave_its_box(tasks: Tasks, *, reuse: bool) -> None:
    """It can neither mount, nor make devices, nor enter the host's namespaces, nor own by others."""
    script = (
        "touch /mine; for each in 'mount -t tmpfs x /mnt' 'mknod /d b 8 0' 'chown 1234 /mine' "
        "'nsenter -t 1 -n true' 'chroot / true' 'unshare -m true' 'ls /var/run/docker.sock' 'cat /proc/kcore'; do "
        '$each >/dev/null 2>&1 && echo "$each"; done; echo end'
    )
    assert tasks.said(script, reuse=reuse) == "end\n"


def test_program_sees_no_network_but_knows_localhost(tasks: Tasks, *, reuse: bool) -> None:
    """Only its own loopback, which is up; a Command that asks for a network has one."""
    script = "ls /sys/class/net; nc -w 1 localhost 9 </dev/null 2>&1 | grep -o refused"
    assert tasks.said(script, reuse=reuse).split() == ["lo", "refused"]
    assert "eth0" in tasks.said("ls /sys/class/net", reuse=reuse, network=True).split()


def test_two_programs_share_nothing(tasks: Tasks, *, reuse: bool) -> None:
    """Neither processes, nor shared memory, nor loopback, nor temporary files of another attempt are seen."""
    script = (
        "echo secret > /dev/shm/mine; echo secret > /tmp/mine; (sleep 100 | nc -l -p 7777) & "
        "sleep 0.5; echo up; sleep 1000"
    )
    cancelled, up = threading.Event(), threading.Event()
    first = tasks.task("sh", "-c", script, reuse=reuse)
    with ThreadPoolExecutor(1) as pool:
        end = pool.submit(tasks.executor.run, first, cancelled, lambda stream, data: up.set())
        try:
            assert up.wait(30)
            look = "ls /dev/shm /tmp | grep mine; ps | grep -c '[n]c -l'; nc -w 1 localhost 7777 2>&1 | grep -o refused"
            assert tasks.said(look, reuse=reuse).split() == ["0", "refused"]
        finally:
            cancelled.set()
        end.result(30)


def test_program_sees_only_its_attempts_files_of_the_host(tasks: Tasks, *, reuse: bool) -> None:
    """What is mounted from the host is what the task was given, and the engine's and our own small files."""
    secret = tasks.folder / "secret"
    secret.write_text("secret", encoding="utf-8")
    script = f"cat {secret} 2>/dev/null; ls {tasks.folder} 2>/dev/null; echo end"
    assert tasks.said(script, reuse=reuse, mounts=(tasks.given("/work"),)) == "end\n"
    facts = _inspected(tasks, reuse=reuse)
    sources = [Path(mount["Source"]) for mount in facts["Mounts"]]
    assert sources
    assert all(source.is_relative_to(tasks.folder) for source in sources)
    assert not any(source.name == "attempts" for source in sources)


def test_engine_was_asked_for_little(tasks: Tasks, *, reuse: bool) -> None:
    """Privileges, namespaces, limits and logs are as docs/executors.md tells."""
    facts = _inspected(tasks, reuse=reuse, resources=Resources(cpus=0.5, memory_bytes=64 * MIB))
    host = facts["HostConfig"]
    assert (host["CapDrop"], host["CapAdd"], host["Privileged"]) == (["ALL"], None, False)
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert (host["NetworkMode"], host["IpcMode"], host["PidMode"], host["UsernsMode"]) == ("none", "private", "", "")
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"]) == (64 * MIB, 64 * MIB, 500_000_000)
    assert host["PidsLimit"] == docker_container.PIDS_MAX
    assert host["LogConfig"]["Type"] == "none"
    assert host["Init"] == tasks.executor._engine.offers.init
    limits = [(one["Name"], one["Hard"]) for one in host["Ulimits"] or []]
    expected = [("nofile", docker_container.FILES_MAX)] if tasks.executor._engine.offers.file_limit else []
    assert limits == expected
    assert not [name for name in ("Devices", "Binds", "VolumesFrom") if host[name]]
    assert facts["Config"]["User"] == f"{os.getuid()}:{os.getgid()}"


def test_limits_hold(tasks: Tasks, *, reuse: bool) -> None:
    """Memory, and processes: a fork bomb ends where the limit is, and the host does not feel it."""
    limited = Resources(memory_bytes=32 * MIB)
    assert tasks.run(tasks.task("tail", "/dev/zero", reuse=reuse, resources=limited))[0] == OutOfMemory()
    files = ("/sys/fs/cgroup/pids/pids.max", "/sys/fs/cgroup/pids.max")
    told = tasks.said(f"cat {' '.join(files)} 2>/dev/null", reuse=reuse)
    assert told.strip() == str(docker_container.PIDS_MAX)


def test_root_file_system_may_be_written(tasks: Tasks) -> None:
    """Programs of images that nobody wrote for Gaia write where they like; it is gone with the container."""
    assert tasks.shell("echo x > /somewhere && cat /somewhere") == (Exited(0), "x\n")
    assert tasks.said("ls /somewhere 2>/dev/null; echo end") == "end\n"


def test_outputs_belong_to_the_worker(tasks: Tasks, *, reuse: bool) -> None:
    """Files that a program makes can be read and removed by the worker, whoever runs it."""
    work = tasks.given("/work")
    tasks.shell("mkdir /work/a; echo x > /work/a/b", mounts=(work,), reuse=reuse)
    facts = (work.source / "a" / "b").stat()
    assert (facts.st_uid, facts.st_gid) == (os.getuid(), os.getgid())
    assert stat.S_ISREG(facts.st_mode)


def test_orphans_are_waited_for(tasks: Tasks) -> None:
    """Where the engine has an init, no zombies pile up in a container."""
    if not tasks.executor._engine.offers.init:
        assert "without docker-init" in tasks.executor.describe()
        return
    script = "i=0; while [ $i -lt 20 ]; do (sleep 0.1 &) ; i=$((i + 1)); done; sleep 1; ps -o stat | grep -c Z"
    assert tasks.said(script).strip() == "0"


def test_engine_without_init_is_used_without(tasks: Tasks) -> None:
    """It is found out by the first start that fails, told to people, and costs no attempt."""
    engine = tasks.executor._engine
    words = 'exec: "docker-init": executable file not found in $PATH'
    assert engine.learn(words, Offers())
    assert not engine.learn(words, engine.offers)
    assert "without docker-init" in tasks.executor.describe()
    assert tasks.shell("echo $$") == (Exited(0), "1\n")
    assert tasks.shell("echo hi", reuse=True) == (Exited(0), "hi\n")
    assert len(tasks.warm()) == 1


def test_end_is_told_apart_by_its_cause(tasks: Tasks) -> None:
    """Codes, signals, programs that are none: each as a shell would tell it."""
    assert [tasks.shell(f"exit {code}")[0] for code in (0, 1, 125, 126, 127, 255)] == [
        Exited(code) for code in (0, 1, 125, 126, 127, 255)
    ]
    assert [tasks.shell(f"kill -{name} $$")[0] for name in ("TERM", "KILL", "SEGV")] == [
        Exited(code) for code in (143, 137, 139)
    ]
    assert tasks.run(tasks.task("no-such-program"))[0] == Exited(127)
    assert tasks.run(tasks.task("/etc"))[0] == Exited(126)


def test_image_is_told_by_its_digest(tasks: Tasks, *, reuse: bool) -> None:
    """A success says what exactly ran."""
    end, _ = tasks.shell("true", reuse=reuse)
    assert isinstance(end, Exited)
    assert end.image_digest == tasks.api.inspect_image(tasks.image)["Id"]


def test_nothing_is_created_for_a_cancelled_attempt(tasks: Tasks, *, reuse: bool) -> None:
    """A cancel that comes first is heard first."""
    cancelled = threading.Event()
    cancelled.set()
    assert tasks.run(tasks.task("true", reuse=reuse), cancelled) == (Stopped(), "")


def test_name_that_is_taken(tasks: Tasks) -> None:
    """A container of ours under the attempt's name gives way; somebody else's does not, and is left as it is."""
    task = tasks.task("true")
    tasks.api.create_container(tasks.image, ["sleep", "1000"], name=task.name, labels=dict(tasks.labels))
    assert tasks.run(task)[0] == Exited(0)
    wait_until(lambda: not tasks.containers(), "the name to be free")
    foreign = tasks.api.create_container(tasks.image, ["true"], name=task.name)["Id"]
    try:
        end, _ = tasks.run(task)
        assert isinstance(end, EngineFailed)
        assert "already in use" in end.message
        assert tasks.api.inspect_container(foreign)["State"]["Status"] == "created"
    finally:
        tasks.api.remove_container(foreign)


def _inspected(tasks: Tasks, *, reuse: bool, **fields: Any) -> Any:
    """Return what the engine tells of a container while a program runs in it."""
    cancelled, up = threading.Event(), threading.Event()
    task = tasks.task("sh", "-c", "echo up; sleep 1000", mounts=(tasks.given("/work"),), reuse=reuse, **fields)
    with ThreadPoolExecutor(1) as pool:
        end = pool.submit(tasks.executor.run, task, cancelled, lambda stream, data: up.set())
        try:
            assert up.wait(30)
            found = [tasks.api.inspect_container(one["Id"]) for one in tasks.containers()]
        finally:
            cancelled.set()
        end.result(30)
    (facts,) = [one for one in found if one["State"]["Running"] and "/work" in str(one["Mounts"])][-1:]
    return facts
