"""How fast an attempt's files move, beside the same calls of bare minio-py with the same concurrency.

    python -m benchmarks.files [--mib N] [--files N] [--repetitions N] [--folder DIR]

One JSON object per line on stdout: each run, then medians and ratios. MinIO is started and stopped here. Gaia's side is
a whole attempt of a worker (`gaia_worker.attempt`) without its program: from the order to the program's start, and from
the program's end to the report. Both sides take turns, in one process, on the same data.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from minio import Minio

from gaia_core.backends.s3 import S3Settings, S3Store
from gaia_core.backends.s3_parts import PART_BYTES, PARTS_AT_ONCE
from gaia_core.config import CACHE_BYTES
from gaia_core.machine.reports import Completed, Report
from gaia_core.workflow.model import Execution, Fence, Input, Output
from gaia_worker.attempt import Attempts
from gaia_worker.control import Control
from gaia_worker.executors.base import Exit, Exited, Sink, Task
from gaia_worker.fetching import RANGE_BYTES, RANGES_AT_ONCE
from gaia_worker.settings import WorkerSettings
from gaia_worker.transfer import STREAMS
from tests.support.engine import ensure_engine
from tests.support.services import MinioService

MIB: Final = 1024 * 1024
SMALL_BYTES: Final = 4096
FILES_OF_A_FOLDER: Final = 100
BUCKET: Final = "gaia"
RATIO: Final = 0.9
CACHE_RATIO: Final = 5.0

Seconds = dict[str, float]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.files", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mib", type=int, default=1024, help="size of the large file [%(default)s]")
    parser.add_argument("--files", type=int, default=10_000, help="files of the tree, 4 KiB each [%(default)s]")
    parser.add_argument("--repetitions", type=int, default=3, help="[%(default)s]")
    parser.add_argument("--folder", type=Path, help="where files are made: a real disk [the system's temp]")
    given = parser.parse_args()
    with _minio() as service, tempfile.TemporaryDirectory(prefix="gaia-bench-", dir=given.folder) as folder:
        bench = Bench(service, Path(folder))
        for kind, make in (
            ("large", lambda source: _large(source, given.mib)),
            ("tree", lambda source: _tree(source, given.files)),
        ):
            found = [bench.repetition(kind, make, number) for number in range(given.repetitions)]
            _print({"summary": "files", **summary(kind, found)})
    return 0


class Bench:
    """One server, and what both sides do with it."""

    def __init__(self, service: MinioService, folder: Path) -> None:
        self._folder = folder
        self._service = service
        self._client = Minio(service.endpoint, service.access_key, service.secret_key, secure=False)
        with closing(S3Store(self._settings())) as store:
            store.check()  # makes the bucket, with versions, for both sides

    def repetition(self, kind: str, make: Callable[[Path], None], number: int) -> Seconds:
        """Move the same files in every way once; return the seconds of each."""
        source = self._folder / f"{kind}-{number}"
        source.mkdir()
        make(source)
        sides = [self._bare(kind, source, number), self._gaia(kind, source, number)]
        # Who begins has the worse of it where the server or the disk warms up, so they take turns in that too. Both go
        # up before one comes down: a file system that has just lost thousands of files makes new ones slowly.
        seconds: Seconds = {}
        for _ in ("up", "down"):
            for side in reversed(sides) if number % 2 else sides:
                seconds |= next(side)
        for side in sides:
            side.close()
        _print({"benchmark": "files", "kind": kind, "repetition": number, **_rounded(seconds)})
        return seconds

    def _settings(self) -> S3Settings:
        service = self._service
        return S3Settings(service.endpoint, service.access_key, service.secret_key, secure=False, bucket=BUCKET)

    def _gaia(self, kind: str, source: Path, number: int) -> Generator[Seconds, None, None]:
        """Yield what an attempt takes to store the files as its output, then what others take to fetch them, twice."""
        scratch = self._folder / f"scratch-{kind}-{number}"
        writing, reading = scratch / "writing", scratch / "reading"
        with closing(S3Store(self._settings())) as store:
            executor = Program(source)
            with closing(_attempts(writing, store, executor)) as attempts:
                os.sync()
                made = executor.run_attempt(attempts, outputs=(Output("out", f"{kind}-{number}/", "/out/"),))
            yield {"gaia_up_s": executor.after_s}
            item = Input("in", f"{kind}-{number}/", "/in/", made.outputs)
            executor = Program()
            with closing(_attempts(reading, store, executor)) as attempts:
                os.sync()
                executor.run_attempt(attempts, inputs=(item,))
                down_s = executor.before_s
                executor.run_attempt(attempts, inputs=(item,))
            yield {"gaia_down_s": down_s, "gaia_again_s": executor.before_s}

    def _bare(self, kind: str, source: Path, number: int) -> Generator[Seconds, None, None]:
        """Yield what the client library takes to store the files, then what it takes to fetch them."""
        target = self._folder / f"bare-{kind}-{number}"
        files = sorted(path for path in source.rglob("*") if path.is_file())
        names = {path: f"bare/{kind}-{number}/{path.relative_to(source).as_posix()}" for path in files}
        for path in files:
            (target / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
        move = (self._put_large, self._get_large) if kind == "large" else (self._put_all, self._get_all)
        os.sync()
        yield {"bare_up_s": _timed(lambda: move[0](names))}
        os.sync()
        down_s = _timed(lambda: move[1]({target / path.relative_to(source): name for path, name in names.items()}))
        yield {"bare_down_s": down_s}

    def _put_large(self, names: Mapping[Path, str]) -> None:
        for path, name in names.items():
            self._client.fput_object(BUCKET, name, str(path), part_size=PART_BYTES, num_parallel_uploads=PARTS_AT_ONCE)

    def _get_large(self, names: Mapping[Path, str]) -> None:
        """Fetch a file in ranges; the library has no call for that."""
        for path, name in names.items():
            size_bytes = self._client.stat_object(BUCKET, name).size or 0
            with path.open("wb") as out, ThreadPoolExecutor(RANGES_AT_ONCE) as threads:
                descriptor = out.fileno()

                def fetch(start: int, name: str = name, descriptor: int = descriptor) -> None:
                    response = self._client.get_object(BUCKET, name, offset=start, length=RANGE_BYTES)
                    try:
                        for chunk in response.stream(MIB):
                            start += os.pwrite(descriptor, chunk, start)
                    finally:
                        response.close()
                        response.release_conn()

                list(threads.map(fetch, range(0, size_bytes, RANGE_BYTES)))

    def _put_all(self, names: Mapping[Path, str]) -> None:
        with ThreadPoolExecutor(STREAMS) as threads:
            list(threads.map(lambda one: self._client.fput_object(BUCKET, one[1], str(one[0])), names.items()))

    def _get_all(self, names: Mapping[Path, str]) -> None:
        """Fetch files by one request each: `fget_object` would make two."""

        def fetch(one: tuple[Path, str]) -> None:
            response = self._client.get_object(BUCKET, one[1])
            try:
                one[0].write_bytes(response.read())
            finally:
                response.close()
                response.release_conn()

        with ThreadPoolExecutor(STREAMS) as threads:
            list(threads.map(fetch, names.items()))


class Program:
    """An executor whose program takes no time: it copies files that are ready into its output tree."""

    name = "ready"
    instant = False

    def __init__(self, ready: Path | None = None) -> None:
        self._ready = ready
        self._began_s = self._ended_s = self.before_s = self.after_s = 0.0

    def describe(self) -> str:
        """Say what it is."""
        return "files that are ready"

    def run(self, task: Task, cancelled: threading.Event, sink: Sink) -> Exit:  # noqa: ARG002 - the port's
        """Stop the first clock, bring the files, start the second one."""
        self.before_s = time.perf_counter() - self._began_s
        if self._ready is not None:
            for path in self._ready.iterdir():
                _copy(path, task.mounts[0].source / path.name)
            os.sync()
        self._ended_s = time.perf_counter()
        return Exited(0)

    def cleanup(self, labels: Mapping[str, str]) -> int:  # noqa: ARG002 - the port's
        """Find nothing."""
        return 0

    def trouble(self) -> str:
        """Have none."""
        return ""

    def close(self) -> None:
        """Hold nothing."""

    def run_attempt(self, attempts: Attempts, **fields: Any) -> Completed:
        """Run an attempt with these inputs or outputs."""
        execution = Execution(
            fence=Fence(1, 1, 1, 1), workflow="flow", step="s", command="c", image="i", argv=("true",), **fields
        )
        said: list[Report] = []
        self._began_s = time.perf_counter()
        end = attempts.run(execution, Control(), said.append)
        self.after_s = time.perf_counter() - self._ended_s
        assert isinstance(end, Completed), end
        return end


def summary(kind: str, found: list[Seconds]) -> dict[str, Any]:
    """Return the medians of one kind of files, the ratios (above 1: Gaia is faster), and whether they suffice."""
    medians = {name: statistics.median(one[name] for one in found) for name in found[0]}
    ratios = {
        "up": medians["bare_up_s"] / medians["gaia_up_s"],
        "down": medians["bare_down_s"] / medians["gaia_down_s"],
        "again": medians["gaia_down_s"] / medians["gaia_again_s"],
    }
    reached = ratios["up"] >= RATIO and ratios["down"] >= RATIO and ratios["again"] >= CACHE_RATIO
    return {"kind": kind, **_rounded(medians), "ratios": _rounded(ratios), "bars_reached": reached}


def _attempts(scratch: Path, store: S3Store, executor: Program) -> Attempts:
    settings = WorkerSettings("w", slots=1, scratch=scratch, deployment="bench", cache_bytes=CACHE_BYTES)
    return Attempts(settings, store, executor)


@contextmanager
def _minio() -> Iterator[MinioService]:
    ensure_engine()
    service = MinioService()
    service.start()
    try:
        yield service
    finally:
        service.stop()


def _large(folder: Path, size_mib: int) -> None:
    with (folder / "large").open("wb") as file:
        for _ in range(size_mib):
            file.write(os.urandom(MIB))


def _tree(folder: Path, files: int) -> None:
    for number in range(files):
        path = folder / f"{number // FILES_OF_A_FOLDER:04}" / f"{number:06}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(os.urandom(SMALL_BYTES))


def _copy(source: Path, target: Path) -> None:
    """Put a copy of a file, or of a folder of files, in a place."""
    if source.is_dir():
        target.mkdir()
        for path in source.iterdir():
            _copy(path, target / path.name)
    else:
        target.write_bytes(source.read_bytes())


def _timed(work: Callable[[], None]) -> float:
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s


def _rounded(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in figures.items()}


def _print(line: Mapping[str, Any]) -> None:
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    sys.exit(main())
