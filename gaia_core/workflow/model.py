"""Commands, Steps and files as plain values, as users write them and as the machine keeps them.

Owns no behaviour beyond small derived facts. Everything else in the pure core is written over these values; the wire
layer turns them into protobuf and back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias

from gaia_core.workflow.texts import Texts

Scalar: TypeAlias = str | int | float | bool
"""A value of a var; spliced as its JSON text, strings as they are."""

VarValue: TypeAlias = Scalar | tuple[Scalar, ...]
"""A value of a Step's var; a tuple makes one Step per element."""

TIMEOUT_S_DEFAULT: Final = 3600.0
"""One hour, as in the original system."""

STDOUT_BOTH: Final = ">"
"""Internal path of an output that is stdout and stderr together, kept on success. `STDOUT` means the same."""

STDOUT_ALWAYS: Final = ">>"
"""The same with a header and a footer, kept even on failure."""

EMPTY: Final[Mapping[str, Any]] = MappingProxyType({})


def _nothing() -> Mapping[str, Any]:
    """Return the one shared empty mapping."""
    return EMPTY


@dataclass(frozen=True, slots=True)
class Resources:
    """Compute that one attempt needs; None means no demand."""

    cpus: float | None = None
    memory_bytes: int | None = None
    gpus: int | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """Settings that a Command or a Step may give; None means not given."""

    timeout_s: float | None = None
    retries: int | None = None
    resources: Resources | None = None
    pool: str | None = None
    priority: int | None = None
    keep: str | None = None
    queue_timeout_s: float | None = None

    def over(self, base: "Options") -> "Options":
        """Return these settings with the gaps filled from base."""
        if self is NO_OPTIONS or self == NO_OPTIONS:
            return base
        if base is NO_OPTIONS:
            return self
        return Options(
            *(
                ours if ours is not None else theirs
                for ours, theirs in zip(self.as_tuple(), base.as_tuple(), strict=True)
            )
        )

    def as_tuple(self) -> tuple[Any, ...]:
        """Return the settings in field order."""
        return (
            self.timeout_s, self.retries, self.resources, self.pool, self.priority, self.keep, self.queue_timeout_s,
        )  # fmt: skip


NO_OPTIONS: Final = Options()


@dataclass(frozen=True, slots=True)
class Command:
    """A command-line program in an image, with named inputs, outputs and vars; or a composite of inner Steps.

    Attributes:
        inputs: input name → absolute internal path (a directory when it ends in "/"); in a composite → "".
        outputs: output name → absolute internal path, or ">" or ">>"; in a composite → "".
        vars: defaults; a Step may override them.
        stdout: internal path that receives standard output alone.
        env: added to the image's own variables.
        secrets: a variable's name, or a path in /run/secrets → name of a secret that the worker holds.
        workdir: None for the image's own.
        entrypoint: runs before the command; () for nothing, also not the image's own.
        keeps_entrypoint: the image's own entrypoint runs, with the command as its arguments.
        steps: inner Steps of a composite, whose Keys are names within it; () for any other Command.
        var_names: a composite's vars that have no default.
        reuse: its Steps may run one after the other in a container that stays.
        texts: facts about all of its texts.
    """

    name: str
    image: str = ""
    command: tuple[str, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=_nothing)
    outputs: Mapping[str, str] = field(default_factory=_nothing)
    vars: Mapping[str, Scalar] = field(default_factory=_nothing)
    stdout: str | None = None
    options: Options = NO_OPTIONS
    network: bool = False
    env: Mapping[str, str] = field(default_factory=_nothing)
    workdir: str | None = None
    entrypoint: tuple[str, ...] = ()
    keeps_entrypoint: bool = False
    secrets: Mapping[str, str] = field(default_factory=_nothing)
    steps: "tuple[StepSpec, ...]" = ()
    var_names: tuple[str, ...] = ()
    reuse: bool = False
    texts: Texts = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Look through its texts, which never change."""
        object.__setattr__(self, "texts", Texts.of(self))


@dataclass(frozen=True, slots=True)
class StepSpec:
    """A Step as its user wrote it; a tuple among the vars makes it a sweep of several Steps.

    Attributes:
        inputs: input name of the Command → Key to read.
        outputs: output name of the Command → Key to write.
    """

    name: str
    command: str
    inputs: Mapping[str, str] = field(default_factory=_nothing)
    outputs: Mapping[str, str] = field(default_factory=_nothing)
    vars: Mapping[str, VarValue] = field(default_factory=_nothing)
    options: Options = NO_OPTIONS


@dataclass(frozen=True, slots=True)
class FileVersion:
    """One immutable version of one file in the store.

    Attributes:
        key: Key in the workflow's data space, or "bucket:path".
        version: the store's own name of the version.
        sha256: raw digest, 32 bytes.
    """

    key: str
    version: str
    size_bytes: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Publication:
    """What lies under one Key: one file, the files of a small tree, or a manifest object that lists a large one."""

    key: str
    files: tuple[FileVersion, ...] = ()
    manifest: FileVersion | None = None

    @property
    def versions(self) -> frozenset[tuple[str, str]]:
        """Return (Key, version) of all it is made of: what tells it from others, since digests may be unknown."""
        manifest = (self.manifest,) if self.manifest is not None else ()
        return frozenset((file.key, file.version) for file in (*self.files, *manifest))


class FailureClass(Enum):
    """Why an attempt ended without success. The first three are the Step's own and use its retries."""

    COMMAND = 1
    TIMEOUT = 2
    OUT_OF_MEMORY = 3
    OUTPUT_MISSING = 4
    INPUT_MISSING = 5
    IMAGE = 6
    STORE = 7
    LOST = 8
    INPUT_CHANGED = 9
    ENGINE = 10


