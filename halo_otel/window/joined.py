"""Spans together with the log records that tell about them.

Content and evaluations may come as log records (`agentspan.logevents`): before or after their span, in
another request, in another window. So they are joined when a view is read: a span that such records
are about is normalised again with them among its events, and what that gives are its facts.

A record belongs to the span whose ids it bears. An evaluation without a span id is about the whole
run, so it goes to the trace's root; any other record without one says nothing about which of the
trace's many model calls it means, and is left. The span's own events are read last and so believed
first: what both tell counts once, and a record never puts less in the place of what the span says.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from halo_otel.agentspan.logevents import EVALUATION, span_events
from halo_otel.agentspan.normalise import normalise
from halo_otel.model.span import AnyValue, Attributes, SpanEvent
from halo_otel.otlp.anyvalue import from_json, to_json
from halo_otel.window.facts import FACT_COLUMNS, fact_cells
from halo_otel.window.schema import SPAN_COLUMNS, TEXT_COLUMNS
from halo_otel.window.tables import arrow_of
from halo_otel.window.texts import text_id, whole

if TYPE_CHECKING:
    from halo_otel.duck import Connection
    from halo_otel.window.view import View

# The log records that are joined, as a condition on `log_records`; they count as arrivals.
JOINS: Final = (
    "genai_event IS NOT NULL AND trace_id <> ''"
    f" AND (span_id <> '' OR genai_event = '{EVALUATION}')"
)
# So many events are in memory at once: some tens of megabytes at 4 KB each. Of a span with more the
# newest are read; no model call has so many.
CHUNK_EVENTS: Final = 8192

_COST: Final = FACT_COLUMNS.index("cost")
_SOURCES: Final = FACT_COLUMNS.index("fact_sources")

_Key: TypeAlias = tuple[str, str]  # trace id, span id; '' stands for the root

_FACTS: Final = {name: SPAN_COLUMNS[name] for name in ("trace_id", "span_id", *FACT_COLUMNS)}
_CELLS: Final = ", ".join(
    f'CASE WHEN joined.span_id IS NULL THEN told."{name}" ELSE joined."{name}" END AS "{name}"'
    if name in FACT_COLUMNS
    else f'told."{name}"'
    for name in SPAN_COLUMNS
)
# The relation `spans` once something is joined.
SPANS: Final = f"""
SELECT {_CELLS} FROM told_spans told LEFT JOIN joined_facts joined USING (trace_id, span_id)
"""  # noqa: S608 our names

_COUNTS: Final = f"""
FROM log_records SELECT trace_id, span_id, count(*)
WHERE {JOINS} AND ($traces::VARCHAR[] IS NULL OR trace_id IN (SELECT unnest($traces::VARCHAR[])))
  AND trace_id NOT IN (SELECT trace_id FROM joined_facts)
GROUP BY trace_id, span_id ORDER BY trace_id, span_id
"""  # noqa: S608 our names
_EVENTS: Final = f"""
SELECT place, genai_event, coalesce(nullif(time_ns, 0), observed_ns) AS told_ns, attributes, body
FROM log_records JOIN (
    SELECT unnest($traces::VARCHAR[]) AS trace_id, unnest($spans::VARCHAR[]) AS span_id,
           unnest(range(len($spans))) AS place
) USING (trace_id, span_id)
WHERE {JOINS} ORDER BY told_ns DESC, "position" DESC LIMIT {CHUNK_EVENTS}
"""  # noqa: S608 our names
# A run's root is its span without a parent, the earliest if there are several or none.
_ROOTS: Final = """
FROM told_spans SELECT trace_id, arg_min(span_id, (parent_span_id <> '', start_ns, span_id))
WHERE trace_id IN (SELECT unnest($traces::VARCHAR[])) GROUP BY trace_id
"""


def join(view: "View", traces: Sequence[str] | None) -> bool:
    """Put the facts with log records of these traces' spans, or of all, into `joined_facts`, and the
    texts whose ids stand there into `joined_texts`; False if there is nothing to join.

    The spans are read again, a bounded number at a time.
    """
    con = view.con
    for table, columns in (("joined_facts", _FACTS), ("joined_texts", TEXT_COLUMNS)):
        layout = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        con.execute(f"CREATE TEMP TABLE IF NOT EXISTS {table} ({layout})")
    counts = con.execute(_COUNTS, {"traces": traces}).fetchall()
    roots = _roots(con, [trace_id for trace_id, span_id, _ in counts if not span_id])
    for owners in _chunks(counts, roots):
        texts: dict[bytes, str] = {}
        facts = _facts(view, _told(con, owners), texts)
        _insert(con, "joined_facts", _FACTS, facts)
        rows = [(id_, len(text), text) for id_, text in texts.items()]
        _insert(con, "joined_texts", TEXT_COLUMNS, rows)
    return bool(counts)


def _roots(con: "Connection", traces: Sequence[str]) -> dict[str, str]:
    """The root's span id by trace id."""
    found = con.execute(_ROOTS, {"traces": traces}).fetchall() if traces else ()
    return dict(found)


