"""Reading windows: relations over one or many of them, each span once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from halo_otel.duck import Connection, parsed
from halo_otel.errors import NotFound
from halo_otel.model.span import (
    Attributes,
    Resource,
    Scope,
    Span,
    SpanEvent,
    SpanLink,
    TraceId,
)
from halo_otel.otlp.anyvalue import from_json
from halo_otel.window import joined
from halo_otel.window.schema import TABLES, WindowInfo
from halo_otel.window.texts import PIECES, whole

_KEYS: Final = {"resources": "resource_id", "scopes": "scope_id", "texts": "text_id"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A window as it is when a view opens: rows beyond the counts in `info` came later."""

    database: str
    info: WindowInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceArrival:
    """When a trace's spans and joined log records arrived, in Unix nanoseconds, and how many spans
    there are.

    `agent_spans` are those that bear agent telemetry.
    """

    trace_id: TraceId
    first_arrival_ns: int
    last_arrival_ns: int
    spans: int
    agent_spans: int


class View:
    """Relations over some windows, on a connection of their own (`con`), for one thread.

    - `raw_spans`: every stored span row; a span that was sent twice is there twice
    - `spans`: one row per (trace_id, span_id), the one with the latest end, then the highest position;
      after `join_logs` its facts are also those that log records tell
    - `told_spans`: the same with the facts that the span itself tells
    - `log_records`: every log record
    - `arrivals`: trace_id, arrival_ns and span_kind of each of `spans`, and with no kind of each log
      record that is joined to one
    - `resources`, `scopes`, `texts`: one row per id
    - `pieces`: trace_id, span_id, ordinal (from 1) and text_id of the pieces of texts in each span's
      attributes, in their order: what is new in a turn is a difference of sets

    JSON cells hold references in place of long texts (see `texts.whole`).

    `con` may be given temporary tables and views; they vanish with it.
    """

    def __init__(self, con: Connection, sources: list[Source]) -> None:
        self.con: Final = parsed(con)
        self.windows: Final = tuple(source.info for source in sources)
        self._sources = sources
        self._resources: dict[int, Resource] = {}
        self._scopes: dict[int, Scope] = {}
        self._define("raw_spans", "spans", self._parts("spans"))
        self._define("log_records", "log_records", self._parts("log_records"))
        for table, key in _KEYS.items():
            self._define(f"all_{table}", table, self._parts(table))
            con.execute(
                f"CREATE TEMP VIEW {table} AS FROM all_{table} SELECT DISTINCT ON ({key}) *"
            )
        self._define("told_spans", "spans", self._unrepeated_parts())
        con.execute("CREATE TEMP VIEW spans AS FROM told_spans")
        con.execute(f"CREATE TEMP VIEW pieces AS {PIECES}")
        con.execute(_ARRIVALS)

    def join_logs(self, traces: Sequence[str] | None = None) -> None:
        """Let `spans` show also what log records tell about these traces, without any about all.

        The more traces at once, the cheaper each. A trace that was joined is not joined again.
        """
        if joined.join(self, traces):
            self._define("all_texts", "texts", [*self._parts("texts"), "FROM joined_texts"])
            self.con.execute(f"CREATE OR REPLACE TEMP VIEW spans AS {joined.SPANS}")

    def repeated_spans(self) -> int:
        """How many span rows `spans` leaves out: another row of these windows is the same span."""
        (count,) = self.con.execute("FROM repeated_spans SELECT count(*)").fetchall()[0]
        return int(count)

    def traces_last_arrival(self) -> list[TraceArrival]:
        """When each trace arrived, by trace id."""
        rows = self.con.execute(
            "FROM arrivals SELECT trace_id, min(arrival_ns), max(arrival_ns), count(span_kind),"
            " count(*) FILTER (span_kind <> 'other')"
            " GROUP BY trace_id HAVING count(span_kind) > 0 ORDER BY trace_id"
        ).fetchall()
        return [
            TraceArrival(
                trace_id=row[0],
                first_arrival_ns=row[1],
                last_arrival_ns=row[2],
                spans=row[3],
                agent_spans=row[4],
            )
            for row in rows
        ]

    def trace_spans(self, trace_id: str) -> list[Span]:
        """The spans of one trace as they were received, by start, then arrival; `[]` if unknown."""
        rows = self.con.execute(
            f'FROM spans SELECT {_SPAN_FIELDS} WHERE trace_id = ? ORDER BY start_ns, "position"',
            [trace_id],
        ).fetchall()
        return [self._span(*row) for row in whole(self.con, rows, _REFERRING)]

    def spans_with(
        self, told: Mapping[tuple[str, str], Sequence[SpanEvent]]
    ) -> Iterator[tuple[Span, float | None, str]]:
        """Those of the spans with these ids that there are, with what is told about each before its
        own events; beside each its stored cost and the sources of its stored facts."""
        rows = self.con.execute(_SPANS_WITH, joined.ids(told)).fetchall()
        for *row, cost, sources in whole(self.con, rows, _REFERRING):
            yield self._span(*row, told=told[row[0], row[1]]), cost, sources

    def resource_of(self, resource_id: int) -> Resource:
        """The resource behind a row's `resource_id`; raises `NotFound`."""
        if resource_id not in self._resources:
            row = self._one("resources", "resource_id", resource_id)
            self._resources[resource_id] = Resource(
                attributes=_attributes(row[0]), dropped_attributes_count=row[1], schema_url=row[2]
            )
        return self._resources[resource_id]

    def scope_of(self, scope_id: int) -> Scope:
        """The scope behind a row's `scope_id`; raises `NotFound`."""
        if scope_id not in self._scopes:
            row = self._one("scopes", "scope_id", scope_id)
            self._scopes[scope_id] = Scope(
                name=row[0],
                version=row[1],
                attributes=_attributes(row[2]),
                dropped_attributes_count=row[3],
                schema_url=row[4],
            )
        return self._scopes[scope_id]

    def _one(self, table: str, key: str, value: int) -> tuple[Any, ...]:
        result = self.con.execute(f"FROM {table} SELECT * EXCLUDE ({key}) WHERE {key} = ?", [value])
        found: list[tuple[Any, ...]] = result.fetchall()
        if not found:
            raise NotFound(f"no {key} {value} in these windows; they may have expired")
        return found[0]

    def _parts(self, table: str) -> list[str]:
        """The query of each window's rows of `table`, as far as they belong to this view."""
        return [_rows(source, table) for source in self._sources]

    def _unrepeated_parts(self) -> list[str]:
        """Like `_parts` for spans, without the rows another row stands for.

        Repeated spans are rare, so those rows are searched once and left out by number: over a
        million spans that costs 0.15 s here and next to nothing in each query, where
        `QUALIFY row_number() …` in every query costs 0.8 s each.
        """
        keys = [
            f'SELECT {window} AS "window", rowid AS "row", trace_id, span_id, end_ns, "position"'
            f" {_rows(source, 'spans')}"
            for window, source in enumerate(self._sources)
        ]
        self.con.execute('CREATE TEMP TABLE repeated_spans ("window" INTEGER, "row" BIGINT)')
        if keys:
            self.con.execute(_FIND_REPEATED.format(keys=" UNION ALL ".join(keys)))
        repeated = self.con.execute('FROM repeated_spans SELECT DISTINCT "window"').fetchall()
        parts = self._parts("spans")
        for (window,) in repeated:
            parts[window] += (
                f' AND rowid NOT IN (FROM repeated_spans SELECT "row" WHERE "window" = {window})'
            )
        return parts

    def _define(self, relation: str, table: str, parts: list[str]) -> None:
        # By name, the schema's order first: a file of an older version has its columns in another one.
        nothing = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in TABLES[table].items())
        query = " UNION ALL BY NAME ".join([f"SELECT {nothing} WHERE false", *parts])
        self.con.execute(f"CREATE OR REPLACE TEMP VIEW {relation} AS {query}")

    def _span(self, *row: Any, told: Sequence[SpanEvent] = ()) -> Span:
        *scalars, attributes, events, links, resource_id, scope_id = row
        return Span(
            **dict(zip(_SPAN_SCALARS, scalars, strict=True)),
            attributes=_attributes(attributes),
            events=(*told, *[SpanEvent(**event) for event in _items(events)]),
            links=tuple(SpanLink(**link) for link in _items(links)),
            resource=self.resource_of(resource_id),
            scope=self.scope_of(scope_id),
        )


