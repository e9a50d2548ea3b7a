"""How other tools write ids, times and values, brought to ours.

An id that is not of OTLP's length (a UUID, 24 hex digits, a word) becomes the first digits of the
SHA-256 of its text: the same source id gives the same id in every file and every run, so parents,
links and a second import agree. What it was is kept as an attribute.
"""

import hashlib
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, Final

import orjson

from halo_otel.errors import BadRequest
from halo_otel.model.span import (
    AnyValue,
    Resource,
    Scope,
    Span,
    SpanEvent,
    SpanId,
    SpanLink,
    TraceId,
)
from halo_otel.otlp.anyvalue import from_json, to_json
from halo_otel.otlp.jsonlines import spans_from_tree

SOURCE_TRACE_ID: Final = "halo.source.trace_id"
SOURCE_SPAN_ID: Final = "halo.source.span_id"

# Span.SpanKind of opentelemetry.proto.trace.v1.
KINDS: Final = {"INTERNAL": 1, "SERVER": 2, "CLIENT": 3, "PRODUCER": 4, "CONSUMER": 5}
TIME_NS_MAX: Final = 2**63 - 1

_TRACE_CHARS, _SPAN_CHARS = 32, 16
_HEX: Final = re.compile(r"[0-9a-f]+")
_MOMENT: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?\s?(Z|UTC|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII,
)
_NS_PER_S: Final = 1_000_000_000
# A count since 1970 tells its unit by its size: up to 10^11 are seconds (the year 5138), then
# milliseconds (pandas' `to_json`), microseconds, nanoseconds (Parquet).
_UNITS: Final = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3), (2**63, 1))
_INT64_MAX: Final = 2**63
# Deeper values are one JSON text: no instrumentation flattens that far.
_FLATTEN_LEVELS: Final = 12


def trace_id(value: Any) -> TraceId:
    """The trace id that `value` stands for. Raises `BadRequest` if there is none."""
    return TraceId(_id(value, _TRACE_CHARS, "trace id"))


def span_id(value: Any) -> SpanId:
    """The span id that `value` stands for. Raises `BadRequest` if there is none."""
    return SpanId(_id(value, _SPAN_CHARS, "span id"))


def parent_id(value: Any) -> SpanId:
    """As `span_id`; nothing, or nothing but zeros, is no parent."""
    if value is None or value == "" or (isinstance(value, str) and not value.strip("0")):
        return SpanId("")
    return span_id(value)


def _id(value: Any, chars: int, what: str) -> str:
    if type(value) is str and len(value) == chars and _HEX.fullmatch(value) and value.strip("0"):
        return value
    if not isinstance(value, str) or not value.strip("0"):
        raise BadRequest(f"no {what}")
    plain = value.lower().removeprefix("0x")
    if len(plain) == 36:  # a UUID
        plain = plain.replace("-", "")
    if len(plain) == chars and _HEX.fullmatch(plain):
        return plain
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:chars]


def time_ns(value: Any, what: str) -> int:
    """Unix nanoseconds of ISO 8601 text (UTC if it names no zone) or of a count since 1970.

    Raises `BadRequest` that names `what` if it is neither, or before 1970.
    """
    found = _moment_ns(value) if isinstance(value, str) else _count_ns(value)
    if found is None or found < 0:
        raise BadRequest(f"{what}: expected a time, got {str(value)[:60]!r}")
    return min(found, TIME_NS_MAX)


def end_ns(value: Any, start_ns: int, what: str) -> int:
    """As `time_ns`; what has not ended, ends when it starts."""
    return start_ns if value is None or value == "" else time_ns(value, what)


def _moment_ns(text: str) -> int | None:
    found = _MOMENT.fullmatch(text.strip())
    if found is None:
        return None
    day, clock, fraction, zone = found.groups()
    seconds = _seconds(day, clock, zone)
    return None if seconds is None else seconds * _NS_PER_S + int((fraction or "0").ljust(9, "0"))


@lru_cache(4096)  # the spans of a run lie within a few seconds
def _seconds(day: str, clock: str, zone: str | None) -> int | None:
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=_zone(zone))
        return round(moment.timestamp())
    except (ValueError, OverflowError):
        return None


def _zone(text: str | None) -> timezone:
    if text is None or text in ("Z", "UTC"):
        return UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    away = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-away if text[0] == "-" else away)


