"""Journal and public events in SQLite files: what makes the embedded mode durable with nothing to install.

Write-ahead logging, one transaction per append or publish. The journal and the events belong into files of their own:
SQLite has one writer per file, and the publisher must not stand in the journal's way. Called by the composition root.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from typing import Final, Literal, TypeAlias

from gaia_core.backends.checks import check_start
from gaia_core.errors import ConfigError, InvariantBroken, JournalCorrupt, Unavailable
from gaia_core.ports import EventRecord, Position, Record

Synchronous: TypeAlias = Literal["FULL", "NORMAL"]
"""FULL syncs every commit: an acknowledged one survives a power cut. NORMAL survives only the end of the process."""

BUSY_S: Final = 5.0
"""A writer waits this long for another one: only tools that look into the file could be there."""

ROWS_PER_READ: Final = 64
"""Records are at most 512 KiB, so a chunk stays below 32 MiB."""

ROWS_PER_CUT: Final = 1_000
BYTES_PER_CUT: Final = 4 * 2**20
"""A cut holds up an append for as long as it takes to free so much: some milliseconds."""

_TO_CUT: Final = "SELECT offset, length(value) FROM journal WHERE offset < ? ORDER BY offset LIMIT ?"

_JOURNAL: Final = "CREATE TABLE IF NOT EXISTS journal (offset INTEGER PRIMARY KEY AUTOINCREMENT, value BLOB NOT NULL)"

_EVENTS: Final = """
CREATE TABLE IF NOT EXISTS events (
    workflow_uid INTEGER NOT NULL, sequence INTEGER NOT NULL, workflow TEXT NOT NULL,
    kind TEXT NOT NULL, time_ms INTEGER NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (workflow_uid, sequence)
) WITHOUT ROWID
"""

_COLUMNS: Final = ("workflow", "workflow_uid", "sequence", "kind", "time_ms", "value")
_row: Final = attrgetter(*_COLUMNS)

_PUBLISHED: Final = """
CREATE TABLE IF NOT EXISTS published (
    one INTEGER PRIMARY KEY CHECK (one = 1), entry_offset INTEGER NOT NULL, event_count INTEGER NOT NULL,
    epoch INTEGER NOT NULL
)
"""


class SqliteJournal:
    """A Journal in one SQLite file.

    Appends and reads use connections of their own, so a follower's reading thread never delays an append.

    Args:
        path: the file; its folder must exist.
        synchronous: how hard a commit is pressed onto the disk.

    Raises:
        Unavailable: the file cannot be opened.
        JournalCorrupt: it is no SQLite file, or a damaged one.
    """

    def __init__(self, path: Path, synchronous: Synchronous = "FULL") -> None:
        self._path = path
        self._broken = ""
        self._writing, self._reading = threading.Lock(), threading.Lock()
        self._writer = _open(path, synchronous, _JOURNAL)
        self._reader = _open(path, synchronous)

    def append(self, records: Sequence[bytes]) -> list[int]:
        """Write the records in one transaction; see `ports.Journal.append`."""
        with self._writing:
            if self._broken:
                raise Unavailable(self._broken)
            try:
                with _words(self._path), _transaction(self._writer):
                    return self._insert(records)
            except BaseException as error:
                self._broken = f"The journal {self._path} failed before and takes nothing more: {error}"
                raise

    def _insert(self, records: Sequence[bytes]) -> list[int]:
        start = _end(self._writer)
        rows = list(enumerate(records, start))
        self._writer.executemany("INSERT INTO journal (offset, value) VALUES (?, ?)", rows)
        return [offset for offset, _ in rows]

    def read(self, start: int, end: int) -> Iterator[Record]:
        """Yield the records, read in chunks; see `ports.Journal.read`."""
        if start >= end:
            return
        check_start(f"The journal {self._path}", start, *self.bounds())
        while chunk := self._chunk(start, end):
            if chunk[0].offset > start:  # a gap, or cut away between two looks
                check_start(f"The journal {self._path}", start, *self.bounds())
            yield from chunk
            start = chunk[-1].offset + 1

    def _chunk(self, start: int, end: int) -> list[Record]:
        query = "SELECT offset, value FROM journal WHERE offset >= ? AND offset < ? ORDER BY offset LIMIT ?"
        with self._reading, _words(self._path):
            return [Record(*row) for row in self._reader.execute(query, (start, end, ROWS_PER_READ))]

    def bounds(self) -> tuple[int, int]:
        """Return (first offset kept, offset after the last record)."""
        with self._reading, _words(self._path):
            end = _end(self._reader)
            (first,) = self._reader.execute("SELECT min(offset) FROM journal").fetchone()
            return end if first is None else first, end

    def cut(self, before: int) -> None:
        """Delete records in small transactions, between which appends come through; see `ports.Journal.cut`.

        The file does not shrink: new records take the pages that become free.
        """
        while self._cut_some(before):
            pass

    def _cut_some(self, before: int) -> bool:
        with self._writing, _words(self._path):
            last, freed_bytes = None, 0
            for offset, size_bytes in self._writer.execute(_TO_CUT, (before, ROWS_PER_CUT)).fetchall():
                if last is not None and freed_bytes + size_bytes > BYTES_PER_CUT:
                    break
                last, freed_bytes = offset, freed_bytes + size_bytes
            if last is not None:
                with _transaction(self._writer):
                    self._writer.execute("DELETE FROM journal WHERE offset <= ?", (last,))
            return last is not None

    def close(self) -> None:
        """Close the file; safe to call twice."""
        with self._writing, self._reading:
            self._broken = self._broken or f"The journal {self._path} is closed."
            self._reader.close()
            self._writer.close()


class SqliteEventLog:
    """An EventLog in one SQLite file, which also answers what was published.

    Args:
        path: the file; its folder must exist.
        synchronous: how hard a commit is pressed onto the disk. After a power cut NORMAL may fall back to an earlier
            position; the publisher then writes the same events again from the journal.

    Raises:
        Unavailable: the file cannot be opened.
        JournalCorrupt: it is no SQLite file, or a damaged one.
    """

    def __init__(self, path: Path, synchronous: Synchronous = "FULL") -> None:
        self._path = path
        self._broken = ""
        self._epoch = 0
        self._lock = threading.RLock()
        start = "INSERT OR IGNORE INTO published VALUES (1, -1, 0, 0)"
        self._connection = _open(path, synchronous, _EVENTS, _PUBLISHED, start)

    def position(self) -> Position:
        """Return the last position; every earlier publisher is shut out by a higher epoch."""
        update = "UPDATE published SET epoch = epoch + 1 RETURNING entry_offset, event_count, epoch"
        with self._using(), _transaction(self._connection):
            # All rows are fetched: a statement that is not at its end would hold up the commit.
            ((entry_offset, event_count, self._epoch),) = self._connection.execute(update).fetchall()
            return Position(entry_offset, event_count)

    def publish(self, events: Sequence[EventRecord], position: Position) -> None:
        """Write events and position in one transaction; see `ports.EventLog.publish`."""
        insert = f"INSERT INTO events ({', '.join(_COLUMNS)}) VALUES (?, ?, ?, ?, ?, ?)"  # noqa: S608 - names of ours
        with self._using():
            if not self._epoch:
                self.position()
            with _transaction(self._connection):
                self._move(position)
                self._connection.executemany(insert, map(_row, events))

    def _move(self, position: Position) -> None:
        update = "UPDATE published SET entry_offset = ?, event_count = ? WHERE epoch = ?"
        if not self._connection.execute(update, (*position, self._epoch)).rowcount:
            raise Unavailable(f"Another publisher has taken over {self._path}.")

    def read(self, workflow_uid: int | None = None, after_sequence: int = 0, most: int = 1000) -> list[EventRecord]:
        """Return at most `most` events of one workflow (None: of all) above a sequence number, in order."""
        which, values = ("", ()) if workflow_uid is None else ("workflow_uid = ? AND", (workflow_uid,))
        query = (
            f"SELECT {', '.join(_COLUMNS)} FROM events "  # noqa: S608 - no value in it
            f"WHERE {which} sequence > ? ORDER BY workflow_uid, sequence LIMIT ?"
        )
        with self._lock, _words(self._path):
            return [EventRecord(*row) for row in self._connection.execute(query, (*values, after_sequence, most))]

    def count(self) -> int:
        """Return how many events are out."""
        with self._lock, _words(self._path):
            return int(self._connection.execute("SELECT count(*) FROM events").fetchone()[0])

    def close(self) -> None:
        """Close the file; safe to call twice."""
        with self._lock:
            self._broken = self._broken or f"The event log {self._path} is closed."
            self._connection.close()

    @contextmanager
    def _using(self) -> Iterator[None]:
        """Hold the connection; any error ends this publisher."""
        with self._lock:
            if self._broken:
                raise Unavailable(self._broken)
            try:
                with _words(self._path):
                    yield
            except BaseException as error:
                self._broken = f"The event log {self._path} failed before and takes nothing more: {error}"
                raise


def _open(path: Path, synchronous: Synchronous, *statements: str) -> sqlite3.Connection:
    """Open a file for use from several threads, one at a time, and run statements that prepare it."""
    with _words(path):
        connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            if mode != "wal":
                raise ConfigError(f"{path}: no write-ahead log is possible here.", hint="Use a folder on a local disk.")
            connection.execute(f"PRAGMA synchronous = {synchronous}")
            for statement in statements:
                connection.execute(statement)
        except BaseException:
            connection.close()
            raise
    return connection


def _end(connection: sqlite3.Connection) -> int:
    """Return the offset after the highest one ever used; SQLite remembers it when the rows are gone."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'journal'").fetchone()
    return row[0] + 1 if row else 0


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite has rolled back by itself after the worst errors, a full disk among them.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def _words(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours, keeping its words."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise InvariantBroken(f"{path}: something was to be written twice: {error}.") from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise JournalCorrupt(f"{path}: {error}.", hint="Restore the file from a copy.") from error
        hint = "Make room on the disk." if code == sqlite3.SQLITE_FULL else ""
        raise Unavailable(f"{path}: {error}.", hint=hint) from error
