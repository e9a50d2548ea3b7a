"""Jaeger's JSON: what its UI downloads, its HTTP API answers and its Elasticsearch storage holds.

Shape: jaegertracing/jaeger internal/uimodel/model.go and the fixture otlp2jaeger-out.json (a403f4b):
a trace is `{"traceID", "spans", "processes"}`; times are microseconds; a tag has a type. In the
storage a span stands alone with its `process`, tags may be an object `tag` whose keys have `@` for
`.`, and every value may be text. Names of what OTLP has and Jaeger has not (`otel.status_code`,
`span.kind`, `otel.scope.name`): OpenTelemetry, "OpenTelemetry to Jaeger Transformation".
"""

from base64 import b64decode
from collections.abc import Iterable
from typing import Any, Final

from halo_otel.errors import BadRequest
from halo_otel.importers import fields
from halo_otel.importers.kinds import Format
from halo_otel.model.span import (
    STATUS_ERROR,
    STATUS_OK,
    AnyValue,
    Resource,
    Span,
    SpanEvent,
    SpanLink,
)

_NS_PER_US: Final = 1000
_STATUSES: Final = {"ERROR": STATUS_ERROR, "OK": STATUS_OK}
_SCOPE_NAMES: Final = ("otel.scope.name", "otel.library.name")
_SCOPE_VERSIONS: Final = ("otel.scope.version", "otel.library.version")


def _recognises(tree: dict[str, Any]) -> bool:
    return "traceID" in tree and ("spanID" in tree or "spans" in tree)


def _pieces(tree: dict[str, Any]) -> Iterable[Any]:
    if "spanID" in tree:
        return (tree,)
    processes = fields.members(tree.get("processes"))
    return [_with_process(span, processes) for span in fields.items(tree["spans"])]


def _with_process(span: Any, processes: dict[str, Any]) -> Any:
    if not isinstance(span, dict) or "process" in span:
        return span
    return {**span, "process": processes.get(fields.text(span.get("processID")))}


def _span(tree: dict[str, Any]) -> Span:
    trace = _padded(tree.get("traceID"), 32)
    start_ns = _us(tree.get("startTime"), "startTime") * _NS_PER_US
    duration_ns = _us(tree.get("duration", 0), "duration") * _NS_PER_US
    tags = _tags(tree)
    parent, links = _references(tree, trace)
    scope = fields.scope(_taken(tags, _SCOPE_NAMES), _taken(tags, _SCOPE_VERSIONS))
    status = str(tags.pop("otel.status_code", "")).upper()
    failed = tags.get("error") is True
    return fields.span(
        trace=trace,
        own=_padded(tree.get("spanID"), 16),
        parent=parent,
        name=fields.text(tree.get("operationName")),
        kind=fields.KINDS.get(str(tags.pop("span.kind", "")).upper(), 0),
        start_ns=min(start_ns, fields.TIME_NS_MAX),
        end_ns=min(start_ns + duration_ns, fields.TIME_NS_MAX),
        attributes=tags,
        events=tuple(
            _event(log) for log in fields.items(tree.get("logs")) if isinstance(log, dict)
        ),
        links=links,
        status_code=_STATUSES.get(status, STATUS_ERROR if failed else 0),
        status_message=str(tags.pop("otel.status_description", "")),
        trace_state=str(tags.pop("w3c.tracestate", "")),
        resource=_resource(tree.get("process")),
        scope=scope,
    )


def _taken(tags: dict[str, AnyValue], keys: tuple[str, ...]) -> str:
    """The first of `keys` that is there, taken out of `tags`."""
    return next((str(tags.pop(key)) for key in keys if key in tags), "")


def _padded(value: Any, chars: int) -> Any:
    """An id with the zeros that older Jaegers leave out before it."""
    return value.rjust(chars, "0") if isinstance(value, str) and value else value


def _us(value: Any, what: str) -> int:
    if isinstance(value, str) and len(value) <= 20 and value.isascii() and value.isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**64:
        raise BadRequest(f"{what}: expected microseconds, got {str(value)[:60]!r}")
    return int(value)


def _references(tree: dict[str, Any], trace: Any) -> tuple[Any, tuple[SpanLink, ...]]:
    """The parent, the first `CHILD_OF` in this trace; every other reference is a link."""
    parent = _padded(tree.get("parentSpanID"), 16)
    links = []
    for reference in fields.items(tree.get("references")):
        if not isinstance(reference, dict):
            continue
        to_trace = _padded(reference.get("traceID"), 32)
        to_span = _padded(reference.get("spanID"), 16)
        same = to_trace == trace and reference.get("refType") == "CHILD_OF"
        if same and not parent:
            parent = to_span
        elif not same or to_span != parent:
            links.append(
                SpanLink(trace_id=fields.trace_id(to_trace), span_id=fields.span_id(to_span))
            )
    return parent, tuple(links)


def _event(log: dict[str, Any]) -> SpanEvent:
    values = _key_values(log.get("fields"))
    return SpanEvent(
        name=str(values.pop("event", "")),
        time_ns=min(_us(log.get("timestamp"), "timestamp") * _NS_PER_US, fields.TIME_NS_MAX),
        attributes=values,
    )


def _resource(process: Any) -> Resource:
    known = fields.members(process)
    name = known.get("serviceName")
    service: dict[str, AnyValue] = {"service.name": name} if isinstance(name, str) else {}
    return fields.resource({**service, **_tags(known)})


def _tags(tree: dict[str, Any]) -> dict[str, AnyValue]:
    known = fields.members(tree.get("tag"))
    dotted = fields.flat({key.replace("@", "."): value for key, value in known.items()})
    return {**dotted, **_key_values(tree.get("tags"))}


def _key_values(pairs: Any) -> dict[str, AnyValue]:
    return {
        fields.text(pair.get("key")): _value(pair.get("type"), pair.get("value"))
        for pair in fields.items(pairs)
        if isinstance(pair, dict)
    }


def _value(kind: Any, value: Any) -> AnyValue:
    """A tag's value; the storage writes all types as text."""
    if isinstance(value, str) and kind not in (None, "string"):
        try:
            if kind == "bool":
                return value == "true"
            if kind == "int64":
                return fields.scalar(int(value)) if len(value) <= 20 else value
            if kind == "float64":
                return float(value)
            if kind == "binary":
                return b64decode(value, validate=True)
        except ValueError:
            return value
    return None if value is None else fields.scalar(value)


FORMAT: Final = Format(name="Jaeger", recognises=_recognises, span=_span, pieces=_pieces)
