"""Where the server is and how to be let in: from a map or from the environment, checked once."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gaia_core.errors import ConfigError

PORT_DEFAULT: Final = 24442
HOST_DEFAULT: Final = f"localhost:{PORT_DEFAULT}"

_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\s\[\]:/@]+)(?::(?P<port>\d{1,5}))?")
_KEYS: Final = ("gaia_host", "token")


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """Addresses to try in turn, and the token, which hides itself."""

    hosts: tuple[str, ...]
    token: str = field(default="", repr=False)


def client_config(config: Mapping[str, object] | None, environment: Mapping[str, str]) -> ClientConfig:
    """Build the settings of one client.

    Args:
        config: keys `gaia_host` ("host:port", or several with commas) and `token`; what is absent comes from
            GAIA_HOST and GAIA_TOKEN.
        environment: the process's variables.

    Raises:
        ConfigError: an unknown key, or an address that is none.
    """
    given = dict(config or {})
    for name in given:
        if name not in _KEYS:
            close = difflib.get_close_matches(str(name), _KEYS, n=1)
            raise ConfigError(f"Unknown setting {name!r}", hint=f"did you mean {close[0]!r}?" if close else "")
    hosts = _text("gaia_host", given.get("gaia_host") or environment.get("GAIA_HOST") or HOST_DEFAULT)
    token = _text("token", given.get("token") or environment.get("GAIA_TOKEN") or "")
    addresses = tuple(address(part.strip()) for part in hosts.split(",") if part.strip())
    if not addresses:
        raise ConfigError(f"{hosts!r} names no server", hint=f"give it as {HOST_DEFAULT}")
    return ClientConfig(addresses, token)


def address(text: str) -> str:
    """Return "host:port" for "host" or "host:port".

    Raises:
        ConfigError: the text is no address.
    """
    match = _ADDRESS.fullmatch(text)
    port = int(match["port"] or PORT_DEFAULT) if match else 0
    if not match or not 0 < port < 65536:
        raise ConfigError(f"{text!r} is no address of a server", hint=f"give it as host:port, e.g. {HOST_DEFAULT}")
    return f"{match['host']}:{port}"


def _text(name: str, value: object) -> str:
    if isinstance(value, str) and value.isprintable() and value.isascii():
        return value
    raise ConfigError(f"{name!r} must be plain text, not a {type(value).__name__}")
