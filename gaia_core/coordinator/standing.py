"""How a server stands in its role right now, for whoever measures it: plain values, read from any thread."""

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class LeaderStanding:
    """How a leader stands.

    Attributes:
        term: number of its term.
        requests_waiting: in front of its loop.
        reports_waiting: records of reports on the bus that it has not taken in, as far as is known.
        entries_unfollowed: journal entries that its publisher has yet to follow.
        events_unpublished: public events that are known and not published.
        journal_bytes: that the journal has grown by since the snapshot that the term began from.
        void_records: of the journal, that were passed over.
        snapshot_bytes: of the newest snapshot; 0 while it is not known.
        snapshot_ms: when the newest one of this term was taken, milliseconds since the epoch; 0 for none.
    """

    term: int
    requests_waiting: int
    reports_waiting: int
    entries_unfollowed: int
    events_unpublished: int
    journal_bytes: int
    void_records: int
    snapshot_bytes: int = 0
    snapshot_ms: int = 0


@dataclass(frozen=True, slots=True)
class StandbyStanding:
    """How a standby stands.

    Attributes:
        records_behind: of the journal, that it has not read, as of its last look.
        is_up_to_date: it had read all there was, at least once.
    """

    records_behind: int
    is_up_to_date: bool


Standing: TypeAlias = LeaderStanding | StandbyStanding
