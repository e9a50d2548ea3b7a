"""Spans to the OTLP requests a Collector sends: their batches, several resources in each."""

from base64 import b64decode
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

import orjson
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1 import common_pb2

from halo_otel.model.span import AnyValue, Attributes, Resource, Scope, Span

SPANS_PER_REQUEST = 512  # the SDKs' `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`

# What OTLP/JSON writes as hex, and protobuf's own mapping as base64.
_IDS: Final = frozenset({"traceId", "spanId", "parentSpanId"})


def requests(
    spans: Iterable[Span], *, spans_per_request: int = SPANS_PER_REQUEST
) -> Iterator[bytes]:
    """Serialized `ExportTraceServiceRequest`s, each of the next `spans`, laid out as `request` does."""
    waiting = iter(spans)
    while chunk := list(islice(waiting, spans_per_request)):
        yield request(chunk).SerializeToString()


def request(spans: Iterable[Span]) -> ExportTraceServiceRequest:
    """One request; spans of one resource and scope stand together, as exporters group them."""
    message = ExportTraceServiceRequest()
    resources: dict[int, Any] = {}
    scopes: dict[tuple[int, int], Any] = {}
    for span in spans:
        resource_id = id(span.resource)
        if resource_id not in resources:
            resources[resource_id] = _resource(message, span.resource)
        scope_key = (resource_id, id(span.scope))
        if scope_key not in scopes:
            scopes[scope_key] = _scope(resources[resource_id], span.scope)
        _span(scopes[scope_key].spans.add(), span)
    return message


def _resource(message: ExportTraceServiceRequest, resource: Resource) -> Any:
    spans = message.resource_spans.add(schema_url=resource.schema_url)
    _fill(spans.resource.attributes, resource.attributes)
    spans.resource.dropped_attributes_count = resource.dropped_attributes_count
    return spans


def _scope(parent: Any, scope: Scope) -> Any:
    spans = parent.scope_spans.add(schema_url=scope.schema_url)
    spans.scope.name, spans.scope.version = scope.name, scope.version
    _fill(spans.scope.attributes, scope.attributes)
    spans.scope.dropped_attributes_count = scope.dropped_attributes_count
    return spans


def _span(out: Any, span: Span) -> None:
    out.trace_id = bytes.fromhex(span.trace_id)
    out.span_id = bytes.fromhex(span.span_id)
    out.parent_span_id = bytes.fromhex(span.parent_span_id)
    out.trace_state, out.flags = span.trace_state, span.flags
    out.name, out.kind = span.name, span.kind
    out.start_time_unix_nano, out.end_time_unix_nano = span.start_ns, span.end_ns
    out.dropped_attributes_count = span.dropped_attributes_count
    out.dropped_events_count = span.dropped_events_count
    out.dropped_links_count = span.dropped_links_count
    if span.status_code or span.status_message:
        out.status.code, out.status.message = span.status_code, span.status_message
    _fill(out.attributes, span.attributes)
    for event in span.events:
        added = out.events.add(name=event.name, time_unix_nano=event.time_ns)
        added.dropped_attributes_count = event.dropped_attributes_count
        _fill(added.attributes, event.attributes)
    for link in span.links:
        pointer = out.links.add(
            trace_id=bytes.fromhex(link.trace_id),
            span_id=bytes.fromhex(link.span_id),
            trace_state=link.trace_state,
            flags=link.flags,
        )
        pointer.dropped_attributes_count = link.dropped_attributes_count
        _fill(pointer.attributes, link.attributes)


def _fill(target: Any, attributes: Attributes) -> None:
    target.extend(
        common_pb2.KeyValue(key=key, value=_any(value)) for key, value in attributes.items()
    )


def _any(value: AnyValue) -> common_pb2.AnyValue:
    match value:
        case None:
            return common_pb2.AnyValue()
        case str():
            return common_pb2.AnyValue(string_value=value)
        case bool():
            return common_pb2.AnyValue(bool_value=value)
        case int():
            return common_pb2.AnyValue(int_value=value)
        case float():
            return common_pb2.AnyValue(double_value=value)
        case bytes():
            return common_pb2.AnyValue(bytes_value=value)
        case list():
            return common_pb2.AnyValue(
                array_value=common_pb2.ArrayValue(values=[_any(one) for one in value])
            )
    pairs = [common_pb2.KeyValue(key=key, value=_any(one)) for key, one in value.items()]
    return common_pb2.AnyValue(kvlist_value=common_pb2.KeyValueList(values=pairs))


def json_line(spans: Iterable[Span]) -> bytes:
    """One `ExportTraceServiceRequest` as a line of OTLP/JSON, as the Collector's file exporter writes it
    (OTLP 1.11, "JSON Protobuf Encoding": hex ids, integer enums, 64-bit integers as text).
    """
    return json_request(request(spans)) + b"\n"


def json_request(message: ExportTraceServiceRequest) -> bytes:
    """`message` as OTLP/JSON."""
    return orjson.dumps(_json_request(message))


def _json_request(message: ExportTraceServiceRequest) -> Any:
    written = MessageToDict(message, use_integers_for_enums=True)
    for resource in written.get("resourceSpans", ()):
        for scope in resource.get("scopeSpans", ()):
            for span in scope.get("spans", ()):
                for holder in (span, *span.get("links", ())):
                    for key in _IDS & holder.keys():
                        holder[key] = b64decode(holder[key]).hex()
    return written
