"""A copy that was made while Gaia ran, restored into another folder, as docs/operations.md says."""

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from gaia_client.client import Gaia
from tests.integration.gaia_processes import Up
from tests.support.waiting import wait_until

NUMBERS = range(30)
SAY = {"name": "say", "image": "any", "command": ["sh", "-c", "sleep 0.1; echo {{N}}"], "outputs": {"said": ">"}}
SWEEP = {"name": "say", "command": "say", "outputs": {"said": "said/{{N}}.txt"}, "vars": {"N": list(NUMBERS)}}


def back_up(data: Path, target: Path) -> None:
    """Copy events, journal and files, in the order that docs/operations.md gives."""
    target.mkdir()
    for name in ("events.sqlite", "journal.sqlite"):
        with closing(sqlite3.connect(data / name)) as source, closing(sqlite3.connect(target / name)) as copy:
            source.backup(copy)
    subprocess.run(["cp", "-a", data / "store", target / "store"], check=True)


def completed(flow: Gaia) -> dict[str, int]:
    """The attempts that completed, by Step."""
    return {step["name"]: step["attempt"] for step in flow.steps("flow", states=["complete"])}


def test_a_copy_made_under_load_is_whole(tmp_path: Path) -> None:
    """Restored, it has all that was acknowledged before, and runs what was under way but nothing that was done."""
    copy = tmp_path / "copy"
    with Up(tmp_path) as up, up.client() as flow:
        flow.upload("flow", {}, [SAY], [SWEEP])
        flow.put("flow", "outside.txt", b"from a person")
        wait_until(lambda: len(completed(flow)) > 5, "some Steps are complete", deadline_s=60)
        before = completed(flow)
        back_up(up.data, copy)
        assert len(completed(flow)) < len(NUMBERS), "all was done before the copy was: it proves nothing"
    shutil.rmtree(up.data)
    copy.rename(up.data)
    with up, up.client() as flow:
        assert flow.wait("flow", timeout_s=120)["state"] == "complete"
        assert flow.get("flow", "outside.txt") == b"from a person"
        assert [flow.get("flow", f"said/{n}.txt") for n in NUMBERS] == [f"{n}\n".encode() for n in NUMBERS]
        assert completed(flow).items() >= before.items()
    with closing(sqlite3.connect(up.data / "events.sqlite")) as events:
        told = [sequence for (sequence,) in events.execute("SELECT sequence FROM events ORDER BY sequence")]
        assert told == list(range(1, len(told) + 1))
