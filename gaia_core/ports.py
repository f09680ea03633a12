"""What the coordinator and the workers need of their surroundings: few methods each, guarantees in the docstrings.

Backends implement these, one file each, and one contract suite (`tests/contract`) runs over every one of them. Nothing
here performs I/O. A port raises only errors of `gaia_core.errors`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol, TypeAlias


class Record(NamedTuple):
    """One record of a log: its offset and its bytes."""

    offset: int
    value: bytes


class Aside(NamedTuple):
    """A record that nobody can use, and where it lies.

    Attributes:
        log: which log, as this page calls them: "reports", "inbox", "journal" or "published".
        partition: its part of the log, where a log has several.
        cause: why it was passed over, in words.
    """

    log: str
    partition: int
    offset: int
    cause: str
    value: bytes


SetAside: TypeAlias = Callable[[Aside], None]
"""Keeps a record that was passed over for whoever looks into it. Never blocks, never raises: it is a courtesy."""


def nowhere(_: Aside) -> None:
    """Keep nothing: where no foreigner can write, a line in the log is enough."""


class Journal(Protocol):
    """One durable, totally ordered log of records, written by one leader at a time.

    Offsets grow but may have gaps. Others may have written in between: `append` returns the true offsets so that the
    caller can see it.
    """

    def append(self, records: Sequence[bytes]) -> list[int]:
        """Write the records in order and return their offsets once all of them are durable.

        Raises:
            Unavailable: not acknowledged (refused, timed out, or acknowledged without an offset). What was written is
                then unknown; this object accepts no further append.
        """

    def read(self, start: int, end: int) -> Iterator[Record]:
        """Yield every record with start ≤ offset < end, in order.

        Raises:
            Unavailable: the log does not answer, or start was already cut away.
        """

    def bounds(self) -> tuple[int, int]:
        """Return (first offset kept, offset after the last record)."""

    def cut(self, before: int) -> None:
        """Drop every record below an offset, which must not lie beyond the end; may take long, holds up no append.

        Some of them may be kept, and a cut that fails half way has cut the lower ones.

        Raises:
            Unavailable: the log does not answer.
        """

    def close(self) -> None:
        """Release what the journal holds; safe to call twice."""


class Election(Protocol):
    """Chooses who leads a shard. Two may believe it for moments; the journal itself decides then."""

    def stand(self, elected: Callable[[], None], deposed: Callable[[], None]) -> None:
        """Become a candidate until `close`.

        Args:
            elected: called, from a thread of the election, when this candidate is to lead.
            deposed: called so when it no longer is; another one is elected once it returns, or after a timeout.
        """

    def close(self) -> None:
        """Leave, so that another candidate is elected at once; safe to call twice."""


class Delivery(NamedTuple):
    """The end of one inbox send: the offset it lies at, or None when it failed for good."""

    worker: str
    offset: int | None


class ReportBatch(NamedTuple):
    """Reports in order, and the offset to read next once they are dealt with; the last one lies right before it."""

    records: list[bytes]
    next_offset: int


class CoordinatorBus(Protocol):
    """The coordinator's side of the way to the workers and back."""

    def send(self, worker: str, partition: int, record: bytes) -> None:
        """Queue one inbox record for a worker. Never blocks long; the end is told by `deliveries`."""

    def flush(self) -> None:
        """Push out what was queued by `send`; called once per batch."""

    def deliveries(self) -> list[Delivery]:
        """Return the deliveries that ended since the last call."""

    def listen(self, offset: int, sink: Callable[[ReportBatch], None], failed: Callable[[Exception], None]) -> None:
        """Deliver all reports from offset on to sink, from a thread of the bus, until `close`.

        Where those at the offset are no longer there (or not yet), an empty batch tells the first one that is, and
        those from there on follow.
        `sink` may block to slow the bus down. `failed` is called once if reading cannot go on.
        """

    def end_offset(self) -> int:
        """Return the offset after the last report now on the bus."""

    def seen_end(self) -> int:
        """Return the same as far as the bus knows without asking: at once, from any thread, a moment old."""

    def close(self) -> None:
        """Stop listening and release everything; safe to call twice."""


