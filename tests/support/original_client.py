"""The original system's client, `gaia` 0.0.9 of the package index, for tests that it goes on working.

Its name is our package's name, so it lives in a folder of its own that only subprocesses see. Its wheel is marked for
Python 2; pip builds the source for ours, and the code runs as it is.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.support.machine import cache_folder, run

REQUIREMENT = "gaia==0.0.9 --hash=sha256:c879346a79b7c9add718c3a5cba06f847ed04564dbf22fbdb663a736dd00d75c"


def original_client_folder() -> Path:
    """Return a folder for PYTHONPATH that holds the client; its libraries are those of the test environment.

    Raises:
        ServiceMissing: the package index does not answer.
    """
    top = cache_folder("original-client").resolve()
    target = top / "gaia-0.0.9"
    if target.exists():
        return target
    with tempfile.TemporaryDirectory(dir=top) as scratch:
        wanted, made = Path(scratch, "requirements.txt"), Path(scratch, "site")
        wanted.write_text(f"{REQUIREMENT}\n", encoding="utf-8")
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-binary",
            "gaia",
            "--no-build-isolation",
        ]
        run([*pip, "--require-hashes", "--target", made, "-r", wanted])
        made.rename(target)
    return target
