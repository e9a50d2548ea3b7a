"""Every text of a span or log record, redacted before anything is made of it.

What is derived from a span (agent facts, cut texts, rows) holds only what the span still says.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, Final, TypeVar

from halo_otel.model.span import LogRecord, Resource, Scope, Span, SpanEvent, SpanLink
from halo_otel.redact.redactor import Redactor

_Origin = TypeVar("_Origin", bound=Resource | Scope)
_ORIGINS_MAX: Final = 10_000


class RecordRedactor:
    """Spans and log records by `redactor`. Ids and times are no texts and stay."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        # By identity, as hundreds of spans share one; the object is kept so that its identity stays its own.
        self._origins: dict[int, tuple[Resource | Scope, Resource | Scope]] = {}

    def spans(self, spans: Iterable[Span]) -> Iterator[Span]:
        """Each as `span` gives it, for a fraction of its cost; some hundreds are taken before the first is given."""
        return self._redactor.each(self.span, spans)

    def log_records(
        self, records: Iterable[LogRecord], wanted: Callable[[LogRecord], bool]
    ) -> Iterator[LogRecord]:
        """The same for log records. Those that are not `wanted` come as they are: nobody will store them."""
        return self._redactor.each(
            lambda record: self.log_record(record) if wanted(record) else record, records
        )

    def span(self, span: Span) -> Span:
        """`span` as it may be stored."""
        text = self._redactor.text
        return _with(
            span,
            name=text(span.name),
            trace_state=span.trace_state and text(span.trace_state),
            status_message=span.status_message and text(span.status_message),
            attributes=self._redactor.attributes(span.attributes),
            events=_each(self._event, span.events) if span.events else span.events,
            links=_each(self._link, span.links) if span.links else span.links,
            resource=self._origin(span.resource),
            scope=self._origin(span.scope),
        )

    def log_record(self, record: LogRecord) -> LogRecord:
        """`record` as it may be stored."""
        text = self._redactor.text
        return _with(
            record,
            severity_text=text(record.severity_text),
            event_name=text(record.event_name),
            body=self._redactor.value(record.body),
            attributes=self._redactor.attributes(record.attributes),
            resource=self._origin(record.resource),
            scope=self._origin(record.scope),
        )

    def _event(self, event: SpanEvent) -> SpanEvent:
        attributes = self._redactor.attributes(event.attributes)
        return _with(event, name=self._redactor.text(event.name), attributes=attributes)

    def _link(self, link: SpanLink) -> SpanLink:
        attributes = self._redactor.attributes(link.attributes)
        return _with(link, trace_state=self._redactor.text(link.trace_state), attributes=attributes)

    def _origin(self, origin: _Origin) -> _Origin:
        seen = self._origins.get(id(origin))
        if seen is None:
            if len(self._origins) >= _ORIGINS_MAX:
                self._origins.clear()
            left = self._redactor.settled(lambda: self._redacted(origin))
            seen = self._origins[id(origin)] = (origin, left)
        return seen[1]  # type: ignore[return-value]  # of the same type as the first

    def _redacted(self, origin: Resource | Scope) -> Resource | Scope:
        text = self._redactor.text
        attributes = self._redactor.attributes(origin.attributes)
        schema_url = text(origin.schema_url)
        if isinstance(origin, Resource):
            return _with(origin, attributes=attributes, schema_url=schema_url)
        return _with(
            origin,
            name=text(origin.name),
            version=text(origin.version),
            attributes=attributes,
            schema_url=schema_url,
        )


_Part = TypeVar("_Part", SpanEvent, SpanLink)


def _each(redacted: Callable[[_Part], _Part], parts: tuple[_Part, ...]) -> tuple[_Part, ...]:
    left = tuple(map(redacted, parts))
    return parts if all(a is b for a, b in zip(left, parts, strict=True)) else left


_Record = TypeVar("_Record", Span, LogRecord, SpanEvent, SpanLink, Resource, Scope)


def _with(record: _Record, **fields: Any) -> _Record:
    """`record` with other fields; the same object where all are the same, as nearly always."""
    for name, value in fields.items():
        if value is not getattr(record, name):
            return replace(record, **fields)
    return record
