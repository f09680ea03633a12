"""Every setting of servers and workers: where it may come from, its default, and what is wrong with what was given.

Pure: flags, the environment and a parsed TOML file come in as mappings, a frozen Config goes out. Flags win over the
environment, the environment over the file. An unknown name is an error.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, NamedTuple

from gaia_core.errors import ConfigError, Problem
from gaia_core.sizes import bytes_of, share_or_bytes

PREFIX: Final = "GAIA_"

SECRET_PREFIX: Final = "GAIA_SECRET_"  # noqa: S105 - no secret itself
"""Begins variables of workers that hold secrets for programs; they are no settings."""

OTHER_VARIABLES: Final = frozenset({"GAIA_CONFIG", "GAIA_DEBUG"})
"""Variables with our prefix that belong to the client."""

PROGRAMS: Final = ("up", "server", "worker")
"""What has settings: `gaia up` and so on."""

_ALL: Final = PROGRAMS
_UP: Final = ("up",)
_WORKER: Final = ("worker",)
_SERVERS: Final = ("up", "server")
_WORKERS: Final = ("up", "worker")
_CLUSTER: Final = ("server", "worker")


_SECRET_WORDS: Final = ("password", "secret", "passphrase", "token", ".pem", "assertion", "oauthbearer.config")
"""Parts of the names of librdkafka's settings that hold secrets; some that match are none, and are hidden too."""

LOG_BYTES_MAX: Final = 64 * 2**20
"""More than anybody reads, and little beside what programs that write more leave as outputs."""


