"""Run all benchmarks, one after the other, and write docs/performance.md.

    python -m benchmarks [--only NAME …] [--quick] [--docs DIR] [--page]

The lines that each prints go into DIR/performance/results.jsonl in the place of those of its last run, and from these
the tables of DIR/performance.md and its charts are made. Kafka and MinIO are started once for all that use them. Ends
with 1 if a benchmark failed; its earlier results stay then.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from benchmarks import charts, page, results
from benchmarks.catalogue import ENTRIES, Entry
from benchmarks.results import Line
from benchmarks.usage import environment
from tests.support.machine import ServiceMissing
from tests.support.services import KafkaService, MinioService
from tests.support.waiting import TooLate

ROOT: Final = Path(__file__).resolve().parents[1]
DOCS: Final = ROOT / "docs"
LOOKS: Final = ROOT / ".cache" / "benchmarks"
"""Where quick looks go, whose figures must not stand for real ones."""

SERVICES: Final = {"kafka": KafkaService, "minio": MinioService}


def main() -> int:
    """Run what the arguments ask for; return the exit code."""
    names = [entry.name for entry in ENTRIES]
    parser = argparse.ArgumentParser(prog="benchmarks", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--quick", action="store_true", help="a look that takes a minute each; into .cache/benchmarks")
    parser.add_argument("--docs", type=Path, help="where performance.md is, and its folder with results and charts")
    parser.add_argument(
        "--page", action="store_true", help="run nothing; make page and charts of the results there are"
    )
    given = parser.parse_args()
    docs = given.docs or (LOOKS if given.quick else DOCS)
    chosen = [] if given.page else [entry for entry in ENTRIES if entry.name in given.only]
    failed: list[str] = []
    for needs, group in groupby(chosen, key=lambda entry: entry.needs):
        entries = list(group)
        try:
            with _services(needs):
                failed += [entry.name for entry in entries if not _run(entry, docs, quick=given.quick)]
        except (ServiceMissing, TooLate) as problem:
            print(problem, file=sys.stderr)
            failed += [entry.name for entry in entries]
    write_page(docs)
    for name in failed:
        print(f"FAILED: {name}", file=sys.stderr)
    return 1 if failed else 0


@contextmanager
def _services(needs: Sequence[str]) -> Iterator[None]:
    """Start services that benchmarks share."""
    with ExitStack() as stack:
        with redirect_stdout(sys.stderr):  # what is said about images does not belong among the results
            for name in needs:
                stack.enter_context(SERVICES[name]().shared())
        yield


def _run(entry: Entry, docs: Path, *, quick: bool) -> bool:
    """Run one benchmark and keep what it found; tell whether it ended well."""
    arguments = entry.quick if quick else entry.arguments
    with tempfile.TemporaryDirectory(prefix="gaia-bench-") as folder:
        run: dict[str, Any] = {"environment": {**_machine(), **environment(Path(folder), {})}}
    run |= {"arguments": arguments, "quick": quick, "commit": _commit(), "began": datetime.now(UTC).isoformat()}
    print(f"benchmarks.{entry.name} {' '.join(arguments)}", file=sys.stderr)
    began = time.monotonic()
    command = [sys.executable, "-m", f"benchmarks.{entry.name}", *arguments]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    lines: list[Line] = []
    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True) as process:
        for text in process.stdout or ():
            print(text, end="", flush=True)
            if text.startswith("{"):
                lines.append(json.loads(text))
    run["took_s"] = round(time.monotonic() - began, 1)
    if process.returncode == 0:
        path = docs / "performance" / "results.jsonl"
        order = [each.name for each in ENTRIES]
        results.write(path, results.replaced(results.read(path), entry.name, [{"conditions": run}, *lines], order))
    return process.returncode == 0


def write_page(docs: Path) -> None:
    """Draw the charts, and put tables and charts into the page, which is made where there is none."""
    lines = results.read(docs / "performance" / "results.jsonl")
    drawn = []
    for chart in charts.CHARTS:
        if svg := charts.draw(chart, lines):
            (docs / "performance" / f"{chart.file}.svg").write_text(svg)
            drawn.append((chart.of, chart.title, f"performance/{chart.file}.svg"))
    path = docs / "performance.md"
    text = path.read_text() if path.exists() else f"# Performance\n\n{page.BEGIN}\n{page.END}\n"
    docs.mkdir(parents=True, exist_ok=True)
    path.write_text(page.rewritten(text, lines, drawn))
    print(f"written: {path}", file=sys.stderr)


def _machine() -> dict[str, Any]:
    """Return what the machine is."""
    models = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    kib = [int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    return {
        "processor": models[0] if models else platform.processor(),
        "memory": f"{kib[0] / 2**20:.0f} GiB" if kib else "",
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def _commit() -> str:
    """Return the commit that is measured, with a mark where files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True).stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
