"""A span from what matters to agent facts."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

import pytest

from halo_otel.agentspan.normalise import normalise
from halo_otel.model.facts import AgentFacts
from halo_otel.model.span import AnyValue, Resource, Scope, Span, SpanEvent, SpanId, TraceId

CAPTURED = Path(__file__).parent / "captured"

Events: TypeAlias = (
    Mapping[str, Mapping[str, AnyValue]] | Sequence[tuple[str, Mapping[str, AnyValue]]]
)


class Facts(Protocol):
    """Normalise a span made of these attributes; the rest has harmless defaults."""

    def __call__(
        self,
        attributes: Mapping[str, AnyValue],
        *,
        name: str = ...,
        kind: int = ...,
        scope: str = ...,
        events: Events = ...,
        status: tuple[int, str] = ...,
    ) -> AgentFacts: ...


def _facts(
    attributes: Mapping[str, AnyValue],
    *,
    name: str = "span",
    kind: int = 1,
    scope: str = "",
    events: Events = (),
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
            for event, values in (events.items() if isinstance(events, Mapping) else events)
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


def _captured(name: str) -> list[AgentFacts]:
    capture = json.loads((CAPTURED / f"{name}.json").read_bytes())
    return [
        _facts(
            span["attributes"],
            name=span["name"],
            kind=span["kind"],
            scope=span["scope"],
            events=[(event["name"], event["attributes"]) for event in span["events"]],
            status=tuple(span["status"]),
        )
        for span in capture["spans"]
    ]


@pytest.fixture(scope="session")
def captured() -> Callable[[str], list[AgentFacts]]:
    """The facts of the spans that a real package emitted, first started first."""
    return _captured
