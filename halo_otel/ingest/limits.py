"""What a window stores of one span or log record at most; the journal has the whole.

As OpenTelemetry's SDKs do with their limits of these names (specification, "Span Limits"): nothing is refused, the first
attributes, events and links are kept and the others counted in the record's own `dropped_…_count`, and a long
text ends in a mark. How deep values go is limited where they are taken apart (`texts`).
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any, Final

from halo_otel.config import sections
from halo_otel.model.span import LogRecord, Resource, Scope, Span, SpanEvent, SpanLink

_ORIGINS_MAX: Final = 10_000
_COUNT_MAX: Final = 2**32 - 1  # of the wire's and the window's columns
# A text is cut at a space if there is one near, so that no token is halved that redaction would know.
_SPACE_WITHIN: Final = 1024
_NAMES: Final = ("name", "status_message", "trace_state", "severity_text", "event_name")


class Cutter:
    """Spans and log records within the limits of `limits`; what is cut is added to `counts`.

    Nearly all are within them and are given back as they are.
    """

    def __init__(self, limits: sections.Window, counts: Counter[str]) -> None:
        self._limits = limits
        self._counts = counts
        # By identity, as hundreds of spans share one; the object is kept so that its identity stays its own.
        self._origins: dict[int, tuple[Any, Any]] = {}

    def spans(self, spans: Iterable[Span], size_bytes: int) -> Iterator[Span]:
        """The spans of a request of `size_bytes`: in a small one no text can be too long."""
        return map(partial(self._span, size_bytes > self._length_max), spans)

    def log_records(self, records: Iterable[LogRecord], size_bytes: int) -> Iterator[LogRecord]:
        """The same for log records."""
        return map(partial(self._log_record, size_bytes > self._length_max), records)

    @property
    def _length_max(self) -> int:
        return self._limits.attribute_value_length_limit

    def _span(self, long: bool, span: Span) -> Span:
        changes = self._changes(long, span)
        events, links = span.events, span.links
        if events:
            most = self._limits.event_count_limit
            kept = self._each(long, events, most)
            if kept is not events:
                changes["events"] = kept
                dropped = self._dropped("events", len(events) - most)
                changes["dropped_events_count"] = _sum(span.dropped_events_count, dropped)
        if links:
            most = self._limits.link_count_limit
            kept = self._each(long, links, most)
            if kept is not links:
                changes["links"] = kept
                dropped = self._dropped("links", len(links) - most)
                changes["dropped_links_count"] = _sum(span.dropped_links_count, dropped)
        return replace(span, **changes) if changes else span

    def _log_record(self, long: bool, record: LogRecord) -> LogRecord:
        changes = self._changes(long, record)
        if long:
            body = self._value(record.body)
            if body is not record.body:
                changes["body"] = body
        return replace(record, **changes) if changes else record

    def _changes(self, long: bool, record: Span | LogRecord) -> dict[str, Any]:
        """What is to be other in what spans and log records have in common."""
        changes = self._attributes(long, record)
        resource, scope = self._origin(long, record.resource), self._origin(long, record.scope)
        if resource is not record.resource or scope is not record.scope:
            changes |= {"resource": resource, "scope": scope}
        if long:
            for name in _NAMES:
                text = getattr(record, name, "")
                if len(text) > self._length_max:
                    changes[name] = self._value(text)
        return changes

    def _each(self, long: bool, parts: tuple[Any, ...], most: int) -> tuple[Any, ...]:
        """The first `most` of events or links, each within the limits; the same object if all are."""
        kept = [self._part(long, part) for part in parts[:most]]
        if len(kept) == len(parts) and all(a is b for a, b in zip(kept, parts, strict=True)):
            return parts
        return tuple(kept)

    def _part(self, long: bool, part: SpanEvent | SpanLink) -> SpanEvent | SpanLink:
        changes = self._attributes(long, part)
        if long and isinstance(part, SpanEvent) and len(part.name) > self._length_max:
            changes["name"] = self._value(part.name)
        return replace(part, **changes) if changes else part

    def _origin(self, long: bool, origin: Any) -> Any:
        seen = self._origins.get(id(origin))
        if seen is None:
            if len(self._origins) >= _ORIGINS_MAX:
                self._origins.clear()
            changes = self._attributes(long, origin)
            seen = (origin, replace(origin, **changes) if changes else origin)
            self._origins[id(origin)] = seen
        return seen[1]

    def _attributes(
        self, long: bool, owner: Span | LogRecord | SpanEvent | SpanLink | Resource | Scope
    ) -> dict[str, Any]:
        attributes = owner.attributes
        most = self._limits.attribute_count_limit
        if not long and len(attributes) <= most:
            return {}
        kept: dict[str, Any] = dict(islice(attributes.items(), most))
        if long:
            kept = {key: self._value(value) for key, value in kept.items()}
        dropped = self._dropped("attributes", len(attributes) - most)
        return {
            "attributes": kept,
            "dropped_attributes_count": _sum(owner.dropped_attributes_count, dropped),
        }

    def _dropped(self, what: str, more: int) -> int:
        if more > 0:
            self._counts[f"halo.ingest.dropped_{what}"] += more
        return max(0, more)

    def _value(self, value: Any) -> Any:
        """`value` with its long texts cut; the same object if there is none."""
        most = self._length_max
        if isinstance(value, str) and len(value) > most:
            self._counts["halo.ingest.cut_values"] += 1
            space = value.rfind(" ", max(0, most - _SPACE_WITHIN), most)
            at = space if space >= 0 else most
            return f"{value[:at]} [cut: {at} of {len(value)} characters]"
        if isinstance(value, bytes) and len(value) > most:
            self._counts["halo.ingest.cut_values"] += 1
            return value[:most]
        if isinstance(value, list):
            return [self._value(item) for item in value]
        if isinstance(value, dict):
            return {key: self._value(item) for key, item in value.items()}
        return value


def _sum(count: int, more: int) -> int:
    return min(_COUNT_MAX, count + more)
