"""The one way in behind both servers: admission, bounds, journal, counters."""

from typing import Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from halo_otel.config import sections
from halo_otel.errors import Overloaded, Permanent
from halo_otel.journal import FrameKind, Journal
from halo_otel.receiver.admission import Signal, Verdict, admit
from halo_otel.receiver.inflight import Held, InFlight
from halo_otel.selfobs import Counters

_RESPONSES: Final[dict[Signal, Any]] = {
    "traces": ExportTraceServiceResponse,
    "logs": ExportLogsServiceResponse,
    "metrics": ExportMetricsServiceResponse,
}
_KINDS: Final[dict[Signal, FrameKind]] = {"traces": FrameKind.TRACES, "logs": FrameKind.LOGS}
_ITEMS: Final[dict[Signal, str]] = {"traces": "spans", "logs": "log_records"}


class Intake:
    """Takes requests of both transports; belongs to one event loop."""

    def __init__(self, journal: Journal, config: sections.Otlp, counters: Counters) -> None:
        self._journal = journal
        self._config = config
        self._counters = counters
        self._in_flight = InFlight(config.max_in_flight_bytes)
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

        Raises Overloaded while draining.
        """
        if self._draining:
            raise Overloaded("this service is stopping: send the request again")
        return Held(self._in_flight)

    async def export(self, signal: Signal, payload: bytes, transport: str) -> Any:
        """Admit and journal one serialised request; returns the `Export…ServiceResponse`.

        Raises BadRequest, JournalFull, JournalFailed, TooLarge.
        """
        verdict = admit(signal, payload)
        if verdict.payload:
            await self._journal.append(_KINDS[signal], verdict.payload)
        self._count(signal, verdict, transport)
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
        self._counters.add(f"halo.receiver.{name}_requests", transport=transport)

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
        ):
            if value:
                self._counters.add(name, value, transport=transport)
