"""Build an example in Go once per content; what was built stays in the cache folder.

The build does what the example's page tells: `go generate`, which calls buf, and `go build`, on a copy of the example
and of protos/, so that nothing is made in the source tree.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

from tests.support.machine import ROOT, cache_folder, ensure_programs, run

SOURCES = (".go", ".mod", ".sum", ".yaml", ".proto")


def build_go(example: str) -> Path:
    """Return the program built from the module in a folder of examples/.

    Args:
        example: path of the folder below examples/. Cost: a minute the first time, then nothing.

    Raises:
        ServiceMissing: no Go that is new enough can be had here, or the build fails; the message ends with its output.
    """
    folder = Path("examples") / example
    sources = [*_sources(folder), *_sources(Path("protos"))]
    digest = hashlib.sha256(b"".join(str(path).encode() + (ROOT / path).read_bytes() for path in sources))
    built = cache_folder("go") / f"{example.replace('/', '-')}-{digest.hexdigest()[:12]}"
    if not built.exists():
        ensure_programs("go")
        with tempfile.TemporaryDirectory(dir=built.parent) as place:
            for path in sources:
                (Path(place) / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / path, Path(place) / path)
            _build(Path(place) / folder, Path(place) / "program")
            (Path(place) / "program").replace(built)
    return built


def _sources(folder: Path) -> list[Path]:
    """Return the files that a clone has, sorted; what `go generate` makes is no source."""
    found = (path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.suffix in SOURCES)
    return sorted(path for path in found if "gen" not in path.parts)


def _build(folder: Path, target: Path) -> None:
    # buf is beside our Python; a version control that the copy is not part of must not be asked for its state.
    tools = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = {"PATH": tools, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false"}
    for arguments in (["generate"], ["vet", "./..."], ["build", "-o", target, "."]):
        run(["go", *arguments], cwd=folder, environment=environment)
