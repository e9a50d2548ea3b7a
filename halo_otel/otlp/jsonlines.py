"""OTLP/JSON lines, as the Collector's file exporter writes them, straight to spans and log records.

The fast way takes exactly the shape that exporter writes; whatever looks any different (another
spelling, an unknown field, a bad value) goes the general way through `jsonrequest` and `decode`,
which either understands it or says what is wrong. So both ways give equal results, only the speed
differs.
"""

from binascii import unhexlify
from collections.abc import Callable
from typing import Any, Final

from halo_otel.model.span import (
    AnyValue,
    LogRecord,
    Resource,
    Scope,
    Span,
    SpanEvent,
    SpanId,
    SpanLink,
    TraceId,
)
from halo_otel.otlp import jsonrequest, jsontext
from halo_otel.otlp.decode import ENUM_MAX, TIME_NS_MAX, log_records_of, spans_of

_NO_TRACE_ID, _NO_SPAN_ID = "0" * 32, "0" * 16
_LEVELS_MAX: Final = 40  # of values; every deeper one is left to jsonrequest and its limit
_UINT32_MAX: Final = 2**32 - 1

_SPAN_KEYS: Final = frozenset(
    "traceId spanId parentSpanId traceState flags name kind startTimeUnixNano endTimeUnixNano "
    "attributes droppedAttributesCount events droppedEventsCount links droppedLinksCount "
    "status".split()
)
_RECORD_KEYS: Final = frozenset(
    "timeUnixNano observedTimeUnixNano severityNumber severityText body attributes "
    "droppedAttributesCount flags traceId spanId eventName".split()
)
_EVENT_KEYS: Final = frozenset("timeUnixNano name attributes droppedAttributesCount".split())
_LINK_KEYS: Final = frozenset(
    "traceId spanId traceState attributes droppedAttributesCount flags".split()
)
_STATUS_KEYS: Final = frozenset({"message", "code"})
_RESOURCE_KEYS: Final = frozenset({"attributes", "droppedAttributesCount"})
_SCOPE_KEYS: Final = frozenset({"name", "version", "attributes", "droppedAttributesCount"})


class _Unusual(Exception):
    """Not the shape the Collector writes."""


# What reading a value of another shape can raise here.
_NOT_SO: Final = (_Unusual, AttributeError, KeyError, TypeError, ValueError)


def spans_from_json_line(line: bytes) -> list[Span]:
    """The spans of one `ExportTraceServiceRequest` as JSON; those with invalid ids are skipped.

    Raises `BadRequest` naming the place where `line` is not such a request.
    """
    return spans_from_tree(jsontext.loads(line))


def spans_from_tree(tree: Any) -> list[Span]:
    """As `spans_from_json_line`, of a line that is parsed already."""
    try:
        return _spans(tree)
    except _NOT_SO:
        return list(spans_of(jsonrequest.request_from_tree(tree, "traces")))


def log_records_from_tree(tree: Any) -> list[LogRecord]:
    """The log records of one parsed `ExportLogsServiceRequest`; raises `BadRequest`."""
    try:
        return _log_records(tree)
    except _NOT_SO:
        return list(log_records_of(jsonrequest.request_from_tree(tree, "logs")))


def _spans(tree: Any) -> list[Span]:
    spans = []
    for group in _list(_only(tree, {"resourceSpans"}), "resourceSpans"):
        _only(group, {"resource", "scopeSpans", "schemaUrl"})
        resource = _resource(group)
        for scope_spans in _list(group, "scopeSpans"):
            _only(scope_spans, {"scope", "spans", "schemaUrl"})
            scope = _scope(scope_spans)
            for span in _list(scope_spans, "spans"):
                if (decoded := _span(_only(span, _SPAN_KEYS), resource, scope)) is not None:
                    spans.append(decoded)
    return spans


def _log_records(tree: Any) -> list[LogRecord]:
    records = []
    for group in _list(_only(tree, {"resourceLogs"}), "resourceLogs"):
        _only(group, {"resource", "scopeLogs", "schemaUrl"})
        resource = _resource(group)
        for scope_logs in _list(group, "scopeLogs"):
            _only(scope_logs, {"scope", "logRecords", "schemaUrl"})
            scope = _scope(scope_logs)
            for record in _list(scope_logs, "logRecords"):
                records.append(_log_record(_only(record, _RECORD_KEYS), resource, scope))
    return records


def _only(node: Any, keys: set[str] | frozenset[str]) -> dict[str, Any]:
    """`node`, if it is an object with no other keys than `keys`."""
    if type(node) is not dict or not keys.issuperset(node):
        raise _Unusual
    return node


def _resource(group: dict[str, Any]) -> Resource:
    resource = _only(group.get("resource", {}), _RESOURCE_KEYS)
    return Resource(
        attributes=_attributes(resource),
        dropped_attributes_count=_count(resource, "droppedAttributesCount"),
        schema_url=_text(group, "schemaUrl"),
    )


def _scope(group: dict[str, Any]) -> Scope:
    scope = _only(group.get("scope", {}), _SCOPE_KEYS)
    return Scope(
        name=_text(scope, "name"),
        version=_text(scope, "version"),
        attributes=_attributes(scope),
        dropped_attributes_count=_count(scope, "droppedAttributesCount"),
        schema_url=_text(group, "schemaUrl"),
    )


