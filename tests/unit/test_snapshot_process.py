"""The process that takes snapshots: started beside a journal that is being written, and ended with its server."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gaia_core import app
from gaia_core.backends.sqlite import SqliteJournal
from gaia_core.config import Config, load
from gaia_core.coordinator.recovery import begin
from gaia_core.coordinator.term import Term
from gaia_core.errors import Unavailable
from gaia_core.snapshot_process import EMBEDDED, SnapshotProcess, _document
from gaia_core.wire.snapshot import digest
from gaia_core.workflow import events as ev
from gaia_core.workflow.model import StepSpec
from tests.unit.machine.deployment import MAKE

SWEEP = StepSpec("s", "make", {}, {"out": "s/{{n}}"}, {"n": tuple(range(50))})


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """An embedded Gaia's settings."""
    return load({"data": str(tmp_path), "token": "secret", "poll_s": "0"}, {}, {"kafka": {"a.b": "c"}})


@pytest.fixture
def term(config: Config) -> Iterator[Term]:
    """A leader with a workflow in its journal."""
    app.embedded_store(config).check()
    with closing(SqliteJournal(app.embedded_journal(config))) as journal:
        term = Term(journal)
        term.open(1, "here:1", "test")
        events = [ev.WorkflowCreated(1, "flow", "me", {}), ev.CommandsSet(1, (MAKE,)), ev.StepsMerged(1, (SWEEP,))]
        term.state.now_ms = 2
        for event in events:
            term.state.apply(event)
        term.append(events, 2, 0)
        yield term


def test_it_takes_a_snapshot_beside_the_leader(config: Config, term: Term) -> None:
    """From the folder of a running Gaia, whose journal goes on meanwhile; the leader is told what it may cut."""
    process = SnapshotProcess(EMBEDDED, config)
    taken = process.take(2)
    assert (taken.offset, taken.second_offset) == (1, -1)
    term.append([], 3, 0)
    again = process.take(3)
    assert (again.offset, again.second_offset) == (2, 1)
    with closing(SqliteJournal(app.embedded_journal(config))) as journal:
        beginning = begin(journal, app.snapshots_in(app.embedded_store(config), None))
    assert beginning.leader_address == "here:1"
    assert digest(beginning.announcer.state) == digest(term.state)


def test_what_it_cannot_do_is_told(config: Config, term: Term) -> None:
    """A journal that cannot be read makes no snapshot, and the cause reaches the leader's log."""
    term._journal.append([b"GAIA and nothing"])
    with pytest.raises(Unavailable, match="offset 2 is cut short"):
        SnapshotProcess(EMBEDDED, config).take(9)


def test_one_that_breaks_is_told(config: Config) -> None:
    """Whatever ends it, the leader goes on."""
    process = SnapshotProcess(EMBEDDED, config)
    process._settings = b"no settings"
    with pytest.raises(Unavailable, match="ended with 1"):
        process.take(1)


def test_a_stopped_one_takes_no_more(config: Config) -> None:
    """A leader that leaves does not leave anybody behind."""
    process = SnapshotProcess(EMBEDDED, config)
    process.stop()
    with pytest.raises(Unavailable, match="shutting down"):
        process.take(1)


def test_it_ends_with_its_server() -> None:
    """Where the server was killed, the pipe that it held open closes."""
    script = "from gaia_core import snapshot_process; snapshot_process._end_with_the_server()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE) as process:
        process.communicate(b"", timeout=30)
    assert process.returncode == 1


def test_settings_travel_whole(config: Config) -> None:
    """What the process is given is what the server has."""
    assert load({}, {}, json.loads(json.dumps(_document(config)))) == config
