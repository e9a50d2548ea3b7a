"""OTLP/JSON texts, one `ResourceLogs` or `ResourceSpans` with one record each.

This is what waits in the outbox: a public format that says everything by itself, holds every
AnyValue type, and goes out as it is after a restart or an upgrade (OTLP 1.11, "JSON Protobuf
Encoding": hex ids, 64-bit integers as text, base64 bytes).

Loki keeps attributes as structured metadata: at most 128 entries and 64 KB for record and resource
together, and a line of 256 KB (emission.md C2). So what strangers wrote is cut here, by UTF-8 bytes.
"""

import json
import math
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from halo_otel import __version__
from halo_otel.model.span import AnyValue, Attributes
from halo_otel.otlp.names import SCOPE_NAME

# 64 x (512 + 128) bytes of resource and about 10 KB of our own stay below Loki's 64 KB, and
# 64 + 40 entries below its 128.
RESOURCE_ATTRIBUTES_MAX: Final = 64
RESOURCE_VALUE_BYTES_MAX: Final = 512
KEY_BYTES_MAX: Final = 128

# What the backends index a stream by comes first, so that the limit never cuts it.
_IDENTITY: Final = ("service.", "deployment.", "k8s.", "cloud.", "container.", "host.")

# Characters that are no text: controls, direction overrides, line ends, lone surrogates.
_NO_TEXT: Final = re.compile(
    "[\x00-\x20\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+"
)
_INT64: Final = 2**63
# No AnyValue of a span that came over OTLP is nested deeper (otlp.anyvalue).
_NESTING_MAX: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A pointer to an evidence span."""

    trace_id: str
    span_id: str
    attributes: Attributes


def line(text: str, bytes_max: int) -> str:
    """`text` as one line of at most `bytes_max` bytes of UTF-8, safe to print."""
    return cut(_NO_TEXT.sub(" ", text).strip(), bytes_max)


def cut(text: str, bytes_max: int) -> str:
    """`text`, ending in `…` if it had more than `bytes_max` bytes of UTF-8; `bytes_max` ≥ 3."""
    if len(text) * 4 <= bytes_max:
        return text
    data = text.encode("utf-8", "replace")
    if len(data) <= bytes_max:
        return text
    return data[: bytes_max - 3].decode("utf-8", "ignore") + "…"


def log_record(
    *,
    resource: Attributes,
    time_ns: int,
    observed_ns: int,
    severity_number: int,
    event_name: str,
    body: str,
    attributes: Attributes,
    trace_id: str = "",
    span_id: str = "",
) -> str:
    """A `ResourceLogs` with one record; `resource` is the agent's, as it came."""
    record: dict[str, Any] = {
        "timeUnixNano": str(time_ns),
        "observedTimeUnixNano": str(observed_ns),
        "severityNumber": severity_number,
        "severityText": {9: "INFO", 13: "WARN", 17: "ERROR", 21: "FATAL"}[severity_number],
        "eventName": event_name,
        "body": {"stringValue": body},
        "attributes": _pairs(attributes),
    }
    if trace_id:
        record |= {"traceId": trace_id, "spanId": span_id}
    return _text(
        {
            "resource": _resource(resource),
            "scopeLogs": [{"scope": _SCOPE, "logRecords": [record]}],
        }
    )


def span(
    *,
    resource: Attributes,
    trace_id: str,
    span_id: str,
    parent_span_id: str = "",
    name: str,
    start_ns: int,
    end_ns: int,
    attributes: Attributes,
    events: Sequence[tuple[str, int, Attributes]] = (),
    links: Iterable[Link] = (),
    dropped_events: int = 0,
    dropped_links: int = 0,
) -> str:
    """A `ResourceSpans` with one internal span without status; `events` are (name, time, attributes)."""
    record: dict[str, Any] = {
        "traceId": trace_id,
        "spanId": span_id,
        "parentSpanId": parent_span_id,
        "name": name,
        "kind": 1,
        "startTimeUnixNano": str(start_ns),
        "endTimeUnixNano": str(end_ns),
        "attributes": _pairs(attributes),
        "events": [
            {"name": event, "timeUnixNano": str(time_ns), "attributes": _pairs(about)}
            for event, time_ns, about in events
        ],
        "links": [
            {
                "traceId": link.trace_id,
                "spanId": link.span_id,
                "attributes": _pairs(link.attributes),
            }
            for link in links
        ],
        "droppedEventsCount": dropped_events,
        "droppedLinksCount": dropped_links,
        "status": {},
    }
    return _text(
        {
            "resource": _resource(resource),
            "scopeSpans": [{"scope": _SCOPE, "spans": [record]}],
        }
    )


_SCOPE: Final = {"name": SCOPE_NAME, "version": __version__}


def _resource(attributes: Attributes) -> dict[str, Any]:
    """The resource with its limits; what is too much is left out and counted.

    A key is made one line; one without text or that another has by then is left out too.
    """
    kept: dict[str, dict[str, Any]] = {}
    for name in sorted(attributes, key=lambda key: (not key.startswith(_IDENTITY), key)):
        value = attributes[name]
        key = _NO_TEXT.sub(" ", name).strip()
        if isinstance(value, str):
            value = cut(value, RESOURCE_VALUE_BYTES_MAX)
        encoded = _any(value, _NESTING_MAX)
        small = isinstance(value, str) or len(_text(encoded)) <= RESOURCE_VALUE_BYTES_MAX
        if small and key and len(key.encode("utf-8", "replace")) <= KEY_BYTES_MAX:
            kept.setdefault(key, {"key": key, "value": encoded})
    pairs = list(kept.values())[:RESOURCE_ATTRIBUTES_MAX]
    return {"attributes": pairs, "droppedAttributesCount": len(attributes) - len(pairs)}


def _pairs(attributes: Attributes) -> list[dict[str, Any]]:
    return [{"key": key, "value": _any(value, _NESTING_MAX)} for key, value in attributes.items()]


def _any(value: AnyValue, levels: int) -> dict[str, Any]:
    """`value` as an OTLP/JSON AnyValue; `{}` is the empty one."""
    if value is None or levels == 0:
        return {}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(min(max(value, -_INT64), _INT64 - 1))}
    if isinstance(value, float):
        return {"doubleValue": value if math.isfinite(value) else _DOUBLES[str(value)]}
    if isinstance(value, bytes):
        return {"bytesValue": b64encode(value).decode("ascii")}
    if isinstance(value, Mapping):
        pairs = [{"key": key, "value": _any(item, levels - 1)} for key, item in value.items()]
        return {"kvlistValue": {"values": pairs}}
    return {"arrayValue": {"values": [_any(item, levels - 1) for item in value]}}


_DOUBLES: Final = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def _text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))
