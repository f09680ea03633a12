"""No value of a secret is seen in what a program wrote, wherever the writes cut it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gaia_worker.masking import HELD_BYTES_MAX, MASK, Masking, Masks


def through(masks: Masks, *writes: bytes) -> bytes:
    masking = Masking(masks)
    return b"".join([*(masking.pass_on(write) for write in writes), masking.rest()])


SHORT = st.lists(st.sampled_from([b"a", b"b", b"\n"]), max_size=12).map(b"".join)
VALUES = st.lists(st.lists(st.sampled_from([b"a", b"b"]), min_size=4, max_size=6).map(b"".join), max_size=4)


@given(VALUES, st.lists(SHORT, max_size=6))
def test_the_cuts_between_writes_change_nothing(values: list[bytes], writes: list[bytes]) -> None:
    """What is shown is what would be if all had been written at once, and holds no value."""
    masks = Masks(values)
    shown = through(masks, *writes)
    assert shown == masks.masked(b"".join(writes))
    assert not any(value in shown for value in values)


def test_a_value_that_two_writes_share_is_masked() -> None:
    """It is replaced once, and what is around it stays."""
    assert through(Masks(["hunter22"]), b"password hun", b"ter22!") == b"password ***!"


def test_a_longer_value_is_waited_for() -> None:
    """A value that another one begins with does not let the rest of that one through."""
    assert through(Masks(["hunter22", "hunter22-and-more"]), b"hunter22", b"-and-more") == MASK


def test_overlapping_values_are_masked_as_one() -> None:
    """Nothing of either is shown."""
    assert through(Masks(["abcdef", "efghij"]), b"-abcd", b"efgh", b"ij-") == b"-***-"


def test_only_what_may_be_a_value_is_held_back() -> None:
    """A prompt is seen at once."""
    assert Masking(Masks(["hunter22"])).pass_on(b"name: ") == b"name: "


def test_what_is_held_back_is_bounded() -> None:
    """A program that repeats the beginning of a value for ever does not fill memory."""
    masking = Masking(Masks(["aaaa", "a" * 6]))
    shown = b"".join(masking.pass_on(b"a" * 1000) for _ in range(200))
    assert MASK in shown
    assert b"a" not in shown
    assert len(masking._held) <= HELD_BYTES_MAX


def test_lines_of_a_value_count_by_themselves() -> None:
    """A key file that is shown line by line is masked, also without its last line end."""
    assert through(Masks(["first line\nsecond line\n"]), b"second line; first line") == b"***; ***"


def test_short_values_are_not_masked() -> None:
    """A value of three characters would turn every log into stars."""
    assert through(Masks(["abc", ""]), b"abc") == b"abc"
