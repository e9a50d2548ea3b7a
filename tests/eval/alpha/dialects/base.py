"""What all dialects share: ids, times, origin, status and exception of a span."""

from collections.abc import Mapping

from halo_otel.model.span import (
    STATUS_ERROR,
    STATUS_UNSET,
    AnyValue,
    Resource,
    Scope,
    Span,
    SpanEvent,
    SpanId,
    TraceId,
)
from tests.eval.alpha.story import Step, Tale

INTERNAL, SERVER, CLIENT = 1, 2, 3


def span(
    tale: Tale,
    step: Step,
    name: str,
    attributes: Mapping[str, AnyValue],
    scope: Scope,
    *,
    kind: int = INTERNAL,
    parent: str | None = None,
    events: tuple[SpanEvent, ...] = (),
) -> Span:
    """The span of a step, with status ERROR and an `exception` event if it had a hard problem."""
    problem = step.problem if step.problem and not step.problem.soft else None
    if problem:
        raised: dict[str, AnyValue] = {
            "exception.type": problem.type,
            "exception.message": problem.message,
        }
        events = (*events, SpanEvent(name="exception", time_ns=step.end_ns, attributes=raised))
    return raw_span(
        trace_id=tale.trace_id,
        span_id=step.id,
        parent=step.parent if parent is None else parent,
        name=name,
        kind=kind,
        times=(step.start_ns, step.end_ns),
        attributes=attributes,
        events=events,
        error=None if problem is None else f"{problem.type}: {problem.message}",
        resource=tale.resource,
        scope=scope,
    )


def raw_span(
    *,
    trace_id: str,
    span_id: str,
    parent: str,
    name: str,
    kind: int,
    times: tuple[int, int],
    attributes: Mapping[str, AnyValue],
    events: tuple[SpanEvent, ...],
    error: str | None,
    resource: Resource,
    scope: Scope,
) -> Span:
    """A span with nothing dropped."""
    return Span(
        trace_id=TraceId(trace_id),
        span_id=SpanId(span_id),
        parent_span_id=SpanId(parent),
        name=name,
        kind=kind,
        start_ns=times[0],
        end_ns=times[1],
        attributes=attributes,
        events=events,
        links=(),
        status_code=STATUS_UNSET if error is None else STATUS_ERROR,
        status_message=error or "",
        trace_state="",
        flags=0x101,
        dropped_attributes_count=0,
        dropped_events_count=0,
        dropped_links_count=0,
        resource=resource,
        scope=scope,
    )


_HTTP = Scope(name="opentelemetry.instrumentation.httpx", version="0.61b0")
_ASGI = Scope(name="opentelemetry.instrumentation.asgi", version="0.61b0")


def plumbing(tale: Tale, step: Step) -> Span:
    """What is no agent's: the entry of the service and the requests that tools make."""
    if step.kind == "entry":
        path = step.name.split(" ")[1]
        served: dict[str, AnyValue] = {"http.request.method": "POST", "http.route": path}
        served["http.response.status_code"] = 500 if step.problem else 200
        return span(tale, step, step.name, served, _ASGI, kind=SERVER)
    asked: dict[str, AnyValue] = {
        "http.request.method": "POST",
        "server.address": f"backend.{tale.app.service}.svc",
        "http.response.status_code": 503 if step.problem else 200,
    }
    if step.problem:
        asked["error.type"] = step.problem.type
    return span(tale, step, "POST", asked, _HTTP, kind=CLIENT)
