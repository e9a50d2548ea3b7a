"""Spans and batches to put into windows."""

from dataclasses import replace
from typing import Any

from halo_otel.clock import NS_PER_S
from halo_otel.ingest.rows import RowBuilder
from halo_otel.model.span import Resource, Scope, Span, SpanId, TraceId
from halo_otel.window.schema import Batch

NOON_NS = (
    1_795_262_400 * NS_PER_S
)  # 2026-11-21T12:00:00Z, the start of a window of any usual length

BOOKING = Resource(attributes={"service.name": "booking", "service.version": "2.3.1"})
AGENTS = Scope(name="agents", version="1.0")


def a_span(number: int, trace: int = 1, **changes: Any) -> Span:
    """A plain span whose ids are made of two numbers."""
    span = Span(
        trace_id=TraceId(f"{trace:032x}"),
        span_id=SpanId(f"{number:016x}"),
        parent_span_id=SpanId(""),
        name=f"step {number}",
        kind=1,
        start_ns=NOON_NS + number,
        end_ns=NOON_NS + number + 10,
        attributes={"number": number},
        events=(),
        links=(),
        status_code=0,
        status_message="",
        trace_state="",
        flags=0,
        dropped_attributes_count=0,
        dropped_events_count=0,
        dropped_links_count=0,
        resource=BOOKING,
        scope=AGENTS,
    )
    return replace(span, **changes)


def a_batch(*spans: Span, arrival_ns: int = NOON_NS, position: int = 0) -> Batch:
    """Rows for `spans`, which arrived together."""
    builder = RowBuilder()
    for index, span in enumerate(spans, position):
        builder.add_span(span, arrival_ns, index)
    return builder.batch()
