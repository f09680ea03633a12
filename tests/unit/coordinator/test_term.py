"""A leader's time in office: openings, appends, strangers in the journal, and what ends it."""

import pytest

from gaia_core.backends.memory import MemoryJournal, MemoryLog
from gaia_core.coordinator.entries import RecordUnreadable
from gaia_core.coordinator.term import Term, TermEnded
from gaia_core.errors import JournalCorrupt, Unavailable
from gaia_core.machine.events import WorkerJoined
from gaia_core.wire.frame import PAYLOAD_BYTES_MAX, wrap
from gaia_core.wire.journal import Entry, Opening, encode_entry
from gaia_core.workflow.events import WorkflowCreated
from tests.unit.coordinator.shard import Gate, accepted


def worker(name: str) -> WorkerJoined:
    return WorkerJoined(name, "i1", "default", 1, 0, 0)


def opened(log: MemoryLog, now_ms: int = 1_000) -> Term:
    term = Term(MemoryJournal(log))
    term.open(now_ms, "here", "test")
    return term


def append(term: Term, *names: str, now_ms: int = 2_000, reports: int = 0) -> int:
    """Append workers as the loop does: apply, then journal."""
    events = [worker(name) for name in names]
    for event in events:
        term.state.apply(event)
    return term.append(events, now_ms, reports)[0]


def names(log: MemoryLog) -> list[str]:
    """Return the workers that a new leader knows."""
    return list(opened(log).state.fleet.workers)


def test_a_term_is_numbered_by_its_opening() -> None:
    """The opening's offset grows from term to term, whatever was written in between."""
    log = MemoryLog()
    log.write(b"foreign")
    first = opened(log)
    append(first, "a")
    log.skip(3)
    assert (first.number, opened(log).number) == (1, 6)


def test_a_new_leader_knows_what_was_appended() -> None:
    """Replay brings back state, time and the place in the reports."""
    log = MemoryLog()
    term = opened(log)
    append(term, "a", now_ms=7_000, reports=42)
    append(term, "b", now_ms=8_000, reports=43)
    again = opened(log, now_ms=5)
    assert list(again.state.fleet.workers) == ["a", "b"]
    assert (again.state.now_ms, again.reports_offset) == (8_000, 43)


def test_gaps_and_foreign_records_end_no_term() -> None:
    """Offsets that are left out, and records that are not ours, are counted and passed over."""
    log = MemoryLog()
    term = opened(log)
    log.skip()
    append(term, "a")
    log.write(b"foreign")
    append(term, "b")
    assert term.void_records == 1
    assert names(log) == ["a", "b"]


def test_foreign_records_are_put_aside_by_the_term_that_meets_them() -> None:
    """Beside an entry or before an opening; a later term does not put aside again what lies behind two openings."""
    log, aside = MemoryLog(), []
    log.write(b"before all")
    term = Term(MemoryJournal(log), aside.append)
    term.open(1_000, "here", "test")
    log.write(b"beside")
    append(term, "a")
    append(term, "b")
    log.write(b"after")
    met = [(one.log, one.offset, one.value) for one in aside]
    assert met == [("journal", 0, b"before all"), ("journal", 2, b"beside")]
    aside.clear()
    Term(MemoryJournal(log), aside.append).open(1_000, "here", "test")
    assert [one.value for one in aside] == [b"beside", b"after"]
    aside.clear()
    Term(MemoryJournal(log), aside.append).open(1_000, "here", "test")
    assert aside == []


def test_a_stray_of_a_deposed_leader_ends_no_term() -> None:
    """What a deposed leader still wrote is void: the term goes on, and every reader agrees."""
    log = MemoryLog()
    deposed = opened(log)
    term = opened(log)
    log.write(wrap(encode_entry(Entry(deposed.number, deposed.number, 1, (worker("stray"),))), b"stray...")[0])
    append(term, "a")
    assert term.void_records == 1
    assert names(log) == ["a"]


def test_a_later_opening_ends_the_term_at_once() -> None:
    """A leader that finds a stranger's opening before its own entry stops; its entry counts for nobody."""
    log = MemoryLog()
    term = opened(log)
    append(term, "a")
    opened(log)
    with pytest.raises(TermEnded, match="Another leader"):
        append(term, "b")
    assert names(log) == ["a"]


def test_an_entry_of_the_own_term_by_somebody_else_ends_the_term() -> None:
    """Nobody else may write in a leader's name."""
    log = MemoryLog()
    term = opened(log)
    log.write(wrap(encode_entry(Entry(term.number, term.number, 1, (worker("x"),))), b"other...")[0])
    with pytest.raises(TermEnded):
        append(term, "a")


@pytest.mark.parametrize("written", [False, True])
def test_a_failed_append_ends_the_term(written: bool) -> None:
    """Refused or timed out: the outcome is unknown, and only the journal can tell."""
    log = MemoryLog()
    journal = MemoryJournal(log)
    term = Term(journal)
    term.open(1, "here", "test")
    journal.fail_next(written=written)
    with pytest.raises(TermEnded):
        append(term, "a")
    with pytest.raises(TermEnded):
        append(term, "b")
    assert names(log) == (["a"] if written else [])