def _span(span: dict[str, Any], resource: Resource, scope: Scope) -> Span | None:
    trace_id = _id(span, "traceId", _NO_TRACE_ID)
    span_id = _id(span, "spanId", _NO_SPAN_ID)
    decoded = Span(
        trace_id=TraceId(trace_id),
        span_id=SpanId(span_id),
        parent_span_id=SpanId(_id(span, "parentSpanId", _NO_SPAN_ID)),
        name=_text(span, "name"),
        kind=_enum(span, "kind"),
        start_ns=_time(span, "startTimeUnixNano"),
        end_ns=_time(span, "endTimeUnixNano"),
        attributes=_attributes(span),
        events=tuple([_event(event) for event in _list(span, "events")]),
        links=tuple([_link(link) for link in _list(span, "links")]),
        status_code=_enum(status := _only(span.get("status", {}), _STATUS_KEYS), "code"),
        status_message=_text(status, "message"),
        trace_state=_text(span, "traceState"),
        flags=_count(span, "flags"),
        dropped_attributes_count=_count(span, "droppedAttributesCount"),
        dropped_events_count=_count(span, "droppedEventsCount"),
        dropped_links_count=_count(span, "droppedLinksCount"),
        resource=resource,
        scope=scope,
    )
    return decoded if trace_id and span_id else None


def _event(node: Any) -> SpanEvent:
    event = _only(node, _EVENT_KEYS)
    return SpanEvent(
        name=_text(event, "name"),
        time_ns=_time(event, "timeUnixNano"),
        attributes=_attributes(event),
        dropped_attributes_count=_count(event, "droppedAttributesCount"),
    )


def _link(node: Any) -> SpanLink:
    link = _only(node, _LINK_KEYS)
    return SpanLink(
        trace_id=TraceId(unhexlify(link.get("traceId", "")).hex()),
        span_id=SpanId(unhexlify(link.get("spanId", "")).hex()),
        trace_state=_text(link, "traceState"),
        attributes=_attributes(link),
        dropped_attributes_count=_count(link, "droppedAttributesCount"),
        flags=_count(link, "flags"),
    )


def _log_record(record: dict[str, Any], resource: Resource, scope: Scope) -> LogRecord:
    return LogRecord(
        trace_id=TraceId(_id(record, "traceId", _NO_TRACE_ID)),
        span_id=SpanId(_id(record, "spanId", _NO_SPAN_ID)),
        time_ns=_time(record, "timeUnixNano"),
        observed_ns=_time(record, "observedTimeUnixNano"),
        severity_number=_enum(record, "severityNumber"),
        severity_text=_text(record, "severityText"),
        event_name=_text(record, "eventName"),
        body=_value(record.get("body", {}), _LEVELS_MAX),
        attributes=_attributes(record),
        flags=_count(record, "flags"),
        dropped_attributes_count=_count(record, "droppedAttributesCount"),
        resource=resource,
        scope=scope,
    )


def _id(node: dict[str, Any], key: str, none: str) -> str:
    """The id at `key` in lower case; `""` if it is absent, all zero or of another length."""
    text = unhexlify(node.get(key, "")).hex()
    return text if len(text) == len(none) and text != none else ""


def _text(node: dict[str, Any], key: str) -> str:
    text = node.get(key, "")
    if type(text) is not str:
        raise _Unusual
    return text


def _count(node: dict[str, Any], key: str) -> int:
    count = node.get(key, 0)
    if type(count) is not int or not 0 <= count <= _UINT32_MAX:
        raise _Unusual
    return count


def _enum(node: dict[str, Any], key: str) -> int:
    number = node.get(key, 0)
    if type(number) is not int or not 0 <= number <= ENUM_MAX:
        raise _Unusual
    return number


def _time(node: dict[str, Any], key: str) -> int:
    text = node.get(key, "0")
    # 19 digits are below 2^64, so only the upper bound of a signed column is left to keep.
    if type(text) is not str or len(text) > 19 or not (text.isdecimal() and text.isascii()):
        raise _Unusual
    return min(int(text), TIME_NS_MAX)


def _list(node: dict[str, Any], key: str) -> list[Any]:
    items = node.get(key)
    if items is None:
        return []
    if type(items) is not list:
        raise _Unusual
    return items


def _attributes(node: dict[str, Any]) -> dict[str, AnyValue]:
    return _pairs(_list(node, "attributes"), _LEVELS_MAX)


def _pairs(pairs: list[Any], levels: int) -> dict[str, AnyValue]:
    attributes: dict[str, AnyValue] = {}
    for pair in pairs:
        key, value = pair["key"], pair["value"]
        if len(pair) != 2 or type(key) is not str:
            raise _Unusual
        text = value.get("stringValue")
        attributes[key] = text if type(text) is str and len(value) == 1 else _value(value, levels)
    return attributes


def _value(value: Any, levels: int) -> AnyValue:
    if not value:
        _only(value, frozenset())
        return None
    ((case, content),) = value.items()
    return _CASES[case](content, levels)


def _array(content: Any, levels: int) -> AnyValue:
    if levels == 0:
        raise _Unusual
    return [_value(item, levels - 1) for item in _list(_only(content, {"values"}), "values")]


def _key_values(content: Any, levels: int) -> AnyValue:
    if levels == 0:
        raise _Unusual
    return _pairs(_list(_only(content, {"values"}), "values"), levels - 1)


def _integer(content: Any, _levels: int) -> AnyValue:
    number = jsontext.integer(content)
    if number is None or not -(2**63) <= number < 2**63:
        raise _Unusual
    return number


def _exactly(kind: type) -> Callable[[Any, int], AnyValue]:
    def convert(content: Any, _levels: int) -> Any:
        if type(content) is not kind:
            raise _Unusual
        return content

    return convert


_CASES: Final[dict[str, Callable[[Any, int], AnyValue]]] = {
    "stringValue": _exactly(str),
    "intValue": _integer,
    "doubleValue": _exactly(float),
    "boolValue": _exactly(bool),
    "arrayValue": _array,
    "kvlistValue": _key_values,
}
