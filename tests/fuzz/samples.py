"""What fuzzing starts from: traffic of the demo, spans that real packages emitted, a request with every field."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from halo_otel.demo.traffic import generate
from halo_otel.model.span import Span
from halo_otel.otlp.encode import request

_CAPTURED = Path(__file__).parents[1] / "agentspan" / "captured"


def spans() -> Iterator[Span]:
    """One of each name that the demo's applications have."""
    seen = set()
    for span in generate(seed=1, runs=4, start_ns=10**18, duration_ns=10**9).spans:
        if (span.name, span.scope.name) not in seen:
            seen.add((span.name, span.scope.name))
            yield span


def traces() -> Iterator[ExportTraceServiceRequest]:
    """Requests of one span each, and one with every field."""
    yield full()
    yield deep(45)
    yield deep(60)
    for span in spans():
        yield request([span])
    for path in sorted(_CAPTURED.glob("*.json")):
        for captured in json.loads(path.read_bytes())["spans"]:
            yield _captured(captured)


def deep(levels: int) -> ExportTraceServiceRequest:
    """A span with lists in lists."""
    message = full()
    value = message.resource_spans[0].scope_spans[0].spans[0].attributes.add(key="deep").value
    for _ in range(levels):
        value = value.array_value.values.add()
    return message


def full() -> ExportTraceServiceRequest:
    """One span in which every field is set, and each kind of value."""
    message = ExportTraceServiceRequest()
    group = message.resource_spans.add(schema_url="https://opentelemetry.io/schemas/1.40.0")
    group.resource.dropped_attributes_count = 1
    group.resource.attributes.add(key="service.name").value.string_value = "booking"
    scope = group.scope_spans.add(schema_url="https://opentelemetry.io/schemas/1.40.0")
    scope.scope.name, scope.scope.version = "agents", "1.0"
    scope.scope.attributes.add(key="short").value.bool_value = True
    span = scope.spans.add(name="chat", kind=3, trace_state="a=b", flags=1)
    span.trace_id, span.span_id, span.parent_span_id = b"t" * 16, b"s" * 8, b"p" * 8
    span.start_time_unix_nano, span.end_time_unix_nano = 10**18, 10**18 + 1
    span.status.code, span.status.message = 2, "timed out"
    span.dropped_attributes_count = span.dropped_events_count = span.dropped_links_count = 1
    _values(span.attributes)
    event = span.events.add(name="exception", time_unix_nano=1, dropped_attributes_count=1)
    event.attributes.add(key="exception.message").value.string_value = "no"
    link = span.links.add(trace_id=b"l" * 16, span_id=b"m" * 8, trace_state="c=d", flags=1)
    link.attributes.add(key="why").value.int_value = 1
    return message


def resource(name: str) -> ExportTraceServiceRequest:
    """A resource of this name of which nothing is told."""
    message = ExportTraceServiceRequest()
    attributes = message.resource_spans.add().resource.attributes
    attributes.add(key="service.name").value.string_value = name
    return message


def logs() -> ExportLogsServiceRequest:
    """One GenAI event in which every field is set."""
    message = ExportLogsServiceRequest()
    group = message.resource_logs.add(schema_url="https://opentelemetry.io/schemas/1.40.0")
    group.resource.attributes.add(key="service.name").value.string_value = "booking"
    scope = group.scope_logs.add()
    scope.scope.name = "agents"
    record = scope.log_records.add(severity_number=9, severity_text="INFO", flags=1)
    record.trace_id, record.span_id = b"t" * 16, b"s" * 8
    record.time_unix_nano = record.observed_time_unix_nano = 10**18
    record.event_name = "gen_ai.client.inference.operation.details"
    _values(record.attributes)
    _values(record.body.kvlist_value.values)
    return message


def _values(pairs: Any) -> None:
    pairs.add(key="text").value.string_value = "ask anna@shop.test"
    pairs.add(key="yes").value.bool_value = True
    pairs.add(key="count").value.int_value = 7
    pairs.add(key="share").value.double_value = 0.5
    pairs.add(key="raw").value.bytes_value = b"\x00\xff"
    pairs.add(key="nothing").value.SetInParent()
    pairs.add(key="list").value.array_value.values.add().int_value = 1
    pairs.add(key="map").value.kvlist_value.values.add(key="$a").value.string_value = "b"


def _captured(captured: dict[str, Any]) -> ExportTraceServiceRequest:
    message = full()
    span = message.resource_spans[0].scope_spans[0].spans[0]
    message.resource_spans[0].scope_spans[0].scope.name = captured["scope"]
    span.ClearField("attributes")
    span.ClearField("events")
    span.name, span.kind = captured["name"], captured["kind"]
    span.status.code, span.status.message = captured["status"]
    _fill(span.attributes, captured["attributes"])
    for event in captured["events"]:
        _fill(span.events.add(name=event["name"]).attributes, event["attributes"])
    return message


def _fill(pairs: Any, attributes: dict[str, Any]) -> None:
    for key, value in attributes.items():
        _set(pairs.add(key=key).value, value)


def _set(target: Any, value: Any) -> None:
    if isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int):
        target.int_value = value
    elif isinstance(value, float):
        target.double_value = value
    elif isinstance(value, list):
        for item in value:
            _set(target.array_value.values.add(), item)
    else:
        target.string_value = str(value)[:1500]
