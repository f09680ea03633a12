"""The parts of the sandbox that need no bubblewrap: its filter of system calls, control groups, and what is hidden."""

from __future__ import annotations

import os
import socket
import stat
import struct
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gaia_core.workflow.model import Resources
from gaia_worker.executors import sandbox_cgroups, sandbox_layout
from gaia_worker.executors.base import Exited, Task
from gaia_worker.executors.sandbox import SandboxExecutor
from gaia_worker.executors.sandbox_cgroups import Group, Home, find_home
from gaia_worker.executors.sandbox_layout import Layout, Private
from gaia_worker.executors.sandbox_scope import forbid_abstract_sockets
from gaia_worker.executors.sandbox_seccomp import seccomp_filter

X86_64, AARCH64, I386 = 0xC000003E, 0xC00000B7, 0x40000003
ALLOWED, REFUSED = 0x7FFF0000, 0x00050001


def _verdict(rules: bytes, audit: int, number: int, *arguments: int) -> int:
    """Run a filter as the kernel would, on one system call."""
    data = struct.pack("=IIQ6Q", number, audit, 0, *(*arguments, *[0] * (6 - len(arguments))))
    program = list(struct.iter_unpack("=HBBI", rules))
    at = loaded = 0
    while True:
        code, when_true, when_false, value = program[at]
        at += 1
        if code == 0x20:
            (loaded,) = struct.unpack_from("=I", data, value)
        elif code in (0x15, 0x35):
            at += when_true if (loaded == value if code == 0x15 else loaded >= value) else when_false
        else:
            assert code == 0x06
            return int(value)


@pytest.mark.parametrize(
    ("machine", "audit", "refused", "allowed"),
    [
        ("x86_64", X86_64, [248, 250, 298, 321, 323, 425], [0, 1, 56, 59, 257]),
        ("aarch64", AARCH64, [217, 280], [63, 220]),
    ],
)
def test_filter_refuses_what_leads_out(machine: str, audit: int, refused: list[int], allowed: list[int]) -> None:
    """Calls on the list are refused, others are not, whatever the processor."""
    rules = seccomp_filter(machine)
    assert rules is not None
    assert {_verdict(rules, audit, number) for number in refused} == {REFUSED}
    assert {_verdict(rules, audit, number) for number in allowed} == {ALLOWED}


def test_filter_looks_at_arguments() -> None:
    """Sockets to the hypervisor and typing into a terminal are refused, also with rubbish in the upper half."""
    rules = seccomp_filter("x86_64") or b""
    assert _verdict(rules, X86_64, 41, socket.AF_INET) == ALLOWED
    assert _verdict(rules, X86_64, 41, 40) == REFUSED
    assert _verdict(rules, X86_64, 16, 0, 0x5401) == ALLOWED
    for request in (0x5412, 0x541C, 0x5412 | 1 << 40):
        assert _verdict(rules, X86_64, 16, 0, request) == REFUSED


def test_filter_refuses_other_numberings() -> None:
    """A call that is numbered otherwise, as by 32-bit programs, does not get past the list."""
    rules = seccomp_filter("x86_64") or b""
    assert _verdict(rules, I386, 1) == REFUSED
    assert _verdict(rules, X86_64, 0x40000000 | 1) == REFUSED


