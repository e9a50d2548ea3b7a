"""Journal frames into windows, in order, exactly once."""

import os
from collections import Counter
from itertools import takewhile
from typing import Final

from halo_otel.agentspan.prices import load_prices
from halo_otel.clock import NS_PER_S, Clock
from halo_otel.errors import BadRequest, StateDamaged, Unwritable
from halo_otel.ingest.rows import RowBuilder
from halo_otel.journal import Frame, FrameKind, JournalReader
from halo_otel.otlp.decode import decode_logs, decode_traces
from halo_otel.selfobs import Counters
from halo_otel.window.store import WindowStore
from halo_otel.window.tables import rows

# What one tick takes at least if it is there. A commit costs some 10 ms however many rows it has, and
# a span of 1 KB takes 4 KB on its way (measured): 8 MiB, about 8 k spans, cost 32 MB for a moment,
# make the commit 1 µs a span and fill DuckDB's row groups.
TICK_BYTES_MAX: Final = 8 << 20

UNDECODABLE_DIRECTORY: Final = "undecodable"  # below the windows' directory
UNDECODABLE_FILES_MAX: Final = 100


class Ingest:
    """Moves frames from a journal reader into a window store.

    Frames that the windows already contain are skipped, so the reader may start anywhere at or before
    `store.resume_offset`.
    """

    def __init__(
        self,
        reader: JournalReader,
        store: WindowStore,
        counters: Counters,
        clock: Clock,
        *,
        tick_bytes_max: int = TICK_BYTES_MAX,
    ) -> None:
        self._reader = reader
        self._store = store
        self._counters = counters
        self._clock = clock
        self._tick_bytes_max = tick_bytes_max
        self._frames: list[Frame] = []  # read and not yet committed: a tick that raised left them

    def tick(self, durable_offset: int) -> int | None:
        """Commit the next frames; seal the windows they have passed, delete those past retention.

        `durable_offset` is the end of what the journal has fsynced. Returns the offset up to which
        everything is in windows, or None if nothing was left to do. Blocks for up to a second: call
        it in a thread, again and again until it returns None. After an error the tick may be repeated.
        Raises `Unwritable` (the disk refuses) and `StateDamaged`.
        """
        self._check_same_journal(durable_offset)
        if not self._frames:
            self._frames = self._reader.read(durable_offset, self._tick_bytes_max)
        checkpoint = None
        while self._frames:
            group = self._next_group()
            self._store.seal_before(group[0].arrival_ns)
            self._commit(group)
            checkpoint, newest_ns = group[-1].end_offset, group[-1].arrival_ns
            del self._frames[: len(group)]
        now_ns = self._clock.now_ns()
        lag_ns = 0
        if checkpoint is None or checkpoint >= durable_offset:
            self._store.seal_before(now_ns)
        else:
            lag_ns = max(0, now_ns - newest_ns)
        self._store.expire(now_ns)
        self._counters.set("halo.window.lag_seconds", lag_ns / NS_PER_S)
        return checkpoint

    def _check_same_journal(self, durable_offset: int) -> None:
        if durable_offset < self._store.resume_offset:
            raise StateDamaged(
                f"the windows in {self._store.directory} contain a journal up to offset"
                f" {self._store.resume_offset}, but this journal ends at {durable_offset}: it is"
                " another one. Put the right journal back, or move the windows to another directory."
            )

    def _next_group(self) -> list[Frame]:
        """The next frames that go to one window."""
        start_ns = self._store.start_of(self._frames[0].arrival_ns)
        return list(
            takewhile(lambda f: self._store.start_of(f.arrival_ns) == start_ns, self._frames)
        )

    def _commit(self, group: list[Frame]) -> None:
        builder, left_out = (
            RowBuilder(self._store.keep, load_prices(self._store.prices_file)),
            Counter[str](),
        )
        for frame in group:
            if frame.end_offset > self._store.resume_offset:
                self._add(builder, frame, left_out)
        if builder.size:
            batch = builder.batch()
            start_ns = self._store.start_of(group[0].arrival_ns)
            self._store.insert(start_ns, batch, group[-1].end_offset)
            self._counters.add("halo.ingest.spans", rows(batch.spans))
            self._counters.add("halo.ingest.log_records", rows(batch.log_records))
        for name, count in left_out.items():
            self._counters.add(name, count)

    def _add(self, builder: RowBuilder, frame: Frame, left_out: Counter[str]) -> None:
        # An index never reaches the next frame's offset: each item takes more than a byte.
        try:
            if frame.kind is FrameKind.TRACES:
                for position, span in enumerate(decode_traces(frame.payload), frame.offset):
                    if not builder.add_span(span, frame.arrival_ns, position):
                        left_out["halo.ingest.superseded_spans"] += 1
            elif frame.kind is FrameKind.LOGS:
                for position, record in enumerate(decode_logs(frame.payload), frame.offset):
                    if not builder.add_log_record(record, frame.arrival_ns, position):
                        left_out["halo.ingest.let_go_log_records"] += 1
        except BadRequest:
            self._set_aside(frame)

    def _set_aside(self, frame: Frame) -> None:
        """Keep what the receiver should not have admitted, for a human; the others go on."""
        self._counters.add("halo.ingest.undecodable_frames")
        directory = self._store.directory / UNDECODABLE_DIRECTORY
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
            if sum(1 for _ in directory.iterdir()) < UNDECODABLE_FILES_MAX:
                with open(directory / f"{frame.offset}.bin", "wb") as file:
                    file.write(frame.payload)
                    file.flush()
                    os.fsync(file.fileno())
        except OSError as error:
            raise Unwritable(f"{directory} cannot be written: {error}; make room") from error
