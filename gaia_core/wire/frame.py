"""The frame around a journal entry: mark, version, checksum, and the parts of an entry too large for one record.

A record without our mark is foreign and passed over. One with it and a wrong checksum or an unknown version is
corrupt: reading must stop there, because what it held is unknown.
"""

from struct import Struct
from typing import Final, NamedTuple
from zlib import crc32

from gaia_core.errors import JournalCorrupt

MARK: Final = b"GAIA"
VERSION: Final = 1
RECORD_BYTES_MAX: Final = 512 * 1024
"""Half of Kafka's default limit, so that no broker setting is needed."""

_HEAD: Final = Struct(">4sBxHH8s")
"""mark, version, part number, number of parts, entry id; followed by the checksum and the payload."""

_CHECKSUM: Final = Struct(">I")
"""CRC-32 of head and payload: a damaged part number would otherwise make an entry vanish."""

_PAYLOAD_AT: Final = _HEAD.size + _CHECKSUM.size

PAYLOAD_BYTES_MAX: Final = RECORD_BYTES_MAX - _PAYLOAD_AT


class Frame(NamedTuple):
    """One record, unwrapped."""

    part: int
    parts: int
    entry_id: bytes
    payload: bytes


def wrap(entry: bytes, entry_id: bytes) -> list[bytes]:
    """Return the records that carry an entry.

    Args:
        entry_id: 8 bytes that no other entry has; it keeps parts of different writers apart.
    """
    payloads = [entry[at : at + PAYLOAD_BYTES_MAX] for at in range(0, max(len(entry), 1), PAYLOAD_BYTES_MAX)]
    heads = (_HEAD.pack(MARK, VERSION, part, len(payloads), entry_id) for part in range(len(payloads)))
    return [
        b"".join((head, _CHECKSUM.pack(crc32(payload, crc32(head))), payload))
        for head, payload in zip(heads, payloads, strict=True)
    ]


def unwrap(offset: int, record: bytes) -> Frame | None:
    """Return what a record carries, or None when it is not ours.

    Raises:
        JournalCorrupt: it is ours and cannot be read.
    """
    if record[:4] != MARK:
        return None
    if len(record) < _PAYLOAD_AT:
        raise JournalCorrupt(f"The journal record at offset {offset} is cut short ({len(record)} bytes).")
    _, version, part, parts, entry_id = _HEAD.unpack_from(record)
    if version != VERSION:
        raise JournalCorrupt(
            f"The journal record at offset {offset} has format version {version}; this Gaia reads version {VERSION}.",
            hint="start the version of Gaia that wrote it",
        )
    (checksum,) = _CHECKSUM.unpack_from(record, _HEAD.size)
    payload = record[_PAYLOAD_AT:]
    if crc32(payload, crc32(record[: _HEAD.size])) != checksum:
        raise JournalCorrupt(f"The journal record at offset {offset} has a wrong checksum.")
    return Frame(part, parts, entry_id, payload)
