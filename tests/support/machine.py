"""What the test support asks of the machine itself: a cache folder, programs, the identity of processes.

Programs that are missing are installed by apt only where we are root on a machine that has apt; anywhere else the
error names the command that helps. Used by engine.py, images.py and services.py.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# The Debian package that brings each program we may have to install.
PACKAGES = {
    "busybox": "busybox-static",
    "bwrap": "bubblewrap",
    "curl": "curl",
    "debootstrap": "debootstrap",
    "docker-compose": "docker-compose",
    "dockerd": "docker.io",
    "go": "golang-go",
    "initdb": "postgresql",
    "iptables": "iptables",
    "java": "openjdk-17-jdk-headless",
    "javac": "openjdk-17-jdk-headless",
    "jlink": "openjdk-17-jdk-headless",
    "mvn": "maven",
    "node": "nodejs",
    "npm": "npm",
    "redis-server": "redis-server",
}
ERROR_TAIL_LINES = 15


class ServiceMissing(RuntimeError):
    """Say in one line what is missing here and which command helps; its tests are skipped at home and fail in CI."""


def cache_folder(name: str) -> Path:
    """Return (and make) the folder for what is worth keeping between runs; version control ignores it."""
    top = ROOT / ".cache"
    folder = top / name
    folder.mkdir(parents=True, exist_ok=True)
    ignore = top / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")
    return folder


def run(command: Sequence[str | Path], *, cwd: Path | None = None, environment: Mapping[str, str] | None = None) -> str:
    """Run a program and return what it printed.

    Args:
        command: program and arguments; no shell.
        cwd: folder to run in.
        environment: variables to set on top of our own.
    Raises:
        ServiceMissing: it failed or is not there; the message carries the end of its output.
    """
    try:
        done = subprocess.run(
            command, cwd=cwd, env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=False
        )
    except FileNotFoundError as problem:
        raise ServiceMissing(f"{command[0]} is not installed") from problem
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-ERROR_TAIL_LINES:])
        raise ServiceMissing(f"`{' '.join(map(str, command))}` failed with code {done.returncode}:\n{tail}")
    return done.stdout


def may_install() -> bool:
    """Tell whether we may install Debian packages here: root on a machine with apt."""
    return os.name == "posix" and os.geteuid() == 0 and shutil.which("apt-get") is not None


def ensure_programs(*programs: str) -> None:
    """Install what is missing of the named programs (keys of PACKAGES).

    Raises:
        ServiceMissing: something is missing and we may not install it.
    """
    packages = sorted({PACKAGES[name] for name in programs if find_program(name) is None})
    if not packages:
        return
    command = f"apt-get install -y --no-install-recommends {' '.join(packages)}"
    if not may_install():
        raise ServiceMissing(f"missing: {', '.join(packages)}; on Debian or Ubuntu: sudo {command}")
    print(f"installing {' '.join(packages)} ...", flush=True)
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "-qq", "update"], environment=quiet)
    run(["apt-get", "-qq", *command.split()[1:]], environment=quiet)


def find_program(name: str) -> str | None:
    """Return the path of a program; the folders of system programs are searched too."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))


def process_identity(pid: int) -> str | None:
    """Return a text that no later process of the same pid shares, or None when no such process runs.

    Without /proc (macOS) the text is only the pid. A process that has ended but was not yet waited for counts as gone.
    """
    if not Path("/proc/self/stat").exists():
        return str(pid) if _answers_signal(pid) else None
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    state, start_ticks = fields[0], fields[19]
    return None if state in "ZX" else f"{pid}-{start_ticks}"


def _answers_signal(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
