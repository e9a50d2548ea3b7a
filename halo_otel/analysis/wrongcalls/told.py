"""What a run was told, in its raw spans: for the few values of which the frame's texts do not say where they
come from.

Everything counts that stands in a span's attributes and events, except what the model itself said (its outputs, its
messages in a history) and what tools were asked. That errs on the side of "told": a value that is passed on in some
attribute nobody has heard of was not invented.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import duckdb

from halo_otel.agentspan.values import decoded
from halo_otel.otlp.anyvalue import from_json
from halo_otel.window.texts import whole

_SPANS: Final = """
select trace_id, span_id, case when span_kind in ('agent', 'llm', 'chain') then start_ns else end_ns end as told_ns,
       coalesce(span_kind, 'other') as kind,
       coalesce(input_unknown in ('redacted', 'truncated'), false) as blind,
       coalesce(result_unknown = 'empty', false) as empty,
       coalesce(span_kind in ('agent', 'llm', 'chain') and input_text is not null, false) as heard,
       coalesce(case when span_kind in ('tool', 'retriever') then tool_result else input_text end, '') as fact,
       attributes, events
from spans semi join (select unnest($traces::varchar[]) as trace_id) using (trace_id)
order by trace_id, told_ns, span_id
"""
_MEETINGS: Final = """
with sought as (
  select unnest($places::integer[]) as place, unnest($sessions::varchar[]) as session,
         unnest($traces::varchar[]) as trace_id, unnest($times::bigint[]) as start_ns,
         unnest($values::varchar[]) as value)
select distinct place from sought join spans w on w.session_id = sought.session
where w.trace_id <> sought.trace_id and w.start_ns < sought.start_ns
  and contains(lower(concat_ws(' ', w.tool_result, w.input_text, w.output_text)), sought.value)
order by place
"""
_SAID_BY_MODEL: Final = re.compile(
    r"output|completion|response|choice|answer|result|assistant", re.IGNORECASE
)
_ASKED_OF_TOOL: Final = re.compile(r"arg|input|param", re.IGNORECASE)
# Tuples, for a stranger's role may be a list, which no set can be asked for.
_MODEL_ROLES: Final = ("assistant", "model", "ai")
_MODEL_TYPES: Final = (
    "ai",
    "AIMessage",
    "AIMessageChunk",
    "tool_call",
    "tool_use",
    "function_call",
)
_JSON_DEPTH_MAX: Final = 12


class RawSpan(NamedTuple):
    """`blind`: its input stands there and is unknown; `empty`: its answer is known to say nothing; `heard`: it
    tells what was asked. At `told_ns` an input has been given, a result is there. `fact` is the result of a call, the input of another span: log records may tell it.
    """

    trace_id: str
    span_id: str
    told_ns: int
    kind: str
    blind: bool
    empty: bool
    heard: bool
    fact: str
    attributes: str
    events: str


class Sought(NamedTuple):
    """A value in lower case that a call of a session uses at a time."""

    session: str | None
    trace_id: str
    start_ns: int
    value: str


def raw_spans(con: duckdb.DuckDBPyConnection, traces: Sequence[str]) -> dict[str, list[RawSpan]]:
    """The spans of these traces with their whole attributes and events, by when they tell."""
    rows = con.execute(_SPANS, {"traces": list(traces)}).fetchall()
    places = (RawSpan._fields.index("attributes"), RawSpan._fields.index("events"))
    found: dict[str, list[RawSpan]] = defaultdict(list)
    for row in whole(con, rows, places):
        found[row[0]].append(RawSpan._make(row))
    return found


def told(span: RawSpan) -> Iterator[str]:
    """The texts that a span tells, in lower case."""
    yield span.fact.lower()
    own = _ASKED_OF_TOOL if span.kind in ("tool", "retriever") else _SAID_BY_MODEL
    attributes, events = _parsed(span.attributes), _parsed(span.events)
    by_model = tuple(  # `llm.input_messages.3.message.` of flattened messages
        key.removesuffix("role")
        for key, value in attributes.items()
        if key.endswith(".role") and value in _MODEL_ROLES
    )
    for key, value in attributes.items():
        if not own.search(key) and not key.startswith(by_model):
            yield from _leaves(value, 0)
    for event in events:
        if not own.search(event["name"]):
            yield from _leaves(event["attributes"], 0)


def met(con: duckdb.DuckDBPyConnection, sought: Sequence[Sought]) -> set[int]:
    """The places in `sought` of the values that an earlier trace of the same session says."""
    asked = [(place, one) for place, one in enumerate(sought) if one.session]
    if not asked:
        return set()
    parameters = {
        "places": [place for place, _ in asked],
        "sessions": [one.session for _, one in asked],
        "traces": [one.trace_id for _, one in asked],
        "times": [one.start_ns for _, one in asked],
        "values": [one.value for _, one in asked],
    }
    return {place for (place,) in con.execute(_MEETINGS, parameters).fetchall()}


def _parsed(text: str) -> Any:
    return from_json(text)


def _leaves(value: Any, depth: int) -> Iterator[str]:
    """The texts in a value, also in JSON within a text, except messages of models."""
    if isinstance(value, str):
        value = decoded(value)
    if isinstance(value, dict) and depth < _JSON_DEPTH_MAX:
        if value.get("role") in _MODEL_ROLES or value.get("type") in _MODEL_TYPES:
            return
        for member in value.values():
            yield from _leaves(member, depth + 1)
    elif isinstance(value, (list, tuple)) and depth < _JSON_DEPTH_MAX:
        for member in value:
            yield from _leaves(member, depth + 1)
    elif value is not None:
        yield str(value).lower()
