"""Flags shared by the commands that run servers and workers, and the Config they make."""

import os
import signal
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from gaia_core.config import Config, load, variable
from gaia_core.errors import ConfigError

config_option = click.option(
    "--config", "config_file", metavar="FILE", type=click.Path(), help="Settings in TOML [GAIA_CONFIG]."
)


def read_config(config_file: str | None, flags: Mapping[str, Any]) -> Config:
    """Build the configuration of this process.

    Raises:
        ConfigError: the file or a setting is wrong.
    """
    return load(flags, os.environ, read_document(config_file or os.environ.get("GAIA_CONFIG")))


def quiet_grpc() -> None:
    """Keep gRPC's C core from writing lines of its own; what goes wrong reaches us as an error. Before its import."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")


def environ_of(config_file: str | None, flags: Mapping[str, Any]) -> dict[str, str]:
    """Return an environment that gives another process the settings of this one."""
    given = {variable(name): str(value) for name, value in flags.items() if value is not None}
    return {**os.environ, **given, **({"GAIA_CONFIG": config_file} if config_file else {})}


def stop_on_signals(stop: Callable[[], None]) -> None:
    """Call stop at the first Ctrl-C or SIGTERM, and end at once at the second."""
    asked = False

    def handler(number: int, _: object) -> None:
        nonlocal asked
        if asked:
            os._exit(128 + number)
        asked = True
        stop()

    signal.signal(signal.SIGINT, handler)
    signal.signal(signal.SIGTERM, handler)


def read_document(path: str | None) -> dict[str, Any]:
    """Return what a TOML file holds; nothing without a file.

    Raises:
        ConfigError: it cannot be read.
    """
    if not path:
        return {}
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The configuration file {path} cannot be read: {error}.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"The configuration file {path} is no TOML: {error}.") from error
