"""Amounts of bytes as people write them."""

import pytest

from gaia_core.sizes import bytes_of, share_or_bytes


@pytest.mark.parametrize(
    ("text", "expected"),
    [("512", 512), ("1k", 1024), ("512M", 512 * 1024**2), ("1.5 GB", 1536 * 1024**2), ("2GiB", 2 * 1024**3),
     ("1Ti", 1024**4), ("-1M", None), ("M", None), ("1X", None), ("", None)],
)  # fmt: skip
def test_memory_units(text: str, expected: int | None) -> None:
    """Units of memory are powers of 1024, with or without i and B."""
    assert bytes_of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("5%", 50), (" 2.5% ", 25), ("0", 0), ("1k", 1024), ("101%", None), ("-1%", None), ("x%", None)],
)
def test_shares(text: str, expected: int | None) -> None:
    """A share of a whole, or bytes."""
    assert share_or_bytes(text, 1_000) == expected
