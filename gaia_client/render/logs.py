"""Logs in a terminal or a pipe: bytes as they were written, or lines with their times. Pure."""

import re
from collections.abc import Iterator
from typing import Any, Final

from gaia_client.render.blocks import counted, moment

_HARMFUL: Final = re.compile(rb"\x1b(?!\[[0-9;]*m)|[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f]")
"""What moves a terminal's cursor, or worse; colours, tabs and carriage returns are fine."""


class LogLines:
    """Turns what `Gaia.logs` yields into bytes to print.

    Args:
        timestamps: put the time, and the stream where several are shown, before each line.
        is_terminal: leave out what a terminal would obey.
    """

    def __init__(self, *, timestamps: bool, is_terminal: bool) -> None:
        self._timestamps = timestamps
        self._is_terminal = is_terminal
        self._begun: dict[str, tuple[str, bytes]] = {}
        self._at_line_start = True

    def piece(self, told: dict[str, Any]) -> bytes:
        """Return what to print of a piece; with timestamps a line waits until it is whole."""
        data: bytes = _HARMFUL.sub(b"?", told["data"]) if self._is_terminal else told["data"]
        if not self._timestamps:
            self._at_line_start = data.endswith(b"\n") if data else self._at_line_start
            return data
        return b"".join(self._lines(told["stream"], told["time"], data))

    def rest(self) -> bytes:
        """Return what was not printed yet, to its line end: the attempt is over, or something else is to be said."""
        if self._timestamps:
            begun, self._begun = self._begun, {}
            return b"".join(_stamped(time, line + b"\n") for time, line in begun.values())
        is_open, self._at_line_start = not self._at_line_start, True
        return b"\n" if is_open else b""

    def _lines(self, stream: str, time: str, data: bytes) -> Iterator[bytes]:
        begun_at, begun = self._begun.pop(stream, (time, b""))
        *whole, last = data.split(b"\n")
        for number, line in enumerate(whole):
            yield _stamped(begun_at if number == 0 else time, (begun + line if number == 0 else line) + b"\n")
        if whole:
            begun_at, begun = time, b""
        if begun or last:
            self._begun[stream] = (begun_at, begun + last)


def gap(told: dict[str, Any]) -> str:
    """Say how much is missing."""
    return f"… {counted(told['size'], 'byte')} left out here …"


def heading(attempt: int) -> str:
    """Say which attempt follows."""
    return f"--- attempt {attempt} ---"


def _stamped(time: str, line: bytes) -> bytes:
    return f"{moment(time)} ".encode() + line
