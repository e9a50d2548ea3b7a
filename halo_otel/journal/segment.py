"""Segment files: `<offset of the first byte, 20 digits>.journal`, a header, then frames.

    header = magic "HALOJNL", version u8, base u64, arrival_ns u64, crc32c u32   (little endian)

`base` repeats the file's name, so a renamed file is found. `arrival_ns` is the latest arrival before
this segment: arrival times stay monotonic across restarts even when all frames were trimmed.
"""

import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Final

import google_crc32c

from halo_otel.errors import JournalDamaged
from halo_otel.journal.frame import HEADER_BYTES, PAD, FrameKind, Header, parse_header

VERSION: Final = 1
_MAGIC: Final = b"HALOJNL"
_FIELDS: Final = struct.Struct("<7sBQQ")
_CRC: Final = struct.Struct("<I")
SEGMENT_HEADER_BYTES: Final = _FIELDS.size + _CRC.size

# The unit in which a block device writes (or does not): blocks that were never written read as
# zeros. Larger physical sectors are multiples of it.
BLOCK_BYTES: Final = 512

_NAME: Final = re.compile(r"(\d{20})\.journal")
_MARKS: Final = re.compile(rb"[\xa0-\xa2]")


def damaged(path: Path, offset: int, reason: str) -> JournalDamaged:
    """The error for bytes that are not what was written, with the cure."""
    return JournalDamaged(
        f"journal file {path} is damaged at offset {offset}: {reason}. Restore the file, or set "
        "`journal.on_damage: skip` (HALO_JOURNAL_ON_DAMAGE=skip) for one start: the damaged bytes "
        "are then set aside and counted in halo.journal.skipped_bytes"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One segment file; `base` is the journal offset of its first byte."""

    base: int
    path: Path


def segment_at(directory: Path, base: int) -> Segment:
    """The segment that begins at `base`, whether it exists or not."""
    return Segment(base=base, path=directory / f"{base:020d}.journal")


def list_segments(directory: Path) -> list[Segment]:
    """The segments in `directory` in order; other files are none of ours."""
    names = (_NAME.fullmatch(name) for name in os.listdir(directory))
    return [segment_at(directory, base) for base in sorted(int(m[1]) for m in names if m)]


def pack_segment_header(base: int, arrival_ns: int) -> bytes:
    """The first bytes of the segment that begins at `base`."""
    fields = _FIELDS.pack(_MAGIC, VERSION, base, arrival_ns)
    return fields + _CRC.pack(google_crc32c.value(fields))


class SegmentFile:
    """Reads one segment; positions are journal offsets. Safe while the file grows or is removed."""

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self._fd = os.open(segment.path, os.O_RDONLY)

    def __enter__(self) -> "SegmentFile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        os.close(self._fd)

    @property
    def end_offset(self) -> int:
        """The offset behind the last byte that is there now."""
        return self.segment.base + os.fstat(self._fd).st_size

    def bytes_at(self, offset: int, size_bytes: int) -> bytes:
        """Up to `size_bytes` from `offset`; fewer at the end of the file."""
        return os.pread(self._fd, size_bytes, offset - self.segment.base)

    def header_at(self, offset: int) -> Header | None:
        """The frame header at `offset` if it is sound."""
        return parse_header(self.bytes_at(offset, HEADER_BYTES), offset)

    def payload_of(self, header: Header) -> bytes | None:
        """The payload of `header`'s frame, None if it is damaged or incomplete; FILLER is not read."""
        if header.kind is FrameKind.FILLER:
            return b"" if header.end_offset <= self.end_offset else None
        body_bytes = header.end_offset - header.offset - HEADER_BYTES
        body = self.bytes_at(header.offset + HEADER_BYTES, body_bytes)
        return body[: header.payload_bytes] if header.fits(body) else None

    def is_pad(self, offset: int) -> bool:
        """True if `offset` holds one set-aside byte."""
        return self.bytes_at(offset, len(PAD)) == PAD

    def set_aside_end(self, offset: int) -> int | None:
        """Where the FILLER ends in whose midst `offset` lies, None if it lies in none."""
        place = self.segment.base + SEGMENT_HEADER_BYTES
        while place < offset:
            header = self.header_at(place)
            if header is None:
                if not self.is_pad(place):
                    return None
                place += len(PAD)
            elif header.end_offset > offset:
                return header.end_offset if header.kind is FrameKind.FILLER else None
            else:
                place = header.end_offset
        return None

    def arrival_ns(self) -> int | None:
        """The latest arrival before this segment, None if the segment header is damaged.

        Raises JournalDamaged if the file is sound but of a version this program does not know.
        """
        data = self.bytes_at(self.segment.base, SEGMENT_HEADER_BYTES)
        if len(data) < SEGMENT_HEADER_BYTES:
            return None
        fields = data[: _FIELDS.size]
        magic, version, base, arrival_ns = _FIELDS.unpack(fields)
        sound = _CRC.unpack_from(data, _FIELDS.size)[0] == google_crc32c.value(fields)
        if not sound or magic != _MAGIC or base != self.segment.base:
            return None
        if version != VERSION:
            raise JournalDamaged(
                f"journal file {self.segment.path} has format version {version}, this program knows "
                f"{VERSION}: start the halo-otel version that wrote it"
            )
        return int(arrival_ns)

    def sound_headers(self, offset: int) -> Iterator[Header]:
        """Every sound frame header from `offset` on, trusting nothing that lies between."""
        data = self.bytes_at(offset, max(0, self.end_offset - offset))
        for match in _MARKS.finditer(data):
            start = match.start()
            header = parse_header(data[start : start + HEADER_BYTES], offset + start)
            if header is not None:
                yield header

    def has_unwritten_block(self, offset: int, end_offset: int) -> bool:
        """True if one aligned block is all zeros as far as it lies in `[offset, end_offset)`.

        Frames share blocks with their neighbours, so blocks at both ends count with their part. No
        frame begins or ends with a zero byte, so such a part is never just a frame's own zeros.
        """
        start = offset - self.segment.base
        data = self.bytes_at(offset, end_offset - offset)
        first_cut = -start % BLOCK_BYTES
        cuts = [0, *range(first_cut, len(data), BLOCK_BYTES), len(data)]
        parts = (data[a:b] for a, b in pairwise(cuts))
        return any(part and not part.strip(b"\0") for part in parts)
