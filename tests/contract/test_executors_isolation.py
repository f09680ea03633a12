"""What a program can reach, stated once for every executor that runs programs: its own files and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gaia_core.workflow.model import FailureClass
from tests.contract.executor_site import Site, failed, given, ok, output


@pytest.mark.parametrize(
    "attack",
    [
        "echo x > /work/in",
        "rm -f /work/in",
        "chmod 777 /work/in && echo x > /work/in",
        "mv /work/in /work/gone",
        "echo x > /tree/a",
        "touch /tree/new",
    ],
)
def test_inputs_are_read_only(site: Site, attack: str) -> None:
    """A program can neither change nor remove nor add to its inputs."""
    site.shell(
        attack,
        inputs=(given("in", "/work/in", site.put("in", "1")), given("t/", "/tree/", site.put("t/a", "2"))),
        outputs=(output("o", "/work/o"),),
    )
    end = site.shell(
        f"({attack}) 2>/dev/null; cat /work/in /tree/*",
        inputs=(given("in", "/work/in", site.put("in", "1")), given("t/", "/tree/", site.put("t/a", "2"))),
        outputs=(output("o", "/work/o"), output("seen", ">")),
    )
    failed(end, FailureClass.OUTPUT_MISSING)
    assert end.failure.log_tail == "12"  # type: ignore[union-attr]


def test_no_network_unless_asked_for(site: Site) -> None:
    """A program sees no interface but its own loopback."""
    listing = "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '"
    ok(site.shell(listing, outputs=(output("o", ">"),)))
    assert site.text("o").split() == ["lo"]
    ok(site.shell(listing, network=True, outputs=(output("o", ">"),)))
    assert len(site.text("o").split()) > 1


def test_capabilities_are_dropped(site: Site) -> None:
    """A program has no capability, also where it runs as root."""
    ok(site.shell("grep CapEff /proc/self/status", outputs=(output("o", ">"),)))
    assert int(site.text("o").split()[1], 16) == 0


def test_outputs_belong_to_the_worker(site: Site) -> None:
    """Programs run as the worker's own user, with the same mask whatever the worker's is."""
    before = os.umask(0o077)
    try:
        outputs = (output("o", "/work/o"), output("said", ">"))
        ok(site.shell("id -u; id -g; echo x > /work/o; stat -c '%u %g %a' /work/o; umask", outputs=outputs))
    finally:
        os.umask(before)
    uid, gid = str(os.getuid()), str(os.getgid())
    assert site.text("said").split() == [uid, gid, uid, gid, "644", "0022"]


def test_network_has_no_way_out(site: Site) -> None:
    """Without `network` there is no route, and no socket of anybody else, not even one without a file."""
    assert site.said("tail -n +2 /proc/net/route; tail -n +2 /proc/net/unix") == ""
    assert {line.split()[-1] for line in site.said("cat /proc/net/ipv6_route 2>/dev/null || :").splitlines()} <= {"lo"}


def test_loopback_is_its_own(site: Site) -> None:
    """What listens on the host is not there for a program without network."""
    assert site.said("tail -q -n +2 /proc/net/tcp /proc/net/udp") == ""


def test_privileges_cannot_be_gained(site: Site) -> None:
    """A program gains nothing by a setuid file, makes no namespaces, mounts and devices, and has a filter on it."""
    status = dict(line.split(":\t") for line in site.said("cat /proc/self/status").splitlines() if ":\t" in line)
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    for attack in ("unshare -U true", "unshare -m true", "mount -t tmpfs x /mnt", "mknod /tmp/null c 1 3"):
        assert site.said(f"{attack} 2>/dev/null && echo done || :") == "", attack


@pytest.mark.parametrize(
    "path", ["/proc/sys/kernel/core_pattern", "/proc/sys/vm/overcommit_memory", "/sys/power/state"]
)
def test_kernel_settings_cannot_be_written(site: Site, path: str) -> None:
    """The settings of the host's kernel are out of reach, also where programs run as root. (Nothing is written.)"""
    assert site.said(f"(: > {path}) 2>/dev/null && echo opened || :") == ""


def test_processes_of_others_are_not_seen(site: Site) -> None:
    """A program sees its own processes and no other."""
    seen = site.said("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert "pytest" not in seen
    assert len(site.said("ls -d /proc/[0-9]*").split()) < 10


def test_engine_cannot_be_reached(site: Site) -> None:
    """The sockets of container engines are not there, wherever systems keep them."""
    places = "/run/docker.sock /var/run/docker.sock /run/containerd/containerd.sock /run/podman/podman.sock"
    assert site.said(f"ls {places} 2>/dev/null || :") == ""


def test_secrets_of_the_host_cannot_be_read(site: Site) -> None:
    """Password hashes, home folders, the worker's folders and its memory are out of reach."""
    shadow = Path("/etc/shadow")
    hosts = set(shadow.read_text().splitlines()) if os.access(shadow, os.R_OK) else set()
    assert not hosts & set(site.said("cat /etc/shadow /etc/shadow- 2>/dev/null || :").splitlines())
    home, hidden = Path.home(), site.scratch.parent
    assert not {path.name for path in home.iterdir()} & set(site.said(f"ls -A {home} 2>/dev/null || :").split())
    assert "secret" not in site.said(f"ls -A {hidden} 2>/dev/null || :")
    assert site.said(f"cat /proc/{os.getpid()}/environ /proc/1/environ 2>/dev/null | grep -a USER= || :") == ""


def test_attempts_do_not_see_each_other(site: Site) -> None:
    """What one attempt writes outside its outputs is seen by no other one, and their folders on the host by none."""
    write = "for f in /tmp /dev/shm /var/tmp /; do echo mine > $f/gaia-trace; done 2>/dev/null; ls -A"
    look = f"ls /tmp/gaia-trace /dev/shm/gaia-trace /var/tmp/gaia-trace /gaia-trace; ls -A {site.attempts.scratch}"
    assert site.said(f"({write}) >/dev/null; ({look}) 2>/dev/null || :")
    assert site.said(f"({look}) 2>/dev/null || :") == ""


def test_files_of_the_system_cannot_be_changed(site: Site) -> None:
    """What a program does to folders of the system is gone with it, where it can do it at all."""
    for path in ("/etc/gaia-trace", "/usr/gaia-trace", "/gaia-trace", "/var/gaia-trace"):
        site.shell(f"echo x > {path}")
        assert not Path(path).exists()
        assert site.said(f"ls {path} 2>/dev/null || :") == ""


def test_stored_input_stays_what_it_is(site: Site) -> None:
    """However a program tries to change its input, the next one is given what was stored."""
    stored = site.put("in", "as stored")
    for attack in (
        "echo x >> /work/in",
        "chmod +w /work/in; echo x > /work/in",
        "ln /work/in /work/o; echo x > /work/o",
    ):
        site.shell(attack, inputs=(given("in", "/work/in", stored),), outputs=(output("o", "/work/o"),))
        assert site.said("cat /work/in", inputs=(given("in", "/work/in", stored),)) == "as stored"
