"""Spans and log records as rows of a window."""

import json
from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any, Generic, TypeVar

from halo_otel.agentspan.logevents import event_name
from halo_otel.agentspan.normalise import normalise
from halo_otel.agentspan.prices import Prices, load_prices
from halo_otel.config.sections import Keep
from halo_otel.ingest.texts import Texts
from halo_otel.model.span import AnyValue, LogRecord, Resource, Scope, Span, SpanEvent, SpanLink
from halo_otel.otlp.anyvalue import NESTING_MAX, to_json
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

    Of nested values in attributes and bodies `levels` are kept.

    What a model call cost is told by `prices`, by default the built-in ones, where the span does not.

    A span that is a placeholder for a later one is left out. With `keep="agents"` so is a log record
    that bears no trace id and is no GenAI event: nothing can ever tie it to an agent.
    """

    def __init__(
        self,
        keep: Keep = "all",
        prices: Prices | None = None,
        levels: int = NESTING_MAX,
    ) -> None:
        self._keep = keep
        self._prices = load_prices() if prices is None else prices
        self._spans: list[_Row] = []
        self._log_records: list[_Row] = []
        self._texts = Texts(levels)
        self._resources = _Origins[Resource](_resource_row)
        self._scopes = _Origins[Scope](_scope_row)

    @property
    def flattened(self) -> int:
        """Values that were nested deeper than that, ever."""
        return self._texts.flattened

    @property
    def size(self) -> int:
        """Span and log record rows gathered since the last `batch`."""
        return len(self._spans) + len(self._log_records)

    def add_span(self, span: Span, arrival_ns: int, position: int) -> bool:
        """False if the span was left out."""
        facts = self._prices.applied(normalise(span))
        if facts.superseded:
            return False
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
                to_json(self._texts.attributes(span.attributes)),
                to_json([self._event(event) for event in events]) if events else "[]",
                to_json([_link(link) for link in links]) if links else "[]",
                span.dropped_attributes_count,
                span.dropped_events_count,
                span.dropped_links_count,
                resource_id,
                scope_id,
                arrival_ns,
                position,
                service,
                *fact_cells(facts, span.resource.attributes, self._texts.keep),
            )
        )
        return True

    def wants(self, record: LogRecord) -> bool:
        """Whether `add_log_record` takes it."""
        return self._keep != "agents" or bool(record.trace_id) or event_name(record) is not None

    def add_log_record(self, record: LogRecord, arrival_ns: int, position: int) -> bool:
        """False if the record was left out."""
        event = event_name(record)
        if event is None and not record.trace_id and self._keep == "agents":
            return False
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
                to_json(self._texts.value(record.body)),
                to_json(self._texts.attributes(record.attributes)),
                record.flags,
                record.dropped_attributes_count,
                resource_id,
                scope_id,
                arrival_ns,
                position,
                service,
                event,
            )
        )
        return True

    def batch(self) -> Batch:
        """Everything gathered; the builder is empty afterwards."""
        batch = Batch(
            spans=_columns(SPAN_COLUMNS, self._spans),
            log_records=_columns(LOG_COLUMNS, self._log_records),
            resources=_columns(RESOURCE_COLUMNS, self._resources.rows()),
            scopes=_columns(SCOPE_COLUMNS, self._scopes.rows()),
            texts=self._texts.columns(),
        )
        self._spans, self._log_records = [], []
        self._resources.clear()
        self._scopes.clear()
        return batch

    def _event(self, event: SpanEvent) -> dict[str, Any]:
        return {
            "name": event.name,
            "time_ns": event.time_ns,
            "attributes": self._texts.attributes(event.attributes),
            "dropped_attributes_count": event.dropped_attributes_count,
        }


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


def _link(link: SpanLink) -> dict[str, AnyValue]:
    return {
        "trace_id": link.trace_id,
        "span_id": link.span_id,
        "trace_state": link.trace_state,
        "attributes": dict(link.attributes),
        "dropped_attributes_count": link.dropped_attributes_count,
        "flags": link.flags,
    }