class Secret(str):
    """A text that does not show itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret(…)" if self else "Secret('')"


class Given(NamedTuple):
    """One value that somebody gave.

    Attributes:
        source: "file", "environment" or "flag".
        place: under which name it was given: `slots`, `GAIA_SLOTS`, `--slots`.
    """

    source: str
    place: str
    name: str
    value: Any


def _setting(default: Any, read: Callable[[str], Any], help_text: str, programs: tuple[str, ...]) -> Any:
    return field(default=default, metadata={"read": read, "help": help_text, "programs": programs})


def _boolean(text: str) -> bool:
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    if text.lower() not in words:
        raise ValueError("must be true or false")
    return words[text.lower()]


def _positive(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        number = kind(text)
        if not number > 0:
            raise ValueError("must be greater than 0")
        return number

    return read


def _not_negative(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise ValueError("must not be negative")
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError("must not be negative")
    return number


def _size(text: str) -> int:
    size_bytes = bytes_of(text)
    if size_bytes is None:
        raise ValueError("must be bytes, or text such as 512M or 8GiB")
    return size_bytes


def _some_size(text: str) -> int:
    size_bytes = _size(text)
    if not size_bytes:
        raise ValueError("must be more than 0")
    return size_bytes


def _free_space(text: str) -> str:
    if share_or_bytes(text, 1) is None:
        raise ValueError("must be bytes, or text such as 512M or 5%")
    return text


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return text

    return read


def _address(text: str) -> str:
    split_address(text)
    return text


def _advertised(text: str) -> str:
    return _address(text) if text else ""


def _json_object(text: str) -> str:
    try:
        is_object = not text or isinstance(json.loads(text), dict)
    except ValueError:
        is_object = False
    if not is_object:
        raise ValueError("must be a JSON object")
    return text


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


CACHE_BYTES: Final = 10 * 1024**3
DISK_BYTES: Final = 100 * 1024**3
KEPT_BYTES: Final = 10 * 1024**3


@dataclass(frozen=True, slots=True)
class Config:
    """All settings; the variable of a field is GAIA_ and its name in capitals."""

    data: Path = _setting(Path("gaia-data"), Path, "folder of the embedded mode", _UP)
    listen: str = _setting("127.0.0.1:24442", _address, "gRPC address, HOST:PORT", _SERVERS)
    advertise: str = _setting(
        "", _advertised, "address by which clients reach this server; empty: that of listen", ("server",)
    )
    http_listen: str = _setting("127.0.0.1:24480", _address, "HTTP address, HOST:PORT", _SERVERS)
    token: Secret = _setting(Secret(""), Secret, "clients must send it; required off the loopback interface", _ALL)
    insecure: bool = _setting(False, _boolean, "serve other machines without a token", _ALL)
    lease_s: float = _setting(30.0, _positive(float), "a worker silent for so long is lost", _SERVERS)
    poll_s: float = _setting(5.0, _not_negative, "seconds between looks for files from outside; 0: never", _SERVERS)
    outside_changes: str = _setting(
        "expire",
        _one_of("expire", "ignore"),
        "what a changed file from outside does to the Steps that read it",
        _SERVERS,
    )
    retention_s: float = _setting(
        86_400.0, _not_negative, "how long finished workflows stay in memory; 0: for ever", _SERVERS
    )
    sweep_s: float = _setting(
        3600.0, _not_negative, "seconds between looks for stored versions that nobody refers to; 0: never", _SERVERS
    )
    versions_kept_s: float = _setting(
        86_400.0, _not_negative, "how long versions that nobody refers to are kept, at least", _SERVERS
    )
    sweep_steps_max: int = _setting(1_000_000, _positive(int), "Steps that one sweep or composite may make", _SERVERS)
    synchronous: str = _setting("FULL", _one_of("FULL", "NORMAL"), "SQLite durability: FULL survives a power cut", _UP)
    snapshot_mb: float = _setting(
        64.0, _not_negative, "MiB the journal grows by until a snapshot is taken and it is cut; 0: never", _SERVERS
    )
    quarantine: bool = _setting(
        False, _boolean, "forget what the journal holds from a record on that cannot be read, and go on", _SERVERS
    )
    workers: int = _setting(1, _positive(int), "workers that `gaia up` starts", _UP)
    worker_name: str = _setting("", str, "name of a worker; unique in the deployment", _WORKERS)
    worker_metadata: str = _setting("", _json_object, "a JSON object that is kept with a worker, for people", _WORKERS)
    pool: str = _setting("default", str, "class of workers that a worker belongs to", _WORKERS)
    slots: int = _setting(0, _count, "attempts a worker runs at once; 0: one per processor", _WORKERS)
    prefetch: int = _setting(-1, int, "attempts a worker holds beyond its slots; -1: as it finds it needs", _WORKERS)
    cpus: float = _setting(
        0.0, _not_negative, "processors that Steps on a worker may demand together; 0: those of the machine", _WORKERS
    )
    memory: int = _setting(0, _size, "memory that they may, bytes or 8G; 0: that of the machine", _WORKERS)
    gpus: int = _setting(-1, int, "accelerators that they may; -1: those of the machine", _WORKERS)
    disk_free_min: str = _setting(
        "512M",
        _free_space,
        "a worker whose disk has less free takes nothing new; 512M or 5%; 0: no limit",
        _WORKERS,
    )
    executor: str = _setting("auto", _one_of("auto", "docker", "sandbox", "noop"), "what runs the programs", _WORKERS)
    cache_bytes: int = _setting(
        CACHE_BYTES, _size, "bytes of inputs a worker keeps for later attempts, or 10G", _WORKERS
    )
    disk_bytes: int = _setting(
        DISK_BYTES, _some_size, "bytes that the program of one attempt may write, or 100G", _WORKERS
    )
    kept_bytes: int = _setting(
        KEPT_BYTES,
        _size,
        "bytes of failed attempts' files that a worker keeps where a Step asks for it, or 10G",
        _WORKERS,
    )
    log_bytes_max: int = _setting(
        LOG_BYTES_MAX, _some_size, "bytes kept of each attempt's log, or 64M: its beginning and its end", _WORKERS
    )
    scratch: Path | None = _setting(None, Path, "folder for files of running attempts", _WORKERS)
    secrets_dir: Path | None = _setting(None, Path, "folder with secrets for programs, a file each", _WORKERS)
    idle_exit_s: float | None = _setting(None, _positive(float), "a worker leaves after so long without a Step", _ALL)
    metrics_listen: str = _setting(
        "", _advertised, "HTTP address where a worker serves /metrics, HOST:PORT; empty: none", _WORKER
    )
    host: str = _setting("localhost:24442", str, "gRPC address of the server, for clients and workers", _CLUSTER)
    launcher: str = _setting(
        "process", _one_of("process", "docker", "none"), "how a server starts the workers of `launch`", ("server",)
    )
    launch_max: int = _setting(32, _positive(int), "launched workers of a server that may live at a time", _SERVERS)
    launch_logs: Path = _setting(
        Path("gaia-workers"), Path, "folder for what launched workers say, NAME.log", ("server",)
    )
    launch_image: str = _setting("", str, "image of launched workers; its entrypoint is `gaia`", ("server",))
    launch_network: str = _setting("", str, "the engine's network for launched workers", ("server",))
    launch_volumes: tuple[str, ...] = _setting(
        (), _names, "mounts of launched workers, HOST:CONTAINER, separated by commas", ("server",)
    )
    kafka_bootstrap: str = _setting("", str, "Kafka servers, HOST:PORT,…", _CLUSTER)
    topic_prefix: str = _setting("gaia", str, "begins the name of every topic; names the deployment", _CLUSTER)
    replication_factor: int = _setting(0, _count, "of topics that Gaia makes; 0: the broker's default", _CLUSTER)
    s3_endpoint: str = _setting("", str, "S3 server, HOST:PORT", _CLUSTER)
    s3_access_key: str = _setting("", str, "S3 access key", _CLUSTER)
    s3_secret_key: Secret = _setting(Secret(""), Secret, "S3 secret key", _CLUSTER)
    s3_secure: bool = _setting(True, _boolean, "whether the S3 server speaks TLS", _CLUSTER)
    s3_region: str = _setting("", str, "S3 region", _CLUSTER)
    bucket: str = _setting("gaia", str, "bucket of all data spaces; must keep versions", _CLUSTER)
    buckets: tuple[str, ...] = _setting((), _names, "other buckets that Keys may name, separated by commas", _CLUSTER)
    kafka: Mapping[str, str] = field(default_factory=dict, metadata={"programs": _CLUSTER})
    """Any librdkafka setting, from the `[kafka]` table of the file."""


LAUNCHED_IDLE_EXIT_S: Final = 300.0
"""A launched worker leaves five minutes after its last Step, as in the original system."""


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + name.upper()


def load(flags: Mapping[str, Any], environ: Mapping[str, str], document: Mapping[str, Any]) -> Config:
    """Build the configuration.

    Args:
        flags: settings from the command line; None means not given.
        environ: the environment; only names beginning with GAIA_ are looked at.
        document: the parsed TOML file.

    Raises:
        ConfigError: names or values are wrong; all of them together.
    """
    problems: list[Problem] = []
    values: dict[str, Any] = {}
    for given in _given(flags, environ, document, problems):
        _read(given, values, problems)
    if problems:
        raise ConfigError("The configuration is wrong.", problems=problems)
    config = Config(**values)
    _check_exposure(config)
    return config


def sources(flags: Mapping[str, Any], environ: Mapping[str, str], document: Mapping[str, Any]) -> dict[str, str]:
    """Return where the value of each setting comes from: "default", "file", "environment" or "flag".

    Args:
        flags: what `load` was given, as the others.
        environ: the environment.
        document: the parsed TOML file.
    """
    return dict.fromkeys(names_of(), "default") | {
        given.name: given.source for given in _given(flags, environ, document, [])
    }


def names_of(program: str | None = None) -> list[str]:
    """Return the names of all settings, or of those that count for one of the PROGRAMS."""
    return [one.name for one in fields(Config) if program is None or program in one.metadata["programs"]]


def is_secret(name: str) -> bool:
    """Tell whether the value of a setting, ours or librdkafka's, must not be shown."""
    if name in names_of():
        return any(one.name == name and isinstance(one.default, Secret) for one in fields(Config))
    return any(word in name.lower() for word in _SECRET_WORDS)


