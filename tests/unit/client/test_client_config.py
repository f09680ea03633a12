"""Where the client looks for its server."""

import pytest

from gaia_client.config import client_config
from gaia_core.errors import ConfigError


@pytest.mark.parametrize(
    ("config", "environment", "hosts"),
    [
        (None, {}, ("localhost:24442",)),
        ({}, {"GAIA_HOST": "a"}, ("a:24442",)),
        ({"gaia_host": "b:1"}, {"GAIA_HOST": "a"}, ("b:1",)),
        ({"gaia_host": "a:24442, b:24443 ,"}, {}, ("a:24442", "b:24443")),
        ({"gaia_host": "[::1]:7"}, {}, ("[::1]:7",)),
        ({"gaia_host": None}, {}, ("localhost:24442",)),
    ],
)
def test_hosts(config: dict[str, object] | None, environment: dict[str, str], hosts: tuple[str, ...]) -> None:
    """The map wins over the environment, which wins over localhost:24442; several hosts are split."""
    assert client_config(config, environment).hosts == hosts


@pytest.mark.parametrize("host", ["http://a:1", "a:b", "a:0", "a:70000", "a b", ",", 7, "user@a", "a\n"])
def test_bad_hosts(host: object) -> None:
    """What is no address is refused before anything is tried."""
    with pytest.raises(ConfigError):
        client_config({"gaia_host": host}, {})


def test_unknown_setting_is_named() -> None:
    """A misspelt key is an error that names the right one."""
    with pytest.raises(ConfigError, match="did you mean 'gaia_host'"):
        client_config({"gaiahost": "a"}, {})


def test_token_hides_itself() -> None:
    """The token comes from the environment too, and is not printed."""
    config = client_config(None, {"GAIA_TOKEN": "s3cret"})
    assert config.token == "s3cret"
    assert "s3cret" not in repr(config)
