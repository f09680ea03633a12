"""The cluster of tests that ask for one; and in CI, a run that started no container for any Step fails."""

from __future__ import annotations

import os
import threading
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
    engine = docker.from_env()
    starts = engine.events(filters={"type": "container", "event": "start", "label": "gaia.step"})
    seen: list[bytes] = []
    looking = threading.Thread(target=lambda: seen.extend(starts), name="starts of containers")
    looking.start()  # from the beginning: the engine remembers only its latest 256 events
    yield
    starts.close()
    looking.join(10)
    engine.close()
    assert seen, "no container ran for any Step"
