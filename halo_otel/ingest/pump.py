"""Journal frames into windows, in order, exactly once."""

import logging
from collections import Counter
from collections.abc import Iterator
from itertools import takewhile
from typing import Final

from halo_otel.agentspan.prices import load_prices
from halo_otel.clock import NS_PER_S, Clock
from halo_otel.errors import BadRequest, HaloError, StateDamaged
from halo_otel.ingest.limits import Cutter
from halo_otel.ingest.quarantine import Quarantine
from halo_otel.ingest.rows import RowBuilder
from halo_otel.ingest.trial import Trial
from halo_otel.journal import Frame, FrameKind, JournalReader
from halo_otel.otlp.decode import decode_logs, decode_traces
from halo_otel.redact.records import RecordRedactor
from halo_otel.redact.redactor import Redactor
from halo_otel.selfobs import Counters
from halo_otel.window import Batch
from halo_otel.window.store import WindowStore
from halo_otel.window.tables import rows

# What one tick takes at least if it is there. A commit costs some 10 ms however many rows it has, and
# a span of 1 KB takes 4 KB on its way (measured): 8 MiB, about 8 k spans, cost 32 MB for a moment,
# make the commit 1 µs a span and fill DuckDB's row groups.
TICK_BYTES_MAX: Final = 8 << 20
# A request may hold a million small spans, each some kilobytes on its way. They are laid down in
# pieces, in one transaction: a piece of so many takes some hundred megabytes.
BATCH_ROWS_MAX: Final = 32_768

logger = logging.getLogger(__name__)


class Ingest:
    """Moves frames from a journal reader into a window store.

    Frames that the windows already contain are skipped, so the reader may start anywhere at or before
    `store.resume_offset`. A request that our code fails at, or that kills the process twice, is set
    aside and the others go on (`quarantine`, `trial`).
    """

    def __init__(
        self,
        reader: JournalReader,
        store: WindowStore,
        counters: Counters,
        clock: Clock,
        *,
        successor: bool = False,
        tick_bytes_max: int = TICK_BYTES_MAX,
        redact: Redactor | None = None,
    ) -> None:
        """`successor`: the process before this one died by itself, in the midst of its work."""
        self._reader = reader
        self._store = store
        self._counters = counters
        self._clock = clock
        self._quarantine = Quarantine(store.directory, store.quarantine_bytes, counters)
        self._trial = Trial(store.directory, successor=successor)
        self._tick_bytes_max = tick_bytes_max
        self._redact = redact
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
            self._try(group)
            checkpoint, newest_ns = group[-1].end_offset, group[-1].arrival_ns
            del self._frames[: len(group)]
        now_ns = self._clock.arrival_ns()
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
        """The next frames that go to one window; one that is under suspicion goes alone."""
        if self._trial.suspects(self._frames[0]):
            return self._frames[:1]
        start_ns = self._store.start_of(self._frames[0].arrival_ns)
        return list(
            takewhile(lambda f: self._store.start_of(f.arrival_ns) == start_ns, self._frames)
        )

    def _try(self, group: list[Frame]) -> None:
        """Commit `group`, so that a death meanwhile is known to be about it."""
        if self._trial.convicts(group[0]):
            self._set_aside(group[0], "whenever it was to be stored, the process died")
            self._trial.end()
            return
        self._trial.begin(group)
        try:
            self._commit(group)
        except HaloError:  # the disk, say: no fault of what is in the group
            self._trial.end()
            raise
        self._trial.end()

    def _commit(self, group: list[Frame]) -> None:
        builder, counts = (
            RowBuilder(
                self._store.keep,
                load_prices(self._store.prices_file),
                self._store.limits.attribute_depth_limit,
            ),
            Counter[str](),
        )
        batches = self._batches(group, builder, counts)
        first = next(batches, None)
        if first is not None:
            start_ns = self._store.start_of(group[0].arrival_ns)
            self._store.insert(start_ns, first, group[-1].end_offset, batches)
        counts["halo.ingest.cut_values"] += builder.flattened
        for name, count in counts.items():
            self._counters.add(name, count)

    def _batches(
        self, group: list[Frame], builder: RowBuilder, counts: Counter[str]
    ) -> Iterator[Batch]:
        """The rows of `group`, so many at a time that memory is bounded, whatever is in a request."""

        def counted() -> Batch:
            batch = builder.batch()
            counts["halo.ingest.spans"] += rows(batch.spans)
            counts["halo.ingest.log_records"] += rows(batch.log_records)
            return batch

        for frame in group:
            if frame.end_offset > self._store.resume_offset:
                for _ in self._added(builder, frame, counts):
                    if builder.size >= BATCH_ROWS_MAX:
                        yield counted()
        if builder.size:
            yield counted()

    def _added(self, builder: RowBuilder, frame: Frame, left_out: Counter[str]) -> Iterator[None]:
        """Add what is in `frame`, one item at a time."""
        # An index never reaches the next frame's offset: each item takes more than a byte.
        cutter = Cutter(self._store.limits, left_out)
        size_bytes = len(frame.payload)
        redact = self._redact and RecordRedactor(self._redact)
        try:
            if frame.kind is FrameKind.TRACES:
                spans = cutter.spans(decode_traces(frame.payload), size_bytes)
                spans = redact.spans(spans) if redact else spans
                for position, span in enumerate(spans, frame.offset):
                    if not builder.add_span(span, frame.arrival_ns, position):
                        left_out["halo.ingest.superseded_spans"] += 1
                    yield
            elif frame.kind is FrameKind.LOGS:
                records = cutter.log_records(decode_logs(frame.payload), size_bytes)
                records = redact.log_records(records, builder.wants) if redact else records
                for position, record in enumerate(records, frame.offset):
                    if not builder.add_log_record(record, frame.arrival_ns, position):
                        left_out["halo.ingest.let_go_log_records"] += 1
                    yield
        except BadRequest as error:
            self._set_aside(frame, str(error))
        except (HaloError, MemoryError):
            raise
        except Exception as error:
            # A mistake of ours, and the same one at each start: the other requests must go on.
            logger.exception("a request cannot be stored")
            self._set_aside(frame, type(error).__name__)

    def _set_aside(self, frame: Frame, why: str) -> None:
        """Keep what cannot be stored, for a human; the others go on."""
        kept = self._quarantine.keep(frame)
        logger.error(
            "the request at journal offset %d (%d bytes) cannot be stored (%s): it is %s",
            frame.offset,
            len(frame.payload),
            why,
            "set aside in the quarantine" if kept else "let go: window.quarantine_bytes is reached",
        )
