"""The format of one frame: one request on disk.

    ┌──────┬────────┬────────────┬─────────┬─────────────┬────────────┬─────────┬─────┐
    │ mark │ length │ arrival_ns │ durable │ payload crc │ header crc │ payload │ end │
    │  u8  │  u32   │    u64     │   u64   │     u32     │    u32     │  bytes  │ u8  │
    └──────┴────────┴────────────┴─────────┴─────────────┴────────────┴─────────┴─────┘

All numbers are little endian, both checksums CRC-32C. Three details carry the recovery rules:

- The header has its own checksum, so a sound header can be trusted about the length and the frame
  behind a damaged payload is found. It covers the frame's offset too: bytes that were written
  elsewhere (a misplaced block, a frame copied into a payload by a stranger) are not a frame here.
- `durable` is what was known to be fsynced when the frame was written. A later frame that names a
  greater offset proves that an earlier one had been acknowledged.
- The last byte is never zero, so a tail of blocks that were never written (they read as zeros after
  a power loss) cannot be mistaken for the end of a frame.

A range of damaged bytes that was set aside is one frame of kind FILLER, whose payload is not
checked; ranges too small for that are single `PAD` bytes.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import google_crc32c

_MARK: Final = 0xA0  # plus the kind; never zero, so zeroed blocks are no headers
_MARK_MASK: Final = 0xF0
PAD: Final = b"\xaf"
END: Final = b"\x5a"

_FIELDS: Final = struct.Struct("<BIQQI")
_CRC: Final = struct.Struct("<I")
_OFFSET: Final = struct.Struct("<Q")
HEADER_BYTES: Final = _FIELDS.size + _CRC.size
FRAME_BYTES_MIN: Final = HEADER_BYTES + len(END)
PAYLOAD_BYTES_MAX: Final = (1 << 32) - 1


class FrameKind(IntEnum):
    """What a payload is."""

    FILLER = 0  # damaged bytes that were set aside
    TRACES = 1  # a serialised ExportTraceServiceRequest
    LOGS = 2  # a serialised ExportLogsServiceRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One journaled request; `end_offset` is the offset of the frame behind it."""

    offset: int
    end_offset: int
    kind: FrameKind
    arrival_ns: int
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A sound frame header at `offset`."""

    offset: int
    kind: FrameKind
    payload_bytes: int
    arrival_ns: int
    durable: int
    payload_crc: int

    @property
    def end_offset(self) -> int:
        return self.offset + FRAME_BYTES_MIN + self.payload_bytes

    def fits(self, payload_and_end: bytes) -> bool:
        """True if `payload_and_end`, the bytes behind this header, are what was written."""
        return (
            len(payload_and_end) == self.payload_bytes + len(END)
            and payload_and_end.endswith(END)
            and google_crc32c.value(payload_and_end[: self.payload_bytes]) == self.payload_crc
        )


def pack_header(
    kind: FrameKind, payload: bytes, *, offset: int, arrival_ns: int, durable: int
) -> bytes:
    """The header of the frame that holds `payload` and begins at `offset`."""
    crc = google_crc32c.value(payload)
    return _pack(kind, len(payload), crc, offset=offset, arrival_ns=arrival_ns, durable=durable)


def pack_filler(size_bytes: int, *, offset: int, arrival_ns: int) -> bytes:
    """What is written at the start of a damaged range of `size_bytes` so that readers step over it.

    Nothing is claimed about durability: the range's own bytes are all that is known.
    """
    if size_bytes < FRAME_BYTES_MIN:
        return PAD * size_bytes
    payload_bytes = size_bytes - FRAME_BYTES_MIN
    return _pack(
        FrameKind.FILLER, payload_bytes, 0, offset=offset, arrival_ns=arrival_ns, durable=0
    )


def _pack(
    kind: FrameKind, payload_bytes: int, crc: int, *, offset: int, arrival_ns: int, durable: int
) -> bytes:
    fields = _FIELDS.pack(_MARK | kind, payload_bytes, arrival_ns, durable, crc)
    return fields + _CRC.pack(_header_crc(fields, offset))


def parse_header(data: bytes, offset: int) -> Header | None:
    """The header that `data` begins with if it is sound and belongs at `offset`, else None."""
    if len(data) < HEADER_BYTES or data[0] & _MARK_MASK != _MARK:
        return None
    fields = data[: _FIELDS.size]
    if _CRC.unpack_from(data, _FIELDS.size)[0] != _header_crc(fields, offset):
        return None
    mark, payload_bytes, arrival_ns, durable, payload_crc = _FIELDS.unpack(fields)
    try:
        kind = FrameKind(mark & ~_MARK_MASK)
    except ValueError:
        return None
    return Header(
        offset=offset,
        kind=kind,
        payload_bytes=payload_bytes,
        arrival_ns=arrival_ns,
        durable=durable,
        payload_crc=payload_crc,
    )


def _header_crc(fields: bytes, offset: int) -> int:
    crc: int = google_crc32c.extend(google_crc32c.value(_OFFSET.pack(offset)), fields)
    return crc