def test_no_filter_for_processors_that_are_not_known() -> None:
    """Where the numbers are not known there is no filter rather than a wrong one."""
    assert seccomp_filter("riscv64") is None


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Makes a folder stand for the mounted hierarchies of control groups, of which this process is in some."""

    def stand_in(mounts: str, own: str) -> Path:
        top = tmp_path / "cgroup"
        top.mkdir(exist_ok=True)
        (tmp_path / "mountinfo").write_text(mounts.replace("TOP", str(top)))
        (tmp_path / "own").write_text(own)
        monkeypatch.setattr(sandbox_cgroups, "_MOUNTS", tmp_path / "mountinfo")
        monkeypatch.setattr(sandbox_cgroups, "_OWN", tmp_path / "own")
        return top

    return stand_in


SECOND = "31 23 0:28 / TOP rw,relatime - cgroup2 cgroup2 rw\n"


def _second(folder: Path, given: str, limits: str, processes: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cgroup.controllers").write_text(given)
    (folder / "cgroup.subtree_control").write_text(limits)
    (folder / "cgroup.procs").write_text(processes)
    return folder


def test_first_version_is_used_where_this_process_is(kernel: Callable[[str, str], Path]) -> None:
    """Each controller has a hierarchy of its own; groups are made in the one that this process is in."""
    mounts = (
        "32 31 0:29 / TOP/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        "33 31 0:30 /box TOP/memory rw - cgroup cgroup rw,memory\n"
        "34 31 0:31 / TOP/pids rw - cgroup cgroup rw,pids\n"
    )
    top = kernel(mounts, "4:memory:/box/a\n3:pids:/\n2:cpu,cpuacct:/b\n1:name=systemd:/\n0::/\n")
    for name in ("memory/a", "pids", "cpu,cpuacct/b"):
        (top / name).mkdir(parents=True)
    assert find_home() == Home(1, {"memory": top / "memory/a", "pids": top / "pids", "cpu": top / "cpu,cpuacct/b"})


def test_second_version_is_used_where_the_parent_limits(kernel: Callable[[str, str], Path]) -> None:
    """A group with processes limits none below it, so groups are made beside it where its parent was delegated."""
    top = kernel(SECOND, "0::/user/shell\n")
    parent = _second(top / "user", "cpu memory pids", "cpu memory pids", "")
    _second(parent / "shell", "cpu memory pids", "", f"1\n{os.getpid()}\n")
    assert find_home() == Home(2, dict.fromkeys(("cpu", "memory", "pids"), parent))


def test_second_version_is_used_by_moving_out_of_the_way(kernel: Callable[[str, str], Path]) -> None:
    """A process that is alone in its group moves one down and lets the group limit what is made in it."""
    top = kernel(SECOND, "0::/service\n")
    own = _second(top / "service", "memory pids", "", f"{os.getpid()}\n")
    _second(own / "gaia-worker", "", "", "")
    assert find_home() is None, "a folder is no kernel: nothing was switched on"
    assert (own / "gaia-worker" / "cgroup.procs").read_text() == str(os.getpid())
    assert (own / "cgroup.subtree_control").read_text() == "+memory +pids"


@pytest.mark.parametrize(("given", "processes"), [("memory", "{}\n"), ("memory pids", "1\n{}\n")])
def test_no_groups_where_none_can_limit(kernel: Callable[[str, str], Path], given: str, processes: str) -> None:
    """Without the controllers, or among processes of others, no group is made and nobody is moved."""
    top = kernel(SECOND, "0::/service\n")
    own = _second(top / "service", given, "", processes.format(os.getpid()))
    (top / "cgroup.subtree_control").write_text("")
    (top / "cgroup.procs").write_text("1\n2\n")
    (top / "cgroup.controllers").write_text("memory pids")
    assert find_home() is None
    assert list(own.glob("gaia-*")) == []


def _written(folder: Path, version: int, resources: Resources, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    names = {
        1: (
            "memory.limit_in_bytes",
            "memory.memsw.limit_in_bytes",
            "pids.max",
            "cpu.cfs_period_us",
            "cpu.cfs_quota_us",
        ),
        2: ("memory.max", "memory.swap.max", "pids.max", "cpu.max"),
    }
    made = Path.mkdir

    def mkdir(path: Path) -> None:
        made(path)
        for name in names[version]:
            (path / name).touch()

    with monkeypatch.context() as patched:
        patched.setattr(Path, "mkdir", mkdir)
        Home(version, dict.fromkeys(("memory", "pids", "cpu"), folder)).group("g", resources)
    return {path.name: text for path in (folder / "g").iterdir() if (text := path.read_text())}


def test_limits_are_written_as_the_kernel_takes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory without swap, a share of processors and a number of processes, in the words of either version."""
    resources = Resources(cpus=1.5, memory_bytes=1 << 30)
    one, two, none = (tmp_path / name for name in ("one", "two", "none"))
    for folder in (one, two, none):
        folder.mkdir()
    gib = str(1 << 30)
    assert _written(one, 1, resources, monkeypatch) == {
        "memory.limit_in_bytes": gib,
        "memory.memsw.limit_in_bytes": gib,
        "pids.max": "4096",
        "cpu.cfs_period_us": "100000",
        "cpu.cfs_quota_us": "150000",
    }
    expected = {"memory.max": gib, "memory.swap.max": "0", "pids.max": "4096", "cpu.max": "150000 100000"}
    assert _written(two, 2, resources, monkeypatch) == expected
    assert _written(none, 2, Resources(), monkeypatch) == {"pids.max": "4096"}


