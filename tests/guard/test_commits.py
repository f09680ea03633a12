"""A batch is one commit, whatever is in it: with SQLite each of them waits for the disk."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from gaia_core.backends.sqlite import SqliteEventLog, SqliteJournal
from gaia_core.ports import EventRecord, Position


class Statements:
    """What SQLite was told.

    Attributes:
        commits: how many there were, those of statements outside a transaction included.
        count: of all statements.
    """

    def __init__(self) -> None:
        self.commits = self.count = 0
        self._is_open = False

    def note(self, statement: str) -> None:
        """Take in one statement."""
        self.count += 1
        word = statement.split(maxsplit=1)[0].upper()
        if word == "BEGIN":
            self._is_open = True
        elif word == "COMMIT" or (word not in ("SELECT", "PRAGMA") and not self._is_open):
            self._is_open = False
            self.commits += 1


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Statements:
    """What is told to every file that is opened from now on."""
    told, connect = Statements(), sqlite3.connect

    def traced(*given: Any, **named: Any) -> sqlite3.Connection:
        connection = connect(*given, **named)
        connection.set_trace_callback(told.note)
        return connection

    monkeypatch.setattr(sqlite3, "connect", traced)
    return told


def test_an_append_is_one_commit(tmp_path: Path, statements: Statements) -> None:
    """However many records an entry takes."""
    journal = SqliteJournal(tmp_path / "journal.sqlite")
    commits = statements.commits
    journal.append([b"one", b"two", b"three"])
    assert statements.commits - commits == 1
    journal.close()


def test_publishing_is_one_commit_and_a_statement_for_each_event(tmp_path: Path, statements: Statements) -> None:
    """However many events go out at once; beside them there are the transaction and the position."""
    log = SqliteEventLog(tmp_path / "events.sqlite")
    log.position()
    commits, count = statements.commits, statements.count
    log.publish([EventRecord("flow", 1, n, "step_completed", 0, b"value", "s") for n in range(100)], Position(7, 100))
    assert statements.commits - commits == 1
    assert statements.count - count <= 100 + 3
    log.close()
