"""What a worker counts around its parts, and who is shown it."""

import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gaia_core.backends.memory_store import MemoryStore
from gaia_core.errors import ObjectMissing, StoreError
from gaia_core.machine.reports import CacheFigures, Cancelled, Completed, Failed, Started
from gaia_core.workflow.model import Failure, FailureClass, Fence
from gaia_worker.control import Control
from gaia_worker.executors.base import Exited
from gaia_worker.metrics import MetricsPort, WorkerMeter, serve_metrics
from tests.integration.gaia_processes import free_address

FENCE = Fence(1, 2, 3, 4)


def value(meter: WorkerMeter, name: str, **labels: str) -> float:
    """Return a sample; 0 where there is none yet."""
    return meter.registry.get_sample_value(name, labels) or 0.0


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        (Completed(FENCE), "completed"),
        (Cancelled(FENCE), "cancelled"),
        (Failed(FENCE, Failure(FailureClass.TIMEOUT, "")), "TIMEOUT"),
    ],
)
def test_attempts_are_counted_by_their_outcome(end: Any, outcome: str) -> None:
    """While one runs it is counted as running, then by how it ended."""
    meter = WorkerMeter()
    running: list[float] = []

    def run(_: Any, __: Any, say: Any) -> Any:
        running.append(value(meter, "gaia_worker_attempts_running"))
        say(Started(FENCE))
        return end

    said: list[Any] = []
    assert meter.attempts(run)(None, Control(), said.append) is end  # type: ignore[arg-type]
    assert said == [Started(FENCE)]
    assert value(meter, "gaia_worker_stage_in_seconds_count") == 1
    assert running == [1]
    assert value(meter, "gaia_worker_attempts_running") == 0
    assert value(meter, "gaia_worker_attempts_total", outcome=outcome) == 1
    assert value(meter, "gaia_worker_attempt_seconds_count") == 1


def test_an_attempt_that_breaks_the_worker_is_counted_too() -> None:
    """As broken; the error goes on."""
    meter = WorkerMeter()

    def run(*_: Any) -> Any:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        meter.attempts(run)(None, Control(), print)  # type: ignore[arg-type]
    assert value(meter, "gaia_worker_attempts_total", outcome="broken") == 1


def test_moved_files_are_counted_with_their_bytes(tmp_path: Path) -> None:
    """Up and down; what fails is counted as an error, and so is what came before it."""
    meter = WorkerMeter()
    store = meter.store(MemoryStore())
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    stored = store.put_file(None, "a", path)
    store.put_bytes(None, "b", b"123")
    assert b"".join(store.open(None, "a", stored.version)) == b"12345"
    with pytest.raises(ObjectMissing):
        b"".join(store.open(None, "a", "nothing"))
    assert store.stat(None, "b") is not None
    moved = {way: value(meter, "gaia_worker_transferred_bytes_total", direction=way) for way in ("up", "down")}
    assert moved == {"up": 8, "down": 5}
    assert value(meter, "gaia_worker_files_total", direction="up") == 2
    assert value(meter, "gaia_worker_files_total", direction="down") == 1
    assert value(meter, "gaia_worker_store_errors_total") == 1


def test_a_put_that_fails_is_counted() -> None:
    """And raised."""
    meter = WorkerMeter()

    class Away:
        def put_bytes(self, *_: Any) -> Any:
            raise StoreError("away")

    with pytest.raises(StoreError):
        meter.store(Away()).put_bytes(None, "a", b"")  # type: ignore[arg-type]
    assert value(meter, "gaia_worker_store_errors_total") == 1
    assert value(meter, "gaia_worker_files_total", direction="up") == 0


def test_caches_are_shown_while_there_are_workers() -> None:
    """Workers of one process share a folder, so what lies there is not added up; what was counted stays counted."""
    meter = WorkerMeter()
    one = CacheFigures(files=3, size_bytes=300, size_bytes_max=1000, hits=5, misses=2, hit_bytes=500)
    other = CacheFigures(files=2, size_bytes=200, size_bytes_max=1000, hits=1, misses=1, hit_bytes=10)
    with meter.caches.showing(lambda: one):
        with meter.caches.showing(lambda: other):
            assert cache_figures(meter) == (3, 300, 1000, 6, 510, 3)
        assert cache_figures(meter) == (3, 300, 1000, 6, 510, 3)
    assert cache_figures(meter) == (0, 0, 0, 6, 510, 3)


def cache_figures(meter: WorkerMeter) -> tuple[float, ...]:
    names = ("files", "bytes", "limit_bytes", "hits_total", "hit_bytes_total", "misses_total")
    return tuple(value(meter, f"gaia_worker_cache_{name}") for name in names)


def test_programs_are_timed() -> None:
    """All else of an executor is as it was; one that takes no time is left alone."""
    meter = WorkerMeter()

    class Programs:
        name, instant = "fake", False

        def run(self, *_: Any) -> Any:
            return Exited(0)

    executor = meter.executor(Programs())  # type: ignore[arg-type]
    assert executor.run(None, threading.Event(), print) == Exited(0)  # type: ignore[arg-type]
    assert executor.name == "fake"
    assert value(meter, "gaia_worker_program_seconds_count") == 1
    Programs.instant = True
    instant: Any = Programs()
    assert meter.executor(instant) is instant


@pytest.fixture
def port() -> Iterator[str]:
    """A port that wants a token, at its address."""
    address = free_address()
    served = MetricsPort(address, "secret", WorkerMeter().registry)
    yield address
    served.close()


def status(address: str, path: str = "/metrics", **headers: str) -> int:
    """Return the status of a GET."""
    try:
        with urllib.request.urlopen(urllib.request.Request(f"http://{address}{path}", headers=headers)) as reply:
            assert list(text_string_to_metric_families(reply.read().decode()))
            return int(reply.status)
    except urllib.error.HTTPError as refusal:
        refusal.close()
        return refusal.code


def test_a_token_is_asked_for(port: str) -> None:
    """Where there is one; and there is only /metrics."""
    assert status(port) == 401
    assert status(port, Authorization="Bearer wrong") == 401
    assert status(port, Authorization="Bearer secret") == 200
    assert status(port, "/other", Authorization="Bearer secret") == 404


def test_pages_of_other_sites_are_refused() -> None:
    """Without a token, only callers that know us by a name of the loopback interface are answered."""
    address = free_address()
    served = MetricsPort(address, "", WorkerMeter().registry)
    try:
        assert status(address) == 200
        assert status(address, Host=f"localhost:{address.rpartition(':')[2]}") == 200
        assert status(address, Host="localhost") == 200
        assert status(address, Host="evil.example:80") == 403
        assert status(address, Host="evil.example") == 403
    finally:
        served.close()


def test_a_worker_goes_on_without_its_port(caplog: pytest.LogCaptureFixture) -> None:
    """Where another process has it: that is said, and no reason to do no work."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert serve_metrics(f"127.0.0.1:{taken.getsockname()[1]}", "", WorkerMeter()) is None
    assert "metrics are not served" in caplog.text
