"""A step as a dialect writes it, and what all dialects share: resources, statuses, clients' spans."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, TypeAlias

from halo_otel.model.span import (
    STATUS_ERROR,
    STATUS_OK,
    STATUS_UNSET,
    AnyValue,
    LogRecord,
    Resource,
    Scope,
    Span,
    SpanEvent,
    SpanId,
    TraceId,
)
from tests.eval.beta.cast import Cast, Tool
from tests.eval.beta.run import Message, Run, Step

INTERNAL, SERVER, CLIENT = 1, 2, 3  # opentelemetry.proto.trace.v1.Span.SpanKind
_INFO: Final = 9  # OTel SeverityNumber


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a window's instrumentation is configured, alike for all its runs."""

    defines_tools: bool
    evaluates: bool
    newer: bool  # the later of two versions of the instrumentation
    ok_status: bool  # success is told with status OK


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """A run that has been played, to be written down."""

    cast: Cast
    run: Run
    style: Style

    def tools(self, step: Step) -> tuple[Tool, ...]:
        """The tools that the model of `step` was offered, if that is recorded."""
        if not self.style.defines_tools or step.bare:
            return ()
        names = self.cast.agent(step.agent).tools
        own = tuple(tool for tool in self.cast.tools if tool.name in names)
        return own + self.cast.team_tools()

    def told(self, step: Step) -> str:
        return self.cast.agent(step.agent).told


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A log record that belongs to a span."""

    name: str
    body: AnyValue = None
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    name: str
    scope: tuple[str, str]
    attributes: dict[str, Any]
    kind: int = INTERNAL
    events: tuple[Event, ...] = ()


Write: TypeAlias = Callable[[Show, Step], Written]


def output_message(step: Step) -> Message:
    """What the model answered."""
    return Message("assistant", step.says, step.calls)


def as_json(result: str) -> str:
    """A tool's result as SDKs serialise it that serialise whatever a function returns."""
    try:
        json.loads(result)
    except ValueError:
        return json.dumps(result)
    return result


def spans(show: Show, write: Write) -> tuple[list[Span], list[LogRecord]]:
    """The telemetry of a run."""
    made: list[Span] = []
    records: list[LogRecord] = []
    for step in show.run.steps:
        written = _client(step) if step.kind == "inner" else write(show, step)
        resource = _resource(
            show.cast.agent(step.agent).service,
            show.run.setting.version,
            show.run.setting.region,
        )
        scope = _scope(*written.scope)
        made.append(_span(show, step, written, resource, scope))
        records.extend(_record(show, step, event, resource, scope) for event in written.events)
    return made, records


@lru_cache(256)
def _resource(service: str, version: str, region: str) -> Resource:
    return Resource(
        attributes={
            "service.name": service,
            "service.version": version,
            "cloud.region": region,
            "deployment.environment.name": "production",
            "telemetry.sdk.language": "python",
        }
    )


@lru_cache(64)
def _scope(name: str, version: str) -> Scope:
    return Scope(name=name, version=version)


def _span(show: Show, step: Step, written: Written, resource: Resource, scope: Scope) -> Span:
    failed = step.error is not None and not step.in_words
    events: tuple[SpanEvent, ...] = ()
    if failed and step.error:
        kind, message = step.error
        told = {"exception.type": kind, "exception.message": message}
        events = (SpanEvent(name="exception", time_ns=step.end_ns, attributes=told),)
    ok = STATUS_OK if show.style.ok_status else STATUS_UNSET
    return Span(
        trace_id=TraceId(show.run.setting.trace_id),
        span_id=SpanId(step.id),
        parent_span_id=SpanId(step.parent),
        name=written.name,
        kind=written.kind,
        start_ns=step.start_ns,
        end_ns=max(step.end_ns, step.start_ns + 1000),
        attributes=written.attributes,
        events=events,
        links=(),
        status_code=STATUS_ERROR if failed else ok,
        status_message=step.error[1] if failed and step.error else "",
        trace_state="",
        flags=1,
        dropped_attributes_count=0,
        dropped_events_count=0,
        dropped_links_count=0,
        resource=resource,
        scope=scope,
    )


def _record(show: Show, step: Step, event: Event, resource: Resource, scope: Scope) -> LogRecord:
    return LogRecord(
        trace_id=TraceId(show.run.setting.trace_id),
        span_id=SpanId(step.id),
        time_ns=step.end_ns,
        observed_ns=step.end_ns,
        severity_number=_INFO,
        severity_text="INFO",
        event_name=event.name,
        body=event.body,
        attributes=event.attributes,
        flags=1,
        dropped_attributes_count=0,
        resource=resource,
        scope=scope,
    )


def _client(step: Step) -> Written:
    """A database's or an HTTP client's own span."""
    verb, _, target = step.name.partition(" ")
    if verb == "SELECT":
        return Written(
            name=step.name,
            scope=("opentelemetry.instrumentation.psycopg", "0.66b0"),
            kind=CLIENT,
            attributes={
                "db.system.name": "postgresql",
                "db.collection.name": target,
                "db.query.text": f"SELECT * FROM {target} WHERE id = %s",
            },
        )
    failed = step.error is not None
    return Written(
        name=verb,
        scope=("opentelemetry.instrumentation.httpx", "0.66b0"),
        kind=CLIENT,
        attributes={
            "http.request.method": verb,
            "url.full": f"http://inventory.internal{target}",
            "server.address": "inventory.internal",
            "http.response.status_code": 503 if failed else 200,
        },
    )
