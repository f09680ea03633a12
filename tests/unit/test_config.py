"""Settings: where each may come from, who wins, what is wrong with them, and what must not be shown."""

import re
from pathlib import Path
from typing import Any

import pytest

from gaia_core.config import PROGRAMS, Config, is_secret, load, names_of, sources
from gaia_core.errors import ConfigError

PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"

FILE = {"slots": 1, "pool": "file", "scratch": "file", "kafka": {"security.protocol": "SSL"}}
ENVIRONMENT = {"GAIA_SLOTS": "2", "GAIA_POOL": "environment", "GAIA_HOST": "", "PATH": "/bin"}
FLAGS = {"slots": "3", "executor": None}


def test_flags_win_over_the_environment_and_that_over_the_file() -> None:
    """Of several values of a setting the flag counts, then the variable, then the file; else the default."""
    config = load(FLAGS, ENVIRONMENT, FILE)
    assert (config.slots, config.pool, config.scratch) == (3, "environment", Path("file"))
    assert (config.executor, config.host) == ("auto", "localhost:24442")
    assert config.kafka == {"security.protocol": "SSL"}


def test_the_source_of_every_setting_is_known() -> None:
    """Each setting comes from the flag, the variable or the file that won, else it is the default."""
    origins = sources(FLAGS, ENVIRONMENT, FILE)
    given = {"slots": "flag", "pool": "environment", "scratch": "file", "kafka": "file"}
    assert origins == dict.fromkeys(names_of(), "default") | given


def test_all_problems_are_told_together() -> None:
    """Unknown names are suggested better ones, and wrong values say what is right."""
    with pytest.raises(ConfigError) as refused:
        load({"workers": "none"}, {"GAIA_SLOT": "3", "GAIA_LEASE_S": "0"}, {"exekutor": "x", "kafka": 1})
    assert [str(problem) for problem in refused.value.problems] == [
        "exekutor: unknown setting; did you mean executor?",
        "kafka: must be a table of librdkafka settings",
        "GAIA_SLOT: unknown setting; did you mean GAIA_SLOTS?",
        "GAIA_LEASE_S: '0' must be greater than 0",
        "--workers: 'none' must be a number",
    ]


@pytest.mark.parametrize("flags", [{"listen": "0.0.0.0:1"}, {"http_listen": "[::]:1"}])
def test_serving_others_needs_a_token(flags: dict[str, Any]) -> None:
    """An address that others reach is refused without a token, unless that is asked for."""
    with pytest.raises(ConfigError, match="no token is set"):
        load(flags, {}, {})
    assert load(flags, {"GAIA_TOKEN": "t"}, {}).token == "t"
    assert load({**flags, "insecure": True}, {}, {}).insecure


@pytest.mark.parametrize(
    "name",
    ["token", "s3_secret_key", "kafka.sasl.password", "kafka.ssl.key.pem", "kafka.sasl.oauthbearer.client.secret"],
)
def test_secrets_are_known(name: str) -> None:
    """Our secrets, and librdkafka's, must not be shown."""
    assert is_secret(name)


def test_the_rest_may_be_shown() -> None:
    """What is no secret is not taken for one, and a secret does not show itself."""
    assert [name for name in names_of() if is_secret(name)] == ["token", "s3_secret_key"]
    assert not is_secret("kafka.security.protocol")
    assert "hush" not in repr(load({}, {"GAIA_TOKEN": "hush"}, {}))


def test_the_page_tells_which_settings_count_where() -> None:
    """Each program's settings are those that docs/configuration.md lists for it."""
    page = PAGE.read_text(encoding="utf-8")
    shared = ("kafka", "topic", "replication", "s3", "bucket")
    for program in PROGRAMS:
        line = re.search(
            rf"^- `gaia {program}`: ([^\n]*?)(?:, and all about Kafka, S3 and buckets)?\.", page, re.MULTILINE
        )
        assert line is not None
        listed = {name.split(" ")[0] for name in line[1].split(", ")}
        assert {name for name in names_of(program) if not name.startswith(shared)} == listed
        assert any(name.startswith(shared) for name in names_of(program)) == ("all about Kafka" in line[0])


def test_every_setting_counts_somewhere() -> None:
    """No setting is looked at by no program."""
    assert {name for program in PROGRAMS for name in names_of(program)} == set(Config.__dataclass_fields__)


def test_secrets_for_programs_are_no_settings() -> None:
    """GAIA_SECRET_ and any name is for workers to look up; the folder of secrets is a setting, and may be shown."""
    config = load({}, {"GAIA_SECRET_hub-token": "x", "GAIA_SECRETS_DIR": "/etc/secrets"}, {})
    assert config.secrets_dir == Path("/etc/secrets")
    assert not is_secret("secrets_dir")
    assert "hub" not in repr(config)
