"""The worker of examples/worker/go as a process of a cluster."""

import os
from pathlib import Path

from gaia_worker.executors.sandbox import find_program
from tests.integration.cluster import Cluster
from tests.integration.gaia_processes import GaiaProcess


def go_process(cluster: Cluster, program: Path, name: str, slots: int, **environ: str) -> GaiaProcess:
    """Start the worker; its cluster drains it at the end."""
    bubblewrap = find_program()
    assert bubblewrap is not None, "the fixture of the program has seen to it"
    path = os.pathsep.join([str(bubblewrap.parent), os.environ["PATH"]])
    settings = {**cluster.environ, "GAIA_WORKER_NAME": name, "GAIA_SLOTS": str(slots), "PATH": path, **environ}
    process = GaiaProcess([], cluster.folder / f"{name}.log", settings)
    process.program = (str(program),)
    return cluster.stack.enter_context(process)
