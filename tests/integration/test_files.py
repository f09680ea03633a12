"""Files between workers and stores, a folder and a real MinIO, while the way between them breaks, lies or is full."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from minio import Minio

from gaia_core.backends import s3_parts
from gaia_core.backends.folder import FolderStore
from gaia_core.backends.s3 import S3Settings, S3Store
from gaia_core.machine.reports import Cancelled, Completed, Failed, Report
from gaia_core.ports import Store
from gaia_core.workflow.model import FailureClass, FileVersion, Input, Output, Publication
from gaia_worker import retrying
from gaia_worker.attempt import Attempts
from gaia_worker.control import Control
from gaia_worker.executors.base import Exit, Exited, Sink, Stopped, Task
from gaia_worker.settings import WorkerSettings
from tests.support.disk import fill, small_disk
from tests.support.link import Link
from tests.support.machine import ServiceMissing
from tests.support.services import free_port
from tests.support.waiting import wait_until
from tests.unit.worker.fakes import execution

if TYPE_CHECKING:
    from tests.support.services import MinioService

MIB = 1024 * 1024
LARGE = 40 * MIB + 17
"""More than two parts up and four ranges down."""

Program = Callable[[Task, threading.Event], "Exit | None"]


class Programs:
    """An executor whose programs are functions over what is mounted."""

    name = "function"
    instant = False

    def __init__(self) -> None:
        self.program: Program = lambda task, halted: None

    def describe(self) -> str:
        return "function"

    def run(self, task: Task, cancelled: threading.Event, sink: Sink) -> Exit:
        return self.program(task, cancelled) or Exited(0)

    def cleanup(self, labels: Mapping[str, str]) -> int:
        return 0

    def close(self) -> None:
        pass


@dataclass
class Site:
    """A worker's attempts on a store."""

    store: Store
    scratch: Path
    settings: dict[str, Any] = field(default_factory=dict)
    executor: Programs = field(default_factory=Programs)

    def __post_init__(self) -> None:
        made = WorkerSettings("w", slots=1, scratch=self.scratch, deployment="d", **self.settings)
        self.attempts = Attempts(made, self.store, self.executor)

    def run(self, program: Program | None = None, control: Control | None = None, **fields: Any) -> Report:
        """Run one attempt; its scratch folder is gone afterwards."""
        self.executor.program = program or (lambda task, halted: None)
        end = self.attempts.run(execution(**fields), control or Control(), lambda _: None)
        assert list((self.scratch / "w").glob("*")) == []
        return end

    def write(self, data: Mapping[str, bytes]) -> Report:
        """Run an attempt that writes these files as its output tree."""

        def program(task: Task, halted: threading.Event) -> None:
            for name, content in data.items():
                path = task.mounts[0].source / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)

        return self.run(program, outputs=(Output("t", "t/", "/t/"),))

    def read(self, publications: tuple[Publication, ...]) -> dict[str, bytes]:
        """Run an attempt that reads a tree, and return what it saw."""
        seen: dict[str, bytes] = {}

        def program(task: Task, halted: threading.Event) -> None:
            root = task.mounts[0].source
            seen.update({p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()})

        completed(self.run(program, inputs=(Input("t", "t/", "/t/", publications),)))
        return seen


def completed(end: Report) -> Completed:
    assert isinstance(end, Completed), end
    return end


def failed(end: Report, kind: FailureClass) -> str:
    assert isinstance(end, Failed), end
    assert end.failure.kind is kind, end
    return end.failure.message