def split_address(text: str) -> tuple[str, int]:
    """Return (host, port) of HOST:PORT; an IPv6 host stands in brackets.

    Raises:
        ValueError: it is none.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError("must be HOST:PORT")
    return host.strip("[]"), int(port)


def is_loopback(address: str) -> bool:
    """Tell whether only this machine can reach an address."""
    host = split_address(address)[0]
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _given(
    flags: Mapping[str, Any], environ: Mapping[str, str], document: Mapping[str, Any], problems: list[Problem]
) -> Iterator[Given]:
    """Yield what the file, the environment and the flags give, in this order: the later one wins."""
    known = set(names_of())
    for name, value in document.items():
        if name in known:
            yield Given("file", name, name, value)
        else:
            problems.append(Problem(name, f"unknown setting{_did_you_mean(name, known)}"))
    variables = {variable(name): name for name in known if name != "kafka"}
    for key, text in environ.items():
        if key in variables:
            if text:
                yield Given("environment", key, variables[key], text)
        elif key.startswith(PREFIX) and not key.startswith(SECRET_PREFIX) and key not in OTHER_VARIABLES:
            problems.append(Problem(key, f"unknown setting{_did_you_mean(key, set(variables))}"))
    for name, value in flags.items():
        if value is not None:
            yield Given("flag", f"--{name.replace('_', '-')}", name, value)


def _read(given: Given, values: dict[str, Any], problems: list[Problem]) -> None:
    """Parse one value into values, or add why not."""
    if given.name == "kafka":
        if isinstance(given.value, Mapping):
            values[given.name] = {key: str(value) for key, value in given.value.items()}
        else:
            problems.append(Problem(given.place, "must be a table of librdkafka settings"))
        return
    read = next(one.metadata["read"] for one in fields(Config) if one.name == given.name)
    text = ",".join(map(str, given.value)) if isinstance(given.value, list | tuple) else str(given.value)
    try:
        values[given.name] = read(text)
    except ValueError as error:
        words = str(error) if "must" in str(error) else "must be a number"
        problems.append(Problem(given.place, f"{text!r} {words}"))


def _check_exposure(config: Config) -> None:
    """Refuse to serve other machines without a token."""
    if config.token or config.insecure:
        return
    for name in ("listen", "http_listen", "metrics_listen"):
        address = getattr(config, name)
        if address and not is_loopback(address):
            raise ConfigError(
                f"{address} can be reached from other machines, and no token is set.",
                hint=f"set GAIA_TOKEN, or pass --insecure, or listen on 127.0.0.1 ({variable(name)})",
            )


def _did_you_mean(name: str, known: set[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def describe() -> Iterator[tuple[str, str, str]]:
    """Yield (variable, default, help) of every setting, for the documentation."""
    for one in fields(Config):
        if "help" in one.metadata:
            default = "" if one.default is MISSING else str(one.default)
            yield variable(one.name), default, one.metadata["help"]
