"""What happens at start: find the end of what was acknowledged, cut the rest, refuse damage.

A bad frame at X is a **torn tail**, written but never acknowledged, if and only if
1. nothing proves that X was durable: no later segment, no checkpoint and no later sound frame header
   names an offset above X; and
2. it looks like an interrupted write: it runs past the end of the file, or a block of it was never
   written and reads as zeros (after a power loss blocks arrive in any order).
It is cut off with everything behind it, which was the same unacknowledged group. Everything else is
damage: the start is refused, or with `skip` the damaged range becomes one FILLER frame in place.
"""

import logging
import os
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Final

from halo_otel.errors import JournalDamaged
from halo_otel.journal.checkpoint import read_checkpoint, write_checkpoint
from halo_otel.journal.disk import sync_path
from halo_otel.journal.frame import (
    END,
    FRAME_BYTES_MIN,
    PAYLOAD_BYTES_MAX,
    Header,
    pack_filler,
)
from halo_otel.journal.segment import (
    SEGMENT_HEADER_BYTES,
    Segment,
    SegmentFile,
    damaged,
    list_segments,
    pack_segment_header,
)

logger = logging.getLogger(__name__)

_FILLER_BYTES_MAX: Final = PAYLOAD_BYTES_MAX + FRAME_BYTES_MIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """The journal as it was found: its last segment ends at `end_offset`, all of it fsynced."""

    segments: tuple[Segment, ...]
    checkpoint_offset: int
    end_offset: int
    arrival_ns: int
    torn_bytes: int
    skipped_bytes: int


def recover(directory: Path, *, skip: bool) -> Recovered:
    """Check everything from the checkpoint on and make its end clean. Raises JournalDamaged."""
    return _Recovery(directory, skip=skip).run()


