"""In CI, integration tests that started no container for a Step prove nothing and fail."""

import os
import time
from collections.abc import Iterator

import docker
import pytest


@pytest.fixture(scope="session", autouse=True)
def _containers_really_ran(request: pytest.FixtureRequest) -> Iterator[None]:
    """Ask the engine, at the end, whether it ran containers for Steps."""
    if not os.environ.get("CI"):
        yield
        return
    request.getfixturevalue("docker_engine")
    began = int(time.time())
    yield
    engine = docker.from_env()
    try:
        wanted = {"type": "container", "event": "start", "label": "gaia.step"}
        events = engine.events(since=began, until=int(time.time()) + 1, filters=wanted)
        assert sum(1 for _ in events), "no container ran for any Step"
    finally:
        engine.close()
