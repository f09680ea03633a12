"""Which journal records count: parts, strays, foreign records, openings, and what proves that something is missing."""

import pytest

from gaia_core.coordinator.entries import EntryReader
from gaia_core.errors import JournalCorrupt
from gaia_core.ports import Record
from gaia_core.wire.frame import PAYLOAD_BYTES_MAX, wrap
from gaia_core.wire.journal import Entry, Opening, encode_entry
from gaia_core.workflow.events import KeysForgotten

LARGE = (KeysForgotten(1, ("k" * (2 * PAYLOAD_BYTES_MAX),)),)


class Tape:
    """Records in order, each at the next offset."""

    def __init__(self) -> None:
        self.reader = EntryReader()
        self.offset = 0

    def play(self, *records: bytes) -> list[bool]:
        """Feed records and tell which of them completed an accepted entry."""
        told = []
        for record in records:
            told.append(self.reader.feed(Record(self.offset, record)) is not None)
            self.offset += 1
        return told


def opening(previous: int, id_: bytes = b"opening.") -> list[bytes]:
    return wrap(encode_entry(Entry(-1, previous, 1, opening=Opening(id_, "here", "test"))), id_)


def entry(opened: int, previous: int, id_: bytes = b"entry...", events: tuple[KeysForgotten, ...] = ()) -> list[bytes]:
    return wrap(encode_entry(Entry(opened, previous, 1, events)), id_)


def test_a_chain_of_entries_is_accepted() -> None:
    """Each entry names its opening and the accepted entry before it."""
    tape = Tape()
    assert tape.play(*opening(-1), *entry(0, 0), *entry(0, 1)) == [True, True, True]
    assert (tape.reader.opening, tape.reader.last, tape.reader.void) == (0, 2, 0)


def test_a_stray_of_a_deposed_leader_is_void() -> None:
    """What names an earlier opening changes nothing, and the chain goes on without it."""
    tape = Tape()
    tape.play(*opening(-1), *entry(0, 0), *opening(1))
    assert tape.play(*entry(0, 1), *entry(2, 2)) == [False, True]
    assert tape.reader.void == 1


def test_a_late_append_of_the_own_term_is_void() -> None:
    """An entry that names an earlier entry than the latest one is void, though its opening is right."""
    tape = Tape()
    tape.play(*opening(-1), *entry(0, 0), *entry(0, 1))
    assert tape.play(*entry(0, 1), *entry(0, 2)) == [False, True]


def test_a_repeated_entry_counts_once() -> None:
    """The same bytes twice are accepted once."""
    tape = Tape()
    assert tape.play(*opening(-1), *entry(0, 0), *entry(0, 0)) == [True, True, False]


def test_a_second_opening_ends_the_first_term() -> None:
    """After a later opening, which may know less than was written, only its own entries count."""
    tape = Tape()
    tape.play(*opening(-1), *entry(0, 0), *entry(0, 1))
    assert tape.play(*opening(1), *entry(0, 2), *entry(3, 3)) == [True, False, True]


def test_foreign_records_are_passed_over() -> None:
    """A record without our mark is void wherever it stands, also between the parts of an entry."""
    tape = Tape()
    first, *rest = entry(1, 1, events=LARGE)
    assert tape.play(b"", *opening(-1), b"something else") == [False, True, False]
    assert tape.play(first, b"GAI", *rest) == [False, False, False, True]
    assert tape.reader.void == 3


def test_an_entry_counts_at_its_last_part() -> None:
    """A large entry is accepted once all of its parts are there, and its offset is the last one's."""
    tape = Tape()
    tape.play(*opening(-1))
    parts = entry(0, 0, events=LARGE)
    assert len(parts) == 3
    assert tape.play(*parts) == [False, False, True]
    assert tape.reader.last == 3


def test_interleaved_parts_are_kept_apart() -> None:
    """Parts of a stray between the parts of an entry confuse nobody."""
    tape = Tape()
    tape.play(*opening(-1), *opening(0))
    ours, strays = entry(1, 1, b"ours....", LARGE), entry(0, 0, b"stray...", LARGE)
    mixed = [record for pair in zip(strays, ours, strict=True) for record in pair]
    assert tape.play(*mixed) == [False] * 5 + [True]


def test_missing_repeated_and_unordered_parts_make_no_entry() -> None:
    """Parts count in order only; an entry that lacks one is void."""
    tape = Tape()
    one, two, three = entry(0, 0, events=LARGE)
    assert tape.play(*opening(-1), two, three, one, three, one) == [True] + [False] * 5
    assert tape.play(two, two, three) == [False, False, True]


def test_an_opening_ends_unfinished_entries() -> None:
    """Parts before an opening do not go on behind it."""
    tape = Tape()
    one, *rest = entry(0, 0, events=LARGE)
    assert tape.play(*opening(-1), one, *opening(0), *rest) == [True, False, True, False, False]


@pytest.mark.parametrize(
    "records",
    [
        [*entry(5, 5)],
        [*opening(3)],
        [*opening(-1), *entry(0, 4)],
        [*opening(-1), *entry(7, 0)],
        [*opening(-1), *opening(6)],
    ],
)
def test_an_entry_that_follows_on_nothing_proves_a_loss(records: list[bytes]) -> None:
    """An entry names only what was there before it: one that names something unknown shows that the journal lost it."""
    tape = Tape()
    with pytest.raises(JournalCorrupt, match="is not there"):
        tape.play(*records)


def test_an_entry_that_cannot_be_decoded_is_corrupt() -> None:
    """Bytes of ours that are no entry refuse, naming the offset."""
    tape = Tape()
    tape.play(*opening(-1))
    with pytest.raises(JournalCorrupt, match="offset 1 "):
        tape.play(*wrap(b"\xff\xff", b"garbage."))


def test_an_event_of_an_unknown_kind_is_corrupt() -> None:
    """What a later version may have written is refused, not passed over."""
    tape = Tape()
    with pytest.raises(JournalCorrupt, match="does not know"):
        tape.play(*wrap(b"\x2a\x00", b"unknown."))
