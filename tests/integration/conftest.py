"""The cluster of tests that ask for one; and in CI, a run that started no container for any Step fails."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import pytest

from tests.integration.cluster import Cluster

if TYPE_CHECKING:
    from tests.support.services import KafkaService, MinioService


@pytest.fixture
def cluster(
    kafka: KafkaService, minio: MinioService, tmp_path: Path, topic_prefix: str, bucket: str
) -> Iterator[Cluster]:
    """A deployment of its own on the shared services; its processes end with the test."""
    with ExitStack() as stack:
        yield Cluster(kafka, minio, tmp_path, topic_prefix.rstrip("."), bucket, stack)


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
