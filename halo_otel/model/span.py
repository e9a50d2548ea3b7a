"""Spans and log records as the project holds them: OTLP's fields, decoded once.

Ids are lowercase hex `str` (32 characters for a trace, 16 for a span); an absent id is `""`.
Times are Unix nanoseconds. Attribute values keep all eight OTLP `AnyValue` cases: empty is `None`,
`bytes` stays `bytes`, arrays are `list`, key-value lists are `dict`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NewType, TypeAlias, Union

TraceId = NewType("TraceId", str)
SpanId = NewType("SpanId", str)

AnyValue: TypeAlias = Union[
    str, bool, int, float, bytes, "list[AnyValue]", "dict[str, AnyValue]", None
]
Attributes: TypeAlias = Mapping[str, AnyValue]

STATUS_UNSET, STATUS_OK, STATUS_ERROR = 0, 1, 2  # opentelemetry.proto.trace.v1.Status.StatusCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """Who produced the telemetry."""

    attributes: Attributes = field(default_factory=dict)
    dropped_attributes_count: int = 0
    schema_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Which instrumentation library produced the telemetry."""

    name: str = ""
    version: str = ""
    attributes: Attributes = field(default_factory=dict)
    dropped_attributes_count: int = 0
    schema_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanEvent:
    """A point inside a span's own record."""

    name: str
    time_ns: int
    attributes: Attributes = field(default_factory=dict)
    dropped_attributes_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanLink:
    """A pointer from one span to another."""

    trace_id: TraceId
    span_id: SpanId
    trace_state: str = ""
    attributes: Attributes = field(default_factory=dict)
    dropped_attributes_count: int = 0
    flags: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One OTLP span with the resource and scope it came under."""

    trace_id: TraceId
    span_id: SpanId
    parent_span_id: SpanId
    name: str
    kind: int  # opentelemetry.proto.trace.v1.Span.SpanKind
    start_ns: int
    end_ns: int
    attributes: Attributes
    events: tuple[SpanEvent, ...]
    links: tuple[SpanLink, ...]
    status_code: int
    status_message: str
    trace_state: str
    flags: int
    dropped_attributes_count: int
    dropped_events_count: int
    dropped_links_count: int
    resource: Resource
    scope: Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRecord:
    """One OTLP log record with the resource and scope it came under."""

    trace_id: TraceId
    span_id: SpanId
    time_ns: int
    observed_ns: int
    severity_number: int
    severity_text: str
    event_name: str
    body: AnyValue
    attributes: Attributes
    flags: int
    dropped_attributes_count: int
    resource: Resource
    scope: Scope