class WorkerBus(Protocol):
    """One worker incarnation's side of the bus."""

    partition: int
    """Partition of the steps topic the inbox is read from."""

    start_offset: int
    """Offset the inbox is read from: its end at the time of opening."""

    def receive(self, timeout_s: float) -> list[Record]:
        """Return the inbox records of this worker that arrived, waiting at most timeout_s for the first.

        Raises:
            InboxLost: some were deleted before they were read; this incarnation is of no more use.
            Unavailable: the inbox does not answer now.
        """

    def inbox_offset(self) -> int:
        """Return the offset the inbox was read to, other workers' records included."""

    def report(self, record: bytes) -> None:
        """Queue one report record; it is sent, in order, however long that takes."""

    def acknowledged(self) -> int:
        """Return how many of the records given to `report`, counted from the first, are known to have arrived."""

    def flush(self, timeout_s: float) -> bool:
        """Wait until every queued report is acknowledged; return whether that is so."""

    def close(self) -> None:
        """Release everything; safe to call twice."""


class EventRecord(NamedTuple):
    """One public event, ready to publish.

    The subject, the Step or Key that it is about, is in the value too: who keeps no headers need not keep it.
    """

    workflow: str
    workflow_uid: int
    sequence: int
    kind: str
    time_ms: int
    value: bytes
    subject: str = ""


class Position(NamedTuple):
    """How far the journal has been published: so many events of the entry at this offset, and all before it.

    An entry may announce more events than one `publish` should hold, so a position may lie inside an entry.
    """

    entry_offset: int
    event_count: int = 0


