"""Versions that may work together, and the words for those that may not."""

import pytest

from gaia_core.skew import too_far


@pytest.mark.parametrize(
    ("theirs", "fits"),
    [
        ("1.4.0", True), ("1.3.9", True), ("1.5.0rc1", True), ("1.2.9", False), ("1.6.0", False), ("2.4.0", False),
        ("0.4.0", False), ("", True), ("0+unknown", True), ("somebody's own", True),
    ],
)  # fmt: skip
def test_one_minor_version_apart_is_fine(theirs: str, fits: bool) -> None:
    """The major version is the same, the minor one differs by one at most; who names no release is taken as he is."""
    why = too_far(theirs, "1.4.2")
    assert (why == "") is fits
    assert fits or (theirs in why and "1.4.2" in why)
