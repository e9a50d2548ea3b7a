"""A span's agent facts, by the precedence table.

Spans of one instrumentation have the same keys over and over. So the rows that can apply to a span
are picked once per combination of known keys and kept; what is left per span is reading them.
"""

from functools import lru_cache
from typing import Any, Final, TypeAlias

from halo_otel.agentspan import fallback
from halo_otel.agentspan.precedence import DIALECTS, OTHERWISE, PRECEDENCE
from halo_otel.agentspan.source import EVENT, Parse, Read, Reading, Source
from halo_otel.model.facts import AgentFacts, SpanKind
from halo_otel.model.span import Span

# One row as the loop below needs it: key, parse, read.
_Row: TypeAlias = tuple[str, Parse | None, Read | None]
# The rows that can apply to a span, fact by fact, and what to read where none of them yields it.
_Plan: TypeAlias = "tuple[tuple[str, tuple[_Row, ...], _Plan], ...]"

# What must be known before the other facts can be read, and what only failed spans have.
_FIRST: Final = frozenset({"superseded", "kind"})
_OF_FAILED: Final = frozenset({"error_message", "error_type"})
_MOST: Final = frozenset(PRECEDENCE) - _FIRST - _OF_FAILED
# Every key that tells a dialect or is read by a row; the values do not matter.
_KNOWN_KEYS: Final = frozenset(
    {key for dialect in DIALECTS for key in dialect.markers}
    | {row.needs for rows in PRECEDENCE.values() for row in rows if row.needs is not None}
)
# As are the events that rows read; other events are of no concern.
_KNOWN_EVENTS: Final = frozenset(
    {event for dialect in DIALECTS for event in dialect.event_markers}
    | {
        row.key.removeprefix(EVENT)
        for rows in PRECEDENCE.values()
        for row in rows
        if row.key.startswith(EVENT)
    }
)
_NO_EVENTS: Final[frozenset[str]] = frozenset()
# Real combinations are hundreds; strangers' inventions must not fill the memory.
_CACHE_ENTRIES_MAX: Final = 8192


def normalise(span: Span) -> AgentFacts:
    """The agent facts of `span`; what it does not say is `None`. Never raises."""
    keys = _KNOWN_KEYS.intersection(span.attributes)
    events = (
        _KNOWN_EVENTS.intersection([event.name for event in span.events])
        if span.events
        else _NO_EVENTS
    )
    dialects, first = _begin(keys, events, span.scope.name)
    facts: dict[str, Any] = {}
    sources: dict[str, str] = {}
    reading = Reading(span, SpanKind.OTHER, facts, sources)
    _fill(reading, first)
    if "superseded" in facts:
        cited = {"superseded": sources["superseded"]}
        return AgentFacts.of({"dialects": dialects, "superseded": True, "sources": cited})
    reading.kind = facts.get("kind", SpanKind.OTHER)
    _fill(reading, _plan(keys, events, dialects, reading.kind, _MOST))
    if "error_source" in facts:
        _fill(reading, _plan(keys, events, dialects, reading.kind, _OF_FAILED))
    facts["dialects"] = dialects
    facts["sources"] = sources
    return AgentFacts.of(facts)


def _fill(reading: Reading, plan: _Plan) -> None:
    """Add to `reading` every fact of `plan` that the span states."""
    attributes, facts, sources = reading.span.attributes, reading.facts, reading.sources
    for fact, rows, otherwise in plan:
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
        else:
            if otherwise:
                _fill(reading, otherwise)


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
    return dialects, _plan(keys, events, dialects, None, _FIRST)


@lru_cache(_CACHE_ENTRIES_MAX)
def _plan(
    keys: frozenset[str],
    events: frozenset[str],
    dialects: tuple[str, ...],
    kind: SpanKind | None,
    facts: frozenset[str],
) -> _Plan:
    """The rows of `facts` that can apply to such a span."""

    def picked(rows: tuple[Source, ...]) -> tuple[_Row, ...]:
        return tuple(_row(row) for row in rows if _applies(row, keys, events, dialects, kind))

    def otherwise(fact: str) -> _Plan:
        table = OTHERWISE.get(fact, {})
        return tuple((other, rows, ()) for other in table if (rows := picked(table[other])))

    return tuple(
        (fact, rows, otherwise(fact))
        for fact in PRECEDENCE
        if fact in facts and (rows := picked(PRECEDENCE[fact]))
    )


def _applies(
    row: Source,
    keys: frozenset[str],
    events: frozenset[str],
    dialects: tuple[str, ...],
    kind: SpanKind | None,
) -> bool:
    if row.dialect not in dialects and row.dialect != fallback.DIALECT.name:
        return False
    if row.kinds and kind not in row.kinds:
        return False
    if row.needs is not None:
        return row.needs in keys
    return not row.key.startswith(EVENT) or row.key.removeprefix(EVENT) in events


def _row(row: Source) -> _Row:
    read = row.reader()
    return (row.key, None if read else row.parse, read)
