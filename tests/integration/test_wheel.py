"""The wheel, installed outside the source tree."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.gaia_processes import free_address

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the unpacked wheel of this tree; the libraries are those of the test environment."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = folder.glob("gaia_workflows-*.whl")
    target = folder / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    return target


def run(installed: Path, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run Python in an empty folder with the wheel before everything else."""
    environ = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )


def test_import_and_command_line_come_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    """`import gaia` finds the installed package, and the command line works from it."""
    where = run(installed, tmp_path, "-c", "import gaia; print(gaia.__file__); print(gaia.Gaia)")
    assert where.stdout.startswith(str(installed)), where.stderr
    assert "gaia_client.client.Gaia" in where.stdout
    told = run(installed, tmp_path, "-m", "gaia", "--host", free_address(), "workflows")
    assert (told.returncode, "Traceback" in told.stderr) == (5, False)


def test_the_demo_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    """The examples travel with the wheel, so the demo needs no clone."""
    told = run(installed, tmp_path, "-m", "gaia", "demo", "--data", str(tmp_path / "data"))
    assert told.returncode == 0, told.stderr
    assert "The average year" in told.stdout