class EventLog(Protocol):
    """The public events. What one `publish` writes appears as a whole, once, together with the position."""

    def position(self) -> Position:
        """Return the last committed position, having shut out every earlier publisher."""

    def publish(self, events: Sequence[EventRecord], position: Position) -> None:
        """Write events and position atomically.

        Raises:
            Unavailable: the outcome is unknown; make a new EventLog, read its position and go on from there.
        """

    def close(self) -> None:
        """Release everything; safe to call twice."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What the store says of one object as it is now: path inside the bucket, version, size.

    Attributes:
        sha256: of the content, from a put, which read it; b"" where the store was only asked. It makes no difference.
    """

    path: str
    version: str
    size_bytes: int
    sha256: bytes = field(default=b"", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """What the store says of one version of an object.

    Attributes:
        modified_ms: when it was stored, milliseconds since the epoch; later where the store only knows something later.
        is_current: the object is this version now; none is where somebody removed the object and left its versions.
    """

    path: str
    version: str
    size_bytes: int
    modified_ms: int
    is_current: bool


class Store(Protocol):
    """Versioned objects in buckets. Every put makes a new immutable version; the newest is the current one.

    Paths are relative, "/"-separated. Methods are safe to call from several threads. An object `a` may lie beside
    `a/b`. `bucket` None means the deployment's own bucket.
    """

    def check(self) -> None:
        """Make sure that the bucket exists (creating it where missing) and keeps versions.

        Raises:
            ConfigError: it exists but keeps no versions.
            StoreError: it cannot be reached, or the credentials are refused.
        """

    def put_file(self, bucket: str | None, path: str, source: Path, mark: str = "") -> Stored:
        """Store a local file as the new current version; the content must not change meanwhile.

        Args:
            bucket: None for the deployment's own.
            path: where.
            source: the local file.
            mark: says who stored it, at most 80 letters, digits, "-", "_"; kept with the version, for `mark_of`.
        """

    def put_open(
        self, bucket: str | None, path: str, source: BinaryIO, mark: str = "", sure: Callable[[], object] = bool
    ) -> Stored:
        """Store what an open file holds, from its beginning, as the new current version; see `put_file`.

        The content is read once, and never held as a whole where it is large.

        Args:
            bucket: None for the deployment's own.
            path: where.
            source: a local file, open for reading; the caller closes it.
            mark: as of `put_file`.
            sure: called now and then while a large file is stored; may raise, and nothing is stored.
        """

    def put_bytes(self, bucket: str | None, path: str, data: bytes, mark: str = "") -> Stored:
        """Store a small object as the new current version; see `put_file`."""

    def get_file(self, bucket: str | None, path: str, version: str, target: Path) -> None:
        """Write one version to a new local file.

        Raises:
            ObjectMissing: there is no such object or version.
        """

    def open(
        self, bucket: str | None, path: str, version: str, start: int = 0, size_bytes: int | None = None
    ) -> Iterator[bytes]:
        """Yield the content of one version in chunks of at most 1 MiB; raises as `get_file`, before the first chunk.

        Args:
            bucket: None for the deployment's own.
            path: where.
            version: which.
            start: the byte to begin with; nothing comes if there is none.
            size_bytes: at most so many, 1 or more; None goes on to the end.
        """

    def stat(self, bucket: str | None, path: str) -> Stored | None:
        """Return the current version of an object, or None."""

    def list(self, bucket: str | None, prefix: str, most: int) -> list[Stored]:
        """Return at most `most` current objects whose path starts with prefix, in path order."""

    def list_versions(self, bucket: str | None, prefix: str) -> Iterator[StoredVersion]:
        """Yield every version of objects whose path starts with prefix: all of one path together, the latest first.

        It is read as it is asked for, so it may take long; what changes meanwhile is told as it was or as it is. In
        which order the paths come is the store's choice. What others put there without a version of its own (a file
        that a person dropped into a folder) need not be told.
        """

    def mark_of(self, bucket: str | None, path: str, version: str) -> str:
        """Return the mark that a version was stored with; "" where there was none, or there is no such version."""

    def delete_version(self, bucket: str | None, path: str, version: str) -> None:
        """Delete one version for good; a missing one is fine."""

    def delete_all(self, bucket: str | None, prefix: str, most: int, sure: Callable[[], object] = bool) -> int:
        """Delete versions for good, old ones too, of objects whose path starts with prefix; return how many of what.

        What is counted (versions or objects) is the store's choice; some are deleted each time, until it is 0, and at
        most `most`.

        Args:
            sure: called once it is chosen what to delete, and before anything is; may raise, and nothing is deleted.
                What is stored after it was called stays where others may store meanwhile.
        """

    def clear_unfinished(self, before_ms: int) -> int:
        """Remove what puts into the own bucket left behind that began before a time and never ended; return how many.

        Args:
            before_ms: milliseconds since the epoch; puts that may still be under way began later.
        """


class Launched(Protocol):
    """A worker that was started for a client."""

    def ended(self) -> str:
        """Return why it is no more, in words and with its last ones; "" while it lives."""


class Launcher(Protocol):
    """Starts workers for clients, by name; which names are free is for others to know. Safe for several threads.

    Attributes:
        takes_s: how long a worker may take from its start to its first word.
    """

    takes_s: float

    def objection(self, count: int) -> str:
        """Return why so many more workers cannot be started now, in words; "" if they can. Never blocks."""

    def launch(self, name: str, metadata: Mapping[str, Any]) -> Launched:
        """Start a worker that leaves once it was idle for long; it says what else it was started with.

        Raises:
            GaiaError: it cannot be started.
        """

    def close(self) -> None:
        """Ask the workers that were started to leave, and wait for them, though not for ever."""


class LogFeed(Protocol):
    """Where workers publish what their attempts write, as it goes; a courtesy to whoever looks on."""

    def publish(self, key: str, record: bytes) -> None:
        """Send one record, of at most 256 KiB. Never blocks, never raises; what cannot be sent in time is dropped.

        Records of one key arrive in order, though some may be missing.
        """

    def close(self) -> None:
        """Send what waits, for a moment, and release everything; safe to call twice."""


class LogReading(Protocol):
    """One reader of the records of one key. Used by one thread at a time."""

    def read(self) -> list[bytes]:
        """Return the next records that are there, in order; never waits long. [] where there are none (yet).

        Raises:
            Unavailable: the log does not answer now.
        """

    @property
    def caught_up(self) -> bool:
        """Whether everything was read that was there when reading began."""

    def close(self) -> None:
        """Release everything; safe to call twice."""


class LogTap(Protocol):
    """Where readers get what attempts write; what is old is gone, sooner where much is written."""

    def open(self, key: str, since_ms: int) -> LogReading:
        """Begin to read the records of a key that were published at a time (milliseconds since the epoch) or later.

        Earlier ones may come, too.

        Raises:
            Unavailable: the log does not answer.
        """
