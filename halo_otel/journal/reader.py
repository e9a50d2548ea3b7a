"""The engine's side: frames in order, never beyond what is durable."""

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from halo_otel.errors import JournalDamaged
from halo_otel.journal.frame import Frame, FrameKind
from halo_otel.journal.segment import (
    SEGMENT_HEADER_BYTES,
    SegmentFile,
    damaged,
    list_segments,
    segment_at,
)


def oldest_offset(directory: Path) -> int:
    """Where the journal in `directory` begins: it may hold much that is before its checkpoint."""
    return min((segment.base for segment in list_segments(directory)), default=0)


class JournalReader:
    """Reads a journal that another process writes and trims, from `offset` on.

    `offset` is the end of a frame, as `Frame.end_offset` or a checkpoint gives it. Synchronous, for
    one thread; opens files when it first reads; a context manager, or `close` it (safe twice).
    """

    def __init__(self, directory: Path, offset: int) -> None:
        self._directory = directory
        self._offset = offset
        self._open = ExitStack()
        self._file: SegmentFile | None = None

    @property
    def offset(self) -> int:
        """Everything before this offset has been read."""
        return self._offset

    def read(self, durable_offset: int, max_bytes: int) -> list[Frame]:
        """The next frames that end at or before `durable_offset`; [] when there are none yet.

        Stops behind the frame with which the payloads reach `max_bytes`, so there is at least one.
        Raises JournalDamaged for a frame that is not what was written, and for a position the
        journal does not reach.
        """
        if self._offset > durable_offset:
            raise JournalDamaged(
                f"the windows contain the journal up to offset {self._offset}, but {self._directory} "
                f"ends at {durable_offset}: restore that directory, or move the windows away"
            )
        frames: list[Frame] = []
        size_bytes = 0
        while self._offset < durable_offset and size_bytes < max_bytes:
            frame = self._step(durable_offset)
            if frame is not None:
                frames.append(frame)
                size_bytes += len(frame.payload)
        return frames

    def close(self) -> None:
        """Let go of the open segment."""
        self._open.close()
        self._file = None

    def __enter__(self) -> "JournalReader":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def _step(self, durable_offset: int) -> Frame | None:
        """Go over one frame; None for what is not a request: segment headers, bytes set aside."""
        file = self._file_at(self._offset)
        offset = self._offset
        if offset == file.segment.base:
            if file.arrival_ns() is None:
                raise damaged(file.segment.path, offset, "the segment header is damaged")
            self._offset += SEGMENT_HEADER_BYTES
            return None
        header = file.header_at(offset)
        if header is None and file.is_pad(offset):
            self._offset += 1
            return None
        if header is None and (end := file.set_aside_end(offset)) is not None:
            # The frames on both sides of where a reader had stopped were damaged.
            self._offset = end
            return None
        payload = None if header is None else file.payload_of(header)
        if header is None or payload is None or header.end_offset > durable_offset:
            raise damaged(file.segment.path, offset, "a frame is not what was acknowledged")
        self._offset = header.end_offset
        if header.kind is FrameKind.FILLER:
            return None
        return Frame(
            offset=offset,
            end_offset=header.end_offset,
            kind=header.kind,
            arrival_ns=header.arrival_ns,
            payload=payload,
        )

    def _file_at(self, offset: int) -> SegmentFile:
        """The open segment that holds `offset`; older ones may have been removed meanwhile."""
        if self._file is not None and offset < self._file.end_offset:
            return self._file
        self.close()
        bases = [s.base for s in list_segments(self._directory) if s.base <= offset]
        segment = segment_at(self._directory, max(bases, default=offset))
        try:
            file = self._open.enter_context(SegmentFile(segment))
        except FileNotFoundError as error:
            raise damaged(segment.path, offset, "the segment is missing") from error
        if offset >= file.end_offset:
            raise damaged(segment.path, offset, "bytes that were acknowledged are missing")
        self._file = file
        return file
