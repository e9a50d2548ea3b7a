"""The writer: what the front process appends to, and what the engine's progress trims."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from halo_otel.clock import Clock
from halo_otel.config import sections
from halo_otel.errors import HaloError, JournalDamaged, JournalFailed, JournalFull, TooLarge
from halo_otel.journal.committer import Committer, Verdict, Waiting
from halo_otel.journal.disk import SyncFailed, lock_directory
from halo_otel.journal.frame import FRAME_BYTES_MIN, FrameKind
from halo_otel.journal.recovery import Recovered, recover
from halo_otel.selfobs import Counters


class Journal:
    """Async context manager over one directory; all methods belong to the event loop it entered.

    Entering locks the directory and recovers it: raises `InUse`, `JournalDamaged`, `ConfigError`.
    Leaving writes what was appended and lets go of the directory; safe twice and unstarted.
    """

    def __init__(
        self, directory: Path, config: sections.Journal, clock: Clock, counters: Counters
    ) -> None:
        self._directory = directory
        self._config = config
        self._clock = clock
        self._counters = counters
        self._callbacks: list[Callable[[int], None]] = []
        self._committer: Committer | None = None
        self._lock_fd = -1
        self._durable_offset = 0
        self._checkpoint_offset = 0
        self._pending_bytes = 0
        self._refused_bytes = 0  # of the last frame there was no room for
        self._failure: HaloError | None = None
        self._failed = asyncio.Event()

    @property
    def durable_offset(self) -> int:
        """Everything before this offset has been fsynced."""
        return self._durable_offset

    @property
    def checkpoint_offset(self) -> int:
        """Everything before this offset is contained in a window."""
        return self._checkpoint_offset

    @property
    def full(self) -> bool:
        """Whether there is still no room for a frame like the one that was refused last."""
        return self._room_bytes < self._refused_bytes

    async def __aenter__(self) -> "Journal":
        self._lock_fd = await lock_directory(self._directory, self._clock)
        try:
            found, committer = await asyncio.to_thread(self._open, asyncio.get_running_loop())
        except BaseException:
            os.close(self._lock_fd)
            raise
        self._committer = committer
        self._durable_offset = committer.end_offset
        self._checkpoint_offset = found.checkpoint_offset
        self._clock.reach(found.arrival_ns)
        for name, size_bytes in (("torn", found.torn_bytes), ("skipped", found.skipped_bytes)):
            if size_bytes:
                self._counters.add(f"halo.journal.{name}_bytes", size_bytes)
        self._measure()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        committer, self._committer = self._committer, None
        if committer is not None:
            await asyncio.to_thread(self._close, committer)

    def _open(self, loop: asyncio.AbstractEventLoop) -> tuple[Recovered, Committer]:
        def report(verdict: Verdict) -> None:
            loop.call_soon_threadsafe(self._settle, verdict)

        try:
            found = recover(self._directory, skip=self._config.on_damage == "skip")
            committer = Committer(self._directory, found, self._config.segment_bytes, report)
            committer.start()
        except (OSError, SyncFailed) as error:
            raise JournalFailed(
                f"the journal in {self._directory} cannot be opened ({error}): check that disk"
            ) from error
        return found, committer

    def _close(self, committer: Committer) -> None:
        committer.stop()
        os.close(self._lock_fd)

    async def run(self) -> None:
        """Wait until the journal breaks and raise why; for the service's task group, so that the
        service goes down instead of refusing for ever."""
        await self._failed.wait()
        assert self._failure is not None
        raise self._failure

    async def append(self, kind: FrameKind, payload: bytes) -> int:
        """Journal one serialised request; returns the frame's end offset once it is fsynced.

        Raises JournalFull when the journal or its disk has no room now, TooLarge when the request
        could never fit, JournalFailed when the journal is broken or closed. Nothing is stored then.
        """
        if self._committer is None:
            raise JournalFailed("the journal is closed: the service is not running")
        self._check_room(FRAME_BYTES_MIN + len(payload))
        waiting = Waiting(
            kind=kind,
            payload=payload,
            arrival_ns=self._clock.arrival_ns(),
            acknowledged=asyncio.get_running_loop().create_future(),
        )
        self._committer.submit(waiting)
        self._pending_bytes += waiting.frame_bytes
        return await waiting.acknowledged

    def checkpoint(self, offset: int) -> None:
        """Everything before `offset` is committed in a window: forget it when that is convenient.

        Cheap: files are written by the committer, and only when a segment can go. Offsets that are
        not ahead of the last one change nothing. Raises JournalDamaged for an offset that was never
        durable here, which means that windows and journal are not of one origin.
        """
        if offset <= self._checkpoint_offset:
            return
        if offset > self._durable_offset:
            raise JournalDamaged(
                f"the windows contain the journal up to offset {offset}, but {self._directory} ends "
                f"at {self._durable_offset}: restore that directory, or move the windows away"
            )
        self._checkpoint_offset = offset
        self._measure()
        if self._committer is not None:
            self._committer.checkpoint(offset)

    def on_durable(self, callback: Callable[[int], None]) -> None:
        """Have `callback` called in the event loop with the durable offset after each commit."""
        self._callbacks.append(callback)

    def _check_room(self, frame_bytes: int) -> None:
        max_bytes = self._config.max_bytes
        if frame_bytes > max_bytes:
            raise TooLarge(
                f"a request of {frame_bytes} bytes exceeds journal.max_bytes ({max_bytes}): "
                "send smaller batches or raise the limit"
            )
        if self._room_bytes < frame_bytes:
            self._refused_bytes = frame_bytes
            raise JournalFull(
                f"{max_bytes - self._room_bytes} bytes are journaled and not yet ingested; "
                f"journal.max_bytes is {max_bytes}: try again later"
            )

    @property
    def _room_bytes(self) -> int:
        held_bytes = self._durable_offset - self._checkpoint_offset + self._pending_bytes
        return self._config.max_bytes - held_bytes

    def _settle(self, verdict: Verdict) -> None:
        """Tell those who wait for a group what became of it."""
        self._pending_bytes -= sum(waiting.frame_bytes for waiting in verdict.group)
        if verdict.error is not None:
            for waiting in verdict.group:
                if not waiting.acknowledged.done():  # else its sender went away
                    waiting.acknowledged.set_exception(verdict.error)
            if verdict.fatal:
                self._failure = verdict.error
                self._failed.set()
            return
        self._durable_offset = verdict.ends[-1]
        self._measure()
        for waiting, end_offset in zip(verdict.group, verdict.ends, strict=True):
            if not waiting.acknowledged.done():
                waiting.acknowledged.set_result(end_offset)
        for callback in self._callbacks:
            callback(self._durable_offset)

    def _measure(self) -> None:
        self._counters.set("halo.journal.bytes", self._durable_offset - self._checkpoint_offset)
