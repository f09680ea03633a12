"""A stream of messages in frames: mark, version, length, checksum; a large message takes several frames.

So an object in the store is written and read piece by piece, and whatever is damaged, cut short or of another version
is noticed where it lies. Called by the snapshot encoding.
"""

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Final
from zlib import crc32

from gaia_core.errors import SnapshotDamaged

MARK: Final = b"GAIS"
VERSION: Final = 1
PAYLOAD_BYTES_MAX: Final = 512 * 1024

_HEAD: Final = Struct(">4sB?xxI")
"""mark, version, whether the message goes on in the next frame, length of the payload."""

_CHECKSUM: Final = Struct(">I")
"""CRC-32 of head and payload."""


def framed(messages: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the frames of messages, one after the other."""
    for message in messages:
        for start in range(0, max(len(message), 1), PAYLOAD_BYTES_MAX):
            payload = message[start : start + PAYLOAD_BYTES_MAX]
            head = _HEAD.pack(MARK, VERSION, start + PAYLOAD_BYTES_MAX < len(message), len(payload))
            yield b"".join((head, _CHECKSUM.pack(crc32(payload, crc32(head))), payload))


def unframed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the messages of a stream that comes in chunks of any size.

    Raises:
        SnapshotDamaged: it is none of ours, damaged, cut short, or of a version that this Gaia does not know.
    """
    source = _Source(chunks)
    parts: list[bytes] = []
    while head := source.take(_HEAD.size):
        goes_on, payload = _frame(source, head)
        parts.append(payload)
        if not goes_on:
            yield b"".join(parts)
            parts.clear()
    if parts:
        raise SnapshotDamaged(f"The snapshot is cut short at byte {source.position}.")


def _frame(source: "_Source", head: bytes) -> tuple[bool, bytes]:
    """Return whether the message goes on, and its part in the frame that a head begins."""
    start = source.position - len(head)
    if len(head) < _HEAD.size:
        raise SnapshotDamaged(f"The snapshot is cut short at byte {source.position}.")
    mark, version, goes_on, length = _HEAD.unpack(head)
    if mark != MARK:
        raise SnapshotDamaged(f"What lies at byte {start} is no part of a snapshot.")
    if version != VERSION:
        message = f"The snapshot has format version {version}; this Gaia reads version {VERSION}."
        raise SnapshotDamaged(message, hint="start the version of Gaia that wrote it")
    checksum = source.take(_CHECKSUM.size)
    payload = source.take(length)
    if len(payload) < length or checksum != _CHECKSUM.pack(crc32(payload, crc32(head))):
        raise SnapshotDamaged(f"The snapshot is damaged, or cut short, behind byte {start}.")
    return goes_on, payload


class _Source:
    """Gives out the bytes of a stream by number.

    Attributes:
        position: how many were given out.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.position = 0
        self._chunks = iter(chunks)
        self._kept = b""
        self._at = 0

    def take(self, count: int) -> bytes:
        """Return the next bytes, fewer only at the end."""
        while len(self._kept) - self._at < count:
            more = next(self._chunks, None)
            if more is None:
                break
            self._kept, self._at = self._kept[self._at :] + more, 0
        taken = self._kept[self._at : self._at + count]
        self._at += len(taken)
        self.position += len(taken)
        return taken
