"""The frame around a journal entry: what comes back, what is foreign, what is corrupt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gaia_core.errors import JournalCorrupt
from gaia_core.wire.frame import MARK, PAYLOAD_BYTES_MAX, RECORD_BYTES_MAX, unwrap, wrap

ID = b"8 bytes."


def parts(records: list[bytes]) -> list[tuple[int, int, bytes]]:
    frames = [unwrap(offset, record) for offset, record in enumerate(records)]
    return [(frame.part, frame.parts, frame.entry_id) for frame in frames if frame is not None]


@given(st.binary(max_size=200))
def test_what_is_wrapped_comes_back(entry: bytes) -> None:
    """A small entry takes one record."""
    (record,) = wrap(entry, ID)
    assert unwrap(0, record) == (0, 1, ID, entry)


@pytest.mark.parametrize(
    ("size", "count"),
    [(0, 1), (1, 1), (PAYLOAD_BYTES_MAX, 1), (PAYLOAD_BYTES_MAX + 1, 2), (3 * PAYLOAD_BYTES_MAX, 3)],
)
def test_an_entry_is_split_at_the_size_of_a_record(size: int, count: int) -> None:
    """No record is larger than the limit, and the parts together are the entry."""
    entry = bytes(number % 251 for number in range(size))
    records = wrap(entry, ID)
    assert parts(records) == [(part, count, ID) for part in range(count)]
    assert max(map(len, records)) <= RECORD_BYTES_MAX
    assert b"".join(frame.payload for one in records if (frame := unwrap(0, one)) is not None) == entry


@pytest.mark.parametrize("record", [b"", b"GAI", b"gaia....", b"{}", b"\x00" * 100])
def test_a_record_without_our_mark_is_foreign(record: bytes) -> None:
    """What somebody else wrote is passed over."""
    assert unwrap(0, record) is None


@given(st.binary(min_size=1, max_size=50), st.data())
def test_any_damage_is_seen(entry: bytes, data: st.DataObject) -> None:
    """One changed byte behind the mark, in the head as in the payload, refuses the record."""
    (record,) = wrap(entry, ID)
    place = data.draw(st.integers(len(MARK), len(record) - 1))
    damaged = bytearray(record)
    damaged[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(JournalCorrupt, match="offset 7"):
        unwrap(7, bytes(damaged))


@given(st.integers(len(MARK), 60))
def test_a_record_that_is_cut_short_is_corrupt(length: int) -> None:
    """A record of ours that ends too early is refused with its offset."""
    (record,) = wrap(b"x" * 50, ID)
    with pytest.raises(JournalCorrupt, match="offset 3"):
        unwrap(3, record[: min(length, len(record) - 1)])


def test_an_unknown_version_is_refused_with_a_hint() -> None:
    """What a later Gaia wrote is not guessed at."""
    record = bytearray(wrap(b"entry", ID)[0])
    record[len(MARK)] = 2
    with pytest.raises(JournalCorrupt, match="format version 2") as refusal:
        unwrap(5, bytes(record))
    assert "version of Gaia that wrote it" in refusal.value.hint