def _chunks(
    counts: Sequence[tuple[str, str, int]], roots: Mapping[str, str]
) -> Iterator[dict[_Key, _Key]]:
    """Which span each group of records is about, some groups at a time, a span's never apart."""
    groups: defaultdict[_Key, list[_Key]] = defaultdict(list)
    sizes: defaultdict[_Key, int] = defaultdict(int)
    for trace_id, span_id, count in counts:
        if owner := span_id or roots.get(trace_id):
            groups[trace_id, owner].append((trace_id, span_id))
            sizes[trace_id, owner] += count
    chunk: dict[_Key, _Key] = {}
    events = 0
    for span, keys in groups.items():
        if chunk and events + sizes[span] > CHUNK_EVENTS:
            yield chunk
            chunk, events = {}, 0
        chunk.update(dict.fromkeys(keys, span))
        events += sizes[span]
    if chunk:
        yield chunk


def _told(con: "Connection", owners: Mapping[_Key, _Key]) -> dict[_Key, list[SpanEvent]]:
    """What log records tell about each span, earliest first."""
    told: defaultdict[_Key, list[SpanEvent]] = defaultdict(list)
    spans = list(owners.values())
    found = con.execute(_EVENTS, ids(owners)).fetchall()
    values = _values(con, {cell for row in found for cell in row[3:]})
    for place, name, told_ns, attributes, body in reversed(found):
        told[spans[place]] += span_events(
            name, told_ns, cast(Attributes, values[attributes]), values[body]
        )
    return told


def _values(con: "Connection", cells: Iterable[str]) -> dict[str, AnyValue]:
    """What the stored cells stand for. A conversation that is told again each turn is read once."""
    stored = [(cell,) for cell in cells]
    texts = whole(con, stored, places=(0,))
    return {cell: from_json(text) for (cell,), (text,) in zip(stored, texts, strict=True)}


def _facts(
    view: "View", told: Mapping[_Key, Sequence[SpanEvent]], texts: dict[bytes, str]
) -> list[tuple[object, ...]]:
    """The rows of `joined_facts` for those of the spans that the view has."""

    def keep(text: str) -> bytes:
        id_ = text_id(text)
        texts[id_] = text
        return id_

    rows = []
    for span, cost, sources in view.spans_with(told):
        row = fact_cells(normalise(span), span.resource.attributes, keep)
        if cost is not None and row[_COST] is None:  # by the table of prices, when it was stored
            cells = dict(zip(FACT_COLUMNS, row, strict=True))
            cells |= {"cost": cost, "fact_sources": _with_source(row[_SOURCES], sources)}
            row = tuple(cells.values())
        rows.append((span.trace_id, span.span_id, *row))
    return rows


def _with_source(sources: object, stored: str) -> str:
    """`sources` with where the cost in `stored` came from."""
    both = [cast(dict[str, AnyValue], from_json(cast(str, text))) for text in (sources, stored)]
    return to_json({**both[0], "cost": both[1].get("cost")})


def ids(spans: Iterable[_Key]) -> dict[str, list[str]]:
    """The ids of spans as parameters."""
    traces, ids = zip(*spans, strict=True)
    return {"traces": list(traces), "spans": list(ids)}


def _insert(
    con: "Connection", table: str, kinds: Mapping[str, str], rows: Sequence[tuple[object, ...]]
) -> None:
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        con.from_arrow(arrow_of(kinds, dict(zip(kinds, columns, strict=True)))).insert_into(table)
