"""OTLP protobuf payloads to spans and log records: the hot path of ingest.

One `Resource` and one `Scope` object is shared by everything that came under it. What a signed or
narrow column cannot hold is bent here, once: times beyond 2^63-1 ns (the year 2262) become 2^63-1,
enum values outside 0..255 become 0 (unspecified).
"""

from collections.abc import Iterator
from typing import Any, Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from halo_otel.errors import BadRequest
from halo_otel.model.span import (
    LogRecord,
    Resource,
    Scope,
    Span,
    SpanEvent,
    SpanId,
    SpanLink,
    TraceId,
)
from halo_otel.otlp.anyvalue import attributes_from_proto, from_proto

TIME_NS_MAX: Final = 2**63 - 1
ENUM_MAX: Final = 255

_NO_TRACE_ID, _NO_SPAN_ID = bytes(16), bytes(8)


def decode_traces(payload: bytes) -> Iterator[Span]:
    """The spans of a serialized `ExportTraceServiceRequest`.

    Spans whose ids are invalid by OTLP (wrong length or all zero) are skipped: admission has already
    refused and counted them. Raises `BadRequest` at once if the payload is not such a request.
    """
    return spans_of(_parsed(ExportTraceServiceRequest, payload))


def decode_logs(payload: bytes) -> Iterator[LogRecord]:
    """The log records of a serialized `ExportLogsServiceRequest`; an invalid id becomes `""`.

    Raises `BadRequest` at once if the payload is not such a request.
    """
    return log_records_of(_parsed(ExportLogsServiceRequest, payload))


def _parsed(request_type: Any, payload: bytes) -> Any:
    try:
        return request_type.FromString(payload)
    except DecodeError as error:
        name = request_type.DESCRIPTOR.name
        raise BadRequest(f"{len(payload)} bytes are not a serialized {name}: {error}") from error


def spans_of(request: Any) -> Iterator[Span]:
    """The spans of an `ExportTraceServiceRequest` message."""
    for group in request.resource_spans:
        resource = _resource(group)
        for scope_spans in group.scope_spans:
            scope = _scope(scope_spans)
            for span in scope_spans.spans:
                trace_id, span_id = span.trace_id, span.span_id
                if _is_trace_id(trace_id) and _is_span_id(span_id):
                    yield _span(span, trace_id.hex(), span_id.hex(), resource, scope)


def log_records_of(request: Any) -> Iterator[LogRecord]:
    """The log records of an `ExportLogsServiceRequest` message."""
    for group in request.resource_logs:
        resource = _resource(group)
        for scope_logs in group.scope_logs:
            scope = _scope(scope_logs)
            for record in scope_logs.log_records:
                yield _log_record(record, resource, scope)


def _is_trace_id(raw: bytes) -> bool:
    return len(raw) == 16 and raw != _NO_TRACE_ID


def _is_span_id(raw: bytes) -> bool:
    return len(raw) == 8 and raw != _NO_SPAN_ID


def _resource(group: Any) -> Resource:
    return Resource(
        attributes=attributes_from_proto(group.resource.attributes),
        dropped_attributes_count=group.resource.dropped_attributes_count,
        schema_url=group.schema_url,
    )


def _scope(group: Any) -> Scope:
    return Scope(
        name=group.scope.name,
        version=group.scope.version,
        attributes=attributes_from_proto(group.scope.attributes),
        dropped_attributes_count=group.scope.dropped_attributes_count,
        schema_url=group.schema_url,
    )


def _span(span: Any, trace_id: str, span_id: str, resource: Resource, scope: Scope) -> Span:
    parent, status, kind = span.parent_span_id, span.status, span.kind
    start_ns, end_ns = span.start_time_unix_nano, span.end_time_unix_nano
    events, links = span.events, span.links
    return Span(
        trace_id=TraceId(trace_id),
        span_id=SpanId(span_id),
        parent_span_id=SpanId(parent.hex() if _is_span_id(parent) else ""),
        name=span.name,
        kind=kind if 0 <= kind <= ENUM_MAX else 0,
        start_ns=start_ns if start_ns <= TIME_NS_MAX else TIME_NS_MAX,
        end_ns=end_ns if end_ns <= TIME_NS_MAX else TIME_NS_MAX,
        attributes=attributes_from_proto(span.attributes),
        events=tuple([_event(event) for event in events]) if events else (),
        links=tuple([_link(link) for link in links]) if links else (),
        status_code=status.code if 0 <= status.code <= ENUM_MAX else 0,
        status_message=status.message,
        trace_state=span.trace_state,
        flags=span.flags,
        dropped_attributes_count=span.dropped_attributes_count,
        dropped_events_count=span.dropped_events_count,
        dropped_links_count=span.dropped_links_count,
        resource=resource,
        scope=scope,
    )


def _event(event: Any) -> SpanEvent:
    return SpanEvent(
        name=event.name,
        time_ns=min(event.time_unix_nano, TIME_NS_MAX),
        attributes=attributes_from_proto(event.attributes),
        dropped_attributes_count=event.dropped_attributes_count,
    )


def _link(link: Any) -> SpanLink:
    return SpanLink(
        trace_id=TraceId(link.trace_id.hex()),
        span_id=SpanId(link.span_id.hex()),
        trace_state=link.trace_state,
        attributes=attributes_from_proto(link.attributes),
        dropped_attributes_count=link.dropped_attributes_count,
        flags=link.flags,
    )


def _log_record(record: Any, resource: Resource, scope: Scope) -> LogRecord:
    severity = record.severity_number
    return LogRecord(
        trace_id=TraceId(record.trace_id.hex() if _is_trace_id(record.trace_id) else ""),
        span_id=SpanId(record.span_id.hex() if _is_span_id(record.span_id) else ""),
        time_ns=min(record.time_unix_nano, TIME_NS_MAX),
        observed_ns=min(record.observed_time_unix_nano, TIME_NS_MAX),
        severity_number=severity if 0 <= severity <= ENUM_MAX else 0,
        severity_text=record.severity_text,
        event_name=record.event_name,
        body=from_proto(record.body),
        attributes=attributes_from_proto(record.attributes),
        flags=record.flags,
        dropped_attributes_count=record.dropped_attributes_count,
        resource=resource,
        scope=scope,
    )