@dataclass(frozen=True, slots=True)
class Failure:
    """The end of a failed attempt.

    Attributes:
        message: one sentence with the cause, in the words of whoever refused.
        exit_code: the program's, or None when it never ran or was killed.
        log_tail: the last lines the program wrote.
        is_passing: of an IMAGE failure: the cause may be gone in a while.
    """

    kind: FailureClass
    message: str
    exit_code: int | None = None
    log_tail: str = ""
    is_passing: bool = False


class Fence(NamedTuple):
    """Identity of one attempt: workflow uid, Step index, attempt number, and the term it was dispatched in."""

    workflow_uid: int
    step: int
    attempt: int
    term: int = 0


@dataclass(frozen=True, slots=True)
class Input:
    """One input of an attempt: the internal path it goes to, and the pinned versions it is made of."""

    name: str
    key: str
    path: str
    sources: tuple[Publication, ...] = ()


@dataclass(frozen=True, slots=True)
class Output:
    """One mapped output of an attempt: the internal path (or ">", ">>") and the Key it is stored under."""

    name: str
    key: str
    path: str


@dataclass(frozen=True, slots=True)
class Execution:
    """Everything a worker needs for one attempt: spliced, resolved, pinned.

    Attributes:
        argv: the program and its arguments.
        secrets: a variable's name, or a path in /run/secrets → name of a secret, never its value.
        keeps_entrypoint: argv are arguments of the image's own entrypoint.
        stdout: internal path that receives standard output alone, or "".
        inputs_by_rpc: the sources of the inputs are left out here and asked for by the Inputs method.
        reuse: it may run in a container in which others ran before.
    """

    fence: Fence
    workflow: str
    step: str
    command: str
    image: str
    argv: tuple[str, ...]
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    stdout: str = ""
    timeout_s: float = TIMEOUT_S_DEFAULT
    network: bool = False
    env: Mapping[str, str] = field(default_factory=_nothing)
    workdir: str = ""
    entrypoint: tuple[str, ...] = ()
    resources: Resources = Resources()
    keep: str = ""
    inputs_by_rpc: bool = False
    secrets: Mapping[str, str] = field(default_factory=_nothing)
    keeps_entrypoint: bool = False
    reuse: bool = False