def test_an_append_that_lands_after_the_next_opening_is_void() -> None:
    """A timed-out append may land late; the next leader did not see it, so nobody may count it."""
    log = MemoryLog()
    first = opened(log)
    second = opened(log)
    late = Entry(first.number, first.number, 1, (worker("late"),))
    append(second, "a")
    log.write(wrap(encode_entry(late), b"late....")[0])
    append(second, "b")
    assert names(log) == ["a", "b"]


def test_strangers_between_the_parts_of_an_entry_are_seen() -> None:
    """An opening that slips in between the parts of a large entry voids the entry and ends the term."""
    log = MemoryLog()
    term = opened(log)
    large = WorkflowCreated(1, "flow", "me", {"note": "x" * (2 * PAYLOAD_BYTES_MAX)})
    write = log.write

    def slip_in(value: bytes) -> int:
        offset = write(value)
        if offset == 2:
            log.write = write
            write(wrap(encode_entry(Entry(-1, 0, 1, opening=Opening(b"o", "there", "test"))), b"opening.")[0])
        return offset

    log.write = slip_in
    with pytest.raises(TermEnded):
        term.append([large], 1, 0)
    assert opened(log).state.workflows == {}


def test_large_entries_survive_in_parts() -> None:
    """An entry larger than a record is split and comes back whole."""
    log = MemoryLog()
    term = opened(log)
    large = WorkflowCreated(1, "flow", "me", {"note": "x" * (2 * PAYLOAD_BYTES_MAX)})
    term.append([large], 1, 0)
    append(term, "a")
    again = opened(log)
    assert dict(again.state.workflows["flow"].properties) == dict(large.properties)
    assert list(again.state.fleet.workers) == ["a"]


def test_what_others_write_until_the_opening_lands_is_taken_in() -> None:
    """A deposed leader may write until the new opening is there: that counts, and so does its time."""
    log = MemoryLog()
    old = opened(log)
    journal = MemoryJournal(log)
    new = Term(Gate(journal, lambda: [append(old, "a", now_ms=9_000) for _ in range(new.number < 0)]))
    new.open(5_000, "here", "test")
    assert list(new.state.fleet.workers) == ["a"]
    assert new.state.now_ms == 9_000
    append(new, "b", now_ms=9_001)
    assert names(log) == ["a", "b"]


def test_time_never_goes_back() -> None:
    """A leader whose clock is behind begins where the journal is."""
    log = MemoryLog()
    append(opened(log), "a", now_ms=50_000)
    assert opened(log, now_ms=3).state.now_ms == 50_000


def test_an_opening_that_fails_makes_no_leader() -> None:
    """Whoever cannot open its term leads nothing."""
    journal = MemoryJournal()
    journal.fail_next(written=False)
    term = Term(journal)
    with pytest.raises(Unavailable):
        term.open(1, "here", "test")
    assert term.number == -1


def test_a_journal_that_was_cut_is_refused() -> None:
    """Without its beginning a journal says nothing: leading on from nothing would lose everything."""
    log = MemoryLog()
    term = opened(log)
    append(term, "a")
    append(term, "b")
    log.cut(2)
    with pytest.raises(JournalCorrupt, match="begins at offset 2, and no snapshot serves"):
        opened(log)


def test_a_damaged_record_is_refused() -> None:
    """A record with our mark and a wrong checksum refuses start-up, naming offset and cause."""
    log = MemoryLog()
    opened(log)
    record = log.slice(0, 1)[0].value
    log.write(record[:-1] + bytes([record[-1] ^ 1]))
    with pytest.raises(JournalCorrupt, match="offset 1 has a wrong checksum"):
        opened(log)


def test_a_damaged_record_ends_a_term_in_the_words_of_a_start() -> None:
    """A leader that meets one beside its own entry says what a start would say, with what can be done about it."""
    log = MemoryLog()
    term = opened(log)
    record = log.slice(0, 1)[0].value
    log.write(record[:-1] + bytes([record[-1] ^ 1]))
    with pytest.raises(RecordUnreadable, match="offset 1 has a wrong checksum") as refusal:
        append(term, "a")
    assert "--quarantine" in refusal.value.hint


def test_every_entry_names_its_opening_and_its_predecessor() -> None:
    """Both offsets are in every entry, across foreign records and terms."""
    log = MemoryLog()
    first = opened(log)
    append(first, "a")
    log.write(b"foreign")
    second = opened(log)
    append(second, "b")
    chain = [(offset, entry.opening_offset, entry.previous_offset) for offset, entry in accepted(log)]
    assert chain == [(0, -1, -1), (1, 0, 0), (3, -1, 1), (4, 3, 3)]
