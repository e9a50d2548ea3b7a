"""Empties the outbox into the Collector.

    due ──claim──▶ batch ──▶ delivered ──▶ forgotten, counted as sent
     ▲               │
     │               ├─ delayed ──▶ due again after a pause; nothing of this kind is tried before
     │               │              1 s, 2 s, 4 s … exporters.otlp.max_backoff, with jitter
     └───────────────┘
                     └─ refused ──▶ halves are sent alone until the culprit is found; it is
                                    dropped, counted and logged

Log records and spans pause independently: a Collector may have a pipeline for one of them only.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from types import TracebackType
from typing import Final

from halo_otel.clock import NS_PER_S, Clock
from halo_otel.config.sections import OtlpExporter
from halo_otel.emitter.client import Client, Delayed, Delivered, Refused
from halo_otel.errors import Unreachable
from halo_otel.findings import Pending, Registry, SignalKind
from halo_otel.redact.redactor import Redactor
from halo_otel.selfobs import Counters

_log = logging.getLogger(__name__)

POLL_S: Final = 1.0  # pause of `run` between two looks at the outbox
FIRST_BACKOFF_S: Final = 1.0
# A Collector's OTLP receiver takes messages of up to 4 MiB by default (gRPC's own limit); OTLP/JSON
# is larger than the protobuf made of it, so this stays well below.
BATCH_RECORDS_MAX: Final = 256
BATCH_BYTES_MAX: Final = 1 << 20
# A batch that is refused may be halved and tried again; the claim must outlive that.
_LEASE_TIMEOUTS: Final = 4
_KINDS: Final = (SignalKind.LOG, SignalKind.SPAN)


_PIPELINE: Final = "check that its OTLP receiver has a pipeline for them"
_ITS_LOG: Final = "its log may say what it has against them"


@dataclass(slots=True)
class _Pace:
    """How fast one kind of record may go."""

    failures: int = 0  # in a row
    told: set[str] = field(default_factory=set)  # codes of this outage that were logged
    resume_ns: int = 0
    records_max: int = BATCH_RECORDS_MAX


class Emitter:
    """Sends what the registry's outbox holds. Async context manager around its connection.

    `random` spreads the retries of replicas; seeded in tests. The words of what is sent pass through `redact`.
    """

    def __init__(
        self,
        registry: Registry,
        config: OtlpExporter,
        clock: Clock,
        counters: Counters,
        random: Random,
        redact: Redactor | None = None,
    ) -> None:
        self._registry = registry
        self._config = config
        self._clock = clock
        self._counters = counters
        self._random = random
        self._client = Client(config, counters, redact)
        self._paces = {kind: _Pace() for kind in _KINDS}
        self._registry_silent = False
        self._complained: set[tuple[SignalKind, str]] = set()

    async def __aenter__(self) -> "Emitter":
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self,
        type_: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._client.__aexit__(type_, error, traceback)

    async def run(self) -> None:
        """Send for ever; ends by cancellation. What was under way then is sent again later.

        A registry that does not answer is waited for, like a Collector.
        """
        while True:
            try:
                await self.tick(self._clock.now_ns())
            except Unreachable as error:
                self._counters.add("halo.emitter.failed_attempts", kind="registry")
                if not self._registry_silent:
                    _log.warning("nothing is sent for now: %s", error)
                self._registry_silent = True
            else:
                self._registry_silent = False
            await self._clock.sleep(POLL_S)

    async def tick(self, now_ns: int) -> None:
        """Send what is due, log records first, until nothing is or the Collector does not take it.

        Raises `Unreachable` when the registry does not answer.
        """
        for kind in _KINDS:
            pace = self._paces[kind]
            while now_ns >= pace.resume_ns:
                records = await asyncio.to_thread(
                    self._registry.pending, kind, BATCH_RECORDS_MAX, now_ns, self._lease_s
                )
                for batch in _batches(records, pace):
                    if now_ns >= pace.resume_ns:
                        await self._send(kind, batch, now_ns)
                    else:
                        await self._fail(batch, pace.resume_ns)
                if len(records) < BATCH_RECORDS_MAX:
                    break
        waiting = await asyncio.to_thread(self._registry.outbox_size)
        self._counters.set("halo.emitter.outbox", waiting)

    @property
    def _lease_s(self) -> float:
        return _LEASE_TIMEOUTS * self._config.timeout + self._config.max_backoff

    async def _send(self, kind: SignalKind, batch: Sequence[Pending], now_ns: int) -> None:
        """Send `batch`, or its halves, and say in the outbox what came of it."""
        work = [batch]
        while work:
            batch = work.pop()
            if now_ns < self._paces[kind].resume_ns:
                await self._fail(batch, self._paces[kind].resume_ns)
                continue
            answer = await self._client.export(kind, [record.payload for record in batch])
            match answer:
                case Delivered():
                    await self._delivered(kind, batch, answer)
                case Delayed():
                    await self._delayed(kind, batch, answer, now_ns)
                case Refused() if answer.unsupported or len(batch) == 1:
                    await self._refused(kind, batch, answer)
                case Refused():
                    middle = len(batch) // 2
                    work += [batch[middle:], batch[:middle]]

    async def _delivered(
        self, kind: SignalKind, batch: Sequence[Pending], answer: Delivered
    ) -> None:
        pace = self._paces[kind]
        if pace.failures:
            _log.info("the Collector at %s takes %ss again", self._config.endpoint, kind)
        pace.failures = 0
        pace.told.clear()
        pace.records_max = min(pace.records_max * 2, BATCH_RECORDS_MAX)
        await self._forget(batch)
        self._counters.add("halo.emitter.sent_records", len(batch) - answer.rejected, kind=kind)
        if answer.rejected:
            self._count_dropped(kind, answer.rejected, f"partial_success: {answer.why}", _ITS_LOG)

    async def _delayed(
        self, kind: SignalKind, batch: Sequence[Pending], answer: Delayed, now_ns: int
    ) -> None:
        pace = self._paces[kind]
        code = _code(answer.why)
        if code not in pace.told:
            pace.told.add(code)
            _log.warning(
                "the Collector at %s does not take %ss now (%s): they wait in the outbox",
                self._config.endpoint,
                kind,
                answer.why,
            )
        if answer.too_much:
            pace.records_max = max(1, len(batch) // 2)
        backoff_s = min(FIRST_BACKOFF_S * 2**pace.failures, self._config.max_backoff)
        backoff_s = max(backoff_s * self._random.uniform(0.5, 1.0), answer.retry_after_s)
        pace.failures = min(pace.failures + 1, 60)  # beyond, 2**n says no more than max_backoff
        pace.resume_ns = now_ns + round(backoff_s * NS_PER_S)
        self._counters.add("halo.emitter.failed_attempts", kind=kind)
        await self._fail(batch, pace.resume_ns)

    async def _refused(self, kind: SignalKind, batch: Sequence[Pending], answer: Refused) -> None:
        await self._forget(batch)
        cure = _PIPELINE if answer.unsupported else _ITS_LOG
        self._count_dropped(kind, len(batch), answer.why, cure)

    def _count_dropped(self, kind: SignalKind, count: int, why: str, cure: str) -> None:
        self._counters.add("halo.emitter.dropped_records", count, reason="refused", kind=kind)
        code = _code(why)
        if (kind, code) not in self._complained:
            self._complained.add((kind, code))
            _log.error(
                "%d %s record(s) cannot be delivered to the Collector at %s, now or later (%s): they"
                " are dropped; %s. Said once; later ones are counted in"
                " halo.emitter.dropped_records",
                count,
                kind,
                self._config.endpoint,
                why,
                cure,
            )

    async def _forget(self, batch: Sequence[Pending]) -> None:
        ids = [record.record_id for record in batch]
        await asyncio.to_thread(self._registry.mark_emitted, ids)

    async def _fail(self, batch: Sequence[Pending], next_attempt_ns: int) -> None:
        ids = [record.record_id for record in batch]
        await asyncio.to_thread(self._registry.mark_failed, ids, next_attempt_ns)


def _code(why: str) -> str:
    return why.partition(":")[0]


def _batches(records: Sequence[Pending], pace: _Pace) -> Iterator[list[Pending]]:
    """`records` in order, in batches within the limits of count and bytes."""
    batch: list[Pending] = []
    size_bytes = 0
    for record in records:
        record_bytes = len(record.payload)  # ASCII: otlpjson escapes the rest
        full = len(batch) >= pace.records_max or size_bytes + record_bytes > BATCH_BYTES_MAX
        if batch and full:
            yield batch
            batch, size_bytes = [], 0
        batch.append(record)
        size_bytes += record_bytes
    if batch:
        yield batch
