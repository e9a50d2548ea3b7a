"""The thread that owns the journal's files while it is open: group commit, rolling, trimming.

While one group is being fsynced the next one gathers, so the number of fsyncs follows the disk and
not the number of requests. fsync releases the interpreter lock: the event loop goes on meanwhile.
"""

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from halo_otel.errors import HaloError, JournalFailed, JournalFull
from halo_otel.journal.checkpoint import write_checkpoint
from halo_otel.journal.disk import FILE_MODE, FULL_ERRNOS, sync_data, sync_path, write_all
from halo_otel.journal.frame import END, FRAME_BYTES_MIN, FrameKind, pack_header
from halo_otel.journal.recovery import Recovered
from halo_otel.journal.segment import Segment, pack_segment_header, segment_at

# How far the stored checkpoint may lag behind. Two fsyncs per 4 MiB of journal are below one percent
# of the fsyncs of the groups; after a crash at most this much is read again and skipped.
CHECKPOINT_STEP_BYTES: Final = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A frame that is not durable yet, and who waits for its end offset."""

    kind: FrameKind
    payload: bytes
    arrival_ns: int
    acknowledged: asyncio.Future[int]

    @property
    def frame_bytes(self) -> int:
        return FRAME_BYTES_MIN + len(self.payload)


Group = Sequence[Waiting]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a group: `ends` holds its frames' end offsets unless `error` is set."""

    group: Group
    ends: Sequence[int] = ()
    error: HaloError | None = None
    fatal: bool = False


class Committer:
    """Writes groups in order of submission and reports each one's `Verdict` from its thread.

    After a fatal verdict the thread has ended: an fsync that failed once may have thrown the pages
    away, so that a second one would succeed without them (the behaviour of Linux; "fsyncgate").
    """

    def __init__(
        self,
        directory: Path,
        found: Recovered,
        segment_bytes: int,
        report: Callable[[Verdict], None],
    ) -> None:
        self._directory = directory
        self._segment_bytes = segment_bytes
        self._report = report
        self._segments = list(found.segments)
        self._end_offset = found.end_offset
        self._arrival_ns = found.arrival_ns
        self._stored_checkpoint = found.checkpoint_offset
        self._fd = -1
        # Shared with the callers, guarded by the condition.
        self._changed = threading.Condition()
        self._waiting: deque[Waiting] = deque()
        self._checkpoint = found.checkpoint_offset
        self._stopping = False
        self._failure: JournalFailed | None = None
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    @property
    def end_offset(self) -> int:
        """The offset behind the last durable byte; for others than the thread only at the start."""
        return self._end_offset

    def start(self) -> None:
        """Open the last segment and start the thread."""
        if self._segments:
            self._fd = os.open(self._segments[-1].path, os.O_WRONLY | os.O_APPEND)
        else:
            self._roll()
        self._thread.start()

    def submit(self, waiting: Waiting) -> None:
        """Queue one frame. Raises JournalFailed if the thread has given up."""
        with self._changed:
            if self._failure is not None:
                raise self._failure.with_traceback(None)
            self._waiting.append(waiting)
            self._changed.notify()

    def checkpoint(self, offset: int) -> None:
        """Nothing below `offset` is needed any more."""
        with self._changed:
            self._checkpoint = offset
            self._changed.notify()

    def stop(self) -> None:
        """Write what was submitted and end the thread; blocks. Safe twice."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        group: Group = ()
        try:
            while True:
                group, checkpoint, last = self._next()
                if group:
                    self._commit(group)
                group = ()
                self._trim(checkpoint, close=last)
                if last:
                    return
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing may be acknowledged any more
            with suppress(OSError):
                # What could not be synced must not look durable to the next start.
                os.ftruncate(self._fd, self._end_offset - self._segments[-1].base)
            failure = JournalFailed(
                f"the journal in {self._directory} cannot be written ({error}): check the disk; "
                "nothing is acknowledged until the service has been restarted"
            )
            failure.__cause__ = error
            with self._changed:
                self._failure = failure
                group = [*group, *self._waiting]
                self._waiting.clear()
            self._report(Verdict(group=group, error=failure, fatal=True))
        finally:
            os.close(self._fd)

    def _next(self) -> tuple[Group, int, bool]:
        """Wait for work: the next group, the checkpoint, and whether this is the end."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._waiting or self._stopping or self._checkpoint_is_due(self._checkpoint)
            )
            group = self._take()
            return group, self._checkpoint, self._stopping and not self._waiting

    def _take(self) -> Group:
        """The waiting frames that fit into the segment, at least one if there are any."""
        group: list[Waiting] = []
        room_bytes = self._room_bytes() or self._segment_bytes
        while self._waiting and room_bytes > 0:
            waiting = self._waiting.popleft()
            group.append(waiting)
            room_bytes -= waiting.frame_bytes
        return group

    def _room_bytes(self) -> int:
        return max(0, self._segment_bytes - (self._end_offset - self._segments[-1].base))

    def _commit(self, group: Group) -> None:
        try:
            if not self._room_bytes():
                self._roll()
            ends = self._write(group)
        except OSError as error:
            if error.errno not in FULL_ERRNOS:
                raise
            os.ftruncate(self._fd, self._end_offset - self._segments[-1].base)
            sync_data(self._fd)
            full = JournalFull(
                f"no room to write the journal in {self._directory} ({error.strerror}): "
                "free space on that disk; senders keep their data and try again"
            )
            self._report(Verdict(group=group, error=full))
            return
        sync_data(self._fd)
        self._end_offset = ends[-1]
        self._arrival_ns = group[-1].arrival_ns
        self._report(Verdict(group=group, ends=ends))

    def _write(self, group: Group) -> list[int]:
        buffers: list[bytes] = []
        ends: list[int] = []
        offset = self._end_offset
        for waiting in group:
            header = pack_header(
                waiting.kind,
                waiting.payload,
                offset=offset,
                arrival_ns=waiting.arrival_ns,
                durable=self._end_offset,
            )
            buffers += (header, waiting.payload, END)
            offset += waiting.frame_bytes
            ends.append(offset)
        write_all(self._fd, buffers)
        return ends

    def _roll(self) -> None:
        """Begin the segment at the end offset; it is durable before the first frame is written."""
        segment = segment_at(self._directory, self._end_offset)
        header = pack_segment_header(segment.base, self._arrival_ns)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
        fd = os.open(segment.path, flags, FILE_MODE)
        try:
            write_all(fd, [header])
        except OSError:
            os.close(fd)
            segment.path.unlink()
            raise
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd
        self._segments.append(segment)
        sync_path(segment.path)
        sync_path(self._directory)
        self._end_offset += len(header)

    def _superfluous(self, checkpoint: int) -> list[Segment]:
        """Segments of which every byte lies below `checkpoint`; never the one that is written to."""
        pairs = pairwise(self._segments)
        return [segment for segment, successor in pairs if successor.base <= checkpoint]

    def _checkpoint_is_due(self, checkpoint: int) -> bool:
        if checkpoint - self._stored_checkpoint >= CHECKPOINT_STEP_BYTES:
            return True
        return bool(self._superfluous(checkpoint))

    def _trim(self, checkpoint: int, *, close: bool) -> None:
        """Store the checkpoint if that is due, then remove the segments it makes superfluous."""
        moved = checkpoint > self._stored_checkpoint
        if not self._checkpoint_is_due(checkpoint) and not (close and moved):
            return
        write_checkpoint(self._directory, checkpoint)
        self._stored_checkpoint = checkpoint
        for segment in self._superfluous(checkpoint):
            segment.path.unlink()
            self._segments.remove(segment)
