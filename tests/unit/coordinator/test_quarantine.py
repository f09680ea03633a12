"""What happens when a record of the journal cannot be read: refused, unless somebody says to go on without it."""

import logging
from pathlib import Path

import pytest

from gaia_core.backends.folder_quarantine import FolderQuarantine
from gaia_core.backends.memory import MemoryEventLog, MemoryEvents, MemoryJournal, MemoryLog
from gaia_core.backends.memory_store import MemoryStore
from gaia_core.coordinator.entries import RecordUnreadable
from gaia_core.coordinator.publisher import Publisher
from gaia_core.coordinator.snapshots import Snapshots
from gaia_core.coordinator.standby import Standby
from gaia_core.coordinator.taking import take
from gaia_core.coordinator.term import Term
from gaia_core.coordinator.watching import WatchHub
from gaia_core.errors import JournalCorrupt, Unavailable
from gaia_core.machine import requests as rq
from gaia_core.machine.events import EVENTS_SKIPPED, UIDS_SKIPPED
from gaia_core.ports import Aside, Record
from gaia_core.wire.frame import PAYLOAD_BYTES_MAX, wrap
from gaia_core.wire.journal import Entry, Opening, encode_entry
from gaia_core.wire.snapshot import digest
from gaia_core.workflow.events import WorkflowCreated
from tests.unit.coordinator.shard import Hand, Shard, accepted
from tests.unit.machine.deployment import make


class Damaged:
    """A shard with three workflows, whose journal cannot be read where the second begins."""

    def __init__(self) -> None:
        self.shard = Shard().open()
        self.events = MemoryEvents()
        self.aside: list[Aside] = []
        Hand(self.shard).hello()
        self.shard.settle()
        self.upload("one")
        self.before = digest(self.shard.state)
        self.offset = self.journal.bounds()[1]
        self.upload("two")
        self.upload("three")
        self.publish()
        self.log = self.shard.log
        records = self.log._records
        self.whole = records[self.offset].value
        records[self.offset] = Record(self.offset, flipped(self.whole))

    @property
    def journal(self) -> MemoryJournal:
        return MemoryJournal(self.shard.log)

    def upload(self, name: str) -> None:
        self.shard.upload(make("a", "a"), name=name)

    def publish(self) -> None:
        publisher = Publisher(self.journal, lambda: MemoryEventLog(self.events), WatchHub())
        publisher.open()
        publisher.stop()
        publisher.run()
        publisher.close()

    def lead(self, *, may_lose: bool = False) -> Term:
        term = Term(self.journal, self.aside.append)
        term.may_lose = may_lose
        term.open(1, "there:1", "test")
        return term


def flipped(value: bytes) -> bytes:
    return value[:-1] + bytes([value[-1] ^ 1])


@pytest.fixture
def damaged() -> Damaged:
    """A damaged shard."""
    return Damaged()


def test_a_record_that_cannot_be_read_refuses_start_up(damaged: Damaged) -> None:
    """Offset, cause and the way out are in the refusal, and nothing is written."""
    end = damaged.journal.bounds()[1]
    with pytest.raises(RecordUnreadable, match=rf"offset {damaged.offset} has a wrong checksum") as refusal:
        damaged.lead()
    assert "--quarantine goes on from the entry before it" in refusal.value.hint
    assert damaged.journal.bounds()[1] == end
    with pytest.raises(JournalCorrupt):
        damaged.publish()


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        (b"GAIA", "is cut short"),
        (b"GAIA\x07" + b"\0" * 40, "has format version 7; this Gaia reads version 1"),
        (wrap(b"\xff\xff", b"nonsense")[0], "cannot be decoded"),
    ],
)
def test_whatever_is_wrong_with_it_is_told(damaged: Damaged, value: bytes, cause: str) -> None:
    """A torn record, one of another version, and one that holds no entry."""
    damaged.log._records[damaged.offset] = Record(damaged.offset, value)
    with pytest.raises(RecordUnreadable, match=rf"offset {damaged.offset} {cause}"):
        damaged.lead()
    damaged.lead(may_lose=True)
    assert [(one.offset, one.value) for one in damaged.aside] == [(damaged.offset, value)]


