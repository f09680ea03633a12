"""Keeps the values of secrets out of what programs write: each becomes `***`, however the writes cut it.

What may be the beginning of a value waits until the next write of the same stream shows whether it is one.
"""

import re
from collections.abc import Iterable
from typing import Final

MASK: Final = b"***"

LENGTH_MIN: Final = 4
"""Shorter values are not masked: nearly every log would be full of stars, and the stars would tell the value."""

HELD_BYTES_MAX: Final = 64 * 1024
"""A program that goes on and on repeating the beginning of a value is not waited for any longer."""


class Masks:
    """The values to keep out.

    Args:
        values: of secrets, in any order. Of one with several lines each line counts by itself, too.

    Attributes:
        longest: bytes of the longest value.
    """

    def __init__(self, values: Iterable[str | bytes] = ()) -> None:
        self.values = tuple(sorted(set(_worth_masking(values)), key=lambda value: (-len(value), value)))
        self.longest = len(self.values[0]) if self.values else 0
        self._first = frozenset(value[0] for value in self.values)
        self._anywhere = re.compile(b"|".join(b"(?=(" + re.escape(value) + b"))" for value in self.values) or b"(?!)")

    def masked(self, data: bytes) -> bytes:
        """Return data with `***` for each value in it, and for values that overlap one for all of them."""
        out = bytearray()
        done = 0
        for start, end in self._places(data):
            out += data[done:start] + MASK
            done = end
        return bytes(out + data[done:]) if done else data

    def masked_text(self, text: str) -> str:
        """Return a text as `masked` does bytes."""
        return self.masked(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")

    def undecided_from(self, data: bytes) -> int:
        """Return where the end of data begins that may be the beginning of a value, or a value that goes on."""
        cut = len(data)
        for start in range(max(0, len(data) - self.longest + 1), len(data)):
            if data[start] not in self._first:
                continue
            rest = data[start:]
            if any(len(value) > len(rest) and value.startswith(rest) for value in self.values):
                cut = start
                break
        return next((start for start, end in self._places(data) if start < cut < end), cut)

    def _places(self, data: bytes) -> list[tuple[int, int]]:
        """Return where values lie, those that overlap as one place."""
        places: list[tuple[int, int]] = []
        if not any(value in data for value in self.values):
            return places
        for found in self._anywhere.finditer(data):
            start = found.start()
            # Of several values that begin here the longest comes first among the groups.
            end = start + len(next(group for group in found.groups() if group is not None))
            if places and start < places[-1][1]:
                places[-1] = (places[-1][0], max(places[-1][1], end))
            else:
                places.append((start, end))
        return places


class Masking:
    """One stream on its way through the masks."""

    def __init__(self, masks: Masks) -> None:
        self._masks = masks
        self._held = b""

    def pass_on(self, data: bytes) -> bytes:
        """Return what may be shown by now, of this write and of what was held back before."""
        if not self._masks.values:
            return data
        data = self._held + data
        cut = self._masks.undecided_from(data)
        if len(data) - cut > HELD_BYTES_MAX:
            cut = len(data)
        self._held = data[cut:]
        return self._masks.masked(data[:cut])

    def rest(self) -> bytes:
        """Return what was held back: nothing more comes."""
        held, self._held = self._held, b""
        return self._masks.masked(held)


def _worth_masking(values: Iterable[str | bytes]) -> Iterable[bytes]:
    for value in values:
        data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
        for part in (data, data.strip(), *(line.strip() for line in data.splitlines())):
            if len(part) >= LENGTH_MIN:
                yield part


NO_MASKS: Final = Masks()
