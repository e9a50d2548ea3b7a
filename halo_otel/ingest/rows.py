"""Spans and log records as rows of a window."""

import json
from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Generic, TypeVar

from halo_otel.agentspan.normalise import normalise
from halo_otel.model.span import AnyValue, LogRecord, Resource, Scope, Span, SpanEvent, SpanLink
from halo_otel.otlp.anyvalue import to_json
from halo_otel.window.facts import fact_cells
from halo_otel.window.schema import (
    LOG_COLUMNS,
    RESOURCE_COLUMNS,
    SCOPE_COLUMNS,
    SPAN_COLUMNS,
    Batch,
    Columns,
)

_Row = tuple[object, ...]
_Origin = TypeVar("_Origin", bound=Resource | Scope)


class RowBuilder:
    """Gathers rows until `batch` takes them.

    `arrival_ns` is when the request arrived (Unix ns); `position` orders rows that repeat a span and
    is best unique: the journal offset of the request plus the span's index in it.
    """

    def __init__(self) -> None:
        self._spans: list[_Row] = []
        self._log_records: list[_Row] = []
        self._resources = _Origins[Resource](_resource_row)
        self._scopes = _Origins[Scope](_scope_row)

    @property
    def size(self) -> int:
        """Span and log record rows gathered since the last `batch`."""
        return len(self._spans) + len(self._log_records)

    def add_span(self, span: Span, arrival_ns: int, position: int) -> None:
        resource_id, service = self._resources.of(span.resource)
        scope_id, _ = self._scopes.of(span.scope)
        events, links = span.events, span.links
        self._spans.append(
            (
                span.trace_id,
                span.span_id,
                span.parent_span_id,
                span.trace_state,
                span.flags,
                span.name,
                span.kind,
                span.start_ns,
                span.end_ns,
                span.status_code,
                span.status_message,
                to_json(span.attributes),
                to_json([_event(event) for event in events]) if events else "[]",
                to_json([_link(link) for link in links]) if links else "[]",
                span.dropped_attributes_count,
                span.dropped_events_count,
                span.dropped_links_count,
                resource_id,
                scope_id,
                arrival_ns,
                position,
                service,
                *fact_cells(normalise(span), span.resource.attributes),
            )
        )

    def add_log_record(self, record: LogRecord, arrival_ns: int, position: int) -> None:
        resource_id, service = self._resources.of(record.resource)
        scope_id, _ = self._scopes.of(record.scope)
        self._log_records.append(
            (
                record.trace_id,
                record.span_id,
                record.time_ns,
                record.observed_ns,
                record.severity_number,
                record.severity_text,
                record.event_name,
                to_json(record.body),
                to_json(record.attributes),
                record.flags,
                record.dropped_attributes_count,
                resource_id,
                scope_id,
                arrival_ns,
                position,
                service,
            )
        )

    def batch(self) -> Batch:
        """Everything gathered; the builder is empty afterwards."""
        batch = Batch(
            spans=_columns(SPAN_COLUMNS, self._spans),
            log_records=_columns(LOG_COLUMNS, self._log_records),
            resources=_columns(RESOURCE_COLUMNS, self._resources.rows()),
            scopes=_columns(SCOPE_COLUMNS, self._scopes.rows()),
        )
        self._spans, self._log_records = [], []
        self._resources.clear()
        self._scopes.clear()
        return batch


class _Origins(Generic[_Origin]):
    """The resources or scopes of a batch, hashed once per object: hundreds of spans share one."""

    def __init__(self, row_of: Callable[[_Origin], _Row]) -> None:
        self._row_of = row_of
        # By identity; the object is kept so that its identity stays its own.
        self._seen: dict[int, tuple[tuple[int, str | None], _Origin]] = {}
        self._rows: dict[int, _Row] = {}

    def of(self, origin: _Origin) -> tuple[int, str | None]:
        """Id and service name."""
        seen = self._seen.get(id(origin))
        return seen[0] if seen else self._add(origin)

    def rows(self) -> Iterable[_Row]:
        return self._rows.values()

    def clear(self) -> None:
        self._seen, self._rows = {}, {}

    def _add(self, origin: _Origin) -> tuple[int, str | None]:
        row = self._row_of(origin)
        content = json.dumps(row).encode("ascii")
        origin_id = int.from_bytes(blake2b(content, digest_size=8).digest(), "big")
        service = origin.attributes.get("service.name")
        result = (origin_id, service if isinstance(service, str) and service else None)
        self._seen[id(origin)] = (result, origin)
        self._rows[origin_id] = (origin_id, *row)
        return result


def _resource_row(resource: Resource) -> _Row:
    attributes = to_json(dict(sorted(resource.attributes.items())))
    return (attributes, resource.dropped_attributes_count, resource.schema_url)


def _scope_row(scope: Scope) -> _Row:
    attributes = to_json(dict(sorted(scope.attributes.items())))
    return (scope.name, scope.version, attributes, scope.dropped_attributes_count, scope.schema_url)


def _columns(kinds: dict[str, str], rows: Iterable[_Row]) -> Columns:
    transposed = zip(*rows, strict=True)
    return {name: list(values) for name, values in zip(kinds, transposed, strict=False)}


def _event(event: SpanEvent) -> dict[str, AnyValue]:
    return {
        "name": event.name,
        "time_ns": event.time_ns,
        "attributes": dict(event.attributes),
        "dropped_attributes_count": event.dropped_attributes_count,
    }


def _link(link: SpanLink) -> dict[str, AnyValue]:
    return {
        "trace_id": link.trace_id,
        "span_id": link.span_id,
        "trace_state": link.trace_state,
        "attributes": dict(link.attributes),
        "dropped_attributes_count": link.dropped_attributes_count,
        "flags": link.flags,
    }
