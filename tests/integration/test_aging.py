"""`gaia up` as time passes: finished workflows leave memory, unreferenced versions go, and a kill changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gaia_core.errors import UnknownName
from tests.integration.gaia_processes import Up
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gaia_client.client import Gaia

HASTY = {"GAIA_RETENTION_S": "0.5", "GAIA_SWEEP_S": "0.2", "GAIA_VERSIONS_KEPT_S": "0", "GAIA_POLL_S": "0"}
COMMANDS = [
    {"name": "write", "image": "any", "command": ["sh", "-c", "echo {{word}} > {{out}}"],
     "outputs": {"out": "/job/out"}, "vars": {"word": "one"}},
]  # fmt: skip


def step(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "command": "write", "outputs": {"out": f"words/{name}"}, **more}


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    process = Up(tmp_path)
    process._environ |= HASTY
    with process:
        yield process


def kept(up: Up) -> list[str]:
    """Return the names of all versions that are kept aside."""
    names = [path.name for path in (up.data / "store/.versions").rglob("*") if path.is_file()]
    return [name for name in names if "-v" in name and "." not in name]


def line(flow: Gaia) -> dict[str, Any]:
    return flow.workflows()[0]


def test_what_ages_takes_no_room(up: Up) -> None:
    """One version is left of what ran twice; archived, read, killed, changed and deleted, nothing is lost or left."""
    with up.client() as flow:
        flow.upload("aging", {}, COMMANDS, [step("a")])
        assert flow.wait("aging", timeout_s=30)["state"] == "complete"
        flow.expire("aging", ["a"])
        assert flow.wait("aging", timeout_s=30)["state"] == "complete"
        wait_until(lambda: line(flow).get("archived"), "leaving memory")
        wait_until(lambda: len(kept(up)) == 2, "one version and the archive", evidence=lambda: str(kept(up)))
        assert flow.get("aging", "words/a") == b"one\n"
        assert flow.wait("aging", timeout_s=30)["state"] == "complete"
    up.kill()
    up.start()
    with up.client() as flow:
        assert line(flow)["archived"]
        assert flow.merge("aging", [step("b", vars={"word": "two"})])["added"] == ["b"]
        assert flow.wait("aging", timeout_s=30)["state"] == "complete"
        assert flow.get("aging", "words/a") == b"one\n"
        assert flow.get("aging", "words/b") == b"two\n"
        flow.delete("aging", data=True)
        with pytest.raises(UnknownName):
            flow.status("aging")
        wait_until(lambda: not kept(up), "everything to go", evidence=lambda: str(kept(up)))
