"""The one way in behind both servers: admission, bounds, journal, counters."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from halo_otel.config import sections
from halo_otel.errors import Overloaded, Permanent, Retryable
from halo_otel.journal import FrameKind, Journal
from halo_otel.receiver.admission import Signal, Verdict, admit
from halo_otel.receiver.inflight import Held, InFlight
from halo_otel.receiver.memory import Memory
from halo_otel.selfobs import Counters

_RESPONSES: Final[dict[Signal, Any]] = {
    "traces": ExportTraceServiceResponse,
    "logs": ExportLogsServiceResponse,
    "metrics": ExportMetricsServiceResponse,
}
_KINDS: Final[dict[Signal, FrameKind]] = {"traces": FrameKind.TRACES, "logs": FrameKind.LOGS}
_ITEMS: Final[dict[Signal, str]] = {"traces": "spans", "logs": "log_records"}
# To judge a larger request takes long enough for others to be let in between, one at a time.
_LARGE_BYTES: Final = 1 << 20
# How large a request will be is not known before it is there: as large as those before it, whose size counts
# for half after some seven others. It is in memory as it comes, in one piece and parsed.
_USUAL_KEPT: Final = 0.9
_COPIES: Final = 3
_CAPITAL: Final = re.compile(r"(?<!^)(?=[A-Z])")


class Intake:
    """Takes requests of both transports; belongs to one event loop."""

    def __init__(
        self,
        journal: Journal,
        config: sections.Otlp,
        counters: Counters,
        memory: Memory | None = None,
    ) -> None:
        self._journal = journal
        self._config = config
        self._counters = counters
        self._in_flight = InFlight(config.max_in_flight_bytes, config.max_concurrent_requests)
        self._memory = memory
        if memory is not None:
            memory.on_critical = self._in_flight.let_go
        self._usual_bytes = 0.0
        self._large = asyncio.Lock()
        self._draining = False

    @property
    def retry_delay_s(self) -> float:
        """What a refused sender is told to wait."""
        return self._config.retry_delay

    def drain(self) -> None:
        """From now on ask every sender to come back later; requests in flight are finished."""
        self._draining = True

    def hold(self) -> Held:
        """Account for one request while it is in memory: `with intake.hold() as held`.

        Raises Overloaded while draining, when memory runs out, and when too many are open.
        """
        if self._draining:
            raise Overloaded("this service is stopping: send the request again", "stopping")
        if self._memory is not None:
            self._memory.check(round(self._in_flight.requests * self._usual_bytes) * _COPIES)
        return Held(self._in_flight)

    @asynccontextmanager
    async def receiving(self, patience_s: float | None) -> AsyncIterator[None]:
        """While a request comes: raises Overloaded after `patience_s`, or when memory runs out."""
        deadline = asyncio.timeout(patience_s)
        try:
            async with deadline:
                with self._in_flight.awaiting(deadline):
                    yield
        except TimeoutError:
            if self._memory is not None and self._memory.critical:
                why = self._memory.refusing
                raise Overloaded(f"{why}: send the request again", "memory") from None
            raise Overloaded("the request came too slowly: send it again", "slow") from None

    async def export(self, signal: Signal, payload: bytes, transport: str) -> Any:
        """Admit and journal one serialised request; returns the `Export…ServiceResponse`.

        Raises BadRequest, JournalFull, JournalFailed, TooLarge.
        """
        began_s = asyncio.get_running_loop().time()
        self._usual_bytes = max(len(payload), self._usual_bytes * _USUAL_KEPT)
        most = self._config.max_items_per_request
        if len(payload) < _LARGE_BYTES:
            verdict = admit(signal, payload)
        else:
            async with self._large:
                verdict = await asyncio.to_thread(admit, signal, payload, most)
        if verdict.payload:
            try:
                await self._journal.append(_KINDS[signal], verdict.payload)
            except Retryable:
                name = f"halo.receiver.refused_{_ITEMS[signal]}"
                self._counters.add(name, verdict.accepted, transport=transport)
                raise
        self._count(signal, verdict, transport)
        took_s = asyncio.get_running_loop().time() - began_s
        self._counters.observe(
            "halo.receiver.request_duration_seconds", took_s, transport=transport
        )
        response = _RESPONSES[signal]()
        if verdict.rejected:
            # A full success must leave partial_success unset, so it is touched only here.
            partial = response.partial_success
            setattr(partial, f"rejected_{_ITEMS[signal]}", verdict.rejected)
            partial.error_message = f"{verdict.rejected} {_ITEMS[signal]} rejected: {verdict.rule}"
        return response

    def count_refusal(self, error: Exception, transport: str) -> None:
        """Count a request that was not acknowledged because of `error`."""
        name = "failed" if isinstance(error, Permanent) else "refused"
        reason = error.reason if isinstance(error, Overloaded) else _snake(type(error).__name__)
        self._counters.add(f"halo.receiver.{name}_requests", transport=transport, reason=reason)

    def count_cut(self, values: int, transport: str) -> None:
        """Count values that were nested too deep to be read again."""
        self._counters.add("halo.receiver.too_deep_values", values, transport=transport)

    def count_internal_error(self, transport: str) -> None:
        """Count a mistake of ours; the sender is asked to retry."""
        self._counters.add("halo.receiver.internal_errors", transport=transport)

    def _count(self, signal: Signal, verdict: Verdict, transport: str) -> None:
        if signal == "metrics":
            self._counters.add("halo.receiver.ignored_metric_requests", transport=transport)
            return
        items = _ITEMS[signal]
        for name, value in (
            (f"halo.receiver.accepted_{items}", verdict.accepted),
            (f"halo.receiver.rejected_{items}", verdict.rejected),
            ("halo.receiver.looped_items", verdict.looped),
            ("halo.receiver.repaired_requests", int(verdict.repaired)),
            ("halo.receiver.too_deep_values", verdict.too_deep),
        ):
            if value:
                self._counters.add(name, value, transport=transport)


def _snake(name: str) -> str:
    """`JournalFull` as `journal_full`."""
    return _CAPITAL.sub("_", name).lower()