def _rows(source: Source, table: str) -> str:
    """The rows of a window that belong to a view.

    Rows get ascending numbers and none is ever deleted, so their count is a moment in time.
    """
    counts = {"spans": source.info.spans, "log_records": source.info.log_records}
    bound = f"rowid < {counts[table]}" if table in counts else "true"
    return f"FROM {source.database}.{table} WHERE {bound}"


# Which rows another row of the same span stands for. Hashes find the few candidates in one pass over
# one column of numbers; a collision only adds a candidate, the second step compares the ids.
_FIND_REPEATED: Final = """
INSERT INTO repeated_spans
WITH keys AS ({keys}),
     candidates AS MATERIALIZED (
         FROM keys SELECT hash(trace_id, span_id) AS h GROUP BY h HAVING count(*) > 1)
FROM keys SELECT "window", "row"
WHERE hash(trace_id, span_id) IN (FROM candidates)
QUALIFY row_number() OVER (
    PARTITION BY trace_id, span_id
    ORDER BY end_ns DESC, "position" DESC, "window" DESC, "row" DESC) > 1
"""

_SPAN_SCALARS: Final = (
    "trace_id",
    "span_id",
    "parent_span_id",
    "trace_state",
    "flags",
    "name",
    "kind",
    "start_ns",
    "end_ns",
    "status_code",
    "status_message",
    "dropped_attributes_count",
    "dropped_events_count",
    "dropped_links_count",
)
_SPAN_FIELDS: Final = ", ".join(
    [*_SPAN_SCALARS, "attributes", "events", "links", "resource_id", "scope_id"]
)
_REFERRING: Final = (len(_SPAN_SCALARS), len(_SPAN_SCALARS) + 1)  # attributes, events

_SPANS_WITH: Final = f"""
SELECT {_SPAN_FIELDS}, cost, fact_sources FROM told_spans SEMI JOIN (
    SELECT unnest($traces::VARCHAR[]) AS trace_id, unnest($spans::VARCHAR[]) AS span_id
) USING (trace_id, span_id)
"""  # noqa: S608 our names

# What makes a trace be judged, or judged again.
_ARRIVALS: Final = f"""
CREATE TEMP VIEW arrivals AS
SELECT trace_id, arrival_ns, coalesce(span_kind, 'other') AS span_kind FROM told_spans
UNION ALL
SELECT trace_id, arrival_ns, NULL FROM log_records WHERE {joined.JOINS}
"""  # noqa: S608 our names


def _attributes(text: object) -> Attributes:
    return cast(Attributes, from_json(cast(str, text)))


def _items(text: str) -> list[dict[str, Any]]:
    return cast(list[dict[str, Any]], from_json(text))
