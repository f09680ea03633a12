"""Build the Go programs of examples/, each once for its sources, with the machine's toolchain or Debian's.

The code of protos/ is generated on the way, in a copy: the tree stays as it is. Used by conftest.py.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from pathlib import Path

from tests.support.machine import ROOT, cache_folder, ensure_programs, run

PROTOS = ROOT / "protos"
BUF = Path(sys.executable).parent / "buf"
SOURCES = (".go", ".mod", ".sum", ".yaml")


def build_go(folder: Path) -> Path:
    """Return the program of a folder with a go.mod, built anew where its sources or protos/ are.

    Raises:
        ServiceMissing: there is no Go and we may not install it, or the build failed; the message ends with its output.
    """
    sources = [path for path in folder.iterdir() if path.suffix in SOURCES]
    target = cache_folder("go") / f"{folder.parent.name}-{_digest([*sources, *PROTOS.rglob('*.proto')])}"
    if target.exists():
        return target
    ensure_programs("go")
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        copy = Path(scratch)
        for source in sources:
            shutil.copy(source, copy)
        run([BUF, "generate", PROTOS], cwd=copy)
        run(["go", "build", "-trimpath", "-buildvcs=false", "-o", "program", "."], cwd=copy)
        (copy / "program").rename(target)
    return target


def _digest(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.name}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
