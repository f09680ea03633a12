"""What a container is created with: the least that a program needs, and limits on the rest.

No capability, no new privileges, the engine's own seccomp profile, no network, a private IPC namespace, the worker's
own user, bounded processes and open files, no swap beyond its memory, nothing written to the engine's logs, and of the
host only the attempt's own files. docs/executors.md tells each, and why the root file system stays writable.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import docker  # type: ignore[import-untyped,unused-ignore]

from gaia_worker.executors.base import Mount, Task
from gaia_worker.executors.docker_engine import Engine

PIDS_MAX: Final = 4096
"""Processes in one container: many for a program, few for a fork bomb."""

FILES_MAX: Final = 65_536
"""Open files of one process. Engines give a thousand million by default, and programs that close all take minutes."""

NOT_FOUND: Final = 127
NOT_EXECUTABLE: Final = 126

HOSTS: Final = "/etc/hosts"
HOSTS_TEXT: Final = "127.0.0.1\tlocalhost\n::1\tlocalhost\n"


def creation(engine: Engine, task: Task, image: str, mounts: Sequence[Mount]) -> dict[str, Any]:
    """Return the arguments that create a container for a task, but for its name and the program.

    Args:
        engine: where it will be.
        task: gives the labels, the limits, the network.
        image: its id or name.
        mounts: what it sees of the host.
    """
    return {
        "image": image,
        "labels": {**task.labels, "gaia.image": task.image},
        "environment": environment(engine, task.env),
        "working_dir": task.workdir or None,
        "user": engine.user,
        "healthcheck": {"test": ["NONE"]},
        # Without it the engine calls itself from within the start, to set up a network of which nothing is needed.
        # Source: moby, daemon/oci_linux.go, WithLibnetwork. Measured here: a start takes 0.11 s instead of 0.34 s.
        "network_disabled": not task.network,
        "host_config": _host_config(engine, task, [*mounts, *_names_of_localhost(task, mounts)]),
    }


def environment(engine: Engine, env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables to set; a user without an entry in the image's passwd has no home folder otherwise."""
    home = {} if engine.user.startswith("0:") else {"HOME": "/tmp"}  # noqa: S108 - inside the container
    return {**home, **env}


def refused_code(words: str) -> int | None:
    """Return what a shell would say of a program that the engine could not run, or None if that is not the cause.

    Args:
        words: the engine's; it has no other way to tell.
    """
    if "executable file not found" in words or "no such file or directory" in words:
        return NOT_FOUND
    return NOT_EXECUTABLE if "permission denied" in words else None


def _host_config(engine: Engine, task: Task, mounts: Sequence[Mount]) -> Any:
    resources = task.resources
    limits: dict[str, Any] = {}
    if resources.cpus:
        limits["nano_cpus"] = int(resources.cpus * 1e9)
    if resources.memory_bytes:
        limits |= {"mem_limit": resources.memory_bytes, "memswap_limit": resources.memory_bytes}
    if resources.gpus:
        limits["device_requests"] = [docker.types.DeviceRequest(count=resources.gpus, capabilities=[["gpu"]])]
    if engine.offers.file_limit:
        limits["ulimits"] = [docker.types.Ulimit(name="nofile", soft=FILES_MAX, hard=FILES_MAX)]
    return engine.api.create_host_config(
        mounts=[_mount(mount) for mount in mounts],
        network_mode="bridge" if task.network else "none",
        ipc_mode="private",
        init=engine.offers.init,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        pids_limit=PIDS_MAX,
        log_config={"Type": "none"},
        **limits,
    )


def _names_of_localhost(task: Task, mounts: Sequence[Mount]) -> list[Mount]:
    """Return the mount that makes `localhost` a name where the engine sets up no network and so no such file."""
    if task.network or task.area is None or any(mount.target == HOSTS for mount in mounts):
        return []
    file = task.area / "hosts"
    if not file.exists():
        _write_whole(file)
    return [Mount(file, HOSTS, read_only=True)]


def _write_whole(file: Path) -> None:
    """Write the file so that nobody ever sees half of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"hosts-{id(file)}")
    draft.write_text(HOSTS_TEXT, encoding="ascii")
    draft.chmod(0o644)
    draft.replace(file)


def _mount(mount: Mount) -> Any:
    return docker.types.Mount(mount.target, str(mount.source), type="bind", read_only=mount.read_only)


def remove_area(area: Path) -> None:
    """Remove what `creation` wrote into an area, and the area if nothing else is in it."""
    with suppress(OSError):
        (area / "hosts").unlink(missing_ok=True)
        area.rmdir()
        area.parent.rmdir()
