"""Checks that several backends share, so that they refuse in the same words."""

from gaia_core.errors import Unavailable


def check_start(name: str, start: int, first: int, after_last: int) -> None:
    """Refuse to read a journal from an offset that it no longer has, or does not have yet.

    Raises:
        Unavailable: start lies before the first record kept, or beyond the end.
    """
    if start < first:
        raise Unavailable(f"{name} was cut: it starts at offset {first}, and {start} is gone.")
    if start > after_last:
        raise Unavailable(f"{name} ends at offset {after_last}, before {start}: it has lost records.")
