"""protobuf's wire format (protobuf.dev, "Encoding"): the fields of a message, unparsed."""

from collections.abc import Iterator
from typing import Final

from google.protobuf.message import DecodeError

_VARINT: Final = 0
_LENGTH: Final = 2
_FIXED: Final = {1: 8, 5: 4}
_VARINT_BITS: Final = 70


def messages(payload: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Of each field with a length in `payload[at:end]`: its number, where its length stands, where its content
    begins and where that ends.

    Raises DecodeError if these are no fields; groups, which OTLP has not, are not read.
    """
    while at < end:
        tag = payload[at]
        at += 1
        if tag > 0x7F:
            tag, at = varint(payload, at - 1)
        kind = tag & 7
        if kind == _LENGTH:
            length_at = at
            size = payload[at] if at < end else 0x80
            at += 1
            if size > 0x7F:
                size, at = varint(payload, length_at)
            begin, at = at, at + size
            if at > end:
                break
            yield tag >> 3, length_at, begin, at
        elif kind == _VARINT:
            _, at = varint(payload, at)
        elif kind in _FIXED:
            at += _FIXED[kind]
        else:
            raise DecodeError("a field has no known type")
    if at != end:
        raise DecodeError("a field is longer than its message")


def varint(payload: bytes, at: int) -> tuple[int, int]:
    """The number at `at`, and where it ends. Raises DecodeError."""
    number = shift = 0
    while at < len(payload) and shift < _VARINT_BITS:
        byte = payload[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte <= 0x7F:
            return number, at
        shift += 7
    raise DecodeError("a number does not end")


def as_varint(number: int) -> bytes:
    """`number` as it goes over the wire."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
