"""Protobuf's own framing, for messages that are put together from parts that are encoded already.

A field that holds a message is its number, its length, and its bytes; and messages that follow each other in one field
are one message, merged. So what many messages have in common is encoded once.

Source: protobuf.dev/programming-guides/encoding, "Length-Delimited Records" and "Last One Wins".
"""

from typing import Final

_LENGTH_DELIMITED: Final = 2
_MORE: Final = 0x80


def embedded(number: int, message: bytes) -> bytes:
    """Return a field that holds an encoded message.

    Args:
        number: of the field, below 16.
        message: the encoded message.
    """
    tag, length = number << 3 | _LENGTH_DELIMITED, len(message)
    if length < 1 << 7:  # these two are nearly all there are
        return bytes((tag, length)) + message
    if length < 1 << 14:
        return bytes((tag, length & 0x7F | _MORE, length >> 7)) + message
    head = [tag]
    while length >= _MORE:
        head.append(length & 0x7F | _MORE)
        length >>= 7
    return bytes((*head, length)) + message
