"""The servers that peers stand on: Redis, PostgreSQL, Restate. Each is fresh, on a free port, its data in a folder.

Debian's packages bring Redis and PostgreSQL where they are missing, as in tests/support/machine.py; npm brings Restate.
"""

import os
import pwd
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

from benchmarks.peers.catalogue import Peer
from benchmarks.peers.environments import restate_program
from tests.integration.gaia_processes import free_address
from tests.support.machine import ensure_programs, find_program
from tests.support.waiting import wait_until

START_S: Final = 60.0
STOP_S: Final = 30.0
POSTGRES_USER: Final = "postgres"
"""Debian's package makes it; PostgreSQL refuses to run as root."""


def serve(peer: Peer, folder: Path) -> AbstractContextManager[str]:
    """Start what a peer stands on, if anything; gives the address for the peer's program.

    Raises:
        ServiceMissing: it is not installed and cannot be.
        TooLate: it does not answer.
    """
    match peer.server:
        case "redis":
            return _redis(folder, durable=peer.mode == "durable")
        case "postgresql":
            return _postgresql(folder)
        case "restate":
            return _restate(folder)
    return nullcontext("")


@contextmanager
def _redis(folder: Path, *, durable: bool) -> Iterator[str]:
    """Redis that writes nothing to disk, the fastest it can be; or each command before it is acknowledged."""
    ensure_programs("redis-server")
    port = free_address().rpartition(":")[2]
    command: list[Any] = [find_program("redis-server"), "--port", port, "--bind", "127.0.0.1", "--dir", folder]
    command += ["--save", "", "--appendonly", "yes" if durable else "no", "--appendfsync", "always"]
    with _process(command, folder / "redis.log"):
        wait_until(lambda: _accepts(port), "Redis to answer", deadline_s=START_S)
        yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def _postgresql(folder: Path) -> Iterator[str]:
    """PostgreSQL as it is by default: every commit is on disk before it is acknowledged."""
    programs = _postgresql_programs()
    data, port = folder / "postgresql", free_address().rpartition(":")[2]
    data.mkdir()
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        account = pwd.getpwnam(POSTGRES_USER)
        os.chown(data, account.pw_uid, account.pw_gid)
        user = {"user": account.pw_uid, "group": account.pw_gid}
    initdb = [programs / "initdb", "--pgdata", data, "--username=peer", "--auth=trust", "--no-sync"]
    subprocess.run(initdb, check=True, capture_output=True, cwd=data, timeout=START_S, **user)
    settings = [f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories="]
    command = [programs / "postgres", "-D", data, *(word for one in settings for word in ("-c", one))]
    with _process(command, folder / "postgresql.log", cwd=data, **user):
        wait_until(lambda: _accepts(port), "PostgreSQL to answer", deadline_s=START_S)
        yield f"host=127.0.0.1 port={port} user=peer dbname=postgres"


@contextmanager
def _restate(folder: Path) -> Iterator[str]:
    """Restate as it is by default, with fewer partitions, since here are few processors."""
    ingress, admin, node = free_address(), free_address(), free_address()
    environ = {
        "RESTATE_INGRESS__BIND_ADDRESS": ingress,
        "RESTATE_ADMIN__BIND_ADDRESS": admin,
        "RESTATE_BIND_ADDRESS": node,
        "RESTATE_ADVERTISED_ADDRESS": f"http://{node}",
        "RESTATE_LISTEN_MODE": "tcp",
        "RESTATE_DISABLE_TELEMETRY": "true",
        "TMPDIR": str(folder),
        "RESTATE_DEFAULT_NUM_PARTITIONS": "2",
    }
    command = [restate_program(), "--base-dir", folder / "restate", "--no-logo", "--node-name", "peer"]
    with _process(command, folder / "restate.log", environ):
        ready = (f"http://{ingress}/restate/health", f"http://{admin}/health")
        wait_until(lambda: all(map(_healthy, ready)), "Restate to answer", deadline_s=START_S)
        yield f"http://{ingress} http://{admin}"


def _postgresql_programs() -> Path:
    """Return the folder of PostgreSQL's programs; Debian keeps it off the path."""
    if not _debian_folders() and find_program("initdb") is None:
        ensure_programs("initdb")
    if folders := _debian_folders():
        return folders[-1]
    return Path(find_program("initdb") or "initdb").resolve().parent


def _debian_folders() -> list[Path]:
    return sorted(path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb"))


@contextmanager
def _process(
    command: Sequence[Any], log: Path, environ: Mapping[str, str] | None = None, **options: Any
) -> Iterator[None]:
    """Run a server for a while; it is asked to stop, and killed if it does not."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **(environ or {})},
            **options,
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _accepts(port: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(port))) == 0


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False