def settings_of(minio: MinioService, bucket: str, port: int = 0) -> S3Settings:
    endpoint = f"127.0.0.1:{port}" if port else minio.endpoint
    return S3Settings(endpoint, minio.access_key, minio.secret_key, secure=False, bucket=bucket)


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store in a folder, and one in MinIO."""
    if request.param == "folder":
        made: Store = FolderStore(tmp_path / "store")
        made.check()
        yield made
        return
    with closing(S3Store(settings_of(request.getfixturevalue("minio"), request.getfixturevalue("bucket")))) as s3:
        s3.check()
        yield s3


@pytest.fixture
def site(store: Store, tmp_path: Path) -> Iterator[Site]:
    """Attempts without a cache."""
    made = Site(store, tmp_path / "scratch")
    yield made
    made.attempts.close()


@pytest.fixture
def link(minio: MinioService) -> Iterator[Link]:
    """A way to MinIO that a test may meddle with."""
    with Link(minio.port, free_port()) as made:
        yield made


@pytest.fixture
def far(
    link: Link, minio: MinioService, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    """Attempts that reach MinIO over the link; nobody pauses long."""
    monkeypatch.setattr(retrying, "PAUSE_S", 0.01)
    monkeypatch.setattr(s3_parts, "PART_PAUSE_S", 0.01)
    with closing(S3Store(settings_of(minio, bucket, link.port))) as store:
        store.check()
        made = Site(store, tmp_path / "scratch")
        yield made
        made.attempts.close()


def test_files_of_every_size_come_back(site: Site) -> None:
    """A tree of empty, small and large files is the same for its reader, byte by byte."""
    sizes = [0, 1, 4096, MIB - 1, MIB, MIB + 1, 16 * MIB, 16 * MIB + 1, LARGE]
    data = {f"f/{size}": os.urandom(size) for size in sizes}
    outputs = completed(site.write(data)).outputs
    assert {file.sha256 for file in outputs[0].files} == {hashlib.sha256(one).digest() for one in data.values()}
    assert site.read(outputs) == data


def test_many_small_files_come_back(site: Site) -> None:
    """A thousand files go up and come down, each once, listed by a manifest."""
    data = {f"{number % 7}/{number:04}": str(number).encode() for number in range(1000)}
    outputs = completed(site.write(data)).outputs
    assert outputs[0].manifest is not None
    assert site.read(outputs) == data


def test_an_output_is_not_fetched_by_the_worker_that_wrote_it(store: Store, tmp_path: Path) -> None:
    """With a cache, a chain on one worker moves nothing down; a second worker's reader fetches once."""
    first = Site(store, tmp_path / "one", {"cache_bytes": 100 * MIB})
    second = Site(store, tmp_path / "two", {"cache_bytes": 100 * MIB})
    data = {"large": os.urandom(LARGE), "small": b"x"}
    outputs = completed(first.write(data)).outputs
    assert first.read(outputs) == data
    assert (first.attempts.cache.stats().hits, first.attempts.cache.stats().misses) == (2, 0)
    for _ in range(2):
        assert second.read(outputs) == data
    assert (second.attempts.cache.stats().hits, second.attempts.cache.stats().misses) == (2, 2)
    for one in (first, second):
        one.attempts.close()


@pytest.mark.parametrize("times", [1, 5])
def test_a_download_that_is_cut_goes_on(far: Site, link: Link, times: int) -> None:
    """Connections that break half-way are made anew, and the content is whole."""
    data = {"large": os.urandom(LARGE)}
    outputs = completed(far.write(data)).outputs
    link.break_after(3 * MIB, times)
    assert far.read(outputs) == data
    assert link.faults_left == 0


def test_a_download_that_is_spoiled_is_fetched_again(far: Site, link: Link) -> None:
    """A bit that flips on the way is noticed and never seen by a program."""
    data = {"large": os.urandom(LARGE), "small": os.urandom(100_000)}
    outputs = completed(far.write(data)).outputs
    link.spoil(2)
    assert far.read(outputs) == data
    assert link.faults_left == 0


def test_a_download_that_stays_spoiled_fails(far: Site, link: Link) -> None:
    """Content that is never right is INPUT_CHANGED, and no program runs on it."""
    outputs = completed(far.write({"file": os.urandom(100_000)})).outputs
    link.spoil(1000)
    ran: list[int] = []
    end = far.run(lambda task, halted: ran.append(1), inputs=(Input("t", "t/", "/t/", outputs),))
    assert "sha256 differs" in failed(end, FailureClass.INPUT_CHANGED)
    assert ran == []


