"""Where peers are installed: a virtual environment each, and an npm folder, below `.cache/peers`.

Each has its own, since their libraries do not agree with each other, and so that one that cannot be installed leaves
the others alone. What is installed is pinned in `requirements/`; an environment is made anew when its file changes.
"""

import json
import platform
import shutil
import sys
from pathlib import Path
from typing import Final

from tests.support.machine import ServiceMissing, cache_folder, ensure_programs, run

HERE: Final = Path(__file__).resolve().parent
RESTATE_SERVER: Final = "1.7.12"
NPM_PROCESSORS: Final = {"x86_64": "x64", "aarch64": "arm64", "arm64": "arm64"}


def python_of(name: str) -> Path:
    """Return the Python in which a peer is installed, installing it first if need be.

    Raises:
        ServiceMissing: it cannot be installed.
    """
    wanted = (HERE / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    folder = cache_folder("peers") / name
    python, done = folder / "bin" / "python", folder / "requirements.txt"
    if not done.exists() or done.read_text(encoding="utf-8") != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        run([sys.executable, "-m", "venv", folder])
        run([python, "-m", "pip", "install", "--quiet", "-r", HERE / "requirements" / f"{name}.txt"])
        done.write_text(wanted, encoding="utf-8")
    return python


def restate_program() -> Path:
    """Return Restate's server, installing it first if need be; npm's package carries the program itself.

    Raises:
        ServiceMissing: it cannot be installed.
    """
    folder = cache_folder("peers") / "npm"
    package = f"restate-server-{platform.system().lower()}-{NPM_PROCESSORS.get(platform.machine(), '')}"
    program = folder / "node_modules" / "@restatedev" / package / "bin" / "restate-server"
    wanted = json.dumps({"private": True, "dependencies": {"@restatedev/restate-server": RESTATE_SERVER}})
    listed = folder / "package.json"
    if not program.exists() or listed.read_text(encoding="utf-8") != wanted:
        ensure_programs("node", "npm")
        folder.mkdir(exist_ok=True)
        listed.write_text(wanted, encoding="utf-8")
        run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=folder)
    if not program.exists():
        raise ServiceMissing(f"npm has no {package}")
    return program
