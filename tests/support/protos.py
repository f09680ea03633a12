"""Generates the Python code of protos/ into the tree, or checks that the tree holds what would be generated."""

import argparse
import filecmp
import sys
import tempfile
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

WITH_SERVICE = "api"

WELL_KNOWN = Path(grpc_tools.__file__).parent / "_proto"
"""Where google/protobuf/*.proto lie."""


def generate(root: Path, target: Path) -> list[Path]:
    """Write the generated files below target; return their paths relative to it."""
    sources = sorted((root / "protos").rglob("*.proto"))
    paths = ["protoc", f"-I{root / 'protos'}", f"-I{WELL_KNOWN}"]
    if protoc.main([*paths, f"--python_out={target}", f"--pyi_out={target}", *map(str, sources)]):
        raise SystemExit("protoc failed")
    services = [str(source) for source in sources if source.stem == WITH_SERVICE]
    if protoc.main([*paths, f"--grpc_python_out={target}", *services]):
        raise SystemExit("protoc failed")
    return sorted(path.relative_to(target) for path in target.rglob("*_pb2*.py*"))


def main() -> int:
    """Generate or check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    if not arguments.check:
        generate(root, root)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        made = generate(root, Path(folder))
        stale = [str(path) for path in made if not _same(Path(folder) / path, root / path)]
    if stale:
        print(f"generated code is stale: {', '.join(stale)}; run: make protos", file=sys.stderr)
    return 1 if stale else 0


def _same(one: Path, other: Path) -> bool:
    return other.exists() and filecmp.cmp(one, other, shallow=False)


if __name__ == "__main__":
    sys.exit(main())
