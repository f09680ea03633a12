"""Every setting of servers and workers: where it may come from, its default, and what is wrong with what was given.

Pure: flags, the environment and a parsed TOML file come in as mappings, a frozen Config goes out. Flags win over the
environment, the environment over the file. An unknown name is an error.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from gaia_core.errors import ConfigError, Problem

PREFIX: Final = "GAIA_"

OTHER_VARIABLES: Final = frozenset({"GAIA_CONFIG", "GAIA_DEBUG"})
"""Variables with our prefix that belong to the client."""


class Secret(str):
    """A text that does not show itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret(…)" if self else "Secret('')"


def _setting(default: Any, read: Callable[[str], Any], help_text: str) -> Any:
    return field(default=default, metadata={"read": read, "help": help_text})


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


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return text

    return read


def _address(text: str) -> str:
    split_address(text)
    return text


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


@dataclass(frozen=True, slots=True)
class Config:
    """All settings; the variable of a field is GAIA_ and its name in capitals."""

    data: Path = _setting(Path("gaia-data"), Path, "folder of the embedded mode")
    listen: str = _setting("127.0.0.1:24442", _address, "gRPC address, HOST:PORT")
    http_listen: str = _setting("127.0.0.1:24480", _address, "HTTP address, HOST:PORT")
    token: Secret = _setting(Secret(""), Secret, "clients must send it; required off the loopback interface")
    insecure: bool = _setting(False, _boolean, "serve other machines without a token")
    lease_s: float = _setting(30.0, _positive(float), "a worker silent for so long is lost")
    poll_s: float = _setting(5.0, _not_negative, "seconds between looks for files from outside; 0: never")
    outside_changes: str = _setting(
        "expire", _one_of("expire", "ignore"), "what a changed file from outside does to the Steps that read it"
    )
    sweep_steps_max: int = _setting(1_000_000, _positive(int), "Steps that one sweep or composite may make")
    synchronous: str = _setting("FULL", _one_of("FULL", "NORMAL"), "SQLite durability: FULL survives a power cut")
    workers: int = _setting(1, _positive(int), "workers that `gaia up` starts")
    worker_name: str = _setting("", str, "name of a worker; unique in the deployment")
    pool: str = _setting("default", str, "class of workers that a worker belongs to")
    slots: int = _setting(0, _count, "attempts a worker runs at once; 0: one per processor")
    prefetch: int = _setting(-1, int, "attempts a worker holds beyond its slots; -1: its executor's default")
    executor: str = _setting("auto", _one_of("auto", "docker", "sandbox", "noop"), "what runs the programs")
    scratch: Path | None = _setting(None, Path, "folder for files of running attempts")
    idle_exit_s: float | None = _setting(None, _positive(float), "a worker leaves after so long without a Step")
    host: str = _setting("localhost:24442", str, "gRPC address of the server, for clients and workers")
    kafka_bootstrap: str = _setting("", str, "Kafka servers, HOST:PORT,…")
    topic_prefix: str = _setting("gaia", str, "begins the name of every topic; names the deployment")
    replication_factor: int = _setting(0, _count, "of topics that Gaia makes; 0: the broker's default")
    s3_endpoint: str = _setting("", str, "S3 server, HOST:PORT")
    s3_access_key: str = _setting("", str, "S3 access key")
    s3_secret_key: Secret = _setting(Secret(""), Secret, "S3 secret key")
    s3_secure: bool = _setting(True, _boolean, "whether the S3 server speaks TLS")
    s3_region: str = _setting("", str, "S3 region")
    bucket: str = _setting("gaia", str, "bucket of all data spaces; must keep versions")
    buckets: tuple[str, ...] = _setting((), _names, "other buckets that Keys may name, separated by commas")
    kafka: Mapping[str, str] = field(default_factory=dict)
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
    for place, name, given in _given(environ, document, problems):
        _read(place, name, given, values, problems)
    for name, given in flags.items():
        if given is not None:
            _read(f"--{name.replace('_', '-')}", name, given, values, problems)
    if problems:
        raise ConfigError("The configuration is wrong.", problems=problems)
    config = Config(**values)
    _check_exposure(config)
    return config


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
    environ: Mapping[str, str], document: Mapping[str, Any], problems: list[Problem]
) -> Iterator[tuple[str, str, Any]]:
    """Yield (place, setting, value) of the file, then of the environment."""
    known = {one.name for one in fields(Config)}
    for name, value in document.items():
        if name in known:
            yield name, name, value
        else:
            problems.append(Problem(name, f"unknown setting{_did_you_mean(name, known)}"))
    variables = {variable(name): name for name in known if name != "kafka"}
    for key, text in environ.items():
        if key in variables:
            if text:
                yield key, variables[key], text
        elif key.startswith(PREFIX) and key not in OTHER_VARIABLES:
            problems.append(Problem(key, f"unknown setting{_did_you_mean(key, set(variables))}"))


def _read(place: str, name: str, given: Any, values: dict[str, Any], problems: list[Problem]) -> None:
    """Parse one value into values, or add why not."""
    if name == "kafka":
        if isinstance(given, Mapping):
            values[name] = {key: str(value) for key, value in given.items()}
        else:
            problems.append(Problem(place, "must be a table of librdkafka settings"))
        return
    read = next(one.metadata["read"] for one in fields(Config) if one.name == name)
    text = ",".join(map(str, given)) if isinstance(given, list | tuple) else str(given)
    try:
        values[name] = read(text)
    except ValueError as error:
        words = str(error) if "must" in str(error) else "must be a number"
        problems.append(Problem(place, f"{text!r} {words}"))


def _check_exposure(config: Config) -> None:
    """Refuse to serve other machines without a token."""
    if config.token or config.insecure:
        return
    for name in ("listen", "http_listen"):
        address = getattr(config, name)
        if not is_loopback(address):
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
