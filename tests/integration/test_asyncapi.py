"""docs/asyncapi.yaml through AsyncAPI's own parser, which knows the specification, its bindings and protobuf."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import _or_skip
from tests.support.machine import ROOT, cache_folder, ensure_programs, run

CHECKER = ROOT / "tests" / "support" / "asyncapi"
DOCUMENT = ROOT / "docs" / "asyncapi.yaml"


def checker() -> Path:
    """Return a folder with the checker and its pinned packages, installed once per lock file.

    Raises:
        ServiceMissing: Node, npm or the packages cannot be had here.
    """
    names = ("check.mjs", "package.json", "package-lock.json")
    digest = hashlib.sha256(b"".join((CHECKER / name).read_bytes() for name in names)).hexdigest()[:12]
    installed = cache_folder("npm") / f"asyncapi-{digest}"
    if not installed.exists():
        ensure_programs("node", "npm")
        with tempfile.TemporaryDirectory(dir=installed.parent) as place:
            folder = Path(place) / "asyncapi"
            folder.mkdir()
            for name in names:
                shutil.copyfile(CHECKER / name, folder / name)
            run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder)
            folder.replace(installed)
    return installed


@pytest.fixture(scope="module")
def check() -> Callable[[Path], subprocess.CompletedProcess[str]]:
    """Checks one document."""
    command = ["node", str(_or_skip(checker) / "check.mjs")]
    return lambda path: subprocess.run([*command, str(path)], capture_output=True, text=True, check=False)


def test_the_document_is_valid(check: Callable[[Path], subprocess.CompletedProcess[str]]) -> None:
    """AsyncAPI's parser finds no error and no warning, and reads one topic with messages of gaia.v1.Event."""
    done = check(DOCUMENT)
    assert done.returncode == 0, done.stderr
    understood: dict[str, Any] = json.loads(done.stdout)
    assert understood["version"] == "3.0.0"
    assert understood["addresses"] == ["{prefix}.events"]
    assert "step_completed" in understood["messages"]
    assert all({"workflow", "workflow_uid", "sequence", "time"} <= set(fields) for fields in understood["fields"])


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("action: send", "action: publish"),
        ("partitions: 12", "partitions: twelve"),
        ("$ref: '#/components/messages/step_failed'", "$ref: '#/components/messages/step_fails'"),
        ("StepFailed step_failed = 12;", "StepFails step_failed = 12;"),
    ],
    ids=["specification", "binding", "reference", "protobuf"],
)
def test_mistakes_are_found(
    check: Callable[[Path], subprocess.CompletedProcess[str]], tmp_path: Path, right: str, wrong: str
) -> None:
    """The check is one: it refuses what the specification, a binding or protobuf does not allow."""
    text = DOCUMENT.read_text(encoding="utf-8")
    assert right in text
    document = tmp_path / "asyncapi.yaml"
    document.write_text(text.replace(right, wrong), encoding="utf-8")
    done = check(document)
    assert done.returncode == 1
    assert str(document) in done.stderr