def test_going_on_without_it_forgets_all_that_was_decided_since(
    damaged: Damaged, caplog: pytest.LogCaptureFixture
) -> None:
    """The state is that of the entry before; the record is put aside; the log says from where to where all is lost."""
    end = damaged.journal.bounds()[1]
    with caplog.at_level(logging.ERROR):
        term = damaged.lead(may_lose=True)
    assert list(term.state.workflows) == ["one"]
    assert [(one.log, one.offset, one.value) for one in damaged.aside] == [
        ("journal", damaged.offset, flipped(damaged.whole))
    ]
    (told,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert (told.offset, told.lost_to) == (damaged.offset, end)  # type: ignore[attr-defined]
    assert term.void_records == end - damaged.offset


def test_once_a_leader_went_on_without_it_every_reader_does(damaged: Damaged) -> None:
    """Later leaders, publishers, standbys and snapshots need not be told: the opening in the journal tells them."""
    first = damaged.lead(may_lose=True)
    first.append([], 5, 0)
    second = damaged.lead()
    assert digest(second.state) == digest(first.state)
    assert len(damaged.aside) == 1
    standby = Standby(damaged.journal)
    standby.follow()
    assert [line.name for line in standby.submit(rq.ListWorkflows()).result(0)] == ["one"]
    snapshots = Snapshots(MemoryStore(), "snapshots/")
    take(damaged.journal, snapshots, damaged.journal.bounds()[1])
    assert digest(snapshots.newest()[1].announcer.state) == digest(first.state)  # type: ignore[index]


def test_numbers_that_the_world_may_know_are_not_used_again(damaged: Damaged) -> None:
    """Uids and numbers of events jump: consumers see a gap, and no number means two things."""
    known = dict(damaged.events.events)
    term = damaged.lead(may_lose=True)
    created = WorkflowCreated(term.state.last_uid + 1, "next", "me", {})
    term.state.apply(created)
    term.append([created], 5, 0)
    assert created.uid > UIDS_SKIPPED
    damaged.publish()
    assert known.items() <= damaged.events.events.items()
    successor = Shard(damaged.log, damaged.shard.bus, damaged.shard.time)
    damaged.shard.bus.close()
    successor.open()
    successor.ask(rq.Halt("one"))
    damaged.publish()
    fresh = damaged.events.events.keys() - known.keys()
    assert {uid for uid, _ in fresh} == {1, created.uid}
    assert min(sequence for uid, sequence in fresh if uid == 1) > EVENTS_SKIPPED


def test_a_leader_that_did_not_go_on_without_it_does_not_count(damaged: Damaged) -> None:
    """Openings and entries behind the record that were decided by who had read it are void."""
    strange = Entry(-1, damaged.offset - 1, 1, opening=Opening(b"x", "there", "test"))
    damaged.log.write(wrap(encode_entry(strange), b"strange.")[0])
    damaged.log.write(b"GAIA, and damaged too")
    term = damaged.lead(may_lose=True)
    assert list(term.state.workflows) == ["one"]
    damaged.log.write(wrap(encode_entry(strange), b"strange.")[0])
    assert list(damaged.lead().state.workflows) == ["one"]


def test_a_second_damage_is_another_matter(damaged: Damaged) -> None:
    """Who goes on without one record does not go on without the next one."""
    damaged.lead(may_lose=True)
    damaged.log.write(b"GAIA, and damaged too")
    with pytest.raises(RecordUnreadable):
        damaged.lead()
    damaged.lead(may_lose=True)
    assert list(damaged.lead().state.workflows) == ["one"]


def test_a_standby_that_may_lose_waits_for_the_leader(damaged: Damaged) -> None:
    """It answers nothing until a leader has gone on without the record; one that may not lose refuses at once."""
    with pytest.raises(RecordUnreadable):
        Standby(damaged.journal).run()
    standby = Standby(damaged.journal, may_lose=True)
    waits = iter([False, True])

    def wait(_: float) -> None:
        if next(waits):
            standby.stop()
        else:
            with pytest.raises(Unavailable):
                standby.submit(rq.ListWorkflows())
            damaged.lead(may_lose=True)

    standby._stopping.wait = wait  # type: ignore[assignment]
    standby.run()
    assert [line.name for line in standby.submit(rq.ListWorkflows()).result(0)] == ["one"]


def test_entries_that_were_not_written_to_their_end_are_dropped() -> None:
    """A leader that dies between the parts of an entry leaves a torn tail: it does not count, and nobody stumbles."""
    log = MemoryLog()
    term = Term(MemoryJournal(log))
    term.open(1, "here:1", "test")
    large = WorkflowCreated(1, "flow", "me", {"note": "x" * (2 * PAYLOAD_BYTES_MAX)})
    for part in wrap(encode_entry(Entry(0, 0, 2, (large,))), b"parts...")[:-1]:
        log.write(part)
    successor = Term(MemoryJournal(log))
    successor.open(3, "there:1", "test")
    assert successor.state.workflows == {}
    small = WorkflowCreated(1, "flow", "me", {})
    successor.append([small], 4, 0)
    assert [entry.events for _, entry in accepted(log)] == [(), (), (small,)]


def test_the_embedded_mode_keeps_records_as_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In a folder of their own, each under its offset; where that fails, the log says so."""
    quarantine = FolderQuarantine(tmp_path / "quarantine")
    quarantine.put(Aside("journal", 0, 17, "damaged", b"bytes"))
    assert (tmp_path / "quarantine" / "journal-0-17").read_bytes() == b"bytes"
    FolderQuarantine(tmp_path / "missing" / "quarantine").put(Aside("journal", 0, 17, "damaged", b"bytes"))
    assert [record.message for record in caplog.records] == ["put a record aside", "a record was not put aside"]
