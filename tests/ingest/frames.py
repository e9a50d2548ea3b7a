"""A real journal to fill and requests to fill it with."""

import asyncio
from pathlib import Path

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from halo_otel.clock import ManualClock
from halo_otel.config import sections
from halo_otel.journal import FrameKind, Journal
from halo_otel.selfobs import Counters


class JournalFile:
    """Appends through the real writer; `durable` is where it ends."""

    def __init__(self, directory: Path, clock: ManualClock) -> None:
        self.directory = directory
        self.durable = 0
        self.clock = clock
        self.append()  # an empty journal, so that readers find one

    def append(self, *payloads: bytes, kind: FrameKind = FrameKind.TRACES) -> int:
        """The offset up to which the journal is durable then."""
        self.append_over_time([(payload, 0) for payload in payloads], kind)
        return self.durable

    def append_over_time(
        self, timed: list[tuple[bytes, float]], kind: FrameKind = FrameKind.TRACES
    ) -> list[int]:
        """Append each payload so many seconds after the one before; where each frame ends."""
        return asyncio.run(self._append(timed, kind))

    async def _append(self, timed: list[tuple[bytes, float]], kind: FrameKind) -> list[int]:
        config = sections.Journal(segment_bytes=1 << 14)
        async with Journal(self.directory, config, self.clock, Counters()) as journal:
            ends = []
            for payload, seconds in timed:
                self.clock.advance(seconds)
                ends.append(await journal.append(kind, payload))
            self.durable = journal.durable_offset
        return ends


def traces(*numbers: int, text: str = "") -> bytes:
    """A request with one span per number."""
    message = ExportTraceServiceRequest()
    group = message.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "booking"
    scope_spans = group.scope_spans.add()
    for number in numbers:
        span = scope_spans.spans.add(name=f"step {number}", end_time_unix_nano=number)
        span.trace_id = (number // 10 + 1).to_bytes(16, "big")
        span.span_id = (number + 1).to_bytes(8, "big")
        if text:
            span.attributes.add(key="text").value.string_value = text
    return message.SerializeToString()


def logs(*texts: str, event_name: str = "gen_ai.choice", trace: int | None = None) -> bytes:
    """A request with one log record per text."""
    message = ExportLogsServiceRequest()
    records = message.resource_logs.add().scope_logs.add().log_records
    for text in texts:
        record = records.add(event_name=event_name)
        record.body.string_value = text
        if trace is not None:
            record.trace_id = trace.to_bytes(16, "big")
            record.span_id = (1).to_bytes(8, "big")
    return message.SerializeToString()


def placeholder(number: int) -> bytes:
    """A request with one span that stands for a later one."""
    message = ExportTraceServiceRequest()
    scope_spans = message.resource_spans.add().scope_spans.add()
    scope_spans.scope.name = "logfire"
    span = scope_spans.spans.add(name=f"step {number}", trace_id=b"1" * 16, span_id=b"2" * 8)
    span.attributes.add(key="logfire.span_type").value.string_value = "pending_span"
    return message.SerializeToString()
