"""Fixtures that every test folder shares: the Docker engine, images, and real Kafka and MinIO, each started when asked.

A service that cannot be had here skips its tests at home and fails them where CI is set. Imports are inside the
fixtures, so that tests without services start without the libraries of services.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.support.engine import Engine
    from tests.support.services import KafkaService, MinioService

Result = TypeVar("Result")


def _or_skip(provide: Callable[[], Result]) -> Result:
    """Return what provide gives; a missing service is a skip at home and an error in CI."""
    from tests.support.machine import ServiceMissing

    try:
        return provide()
    except ServiceMissing as problem:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(problem))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that writes what was answered into the transcripts of `scenarios/`."""
    parser.addoption("--bless", action="store_true", help="write the answers of transcripts anew; review the diff")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a CI run in which anything was skipped: there, everything must have been tried."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter is not None else []
    if os.environ.get("CI") and skipped and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


# How long one example takes depends on what else the machine does.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def _no_gaia_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the GAIA_* variables of whoever runs the tests."""
    for name in [name for name in os.environ if name.startswith("GAIA_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def docker_engine() -> Engine:
    """The Docker engine that answers, started if need be; DOCKER_HOST names it from here on."""
    from tests.support.engine import ensure_engine

    return _or_skip(ensure_engine)


@pytest.fixture(scope="session")
def busybox_image(docker_engine: Engine) -> str:
    """Name of a small image with the POSIX tools, present in the engine."""
    from tests.support.images import ensure_image

    return _or_skip(lambda: ensure_image("busybox"))


@pytest.fixture(scope="session")
def kafka(docker_engine: Engine) -> Iterator[KafkaService]:
    """A real Kafka; tests share it and keep apart by topic_prefix."""
    from tests.support.services import KafkaService

    service = _or_skip(KafkaService().start)
    yield service
    service.stop()


@pytest.fixture(scope="session")
def minio(docker_engine: Engine) -> Iterator[MinioService]:
    """A real MinIO; tests share it and keep apart by bucket_prefix."""
    from tests.support.services import MinioService

    service = _or_skip(MinioService().start)
    yield service
    service.stop()


@pytest.fixture(scope="session")
def original_client() -> Path:
    """Folder that holds the original system's client, as the package index has it."""
    from tests.support.original_client import original_client_folder

    return _or_skip(original_client_folder)


@pytest.fixture(scope="session")
def curl() -> str:
    """The program that the pages call HTTP with."""
    from tests.support.machine import ensure_programs

    _or_skip(lambda: ensure_programs("curl"))
    return "curl"


@pytest.fixture(scope="session")
def go_worker() -> Path:
    """The program of examples/worker/go, built from its sources; the bubblewrap that it needs is there too."""
    from gaia_worker.executors.sandbox import find_program
    from tests.support.golang import build_go
    from tests.support.machine import ensure_programs

    if find_program() is None:
        _or_skip(lambda: ensure_programs("bwrap"))
    return _or_skip(lambda: build_go("worker/go"))


@pytest.fixture
def topic_prefix() -> str:
    """A topic prefix that no other test has."""
    return f"t{uuid.uuid4().hex[:12]}."


@pytest.fixture
def bucket_prefix() -> str:
    """A prefix of S3 bucket names that no other test has."""
    return f"t{uuid.uuid4().hex[:12]}-"


@pytest.fixture
def bucket(bucket_prefix: str) -> str:
    """A bucket name that no other test has; the bucket does not exist yet."""
    return f"{bucket_prefix}data"
