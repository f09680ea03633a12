"""What an attempt needs of an executor, and what an executor is given: plain values and one protocol.

An executor runs one program with a prepared set of mounts and tells how it ended. It knows no Keys, no store and no
bus; those are the business of `gaia_worker.attempt`.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from gaia_core.workflow.model import Resources

TERMINATE_GRACE_S: Final = 10.0
"""What a program gets to end by itself after its time is up, as `docker stop` gives."""

NO_DEMAND: Final = Resources()

STDOUT: Final = 1
STDERR: Final = 2

Sink: TypeAlias = Callable[[int, bytes], None]
"""Takes what the program writes, in order: (STDOUT or STDERR, bytes). Called from one thread at a time."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A file or folder of the host (source) that the program sees at target, an absolute path."""

    source: Path
    target: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class Task:
    """One program to run.

    Attributes:
        name: unique among attempts of all deployments; the same attempt has always the same.
        labels: what it belongs to, for finding leftovers.
        argv: program and arguments; run without the image's entrypoint unless `entrypoint` names one, or it is kept.
        mounts: in the order in which they are made, a folder before what lies in it.
        workdir: absolute path to start in, "" for the executor's default.
        tmp: folder of the host, to be made, for what the program writes to /tmp where that is not the image's.
        timeout_s: time after which the program is asked to end, and killed after a grace.
        keeps_entrypoint: the image's own entrypoint runs, with argv as its arguments; without any, with the image's.
        reuse: it may run where others of the same kind ran before; an executor may ignore it.
        words_count: what the program writes is a result of it, of which nothing may be missing.
        area: folder of the worker in which an executor may keep files of its own, on the file system of the mounts'
            sources; None for none.
        elsewhere: filled by an executor that lends a program other places than the sources of its writable mounts:
            source → place while the program runs; a place that is nobody's source stands for itself.
    """

    name: str
    image: str
    argv: tuple[str, ...]
    mounts: tuple[Mount, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    workdir: str = ""
    tmp: Path | None = None
    network: bool = False
    resources: Resources = NO_DEMAND
    timeout_s: float = 3600.0
    keeps_entrypoint: bool = False
    reuse: bool = False
    words_count: bool = True
    area: Path | None = None
    elsewhere: dict[Path, Path] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Exited:
    """The program ended by itself, or was never found (127) or not executable (126) as a shell would say.

    Attributes:
        image_digest: what the image's name stood for: `name@sha256:…` where a registry gave it, else the engine's own
            `sha256:…`; "" where there is no image. Two ends that differ only in it are the same end.
    """

    code: int
    image_digest: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The program was ended because its time was up."""


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    """The program was killed because it used more memory than it was given."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The program was killed, or not started, because the attempt was cancelled."""


@dataclass(frozen=True, slots=True)
class ImageFailed:
    """The image cannot be had; the message is the engine's. The cause may be one that passes."""

    message: str
    is_passing: bool = False


@dataclass(frozen=True, slots=True)
class EngineFailed:
    """The engine, not the program, failed; the message is the engine's."""

    message: str


Exit: TypeAlias = Exited | TimedOut | OutOfMemory | Stopped | ImageFailed | EngineFailed


class Executor(Protocol):
    """Runs programs; safe to use from several threads."""

    @property
    def name(self) -> str:
        """Return the word users choose it by."""

    @property
    def instant(self) -> bool:
        """Tell whether attempts complete at once and write nothing; then `run` is never called."""

    def describe(self) -> str:
        """Return one line for logs: what it is and what it does not do."""

    def trouble(self) -> str:
        """Say why nothing new should be begun, in the same words as long as that is so; "" when all is well. Cheap."""

    def run(self, task: Task, cancelled: threading.Event, sink: Sink) -> Exit:
        """Run the program to its end and tell how it ended; nothing of it is left running.

        Args:
            task: what to run.
            cancelled: once set, the program is killed at once.
            sink: gets what the program writes, all of it before this returns.
        """

    def cleanup(self, labels: Mapping[str, str]) -> int:
        """End and remove what earlier processes left under these labels; return how much that was.

        Raises:
            Unavailable: the engine does not answer.
        """

    def close(self) -> None:
        """Release connections; safe to call twice."""
