"""Amounts of bytes as people write them. Pure."""

import re
from typing import Final

_SIZE: Final = re.compile(r"(\d{1,15}(?:\.\d{1,15})?) ?(?:([kmgtp])i?)?b?", re.IGNORECASE)


def bytes_of(text: str) -> int | None:
    """Return the bytes that "512M" or "2GiB" stand for, or None; every unit is a power of 1024.

    Source: docker's `--memory`, where M, MB and MiB are the same.
    """
    match = _SIZE.fullmatch(text.strip())
    if not match:
        return None
    return int(float(match[1]) * 1024 ** " kmgtp".index((match[2] or " ").lower()))


def share_or_bytes(text: str, whole_bytes: int) -> int | None:
    """Return the bytes that "512M", or "5%" of a whole, stand for, or None."""
    share = text.strip()
    if not share.endswith("%"):
        return bytes_of(text)
    try:
        percent = float(share.removesuffix("%"))
    except ValueError:
        return None
    return int(whole_bytes * percent / 100) if 0 <= percent <= 100 else None
