"""Whether memory and journal stay flat while short workflows come and go, one after the other.

    python -m benchmarks.ageing [--minutes N] [--steps N]

One JSON object per line on stdout: every minute, how many workflows there were and what they take up; at the end the
last third beside the second one. Finished workflows leave memory after a few seconds, and snapshots are taken of a
small journal, so that a short run shows what a long one would with the defaults. What stays by design is told apart:
a line in memory and an object in the store for each archived workflow, and the public events.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from benchmarks.usage import usage
from gaia_client.client import Gaia
from gaia_core.backends.sqlite import SqliteJournal
from tests.integration.gaia_processes import Up

MINUTES: Final = 10.0
STEPS: Final = 20
LOOK_S: Final = 60.0

ENVIRON: Final = {"GAIA_RETENTION_S": "5", "GAIA_SNAPSHOT_MB": "1", "GAIA_SWEEP_S": "30", "GAIA_VERSIONS_KEPT_S": "30"}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.ageing", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=MINUTES, help="how long [%(default)s]")
    parser.add_argument("--steps", type=int, default=STEPS, help="of each workflow [%(default)s]")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gaia-ageing-") as folder:
        up = Up(Path(folder), "--executor", "noop", environ=ENVIRON)
        with up, up.client() as flow:
            looks = _age(up, flow, given.minutes * 60, given.steps)
    print(json.dumps({"summary": "ageing", **_thirds(looks)}), flush=True)
    return 0


def _age(up: Up, flow: Gaia, seconds: float, steps: int) -> list[dict[str, Any]]:
    """Run workflows one after the other for so long; return what was seen in between."""
    looks: list[dict[str, Any]] = []
    began_s = looked_s = time.monotonic()
    count = 0
    while (now_s := time.monotonic()) < began_s + seconds:
        _run(flow, f"short_{count}", steps)
        count += 1
        if now_s >= looked_s + LOOK_S:
            looked_s = now_s
            looks.append({"minutes": round((now_s - began_s) / 60, 1), "workflows": count, **_look(up)})
            print(json.dumps({"benchmark": "ageing", **looks[-1]}), flush=True)
    return looks


def _run(flow: Gaia, name: str, steps: int) -> None:
    command = {"name": "make", "image": "any", "command": ["true"], "outputs": {"out": "/job/out"}}
    step = {"name": "s", "command": "make", "outputs": {"out": "out/{{n}}"}, "vars": {"n": list(range(steps))}}
    flow.upload(name, {}, [command], [step])
    state = flow.wait(name, timeout_s=60)["state"]
    if state != "complete":
        raise RuntimeError(f"{name} is {state}")


def _look(up: Up) -> dict[str, Any]:
    """Return what the server takes up now."""
    with closing(SqliteJournal(up.data / "journal.sqlite")) as journal:
        start, end = journal.bounds()
    mib = 2**20
    return {
        "memory_mib": round(usage(up.process.pid).memory_bytes / mib, 1),
        "journal_mib": round(_size(up.data, "journal.sqlite*") / mib, 2),
        "journal_records": end - start,
        "journal_end": end,
        "events_mib": round(_size(up.data, "events.sqlite*") / mib, 2),
        "store_mib": round(int(subprocess.check_output(["du", "-sk", up.data / "store"]).split()[0]) / 1024, 1),
    }


def _size(folder: Path, pattern: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(pattern))


def _thirds(looks: list[dict[str, Any]]) -> dict[str, Any]:
    """Compare the last third of a run with the one before: what is flat has a ratio of about 1."""
    third = max(1, len(looks) // 3)
    before, after = looks[-2 * third : -third], looks[-third:]
    names = ("memory_mib", "journal_mib", "journal_records")
    if not before:
        return {"workflows": looks[-1]["workflows"] if looks else 0}
    medians = {n: [statistics.median(one[n] for one in part) for part in (before, after)] for n in names}
    return {
        "workflows": looks[-1]["workflows"],
        **{f"{name}_ratio": round(late / early, 3) for name, (early, late) in medians.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
