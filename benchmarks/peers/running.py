"""One run of one subject: its server, its program in its own environment, and the figures that it prints."""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.audit import BenchmarkFailed
from benchmarks.deployments import Embedded
from benchmarks.flows import chain, sweep, wide
from benchmarks.peers.catalogue import Peer
from benchmarks.peers.environments import HERE, python_of
from benchmarks.peers.servers import serve
from benchmarks.peers.summary import GAIA, GAIA_SWEEP
from benchmarks.runs import audit_run, run_flow, warm_up

PROGRAM_S: Final = 240.0
STOP_S: Final = 30.0

Result = dict[str, Any]


def run_peer(peer: Peer, scale: float, folder: Path) -> list[Result]:
    """Run a peer once and return the figures of its wide run and its chain.

    Raises:
        BenchmarkFailed: its program failed or found that not all tasks ran.
        ServiceMissing, TooLate: its server cannot be had.
    """
    sizes = [f"--wide={scaled(peer.wide, scale)}", f"--chain={scaled(peer.chain, scale)}"]
    with tempfile.TemporaryDirectory(dir=folder, prefix="p-") as place:
        # The user under which PostgreSQL runs must reach its data.
        Path(place).chmod(0o711)
        with serve(peer, Path(place)) as address:
            program = [python_of(peer.installed_as), HERE / "programs" / f"with_{peer.installed_as}.py", *sizes]
            environ = {"PEER_FOLDER": place, "PEER_SERVER": address, "PEER_MODE": peer.mode}
            told = _said(program, peer.name, {**environ, "TMPDIR": place})
    versions = told["versions"]
    common = {"on": peer.name, "versions": versions, "durability": peer.durability, "credit": peer.credit}
    common |= {"task": peer.task} if peer.task else {}
    return [{**figures(benchmark, **told[benchmark]), **common} for benchmark in ("wide", "chain") if told[benchmark]]


def run_gaia(steps: int, chain_steps: int, folder: Path) -> list[Result]:
    """Run Gaia once, embedded, read everything back, and return the same figures; also of the wide Steps as a sweep.

    Raises:
        BenchmarkFailed: it failed, or the counts are not what was asked for.
    """
    workflows = [
        ("wide", GAIA, wide("wide", steps)),
        ("wide", GAIA_SWEEP, sweep("sweep", steps)),
        ("chain", GAIA, chain("chain", chain_steps)),
    ]
    with tempfile.TemporaryDirectory(dir=folder) as place, Embedded(Path(place)) as deployment:
        warm_up(deployment)
        found = [run_flow(deployment, flow) for _, _, flow in workflows]
        deployment.stop()
        journal = deployment.journal()
        audits = [audit_run(deployment, flow, journal) for _, _, flow in workflows]
    return [
        {
            **figures(benchmark, one["steps"], one["seconds"], one["upload_s"]),
            "on": on,
            **{name: one[name] for name in ("durability", "credit")},
            "read_back": read_back,
        }
        for (benchmark, on, _), one, read_back in zip(workflows, found, audits, strict=True)
    ]


def figures(benchmark: str, tasks: int, seconds: float, submit_s: float = 0.0) -> Result:
    """Return the figures of a run in the words of the other benchmarks.

    Args:
        benchmark: wide or chain.
        tasks: how many.
        seconds: on the clock.
        submit_s: what handing the work in took, if that was before the clock started.
    """
    return {
        "benchmark": benchmark,
        "steps": tasks,
        "seconds": round(seconds, 4),
        "submit_s": round(submit_s, 4),
        "steps_per_s": round(tasks / seconds, 1),
        "ms_per_step": round(1000 * seconds / tasks, 4),
        "steps_per_s_with_submission": round(tasks / (submit_s + seconds), 1),
    }


def scaled(tasks: int, scale: float) -> int:
    """Return a share of a number of tasks, at least two."""
    return max(2, round(tasks * scale))


def _said(command: list[Any], name: str, environ: Mapping[str, str]) -> Result:
    """Run a program and return the object on the last line that it printed."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environ}
    )
    try:
        out, errors = process.communicate(timeout=PROGRAM_S)
    except subprocess.TimeoutExpired as problem:
        raise BenchmarkFailed(f"{name} did not end within {PROGRAM_S:g} s") from problem
    finally:
        if process.poll() is None:
            _end(process)
    if process.returncode:
        raise BenchmarkFailed(f"{name} failed with code {process.returncode}:\n{errors[-3000:]}")
    found: Result = json.loads(out.splitlines()[-1])
    return found


def _end(process: "subprocess.Popen[str]") -> None:
    """Ask a program to end, so that it stops its workers; kill it if it does not."""
    process.terminate()
    try:
        process.communicate(timeout=STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