@pytest.mark.parametrize(
    ("name", "text", "was_short"),
    [
        ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", True),
        ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n", False),
        ("memory.events", "low 0\nhigh 0\nmax 31\noom 1\noom_kill 1\noom_group_kill 0\n", True),
        ("memory.events", "low 0\nhigh 0\nmax 31\noom 0\noom_kill 0\n", False),
    ],
)
def test_want_of_memory_is_what_the_kernel_says(tmp_path: Path, name: str, text: str, was_short: bool) -> None:
    """Not that the limit was reached counts, but that something was killed for it."""
    (tmp_path / name).write_text(text)
    assert Group({"memory": tmp_path}).out_of_memory() == was_short


def test_what_not_everybody_may_read_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and folders that are closed to others, and sockets; not what lies in a closed folder, nor links."""
    monkeypatch.setattr(sandbox_layout, "SCANNED", {str(tmp_path): 2})
    for name, mode in (("open", 0o755), ("shut", 0o750), ("open/shut", 0o700), ("open/open", 0o711)):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(mode)
    for name, mode in (("key", 0o600), ("open/key", 0o640), ("open/text", 0o644), ("shut/key", 0o600)):
        (tmp_path / name).touch(mode)
        (tmp_path / name).chmod(mode)
    (tmp_path / "link").symlink_to("key")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        found = Private(()).places()
    assert [Path(path).relative_to(tmp_path).as_posix() for path in found] == [
        "key",
        "open/key",
        "open/shut",
        "s",
        "shut",
    ]


def test_files_of_the_host_are_looked_at_once_in_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan serves the attempts that follow, and what it found and is gone again is not covered."""
    monkeypatch.setattr(sandbox_layout, "SCANNED", {str(tmp_path): 1})
    key = tmp_path / "key"
    key.touch(0o600)
    private = Private(())
    assert private.places() == (str(key),)
    task = Task(name="t", image="", argv=("true",))
    assert str(key) in Layout(task, (), private.places()).arguments()
    key.unlink()
    assert str(key) not in Layout(task, (), private.places()).arguments()


@pytest.fixture
def spy(tmp_path: Path) -> tuple[Path, Path]:
    """A program in the place of bwrap that writes down what it was given, and where."""
    program, seen = tmp_path / "bwrap", tmp_path / "seen"
    program.write_text(f'#!/bin/sh\n{{ env; echo; for word in "$@"; do echo "word $word"; done; }} > {seen}\nexit 1\n')
    program.chmod(stat.S_IRWXU)
    return program, seen


def test_variables_of_a_program_do_not_reach_bubblewrap(spy: tuple[Path, Path]) -> None:
    """What acts on programs that start, as LD_PRELOAD does, must not act outside the sandbox, nor be listed."""
    program, seen = spy
    executor = SandboxExecutor(program)
    task = Task(name="t", image="", argv=("true",), env={"LD_PRELOAD": "/evil.so", "KEY": "a secret"})
    executor.run(task, threading.Event(), lambda *_: None)
    executor.close()
    assert "LD_PRELOAD" not in seen.read_text()
    assert "a secret" not in seen.read_text()


def test_argument_with_a_null_byte_is_refused(spy: tuple[Path, Path]) -> None:
    """A variable cannot smuggle in an option of bubblewrap."""
    program, seen = spy
    executor = SandboxExecutor(program)
    task = Task(name="t", image="", argv=("true",), env={"A": "b\0--bind\0/\0/"})
    end = executor.run(task, threading.Event(), lambda *_: None)
    executor.close()
    assert end != Exited(0)
    assert "null byte" in str(end)
    assert not seen.exists()


def test_abstract_sockets_of_others_are_out_of_reach() -> None:
    """A thread that scoped itself cannot connect to an abstract socket of the host, where the kernel can forbid it."""
    name = f"\0gaia-{os.getpid()}-{threading.get_ident()}"

    def reaches() -> bool:
        with socket.socket(socket.AF_UNIX) as caller:
            try:
                caller.connect(name)
            except PermissionError:
                return False
            return True

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(name)
        listening.listen()
        assert reaches()
        with ThreadPoolExecutor(1) as scoped:
            assert scoped.submit(forbid_abstract_sockets).result() != scoped.submit(reaches).result()
        assert reaches(), "the others are as free as before"