@pytest.mark.parametrize("fault", ["break", "spoil"])
def test_of_an_upload_that_breaks_only_what_is_missing_is_sent(
    far: Site, link: Link, minio: MinioService, bucket: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that does not arrive whole is sent again, the others are not; one version is there, and the right one."""
    sent: list[int] = []
    upload_part = Minio._upload_part

    def noting(self: Minio, *args: Any) -> str:
        sent.append(args[-1])
        return upload_part(self, *args)

    monkeypatch.setattr(Minio, "_upload_part", noting)
    if fault == "break":
        link.break_after(9 * MIB, 2)
    else:
        link.spoil(2)
    data = {"large": os.urandom(LARGE)}
    outputs = completed(far.write(data)).outputs
    assert link.faults_left == 0
    assert set(sent) == {1, 2, 3}
    assert len(sent) <= 5
    link.mend()
    assert far.read(outputs) == data
    direct = Minio(minio.endpoint, minio.access_key, minio.secret_key, secure=False)
    assert len(list(direct.list_objects(bucket, "flow/", recursive=True, include_version=True))) == 1


def test_a_store_that_goes_away_while_it_is_written_to_is_a_failure_of_the_store(
    far: Site, link: Link, minio: MinioService, bucket: str
) -> None:
    """STORE says so, and nothing of the output is to be seen."""

    def program(task: Task, halted: threading.Event) -> None:
        (task.mounts[0].source / "large").write_bytes(os.urandom(LARGE))
        link.cut()

    end = far.run(program, outputs=(Output("t", "t/", "/t/"),))
    assert f"127.0.0.1:{link.port}" in failed(end, FailureClass.STORE)
    with closing(S3Store(settings_of(minio, bucket))) as store:
        assert list(store.list_versions(None, "flow/")) == []


def test_a_cancel_ends_an_upload(far: Site, link: Link, minio: MinioService, bucket: str) -> None:
    """An attempt that is cancelled while a large file goes up ends, and nothing of the file is to be seen."""
    control = Control()

    def program(task: Task, halted: threading.Event) -> None:
        (task.mounts[0].source / "large").write_bytes(os.urandom(LARGE))
        link.slow(0.2)
        threading.Timer(0.1, control.cancel).start()

    assert isinstance(far.run(program, control, outputs=(Output("t", "t/", "/t/"),)), Cancelled)
    link.mend()
    with closing(S3Store(settings_of(minio, bucket))) as store:
        assert list(store.list_versions(None, "flow/")) == []


PUT = """
import sys
from pathlib import Path
from gaia_core.backends.s3 import S3Settings, S3Store
endpoint, key, secret, bucket, source = sys.argv[1:]
store = S3Store(S3Settings(endpoint, key, secret, secure=False, bucket=bucket))
print("begins", flush=True)
store.put_file(None, "flow/large", Path(source))
"""


def test_a_worker_killed_in_an_upload_leaves_no_object(
    link: Link, minio: MinioService, bucket: str, tmp_path: Path
) -> None:
    """Parts that were stored are no object; they are dropped as unfinished once they are old."""
    with closing(S3Store(settings_of(minio, bucket))) as store:
        store.check()
        (tmp_path / "source").write_bytes(os.urandom(LARGE))
        direct = Minio(minio.endpoint, minio.access_key, minio.secret_key, secure=False)

        def unfinished() -> list[Any]:  # MinIO tells of them only where it is asked by name
            return list(direct._list_multipart_uploads(bucket, prefix="flow/large").uploads)

        link.hold()
        process = subprocess.Popen(
            [sys.executable, "-c", PUT, f"127.0.0.1:{link.port}", minio.access_key, minio.secret_key, bucket,
             str(tmp_path / "source")],
            stdout=subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        link.slow(0.05)
        link.mend()
        link.slow(0.05)
        wait_until(unfinished, "the upload has begun", deadline_s=30, every_s=0.01)
        link.hold()
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        process.stdout.close()
        assert store.stat(None, "flow/large") is None
        assert list(store.list_versions(None, "flow/")) == []
        (left,) = unfinished()
        store._client = OneName(store._client, "flow/large")  # type: ignore[assignment]
        assert store.clear_unfinished(int(left.initiated_time.timestamp() * 1000)) == 0
        assert store.clear_unfinished(int(left.initiated_time.timestamp() * 1000) + 10_000) == 1
        assert unfinished() == []


class OneName:
    """A client whose server lists its uploads in parts, as others than MinIO do."""

    def __init__(self, client: Minio, name: str) -> None:
        self._client = client
        self._name = name

    def _list_multipart_uploads(self, bucket: str) -> Any:
        return self._client._list_multipart_uploads(bucket, prefix=self._name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def test_a_program_that_writes_too_much_is_ended(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one attempt may write is a limit that holds while it runs, with the retries of a program's own failure."""
    small = Site(site.store, site.scratch / "small", {"disk_bytes": 8 * MIB})
    monkeypatch.setattr(small.attempts.disk, "_pause_s", 0.01)

    def program(task: Task, halted: threading.Event) -> Exit:
        with (task.mounts[0].source / "file").open("wb", buffering=0) as file:
            while not halted.is_set():
                file.write(bytes(MIB))
        return Stopped()

    message = failed(small.run(program, outputs=(Output("t", "t/", "/t/"),)), FailureClass.COMMAND)
    assert f"more than the {8 * MIB} bytes" in message

    def quick(task: Task, halted: threading.Event) -> None:
        (task.mounts[0].source / "file").write_bytes(bytes(9 * MIB))

    monkeypatch.setattr(small.attempts.disk, "_pause_s", 3600)
    message = failed(small.run(quick, outputs=(Output("t", "t/", "/t/"),)), FailureClass.COMMAND)
    assert "'file'" in message
    small.attempts.close()


def test_what_lies_in_an_attempts_place_as_input_is_not_what_it_wrote(site: Site) -> None:
    """Inputs, also those laid among the outputs, do not count against what the program may write."""
    small = Site(site.store, site.scratch / "small", {"disk_bytes": 2 * MIB, "cache_bytes": 50 * MIB})
    stored = site.store.put_bytes(None, "flow/in", bytes(5 * MIB))
    file = FileVersion("in", stored.version, 5 * MIB, hashlib.sha256(bytes(5 * MIB)).digest())
    given = Input("in", "in", "/t/in", (Publication("in", (file,)),))

    def program(task: Task, halted: threading.Event) -> None:
        small.attempts.disk.look()
        (task.mounts[0].source / "new").write_bytes(b"x")

    for _ in range(2):
        outputs = completed(small.run(program, inputs=(given,), outputs=(Output("t", "t/", "/t/"),))).outputs
        assert [one.key for one in outputs[0].files] == ["t/new"]
    small.attempts.close()


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 MiB for scratch folders."""
    with ExitStack() as stack:
        try:
            disk = stack.enter_context(small_disk(tmp_path / "disk", 64 * MIB))
        except ServiceMissing as problem:
            if os.environ.get("CI"):
                raise
            pytest.skip(str(problem))
        yield disk


def test_a_full_disk_is_told_and_cleared(store: Store, full: Path) -> None:
    """Inputs that do not fit fail as the worker's trouble; once there is room again the same attempt works."""
    site = Site(store, full / "scratch", {"cache_bytes": 1000 * MIB})
    data = {"a": os.urandom(20 * MIB), "b": os.urandom(20 * MIB)}
    outputs = completed(site.write(data)).outputs
    filler = fill(full)
    assert site.attempts.cache.stats().files == 2
    more = {"c": os.urandom(30 * MIB)}
    elsewhere = Site(store, full.parent / "elsewhere")
    others = completed(elsewhere.write(more)).outputs
    elsewhere.attempts.close()
    assert site.read(outputs) == data  # they are linked from the cache, and need no room
    filler.unlink()
    filler.write_bytes(bytes(15 * MIB))
    assert site.read(others) == more  # the cache made room
    filler.unlink()
    site.attempts.cache.give_back(1 << 40)
    fill(full)
    end = site.run(inputs=(Input("t", "t/", "/t/", others),))
    assert "has room for" in failed(end, FailureClass.ENGINE)
    filler.unlink()
    assert site.read(others) == more
    site.attempts.close()


def test_a_program_that_fills_the_disk_is_ended(store: Store, full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When hardly anything is left the attempt that wrote most ends, and its files are gone."""
    site = Site(store, full / "scratch")
    monkeypatch.setattr(site.attempts.disk, "_pause_s", 0.01)

    def program(task: Task, halted: threading.Event) -> Exit:
        with (task.mounts[0].source / "file").open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(MIB))
        assert halted.wait(30)
        return Stopped()

    message = failed(site.run(program, outputs=(Output("t", "t/", "/t/"),)), FailureClass.ENGINE)
    assert "the disk of the worker is full" in message
    completed(site.write({"a": bytes(MIB)}))
    site.attempts.close()


def test_files_of_a_failure_are_kept_where_the_message_says(site: Site) -> None:
    """With `keep: on_failure` the failure names the folder, and there the files are."""

    def program(task: Task, halted: threading.Event) -> Exit:
        (task.mounts[0].source / "half").write_text("half")
        return Exited(3)

    end = site.run(program, outputs=(Output("t", "t/", "/t/"),), keep="on_failure")
    message = failed(end, FailureClass.COMMAND)
    kept = Path(message.partition("its files are kept on worker 'w' in ")[2])
    assert [path.read_text() for path in kept.rglob("half")] == ["half"]
