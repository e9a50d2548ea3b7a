"""A pipeline of agents, web servers and logs, as operators attach it."""

from typing import Any

from halo_otel.clock import NS_PER_S
from halo_otel.ingest.rows import RowBuilder
from halo_otel.model.span import LogRecord, Resource, Span, SpanId, TraceId
from halo_otel.window.schema import Batch
from tests.window.samples import AGENTS, BOOKING, NOON_NS, a_span

LENGTH_NS = 300 * NS_PER_S
SHOP = Resource(attributes={"service.name": "shop"})


def agent_span(number: int, trace: int, **changes: Any) -> Span:
    """A model call."""
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o"}
    return a_span(number, trace, attributes=attributes, **changes)


def web_span(number: int, trace: int, **changes: Any) -> Span:
    """A request that a shop answers."""
    attributes = {"http.request.method": "GET", "url.path": f"/basket/{number}"}
    return a_span(number, trace, attributes=attributes, resource=SHOP, **changes)


def a_record(trace: int | None, event_name: str = "", span: int = 1) -> LogRecord:
    """A log record, of a span or of none; a GenAI event if it is named like one."""
    return LogRecord(
        trace_id=TraceId("" if trace is None else f"{trace:032x}"),
        span_id=SpanId("" if trace is None else f"{span:016x}"),
        time_ns=NOON_NS,
        observed_ns=NOON_NS,
        severity_number=9,
        severity_text="INFO",
        event_name=event_name,
        body="said",
        attributes={},
        flags=0,
        dropped_attributes_count=0,
        resource=BOOKING if event_name else SHOP,
        scope=AGENTS,
    )


def batch_of(*items: Span | LogRecord, position: int = 0) -> Batch:
    """Rows for spans and log records, which arrived together."""
    builder = RowBuilder("all")
    for index, item in enumerate(items, position):
        if isinstance(item, Span):
            builder.add_span(item, NOON_NS, index)
        else:
            builder.add_log_record(item, NOON_NS, index)
    return builder.batch()