class _Recovery:
    def __init__(self, directory: Path, *, skip: bool) -> None:
        self._directory = directory
        self._skip = skip
        self._checkpoint = 0
        self._arrival_ns = 0
        self._torn_bytes = 0
        self._skipped_bytes = 0

    def run(self) -> Recovered:
        segments = list_segments(self._directory)
        self._read_checkpoint(segments)
        segments = self._needed(segments)
        end = self._checkpoint
        kept = []
        for segment, successor in zip_longest(segments, segments[1:]):
            end = self._scan(segment, None if successor is None else successor.base)
            if end > segment.base:
                kept.append(segment)
        if kept:
            # What a killed predecessor wrote but did not sync counts from now on.
            sync_path(kept[-1].path)
        # Rewritten so that it exists: a full disk must not keep later ones from being stored.
        write_checkpoint(self._directory, self._checkpoint)
        return Recovered(
            segments=tuple(kept),
            checkpoint_offset=self._checkpoint,
            end_offset=end,
            arrival_ns=self._arrival_ns,
            torn_bytes=self._torn_bytes,
            skipped_bytes=self._skipped_bytes,
        )

    def _read_checkpoint(self, segments: list[Segment]) -> None:
        try:
            self._checkpoint = read_checkpoint(self._directory)
        except JournalDamaged as error:
            self._set_aside(0, error)
            # Too low is safe: the windows hold the exact offset.
            self._checkpoint = segments[0].base if segments else 0

    def _needed(self, segments: list[Segment]) -> list[Segment]:
        """The segments from the checkpoint on; older ones are leftovers of an interrupted trim."""
        first = max((i for i, s in enumerate(segments) if s.base <= self._checkpoint), default=0)
        for segment in segments[:first]:
            segment.path.unlink()
        needed = segments[first:]
        begin = needed[0].base if needed else 0
        if (begin > self._checkpoint) or (not needed and self._checkpoint > 0):
            missing = self._directory / f"{self._checkpoint:020d}.journal"
            error = damaged(missing, self._checkpoint, "the segment with this offset is missing")
            self._set_aside(max(0, begin - self._checkpoint), error)
            self._checkpoint = max(begin, self._checkpoint)
        return needed

    def _scan(self, segment: Segment, successor: int | None) -> int:
        """Check one segment; its end offset, which is its base if nothing of it was durable."""
        with SegmentFile(segment) as file:
            if successor is not None and file.end_offset > successor:
                self._cut_overlap(file, successor)
            if not self._check_segment_header(file, successor):
                return segment.base
            offset = segment.base + SEGMENT_HEADER_BYTES
            while offset < file.end_offset:
                header = file.header_at(offset)
                if header is not None and file.payload_of(header) is not None:
                    self._arrival_ns = max(self._arrival_ns, header.arrival_ns)
                    offset = header.end_offset
                elif file.is_pad(offset):
                    offset += 1
                elif self._is_torn(file, offset, header, successor):
                    self._cut(file, offset)
                else:
                    offset = self._skip_frame(file, offset, header, successor)
            wanted = self._checkpoint if successor is None else successor
            if offset < wanted:
                error = damaged(segment.path, offset, f"{wanted - offset} bytes are missing")
                self._set_aside(wanted - offset, error)
                offset = self._fill(file, offset, wanted)
            return offset

    def _check_segment_header(self, file: SegmentFile, successor: int | None) -> bool:
        """True if frames may follow; a torn segment, which never held one, is removed."""
        base = file.segment.base
        arrival_ns = file.arrival_ns()
        if arrival_ns is not None:
            self._arrival_ns = max(self._arrival_ns, arrival_ns)
            return True
        if self._is_torn(file, base, None, successor, header_bytes=SEGMENT_HEADER_BYTES):
            self._torn_bytes += file.end_offset - base
            file.segment.path.unlink()
            return False
        self._set_aside(
            SEGMENT_HEADER_BYTES, damaged(file.segment.path, base, "the segment header is damaged")
        )
        _overwrite(file.segment.path, 0, pack_segment_header(base, self._arrival_ns))
        return True

    def _is_torn(
        self,
        file: SegmentFile,
        offset: int,
        header: Header | None,
        successor: int | None,
        header_bytes: int = FRAME_BYTES_MIN,
    ) -> bool:
        """The two conditions of a torn tail for the bad bytes at `offset`."""
        if max(self._checkpoint, successor or 0) > offset:
            return False
        later = list(file.sound_headers(offset + 1))
        if any(h.durable > offset for h in later):
            return False
        if header is not None:
            bad_end = header.end_offset
        elif later:
            bad_end = later[0].offset
        else:
            bad_end = max(file.end_offset, offset + header_bytes)
        return bad_end > file.end_offset or file.has_unwritten_block(offset, bad_end)

    def _cut(self, file: SegmentFile, offset: int) -> None:
        torn_bytes = file.end_offset - offset
        logger.warning(
            "cut %d bytes of unacknowledged frames off %s at offset %d",
            torn_bytes,
            file.segment.path,
            offset,
        )
        self._torn_bytes += torn_bytes
        os.truncate(file.segment.path, offset - file.segment.base)

    def _cut_overlap(self, file: SegmentFile, successor: int) -> None:
        path, extra_bytes = file.segment.path, file.end_offset - successor
        error = damaged(path, successor, f"{extra_bytes} bytes overlap the next segment")
        self._set_aside(extra_bytes, error)
        os.truncate(path, successor - file.segment.base)
        sync_path(path)

    def _skip_frame(
        self, file: SegmentFile, offset: int, header: Header | None, successor: int | None
    ) -> int:
        """Set the damaged frame at `offset` aside; the offset behind it."""
        if header is not None and header.end_offset <= file.end_offset:
            end, reason = header.end_offset, "a payload does not match its checksum"
        elif header is not None:
            end, reason = file.end_offset, "a frame is cut short"
        else:
            later = next(file.sound_headers(offset + 1), None)
            end = file.end_offset if later is None else later.offset
            reason = "there is no sound frame header"
        self._set_aside(end - offset, damaged(file.segment.path, offset, reason))
        return self._fill(file, offset, end)

    def _set_aside(self, size_bytes: int, error: JournalDamaged) -> None:
        """Raise `error` unless damage is to be skipped; then count it."""
        if not self._skip:
            raise error
        logger.warning("%s; set aside %d bytes", error, size_bytes)
        self._skipped_bytes += size_bytes

    def _fill(self, file: SegmentFile, offset: int, end_offset: int) -> int:
        """Make `[offset, end_offset)` something readers step over; the file grows if it is short."""
        path, base = file.segment.path, file.segment.base
        while offset < end_offset:
            size_bytes = min(end_offset - offset, _FILLER_BYTES_MAX)
            _overwrite(path, offset + size_bytes - 1 - base, END)
            filler = pack_filler(size_bytes, offset=offset, arrival_ns=self._arrival_ns)
            _overwrite(path, offset - base, filler)
            offset += size_bytes
        return offset


def _overwrite(path: Path, position: int, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.pwrite(fd, data, position)
        os.fsync(fd)
    finally:
        os.close(fd)
