"""Snapshots and cut journals in real processes: killed, taken over, damaged, every workflow goes on where it was."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from contextlib import closing
from pathlib import Path

import pytest

from gaia_client.client import Gaia
from gaia_core.backends.sqlite import SqliteEventLog
from tests.integration.cluster import Cluster, check_sequences, completions
from tests.integration.gaia_processes import GaiaProcess, Up, free_address
from tests.support.waiting import wait_until

NOOP = {"name": "noop", "image": "i", "command": ["x"], "outputs": {"out": "/out"}}
SWEEP = {"name": "s", "command": "noop", "outputs": {"out": "s/{{N}}"}, "vars": {"N": list(range(40))}}
TOOK = '"message": "took a snapshot"'
OFTEN = "0.01"
"""Mebibytes: the journal is cut after some workflows."""


class Busy:
    """Workflows that are uploaded one after the other."""

    def __init__(self, flow: Gaia) -> None:
        self.flow = flow
        self.names: list[str] = []

    def work_until(self, process: GaiaProcess, snapshots: int) -> None:
        """Upload and wait until so many snapshots were taken."""
        before = process.said().count(TOOK)

        def enough() -> bool:
            self.names.append(f"flow-{len(self.names)}")
            self.flow.upload(self.names[-1], {}, [NOOP], [SWEEP])
            self.flow.wait(self.names[-1], timeout_s=60)
            return process.said().count(TOOK) >= before + snapshots

        wait_until(enough, f"{snapshots} snapshots", deadline_s=120, evidence=process.said)

    def check(self) -> None:
        """Make sure that every workflow is there and complete."""
        states = {line["name"]: line["state"] for line in self.flow.workflows()}
        assert states == dict.fromkeys(self.names, "complete")


def journal_start(up: Up) -> int:
    """Return the offset of the first record that is kept."""
    with closing(sqlite3.connect(up.data / "journal.sqlite")) as journal:
        return int(journal.execute("SELECT min(offset) FROM journal").fetchone()[0])


def check_events(up: Up) -> None:
    """Make sure that the events of every workflow are numbered without a gap."""
    numbers = defaultdict(list)
    with closing(SqliteEventLog(up.data / "events.sqlite")) as log:
        for event in log.read(most=10**6):
            numbers[event.workflow_uid].append(event.sequence)
    assert numbers
    for found in numbers.values():
        assert found == list(range(1, len(found) + 1))


def test_a_killed_gaia_goes_on_from_a_snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal was cut; what is left of it and the newest snapshot give everything, again and again."""
    monkeypatch.setenv("GAIA_SNAPSHOT_MB", OFTEN)
    with Up(tmp_path, "--executor", "noop") as up, up.client() as flow:
        busy = Busy(flow)
        starts = []
        for _ in range(2):
            busy.work_until(up, snapshots=2)
            wait_until(lambda: journal_start(up) > max(starts, default=0), "the journal was cut")
            starts.append(journal_start(up))
            up.kill()
            up.start()
            busy.check()
            check_events(up)


def test_a_damaged_journal_is_refused_until_somebody_says_to_go_on(tmp_path: Path) -> None:
    """The refusal names offset and cause; with --quarantine what came before is there, and the record is kept aside."""
    with Up(tmp_path, "--executor", "noop") as up, up.client() as flow:
        flow.upload("before", {}, [NOOP], [SWEEP])
        flow.wait("before", timeout_s=60)
        up.stop()
        with closing(sqlite3.connect(up.data / "journal.sqlite")) as journal, journal:
            (offset,) = journal.execute("SELECT max(offset) FROM journal").fetchone()
        up.start()
        flow.upload("lost", {}, [NOOP], [SWEEP])
        flow.wait("lost", timeout_s=60)
        up.stop()
        with closing(sqlite3.connect(up.data / "journal.sqlite")) as journal, journal:
            damage = "UPDATE journal SET value = CAST(value || x'00' AS BLOB) WHERE offset = ?"
            journal.execute(damage, (offset + 3,))
        GaiaProcess.start(up)
        up.process.wait(60)
        assert f"The journal record at offset {offset + 3} has a wrong checksum" in up.said()
        assert "--quarantine goes on from the entry before it" in up.said()
        up.arguments.append("--quarantine")
        up.start()
        assert [line["name"] for line in flow.workflows()][:1] == ["before"]
        assert flow.status("before")["state"] == "complete"
        assert (up.data / "quarantine" / f"journal-0-{offset + 3}").exists()
        flow.upload("next", {}, [NOOP], [SWEEP])
        assert flow.wait("next", timeout_s=60)["state"] == "complete"
        up.stop()
        up.arguments.remove("--quarantine")
        up.start()
        assert {"before", "next"} <= {line["name"] for line in flow.workflows()}


def test_a_standby_takes_over_from_a_snapshot(cluster: Cluster) -> None:
    """The journal in Kafka is cut; whoever takes over begins from the store, and every completion is told once."""
    other = free_address()
    leader = cluster.server(GAIA_SNAPSHOT_MB=OFTEN)
    cluster.worker("w", "noop")
    flow = cluster.stack.enter_context(Gaia({"gaia_host": f"{cluster.address},{other}"}))
    busy = Busy(flow)
    busy.work_until(leader, snapshots=2)
    wait_until(lambda: '"cut_before": 0' not in leader.said().rsplit(TOOK, 1)[1], "the journal was cut")
    cluster.standby(other)
    busy.work_until(leader, snapshots=1)
    leader.kill()
    flow.merge(busy.names[0], [{**SWEEP, "name": "t", "outputs": {"out": "t/{{N}}"}}])
    assert flow.wait(busy.names[0], timeout_s=90)["state"] == "complete"
    busy.check()
    flow.delete(busy.names[0])
    events = cluster.events(busy.names[0], "deleted")
    check_sequences(events)
    assert set(completions(events).values()) == {1}
