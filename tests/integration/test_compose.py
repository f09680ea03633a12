"""docker-compose.yml brought up for real: Kafka, MinIO, two servers and two workers, all of them containers."""

import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from gaia_client.client import Gaia
from tests.integration.gaia_processes import free_address, http_status
from tests.integration.weather import check_weather, upload_weather
from tests.support.engine import Engine, compose_command
from tests.support.images import ensure_image
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "compose-test"


@pytest.fixture
def compose(docker_engine: Engine, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The deployment, up; its environment. Taken down with its volumes at the end."""
    address, standby, http = free_address(), free_address(), free_address()
    project = f"gaia-test-{uuid.uuid4().hex[:8]}"
    environ = {
        **os.environ,
        "COMPOSE_PROJECT_NAME": project,
        "GAIA_NETWORK": project,
        "GAIA_TOKEN": TOKEN,
        "GAIA_KAFKA_IMAGE": ensure_image("kafka"),
        "GAIA_MINIO_IMAGE": ensure_image("minio"),
        "GAIA_IMAGE": ensure_image("gaia"),
        "GAIA_SCRATCH": str(tmp_path / "scratch"),
        "GAIA_PORT": address.rpartition(":")[2],
        "GAIA_STANDBY_PORT": standby.rpartition(":")[2],
        "GAIA_HTTP_PORT": http.rpartition(":")[2],
    }
    try:
        _compose(environ, "up", "-d", "--no-build")
        wait_until(lambda: _is_up(http), "the server leads", deadline_s=120, evidence=lambda: _compose(environ, "logs"))
        yield {**environ, "address": f"{address},{standby}"}
    finally:
        _compose(environ, "down", "--volumes", "--timeout", "5")


def _compose(environ: dict[str, str], *arguments: str) -> str:
    """Run docker-compose and return what it said."""
    files = ["-f", str(ROOT / "docker-compose.yml"), "-f", str(ROOT / "deploy" / "launch.compose.yml")]
    command = [*compose_command(), *files, *arguments]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _is_up(http: str) -> bool:
    try:
        return http_status(f"http://{http}/healthz") == 200
    except OSError:
        return False


def test_the_weather_example_runs_through_compose(compose: dict[str, str], busybox_image: str) -> None:
    """As a user brings it up: a client with the token runs the example on the two workers, and has a third started."""
    with Gaia({"gaia_host": compose["address"], "token": TOKEN}) as flow:
        upload_weather(flow, "weather_compose", busybox_image)
        check_weather(flow, "weather_compose")
        workers = {worker["name"] for worker in flow.status("weather_compose", debug=True)["debug"]["workers"]}
        assert workers == {"worker-1", "worker-2"}
        assert flow.launch(["extra"], {"zone": "eu-1"}) == ["extra"]
        extra = next(worker for worker in flow.workers() if worker["name"] == "extra")
        assert (extra["metadata"], extra["slots"]) == ({"zone": "eu-1"}, 2)
        assert extra["executor"] == "docker"


def test_the_standby_takes_over_in_compose(compose: dict[str, str], busybox_image: str) -> None:
    """A server that is killed is no loss: the other one goes on with the workflow."""
    with Gaia({"gaia_host": compose["address"], "token": TOKEN}) as flow:
        upload_weather(flow, "weather_killed", busybox_image)
        roles = {name: _role(compose, name) for name in ("gaia", "standby")}
        leader = next(name for name, role in roles.items() if role == "leader")
        _compose(compose, "kill", leader)
        check_weather(flow, "weather_killed")


def _role(environ: dict[str, str], service: str) -> str:
    """Return the role that a server says it has."""
    ask = "import json, urllib.request as r; print(json.load(r.urlopen('http://127.0.0.1:24480/healthz'))['role'])"
    return _compose(environ, "exec", "-T", service, "python3", "-c", ask).strip()
