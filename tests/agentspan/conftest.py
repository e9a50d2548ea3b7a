"""A span from what matters to agent facts."""

from collections.abc import Mapping
from typing import Protocol

import pytest

from halo_otel.agentspan.normalise import normalise
from halo_otel.model.facts import AgentFacts
from halo_otel.model.span import AnyValue, Resource, Scope, Span, SpanEvent, SpanId, TraceId


class Facts(Protocol):
    """Normalise a span made of these attributes; the rest has harmless defaults."""

    def __call__(
        self,
        attributes: Mapping[str, AnyValue],
        *,
        name: str = ...,
        kind: int = ...,
        scope: str = ...,
        events: Mapping[str, Mapping[str, AnyValue]] = ...,
        status: tuple[int, str] = ...,
    ) -> AgentFacts: ...


def _facts(
    attributes: Mapping[str, AnyValue],
    *,
    name: str = "span",
    kind: int = 1,
    scope: str = "",
    events: Mapping[str, Mapping[str, AnyValue]] | None = None,
    status: tuple[int, str] = (0, ""),
) -> AgentFacts:
    span = Span(
        trace_id=TraceId("a" * 32),
        span_id=SpanId("b" * 16),
        parent_span_id=SpanId(""),
        name=name,
        kind=kind,
        start_ns=0,
        end_ns=1,
        attributes=attributes,
        events=tuple(
            SpanEvent(name=event, time_ns=0, attributes=values)
            for event, values in (events or {}).items()
        ),
        links=(),
        status_code=status[0],
        status_message=status[1],
        trace_state="",
        flags=0,
        dropped_attributes_count=0,
        dropped_events_count=0,
        dropped_links_count=0,
        resource=Resource(),
        scope=Scope(name=scope),
    )
    return normalise(span)


@pytest.fixture(scope="session")
def facts() -> Facts:
    return _facts
