"""A span's agent facts, by the precedence table.

Spans of one instrumentation have the same keys over and over. So the rows that can apply to a span
are picked once per combination of known keys and kept; what is left per span is reading them.
"""

from functools import lru_cache
from typing import Final, TypeAlias

from halo_otel.agentspan import fallback
from halo_otel.agentspan.precedence import DIALECTS, PRECEDENCE
from halo_otel.agentspan.source import Parse, Read, Reading, Source
from halo_otel.model.facts import AgentFacts, SpanKind
from halo_otel.model.span import Span

# One row as the loop below needs it: key, parse, read.
_Row: TypeAlias = tuple[str, Parse | None, Read | None]
# The rows that can apply to a span, fact by fact.
_Plan: TypeAlias = tuple[tuple[str, tuple[_Row, ...]], ...]

# What must be known before the other facts can be read.
_FIRST: Final = ("superseded", "kind")
_EVENT: Final = "event:"
# Every key that tells a dialect or is read by a row; the values do not matter.
_KNOWN_KEYS: Final = frozenset(
    {key for dialect in DIALECTS for key in dialect.markers}
    | {row.needs for rows in PRECEDENCE.values() for row in rows if row.needs is not None}
)
_NO_EVENTS: Final[frozenset[str]] = frozenset()
# Real combinations are hundreds; strangers' inventions must not fill the memory.
_CACHE_ENTRIES_MAX: Final = 8192


def normalise(span: Span) -> AgentFacts:
    """The agent facts of `span`; what it does not say is `None`. Never raises."""
    keys = _KNOWN_KEYS.intersection(span.attributes)
    events = frozenset([event.name for event in span.events]) if span.events else _NO_EVENTS
    dialects, first = _begin(keys, events, span.scope.name)
    reading = Reading(span, SpanKind.OTHER, {}, {})
    _fill(reading, first)
    if "superseded" in reading.facts:
        return AgentFacts(
            dialects=dialects,
            superseded=True,
            sources={"superseded": reading.sources["superseded"]},
        )
    reading.kind = reading.facts.get("kind", SpanKind.OTHER)
    _fill(reading, _plan(keys, events, dialects, reading.kind))
    return AgentFacts(dialects=dialects, sources=reading.sources, **reading.facts)


def _fill(reading: Reading, plan: _Plan) -> None:
    """Add to `reading` every fact of `plan` that the span states."""
    attributes, facts, sources = reading.span.attributes, reading.facts, reading.sources
    for fact, rows in plan:
        for key, parse, read in rows:
            if parse is not None:
                value = parse(attributes[key])
                if value is not None:
                    facts[fact] = value
                    sources[fact] = key
                    break
            elif read is not None:
                value = read(reading)
                if value is not None:
                    facts[fact] = value
                    sources[fact] = sources.get(key, key)
                    break


@lru_cache(_CACHE_ENTRIES_MAX)
def _begin(
    keys: frozenset[str], events: frozenset[str], scope_name: str
) -> tuple[tuple[str, ...], _Plan]:
    """The dialects that a span with these keys, events and scope speaks, and its first facts."""
    dialects = tuple(
        dialect.name
        for dialect in DIALECTS
        if dialect.markers & keys
        or dialect.event_markers & events
        or scope_name.startswith(dialect.scopes)
    )
    return dialects, _plan(keys, events, dialects, None)


@lru_cache(_CACHE_ENTRIES_MAX)
def _plan(
    keys: frozenset[str],
    events: frozenset[str],
    dialects: tuple[str, ...],
    kind: SpanKind | None,
) -> _Plan:
    """The rows that can apply to such a span: those for its kind, or without one the first facts'."""

    def applies(row: Source) -> bool:
        if row.dialect not in dialects and row.dialect != fallback.DIALECT.name:
            return False
        if row.kinds and kind not in row.kinds:
            return False
        if row.needs is not None:
            return row.needs in keys
        return not row.key.startswith(_EVENT) or row.key.removeprefix(_EVENT) in events

    plan = []
    for fact, rows in PRECEDENCE.items():
        if (fact in _FIRST) == (kind is None):
            plan.append(
                (fact, tuple((row.key, row.parse, row.read) for row in rows if applies(row)))
            )
    return tuple((fact, rows) for fact, rows in plan if rows)