def _count_ns(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    for below, factor in _UNITS:
        if value < below:
            return round(value * factor)
    return None


def text(value: Any) -> str:
    """`value` as text: itself, nothing for null, anything else as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else json_text(value)


def json_text(value: Any) -> str:
    """The JSON of `value`. Raises `BadRequest` if it is nested too deep to be written."""
    try:
        return orjson.dumps(value).decode()
    except TypeError as error:
        raise BadRequest(f"a value cannot be written as JSON: {error}") from error


def members(value: Any) -> dict[str, Any]:
    """`value` if it is an object, also as JSON text; else an empty one."""
    if isinstance(value, str) and value[:1] == "{":
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return {}
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    """`value` if it is an array, also as JSON text; else an empty one."""
    if isinstance(value, str) and value[:1] == "[":
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return []
    return value if isinstance(value, list) else []


def flat(
    tree: dict[str, Any], *, whole: frozenset[str] = frozenset(), prefix: str = ""
) -> dict[str, AnyValue]:
    """Nested objects as flat attributes: `{"llm": {"n": [{"r": 1}]}}` is `llm.n.0.r`.

    Arrays of scalars stay arrays; null is left out. A key in `whole` keeps its object as JSON text.
    """
    found: dict[str, AnyValue] = {}
    _flatten(found, f"{prefix}." if prefix else "", tree.items(), whole, _FLATTEN_LEVELS - 1)
    return found


def _flatten(
    found: dict[str, AnyValue],
    prefix: str,
    members: Iterable[tuple[str, Any]],
    whole: frozenset[str],
    levels: int,
) -> None:
    for name, value in members:
        key = prefix + name if prefix else name
        kind = type(value)
        if kind is str:  # as nearly all are
            found[key] = value
        elif kind is int and -_INT64_MAX <= value < _INT64_MAX:
            found[key] = value
        elif kind is dict and levels and key not in whole:
            _flatten(found, f"{key}.", value.items(), whole, levels - 1)
        elif kind is list and levels and dict in map(type, value):
            _flatten(found, f"{key}.", _numbered(value), whole, levels - 1)
        elif value is not None:
            found[key] = scalar(value)


def _numbered(values: list[Any]) -> Iterable[tuple[str, Any]]:
    return ((str(index), value) for index, value in enumerate(values))


def scalar(value: Any) -> AnyValue:
    """An attribute's value: scalars and arrays of them as they are, all else as JSON text."""
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if -_INT64_MAX <= value < _INT64_MAX else float(value)
    if isinstance(value, float):
        return value
    if isinstance(value, list) and not any(isinstance(item, dict | list) for item in value):
        return [None if item is None else scalar(item) for item in value]
    return json_text(value)


def resource(attributes: dict[str, AnyValue]) -> Resource:
    """A `Resource`, the same object for the same attributes: spans of one stand together."""
    return _resource(to_json(attributes))


@lru_cache(1024)
def _resource(written: str) -> Resource:
    found = from_json(written)
    assert isinstance(found, dict)
    return Resource(attributes=found)


@lru_cache(1024)
def scope(name: str, version: str = "") -> Scope:
    """A `Scope`, the same object for the same name and version."""
    return Scope(name=name, version=version)


def events(values: Iterable[Any], start_ns: int) -> tuple[SpanEvent, ...]:
    """Events written `{"name", "timestamp", "attributes"}`; one without a time gets the start's."""
    return tuple(
        SpanEvent(
            name=text(value.get("name")),
            time_ns=end_ns(value.get("timestamp"), start_ns, "timestamp of an event"),
            attributes=flat(members(value.get("attributes"))),
        )
        for value in values
        if isinstance(value, dict)
    )


def span(
    *,
    trace: Any,
    own: Any,
    parent: Any,
    name: str,
    start_ns: int,
    end_ns: int,
    attributes: dict[str, AnyValue],
    resource: Resource,
    scope: Scope,
    kind: int = 0,
    events: tuple[SpanEvent, ...] = (),
    links: tuple[SpanLink, ...] = (),
    status_code: int = 0,
    status_message: str = "",
    trace_state: str = "",
    flags: int = 0,
) -> Span:
    """A `Span` of source ids as they stand there, which it keeps as attributes where they change.

    Raises `BadRequest` if one is missing.
    """
    ours, ids = attributes, (trace_id(trace), span_id(own))
    if ids != (trace, own):
        became = {SOURCE_TRACE_ID: (trace, ids[0]), SOURCE_SPAN_ID: (own, ids[1])}
        ours = attributes | {key: was for key, (was, now) in became.items() if was != now}
    return Span(
        trace_id=ids[0],
        span_id=ids[1],
        parent_span_id=parent_id(parent),
        name=name,
        kind=kind,
        start_ns=start_ns,
        end_ns=end_ns,
        attributes=ours,
        events=events,
        links=links,
        status_code=status_code,
        status_message=status_message,
        trace_state=trace_state,
        flags=flags,
        dropped_attributes_count=0,
        dropped_events_count=0,
        dropped_links_count=0,
        resource=resource,
        scope=scope,
    )


def otlp_span(tree: dict[str, Any]) -> Span:
    """A span in OTLP's own JSON, alone, with the `resource` and the `scope` it may have in itself.

    Raises `BadRequest` also for ids that are not OTLP's: of such a span nothing comes.
    """
    own = {key: value for key, value in tree.items() if key not in ("resource", "scope")}
    scope = {"scope": tree.get("scope"), "spans": [own]}
    found = spans_from_tree(
        {"resource_spans": [{"resource": tree.get("resource"), "scope_spans": [scope]}]}
    )
    if not found:
        raise BadRequest("its trace id or span id is not of OTLP's length")
    return found[0]
