"""Choose the executor by name, or by what this machine has, and say why in one sentence."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from gaia_core.errors import ConfigError, Unavailable
from gaia_worker.executors.base import Executor
from gaia_worker.executors.noop import NoopExecutor
from gaia_worker.executors.sandbox import connect, find_program

NAMES: Final = ("auto", "docker", "sandbox", "noop")

# What forbids plain users their own namespaces: a setting, and the values that forbid and allow.
_FORBIDDING: Final = (
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    ("user.max_user_namespaces", "0", "15000"),
)


class Choice(NamedTuple):
    """An executor and why it is this one; the caller closes it."""

    executor: Executor
    reason: str


def choose_executor(name: str, hidden: Sequence[Path] = ()) -> Choice:
    """Return the executor that was asked for.

    Args:
        name: one of NAMES; "auto" takes docker where an engine answers, else the sandbox where it works.
        hidden: folders of the host that sandboxed programs must not see.

    Raises:
        ConfigError: no executor has this name.
        Unavailable: it does not work here; the hint is the command that helps.
    """
    match name:
        case "auto":
            return _auto(hidden)
        case "docker":
            return Choice(_docker(), "docker, as asked for")
        case "sandbox":
            return Choice(_sandbox(hidden), "sandbox, as asked for; images are ignored")
        case "noop":
            return Choice(NoopExecutor(), "noop, as asked for; no program is run")
    raise ConfigError(f"there is no executor {name!r}", hint=f"one of {', '.join(NAMES)}")


def _auto(hidden: Sequence[Path]) -> Choice:
    try:
        return Choice(_docker(), "docker, since an engine answers")
    except Unavailable as problem:
        no_engine = problem.message
    try:
        return Choice(_sandbox(hidden), f"sandbox, since {no_engine}; images are ignored")
    except Unavailable as problem:
        message = f"nothing here can run Steps: {no_engine}; {problem.message}"
        raise Unavailable(message, hint=problem.hint) from problem


def _docker() -> Executor:
    try:
        from gaia_worker.executors.docker import connect  # noqa: PLC0415 - the library comes with an extra
    except ImportError as problem:
        raise Unavailable("the library for Docker is missing", hint="pip install 'gaia-workflows[worker]'") from problem
    return connect()


def _sandbox(hidden: Sequence[Path]) -> Executor:
    if not sys.platform.startswith("linux"):
        raise Unavailable("the sandbox needs Linux", hint="install and start a Docker engine")
    program = find_program()
    if program is None:
        raise Unavailable("bubblewrap is missing", hint="sudo apt install bubblewrap, or install a Docker engine")
    executor = connect(program, hidden)
    problem = executor.problem()
    if problem is not None:
        raise Unavailable(f"the sandbox does not work: {problem}", hint=_namespaces_hint())
    return executor


def _namespaces_hint() -> str:
    for setting, forbids, allows in _FORBIDDING:
        path = Path("/proc/sys", *setting.split("."))
        if path.exists() and path.read_text(encoding="ascii").strip() == forbids:
            return f"sudo sysctl -w {setting}={allows}"
    return "install and start a Docker engine (sudo apt install docker.io)"
